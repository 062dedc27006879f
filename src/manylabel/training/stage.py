"""What one stage of training is: its settings as data, and the task it trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from manylabel.labels import LabelMatrix
from manylabel.models.flat import FlatParameters
from manylabel.training.sharding import ShardedParameters


class Stage(BaseModel):
    """How one stage trains; an epoch is one pass over the training rows.

    The steps of an epoch share all rows evenly, none taking more than a batch
    (:func:`manylabel.training.sampling.divide`). Where there are fewer training rows than a batch, a step takes all of
    them, and a warning says so, unless the batch is "auto".

    Attributes
    ----------
    epochs : int
    batch : int or "auto", default 64
        Most rows of a step, over all ranks. "auto" is 16 below 450 training rows, 32 below 1 100, and 64 from there on.
    drop_last : bool, default False
        Steps of a whole batch each; rows that are left are not trained on in that epoch, as in the released codes of
        many papers.
    carriers : int or None, default None
        Rows of a step that carry each of its labels, as far as the rows and the size of the step allow; see
        :func:`manylabel.training.sampling.order_by_carriers`. None takes rows at random.
    optimiser : "adam", "adamw" or "sgd", default "adam"
        ``sgd`` has momentum 0.9; the weight decay of ``adam`` is an L2 penalty, that of ``adamw`` is decoupled.
    lr : float, default 4e-4
    weight_decay : float, default 0
    l2_per_row : float, default 0
        A further weight decay of ``l2_per_row / n_rows``: where the loss is a mean over rows, the L2 penalty beside its
        sum over all training rows, as 1/C of scikit-learn's linear models, so that one value serves few rows and many.
        Decoupled in ``adamw``, and not used by the grid of a linear evaluation, which has weight decays of its own.
    schedule : "cosine", "one_cycle", "linear", "constant", "warm_restarts", "step" or "plateau", default "cosine"
    warmup : float, default 0
        Share of the steps over which the rate rises from 0 (``one_cycle``: from a 25th; 0.3 is usual there).
    floor : float, default 0
        Lowest rate as a share of ``lr``.
    period : int, default 50
        Epochs of the first cosine of ``warm_restarts``, and those between two drops of ``step``.
    decay : float, default 1
        What each drop of ``step`` multiplies the rate by.
    clip : float or None, default None
        Largest global norm of the gradient.
    ema : float or None, default None
        Decay of an exponential average of the parameters, which then is what is monitored and kept.
    ema_rising : bool, default True
        At step t, counted from 0, the decay is ``min(ema, (1 + t) / (10 + t))``, so that little of the random initial
        weights is left however few the steps are; False takes ``ema`` from the first step on.
    monitor_every : int or None, default None
        Epochs between two looks at the validation rows. None looks after each epoch where something is chosen by what
        is seen (``select``, ``patience``, the schedule ``plateau``), otherwise after every tenth of the stage.
    select : str or None, default None
        Keep the epoch that is best by this measurement on validation rows ("loss" or a metric); None keeps the last.
    patience : int or None, default None
        Stop after so many epochs without a better ``select``.
    stop_after : int or None, default None
        Stop after so many epochs of a schedule that is made for ``epochs``.
    precision : "float32", "bfloat16" or "float16", default "float32"
        Of the network under autocast; losses are computed in float32.
    sync_batch_norm : bool, default False
        Batch norms take mean and variance over the rows of all ranks, so that several ranks train as one process does.
    compile : bool, default False
        The encoder goes through ``torch.compile``. That takes a minute or more, before the first step and again for
        batches of another size, and pays in long trainings of large networks on a GPU.
    shard : bool, default False
        Over several ranks each keeps a part of the encoder, its gradients and its optimiser's state, for encoders that
        one process cannot hold; see :func:`manylabel.training.sharded`. One process trains as without it. It goes with
        neither ``compile`` nor float16.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    epochs: int = Field(ge=1)
    batch: Annotated[int, Field(ge=1)] | Literal["auto"] = 64
    drop_last: bool = False
    carriers: int | None = Field(None, ge=2)
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = Field(4e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    l2_per_row: float = Field(0.0, ge=0)
    schedule: Literal["cosine", "one_cycle", "linear", "constant", "warm_restarts", "step", "plateau"] = (
        "cosine"
    )
    warmup: float = Field(0.0, ge=0, le=1)
    floor: float = Field(0.0, ge=0, le=1)
    period: int = Field(50, ge=1)
    decay: float = Field(1.0, gt=0, le=1)
    clip: float | None = Field(None, gt=0)
    ema: float | None = Field(None, gt=0, lt=1)
    ema_rising: bool = True
    monitor_every: int | None = Field(None, ge=1)
    select: str | None = None
    patience: int | None = Field(None, ge=1)
    stop_after: int | None = Field(None, ge=1)
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    sync_batch_norm: bool = False
    compile: bool = False
    shard: bool = False

    @property
    def last_epoch(self) -> int:
        """Epochs trained where nothing is chosen by what is seen."""
        return self.epochs if self.stop_after is None else min(self.epochs, self.stop_after)

    @property
    def usual_monitor_every(self) -> int:
        """Epochs between two looks where the settings give none."""
        chooses = self.select is not None or self.patience is not None or self.schedule == "plateau"
        return 1 if chooses else max(1, self.epochs // 10)


class EarlyStop(BaseModel):
    """How many epochs are enough, asked of rows that are held out of the training rows for it.

    Attributes
    ----------
    patience : int
        Epochs without a better ``select`` after which nothing better is waited for.
    share : float, default 0.1
        Of the training rows, held out label-stratified.
    select : str, default "loss"
        Measurement on the rows held out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    patience: int = Field(ge=1)
    share: float = Field(0.1, gt=0, le=0.5)
    select: str = "loss"


class LastStage(Stage):
    """A stage that may find out by itself how long it trains.

    Attributes
    ----------
    early_stop : EarlyStop or None, default None
        Train once without the rows that are held out, and then anew on all rows, for as many epochs as were best there,
        at the rates that these epochs had. Of fewer than 20 rows none are held out. It stands in for ``select``,
        ``patience`` and ``stop_after``.

    Notes
    -----
    No recipe uses it: on three folds of the training part of yeast the mAP of mulsupcon fell from 0.522 to 0.508 where
    mAP stopped it (patience 15) and to 0.467 where the loss did (patience 8; the log-loss fell from 0.498 to 0.459).
    """

    early_stop: EarlyStop | None = None


@dataclass
class Group:
    """Parameters that share a learning rate.

    Attributes
    ----------
    parameters : FlatParameters or ShardedParameters
    rate : float, default 1.0
        Their learning rate as a multiple of the stage's.
    weight_decay : float or None, default None
        Their weight decay; None takes the stage's, ``l2_per_row`` included.
    """

    parameters: FlatParameters | ShardedParameters
    rate: float = 1.0
    weight_decay: float | None = None


class Task(Protocol):
    """What a stage trains: a loss on some training rows and a look at the validation rows.

    Tasks are subclasses, which have an order of the rows and no labels unless they say otherwise.

    Attributes
    ----------
    module : nn.Module
        Everything a checkpoint has to hold: networks, queue, running statistics.
    groups : list of Group
        What the optimiser changes.
    n_rows : int
        Training rows.
    labels : LabelMatrix or None, default None
        Of the training rows; a stage may ask for ``carriers`` of each of them.
    """

    module: nn.Module
    groups: list[Group]
    n_rows: int
    labels: LabelMatrix | None = None

    def loss(self, rows: Tensor) -> Tensor:
        """The loss of the training rows at these positions, as a scalar with gradient.

        Of several ranks each is given its own rows of the step, some perhaps one row more than others; the mean of
        value and gradient over the ranks is that of all rows.
        """
        ...

    def windows(self, generator: torch.Generator) -> list[Tensor]:
        """A random order of the training rows for an epoch, int64, in pieces of rows that are read together."""
        return [torch.randperm(self.n_rows, generator=generator)]

    def monitor(self) -> dict[str, float]:
        """Measurements on validation rows, all networks in evaluation mode; the key ``loss`` is lower-is-better."""
        ...
