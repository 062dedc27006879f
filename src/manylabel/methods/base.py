"""One fit for every method: checks, seeds, preparation and records; a family writes its training."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import torch
from torch import nn

from manylabel import files
from manylabel.data import Rows
from manylabel.data.splits import held_out_rows
from manylabel.errors import ManyLabelError
from manylabel.methods.early_stop import SEARCH, best_epoch, told_in_turn
from manylabel.methods.fingerprint import fingerprint
from manylabel.methods.held_out import FEWEST_ROWS, HeldOut
from manylabel.methods.networks import (
    TAKE_ENTRIES,
    TEXTS,
    build_encoder,
    check_encoder,
    check_network,
    compile_networks,
    copied,
    standard_of,
    token_inputs,
)
from manylabel.methods.part import Scorer
from manylabel.methods.recipe import AnySettings, Settings
from manylabel.methods.rows import DeviceRows
from manylabel.methods.scorer import NetworkScorer
from manylabel.methods.setting_paths import by_content
from manylabel.methods.start import MODEL, Start
from manylabel.models import Preprocessor, fit_preprocessor
from manylabel.models.inputs import by_columns
from manylabel.training import EarlyStop, Listener, Run

Array: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True)
class Order:
    """How one training is asked for.

    Attributes
    ----------
    seed : int, default 0
    folder : str, Path or None, default None
        Keeps a checkpoint and a history.
    progress : callable or None, default None
        Receives :class:`manylabel.training.Progress`.
    device : str, default "auto"
        Where networks are trained: "auto" is the first GPU if there is one.
    """

    seed: int = 0
    folder: str | Path | None = None
    progress: Listener | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Ready:
    """What a training starts from, on the device where it happens.

    Attributes
    ----------
    inputs : Preprocessor
    train, validation : DeviceRows
    """

    inputs: Preprocessor
    train: DeviceRows
    validation: DeviceRows

    @property
    def parts(self) -> tuple[DeviceRows, DeviceRows]:
        """Training and validation rows."""
        return self.train, self.validation


class Trainer(ABC):
    """Turns training rows of one kind into a scorer; a family writes :meth:`trained`.

    Parameters
    ----------
    settings : AnySettings
        Of the family.

    Attributes
    ----------
    name : str
    cross_fits : bool
        Whether it deals the rows into folds itself; see :class:`CrossFitter`.
    """

    settings: Any
    cross_fits: ClassVar[bool] = False

    def __init__(self, settings: AnySettings) -> None:
        self.name, self.settings = settings.name, settings

    def fit(self, train: Rows, validation: Rows, order: Order) -> Scorer:
        """Check what is given, and train at the seed; see :meth:`manylabel.methods.Method.fit`."""
        who = f"method {self.name}"
        check_rows(who, train, validation, order.seed)
        if order.folder is not None:
            order = replace(order, folder=files.usable_folder(order.folder, f"{who}, folder"))
        with seeded(order.seed, who):
            return self.trained(train, validation, order)

    @abstractmethod
    def trained(self, train: Rows, validation: Rows, order: Order) -> Scorer:
        """What training leaves; parts and order are sound, the generators are seeded, the folder is there."""


class CrossFitter(Trainer):
    """Deals all rows that it gets into folds, and leaves held-out scores of them; a family writes :meth:`cross_fitted`.

    Validation rows are rows like the others: nothing is chosen on rows that trained what is chosen.
    """

    cross_fits = True

    def fit_folds(
        self, train: Rows, validation: Rows | None, groups: Array | None, order: Order
    ) -> tuple[Scorer, HeldOut | None]:
        """Check what is given, and train on the rows of both parts.

        Parameters
        ----------
        train : Rows
        validation : Rows or None
        groups : (n,) int array or None
            Rows of one group stay in one fold; of the training rows and then of the validation rows.
        order : Order

        Returns
        -------
        scorer : Scorer
        held_out : HeldOut or None
            None where rows are too few for folds.
        """
        who = f"method {self.name}"
        check_rows(who, train, train if validation is None else validation, order.seed)
        check_seed(who, order.seed, MOST_SEED // 1000 - 1)
        rows = train if validation is None else train.concat(validation)
        if groups is not None and np.shape(groups) != (len(rows),):
            raise ManyLabelError(f"{who}, groups", f"one for each of {len(rows)} rows", str(np.shape(groups)))
        if order.folder is not None:
            order = replace(order, folder=files.usable_folder(order.folder, f"{who}, folder"))
        with seeded(order.seed, who):
            return self.cross_fitted(rows, groups, order)

    def trained(self, train: Rows, validation: Rows, order: Order) -> Scorer:
        return self.cross_fitted(train.concat(validation), None, order)[0]

    @abstractmethod
    def cross_fitted(self, rows: Rows, groups: Array | None, order: Order) -> tuple[Scorer, HeldOut | None]:
        """What training leaves, and held-out scores of the rows; what is given is sound."""


class NetworkTrainer(Trainer):
    """Trains networks in stages that can be resumed; a family writes :meth:`train`.

    Attributes
    ----------
    stages : tuple of str
    encoder : nn.Module or None
        The caller's own, in place of the recipe's.
    """

    stages: tuple[str, ...] = ("train",)
    encoder: nn.Module | None = None

    def trained(self, train: Rows, validation: Rows, order: Order) -> Scorer:
        stage = self.settings.classify.stage
        if stage.early_stop is None or len(train) < FEWEST_ROWS:
            return self._run_through(train, validation, order)[0]
        place = None if order.folder is None else Path(order.folder) / SEARCH
        search, refit = told_in_turn(order.progress, self.stages)
        apart = replace(order, folder=place, progress=search)
        trainer = self._with_end(stop_after=self._found_epochs(train, apart, stage.early_stop))
        return trainer._run_through(train, validation, replace(order, progress=refit))[0]

    def _found_epochs(self, train: Rows, order: Order, stop: EarlyStop) -> int:
        """How many epochs of the last stage are best for training rows that are held out."""
        held = held_out_rows(train.Y, stop.share, int(order.seed), f"method {self.name}, early_stop")
        trainer = self._with_end(select=stop.select, patience=stop.patience)
        with seeded(order.seed, f"method {self.name}"):  # what is drawn here is drawn anew on all rows
            run = trainer._run_through(train.take(~held), train.take(held), order)[1]
        return best_epoch(run.history, self.stages[-1], stop.select)

    def _with_end(self, **end: Any) -> Self:
        """The same training, whose last stage ends in another way."""
        classify = self.settings.classify
        ends = dict.fromkeys(("early_stop", "select", "patience", "stop_after"))
        stage = classify.stage.model_copy(update=ends | end)
        other = copy(self)
        other.settings = self.settings.model_copy(
            update={"classify": classify.model_copy(update={"stage": stage})}
        )
        return other

    def _run_through(self, train: Rows, validation: Rows, order: Order) -> tuple[Scorer, Run]:
        """Train all stages on rows as they are."""
        run = self._run(train, validation, order)
        inputs = self.inputs(train).to(as_device(order.device, f"method {self.name}"))
        rows = self.resident(train, inputs), self.on_device(validation, inputs)
        return self.train(Ready(inputs, *rows), run), run

    @abstractmethod
    def train(self, ready: Ready, run: Run) -> Scorer:
        """Train the stages, and give what they leave."""

    def inputs(self, train: Rows) -> Preprocessor:
        """The standardisation of the rows."""
        return fit_preprocessor(train.X)

    def own_network(self, train: Rows) -> nn.Module | None:
        """What training starts from, where the settings do not tell its weights."""
        return self.encoder

    def resident(self, train: Rows, inputs: Preprocessor) -> DeviceRows:
        """The training rows on the device."""
        return self.on_device(train, inputs)

    def on_device(self, rows: Rows, inputs: Preprocessor) -> DeviceRows:
        """Rows as the networks of the family take them."""
        return DeviceRows.of(rows, inputs)

    def _run(self, train: Rows, validation: Rows, order: Order) -> Run:
        """A run whose checkpoint belongs to what these settings train on these rows and this seed."""
        seed = int(order.seed)
        if order.folder is None:
            return Run(self.stages, seed, None, "", order.progress)
        elsewhere = {"name", "about", "source", "expected", "neighbours"}  # what training does not look at
        told = json.dumps(by_content(self.settings.model_dump(mode="json", exclude=elsewhere)))
        text = f"{told}\n{train.X.kind} {seed} {self.stages}"
        digest = fingerprint(text, self.own_network(train), train, validation)
        return Run(self.stages, seed, Path(order.folder), digest, order.progress)


class EncoderTrainer(NetworkTrainer):
    """Trains an encoder with a classifier.

    Parameters
    ----------
    settings : Settings
    encoder : nn.Module, optional
        A network (B, *shape) -> (B, H) in place of the recipe's; it is copied, not changed.
    """

    settings: Settings

    def __init__(self, settings: Settings, encoder: nn.Module | None = None) -> None:
        super().__init__(settings)
        check_network(f"method {self.name}", encoder)
        self.encoder = encoder
        self._start: Start | None = None

    def own_network(self, train: Rows) -> nn.Module | None:
        """The caller's network, or that of the model that the settings name."""
        start = self.start(train.X.kind)
        return self.encoder if start is None else start.encoder

    def start(self, kind: str) -> Start | None:
        """The model that the settings name to start from, read once; None where they name none."""
        settings = self.settings.encoder
        if self.encoder is None and settings.name == MODEL and self._start is None:
            self._start = Start.of_folder(settings.weights, kind)
        return self._start

    def inputs(self, train: Rows) -> Preprocessor:
        """The scaling and size that the settings and the weights of their encoder ask for."""
        start = self.start(train.X.kind)
        if start is not None:
            return start.inputs_for(train.X)
        if self.encoder is None and self.settings.encoder.name == TEXTS:
            return token_inputs(self.settings.encoder)
        scaled = self.settings.inputs
        standard = standard_of(self.settings.encoder) if self.encoder is None else None
        words, most = scaled.words, scaled.most_features
        return fit_preprocessor(train.X, scaled.scaling, scaled.own_pixels, standard, words, most)

    def on_device(self, rows: Rows, inputs: Preprocessor) -> DeviceRows:
        """Rows; batches of sparse ones stay lists of entries where the encoder takes them."""
        settings = self.settings.encoder if self._start is None else self._start.settings
        return DeviceRows.of(rows, inputs, self.encoder is None and settings.name in TAKE_ENTRIES)

    def new_encoder(self, ready: Ready) -> nn.Module:
        """The encoder of the settings with fresh weights, or a copy of the caller's own or of that of a model."""
        inputs = ready.inputs
        if self.encoder is not None:
            encoder = copied(self.encoder).to(inputs.mean.device)
            check_encoder(encoder, inputs)
            return encoder
        start = self._start
        encoder = build_encoder(self.settings.encoder, inputs) if start is None else start.new_encoder()
        encoder = encoder.to(inputs.mean.device)
        if ready.train.in_entries:
            by_columns(encoder.first)  # type: ignore[arg-type]  # each of TAKE_ENTRIES has one
        return encoder

    def scorer(self, inputs: Preprocessor, encoder: nn.Module, classifier: nn.Linear) -> NetworkScorer:
        """What the training of a network of :meth:`new_encoder` leaves."""
        compile_networks(False, encoder)
        # as files hold them, so that a model that is read scores the same to the bit
        for p in encoder.parameters():
            p.data = p.data.contiguous()
        built_from = self.settings.encoder if self._start is None else self._start.settings
        return NetworkScorer(inputs, encoder, classifier, built_from if self.encoder is None else None)


