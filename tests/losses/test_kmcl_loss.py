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
from manylabel.losses.softmax.tiles import tile_size

STORED = np.load(Path(__file__).parents[1] / "reference_values" / "kmcl.npz")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
ENGINES = ("dense", "streamed")
INPUTS = ("feat", "logit", "mu", "var")
every_shape = pytest.mark.parametrize("shape", ["isotropic", "anisotropic"])
every_engine = pytest.mark.parametrize("engine", ENGINES)


def kmcl_terms(*arguments, **settings):
    return losses.KMCL(**settings).terms(*arguments)


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


@pytest.mark.parametrize("case", range(6))
@every_engine
def test_total_is_the_sum(case, engine):
    tensors = [torch.from_numpy(STORED[f"c{case}__{n}"]) for n in (*INPUTS, "Y")]
    want = float(STORED[f"c{case}__total__value"])
    if case == 5:  # the row without labels is not counted here
        released = float(STORED["c5__reconstruction__value"])
        want += (released - -math.log(1e-7) / 7) * 7 / 6 - released
    assert float(losses.get("kmcl", engine=engine)(*tensors)) == pytest.approx(want, rel=1e-10)


def drawn(shape: str, b: int = 7, c: int = 4, d: int = 3, seed: int = 0) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    size = (b, c) if shape == "isotropic" else (b, d, c)
    Y = (torch.rand(b, c, generator=g) < 0.4).long()
    Y[-1] = 0
    mu = 0.3 * torch.randn(*size, generator=g).double()
    v = 1 + torch.rand(*size, generator=g).double()
    return [torch.randn(b, d, generator=g).double(), torch.randn(b, c, generator=g).double(), mu, v, Y]


@every_engine
@every_shape
@pytest.mark.parametrize("scale", ["released", "bhattacharyya"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_equals_its_slow_twins(engine, shape, scale, reduction):
    *inputs, Y = drawn(shape)
    inputs = [t.requires_grad_() for t in inputs]
    f, x, mu, v = inputs
    terms = kmcl_terms(*inputs, Y, engine=engine, scale=scale, reduction=reduction)
    want = reference.kmcl_reconstruction(f, x, mu, v, Y), reference.kmcl_contrastive(f, mu, v, Y, scale)
    counts = (6, 7) if reduction == "none" else (1, 1)
    for got, expected, count in zip(terms[1:], want, counts, strict=True):
        torch.testing.assert_close(got.sum() / count, expected)
        grads = (
            torch.autograd.grad(value, inputs, allow_unused=True, materialize_grads=True)
            for value in (got.sum() / count, expected)
        )
        torch.testing.assert_close(*grads)


@every_engine
@every_shape
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_every_term_has_its_divisor(engine, shape, reduction):
    *inputs, Y = drawn(shape)
    loss = losses.get("kmcl", engine=engine, reduction=reduction)
    assert loss.divisor is None
    loss(*inputs, Y)
    assert tuple(map(float, loss.divisor)) == (1, 6, 7)  # one of the 7 rows has no labels
    rows, means = (kmcl_terms(*inputs, Y, engine=engine, reduction=r) for r in ("none", "mean"))
    for values, mean, divisor in zip(rows, means, loss.divisor, strict=True):
        torch.testing.assert_close(mean * divisor, values.sum())


@every_engine
def test_values_of_rows_can_have_different_weights(engine):
    f, _, mu, v, Y = drawn("anisotropic")
    weights = torch.rand(7).double()
    grads = []
    for backend in (engine, "dense"):
        inputs = [t.clone().requires_grad_() for t in (mu, v)]
        rows = (
            losses.KMCL(reduction="none", engine=backend).contrastive(*inputs, Y, n_features=f.shape[1]).value
        )
        grads.append(torch.autograd.grad(rows @ weights, inputs))
    torch.testing.assert_close(*grads)


@every_engine
def test_shared_variances(engine):
    f, x, mu, v, Y = drawn("anisotropic")
    per_dimension = v[:, :, 0].contiguous()
    loss = losses.get("kmcl", similarity="mks", engine=engine)
    want = losses.get("kmcl")(f, x, mu, per_dimension[:, :, None].expand_as(mu), Y)
    torch.testing.assert_close(loss(f, x, mu, per_dimension, Y), want)
    f, x, mu, v, Y = drawn("isotropic")
    loss = losses.get("kmcl", similarity="rbf", engine=engine)
    want = losses.get("kmcl")(f, x, mu, v[:, :1].expand_as(mu), Y)
    torch.testing.assert_close(loss(f, x, mu, v[:, :1], Y), want)


def test_flat_means_are_read_dimension_first():
    f, x, mu, v, Y = drawn("anisotropic")
    flat = losses.get("kmcl")(f, x, mu.flatten(1), v.flatten(1), Y)
    torch.testing.assert_close(flat, losses.get("kmcl")(f, x, mu, v, Y))


@every_shape
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_tile_size_does_not_matter(shape, rows):
    inputs = drawn(shape)
    want = kmcl_terms(*inputs, engine="dense")
    with tile_size(rows, rows):
        torch.testing.assert_close(kmcl_terms(*inputs, engine="streamed"), want)


@every_shape
def test_dense_backend_is_twice_differentiable(shape):
    *inputs, Y = drawn(shape, b=4)
    f, x, mu, v = (t.requires_grad_() for t in inputs)
    assert torch.autograd.gradgradcheck(
        lambda *t: sum(kmcl_terms(*t, Y, engine="dense")[1:]), (f, x, mu, v), atol=1e-4, fast_mode=True
    )


@pytest.mark.parametrize("shape", ["isotropic", "anisotropic", "bhattacharyya", "mks", "rbf"])
def test_compiles_to_one_graph(shape):
    f, x, mu, v, Y = drawn("isotropic" if shape in ("isotropic", "rbf") else "anisotropic")
    settings = {}
    if shape == "bhattacharyya":
        settings = {"scale": shape}
    elif shape in ("mks", "rbf"):
        settings, v = {"similarity": shape}, v[:, :, 0] if shape == "mks" else v[:, :1]
    inputs = [t.clone().requires_grad_() for t in (f, x, mu, v)]
    loss = losses.get("kmcl", **settings)
    torch._dynamo.reset()
    backend = "eager" if settings else "aot_eager"
    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    values = [run(*inputs, Y) for run in (loss, compiled)]
    assert loss.divisor is None
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad(value, inputs) for value in values))


