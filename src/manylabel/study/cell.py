"""A cell of a study: a method, trained with one seed on a data set or on a share of its rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from manylabel import methods
from manylabel.methods.setting_paths import whole
from manylabel.study.folder_names import MODEL, seed_folder
from manylabel.study.variants import Variant


class CellKey(NamedTuple):
    """Names a cell of a plan; ``method`` as tables and folders call it."""

    data: str
    fraction: float
    method: str
    seed: int
    wrong_labels: float = 0.0
    split: int | None = None
    start: str = ""

    def __str__(self) -> str:
        return f"{self.method} seed {self.seed}"


def encoder_settings(settings: Iterable[str]) -> list[str]:
    """Names of settings, of all kinds of rows or of one, that an encoder to start from takes the place of."""
    return [name for name in settings if re.fullmatch(r"(\w+\.)?encoder\.\w+", name)]


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes
    ----------
    data : str
        Name of a catalogue data set, or a path.
    method : str
        Name, recipe file or import path, as :func:`manylabel.methods.get` takes it, or a variant of one such as
        ``mulsupcon[pretrain.temperature=0.2]``.
    seed : int
        It drives the validation split, initialisation, the order of rows and augmentation.
    settings : mapping, default none
        Replace those of the recipe, beside those in the brackets of a variant.
    fraction : float, default 1
        Share of the training rows, validation rows included; see :func:`manylabel.data.take_fraction`.
    wrong_labels : float, default 0
        Share of the training labels on wrong rows; see :func:`manylabel.data.with_wrong_labels`.
    split : int or None, default None
        Draws the test rows from all rows, in place of the published ones; see :func:`manylabel.data.random_split`.
    start : str, default ""
        Folder of a method of a study, such as ``runs/scene/mulsupcon``: training starts from the encoder of its model
        with the same seed; see :func:`manylabel.methods.start_from`.
    """

    data: str
    method: str
    seed: int
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    fraction: float = 1.0
    wrong_labels: float = 0.0
    split: int | None = None
    start: str = ""

    @property
    def name(self) -> str:
        """What the method is called in tables and folders."""
        return Variant.parse(self.method).name

    @property
    def key(self) -> CellKey:
        """What tells it from the other cells of a plan."""
        part = self.wrong_labels, self.split, self.start
        return CellKey(self.data, self.fraction, self.name, self.seed, *part)

    @property
    def recipe(self) -> str:
        """The method without brackets."""
        return Variant.parse(self.method).method

    @property
    def changed(self) -> dict[str, Any]:
        """All settings that differ from the recipe."""
        changed = {**Variant.parse(self.method).settings, **self.settings}
        if self.start:
            model = Path(self.start) / seed_folder(self.seed) / MODEL
            changed |= methods.start_from(model, self.recipe)
        return changed

    def settled(self) -> Cell:
        """The same with settings whose paths are whole."""
        start = self.start and str(Path(self.start).resolve())
        return replace(
            self, settings=whole({**Variant.parse(self.method).settings, **self.settings}), start=start
        )
