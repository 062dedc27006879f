"""RBCC: a Bayesian network of the errors of independent classifiers, then a recurrent classifier along it."""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from manylabel.errors import ManyLabelError
from manylabel.methods.classifier_stage import measure
from manylabel.methods.label_network import LabelNetworkMethod, mean_entropy
from manylabel.methods.recipe import Config, VectorSettings
from manylabel.methods.rows import DeviceRows
from manylabel.models import FlatParameters
from manylabel.models.bayesian_network import learn_parents
from manylabel.models.rbcc import BinaryRelevance, RecurrentChains
from manylabel.training import Group, Ranks, Run, Stage, Task

_ROWS = 256  # at once: the hidden layer is wide


class RBCCNetwork(Config):
    """The parameters of :class:`manylabel.models.rbcc.RecurrentChains`."""

    hidden: int = Field(100, ge=1)


class ErrorSettings(Config):
    """Training of the independent classifiers whose errors make the graph.

    Attributes
    ----------
    stage : Stage
        Of both halves of the training rows at once; its batch is taken from each.
    hidden : int, default 100
        Hidden units of each label's classifier.
    """

    stage: Stage
    hidden: int = Field(100, ge=1)


class RBCCSettings(VectorSettings):
    """Settings of RBCC."""

    network: RBCCNetwork = RBCCNetwork()
    errors: ErrorSettings


class HalvesTraining(Task):
    """Binary relevance on each half of the training rows.

    Parameters
    ----------
    train, validation : DeviceRows
    hidden : int
    """

    def __init__(self, train: DeviceRows, validation: DeviceRows, hidden: int) -> None:
        if len(train) < 2:
            hint = "Rows without labels are left out."
            raise ManyLabelError("rbcc", "at least 2 training rows with labels", str(len(train)), hint)
        sizes = (train.X.shape[1], train.Y.n_labels, hidden)
        self.train, self.validation = train, validation
        self.halves = torch.randperm(len(train)).tensor_split(2)
        self.networks = nn.ModuleList(BinaryRelevance(*sizes) for _ in self.halves).to(train.X.device)
        self.module: nn.Module = self.networks
        self.groups = [Group(FlatParameters(self.networks.parameters()))]
        self.n_rows = max(len(half) for half in self.halves)

    def loss(self, rows: Tensor) -> Tensor:
        """Binary cross entropy, mean over rows, summed over labels and halves: each classifier trains for itself."""
        total = torch.zeros((), device=self.train.X.device)
        for network, half in zip(self.networks, self.halves, strict=True):
            chosen = half.to(rows.device)[rows % len(half)]
            x, Y = network(self.train.X[chosen]).float(), self.train.Y.take(chosen).dense()
            total = total + F.binary_cross_entropy_with_logits(x, Y, reduction="sum") / len(chosen)
        return Ranks.current().weigh(total, len(rows))

    @torch.no_grad()
    def monitor(self) -> dict[str, float]:
        """Metrics of the mean probabilities of both halves' classifiers on the validation rows."""
        P = torch.stack([torch.sigmoid(logits(n, self.validation)) for n in self.networks]).mean(0)
        loss = mean_entropy(P.float(), self.validation.Y)
        return {"loss": loss} | measure(P, self.validation.Y)

    @torch.no_grad()
    def errors(self) -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
        """``label - prediction`` of the training rows by the other half's classifiers; (n, n_labels) of -1, 0, 1."""
        found = torch.empty(self.train.Y.shape, dtype=torch.int8)
        for network, half in zip(self.networks, reversed(self.halves), strict=True):
            for rows in torch.split(half, _ROWS):
                chosen = rows.to(self.train.X.device)
                predicted = (network(self.train.X[chosen]) > 0).to(torch.int8)
                found[rows] = (self.train.Y.take(chosen).dense(torch.int8) - predicted).cpu()
        return found.numpy()


def logits(network: nn.Module, rows: DeviceRows) -> Tensor:
    """Logits of many rows, some at a time."""
    return torch.cat([network(x) for x in rows.parts(_ROWS)]).float()


class RBCCMethod(LabelNetworkMethod):
    """Recurrent Bayesian classifier chains; see :class:`manylabel.models.rbcc.RecurrentChains`.

    Training rows without labels are left out, as in the released code.
    """

    settings: RBCCSettings
    family = "rbcc"
    network_type = RecurrentChains
    settings_type = RBCCNetwork
    stages = ("errors", "train")
    needs_labels = True

    def build(self, train: DeviceRows, validation: DeviceRows, run: Run) -> RecurrentChains:
        settings = self.settings.errors
        task = HalvesTraining(train, validation, settings.hidden)
        run.train("errors", task, settings.stage)
        network = self.new_network(train)
        assert isinstance(network, RecurrentChains)
        if not run.left_behind("errors"):  # else the checkpoint has the graph
            network.connect(learn_parents(task.errors()))
        return network
