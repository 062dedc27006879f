"""Classifier weights that start at the centroids of their labels, in the space of the encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manylabel.labels import LabelMatrix
from manylabel.methods.rows import DeviceRows, embed
from manylabel.models import Preprocessor

SCALE = 5.0
"""How far the logit of a row in the direction of a centroid starts above the log odds of the label."""


class LabelMoments:
    """Sums over training rows, taken a piece at a time: of representations, and of those that carry each label.

    Parameters
    ----------
    n_labels, size : int
    device : torch.device

    Attributes
    ----------
    sums : (n_labels, size + 1) tensor
        Of the rows of each label; the last column counts them.
    total : (size + 1,) float64 tensor
        Of all rows; the last number counts them.
    squares : float64 tensor
        The sum of the squared lengths of all rows.
    unknown : (n_labels,) tensor
        Counts rows on which the label is unknown.
    """

    def __init__(self, n_labels: int, size: int, device: torch.device) -> None:
        self.sums = torch.zeros(n_labels, size + 1, device=device)
        self.total = torch.zeros(size + 1, dtype=torch.float64, device=device)
        self.squares = torch.zeros((), dtype=torch.float64, device=device)
        self.unknown = torch.zeros(n_labels, device=device)

    def add(self, Z: Tensor, Y: LabelMatrix, weights: Tensor | None) -> None:
        """Add rows (n, size) with their labels, which count as their weights, (n,) or (n, n_labels), say."""
        counted = torch.cat([Z, Z.new_ones(len(Z), 1)], dim=1)  # (n, size + 1)
        of_rows = Z.new_ones(len(Z)) if weights is None else weights
        if of_rows.dim() == 2:
            Y, of_rows = _weighed(Y, of_rows), of_rows.mean(1)
            self.sums += Y.label_sums(counted)
        else:
            self.sums += Y.label_sums(counted, of_rows)
        self.total += of_rows.double() @ counted.double()
        self.squares += of_rows.double() @ Z.double().square().sum(1)
        if Y.has_unknown:
            self.unknown += Y.unknown.label_sums(of_rows[:, None])[:, 0]

    def centroids(self) -> tuple[Tensor, Tensor, Tensor]:
        """Centroids less the mean of all rows, (n_labels, size), that mean (size,), and the spread of rows about it."""
        mean = self.total[:-1] / self.total[-1]
        spread = (self.squares / self.total[-1] - mean.square().sum()).clamp_min(0).sqrt()
        mean = mean.float()
        counts = self.sums[:, -1:]
        centred = torch.where(counts > 0, self.sums[:, :-1] / counts - mean, 0.0)
        return centred, mean, spread.float()

    def log_odds(self) -> Tensor:
        """The logit of the share of rows that carry each label, of those on which it is known, (n_labels,)."""
        present = self.sums[:, -1]
        absent = (self.total[-1].float() - self.unknown - present).clamp_min(0)
        return torch.log((present + 0.5) / (absent + 0.5))


@torch.no_grad()
def start_at_centroids(
    classifier: nn.Linear, encoder: nn.Module, inputs: Preprocessor, train: DeviceRows
) -> None:
    """Point the weights of each label at the mean representation of the training rows that carry it.

    Parameters
    ----------
    classifier : nn.Linear
        (B, H) -> (B, n_labels); changed in place.
    encoder : nn.Module
        (B, *shape) -> (B, H), in evaluation mode meanwhile.
    inputs : Preprocessor
    train : DeviceRows

    Notes
    -----
    Of a row with representation h, the logit of label j starts at::

        SCALE |h - m| / s cos(h - m, c_j - m) + log odds_j

    with m the mean of all rows, s the root of their mean squared distance to it, c_j the mean of the rows that carry j,
    and the odds those of the label among the rows on which it is known. A soft label counts by its value, a row by its
    weight; a label that no row carries gets weights of 0. One pass over the rows, in memory of a few (n_labels, H).
    """
    n_labels, size = classifier.weight.shape
    moments = LabelMoments(n_labels, size, classifier.weight.device)
    # as many rows as labels at a time, so that sums of labels are not made for every small block
    for rows in torch.split(torch.arange(len(train), device=train.Y.device), max(inputs.block, n_labels)):
        part = train.take(rows)
        moments.add(embed(encoder, part, inputs), part.Y, part.weights)
    centred, mean, spread = moments.centroids()
    least = max(1e-3 * float(spread), 1e-12)  # what is shorter is no direction but rounding
    weight = SCALE / spread.clamp_min(1e-12) * F.normalize(centred, dim=1, eps=least)
    classifier.weight.copy_(weight)
    classifier.bias.copy_(moments.log_odds() - weight @ mean)


def _weighed(Y: LabelMatrix, weights: Tensor) -> LabelMatrix:
    """Labels whose entries are multiplied by weights, (n, n_labels)."""
    lists = Y.sparse()
    of_entries = weights[lists.rows.long(), lists.columns.long()]  # (nnz,)
    return lists.with_entries(of_entries if lists.weights is None else of_entries * lists.weights)
