"""Transfer: encoders trained on one data set, then probed or fine-tuned on another, as cells of one plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from manylabel import data, methods
from manylabel.errors import ManyLabelError
from manylabel.methods.families import recipe_of, takes_encoder
from manylabel.methods.model_encoder import ModelEncoder
from manylabel.study.analysis.results import Results
from manylabel.study.cell import Cell, encoder_settings
from manylabel.study.folder import StudyFolder
from manylabel.study.folder_names import name_of_study
from manylabel.study.plan import Plan, check_number, check_seeds
from manylabel.study.variants import Variant

CLASSIFIER = "bce"
"""What trains a network on the target."""
PROBE = "logistic_regression_cv"
"""The linear classifier on a frozen encoder of texts or pictures; of other rows it is that of :data:`CLASSIFIER`."""
FROZEN = {"classify.encoder_rate": 0}
FINETUNED = {"classify.encoder_rate": 0.1}
WAYS = ("probe", "finetune")
"""What may happen to an encoder on the target."""
SCRATCH = "none, from scratch"


class Place(NamedTuple):
    """A line of the table: an encoder trained on ``source`` by ``method``, taken to ``target`` in one way."""

    source: str
    target: str
    method: str
    way: str


@dataclass(frozen=True)
class Transfer:
    """Pairs of data sets between which encoders are taken.

    Attributes
    ----------
    pairs : sequence of (source, target)
        Data sets by name or path, of rows of one kind each.
    out : Path
        Folder of all its studies: finished cells are kept.
    methods : sequence of str, default bce and mulsupcon
        What trains the encoders; of one that pretrains the contrastive stage alone makes the encoder.
    ways : sequence of str, default the probe
        Of :data:`WAYS`.
    seeds : sequence of int, default 0, 1 and 2
    settings : mapping of method to settings
        Replace those of the recipes; those of "bce" hold for fine-tuning and from scratch, too.
    rows : int or None, default None
        Of larger training parts a share of about so many rows is taken, stratified by label.
    protocol, jobs, threads, data_dir
        As in :class:`manylabel.study.Plan`.

    Notes
    -----
    "probe" leaves the encoder as it is, below a logistic regression whose penalty is chosen by cross-validation; of
    vectors and tables, below the linear layer of the recipe ``bce``. "finetune" trains it with that recipe at a tenth
    of the classifier's rate. Both stand beside the same network from scratch.
    """

    pairs: Sequence[tuple[str, str]]
    out: Path
    methods: Sequence[str] = ("bce", "mulsupcon")
    ways: Sequence[str] = ("probe",)
    seeds: Sequence[int] = (0, 1, 2)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rows: int | None = None
    protocol: str = "learnt"
    jobs: int | None = None
    threads: int = 1
    data_dir: Path | None = None

    def __post_init__(self) -> None:
        check_seeds("seeds", self.seeds)
        if self.rows is not None:
            check_number("rows", self.rows, 2**40)
        unknown = [way for way in self.ways if way not in WAYS]
        if unknown or not self.ways:
            got = repr(unknown[0]) if unknown else "none"
            raise ManyLabelError("`ways`", " or ".join(WAYS), got)
        for source, target in self.pairs:
            if name_of_study(source) == name_of_study(target):
                raise ManyLabelError("`data`", "two data sets of different names", f"{source} and {target}")

    @cached_property
    def plan(self) -> Plan:
        """All cells; those that train encoders come before those that take them.

        Raises
        ------
        ManyLabelError
            If data cannot be read, a pair is one of rows of different kinds, or a method trains no encoder.
        """
        for source, target in self.pairs:
            kinds = self._loaded[source].kind, self._loaded[target].kind
            if kinds[0] != kinds[1]:
                hint = "An encoder takes rows of one kind."
                raise ManyLabelError(
                    "`data`", f"two sets of {kinds[0]}", f"{target}, one of {kinds[1]}", hint
                )
        for method in self.methods:
            if not _trains_encoder(Variant.parse(method).method):
                raise ManyLabelError("`methods`", "methods that train an encoder", method, self._hint)
        how = {name: getattr(self, name) for name in ("protocol", "jobs", "threads", "data_dir")}
        cells = tuple(dict.fromkeys((*self._pretraining(), *self._on_targets())))
        return Plan(cells, self.out, nested=True, **how)

    @property
    def results(self) -> Results[Place]:
        """What is finished by now, line by line of the table."""
        folders = {
            place: {seed: self._folder(cell, seed) for seed in self.seeds} for place, cell in self._places()
        }
        return Results.read(folders, self.protocol)

    @property
    def _hint(self) -> str:
        """Which methods train an encoder on rows of this kind."""
        kind = self._loaded[self.pairs[0][0]].kind
        usual = (name for name in methods.names() if not name.startswith(methods.PAPER))
        ours = [name for name in usual if _trains_encoder(name) and kind in methods.get(name).recipe.settings]
        return f"Take some of {', '.join(ours)}, or the paper-... recipes of these."

    @cached_property
    def _loaded(self) -> dict[str, Any]:
        names = dict.fromkeys(name for pair in self.pairs for name in pair)
        return {name: data.load(name, self.data_dir) for name in names}

    def _share(self, name: str) -> float:
        """The share of the training rows of a data set that is taken, in whole percent."""
        n = len(self._loaded[name].train)
        return 1.0 if self.rows is None or n <= self.rows else max(1, round(100 * self.rows / n)) / 100

    def _cell(self, name: str, method: str, more: Mapping[str, Any], start: str = "") -> Cell:
        """The cell of the first seed; ``more`` stands in the name of the method."""
        variant = Variant.parse(method)
        named = str(Variant(variant.method, {**variant.settings, **more}))
        settings = self.settings.get(method, {})
        brought = encoder_settings(settings) if start else []  # by the model
        own = {setting: value for setting, value in settings.items() if setting not in brought}
        return Cell(name, named, 0, own, self._share(name), start=start)

    def _pretrained(self, source: str, method: str) -> Cell:
        """What trains an encoder on a source; pretraining alone, where the method has such a stage."""
        variant = Variant.parse(method)
        settings = {**variant.settings, **self.settings.get(method, {})}
        own = methods.get(variant.method, **settings).recipe.resolve(self._loaded[source].kind)
        alone = FROZEN if getattr(own, "pretrain", None) is not None else {}
        return self._cell(source, method, {} if variant.settings.keys() & alone.keys() else alone)

    def _places(self) -> Iterator[tuple[Place, Cell]]:
        """Each line of the table, with its cell of the first seed."""
        for source, target in self.pairs:
            names = name_of_study(source), name_of_study(target)
            for way in self.ways:
                for method in self.methods:
                    start = self._folder(self._pretrained(source, method), None)
                    cell = self._cell(target, *self._taken(target, way), str(start))
                    yield Place(*names, method, way), cell
            yield Place(*names, SCRATCH, ""), self._cell(target, CLASSIFIER, {})

    def _taken(self, target: str, way: str) -> tuple[str, Mapping[str, Any]]:
        """The method that takes an encoder on a target, and the settings that make it the way that is asked for."""
        if way == "finetune":
            return CLASSIFIER, FINETUNED
        through_encoder = self._loaded[target].kind in ModelEncoder.kinds
        return (PROBE, {}) if through_encoder else (CLASSIFIER, FROZEN)

    def _pretraining(self) -> Iterator[Cell]:
        for source in dict.fromkeys(source for source, _ in self.pairs):
            yield from self._seeded([self._pretrained(source, method) for method in self.methods])

    def _on_targets(self) -> Iterator[Cell]:
        yield from self._seeded([cell for _, cell in self._places()])

    def _seeded(self, cells: Sequence[Cell]) -> Iterator[Cell]:
        """Cells with every seed, those of the first seed first."""
        for seed in self.seeds:
            yield from (Cell(c.data, c.method, seed, c.settings, c.fraction, start=c.start) for c in cells)

    def _folder(self, cell: Cell, seed: int | None) -> Path:
        """Of a run, or where no seed is given of all runs of its method."""
        study = StudyFolder(self.out / name_of_study(cell.data, cell.fraction, start=cell.start))
        return study.path / cell.name if seed is None else study.run_folder(cell.name, seed)


def _trains_encoder(method: str) -> bool:
    return takes_encoder(recipe_of(method, methods.FAMILIES, {})[1])
