"""Linear probe: a grid of linear classifiers on a frozen encoder, the best of them taken label by label."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from manylabel import metrics
from manylabel.labels import Labels
from manylabel.methods.classifier_stage import Frozen, LogitLoss, measure, over_ranks
from manylabel.methods.networks import width
from manylabel.methods.recipe import Config
from manylabel.methods.rows import DeviceRows
from manylabel.models import FlatParameters, Preprocessor
from manylabel.training import Group, Task


class LinearProbeSettings(Config):
    """The classifiers of a linear evaluation; every learning rate is combined with every weight decay.

    Attributes
    ----------
    rates : tuple of float, default (1, 0.1)
        Learning rates, as multiples of the stage's.
    weight_decays : tuple of float, default (1, 0.1, 0.01, 0.0001)
        Of the weights; biases have none.
    heads : int, default 3
        Classifiers of each point of the grid, of which the mean counts.
    """

    rates: tuple[float, ...] = Field((1.0, 0.1), min_length=1)
    weight_decays: tuple[float, ...] = Field((1.0, 0.1, 0.01, 1e-4), min_length=1)
    heads: int = Field(3, ge=1)


class LinearProbeEvaluation(Task):
    """Train the classifiers of all points of a grid at once, each for itself, and assemble one out of the best.

    Parameters
    ----------
    inputs : Preprocessor
    encoder : nn.Module
        It stays as it is.
    train, validation : DeviceRows
    grid : LinearProbeSettings
    loss : callable (logits, Y) -> scalar
        A mean over rows.

    Notes
    -----
    The classifiers of a point differ in their initial weights; a point counts with the mean of their weights. For each
    label the point with the best F1 of the validation rows at probability 0.5 is taken, of equal ones that with the
    best average precision, of those the first. The code released with the study of Audibert, Gauffre and Amini (2024)
    averages probabilities, among them those of two classifiers that it never trained.
    """

    def __init__(
        self,
        inputs: Preprocessor,
        encoder: nn.Module,
        train: DeviceRows,
        validation: DeviceRows,
        grid: LinearProbeSettings,
        loss: LogitLoss,
    ) -> None:
        self.rows, self.heads = Frozen(encoder, inputs, train, validation), grid.heads
        self.criterion, self.monitored = over_ranks(loss), loss
        self.labels = train.Y
        self.n_rows, self.n_labels, device = len(train), train.Y.n_labels, inputs.mean.device
        points = list(product(grid.rates, grid.weight_decays))
        sizes = (width(encoder, inputs), grid.heads * self.n_labels)
        self.layers = [nn.Linear(*sizes, device=device) for _ in points]
        self.module: nn.Module = nn.ModuleDict({"points": nn.ModuleList(self.layers), "encoder": encoder})
        self.groups: list[Group] = []
        for layer, (rate, weight_decay) in zip(self.layers, points, strict=True):
            for p in layer.parameters():
                self.groups.append(Group(FlatParameters([p]), rate, weight_decay if p.ndim > 1 else 0.0))

    def loss(self, rows: Tensor) -> Tensor:
        """The sum of the losses of all classifiers on these rows: each of them trains as it would alone."""
        weights = torch.cat([layer.weight for layer in self.layers])  # (points * heads * n_labels, H)
        biases = torch.cat([layer.bias for layer in self.layers])
        train = self.rows.train
        logits = nn.functional.linear(train.X[rows], weights, biases).view(-1, self.n_labels)
        n_classifiers = len(logits) // len(rows)
        repeated = rows.repeat_interleave(n_classifiers)
        weight = train.weights_of(repeated)
        return n_classifiers * self.criterion(logits, train.Y.take(repeated), sample_weight=weight)

    @torch.no_grad()
    def monitor(self) -> dict[str, float]:
        """Loss and metrics of the classifier that would be assembled now, on the validation rows."""
        validation = self.rows.validation
        logits = self.classifier()(validation.X)
        loss = float(self.monitored(logits, validation.Y))
        return {"loss": loss} | measure(torch.sigmoid(logits), validation.Y)

    @torch.no_grad()
    def classifier(self) -> nn.Linear:
        """The classifier whose rows are those of the best points, label by label."""
        weights = torch.stack([self._mean(layer.weight) for layer in self.layers])  # (points, n_labels, H)
        biases = torch.stack([self._mean(layer.bias) for layer in self.layers])  # (points, n_labels)
        validation = self.rows.validation
        logits = torch.einsum("nh,pch->pnc", validation.X, weights) + biases[:, None]
        best, labels = best_points(torch.sigmoid(logits), validation.Y), torch.arange(self.n_labels)
        assembled = nn.Linear(weights.shape[2], self.n_labels).to(weights.device)
        assembled.weight.copy_(weights[best, labels])
        assembled.bias.copy_(biases[best, labels])
        return assembled

    def _mean(self, of_heads: Tensor) -> Tensor:
        return of_heads.view(self.heads, self.n_labels, *of_heads.shape[1:]).mean(0)


def best_points(probabilities: Tensor, Y: Labels) -> Tensor:
    """The point of the grid that predicts each label best.

    Parameters
    ----------
    probabilities : (points, n, n_labels) tensor
    Y : (n, n_labels) labels

    Returns
    -------
    (n_labels,) int64 tensor
        By F1 at 0.5, where that is equal by average precision, where that is equal too the first. Without a present
        label and without a predicted one F1 counts as 0.
    """
    n_labels = probabilities.shape[2]
    best = np.zeros(n_labels, dtype=np.int64)
    best_value = np.full((2, n_labels), -1.0)
    for point, scores in enumerate(probabilities.float().cpu().numpy()):
        f1 = metrics.Counts.of(scores >= 0.5, Y).labels.f1()
        value = np.nan_to_num(np.stack([f1, metrics.average_precision(scores, Y)]))
        better = (value[0] > best_value[0]) | ((value[0] == best_value[0]) & (value[1] > best_value[1]))
        best[better], best_value[:, better] = point, value[:, better]
    return torch.from_numpy(best)
