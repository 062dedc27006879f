"""Rerun of a finished cell: trained again in a temporary folder, and what differs from the record."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manylabel import methods
from manylabel.data.dataset import DataSet
from manylabel.errors import ManyLabelError
from manylabel.methods.setting_paths import path_of_recipe
from manylabel.methods.versions import versions
from manylabel.study.cell import Cell
from manylabel.study.executors.base import loaded_as_asked
from manylabel.study.folder import StudyFolder
from manylabel.study.records import RunRecord, flattened, read_arrays
from manylabel.study.run_cell import Job, begun, run_cell
from manylabel.study.variants import Variant
from manylabel.training import Progress


@dataclass(frozen=True)
class Difference:
    """A number of a record that did not come back; None where one of the two records lacks it."""

    place: str
    then: Any
    now: Any


@dataclass(frozen=True)
class Rerun:
    """What came of a cell that was run again.

    Attributes
    ----------
    then, now : RunRecord
    differences : tuple of Difference
        Metrics, thresholds and measures, by dotted name; empty where all numbers came back to the bit.
    farthest : dict of str to float
        Of each array of scores, the largest absolute difference; infinite where shapes differ.
    versions : tuple of Difference
        Of the packages then and now.
    """

    then: RunRecord
    now: RunRecord
    differences: tuple[Difference, ...]
    farthest: Mapping[str, float]
    versions: tuple[Difference, ...]

    @property
    def came_back(self) -> bool:
        """Whether every number came back to the bit."""
        return not self.differences and not any(self.farthest.values())


def rerun(
    folder: str | Path, data_dir: Path | None = None, tell: Callable[[Progress], None] = lambda progress: None
) -> Rerun:
    """Train a finished cell again and compare; its own folder is left as it is.

    Parameters
    ----------
    folder : str or Path
        Of the cell: ``OUT/METHOD/seed-S``.
    data_dir : Path, optional
        Folder with local copies of data sets; by default that of the study.
    tell : callable, optional
        Is told of progress.

    Raises
    ------
    ManyLabelError
        If the folder is not that of a finished cell, its data are other ones now, or its recipe cannot be had again.
    """
    place = Path(folder).resolve()
    study, then = _finished(place)
    record = study.record()
    seen_from = study.seen_from(record)
    dataset = loaded_as_asked(record.asked, seen_from, then.digest, data_dir, str(place))
    cell = _cell(place, then, record.asked, seen_from, dataset)
    with tempfile.TemporaryDirectory(prefix="manylabel-") as scratch:
        job = Job(cell, Path(scratch) / "cell", then.threads, bool(then.measures))
        now = run_cell(job, dataset, tell)
        farthest = _farthest(read_arrays(place / "scores.npz"), read_arrays(job.folder / "scores.npz"))
    return Rerun(
        then,
        now,
        tuple(_differences(_numbers(then), _numbers(now))),
        farthest,
        tuple(_differences(then.versions, versions())),
    )


def _finished(place: Path) -> tuple[StudyFolder, RunRecord]:
    """The study of a cell, and the record of the cell."""
    file = place / "run.json"
    if not file.exists():
        got = "no run.json in it" if place.is_dir() else "no such folder"
        hint = "Name a folder such as runs/yeast/mulsupcon/seed-0."
        raise ManyLabelError(str(place), "the folder of a finished cell", got, hint)
    record = RunRecord.read(file)
    if record.status != "done":
        hint = "Run it to its end first."
        raise ManyLabelError(
            str(place), "the folder of a finished cell", f"one that is {record.status}", hint
        )
    return StudyFolder(place.parent.parent), record


def _cell(place: Path, then: RunRecord, asked: Mapping[str, Any], seen_from: Path, dataset: DataSet) -> Cell:
    """The cell of a record: its method as the study named it, with the settings of the recorded recipe."""
    named = {Variant.parse(method).name: method for method in asked.get("methods", ())}
    method = path_of_recipe(Variant.parse(named.get(then.method, then.method)).method, seen_from)
    recipe = methods.get(method).recipe.resolve(dataset.kind)
    plain = flattened(recipe.model_dump(mode="json", exclude={"expected"}, exclude_none=True))
    wanted = {name: value for name, value in then.settings.items() if name != "name"}
    changed = {name: value for name, value in wanted.items() if plain.get(name) != value}
    gone = plain.keys() - then.settings.keys() - {"about", "source"}
    settings = changed | dict.fromkeys(sorted(gone))
    part = then.fraction, then.wrong_labels, asked.get("split")
    cell = Cell(asked["data"], method, then.seed, settings, *part)
    again = begun(cell, then.threads, dataset)
    if not again.starts_like(then):
        hint = "Train the cell again in another folder, or take that model from a copy."
        raise ManyLabelError(str(place), "the model that it starts from as it was", "one trained anew", hint)
    if not again.asks_for_the_same(
        then.model_copy(update={"recipe": then.recipe | {"name": again.recipe["name"]}})
    ):
        lost = ", ".join(d.place for d in _differences(then.compared, again.compared))
        hint = "Install the version that made it, which its run.json names."
        raise ManyLabelError(str(place), "a recipe that this version has", f"another {lost}", hint)
    return cell


def _numbers(record: RunRecord) -> dict[str, Any]:
    """The numbers of a record that training decides, by dotted name; times are none of them."""
    return flattened(record.evaluations) | flattened(record.measures, "measures.")


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    for place in dict.fromkeys([*then, *now]):
        a, b = then.get(place), now.get(place)
        both_undefined = isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b)
        if a != b and not both_undefined:
            yield Difference(place, a, b)


def _farthest(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, float]:
    """Of each array the largest absolute difference."""
    found = {}
    for name in dict.fromkeys([*then, *now]):
        a, b = then.get(name), now.get(name)
        if a is None or b is None or a.shape != b.shape:
            found[name] = math.inf
        elif np.array_equal(a, b, equal_nan=True):
            found[name] = 0.0
        else:
            gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
            found[name] = math.inf if np.isnan(gap).any() else float(gap.max())
    return found
