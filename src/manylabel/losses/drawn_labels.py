"""Sampled negatives: a few labels drawn for a batch, which stand for all labels in a loss on logits."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelLists, Labels, as_labels


@dataclass(frozen=True)
class DrawnLabels:
    """Labels that a batch is scored on; build it with :func:`draw_labels`.

    Attributes
    ----------
    numbers : (K,) int64 tensor
        First those that a row carries.
    stands_for : (K,) float32 tensor
        How many labels each stands for: 1 of those that a row carries; the others share what was not drawn.
    Y : LabelLists (B, K)
        The labels of the batch in the order of ``numbers``.
    """

    numbers: Tensor
    stands_for: Tensor
    Y: LabelLists

    def logits(self, h: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Scores of these labels by a linear classifier over all labels.

        Parameters
        ----------
        h : (B, H) tensor
        weight : (n_labels, H) tensor
        bias : (n_labels,) tensor, optional

        Returns
        -------
        (B, K) tensor
            Its gradient reaches the drawn rows of ``weight`` as a sparse tensor: nothing of its size is made.
        """
        if h.dim() != 2 or weight.dim() != 2 or h.shape[1] != weight.shape[1]:
            got = f"{tuple(h.shape)} and {tuple(weight.shape)}"
            raise ManyLabelError("DrawnLabels.logits", "`h` (B, H) and `weight` (n_labels, H)", got)
        x = h @ F.embedding(self.numbers, weight, sparse=True).to(h.dtype).T
        return x if bias is None else x + bias.index_select(0, self.numbers).to(h.dtype)


def draw_labels(Y: Labels, negatives: int, generator: torch.Generator | None = None) -> DrawnLabels:
    """The labels that some row carries, and as many others as are asked for, drawn evenly without repetition.

    Parameters
    ----------
    Y : (B, n_labels) labels
    negatives : int
        At least 1; where no more are left, all are taken and the loss is that over all labels.
    generator : torch.Generator, optional
        By default torch's own.

    Raises
    ------
    ManyLabelError
        If ``negatives`` is no integer of at least 1, or ``generator`` none of torch.

    Notes
    -----
    With P labels carried and K drawn of the other C - P, each of the K stands for (C - P) / K. A loss that is a sum
    over labels (BCE, Focal, ASL) is then unbiased: over the draws, loss and gradient average to those of all C labels.
    The log-sum-exp over absent labels of ZLPR and of the rows of the two-way loss is an estimate from below, by about
    ``v / 2``, where v is the variance of the estimated sum of exponentials divided by the square of its mean; v falls
    as 1 / K. The side of the labels of the two-way loss is exact: it looks at labels that a row carries.

    Examples
    --------
    >>> from manylabel.losses import BCE
    >>> Y = torch.eye(4, 1000)
    >>> drawn = draw_labels(Y, 16)
    >>> drawn.Y.shape, drawn.stands_for[4:6]
    ((4, 20), tensor([62.2500, 62.2500]))
    >>> x = drawn.logits(torch.randn(4, 8), torch.randn(1000, 8))
    >>> loss = BCE()(x, drawn.Y, stands_for=drawn.stands_for)
    """
    _check_negatives(negatives)
    _check_generator(generator)
    labels = as_labels(Y, who="draw_labels").sparse()
    carried = labels.label_counts() > 0
    if labels.has_unknown:  # an entry that nobody asked for is no negative either
        carried |= labels.unknown.label_counts() > 0
    own, others = (mask.nonzero()[:, 0] for mask in (carried, ~carried))
    order = torch.randperm(len(others), generator=generator, device=others.device)[:negatives]
    numbers = torch.cat([own, others[order]])
    stands_for = torch.ones(len(numbers), device=numbers.device)
    stands_for[len(own) :] = len(others) / max(len(order), 1)
    return DrawnLabels(numbers, stands_for, labels.select_labels(numbers))


def _check_generator(generator: Any) -> None:
    if not isinstance(generator, torch.Generator | None):
        raise ManyLabelError("draw_labels", "`generator` as a torch.Generator", f"{generator!r:.60}")


def _check_negatives(negatives: Any) -> None:
    if not isinstance(negatives, Integral) or isinstance(negatives, bool) or negatives < 1:
        raise ManyLabelError("draw_labels", "`negatives` as an integer of at least 1", f"{negatives!r:.60}")
