"""Sample weights: what a row, or a label entry of it, counts in every loss and in its divisor."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from tests.losses.registry import CALLS, ENTRIES, Size, logits
from torch import Tensor

from manylabel import ManyLabelError, losses

PAIRS = [(entry, engine) for entry, engine in CALLS if entry.form != "logits" and entry.loss != "kmcl"]
LOGITS = [entry for entry in ENTRIES if entry.form == "logits"]
V = torch.tensor([2.0, 0.0, 1.0, 0.5, 3.0, 1.0, 0.25], dtype=torch.float64)


def found(entry, inputs, weight, **settings) -> tuple[Tensor, list[Tensor], torch.nn.Module]:
    """Value, gradients and the loss itself."""
    loss = entry.build(**settings)
    floats = [t.clone().requires_grad_() for t in inputs.floats]
    value = entry.call(partial(loss, sample_weight=weight), [*floats, *inputs.constants], inputs.labels)
    return value.detach(), list(torch.autograd.grad(value.sum(), floats, allow_unused=True)), loss


def assert_same(got, want):
    torch.testing.assert_close(got[0], want[0])
    for g, w in zip(got[1], want[1], strict=True):
        torch.testing.assert_close(g, w, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("entry", "engine"), CALLS, ids=str)
def test_weights_of_one_change_nothing(entry, engine):
    inputs = entry.draw(Size())
    got, want = (found(entry, inputs, weight, engine=engine) for weight in (torch.ones(7), None))
    assert_same(got, want)


@pytest.mark.parametrize(("entry", "engine"), PAIRS, ids=str)
def test_an_anchor_counts_by_its_weight(entry, engine):
    inputs = entry.draw(Size())
    values = entry.exact(inputs, reduction="none")
    v = torch.cat([V, torch.ones(len(values) - 7, dtype=torch.float64)])  # prototypes among the anchors
    got = found(entry, inputs, V, engine=engine, reduction="sum")[0]
    torch.testing.assert_close(got, (values * v).sum())
    each = found(entry, inputs, V, engine=engine, reduction="none")[0]
    torch.testing.assert_close(each, values * v, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("entry", "engine"), PAIRS, ids=str)
def test_the_divisor_is_weighted_like_the_values(entry, engine):
    inputs = entry.draw(Size())
    alone = [float(found(entry, inputs, row, engine=engine)[2].divisor) for row in torch.eye(7)]
    rest = float(found(entry, inputs, torch.zeros(7), engine=engine)[2].divisor)  # of prototypes
    counts = torch.tensor(alone, dtype=torch.float64) - rest
    assert float(counts.sum()) + rest == pytest.approx(float(entry.exact(inputs, reduction="divisor")))
    value, _, loss = found(entry, inputs, V, engine=engine)
    assert float(loss.divisor) == pytest.approx(float((V * counts).sum()) + rest)
    total = found(entry, inputs, V, engine=engine, reduction="sum")[0]
    torch.testing.assert_close(value, total / loss.divisor)


@pytest.mark.parametrize(("entry", "engine"), [c for c in CALLS if c[0].form != "logits"], ids=str)
def test_an_anchor_of_weight_0_is_a_candidate_all_the_same(entry, engine):
    # decoupled: rows that all share a label have no negative
    inputs = entry.draw(Size(empty=0.0, density=0.3 if entry.loss == "decoupled" else 0.9))
    gradients = found(entry, inputs, (torch.arange(7) != 2).float(), engine=engine)[1]
    none = found(entry, inputs, torch.zeros(7), engine=engine)
    if entry.loss not in ("reg", "wrg"):  # of which prototypes are anchors too
        assert float(none[0]) == 0
        assert all(g is None or not g.any() for g in none[1])
    if len(inputs.floats) == 1 and not inputs.constants:
        assert gradients[0][2].any()


@pytest.mark.parametrize(("entry", "engine"), PAIRS, ids=str)
def test_weights_of_entries_are_means_over_known_labels(entry, engine):
    if entry.loss == "supcon":
        pytest.skip("one class a row")
    inputs = entry.draw(Size(empty=0.0))
    Y = inputs.labels[0].double()
    Y[3, 1] = torch.nan
    inputs = inputs._replace(labels=[Y, *inputs.labels[1:]])
    if entry.loss == "debiased":  # the other view has the labels of its row
        inputs.labels[1] = torch.cat([Y, inputs.labels[1][len(Y) :]])
    weight = torch.rand(7, 4, generator=torch.Generator().manual_seed(1)).double()
    rows = torch.where(Y.isnan(), torch.nan, weight).nanmean(1)
    assert_same(found(entry, inputs, weight, engine=engine), found(entry, inputs, rows, engine=engine))


@pytest.mark.parametrize("reduction", ["mean", "sum", "rows", "none"])
@pytest.mark.parametrize("entry", LOGITS, ids=str)
@pytest.mark.parametrize("unknown", [False, True])
def test_a_weight_of_2_is_a_row_given_twice_and_0_a_row_left_out(entry, reduction, unknown):
    if reduction not in entry.build().reductions or (entry.loss == "twoway" and reduction != "mean"):
        pytest.skip("no such reduction")
    inputs = logits(Size(empty=0.0))
    x, Y = inputs.floats[0], inputs.labels[0].double()
    if unknown:
        Y[0, 1], Y[4] = torch.nan, torch.nan
    times = torch.tensor([2, 1, 0, 3, 1, 0, 1])
    settings = {} if entry.loss == "twoway" else {"reduction": reduction}
    loss = losses.get(entry.loss, **settings)
    pair = []
    for weight in (times.double(), None):
        z = x.clone().requires_grad_()
        copies = torch.arange(7) if weight is not None else torch.arange(7).repeat_interleave(times)
        value = loss(z[copies], Y[copies], sample_weight=weight)
        pair.append((value.sum(), torch.autograd.grad(value.sum(), z)[0]))
    torch.testing.assert_close(pair[0][0], pair[1][0])
    torch.testing.assert_close(pair[0][1], pair[1][1])
    assert not pair[0][1][times == 0].any()


@pytest.mark.parametrize(
    ("name", "reduction"),
    [(n, r) for n in ("bce", "focal", "asl") for r in ("mean", "sum", "rows")]
    + [("zlpr", "mean"), ("zlpr", "sum")],
)
def test_an_entry_of_weight_0_is_one_that_is_unknown(name, reduction):
    inputs = logits(Size(empty=0.0))
    x, Y = inputs.floats[0], inputs.labels[0].double()
    weight = (torch.rand(7, 4, generator=torch.Generator().manual_seed(3)) > 0.3).double()
    hidden = torch.where(weight == 0, torch.nan, Y)
    loss = losses.get(name, reduction=reduction)
    torch.testing.assert_close(loss(x, Y, sample_weight=weight), loss(x, hidden))
    twice = 2 * loss(x, Y, sample_weight=weight) if reduction == "sum" else loss(x, hidden)
    torch.testing.assert_close(loss(x, Y, sample_weight=2 * weight), twice)


def test_two_way_leaves_entries_of_weight_0_out():
    inputs = logits(Size(empty=0.0))
    x, Y = inputs.floats[0], inputs.labels[0].double()
    weight = (torch.rand(7, 4, generator=torch.Generator().manual_seed(3)) > 0.3).double()
    hidden = torch.where(weight == 0, torch.nan, Y)
    loss = losses.get("twoway")
    torch.testing.assert_close(loss(x, Y, sample_weight=weight), loss(x, hidden))


@pytest.mark.parametrize("entry", LOGITS, ids=str)
def test_nothing_that_counts_gives_0(entry):
    value, gradients, _ = found(entry, entry.draw(Size()), torch.zeros(7))
    assert float(value) == 0
    assert not gradients[0].any()


def test_the_terms_of_kmcl_are_weighted_each():
    entry = next(e for e in ENTRIES if e.loss == "kmcl" and e.form == "isotropic")
    inputs = entry.draw(Size(empty=0.0))
    arguments = *inputs.floats, *inputs.labels
    rows = losses.KMCL(reduction="none").terms(*arguments)
    got = losses.KMCL().terms(*arguments, sample_weight=V)
    torch.testing.assert_close(got.asl, (V * rows.asl).sum())
    torch.testing.assert_close(got.contrastive, (V * rows.contrastive).sum() / V.sum())
    counted = (inputs.labels[0] > 0).any(1)
    torch.testing.assert_close(got.reconstruction, (V * rows.reconstruction).sum() / V[counted].sum())


@pytest.mark.parametrize(
    ("weight", "told"),
    [
        (torch.ones(6), r"expected sample_weight of shape \(7,\) or \(7, 4\), but got \(6,\)"),
        (torch.ones(7, 3), r"but got \(7, 3\)"),
        (torch.tensor(1.0), r"but got \(\)"),
        (-torch.ones(7), "finite numbers of at least 0, but got -1 to -1"),
        (torch.full((7,), torch.nan), "finite numbers of at least 0, but got nan"),
        (torch.full((7,), torch.inf), "but got inf to inf"),
        (["heavy"] * 7, "real numbers"),
    ],
)
@pytest.mark.parametrize("name", ["bce", "mulsupcon", "proto"])
def test_bad_weights(name, weight, told):
    entry = next(e for e in ENTRIES if e.loss == name)
    with pytest.raises(ManyLabelError, match=told):
        found(entry, entry.draw(Size()), weight)


def test_class_numbers_take_weights_of_rows():
    z, numbers = (
        torch.randn(6, 4, generator=torch.Generator().manual_seed(0)),
        torch.tensor([0, 1, 0, 1, 2, 2]),
    )
    loss = losses.get("supcon")
    one_hot = torch.nn.functional.one_hot(numbers)
    weight = torch.tensor([1.0, 0.0, 2.0, 1.0, 1.0, 3.0])
    torch.testing.assert_close(loss(z, numbers, sample_weight=weight), loss(z, one_hot, sample_weight=weight))
