"""What a study is asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from manylabel import methods
from manylabel.errors import ManyLabelError
from manylabel.study.records import StudyFolder
from manylabel.study.run_cell import PROTOCOLS, RunKey, Task
from manylabel.study.variants import Variant

MOST_THREADS = 1024  # beyond, threads of OpenMP end the process where the system refuses them
MOST_SEEDS = 1000
LARGEST_SEED = 2**32 - 1  # that scikit-learn takes


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes
    ----------
    data : str
        Name of a catalogue data set, or a path.
    methods : tuple of str
        Names, recipe files or import paths, as :func:`manylabel.methods.get` takes them, or variants of them such as
        ``mulsupcon[pretrain.temperature=0.2]``.
    seeds : tuple of int
        A seed drives the validation split, initialisation, the order of rows and augmentation.
    out : Path
        Folder of the study. Runs finished there are kept, unfinished ones are taken up.
    settings : mapping from method to settings that replace those of its recipe
    protocol : {"tuned", "fixed", "oracle"}
        How thresholds are chosen in what is shown; all three are recorded.
    jobs : int or None
        Runs made at the same time; None: as many as cores (1 where there is a GPU).
        Results do not depend on it.
    threads : int
        Threads of each run.
    data_dir : Path or None
        Folder with local copies of data sets.
    fraction : float, default 1
        Share of the training rows that a run sees, validation rows included; see
        :func:`manylabel.data.take_fraction`.
    """

    data: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    out: Path
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    protocol: str = "tuned"
    jobs: int | None = None
    threads: int = 1
    data_dir: Path | None = None
    fraction: float = 1.0

    def __post_init__(self) -> None:
        _check_choice("protocol", self.protocol, PROTOCOLS)
        check_number("methods", len(self.methods), MOST_SEEDS)
        check_seeds("seeds", self.seeds)
        check_number("jobs", 1 if self.jobs is None else self.jobs, MOST_THREADS)
        check_number("threads", self.threads, MOST_THREADS)
        if not 0 < self.fraction <= 1:
            raise ManyLabelError("fraction", "above 0 and up to 1", f"{self.fraction:g}")
        for method, settings in self.settings.items():
            _check_choice("settings", method, self.methods)
            named = Variant.parse(method).settings.keys() & settings.keys()
            if named:
                raise ManyLabelError("settings", f"settings that {method} does not name", ", ".join(named))
        if len(set(self.names)) < len(self.methods):
            hint = "Rename one of the files."
            raise ManyLabelError("methods", "methods of different names", ", ".join(self.methods), hint)

    @property
    def folder(self) -> StudyFolder:
        return StudyFolder(self.out)

    @property
    def names(self) -> tuple[str, ...]:
        """What the methods are called in tables and folders."""
        return tuple(Variant.parse(method).name for method in self.methods)

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """All runs asked for: every method with the first seed, then with the second, and so on."""
        made = []
        for seed in self.seeds:
            for method, name in zip(self.methods, self.names, strict=True):
                settings, folder = self.settings.get(method, {}), self.folder.run_folder(name, seed)
                key = RunKey(name, seed)
                made.append(Task(key, method, settings, folder, self.threads, self.fraction))
        return tuple(made)

    @property
    def weights(self) -> dict[RunKey, float]:
        """Expected minutes of each run where all recipes name them for this data set, else equal weights."""
        minutes = {method: _minutes(method, self.data) for method in self.methods}
        known = all(minutes.values())
        return {task.key: minutes[task.recipe] if known else 1.0 for task in self.tasks}


def _minutes(method: str, name: str) -> float:
    expected = (
        e.minutes for e in methods.get(Variant.parse(method).method).recipe.expected if e.data == name
    )
    return next(expected, 0.0)


def check_number(parameter: str, number: int, most: int) -> None:
    """Refuse what is no whole number from 1 to ``most``."""
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= most:
        expected = "at least 1" if isinstance(number, int) and number < 1 else f"a number from 1 to {most}"
        raise ManyLabelError(parameter, expected, str(number))


def check_seeds(parameter: str, seeds: Sequence[int]) -> None:
    """Refuse no seeds, too many of them, and those that a random generator does not take."""
    check_number(parameter, len(seeds), MOST_SEEDS)
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
            raise ManyLabelError(parameter, f"seeds from 0 to {LARGEST_SEED}", str(seed))


def _check_choice(parameter: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ManyLabelError(parameter, "one of " + ", ".join(choices), repr(value))
