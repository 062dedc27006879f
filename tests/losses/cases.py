"""The table of losses that the property tests run over, and small inputs for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from tests import reference
from torch import Tensor

from manylabel import losses

ENGINES = ("dense", "streamed")

TWINS: dict[str, Callable[..., Tensor]] = {
    "supcon": reference.supcon,
    "all": reference.supcon_all,
    "any": reference.supcon_any,
    "mulsupcon": reference.mulsupcon,
    "mulsupcon_weighted": reference.mulsupcon_weighted,
    "base": reference.base,
    "similarity_dissimilarity": reference.similarity_dissimilarity,
    "pair_weighted": reference.pair_weighted,
}
SOFT = ("mulsupcon", "mulsupcon_weighted")


@dataclass
class Case:
    """Raw rows and labels of anchors and candidates."""

    x: Tensor
    Y: Tensor
    keys: Tensor
    T: Tensor

    def to(self, dtype: torch.dtype) -> Case:
        return Case(self.x.to(dtype), self.Y, self.keys.to(dtype), self.T)


def labels(n: int, c: int, density: float, generator: torch.Generator, one: bool = False) -> Tensor:
    """Random 0/1 rows; with ``one``, one label per row."""
    if one:
        return torch.nn.functional.one_hot(torch.randint(c, (n,), generator=generator), c)
    return (torch.rand(n, c, generator=generator) < density).long()


def case(
    name: str = "any", b: int = 9, n: int = 14, c: int = 5, d: int = 6, density: float = 0.3, seed: int = 0
) -> Case:
    """A random case; rows without labels and shared vectors among them, one label a row for SupCon."""
    g = torch.Generator().manual_seed(seed)
    x, keys = torch.randn(b, d, generator=g).double(), torch.randn(n, d, generator=g).double()
    Y, T = (labels(rows, c, density, g, one=name == "supcon") for rows in (b, n))
    return Case(x, Y, keys, T)


def run(
    name: str,
    c: Case,
    in_batch: bool,
    *,
    keys_grad: bool = True,
    sparse: bool = False,
    ran: str | None = None,
    **settings: object,
) -> tuple[Tensor, list[Tensor]]:
    """Value and gradients (anchors, and keys where they have one) of a loss built by name.

    ``ran`` is the backend that must have run, the one that the settings ask for where it is left out.
    """
    x = c.x.clone().requires_grad_()
    keys = c.keys.clone().requires_grad_(keys_grad)
    Y, T = (c.Y.double().to_sparse(), c.T.double().to_sparse()) if sparse else (c.Y, c.T)
    loss = losses.get(name, **settings)
    value = loss(x, Y) if in_batch else loss(x, Y, keys, T)
    assert loss.backend == (ran or settings.get("engine", loss.backend))
    inputs = [x] if in_batch or not keys_grad else [x, keys]
    return value.detach(), list(torch.autograd.grad(value.sum(), inputs))


def twin(
    name: str, c: Case, in_batch: bool, tau: float, normalize: bool = True
) -> tuple[Tensor, list[Tensor]]:
    """What the slow twin says, in float64."""
    x, keys = c.x.double().clone().requires_grad_(), c.keys.double().clone().requires_grad_()
    z, k = (reference.unit(x), reference.unit(keys)) if normalize else (x, keys)
    value = TWINS[name](z, c.Y, z, c.Y, tau, True) if in_batch else TWINS[name](z, c.Y, k, c.T, tau, False)
    grads = torch.autograd.grad(value, [x] if in_batch else [x, keys], allow_unused=True)
    return value.detach(), [
        torch.zeros_like(i) if g is None else g for g, i in zip(grads, [x, keys], strict=False)
    ]


def assert_near(
    got: tuple[Tensor, list[Tensor]], want: tuple[Tensor, list[Tensor]], rtol: float, atol: float = 0.0
) -> None:
    """Values relative to 1 or more, gradients relative to their largest entry."""
    scale = max(1.0, float(want[0].abs()))
    assert abs(float(got[0]) - float(want[0])) <= rtol * scale + atol, (float(got[0]), float(want[0]))
    for g, w in zip(got[1], want[1], strict=True):
        largest = max(float(w.abs().max()), 1e-3)
        error = float((g.double() - w.double()).abs().max())
        assert error <= rtol * largest + atol, (error, largest)
