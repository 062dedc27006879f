"""Every loss compiles to one graph with dense labels, and says the same there."""

from __future__ import annotations

import shutil

import pytest
import torch
from tests.losses.cases import labels

from manylabel import losses

SETTINGS = {"reg_alpha": {"alpha": 1.5}, "wrg_hard": {"alpha": -1.0}, "msc": {"alpha": 0.5}}
WITH_PROTOTYPES = ("proto", "msc", "reg", "wrg", "reg_alpha", "wrg_hard")
WITH_KEYS = (
    "supcon",
    "all",
    "any",
    "mulsupcon",
    "mulsupcon_weighted",
    "base",
    "similarity_dissimilarity",
    "pair_weighted",
)
ON_LOGITS = ("bce", "focal", "asl", "zlpr", "twoway")
CASES = [(name, "logits") for name in ON_LOGITS] + [(name, "prototypes") for name in WITH_PROTOTYPES]
CASES += [(name, way) for name in WITH_KEYS for way in ("keys", "mutual")]
BACKENDS = [
    "aot_eager",
    pytest.param(
        "inductor",
        marks=[
            pytest.mark.slow,
            pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler"),
            pytest.mark.filterwarnings("ignore"),
        ],
    ),
]


def build(name: str, way: str):
    """A loss and its arguments, the tensors that need a gradient first."""
    g = torch.Generator().manual_seed(2)
    Y, T = (labels(n, 4, 0.4, g, one=name == "supcon") for n in (12, 20))
    z, keys, P = (torch.randn(*shape, generator=g) for shape in ((12, 8), (20, 8), (4, 8)))
    base = name.removesuffix("_alpha").removesuffix("_hard")
    loss = losses.get(base, **SETTINGS.get(name, {}))
    if way == "logits":
        return loss, (torch.randn(12, 4, generator=g),), lambda x: (x, Y)
    if way == "prototypes":
        return loss, (z, P), lambda z, P: (z, Y, P)
    if way == "keys":
        return loss, (z, keys), lambda z, k: (z, Y, k, T)
    return loss, (z,), lambda z: (z, Y)


def gradients(loss, tensors, arrange):
    leaves = [t.clone().requires_grad_() for t in tensors]
    value = loss(*arrange(*leaves))
    return [value, *torch.autograd.grad(value, leaves)]


@pytest.mark.parametrize(("name", "way"), CASES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_one_graph(name, way, backend):
    torch._dynamo.reset()
    loss, tensors, arrange = build(name, way)
    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    want = gradients(loss, tensors, arrange)
    got = gradients(compiled, tensors, arrange)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_every_contrastive_loss_is_here():
    known = {name for name, _ in CASES} | {"mulsupcon_inbatch", "kmcl"}  # kmcl: test_kernel_mixture
    assert set(losses.names()) <= known
