"""KMCL: stored values of the released code, slow twins, both ways to compute the contrastive term."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tests import reference

from manylabel import losses
from manylabel.errors import ManyLabelError
from manylabel.losses import kernel_pairs as walk
from manylabel.losses.kernel_mixture import kmcl_terms

STORED = np.load(Path(__file__).parents[1] / "reference_values" / "kmcl.npz")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
ENGINES = ("dense", "streamed")
INPUTS = ("feat", "logit", "mu", "var")
every_engine = pytest.mark.parametrize("engine", ENGINES)


@pytest.mark.parametrize("case", range(6))
@every_engine
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("sparse", [False, True])
def test_released_values(case, engine, dtype, sparse):
    arrays = {n: STORED[f"c{case}__{n}"] for n in (*INPUTS, "Y")}
    Y = torch.from_numpy(arrays["Y"])
    labels = Y.float().to_sparse() if sparse else Y
    tolerance = TOLERANCE[dtype]
    for term in ("asl", "reconstruction", "contrastive"):
        leaves = {n: torch.from_numpy(arrays[n]).to(dtype).requires_grad_() for n in INPUTS}
        value = getattr(kmcl_terms(*leaves.values(), labels, engine=engine), term)
        (value + 0 * sum(leaf.sum() for leaf in leaves.values())).backward()
        want, factor = float(STORED[f"c{case}__{term}__value"]), 1.0
        if case == 5 and term == "reconstruction":  # the row without labels is not counted here
            factor = 7 / 6
            want = (want - -math.log(1e-7) / 7) * factor
        assert abs(float(value.detach()) - want) <= tolerance * max(1, abs(want))
        for name, leaf in leaves.items():
            key = f"c{case}__{term}__grad_{name}"
            if key in STORED.files:
                grad = STORED[key] * factor
                atol = tolerance * max(np.abs(grad).max(), 0.1)
                np.testing.assert_allclose(leaf.grad.numpy(), grad, rtol=tolerance, atol=atol)


@pytest.mark.parametrize("case", [0, 1, 2, 3])
def test_total_is_the_sum(case):
    tensors = [torch.from_numpy(STORED[f"c{case}__{n}"]) for n in (*INPUTS, "Y")]
    assert float(losses.get("kmcl")(*tensors)) == pytest.approx(
        float(STORED[f"c{case}__total__value"]), rel=1e-10
    )


def drawn(shape: str, b: int = 7, c: int = 4, d: int = 3, seed: int = 0) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    size = (b, c) if shape == "isotropic" else (b, d, c)
    Y = (torch.rand(b, c, generator=g) < 0.4).long()
    Y[-1] = 0
    mu = 0.3 * torch.randn(*size, generator=g).double()
    v = 1 + torch.rand(*size, generator=g).double()
    return [torch.randn(b, d, generator=g).double(), torch.randn(b, c, generator=g).double(), mu, v, Y]


def twins(f, x, mu, v, Y, scale="released"):
    wide = mu.dim() == 2
    m, s = (t[:, None, :].expand(-1, f.shape[1], -1) if wide else t for t in (mu, v))
    factor = 1.0 if wide or scale == "bhattacharyya" else f.shape[1]
    return reference.kmcl_reconstruction(f, x, m, s, Y), reference.kmcl_contrastive(m, s, Y, factor)


@every_engine
@pytest.mark.parametrize("shape", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("scale", ["released", "bhattacharyya"])
def test_equals_its_slow_twin(engine, shape, scale):
    f, x, mu, v, Y = drawn(shape)
    mu.requires_grad_()
    v.requires_grad_()
    terms = kmcl_terms(f, x, mu, v, Y, engine=engine, scale=scale)
    want = twins(f, x, mu, v, Y, scale)
    torch.testing.assert_close(terms.reconstruction, want[0])
    torch.testing.assert_close(terms.contrastive, want[1])
    for got, expected in zip(
        torch.autograd.grad(terms.contrastive, [mu, v]), torch.autograd.grad(want[1], [mu, v]), strict=True
    ):
        torch.testing.assert_close(got, expected)


@every_engine
def test_shared_variances(engine):
    f, x, mu, v, Y = drawn("anisotropic")
    per_dimension = v[:, :, 0].contiguous()
    loss = losses.get("kmcl", similarity="mks", engine=engine)
    want = losses.get("kmcl")(f, x, mu, per_dimension[:, :, None].expand_as(mu), Y)
    torch.testing.assert_close(loss(f, x, mu, per_dimension, Y), want)
    f, x, mu, v, Y = drawn("isotropic")
    loss = losses.get("kmcl", similarity="rbf", engine=engine)
    torch.testing.assert_close(
        loss(f, x, mu, v[:, :1], Y), losses.get("kmcl")(f, x, mu, v[:, :1].expand_as(mu), Y)
    )


@pytest.mark.parametrize("shape", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("tile", [1, 40, 100])
def test_tile_size_does_not_matter(shape, tile, monkeypatch):
    f, x, mu, v, Y = drawn(shape)
    want = kmcl_terms(f, x, mu, v, Y, engine="dense").contrastive
    monkeypatch.setattr(walk, "_TILE", tile)
    torch.testing.assert_close(kmcl_terms(f, x, mu, v, Y, engine="streamed").contrastive, want)


@every_engine
@pytest.mark.parametrize("shape", ["isotropic", "anisotropic"])
def test_gradients(engine, shape):
    f, x, mu, v, Y = drawn(shape, b=4)
    loss = losses.get("kmcl", engine=engine)
    inputs = [t.requires_grad_() for t in (f, x, mu, v)]
    loss_asl_free = lambda *t: sum(kmcl_terms(*t, Y, **loss.settings())[1:])  # noqa: E731
    assert torch.autograd.gradcheck(loss_asl_free, inputs)
    if engine == "dense":
        assert torch.autograd.gradgradcheck(loss_asl_free, inputs, atol=1e-4)


@every_engine
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("fill", [0, 1])
def test_one_row_no_labels_all_labels(engine, rows, fill):
    f, x, mu, v, Y = drawn("isotropic", b=rows)
    inputs = [t.float().requires_grad_() for t in (f, x, mu, v)]
    terms = kmcl_terms(*inputs, torch.full_like(Y, fill), engine=engine)
    torch.stack(terms).sum().backward()
    assert all(bool(t.isfinite()) for t in terms)
    assert all(bool(t.grad.isfinite().all()) for t in inputs)
    if rows == 1 or fill == 0:
        assert float(terms.contrastive) == 0
    if fill == 0:
        assert float(terms.reconstruction) == 0


@every_engine
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_float32_inside(engine, dtype):
    *inputs, Y = drawn("isotropic")
    half = [t.to(dtype) for t in inputs]
    value = losses.get("kmcl", engine=engine)(*half, Y)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, losses.get("kmcl")(*(t.double() for t in half), Y).float())


def test_bad_input():
    f, x, mu, v, Y = drawn("isotropic")
    with pytest.raises(ManyLabelError, match=r"means of shape \(7, 4\) \(isotropic\) or \(7, 3, 4\)"):
        losses.get("kmcl")(f, x, mu[:, :3], v, Y)
    with pytest.raises(ManyLabelError, match=r"variances of shape \(7, 4\), but got \(7, 3\)"):
        losses.get("kmcl")(f, x, mu, v[:, :3], Y)
    with pytest.raises(ManyLabelError, match="'mks' with anisotropic means"):
        losses.get("kmcl", similarity="mks")(f, x, mu, v, Y)
    with pytest.raises(ManyLabelError, match="7 rows of labels and logits alike"):
        losses.get("kmcl")(f, x[:6], mu, v, Y)
    with pytest.raises(ManyLabelError, match="one of 'released', 'bhattacharyya'"):
        losses.get("kmcl", scale="paper")
