"""Sampled negatives: unbiased for sums over labels, from below for log-sum-exps, exact where all are drawn.

The means are over all sets of labels that can be drawn, which are few here, so that nothing is left to chance.
"""

from __future__ import annotations

from itertools import combinations

import pytest
import torch

from manylabel import losses
from manylabel.errors import ManyLabelError
from manylabel.labels import as_labels
from manylabel.losses import DrawnLabels, draw_labels
from manylabel.losses.sample_weight import of_rows

SUMS = [("bce", {"reduction": "rows"}), ("bce", {}), ("focal", {}), ("asl", {"reduction": "rows"})]
LOG_SUMS = [("zlpr", {}), ("twoway", {})]
B, C, H = 4, 9, 5
CARRIED = [1, 4, 6]
G = torch.Generator().manual_seed(0)
Z, W, BIAS = torch.randn(B, H, generator=G), torch.randn(C, H, generator=G), torch.randn(C, generator=G)
Y = torch.zeros(B, C)
Y[[0, 0, 1, 2], [1, 4, 4, 6]] = 1
WEIGHTS = (None, torch.tensor([1.0, 2, 0, 0.5]))


def every_draw(negatives: int) -> list[DrawnLabels]:
    """What can be drawn."""
    others = [c for c in range(C) if c not in CARRIED]
    draws = []
    for chosen in combinations(others, negatives):
        numbers = torch.tensor([*CARRIED, *chosen])
        stands_for = torch.ones(len(numbers))
        stands_for[len(CARRIED) :] = len(others) / negatives
        draws.append(DrawnLabels(numbers, stands_for, as_labels(Y).sparse().select_labels(numbers)))
    return draws


def of_draw(name, settings, drawn, weight=None):
    """The loss on what was drawn, and its gradient at the representations."""
    h = Z.clone().requires_grad_()
    criterion = losses.get(name, **settings)
    loss = criterion(drawn.logits(h, W, BIAS), drawn.Y, sample_weight=weight, stands_for=drawn.stands_for)
    return loss.item(), *torch.autograd.grad(loss, h)


def of_all(name, settings, truth=Y, weight=None):
    """The same of all labels."""
    h = Z.clone().requires_grad_()
    loss = losses.get(name, **settings)(h @ W.T + BIAS, truth, sample_weight=weight)
    return loss.item(), *torch.autograd.grad(loss, h)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize(("name", "settings"), SUMS)
def test_sums_over_labels_are_unbiased(name, settings, weight) -> None:
    exact, gradient = of_all(name, settings, weight=weight)
    values, gradients = zip(*(of_draw(name, settings, d, weight) for d in every_draw(2)), strict=True)
    assert max(values) > 1.05 * exact  # each draw is an estimate
    assert sum(values) / len(values) == pytest.approx(exact, rel=1e-5)
    torch.testing.assert_close(torch.stack(gradients).mean(0), gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "settings"), SUMS)
def test_weights_of_entries_count_for_the_labels_that_are_not_drawn(name, settings) -> None:
    weight = torch.full((B, C), 0.2)
    weight[:, CARRIED], weight[0] = 1.0, weight[0] * 5
    exact, _ = of_all(name, settings, weight=weight)
    found = [of_draw(name, settings, d, weight[:, d.numbers])[0] for d in every_draw(2)]
    assert sum(found) / len(found) == pytest.approx(exact, rel=0.01)  # the divisor is an estimate, too
    each = torch.tensor([1.0, 1.0, 1.0, 3.0, 3.0])  # two of the same weight stand for six
    drawn = of_rows(weight[:, [1, 4, 6, 0, 2]], None, each)
    torch.testing.assert_close(drawn, weight.mean(1, keepdim=True))


@pytest.mark.parametrize(("name", "settings"), LOG_SUMS)
def test_log_sum_exps_come_from_below_and_closer_with_more(name, settings) -> None:
    exact, _ = of_all(name, settings)
    found = [[of_draw(name, settings, d)[0] for d in every_draw(k)] for k in (1, 2, 4)]
    means = [sum(values) / len(values) for values in found]
    assert means[0] < means[1] < means[2] < exact


