"""CSV files of a training: a line an epoch in ``epochs.csv``, a line a final metric in ``results.csv``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from manylabel import files
from manylabel.files.spreadsheet import csv_text
from manylabel.training.trackers.base import Record, Tracker, Values, defined, measured


class CSVTracker(Tracker):
    """Writes both files whole each time, so that a training that is taken up leaves no line twice."""

    def write_epoch(self, record: Record) -> None:
        rows = [
            {"stage": stage, "epoch": epoch, "step": known["step"], **measured(known)}
            for (stage, epoch), known in self.records.items()
        ]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        _write(self._file("epochs.csv"), columns, [[row.get(name, "") for name in columns] for row in rows])

    def write_all(self, values: Values, parameters: Mapping[str, Any]) -> None:
        for record in list(self.records.values())[-1:]:
            self.write_epoch(record)
        _write(self._file("results.csv"), ("protocol", "metric", "value"), defined(values))

    def _file(self, name: str) -> Path:
        folder = self.folder / "csv" / self.run
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    files.write(path, csv_text([columns, *rows]).encode())
