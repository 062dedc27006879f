"""Plans: the cells to run, and where and how to run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from manylabel import methods
from manylabel.errors import ManyLabelError
from manylabel.study.cell import Cell, CellKey, encoder_settings
from manylabel.study.folder import StudyFolder
from manylabel.study.folder_names import name_of_study
from manylabel.study.run_cell import PROTOCOLS
from manylabel.study.study_file import StudyFile
from manylabel.study.variants import Variant
from manylabel.training import trackers

MOST_THREADS = 1024  # beyond, threads of OpenMP end the process where the system refuses them
MOST_SEEDS = 1000
LARGEST_SEED = 2**32 - 1  # that scikit-learn takes


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes
    ----------
    cells : tuple of Cell
        In the order in which they are run.
    out : Path
        Folder of the study. Runs finished there are kept, unfinished ones are taken up.
    protocol : {"learnt", "tuned", "fixed", "oracle"}, default "learnt"
        How thresholds are chosen in what is shown; all four are recorded.
    jobs : int or None
        Runs made at the same time; None: as many as cores (1 where there is a GPU).
        Results do not depend on it.
    threads : int
        Threads of each run.
    data_dir : Path or None
        Folder with local copies of data sets.
    nested : bool, default False
        Whether each data set, and each fraction, share of wrong labels, split and start of it, has a folder of its own
        below ``out``; else all cells share them.
    rows : mapping of data set to number of training rows, where known
        Weigh the data sets in the time left.
    measures : bool, default False
        Whether slices of labels and rows, and retrieval by the embedding, are measured and recorded as well.
    labels : tuple of str, default none
        Label columns, where the data are a table; see :func:`manylabel.data.load`.
    read : mapping, default none
        Settings of the reader of a path or local folder, such as the side of pictures: the ``options`` of
        :func:`manylabel.data.load`.
    track : tuple of str, default none
        Trackers that are told of epochs and final metrics, "csv", "tensorboard" or "mlflow".
    """

    cells: tuple[Cell, ...]
    out: Path
    protocol: str = "learnt"
    jobs: int | None = None
    threads: int = 1
    data_dir: Path | None = None
    nested: bool = False
    rows: Mapping[str, int] = field(default_factory=dict)
    measures: bool = False
    track: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    read: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def grid(
        cls,
        data: str,
        methods: Sequence[str],
        seeds: Sequence[int],
        out: Path,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        fraction: float = 1.0,
        wrong_labels: float = 0.0,
        split: int | None = None,
        start: str = "",
        **how: Any,
    ) -> Plan:
        """Every method with the first seed on one data set, then with the second, and so on.

        Parameters
        ----------
        data, methods, seeds, fraction, wrong_labels, split, start
            As in :class:`Cell`.
        out : Path
        settings : mapping from method to settings that replace those of its recipe
        **how
            The other attributes of a plan.

        Raises
        ------
        ManyLabelError
            For what cannot be meant.
        """
        settings = settings or {}
        check_number("methods", len(methods), MOST_SEEDS)
        check_seeds("seeds", seeds)
        for method in settings:
            _check_choice("settings", method, tuple(methods))
        part = fraction, wrong_labels, split, start
        cells = [Cell(data, m, seed, settings.get(m, {}), *part) for seed in seeds for m in methods]
        _check_start(cells)
        return cls(tuple(cells), out, **how)

    @classmethod
    def of_file(cls, path: str | Path, out: Path | None = None, **how: Any) -> Plan:
        """The study of a TOML file, with a folder for each data set and each fraction of it.

        Parameters
        ----------
        path : str or Path
            What it may hold is told by :class:`manylabel.study.study_file.StudyFile`.
        out : Path, optional
            By default the folder ``runs`` and in it one named as the file.
        **how
            ``jobs`` and ``data_dir`` of a plan.

        Raises
        ------
        ManyLabelError
            For a file that cannot be read, a key or a value that it may not hold, and what cannot be meant: with the
            name of the file.
        """
        path = Path(path)
        asked = StudyFile.read(path)
        try:
            seeds = asked.seeds if isinstance(asked.seeds, list) else _counted(asked.seeds)
            check_seeds("seeds", seeds)
            cells = asked.cells(tuple(dict.fromkeys(seeds)), path.parent, how.get("data_dir"))
            same = asked.model_dump(include={"protocol", "threads", "measures"})
            how |= same | {"track": tuple(asked.track), "labels": tuple(asked.labels)}
            return cls(cells, out or Path("runs") / path.stem, nested=True, **how)
        except ManyLabelError as error:
            who, expected, hint = (text.replace("`", "") for text in (error.who, error.expected, error.hint))
            raise ManyLabelError(f"{path}, {who}", expected, error.got, hint) from None

    def __post_init__(self) -> None:
        _check_choice("protocol", self.protocol, tuple(PROTOCOLS))
        check_number("jobs", 1 if self.jobs is None else self.jobs, MOST_THREADS)
        check_number("threads", self.threads, MOST_THREADS)
        for tracker in self.track:
            _check_choice("track", tracker, trackers.names())
        for cell in self.cells:
            _check_part(cell)
            named = Variant.parse(cell.method).settings.keys() & cell.settings.keys()
            if named:
                expected = f"settings that {cell.method} does not name"
                raise ManyLabelError("`settings`", expected, ", ".join(named))
        if len(set(self.names)) < len(self.methods):
            hint = "Rename one of the files."
            raise ManyLabelError("`methods`", "methods of different names", ", ".join(self.methods), hint)
        places = [study.out.name.casefold() for study in self.studies] if self.nested else []
        if len(set(places)) < len(places):
            told = ", ".join(dict.fromkeys(study.data for study in self.studies))
            raise ManyLabelError("`data`", "data sets of different names", told, hint="Rename one of them.")

    @property
    def data(self) -> str:
        """The data set of a study, as its cells name it."""
        return self.cells[0].data

    @property
    def fraction(self) -> float:
        """The share of the training rows in a study."""
        return self.cells[0].fraction

    @property
    def wrong_labels(self) -> float:
        """The share of the training labels that are wrong in a study."""
        return self.cells[0].wrong_labels

    @property
    def split(self) -> int | None:
        """What draws the test rows of a study; None for the published ones."""
        return self.cells[0].split

    @property
    def start(self) -> str:
        """The method of another study whose models a study starts from; "" for none."""
        return self.cells[0].start

    @property
    def part(self) -> tuple[float, float, int | None, str]:
        """What a study makes of its data, and where it starts; see :func:`name_of_study`."""
        return self.fraction, self.wrong_labels, self.split, self.start

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The methods, as the cells name them."""
        return tuple(dict.fromkeys(cell.method for cell in self.cells))

    @property
    def names(self) -> tuple[str, ...]:
        """What the methods are called in tables and folders."""
        return tuple(Variant.parse(method).name for method in self.methods)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(cell.seed for cell in self.cells))

    @property
    def folder(self) -> StudyFolder:
        return StudyFolder(self.out)

    @cached_property
    def studies(self) -> tuple[Plan, ...]:
        """The cells of each folder as a plan of their own."""
        if not self.nested:
            return (self,)
        groups: dict[tuple[str, float, float, int | None, str], list[Cell]] = {}
        for cell in self.cells:
            shared = cell.data, cell.fraction, cell.wrong_labels, cell.split, cell.start
            groups.setdefault(shared, []).append(cell)
        return tuple(
            replace(self, cells=tuple(cells), out=self.out / name_of_study(*shared), nested=False)
            for shared, cells in groups.items()
        )

    @property
    def weights(self) -> dict[CellKey, float]:
        """The work in each cell, in comparable units."""
        found = {}
        for study in self.studies:
            minutes = {method: _minutes(method, study.data) for method in study.methods}
            whole = sum(minutes.values()) / len(minutes)
            for cell in study.cells:
                share = minutes[cell.method] / whole if all(minutes.values()) else 1.0
                found[cell.key] = share * self.rows.get(cell.data, 1)
        return found

    @property
    def asked(self) -> dict[str, Any]:
        """Parameters of :meth:`grid` that ask for the cells of a study again, without those at their defaults."""
        settings = {cell.method: dict(cell.settings) for cell in self.cells if cell.settings}
        asked = {"data": self.data, "methods": list(self.methods), "seeds": list(self.seeds)}
        defaults = {
            "settings": {},
            "protocol": "learnt",
            "fraction": 1.0,
            "wrong_labels": 0.0,
            "split": None,
            "start": "",
            "threads": 1,
            "data_dir": None,
            "track": [],
            "labels": [],
            "read": {},
        }
        given = {
            "settings": settings,
            "protocol": self.protocol,
            "fraction": self.fraction,
            "wrong_labels": self.wrong_labels,
            "split": self.split,
            "start": self.start,
            "threads": self.threads,
            "data_dir": None if self.data_dir is None else str(self.data_dir),
            "track": list(self.track),
            "labels": list(self.labels),
            "read": dict(self.read),
        }
        changed = {name: value for name, value in given.items() if value != defaults[name]}
        return {**asked, **changed, "out": str(self.out)}


def _counted(number: int) -> list[int]:
    """The first seeds."""
    check_number("seeds", number, MOST_SEEDS)
    return list(range(number))


def _minutes(method: str, name: str) -> float:
    """Expected minutes of a training where the recipe names them for this data set, else 0."""
    expected = (
        e.minutes for e in methods.get(Variant.parse(method).method).recipe.expected if e.data == name
    )
    return next(expected, 0.0)


def check_number(parameter: str, number: int, most: int) -> None:
    """Refuse what is no whole number from 1 to ``most``."""
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= most:
        expected = "at least 1" if isinstance(number, int) and number < 1 else f"a number from 1 to {most}"
        raise ManyLabelError(f"`{parameter}`", expected, str(number))


def check_seeds(parameter: str, seeds: Sequence[int]) -> None:
    """Refuse no seeds, too many of them, and those that a random generator does not take."""
    check_number(parameter, len(seeds), MOST_SEEDS)
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
            raise ManyLabelError(f"`{parameter}`", f"seeds from 0 to {LARGEST_SEED}", str(seed))


def _check_start(cells: Sequence[Cell]) -> None:
    """Refuse settings of an encoder that the one of a model takes the place of."""
    for cell in cells:
        named = encoder_settings({**Variant.parse(cell.method).settings, **cell.settings})
        if cell.start and named:
            hint = "The model brings its encoder: leave out the setting, or `start`."
            raise ManyLabelError("`settings`", "none of the encoder beside `start`", ", ".join(named), hint)


def _check_part(cell: Cell) -> None:
    """Refuse shares and splits that cannot be drawn."""
    if not 0 < cell.fraction <= 1:
        raise ManyLabelError("`fraction`", "above 0 and up to 1", f"{cell.fraction:g}")
    if not 0 <= cell.wrong_labels < 1:
        raise ManyLabelError("`wrong_labels`", "from 0 to below 1", f"{cell.wrong_labels:g}")
    if cell.split is not None:
        check_seeds("split", [cell.split])


def _check_choice(parameter: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ManyLabelError(f"`{parameter}`", "one of " + ", ".join(choices), repr(value))
