"""Label networks: training and scorer of the methods whose network makes the scores of all labels itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manylabel.data import Rows
from manylabel.data.rows import Features
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix
from manylabel.methods.base import NetworkTrainer, Ready
from manylabel.methods.classifier_stage import measure
from manylabel.methods.networks import fitting
from manylabel.methods.part import Opened, Part, restored_inputs
from manylabel.methods.recipe import Config, VectorSettings
from manylabel.methods.rows import DeviceRows
from manylabel.methods.scorer import in_batches
from manylabel.models import FlatParameters, Preprocessor, fit_preprocessor
from manylabel.models.inputs.augment import mask
from manylabel.models.inputs.vectors import OfFeatures
from manylabel.models.label_network import LabelNetwork
from manylabel.training import Group, Ranks, Run, Task

_ENTRIES_AT_ONCE = 1 << 22


class NetworkTraining(Task):
    """Train a network on its own loss.

    Parameters
    ----------
    network : LabelNetwork
    train, validation : DeviceRows
    mask : float, default 0
        Probability of each feature to be set to 0 in training.
    """

    def __init__(
        self, network: LabelNetwork, train: DeviceRows, validation: DeviceRows, mask: float = 0.0
    ) -> None:
        self.network, self.train, self.validation, self.mask = network, train, validation, mask
        self.module: nn.Module = network
        self.groups = [Group(FlatParameters(network.parameters()))]
        self.n_rows, self.labels = len(train), train.Y

    def loss(self, rows: Tensor) -> Tensor:
        """The network's loss on these rows."""
        x, Y = self.train.X[rows], self.train.Y.take(rows)
        known = Y.known()
        target = Y.dense(torch.uint8) if known is None else Y.dense().masked_fill(~known, torch.nan)
        value = self.network.loss(mask(x, self.mask) if self.mask else x, target)
        return Ranks.current().weigh(value, len(rows))

    def windows(self, generator: torch.Generator) -> list[Tensor]:
        """By blocks where rows are read from disk."""
        return self.train.windows(generator)

    @torch.no_grad()
    def monitor(self) -> dict[str, float]:
        """Metrics of the validation rows; ``loss`` is the binary cross entropy of the probabilities."""
        self.network.eval()
        parts = self.validation.parts(self.network.rows_at_once)
        P = torch.cat([self.network.probabilities(x) for x in parts]).float()
        loss = mean_entropy(P.clamp(0, 1), self.validation.Y)
        return {"loss": loss} | measure(P, self.validation.Y)


