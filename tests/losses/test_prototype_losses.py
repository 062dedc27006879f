"""Prototype losses: stored values, slow twins, the property that REG is named for, edges."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests import reference

from manylabel import LabelMatrix, losses
from manylabel.errors import ManyLabelError
from manylabel.losses.prototype_weights import EqualREGWeights, REGWeights, equal_label_weights
from manylabel.losses.softmax import contrast
from manylabel.losses.softmax.tiles import tile_size

FOLDER = Path(__file__).parents[1] / "reference_values"
STORED = {name: np.load(FOLDER / f"{name}.npz") for name in ("prototype_losses", "edge_definitions")}
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
ENGINES = ("dense", "streamed")
NAMES = ("proto", "msc", "reg", "wrg")
TWINS = {name: getattr(reference, name) for name in NAMES}
every_loss = pytest.mark.parametrize("name", NAMES)
every_engine = pytest.mark.parametrize("engine", ENGINES)


def variants() -> list[tuple[str, str, str]]:
    found = []
    for file, arrays in STORED.items():
        for key in arrays.files:
            match = re.fullmatch(r"(c\d)__(.*)__value", key)
            if match and match[2] != "mulsupcon_inbatch":
                found.append((file, match[1], match[2]))
    return found


def build(variant: str, **settings) -> torch.nn.Module:
    name, *numbers = variant.replace("msc_queue", "msc").split("_")
    letters = {"a": "alpha", "b": "beta"}
    return losses.get(name, **{letters[n[0]]: float(n[1:]) for n in numbers}, **settings)


@pytest.mark.parametrize(("file", "case", "variant"), variants())
@every_engine
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("sparse", [False, True])
def test_stored_values(file, case, variant, engine, dtype, sparse):
    arrays = STORED[file]
    x, P = (torch.from_numpy(arrays[f"{case}__{n}"]).to(dtype).requires_grad_() for n in ("x", "P"))
    Y = torch.from_numpy(arrays[f"{case}__Y"])
    loss = build(variant, temperature=float(arrays[f"{case}__tau"]), engine=engine)
    arguments = [Y.float().to_sparse() if sparse else Y]
    if not variant.startswith("base"):
        arguments.append(P)
    if "queue" in variant:
        keys = np.concatenate([arrays[f"{case}__key"], arrays[f"{case}__queue"]])
        arguments += [
            torch.from_numpy(keys).to(dtype),
            torch.cat([Y, torch.from_numpy(arrays[f"{case}__TQ"])]),
        ]
    value = loss(x, *arguments)
    value.backward()
    tolerance = TOLERANCE[dtype]
    want = arrays[f"{case}__{variant}__value"]
    assert abs(float(value.detach()) - want) <= tolerance * max(1, abs(want))
    for leaf, letter in ((x, "x"), (P, "P")):
        key = f"{case}__{variant}__grad_{letter}"
        if key in arrays.files:
            grad = arrays[key]
            atol = tolerance * max(np.abs(grad).max(), 0.1)
            np.testing.assert_allclose(leaf.grad.numpy(), grad, rtol=tolerance, atol=atol)


def drawn(b: int = 8, c: int = 5, d: int = 6, density: float = 0.35, seed: int = 0):
    g = torch.Generator().manual_seed(seed)
    x, P = torch.randn(b, d, generator=g).double(), torch.randn(c, d, generator=g).double()
    Y = (torch.rand(b, c, generator=g) < density).long()
    return x, Y, P


def run(name, x, Y, P, keys=(), **settings):
    x, P = x.clone().requires_grad_(), P.clone().requires_grad_()
    value = losses.get(name, **settings)(x, Y, P, *keys)
    return value.detach(), torch.autograd.grad(value.sum(), [x, P])


def twin(name, x, Y, P, tau=0.1, **settings):
    x, P = x.double().clone().requires_grad_(), P.double().clone().requires_grad_()
    value = TWINS[name](reference.unit(x), Y, reference.unit(P), tau, **settings)
    grads = torch.autograd.grad(value + 0 * P.sum(), [x, P])
    return value.detach(), grads


def assert_near(got, want, rtol):
    assert abs(float(got[0]) - float(want[0])) <= rtol * max(1.0, float(want[0].abs()))
    for g, w in zip(got[1], want[1], strict=True):
        assert float((g - w).abs().max()) <= rtol * max(1.0, float(w.abs().max()))


@every_loss
@every_engine
@pytest.mark.parametrize("shape", [(5, 1), (16, 9)])
def test_equals_its_slow_twin(name, engine, shape):
    x, Y, P = drawn(*shape)
    assert_near(run(name, x, Y, P, engine=engine), twin(name, x, Y, P), 1e-10)


@every_engine
@pytest.mark.parametrize("name", ["reg", "wrg"])
@pytest.mark.parametrize("alpha", [0, 1, 2.5, 0.5, -1])
def test_every_alpha(name, engine, alpha):
    x, Y, P = drawn()
    assert_near(run(name, x, Y, P, engine=engine, alpha=alpha), twin(name, x, Y, P, alpha=alpha), 1e-10)


@every_engine
def test_msc_with_keys(engine):
    x, Y, P = drawn()
    keys, T, _ = drawn(b=11, seed=1)
    got = run("msc", x, Y, P, (keys, T), engine=engine, alpha=0.7, beta=0.4)
    assert_near(got, twin("msc", x, Y, P, alpha=0.7, beta=0.4, keys=reference.unit(keys), T=T), 1e-10)


@every_loss
@pytest.mark.parametrize("tile", [(1, 1), (2, 3), (5, 4), (64, 7)])
@pytest.mark.parametrize("temperature", [0.3, 0.01])
def test_tile_size_does_not_matter(name, tile, temperature):
    x, Y, P = drawn(b=11)
    want = run(name, x, Y, P, engine="dense", temperature=temperature)
    with tile_size(*tile):
        got = run(name, x, Y, P, engine="streamed", temperature=temperature)
    assert_near(got, want, 1e-10)


@every_loss
@every_engine
def test_order_of_rows_and_labels_does_not_matter(name, engine):
    x, Y, P = drawn()
    value, (gx, gP) = run(name, x, Y, P, engine=engine)
    rows, columns = torch.randperm(8), torch.randperm(5)
    moved = run(name, x[rows], Y[rows][:, columns], P[columns], engine=engine)
    assert_near(moved, (value, (gx[rows], gP[columns])), 1e-12)


@every_loss
@every_engine
def test_no_row_has_labels(name, engine):
    x, Y, P = drawn()
    value, grads = run(name, x, Y * 0, P, engine=engine)
    assert float(value) == 0
    assert all(bool((g == 0).all()) for g in grads)


@every_engine
@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0])
def test_reg_never_pushes_a_positive_away(engine, alpha):
    """The gradient with respect to similarities, read off with rows that make them free variables."""
    b, c = 6, 4
    n = b + c
    _, Y, _ = drawn(b, c)
    Y[0], Y[2] = 0, Y[1]
    A = torch.cat([Y, torch.eye(c, dtype=torch.long)])
    S = torch.randn(n, n).double()
    S = S + S.T
    values, vectors = torch.linalg.eigh(S + 20 * torch.eye(n))
    e = vectors * values.sqrt()  # e e^T has the off-diagonal similarities of S
    pulls = {}
    for name in ("reg", "wrg"):
        x = e.clone().requires_grad_()
        loss = losses.get(name, alpha=alpha, temperature=1.0, normalize=False, engine=engine)
        (g,) = torch.autograd.grad(loss(x[:b], Y, x[b:]), x)
        pulls[name] = torch.linalg.solve(e.T, g.T).T  # g = (G + G^T) e
    positive = (A @ A.T > 0) & ~torch.eye(n, dtype=torch.bool)
    if alpha < 0:
        within = A.sum(1) == (A @ A.T)
        positive &= within & within.T
    counted = A[:, A[:b].sum(0) > 0].sum(1) > 0
    both = positive & counted[:, None] & counted
    assert float(pulls["reg"][both].max()) < 1e-7
    assert bool(both.any())
    if alpha >= 0:
        assert float(pulls["wrg"][both].max()) > 1e-3
    negative = (A @ A.T == 0) & ~torch.eye(n, dtype=torch.bool)
    torch.testing.assert_close(pulls["reg"][negative], pulls["wrg"][negative])


def test_prototypes_must_match_labels_and_width():
    x, Y, P = drawn()
    with pytest.raises(
        ManyLabelError, match=r"prototypes of shape \(5, 6\), one per label, but got \(4, 6\)"
    ):
        losses.get("msc")(x, Y, P[:4])
    with pytest.raises(ManyLabelError, match="prototypes as a floating tensor"):
        losses.get("reg")(x, Y, P.long())
    with pytest.raises(ManyLabelError, match="labels that are 0 or 1"):
        losses.get("proto")(x, Y * 0.5, P)


@pytest.mark.parametrize(
    ("temperature", "dtype", "normalize"),
    [
        (0.3, torch.float64, True),
        (0.01, torch.float64, True),
        (0.005, torch.float32, True),
        (0.1, torch.float32, False),
    ],
)
@pytest.mark.parametrize("alpha", [0.0, 1.5, -1.0])
@pytest.mark.parametrize("regularised", [True, False])
def test_some_anchors_of_a_batch_get_what_they_get_in_the_whole(
    alpha, regularised, temperature, dtype, normalize
):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(700, 64, dtype=dtype, generator=generator)
    A = LabelMatrix.of(torch.rand(700, 5, generator=generator) < 0.4)
    some = slice(90, 640)

    def weights(Y, own):
        if alpha:
            return REGWeights(Y, A, alpha, regularised, dtype, own)
        return EqualREGWeights(Y, A, dtype) if regularised else equal_label_weights(Y, A, dtype)

    def gradient(engine, part):
        leaf = x.clone().requires_grad_()
        anchors, keys, Y, own = (leaf[some], leaf, A.take(some), some.start) if part else (leaf, None, A, 0)
        values, _ = contrast(anchors, keys, weights(Y, own), own, None, temperature, normalize, engine)
        values = values if part else values[some]
        values.sum().backward()
        return values.detach(), leaf.grad

    want, tolerance = gradient("dense", part=False), 1e-9 if dtype == torch.float64 else 1e-4
    for engine in ENGINES:
        for got, expected in zip(gradient(engine, part=True), want, strict=True):
            atol = tolerance * float(expected.abs().max())
            torch.testing.assert_close(got, expected, rtol=tolerance, atol=atol)
