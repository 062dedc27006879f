"""Study files: data sets x methods x seeds x fractions x settings in TOML, read and checked, and their cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from manylabel import methods
from manylabel.data.loading import seen_from
from manylabel.errors import ManyLabelError, did_you_mean
from manylabel.files.settings import read_toml
from manylabel.methods.setting_paths import path_of_recipe, whole
from manylabel.study.cell import Cell
from manylabel.study.variants import Variant

MOST_CELLS = 100_000

Names: TypeAlias = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
Share: TypeAlias = Annotated[float, Field(gt=0, le=1)]


class StudyFile(BaseModel):
    """What a study file asks for; paths in it are seen from its folder.

    Attributes
    ----------
    data : list of str
        Data sets by name or path.
    methods : list of str
        Names, recipe files or import paths, and variants of them.
    seeds : int or list of int, default 3
        How many seeds from 0 on, or the seeds themselves.
    fractions : list of float, default [1.0]
        Shares of the training rows.
    settings : table, default none
        Replace those of the recipes: of all methods, or in a table named as a method, of that one.
    grid : table of lists, default none
        Values that each method, or in a table named as a method, that one, is trained with in turn; several settings
        are crossed.
    protocol : {"learnt", "tuned", "fixed", "oracle"}, default "learnt"
    threads : int, default 1
        Threads of each run.
    measures : bool, default False
    track, labels : list of str, default none
        As in :class:`manylabel.study.Plan`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    data: Names
    methods: Names
    seeds: int | list[int] = 3
    fractions: Annotated[list[Share], Field(min_length=1)] = [1.0]
    settings: dict[str, Any] = {}
    grid: dict[str, Any] = {}
    protocol: Literal["learnt", "tuned", "fixed", "oracle"] = "learnt"
    threads: int = 1
    measures: bool = False
    track: list[str] = []
    labels: list[str] = []

    @classmethod
    def read(cls, path: Path) -> StudyFile:
        """The study of a file.

        Raises
        ------
        ManyLabelError
            If the file cannot be read, is not TOML, or holds a key or a value that a study file does not take.
        """
        table = read_toml(path, str(path), "a study")
        try:
            return cls.model_validate(table)
        except ValidationError as error:
            raise _refusal(path, error.errors()[0]) from None

    def cells(self, seeds: tuple[int, ...], folder: Path, data_dir: Path | None = None) -> tuple[Cell, ...]:
        """Every cell: data set by data set, fraction by fraction, with the first seed, then with the next.

        Parameters
        ----------
        seeds : tuple of int
        folder : Path
            Of the file.
        data_dir : Path, optional
            Folder with local copies of data sets, whose names are no paths.

        Raises
        ------
        ManyLabelError
            For an unknown method or setting, and for too many cells.
        """
        asked = [pair for method in dict.fromkeys(self.methods) for pair in self._variants(method, folder)]
        data = dict.fromkeys(seen_from(_part_of(folder), name, data_dir) for name in self.data)
        fractions = dict.fromkeys(self.fractions)
        number = len(data) * len(fractions) * len(seeds) * len(asked)
        if number > MOST_CELLS:
            raise ManyLabelError("grid", f"a study of at most {MOST_CELLS} cells", f"one of {number}")
        for method, settings in asked:
            variant = Variant.parse(method)
            methods.get(variant.method, **{**variant.settings, **settings})  # refuses what it does not take
        return tuple(
            Cell(name, method, seed, settings, fraction)
            for name, fraction, seed in product(data, fractions, seeds)
            for method, settings in asked
        )

    def _variants(self, method: str, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        """A method with each choice of its grid, and the settings that all of these have."""
        fixed = whole(self._of_method("settings", method), folder)
        grid = self._of_method("grid", method)
        for name, values in grid.items():
            if not isinstance(values, list) or not values:
                expected = "a list of values, such as [0.1, 0.2]"
                raise ManyLabelError(f"grid, {name}", expected, f"{values!r:.60}")
        _check_number("grid", [len(values) for values in grid.values()])
        variant = Variant.parse(method)
        own = path_of_recipe(variant.method, _part_of(folder))
        for values in product(*grid.values()):
            chosen = dict(zip(grid, values, strict=True))
            yield str(Variant.parse(str(Variant(own, {**variant.settings, **chosen})))), fixed

    def _of_method(self, key: Literal["settings", "grid"], method: str) -> dict[str, Any]:
        """Dotted setting -> what the table says of it for a method: for all, for its variants, then for it alone."""
        table = getattr(self, key)
        heads = {head for each in self.methods for head in (each, Variant.parse(each).method)}
        found = _flat({name: value for name, value in table.items() if name not in heads})
        for head in dict.fromkeys((Variant.parse(method).method, method)):
            own = table.get(head, {})
            if not isinstance(own, Mapping):
                raise ManyLabelError(f"{key}, {head}", "a table of settings", f"{own!r:.60}")
            found |= _flat(own)
        return found


def _part_of(folder: Path) -> str:
    """A folder as the beginning of a path, which stays as it is written beside the study file."""
    return "" if folder == Path() else str(folder)


def _check_number(key: str, lengths: list[int]) -> None:
    """Refuse a grid that is too large before it is spread out."""
    number = 1
    for length in lengths:
        number *= length
        if number > MOST_CELLS:
            raise ManyLabelError(key, f"a grid of at most {MOST_CELLS} variants", "a larger one")


def _refusal(path: Path, error: ErrorDetails) -> ManyLabelError:
    """What was expected at a key, and what came."""
    key = ".".join(map(str, error["loc"]))
    who, known = f"{path}, {key}", list(StudyFile.model_fields)
    if error["type"] == "missing":
        return ManyLabelError(who, "a value", "none", f'Write it like {key} = ["{_EXAMPLES[key]}"].')
    if error["type"] == "extra_forbidden":
        return ManyLabelError(who, f"one of {', '.join(known)}", repr(key), did_you_mean(key, known))
    message = error["msg"].removeprefix("Input should be ")
    return ManyLabelError(who, message[:1].lower() + message[1:], f"{error['input']!r:.60}")


_EXAMPLES = {"data": "yeast", "methods": "mulsupcon"}


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name; an empty table is a value."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        nested = isinstance(value, Mapping) and value
        found |= _flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return found
