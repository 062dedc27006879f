"""Records of studies and runs, and the other files of a folder: a kill at any moment leaves them readable.

::

    OUT/study.json                what was asked for, and of which data
    OUT/test_labels.npz           labels of the test rows, so that a report needs no data set
    OUT/METHOD/seed-S/run.json    one run: recipe, versions, seconds, metrics of the test rows per protocol
    OUT/METHOD/seed-S/...         history.jsonl and checkpoint (training), scores.npz
    OUT/METHOD/seed-S/model/      the trained model, as manylabel.methods.Predictor saves it
    OUT/report.html, report.md, report.tex, values.csv, report-*.svg
    OUT/examples.html             nearest rows and mistakes, where they were asked for
    .../digests.json              SHA-256 of the files beside it that are read back

A process that works in a folder holds its ``.lock``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from manylabel import data, files
from manylabel.data.dataset import DataSet
from manylabel.errors import ManyLabelError
from manylabel.methods.setting_paths import anywhere
from manylabel.methods.stacking.evidence import StackEvidence
from manylabel.study.parameters import Render

_AGAIN = "Restore it from a copy, or delete its folder and run again with the same `out`."


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
            hint = "Name the `out` folder of a run."
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
    wrong_labels: float = 0.0
    start: str = ""
    protocol: str
    asked: dict[str, Any] = {}  # parameters of the last plan
    seen_from: str = ""  # the folder that paths in them are seen from, as a path from that of the study
    command: str = ""  # in place of them, in records of earlier versions
    versions: dict[str, str]

    @property
    def title(self) -> str:
        """The data set, shares of its training rows and of wrong labels, and whose models training starts from."""
        told = "" if self.fraction == 1 else f" with {100 * self.fraction:g} % of the training rows"
        wrong = "" if not self.wrong_labels else f" with {100 * self.wrong_labels:g} % wrong training labels"
        start = f", starting from the models of {self.start}" if self.start else ""
        return f"{self.card.name}{told}{wrong}{start}"

    def repeated(self, render: Render) -> str:
        """What makes the runs of the last call again."""
        return self.command or render(self.asked)

    def joined(self, later: StudyRecord) -> StudyRecord:
        """This record with the methods and seeds of a later call added."""
        methods = tuple(dict.fromkeys(self.methods + later.methods))
        seeds = tuple(sorted({*self.seeds, *later.seeds}))
        return later.model_copy(update={"methods": methods, "seeds": seeds})


class RunRecord(Record):
    """``run.json``: one method with one seed.

    ``fraction`` is the share of the training rows that it saw, ``wrong_labels`` that of their labels on wrong rows,
    ``seconds`` the wall-clock time of training, ``measures`` what was measured beside the metrics of the protocols,
    ``unsaved`` why the model could not be saved; "" where it was. ``failure`` says of a failed run why, ``by_input``
    whether the input or the machine is to blame. ``start_digest`` tells the weights that its settings name a file or
    folder of; "" for none, and before there are any. ``learners`` says of a stack what each of its
    learners is worth, ``evidence`` in numbers.
    """

    method: str
    recipe: dict[str, Any]
    seed: int
    digest: str
    start_digest: str = ""
    fraction: float = 1.0
    wrong_labels: float = 0.0
    threads: int
    versions: dict[str, str]
    status: Literal["running", "done", "failed"] = "running"
    seconds: float = 0.0
    evaluations: dict[str, dict[str, Any]] = {}
    monitor: dict[str, dict[str, float]] = {}
    measures: dict[str, float | None] = {}
    unsaved: str = ""
    failure: str = ""
    by_input: bool = False
    learners: str = ""
    evidence: StackEvidence | None = None

    def asks_for_the_same(self, other: RunRecord) -> bool:
        """Whether both stand for the same recipe, seed, data and weights to start from, wherever these lie."""
        names = ("compared", "seed", "digest", "fraction", "wrong_labels")
        return self.starts_like(other) and all(getattr(self, name) == getattr(other, name) for name in names)

    def starts_like(self, other: RunRecord) -> bool:
        """Whether both start from the same weights, or those of one are not known, as its model is not there."""
        known = {self.start_digest, other.start_digest} - {""}
        return len(known) < 2

    @property
    def compared(self) -> dict[str, Any]:
        """The settings, of their paths the last parts alone."""
        return anywhere(self.settings)

    @property
    def settings(self) -> dict[str, Any]:
        """The part of the recipe that decides results, by dotted name."""
        described = {name: value for name, value in self.recipe.items() if name not in ("about", "source")}
        return flattened(described)


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


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays in an npz.

    Raises
    ------
    ManyLabelError
        If the file is damaged.
    """
    content = files.read_checked(path, "the arrays of a finished run", _AGAIN)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # whatever a damaged file of an earlier version makes of it
        got = str(error) or type(error).__name__
        raise ManyLabelError(str(path), "the arrays of a finished run", got, _AGAIN) from None


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays as a compressed npz, whole or not at all."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    files.write_checked(path, buffer.getvalue())