@every_engine
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("fill", [0, 1])
def test_one_row_no_labels_all_labels(engine, rows, fill):
    f, x, mu, v, Y = drawn("isotropic", b=rows)
    inputs = [t.float().requires_grad_() for t in (f, x, mu, v)]
    terms = kmcl_terms(*inputs, torch.full_like(Y, fill), engine=engine)
    torch.stack(terms).sum().backward()
    asl, reconstruction, contrastive = (float(t.detach()) for t in terms)
    assert math.isfinite(asl)
    assert all(bool(t.grad.isfinite().all()) for t in inputs)
    assert reconstruction == pytest.approx(0, abs=1e-6)  # no label is true, or all of them are
    assert (contrastive == 0) == (rows == 1 or fill == 0)


@every_shape
def test_many_dimensions_in_float32(shape):
    """Distances of hundreds whose differences carry the loss, variances that differ in their last digits."""
    inputs = drawn(shape, b=12, d=512)
    inputs[3] = 1.5 + 1e-3 * (inputs[3] - 1)
    inputs[2] = 0.02 * inputs[2]
    single = [t.float().requires_grad_() for t in inputs[:4]]
    double = [t.detach().double().requires_grad_() for t in single]
    for part in (1, 2):
        values = [kmcl_terms(*side, inputs[4], engine="streamed")[part] for side in (single, double)]
        assert float(values[0].detach()) == pytest.approx(float(values[1].detach()), rel=2e-7)
        for side in zip(
            *(
                torch.autograd.grad(value, side, allow_unused=True)
                for value, side in zip(values, (single, double), strict=True)
            ),
            strict=True,
        ):
            if side[0] is not None:
                assert float((side[0] - side[1]).norm() / side[1].norm()) < 2e-6


def test_bad_input():
    f, x, mu, v, Y = drawn("isotropic")
    kmcl = losses.get("kmcl")
    with pytest.raises(ManyLabelError, match=r"means of shape \(7, 4\) \(isotropic\) or \(7, 3, 4\)"):
        kmcl(f, x, mu[:, :3], v, Y)
    with pytest.raises(
        ManyLabelError, match=r"variances of shape \(7, 4\) for similarity 'bc', but got \(7, 3\)"
    ):
        kmcl(f, x, mu, v[:, :3], Y)
    with pytest.raises(ManyLabelError, match="'mks' with anisotropic means"):
        losses.get("kmcl", similarity="mks")(f, x, mu, v, Y)
    with pytest.raises(ManyLabelError, match="7 rows of labels, and logits of the same shape"):
        kmcl(f, x[:6], mu, v, Y)
    with pytest.raises(ManyLabelError, match="labels that are 0 or 1"):
        kmcl(f, x, mu, v, 0.5 * Y)
    with pytest.raises(ManyLabelError, match="scale 'released' or 'bhattacharyya'"):
        losses.get("kmcl", scale="paper")
    with pytest.raises(ManyLabelError, match="similarity 'bc', 'mks' or 'rbf'"):
        losses.get("kmcl", similarity="cosine")