def as_device(name: Any, who: str) -> torch.device:
    """A device that is there, by name; "auto" is the first GPU if there is one.

    Raises
    ------
    ManyLabelError
        For a device that torch does not know, or that this machine lacks.
    """
    if isinstance(name, str) and name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(1, device=name).device
    except Exception as error:  # each kind of device has errors of its own
        got = f"{name!r:.60} ({str(error).splitlines()[0][:100]})"
        hint = 'Pass "auto", "cpu" or "cuda".'
        raise ManyLabelError(who, "`device` as a device of this machine", got, hint) from error


MOST_SEED = 2**43 - 1
"""Every stage makes seeds of its own out of it, which must fit in 64 bits."""


def check_seed(who: str, seed: Any, most: int = MOST_SEED) -> None:
    """Refuse a seed that is no integer from 0 to ``most``."""
    whole = isinstance(seed, Integral) and not isinstance(seed, bool)
    if not whole or not 0 <= int(seed) <= most:
        raise ManyLabelError(who, f"a seed from 0 to {most}", repr(seed), "Pass a small integer, such as 0.")


@contextmanager
def seeded(seed: int, who: str = "fit") -> Iterator[None]:
    """Torch's default generators at a seed, and back as they were at the end; memory that runs out is told."""
    with torch.random.fork_rng(), enough_memory(who):
        torch.manual_seed(int(seed))
        yield


