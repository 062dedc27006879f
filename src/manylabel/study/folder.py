"""The folder of a study: its files, its lock, and how a false start is undone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from manylabel import files
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, SparseLabels
from manylabel.methods import Predictor
from manylabel.study.folder_names import MODEL, seed_folder
from manylabel.study.records import RunRecord, StudyRecord, read_arrays, read_history, write_arrays

SPARE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class StudyFolder:
    """The folder of a study, by path; every question is answered from the disk."""

    path: Path

    @property
    def study_file(self) -> Path:
        return self.path / "study.json"

    @property
    def tracking(self) -> Path:
        """Where trackers keep their files."""
        return self.path / "tracking"

    def run_folder(self, method: str, seed: int) -> Path:
        """Where one run keeps its files."""
        return self.path / method / seed_folder(seed)

    def record(self) -> StudyRecord:
        """What was asked for.

        Raises
        ------
        ManyLabelError
            If the folder is not the folder of a study.
        """
        if not self.study_file.exists():
            got = "a file" if self.path.is_file() else "no such folder"
            if self.path.is_dir():
                got = "no study.json in it"
            hint = "Name the `out` folder of a manylabel run."
            raise ManyLabelError(str(self.path), "the folder of a study", got, hint)
        return StudyRecord.read(self.study_file)

    def seen_from(self, record: StudyRecord) -> Path:
        """The folder that paths in what was asked for are seen from; the working directory for earlier versions'."""
        return (self.path / record.seen_from).resolve() if record.seen_from else Path.cwd()

    def finished_runs(self) -> list[RunRecord]:
        """The finished runs of the study, by method in the order asked for, then by seed."""
        record = self.record()
        pairs = [(method, seed) for method in record.methods for seed in record.seeds]
        runs = [run for pair in pairs if (run := self.run_record(*pair)) is not None]
        return [run for run in runs if run.status == "done"]

    def run_record(self, method: str, seed: int) -> RunRecord | None:
        """The record of one run, or None before it began."""
        path = self.run_folder(method, seed) / "run.json"
        return RunRecord.read(path) if path.exists() else None

    def history(self, method: str, seed: int) -> list[dict[str, Any]]:
        """One entry per epoch."""
        return read_history(self.run_folder(method, seed) / "history.jsonl")

    def scores(self, method: str, seed: int) -> dict[str, NDArray[np.floating[Any]]]:
        """``validation_scores``, ``test_scores`` and ``test_embedding`` of a finished run.

        Scores of very many labels are kept as ``test_top_labels`` and ``test_top_scores``, (n, 100), and so are those
        of the validation rows; see :class:`manylabel.metrics.TopScores`.
        """
        return read_arrays(self.run_folder(method, seed) / "scores.npz")

    def model(self, method: str, seed: int) -> Predictor:
        """The model of a finished run.

        Raises
        ------
        ManyLabelError
            If the run is not finished, its model could not be saved, or a version without model folders made it.
        """
        record, folder = self.run_record(method, seed), self.run_folder(method, seed)
        if record is None or record.status != "done":
            got = "none" if record is None else "one in progress"
            raise ManyLabelError(str(folder), "a finished run", got, "Run it to its end.")
        if record.unsaved:
            got = f"none, as it could not be saved ({record.unsaved})"
            raise ManyLabelError(str(folder), "the model of a run", got)
        return Predictor.load(folder / MODEL)

    def write_test_labels(self, labels: LabelMatrix) -> None:
        arrays = _lists("", labels) | {"n_labels": np.int64(labels.n_labels)}
        unknown = _lists("unknown_", labels.unknown) if labels.n_unknown else {}
        write_arrays(self.path / "test_labels.npz", arrays | unknown)

    def test_labels(self) -> LabelMatrix:
        """The labels of the test rows.

        Raises
        ------
        ManyLabelError
            If the file is damaged.
        """
        arrays = read_arrays(self.path / "test_labels.npz")
        labels = _listed("", arrays)
        return labels.with_unknown(_listed("unknown_", arrays)) if "unknown_offsets" in arrays else labels

    @property
    def report_file(self) -> Path:
        return self.path / "report.html"

    @property
    def examples_file(self) -> Path:
        """The page of nearest rows and mistakes."""
        return self.path / "examples.html"

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Make the folder, if it is not there, and keep it from other processes.

        Raises
        ------
        ManyLabelError
            If it cannot be made or written, or another process works in it.
        """
        made = _missing_folders(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with files.Lock(self.path, f"`out` {self.path}"):
                yield
        except OSError as error:
            raise self._cannot_be_written(error.strerror or str(error)) from None
        finally:
            _remove_empty(made)

    def begin(self, record: StudyRecord, labels: LabelMatrix) -> None:
        """Write study.json and the labels of the test rows, after a probe that the folder can be written and has room.

        Raises
        ------
        ManyLabelError
            If it cannot be written or holds a damaged record; a new folder is left empty then.
        """
        fresh = not self.study_file.exists()
        try:
            _probe(self.path)
            # The record comes first: whatever a kill leaves beside it belongs to a study.
            (record if fresh else self.record().joined(record)).write(self.study_file)
            self.write_test_labels(labels)
        except ManyLabelError as error:
            if fresh:
                self._remove_files()
            if isinstance(error.__cause__, OSError):
                raise self._cannot_be_written(error.got) from None
            raise

    def leave_nothing_behind(self, runs: Sequence[Path]) -> None:
        """Remove what a false start wrote, unless one of the runs got as far as training."""
        if any(map(is_begun, runs)):
            return
        for run in runs:
            for file in ("run.json", files.DIGESTS):
                (run / file).unlink(missing_ok=True)
            _remove_empty([run, run.parent])
        shutil.rmtree(self.tracking, ignore_errors=True)
        self._remove_files()

    def _remove_files(self) -> None:
        """The record last: until then, the folder is one of a study."""
        for file in ("test_labels.npz", "study.json", files.DIGESTS):
            (self.path / file).unlink(missing_ok=True)

    def _cannot_be_written(self, reason: str) -> ManyLabelError:
        hint = "Name a folder that can be written, on a disk with room, with `out`."
        return ManyLabelError(f"`out` {self.path}", "a folder that can be written", reason, hint)


def _lists(prefix: str, labels: LabelMatrix) -> dict[str, Any]:
    """The lists of a label matrix by name."""
    entries = labels.sparse()
    return {f"{prefix}offsets": entries.offsets.numpy(), f"{prefix}columns": entries.columns.numpy()}


def _listed(prefix: str, arrays: Mapping[str, Any]) -> LabelMatrix:
    """The label matrix of lists."""
    offsets, columns = (torch.from_numpy(arrays[f"{prefix}{name}"]) for name in ("offsets", "columns"))
    return SparseLabels(offsets, columns, None, int(arrays["n_labels"]))


def is_begun(folder: Path) -> bool:
    """Whether a run has trained, has scored, or has left word of a bug."""
    own = ("checkpoint.safetensors", "history.jsonl", "scores.npz", "error.txt")
    folds = folder.glob("*/*/*checkpoint.safetensors")  # of a method that cross-fits itself
    return any((folder / file).exists() for file in own) or any(folds)


def _probe(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < SPARE_BYTES:
        reason = OSError(f"a disk with {free / 2**20:.0f} MiB left")
        raise ManyLabelError(str(folder), "a disk with room", str(reason)) from reason
    probe = folder / ".probe"
    files.write(probe, bytes(2**20))  # a quota shows only when bytes are written
    probe.unlink(missing_ok=True)


def _missing_folders(path: Path) -> list[Path]:
    """The folder and its parents as far as they are not there, the deepest first."""
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
