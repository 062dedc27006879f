"""Settings of a stack: its learners, what each of them chooses on held-out rows, and how rows are dealt into folds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from pydantic import Field, ValidationError

from manylabel.data.rows import Features, SparseVectors, raw_rows
from manylabel.errors import ManyLabelError
from manylabel.methods.recipe import AnySettings, Config
from manylabel.methods.resolve import merged

Layout: TypeAlias = Literal["dense", "sparse", "wide", "words"]
"""Of rows: sparse vectors, those of more than 2 000 features, texts and tables with a column of them, or any others."""
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
WIDE = 2000
"""Features up to which sparse rows are not wide."""
_OVERLAYS: dict[Layout, tuple[str, ...]] = {
    "dense": (),
    "sparse": ("sparse",),
    "wide": ("sparse", "wide"),
    "words": (),
}


def layout_of(X: Features) -> Layout:
    """How rows are laid out."""
    X = raw_rows(X)
    if isinstance(X, SparseVectors):
        return "wide" if X.shape[1] > WIDE else "sparse"
    return "words" if X.holds_texts else "dense"


class Grid(Config):
    """A setting of which values are tried in their order until the next one is worse on held-out rows.

    Attributes
    ----------
    setting : str
        Dotted name.
    values : tuple of int or float
    """

    setting: str
    values: tuple[int | float, ...] = Field(min_length=1)


class Rival(Config):
    """Another form of a learner, taken where it is better on held-out rows.

    Attributes
    ----------
    method : str or None, default None
        Another recipe; None changes settings of what has been best so far.
    settings : dict
    use : bool, default True
        False leaves it out, in a file that has no word for none.
    """

    method: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    use: bool = True


class Bound(Config):
    """A setting that shrinks where rows times labels are many; a learner that it would starve is left out.

    Attributes
    ----------
    setting : str
        Dotted name.
    most, least : int
        Below ``least`` the learner is left out.
    entries : float
        The value is ``entries / (rows * labels)``, at most ``most``.
    """

    setting: str
    most: int = Field(ge=1)
    least: int = Field(1, ge=1)
    entries: float = Field(gt=0)


class Learner(Config):
    """One method of a stack.

    Attributes
    ----------
    method : str
        A recipe that is no stack itself.
    settings : dict
        What replaces settings of the recipe, in tables.
    grid : Grid or None, default None
    rivals : dict of name to Rival or None
        Tried in their order, after the grid; None leaves one out.
    bound : Bound or None, default None
    most_labels, most_rows : int or None, default None
        With more labels or training rows it is left out.
    on : "rows", "encoder" or "rows_alone", default "rows"
        What it learns from: rows as they are, or the vectors that the frozen encoder of ``inputs`` makes of them;
        without an encoder the latter is left out, and with one what learns from "rows_alone".
    rests_on : float or None, default None
        Rows that a probability rests on: it is drawn towards the label's share of the training rows by one of them.
    standardised : bool, default False
        Whether its logits of each label are brought to mean 0 and deviation 1 over held-out rows: for margins, which
        have no scale that labels share.
    final : "refit" or "folds", default "refit"
        What scores new rows: one model of all rows, or the mean of the models of the folds.
    sparse : dict
        What replaces these settings, in tables, where rows are vectors of mostly zeros.
    wide : dict
        What replaces them then where sparse rows have more than 2 000 features.
    layouts : tuple of Layout, default all
        On rows of other layouts it is left out.
    use : bool, default True
        False leaves it out, in a file that has no word for none.
    """

    method: str
    settings: dict[str, Any] = Field(default_factory=dict)
    grid: Grid | None = None
    rivals: dict[str, Rival | None] = Field(default_factory=dict)
    bound: Bound | None = None
    most_labels: int | None = Field(None, ge=1)
    most_rows: int | None = Field(None, ge=1)
    on: Literal["rows", "encoder", "rows_alone"] = "rows"
    rests_on: float | None = Field(None, gt=0)
    standardised: bool = False
    final: Literal["refit", "folds"] = "refit"
    sparse: dict[str, Any] = Field(default_factory=dict)
    wide: dict[str, Any] = Field(default_factory=dict)
    layouts: tuple[Layout, ...] = LAYOUTS
    use: bool = True

    def of(self, layout: Layout) -> Learner:
        """The learner on rows of a layout."""
        found = self.model_dump()
        for changes in _OVERLAYS[layout]:
            found = merged(found, getattr(self, changes))
        return Learner.model_validate(found)


class StackingSettings(AnySettings):
    """Settings of a stack.

    Attributes
    ----------
    learners : dict of name to Learner or None
        None leaves one out.
    folds : int or None, default None
        None stands for 5, and 3 from 3 000 rows on.
    budget : float or None, default None
        Minutes: learners whose folds would take longer, by the time of the first, are left out, the cheapest kept.
        None stands for an hour, and from 10 000 rows on for an hour for each 10 000.
    """

    keeps_rows: ClassVar[bool] = True

    learners: dict[str, Learner | None]
    folds: int | None = Field(None, ge=2)
    budget: float | None = Field(None, gt=0)

    def chosen(self, layout: Layout) -> dict[str, Learner]:
        """The learners that are not left out, on rows of a layout."""
        encoded = self.inputs.encoder is not None
        found = {}
        for name, learner in self.learners.items():
            if learner is not None and learner.on != ("rows_alone" if encoded else "encoder"):
                own: Layout = "dense" if learner.on == "encoder" else layout
                there = learner.of(own)
                if there.use and own in there.layouts:
                    found[name] = there
        return found

    def n_folds(self, n_rows: int) -> int:
        """Folds of so many rows."""
        return self.folds or (5 if n_rows < 3000 else 3)

    def seconds(self, n_rows: int) -> float:
        """The budget of so many rows, in seconds."""
        return 60 * (self.budget or 60 * max(1.0, n_rows / 10_000))

    def check(self, who: str) -> None:
        learners = self.chosen("dense")
        if not learners:
            raise ManyLabelError(f"{who}, learners", "at least one", "none")
        for name, learner in learners.items():
            _check_names(f"{who}, learners", (name, *learner.rivals))
            for layout in ("sparse", "wide"):
                try:
                    learner.of(layout)
                except ValidationError as error:
                    first = error.errors()[0]
                    place = ".".join(("learners", name, layout, *map(str, first["loc"])))
                    raise ManyLabelError(f"{who}, {place}", "a setting of a learner", first["msg"]) from None
        for name, least in (("members", 1), ("neighbours", None)):
            if getattr(self, name) != least:
                hint = f"Set it for a learner, such as learners.network.settings.{name}."
                raise ManyLabelError(f"{who}, {name}", "no such setting of a stack", "one", hint)


def _check_names(who: str, names: tuple[str, ...]) -> None:
    """Refuse names that are none for a folder, which each learner and rival has."""
    for name in names:
        if not re.fullmatch(r"[\w-]+", name):
            raise ManyLabelError(who, "names of letters, digits, _ and -", repr(name))


def dotted(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings in tables by their dotted names."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
