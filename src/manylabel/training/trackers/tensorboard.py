"""TensorBoard events of a training: a curve for every number of its stages, its parameters, and its final metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manylabel.training.trackers.base import Record, Tracker, Values, defined, measured

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardTracker(Tracker):
    """Events below ``folder/tensorboard/run``; the horizontal axis of a stage is its epoch."""

    def write_epoch(self, record: Record) -> None:
        self._add(record)
        self._writer.flush()

    def write_all(self, values: Values, parameters: Mapping[str, Any]) -> None:
        self._begin_anew()
        for record in self.records.values():
            self._add(record)
        text = f"```json\n{json.dumps(parameters, indent=1, default=str)}\n```"
        self._writer.add_text("parameters", text)
        for protocol, metric, value in defined(values):
            self._writer.add_scalar(f"{protocol}/{metric}", value, 0)
        self._close()

    @property
    def _place(self) -> Path:
        return self.folder / "tensorboard" / self.run

    @cached_property
    def _writer(self) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self._place))

    def _add(self, record: Record) -> None:
        for name, value in measured(record).items():
            self._writer.add_scalar(f"{record['stage']}/{name}", value, record["epoch"])

    def _begin_anew(self) -> None:
        """Events cannot be changed: those of a training that was killed and taken up would stand there twice."""
        self._close()
        for old in self._place.glob("events.out.tfevents.*"):
            old.unlink()

    def _close(self) -> None:
        if "_writer" in self.__dict__:
            self._writer.close()
            del self._writer
