"""Tracking of a study: its epochs and final metrics, handed to trackers by name while the cells run."""

from __future__ import annotations

import warnings
from typing import Any

from manylabel.study.cell import CellKey
from manylabel.study.executors.base import Advanced, Event, Finished
from manylabel.study.folder_names import name_of_study
from manylabel.study.plan import Plan
from manylabel.study.records import RunRecord
from manylabel.training import trackers
from manylabel.training.trackers import Tracker


class Tracking:
    """A listener of one study.

    What finished in an earlier call is tracked as well, from its records. A tracker that fails is told of in a warning
    and left out from then on: training goes on without it.

    Parameters
    ----------
    study : Plan
    """

    def __init__(self, study: Plan) -> None:
        self.folder, self.place = study.folder, study.folder.tracking
        self.experiment = name_of_study(study.data, *study.part)
        self.names = list(study.track)
        self._trackers: dict[tuple[str, CellKey], Tracker] = {}

    def __call__(self, event: Event) -> None:
        for name in tuple(self.names):
            try:
                self._tell(name, event)
            except Exception as error:  # whatever another library may raise must not cost a training
                self.names.remove(name)
                reason = str(error) or type(error).__name__
                warnings.warn(f"The tracker {name} is left out from here on: {reason}", stacklevel=2)

    def _tell(self, name: str, event: Event) -> None:
        if isinstance(event, Advanced) and event.progress.record is not None:
            self._tracker(name, event.key)(event.progress)
        elif isinstance(event, Finished):
            self._finish(self._tracker(name, event.key), event)

    def _tracker(self, name: str, key: CellKey) -> Tracker:
        if (name, key) not in self._trackers:
            run = f"{self.experiment}/{key.method}/seed-{key.seed}"
            self._trackers[name, key] = trackers.get(name, self.place, run)
        return self._trackers[name, key]

    def _finish(self, tracker: Tracker, event: Finished) -> None:
        values = {protocol: found["values"] for protocol, found in event.record.evaluations.items()}
        history = self.folder.history(event.key.method, event.key.seed)
        tracker.finish(values, _parameters(event.record), history)


def _parameters(record: RunRecord) -> dict[str, Any]:
    """What a run was asked for, by name."""
    facts = {"method": record.method, "seed": record.seed, "data.digest": record.digest}
    versions = {f"versions.{name}": version for name, version in record.versions.items()}
    return {
        **facts,
        "data.fraction": record.fraction,
        "data.wrong_labels": record.wrong_labels,
        **record.settings,
        **versions,
    }