def test_the_bias_of_zlpr_is_half_the_relative_variance_of_its_sum() -> None:
    x = 0.1 * (Z @ W.T + BIAS)
    draws, criterion = every_draw(3), losses.ZLPR(reduction="none")
    found = torch.stack([criterion(x[:, d.numbers], d.Y, stands_for=d.stands_for) for d in draws])
    absent = [(x[:, d.numbers].exp() * (1 - d.Y.dense()) * d.stands_for).sum(1) for d in draws]
    sums = 1 + torch.stack(absent)  # (draws, B)
    told = sums.var(0, correction=0) / sums.mean(0) ** 2 / 2
    torch.testing.assert_close(criterion(x, Y) - found.mean(0), told, rtol=0.05, atol=1e-6)


@pytest.mark.parametrize(("name", "settings"), SUMS + LOG_SUMS)
def test_where_all_labels_are_drawn_the_loss_is_exact(name, settings) -> None:
    unknown = Y.clone()
    unknown[3, :3] = float("nan")
    for truth in (Y, as_labels(Y).sparse(), as_labels(unknown)):
        exact, gradient = of_all(name, settings, truth)
        found, of_drawn = of_draw(name, settings, draw_labels(truth, C))
        assert found == pytest.approx(exact, rel=1e-5)
        torch.testing.assert_close(of_drawn, gradient, rtol=1e-4, atol=1e-6)


def test_the_gradient_of_the_classifier_touches_only_what_is_drawn() -> None:
    flat = torch.zeros(C, H)  # such as the buffer of a flat optimiser
    weight = W.clone().requires_grad_()
    weight.grad = flat
    drawn = draw_labels(Y, 2)
    bias = BIAS.clone().requires_grad_()
    losses.BCE()(drawn.logits(Z, weight, bias), drawn.Y, stands_for=drawn.stands_for).backward()
    assert weight.grad is flat
    assert set(bias.grad.nonzero()[:, 0].tolist()) == set(drawn.numbers.tolist())
    assert set(flat.abs().sum(1).nonzero()[:, 0].tolist()) == set(drawn.numbers.tolist())
    own = W[drawn.numbers].requires_grad_()
    losses.BCE()(Z @ own.T + BIAS[drawn.numbers], drawn.Y, stands_for=drawn.stands_for).backward()
    torch.testing.assert_close(flat[drawn.numbers], own.grad)


def test_labels_are_drawn_evenly_and_each_once() -> None:
    generator, counts = torch.Generator().manual_seed(0), torch.zeros(C)
    for _ in range(300):
        drawn = draw_labels(as_labels(Y).sparse(), 2, generator)
        assert drawn.numbers[:3].tolist() == CARRIED
        assert len(set(drawn.numbers.tolist())) == 5
        assert drawn.stands_for.tolist() == [1, 1, 1, 3, 3]
        torch.testing.assert_close(drawn.Y.dense(), Y[:, drawn.numbers])
        counts[drawn.numbers] += 1
    others = torch.tensor([c for c in range(C) if c not in CARRIED])
    assert (counts[others] - 100).abs().max() < 30  # a standard deviation is 8


@pytest.mark.parametrize("negatives", [0, -1, 1.5, True, "many", None])
def test_bad_numbers_are_refused(negatives) -> None:
    with pytest.raises(ManyLabelError, match="`negatives` as an integer of at least 1"):
        draw_labels(Y, negatives)


@pytest.mark.parametrize("stands_for", [[1.0, 1.0], [0.5] * 3, [1.0, float("nan"), 1.0]])
def test_bad_shares_are_refused(stands_for) -> None:
    with pytest.raises(ManyLabelError, match="stands_for"):
        losses.BCE()(torch.zeros(2, 3), torch.ones(2, 3), stands_for=torch.tensor(stands_for))


def test_other_shapes_and_generators_are_refused() -> None:
    with pytest.raises(ManyLabelError, match=r"`generator` as a torch\.Generator, but got 5"):
        draw_labels(Y, 2, generator=5)
    with pytest.raises(ManyLabelError, match=r"`weight` \(n_labels, H\), but got \(4, 5\) and \(9, 4\)"):
        draw_labels(Y, 2).logits(Z, W[:, :4])