@contextmanager
def enough_memory(who: str) -> Iterator[None]:
    """Tell of memory that cannot be had in the words of this library.

    Raises
    ------
    ManyLabelError
        Names the settings that take memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        known = ("not enough memory", "out of memory", "can't allocate", "overflow", "MemoryError")
        if not isinstance(error, MemoryError) and not any(word in text for word in known):
            raise
        hint = "Lower the widths, the queue or the batch, or give fewer rows."
        raise ManyLabelError(who, "a training that fits in memory", text, hint) from error


def check_rows(who: str, train: Rows, validation: Rows, seed: int) -> None:
    """Refuse what cannot be trained on, before any work.

    Raises
    ------
    ManyLabelError
        For parts that are no :class:`Rows`, lack rows or do not fit each other, and for a seed that is no integer
        from 0 to :data:`MOST_SEED`.
    """
    for name, part in (("train", train), ("validation", validation)):
        if not isinstance(part, Rows):
            hint = "Pass manylabel.data.Rows(X, as_labels(Y))."
            raise ManyLabelError(f"{who}, {name}", "Rows", type(part).__name__, hint)
    if len(train) == 0:
        raise ManyLabelError(who, "training rows", "none", "Pass at least one.")
    if len(validation) == 0:
        hint = "Keep some rows out of training, for example with manylabel.data.split_validation."
        raise ManyLabelError(who, "validation rows", "none", hint)
    check_seed(who, seed)
    hint = "Take both from one table."
    for what, here, there in (
        ("labels", train.Y.n_labels, validation.Y.n_labels),
        ("features", train.X.form, validation.X.form),
    ):
        if here != there:
            raise ManyLabelError(
                f"{who}, validation", f"the {what} of the training rows ({here})", f"{there}", hint
            )
    if train.weights is not None and not train.weights.any():
        raise ManyLabelError(who, "a training row with a weight above 0", "weights of 0 alone")
    if train.Y.n_labels == 0:
        raise ManyLabelError(who, "at least one label", "none", "Give the labels a column.")
    train.Y.refuse_none_known(f"{who}, train")
    validation.Y.refuse_none_known(f"{who}, validation")
