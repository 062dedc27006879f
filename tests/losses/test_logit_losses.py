"""Losses on logits: stored values, slow twins, edges, bad input."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests import reference

from manylabel import losses
from manylabel.errors import ManyLabelError

STORED = np.load(Path(__file__).parents[1] / "reference_values" / "logit_losses.npz")
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
NAMES = ("bce", "focal", "asl", "zlpr", "twoway")
TWINS = {name: getattr(reference, name) for name in NAMES}


def variants() -> list[tuple[str, str]]:
    keys = (re.fullmatch(r"(c\d)__(.*)__value", key) for key in STORED.files)
    return [(k[1], k[2]) for k in keys if k and k[2] != "zlpr_official_shifted"]


def build(variant: str, **settings) -> torch.nn.Module:
    if variant.startswith("asl"):
        neg, pos, clip, detach = re.fullmatch(r"asl_sum_gn(.*)_gp(.*)_m(.*)_detach(\d)", variant).groups()
        focus = {"gamma_neg": float(neg), "gamma_pos": float(pos), "clip": float(clip)}
        return losses.get("asl", detach_focus=detach == "1", **focus, **settings)
    return losses.get({"bce_mean": "bce", "zlpr": "zlpr", "twoway_tp4_tn1": "twoway"}[variant])


def assert_stored(loss: torch.nn.Module, case: str, variant: str, dtype: torch.dtype) -> None:
    x = torch.from_numpy(STORED[f"{case}__logits"]).to(dtype).requires_grad_()
    value = loss(x, torch.from_numpy(STORED[f"{case}__Y"]))
    value.backward()
    tolerance = TOLERANCE[dtype]
    want, grad = STORED[f"{case}__{variant}__value"], STORED[f"{case}__{variant}__grad"]
    assert abs(float(value.detach()) - want) <= tolerance * max(1, abs(want))
    np.testing.assert_allclose(x.grad.numpy(), grad, rtol=tolerance, atol=tolerance * np.abs(grad).max())


@pytest.mark.parametrize(("case", "variant"), variants())
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_released_values(case, variant, dtype):
    assert_stored(build(variant), case, variant, dtype)


@pytest.mark.parametrize(("case", "variant"), [v for v in variants() if v[1].startswith("asl")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_log_space_has_the_released_values_while_nothing_is_cut_off(case, variant, dtype):
    assert np.abs(STORED[f"{case}__logits"]).max() < 18.4
    assert_stored(build(variant, log_space=True), case, variant, dtype)


@pytest.mark.parametrize("case", ["c0", "c1", "c2"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_focal_has_the_released_values_of_equal_focus(case, dtype):
    assert_stored(losses.get("focal"), case, "asl_sum_gn2_gp2_m0_detach0", dtype)


@pytest.mark.parametrize("case", ["c0", "c1", "c2"])
def test_released_zlpr_lacks_the_maxima(case):
    x, Y = (torch.from_numpy(STORED[f"{case}__{name}"]) for name in ("logits", "Y"))
    highest = [(-x).masked_fill(Y == 0, -torch.inf).amax(1), x.masked_fill(Y > 0, -torch.inf).amax(1)]
    value = losses.get("zlpr")(x, Y) - sum(highest).mean()
    assert float(value) == pytest.approx(float(STORED[f"{case}__zlpr_official_shifted__value"]), rel=1e-6)


def drawn(b: int = 7, c: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    Y = (torch.rand(b, c, generator=g) < 0.4).long()
    Y[0], Y[1] = 0, 1
    return 3 * torch.randn(b, c, generator=g).double(), Y


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_equals_its_slow_twin_with_empty_and_full_rows(name, layout):
    x, Y = drawn()
    value = losses.get(name)(x, Y if layout == "dense" else Y.double().to_sparse())
    torch.testing.assert_close(value, TWINS[name](x, Y))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fill", [0, 1])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_all_labels_or_none_and_huge_logits_stay_finite(name, fill, scale):
    x = (scale * torch.randn(6, 4)).requires_grad_()
    value = losses.get(name)(x, torch.full((6, 4), fill))
    value.backward()
    assert bool(value.isfinite())
    assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name):
    x, Y = drawn()
    settings = {"detach_focus": False} if name == "asl" else {}
    loss = losses.get(name, **settings)
    assert torch.autograd.gradcheck(lambda a: loss(a, Y), (x.requires_grad_(),))
    assert torch.autograd.gradgradcheck(lambda a: loss(a, Y), (x,))


@pytest.mark.parametrize("name", [n for n in NAMES if n != "twoway"])
def test_reductions(name):
    x, Y = drawn()
    rows = losses.get(name, reduction="none")(x, Y)
    assert rows.shape == (7,)
    torch.testing.assert_close(losses.get(name, reduction="sum")(x, Y), rows.sum())
    divisor = 7 if name == "zlpr" else 35
    torch.testing.assert_close(losses.get(name, reduction="mean")(x, Y), rows.sum() / divisor)


def test_focal_is_asl_with_equal_focus_and_no_margin():
    x, Y = drawn()
    asl = losses.get("asl", gamma_neg=2, gamma_pos=2, clip=0, detach_focus=False)
    torch.testing.assert_close(losses.get("focal")(x, Y), asl(x, Y))


def test_focal_label_weights():
    x, Y = drawn()
    alpha = torch.arange(5.0).double()
    loss = losses.get("focal", alpha=alpha)
    want = sum(alpha[c] * losses.get("focal")(x[:, c : c + 1], Y[:, c : c + 1]) for c in range(5))
    torch.testing.assert_close(loss(x, Y), want)


def test_asl_without_focus_is_summed_bce():
    x, Y = drawn()
    asl = losses.get("asl", gamma_neg=0, gamma_pos=0, clip=0)
    torch.testing.assert_close(asl(x, Y), losses.get("bce", reduction="sum")(x, Y))


def test_log_space_keeps_the_gradient_of_hopeless_positives():
    x = torch.tensor([[-30.0]], requires_grad=True)
    Y = torch.ones(1, 1)
    losses.get("asl")(x, Y).backward()
    assert float(x.grad) == 0
    x.grad = None
    losses.get("asl", log_space=True)(x, Y).backward()
    assert float(x.grad) == pytest.approx(-1)
    mild, labels = drawn()
    torch.testing.assert_close(
        losses.get("asl", log_space=True)(mild, labels), losses.get("asl")(mild, labels)
    )


@pytest.mark.parametrize("name", NAMES)
def test_bad_input(name):
    with pytest.raises(
        ManyLabelError, match=r"labels of shape \(3, 4\) to match the logits, but got \(3, 5\)"
    ):
        losses.get(name)(torch.zeros(3, 4), torch.zeros(3, 5))
    with pytest.raises(ManyLabelError, match="logits as a floating tensor"):
        losses.get(name)(torch.zeros(3), torch.zeros(3))
    with pytest.raises(ManyLabelError, match="labels some of which are known"):
        losses.get(name)(torch.zeros(1, 1), torch.full((1, 1), float("nan")))