def mean_entropy(P: Tensor, Y: LabelMatrix) -> float:
    """The binary cross entropy of probabilities (n, n_labels), a mean over known entries.

    Labels are made dense in blocks.
    """
    total = P.new_zeros(())
    step = max(1, _ENTRIES_AT_ONCE // P.shape[1])
    for start in range(0, len(P), step):
        rows = slice(start, start + step)
        block = Y.take(rows)
        known = block.known()
        weight = None if known is None else known.to(P.dtype)
        total += F.binary_cross_entropy(P[rows], block.dense(P.dtype), weight, reduction="sum")
    return float(total / max(P.numel() - Y.n_unknown, 1))


class LabelNetworkScorer:
    """A network behind the standardisation of its training rows.

    Parameters
    ----------
    inputs : Preprocessor
    network : LabelNetwork
    family : str
        Of the method that trained it.
    settings : Config
        How ``network`` was built.
    """

    embeds_features: ClassVar[bool] = False

    def __init__(self, inputs: Preprocessor, network: LabelNetwork, family: str, settings: Config) -> None:
        self.inputs, self.network, self.family, self.settings = inputs, network, family, settings
        self.module = nn.ModuleDict({"inputs": inputs, "network": network}).eval()

    @property
    def n_labels(self) -> int:
        return self.network.n_labels

    def scores(self, X: Features) -> np.ndarray[Any, Any]:
        """Probabilities of the labels, (n, n_labels) float32 array."""
        return self._of_rows(X, self.network.probabilities)

    def embed(self, X: Features) -> np.ndarray[Any, Any]:
        """Representations of the rows, (n, H) float32 array."""
        return self._of_rows(X, self.network.represent)

    def part(self) -> Part:
        """Weights and shapes; the type is the family."""
        meta = {
            "inputs": self.inputs.meta(),
            "n_labels": self.network.n_labels,
            "network": self.settings.model_dump(mode="json"),
        }
        return Part(self.family, meta, self.module.state_dict())

    def _of_rows(self, X: Features, score: Callable[[Tensor], Tensor]) -> np.ndarray[Any, Any]:
        return in_batches(self.module, self.inputs, X, score, self.network.rows_at_once)


class LabelNetworkMethod(NetworkTrainer):
    """A method that is defined for feature vectors.

    Parameters
    ----------
    settings : VectorSettings
    encoder : None
        A network of the caller's own has no place in these methods.

    Attributes
    ----------
    family : str
    network_type : type of LabelNetwork
        Built from the numbers of features and labels, and the settings.
    settings_type : type of Config
        Of the recipe's settings under ``network``.
    stages : tuple of str
    needs_labels : bool
        Whether rows without labels are left out of training.
    """

    family: ClassVar[str]
    network_type: ClassVar[type[Any]]
    settings_type: ClassVar[type[Config]]
    needs_labels: ClassVar[bool] = False
    settings: VectorSettings

    def __init__(self, settings: VectorSettings, encoder: nn.Module | None = None) -> None:
        if encoder is not None:
            hint = "Use one of the methods that train an encoder, such as bce or mulsupcon."
            raise ManyLabelError(f"method {settings.name}", "its own network", "an encoder", hint)
        super().__init__(settings)

    def train(self, ready: Ready, run: Run) -> LabelNetworkScorer:
        settings = self.settings
        network = self.build(*ready.parts, run)
        task = NetworkTraining(network, *ready.parts, settings.classify.views.mask)
        run.train("train", task, settings.classify.stage)
        return LabelNetworkScorer(ready.inputs, network, self.family, settings.network)

    @classmethod
    def restore(cls, opened: Opened) -> LabelNetworkScorer:
        """The scorer of a part."""
        settings = cls.settings_type.model_validate(opened.meta["network"])
        inputs = restored_inputs(opened.meta["inputs"], opened.tensors)
        sizes = inputs.shape[0], opened.meta["n_labels"]
        made = fitting("network", lambda: cls.network_type(*sizes, **dict(settings)))
        scorer = LabelNetworkScorer(inputs, cast(LabelNetwork, made), cls.family, settings)
        scorer.module.load_state_dict(opened.tensors)
        return scorer

    def inputs(self, train: Rows) -> Preprocessor:
        """The standardisation of the rows, or one that changes nothing."""
        fitted = fit_preprocessor(train.X)
        assert isinstance(fitted, OfFeatures)  # recipes of these families are for no other kind
        return fitted if self.standardise else fitted.unscaled(train.X)

    @property
    def standardise(self) -> bool:
        """Whether features are standardised."""
        return self.settings.standardise

    def build(self, train: DeviceRows, validation: DeviceRows, run: Run) -> LabelNetwork:
        """The network before it is trained, on the device of the rows."""
        return self.new_network(train)

    def new_network(self, train: DeviceRows) -> LabelNetwork:
        """A network of the recipe's settings with fresh weights, on the device of the rows."""
        sizes = (train.X.shape[1], train.Y.n_labels)
        settings = dict(self.settings.network)
        made = fitting(f"method {self.name}, network", lambda: self.network_type(*sizes, **settings))
        network = cast(LabelNetwork, made)
        return network.to(train.X.device)

    def resident(self, train: Rows, inputs: Preprocessor) -> DeviceRows:
        rows = DeviceRows.of(train, inputs)
        if not rows.Y.binary:
            hint = "Round the labels, or use bce, which takes them as they are."
            raise ManyLabelError(f"method {self.name}", "labels that are 0 or 1", "soft labels", hint)
        if rows.Y.n_unknown and not self.network_type.takes_unknown:
            hint = "Use bce, a contrastive method, kmcl or lamp, which learn from the known ones; or drop such rows."
            got = f"{rows.Y.n_unknown} unknown label entries"
            raise ManyLabelError(f"method {self.name}", "rows whose labels are all known", got, hint)
        if rows.weights is not None:
            hint = "Use bce, a contrastive method or kmcl, which weigh rows; or repeat rows that count more."
            raise ManyLabelError(f"method {self.name}", "rows that all count alike", "weights", hint)
        if not self.needs_labels:
            return rows
        return rows.take(rows.Y.row_counts().nonzero().squeeze(1))
