"""What a study leaves on disk: one folder, written so that a kill at any moment leaves it readable.

::

    OUT/study.json                what was asked for, and of which data
    OUT/test_labels.npz           labels of the test rows, so that a report needs no data set
    OUT/METHOD/seed-S/run.json    one run: recipe, versions, seconds, metrics of the test rows per protocol
    OUT/METHOD/seed-S/...         history.jsonl and checkpoint (training), model.safetensors, scores.npz
    OUT/report.html
    .../digests.json              SHA-256 of the files beside it that are read back

A process that works in a folder holds its ``.lock``.
"""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from manylabel import __version__, data, files
from manylabel.data.dataset import DataSet
from manylabel.errors import ManyLabelError
from manylabel.fast import numba_version
from manylabel.labels import LabelMatrix, SparseLabels

_AGAIN = "Restore it from a copy, or delete its folder and run again with the same --out."


class Record(BaseModel):
    """A JSON file of a study, its digest beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record in a file.

        Raises
        ------
        ManyLabelError
            If the file cannot be read, is not JSON, or is not such a record.
        """
        if not path.exists():
            hint = "Name the --out folder of a run."
            raise ManyLabelError(str(path), "a file of a study", "no such file", hint)
        content = files.read_checked(path, f"a {cls.__name__} in JSON", _AGAIN)
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            got = f"{first['msg']} at {where}" if where else first["msg"]
            hint = (
                "The file is damaged, of another program or of another version: move it away and run again."
            )
            raise ManyLabelError(str(path), f"a {cls.__name__} in JSON", got, hint) from None

    def write(self, path: Path) -> None:
        """Write the record in one step: readers see the old file or the new one."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False)
        files.write_checked(path, text.encode(errors="replace"))  # a name may hold half of a surrogate pair


class DataCard(BaseModel):
    """What a report says of the data set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: str
    digest: str
    rows: dict[str, int]
    features: str
    label_names: tuple[str, ...]
    labels_per_row: float
    source: str
    licence: str
    split: str
    validation: str
    remarks: tuple[str, ...]

    @classmethod
    def of(cls, dataset: DataSet) -> Self:
        """The card of a data set at hand."""
        facts = data.describe(dataset)
        same = ("name", "kind", "digest", "features", "source", "licence", "split", "validation", "remarks")
        return cls(
            rows={part: facts[part]["rows"] for part in ("train", "test")},
            label_names=dataset.label_names,
            labels_per_row=facts["train"]["labels_per_row"],
            **{name: facts[name] for name in same},
        )


class StudyRecord(Record):
    """``study.json``: what was asked for, and of which data."""

    card: DataCard
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    fraction: float = 1.0
    protocol: str
    command: str
    versions: dict[str, str]

    @property
    def title(self) -> str:
        """The data set, with the share of its training rows that was taken."""
        if self.fraction == 1:
            return self.card.name
        return f"{self.card.name} with {100 * self.fraction:g} % of the training rows"

    def joined(self, later: StudyRecord) -> StudyRecord:
        """This record with the methods and seeds of a later call added."""
        methods = tuple(dict.fromkeys(self.methods + later.methods))
        seeds = tuple(sorted({*self.seeds, *later.seeds}))
        return later.model_copy(update={"methods": methods, "seeds": seeds})


class RunRecord(Record):
    """``run.json``: one method with one seed.

    ``fraction`` is the share of the training rows that it saw, ``seconds`` the wall-clock time of training.
    """

    method: str
    recipe: dict[str, Any]
    seed: int
    digest: str
    fraction: float = 1.0
    threads: int
    versions: dict[str, str]
    status: Literal["running", "done"] = "running"
    seconds: float = 0.0
    evaluations: dict[str, dict[str, Any]] = {}
    monitor: dict[str, dict[str, float]] = {}

    def asks_for_the_same(self, other: RunRecord) -> bool:
        """Whether both stand for the same recipe, seed and data."""
        names = ("settings", "seed", "digest", "fraction")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    @property
    def settings(self) -> dict[str, Any]:
        """The part of the recipe that decides results, by dotted name."""
        described = {name: value for name, value in self.recipe.items() if name not in ("about", "source")}
        return flattened(described)


@dataclass(frozen=True)
class StudyFolder:
    """The folder of a study, by path; every question is answered from the disk."""

    path: Path

    @property
    def study_file(self) -> Path:
        return self.path / "study.json"

    def run_folder(self, method: str, seed: int) -> Path:
        """Where one run keeps its files."""
        return self.path / method / f"seed-{seed}"

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
            hint = "Name the --out folder of a manylabel run."
            raise ManyLabelError(str(self.path), "the folder of a study", got, hint)
        return StudyRecord.read(self.study_file)

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
        """``validation_scores``, ``test_scores`` and ``test_embedding`` of a finished run."""
        return _read_arrays(self.run_folder(method, seed) / "scores.npz")

    def write_test_labels(self, labels: LabelMatrix) -> None:
        entries = labels.sparse()
        arrays = {"offsets": entries.offsets.numpy(), "columns": entries.columns.numpy()}
        write_arrays(self.path / "test_labels.npz", arrays | {"n_labels": np.int64(labels.n_labels)})

    def test_labels(self) -> LabelMatrix:
        """The labels of the test rows.

        Raises
        ------
        ManyLabelError
            If the file is damaged.
        """
        arrays = _read_arrays(self.path / "test_labels.npz")
        offsets, columns = torch.from_numpy(arrays["offsets"]), torch.from_numpy(arrays["columns"])
        return SparseLabels(offsets, columns, None, int(arrays["n_labels"]))

    @property
    def report_file(self) -> Path:
        return self.path / "report.html"


def flattened(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one mapping with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= (
            flattened(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
        )
    return flat


def read_history(path: Path) -> list[dict[str, Any]]:
    """Entries of a ``history.jsonl``, none where there is no such file.

    Raises
    ------
    ManyLabelError
        If the file is damaged.
    """
    if not path.exists():
        return []
    content = files.read_checked(path, "the history of a run", _AGAIN)
    entries: dict[tuple[str, int], dict[str, Any]] = {}
    try:
        for line in content.decode().splitlines():
            entry = json.loads(line)
            entries[entry["stage"], entry["epoch"]] = entry
    except (ValueError, KeyError, TypeError) as error:
        got = f"a damaged file ({type(error).__name__}: {error})"
        raise ManyLabelError(str(path), "the history of a run", got, _AGAIN) from None
    return list(entries.values())


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays as a compressed npz, whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    files.write_checked(path, buffer.getvalue())


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    return {
        "manylabel": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scikit-learn": metadata.version("scikit-learn"),
        "numba": numba_version() or "not usable",
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "machine": platform.machine(),
    }


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    content = files.read_checked(path, "the arrays of a finished run", _AGAIN)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # whatever a damaged file of an earlier version makes of it
        got = str(error) or type(error).__name__
        raise ManyLabelError(str(path), "the arrays of a finished run", got, _AGAIN) from None
