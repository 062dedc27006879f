"""Random inputs of a given shape, with labels as frequent as in real data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn import functional as F

from manylabel import losses
from manylabel.benchmarking import textbook
from manylabel.labels import LabelMatrix, PackedLabels, as_labels
from manylabel.models import LabelQueue

TEMPERATURE = 0.1
KERNEL_TEMPERATURE = 0.17


@dataclass(frozen=True)
class Shape:
    """Anchors, candidates, labels, dimension, and labels a row."""

    rows: int
    candidates: int
    labels: int
    dim: int
    per_row: float

    def tiny(self) -> Shape:
        """A shape whose loss takes no time, to load what a first call loads; labels are listed where this one's are."""
        rows, labels = min(self.rows, 256), min(self.labels, 512)
        return replace(self, rows=rows, candidates=min(self.candidates, 2 * rows), labels=labels, per_row=2.0)


@dataclass(frozen=True)
class Problem:
    """One loss on one set of inputs.

    Attributes
    ----------
    loss : callable
        Value and gradients in a given precision.
    textbook : callable, optional
        The slow way to the value and the gradients.
    textbook_share : float, default 1
        The part of the work that the slow way does.
    floor : callable, optional
        Makes a function that does the matrix products alone.
    """

    loss: Callable[[torch.dtype], list[Tensor]]
    textbook: Callable[[], list[Tensor]] | None = None
    textbook_share: float = 1.0
    floor: Callable[[], Callable[[], None]] | None = None


def drawn_labels(n_rows: int, n_labels: int, per_row: float, generator: torch.Generator) -> Tensor:
    """0/1 rows: the k-th label is ``k^-0.8`` times as frequent as the first, at most half of the time."""
    frequency = torch.arange(1, n_labels + 1, dtype=torch.float64) ** -0.8
    for _ in range(20):
        frequency = (frequency * per_row / frequency.sum()).clamp(max=0.5)
    Y = torch.rand(n_rows, n_labels, generator=generator) < frequency.float()
    empty = ~Y.any(1)
    Y[empty, torch.randint(n_labels, (int(empty.sum()),), generator=generator)] = True
    return Y


def listed_labels(n_rows: int, n_labels: int, per_row: int, generator: torch.Generator) -> LabelMatrix:
    """As many labels in each row, drawn evenly, as lists."""
    columns = torch.randint(n_labels, (n_rows, per_row), generator=generator).flatten().numpy()
    rows = np.arange(n_rows).repeat(per_row)
    Y = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n_rows, n_labels))
    return as_labels(Y.astype(bool))


def with_keys(shape: Shape, textbook_rows: int | None = None, engine: str = "auto") -> Problem:
    """MulSupCon against constant keys: as many as there are anchors, and a queue that knows its label sums."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(shape.rows, shape.dim, generator=g)
    keys = F.normalize(torch.randn(shape.candidates, shape.dim, generator=g))
    Y, T = (drawn_labels(n, shape.labels, shape.per_row, g) for n in (shape.rows, shape.candidates))
    loss = losses.get("mulsupcon", temperature=TEMPERATURE, engine=engine)
    queue = LabelQueue(max(shape.candidates - shape.rows, 1), shape.dim, shape.labels, running_sums=True)
    queue.push(keys[shape.rows :], T[shape.rows :])
    carried = PackedLabels.pack(T)

    def value(z: Tensor) -> Tensor:
        sums = queue.label_sums(keys[: shape.rows], T[: shape.rows])
        found: Tensor = loss(z, Y, keys.to(z.dtype), carried.with_sums(keys, *sums))
        return found

    first = slice(0, min(textbook_rows or shape.rows, shape.rows))
    few, targets = x[first].clone(), T.float()
    return Problem(
        lambda dtype: gradients(value, x.to(dtype)),
        lambda: gradients(lambda z: textbook.mulsupcon(z, Y[first], keys, targets, TEMPERATURE), few),
        float(Y[first].sum() / Y.sum()),
        lambda: textbook.products(shape.rows, shape.candidates, shape.dim, both=False),
    )


def with_keys_and_many_labels(shape: Shape) -> Problem:
    """MulSupCon against constant keys where only lists can hold the labels."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(shape.rows, shape.dim, generator=g)
    keys = F.normalize(torch.randn(shape.candidates, shape.dim, generator=g))
    Y, T = (listed_labels(n, shape.labels, round(shape.per_row), g) for n in (shape.rows, shape.candidates))
    loss = losses.get("mulsupcon", temperature=TEMPERATURE)
    return Problem(lambda dtype: gradients(lambda z: loss(z, Y, keys.to(dtype), T), x.to(dtype)))


def in_batch(name: str, shape: Shape) -> Problem:
    """A loss of a batch against itself; the labels come as lists."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(shape.rows, shape.dim, generator=g)
    Y = as_labels(drawn_labels(shape.rows, shape.labels, shape.per_row, g)).sparse()
    loss = losses.get(name, temperature=TEMPERATURE)
    return Problem(
        lambda dtype: gradients(lambda z: loss(z, Y), x.to(dtype)),
        floor=lambda: textbook.products(shape.rows, shape.rows, shape.dim, both=True),
    )


def with_prototypes(shape: Shape, slow: bool) -> Problem:
    """REG at alpha = 0: samples and prototypes, each against all the others."""
    g = torch.Generator().manual_seed(0)
    x, P = (torch.randn(n, shape.dim, generator=g) for n in (shape.rows, shape.labels))
    Y = drawn_labels(shape.rows, shape.labels, shape.per_row, g)
    n = shape.rows + shape.labels
    loss = losses.get("reg", temperature=TEMPERATURE)
    return Problem(
        lambda dtype: gradients(lambda z, p: loss(z, Y, p), x.to(dtype), P.to(dtype)),
        (lambda: gradients(lambda z, p: textbook.reg(z, Y, p, TEMPERATURE), x, P)) if slow else None,
        floor=lambda: textbook.products(n, n, shape.dim, both=True),
    )


def kernel_mixture(shape: Shape, anisotropic: bool) -> Problem:
    """KMCL's contrastive term, ``shape.dim`` features, one variance for all of them or one for each."""
    g = torch.Generator().manual_seed(0)
    Y = drawn_labels(shape.rows, shape.labels, shape.per_row, g)
    size = (shape.rows, shape.dim, shape.labels) if anisotropic else (shape.rows, shape.labels)
    means = 0.05 * torch.randn(size, generator=g)
    variances = 1 + 0.05 * torch.rand(size, generator=g)

    loss = losses.KMCL(temperature=KERNEL_TEMPERATURE)

    def term(m: Tensor, v: Tensor) -> Tensor:
        return loss.contrastive(m, v, Y, n_features=shape.dim).value

    def slow(m: Tensor, v: Tensor) -> Tensor:
        return textbook.kernel_contrastive(m, v, Y, shape.dim, KERNEL_TEMPERATURE)

    return Problem(
        lambda dtype: gradients(term, means.to(dtype), variances.to(dtype)),
        lambda: gradients(slow, means, variances),
    )


def gradients(function: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor]:
    """Value of a function and its gradients with respect to all inputs."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    value = function(*leaves)
    return [value.detach(), *torch.autograd.grad(value, leaves)]
