"""Every loss compiles to one graph with dense labels, and says the same there."""

from __future__ import annotations

import shutil

import pytest
import torch
from tests.losses.registry import labels

from manylabel import losses

SETTINGS = {
    "reg_alpha": {"alpha": 1.5},
    "reg_hard": {"alpha": -1.0},
    "wrg_hard": {"alpha": -1.0},
    "msc": {"alpha": 0.5},
    "mulsupcon_both": {"negatives": "label_aware", "frequency_power": 0.5},
}
WITH_PROTOTYPES = ("proto", "msc", "reg", "wrg", "reg_alpha", "reg_hard", "wrg_hard")
WITH_KEYS = (
    "supcon",
    "all",
    "any",
    "mulsupcon",
    "mulsupcon_weighted",
    "mulsupcon_both",
    "decoupled",
    "base",
    "jaccard",
    "similarity_dissimilarity",
    "pair_weighted",
)
ON_LOGITS = ("bce", "focal", "asl", "zlpr", "twoway")
CASES = [(name, "logits") for name in ON_LOGITS] + [(name, "prototypes") for name in WITH_PROTOTYPES]
CASES += [(name, way) for name in WITH_KEYS for way in ("keys", "in_batch")]
CASES += [("msc", "prototypes and keys"), ("mulsupcon_inbatch", "in_batch")]
CASES += [("debiased", "keys"), ("debiased", "in_batch")]
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
    if name == "debiased":  # other views have the labels of their rows
        T[:12], Y = (Y, Y) if way == "keys" else (T[:12], Y[:6].repeat(2, 1))
    z, keys, P = (torch.randn(*shape, generator=g) for shape in ((12, 8), (20, 8), (4, 8)))
    base = name.removesuffix("_alpha").removesuffix("_hard").removesuffix("_both")
    loss = losses.get(base, **SETTINGS.get(name, {}))
    if way == "logits":
        return loss, (torch.randn(12, 4, generator=g),), lambda x: (x, Y)
    if way == "prototypes":
        return loss, (z, P), lambda z, P: (z, Y, P)
    if way == "prototypes and keys":
        return loss, (z, P, keys), lambda z, P, k: (z, Y, P, k, T)
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


def test_compiled_code_takes_the_dense_form_unless_the_loss_is_left_out():
    torch._dynamo.reset()
    g = torch.Generator().manual_seed(3)
    x, Y = torch.randn(200, 6, generator=g), labels(200, 4, 0.4, g)
    network, loss = torch.nn.Linear(6, 8), losses.get("mulsupcon")
    want = loss(network(x), Y)
    assert loss.backend == "streamed"
    inside = torch.compile(lambda x, Y: loss(network(x), Y), fullgraph=True, backend="eager")
    torch.testing.assert_close(inside(x, Y), want)
    assert loss.backend == "dense"
    left_out = torch.compiler.disable(loss)
    outside = torch.compile(lambda x, Y: left_out(network(x), Y), backend="eager")
    torch.testing.assert_close(outside(x, Y), want)
    assert loss.backend == "streamed"


def test_every_contrastive_loss_is_here():
    known = {name for name, _ in CASES} | {"kmcl"}  # which test_kernel_mixture compiles
    assert set(losses.names()) <= known
