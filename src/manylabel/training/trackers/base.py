"""What trackers have in common: they listen to the progress of a training and remember its epochs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from manylabel.training.progress import Progress

Record: TypeAlias = Mapping[str, Any]
"""One epoch, as ``history.jsonl`` has it."""
Values: TypeAlias = Mapping[str, Mapping[str, float | None]]
"""Protocol of thresholds -> metric -> value, None where it is undefined."""


class Tracker(ABC):
    """Follows one training.

    Parameters
    ----------
    folder : Path
    run : str
        What the training is called; parts are separated by slashes.

    Attributes
    ----------
    records : dict of (stage, epoch) to record
        What the epochs so far measured.
    """

    def __init__(self, folder: Path, run: str) -> None:
        self.folder, self.run = folder, run
        self.records: dict[tuple[str, int], Record] = {}

    def __call__(self, progress: Progress) -> None:
        """Keep the epoch that has just ended, if one has."""
        if progress.record is not None:
            self._remember(progress.record)
            self.write_epoch(progress.record)

    def finish(
        self, values: Values, parameters: Mapping[str, Any] | None = None, history: Iterable[Record] = ()
    ) -> None:
        """Keep the final metrics, and epochs that this tracker did not hear of; it can be done again.

        Parameters
        ----------
        values : mapping of protocol to mapping of metric to value
        parameters : mapping, optional
            What the training was asked for.
        history : iterable of records, default none
            Epochs of before, where a training was taken up.
        """
        later, self.records = self.records, {}
        for record in (*history, *later.values()):
            self._remember(record)
        self.write_all(values, parameters or {})

    def _remember(self, record: Record) -> None:
        self.records[record["stage"], record["epoch"]] = record

    @abstractmethod
    def write_epoch(self, record: Record) -> None:
        """Show an epoch as soon as it has ended."""

    @abstractmethod
    def write_all(self, values: Values, parameters: Mapping[str, Any]) -> None:
        """Leave all records, parameters and final values, each once."""


def measured(record: Record) -> dict[str, float]:
    """The numbers of an epoch by name, monitored ones as ``validation_NAME``."""
    numbers = {name: record[name] for name in ("loss", "lr", "seconds") if name in record}
    return numbers | {f"validation_{name}": value for name, value in record["monitor"].items()}


def defined(values: Values) -> Iterator[tuple[str, str, float]]:
    """Protocol, metric and value of each final number that is one."""
    for protocol, found in values.items():
        for metric, value in found.items():
            if value is not None and math.isfinite(value):
                yield protocol, metric, value
