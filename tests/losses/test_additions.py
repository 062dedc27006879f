"""Label-aware negatives, temperatures of anchors, other views, decoupled positives: what the table of losses lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tests import reference
from tests.losses.registry import assert_near, case, run
from torch import Tensor

from manylabel import losses
from manylabel.errors import ManyLabelError
from manylabel.labels import PackedLabels
from manylabel.losses.softmax.tiles import tile_size

BOTH = {"negatives": "label_aware", "frequency_power": 0.5}
every_engine = pytest.mark.parametrize("engine", ["dense", "streamed"])


def views(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """First views of n rows, then their second ones, and their labels; some rows have none."""
    g = torch.Generator().manual_seed(seed)
    Y = (torch.rand(n, 4, generator=g) < 0.4).long()
    return torch.randn(2 * n, 5, generator=g, dtype=torch.float64), torch.cat([Y, Y])


def value_and_gradient(
    loss: torch.nn.Module, x: Tensor, Y: Tensor, *more: Tensor
) -> tuple[Tensor, list[Tensor]]:
    x = x.clone().requires_grad_()
    value = loss(x, Y, *more)
    return value.detach(), list(torch.autograd.grad(value.sum(), [x]))


@every_engine
@pytest.mark.parametrize("negatives", ["alike", "label_aware"])
@pytest.mark.parametrize("unknown", ["keep", "leave_out"])
def test_views_of_a_batch_are_those_of_the_slow_twin(engine, negatives, unknown):
    x, Y = views(6)
    hidden = torch.rand(6, 4, generator=torch.Generator().manual_seed(1)) < 0.3
    Y = torch.where(hidden.repeat(2, 1), float("nan"), Y.double())
    settings = {"negatives": negatives, "unknown": unknown, "frequency_power": 0.5}
    leaf = x.clone().requires_grad_()
    z = reference.unit(leaf)
    want = reference.debiased(z, Y, z, Y, 0.3, own=True, **settings)
    exact = want.detach(), list(torch.autograd.grad(want, [leaf]))
    loss = losses.get("debiased", temperature=0.3, engine=engine, **settings)
    assert_near(value_and_gradient(loss, x, Y), exact, 1e-10)
    with tile_size(3, 4):
        assert_near(value_and_gradient(loss, x, Y), exact, 1e-10)


def test_without_labels_it_is_the_cross_entropy_of_the_pairs():
    x, Y = views(8)
    z = torch.nn.functional.normalize(x)
    scores = (z @ z.T / 0.2).fill_diagonal_(-torch.inf)
    want = torch.nn.functional.cross_entropy(scores, torch.arange(16).roll(8))
    torch.testing.assert_close(losses.get("debiased", temperature=0.2, negatives="alike")(x, Y), want)
    same = losses.get("debiased", temperature=0.2)(x, torch.ones(16, 3))
    torch.testing.assert_close(same, want)  # rows with the same labels weigh 1
    none = losses.get("debiased", temperature=0.2)(x, torch.zeros(16, 3))
    assert float(none) > float(want)  # rows without labels weigh 2


@pytest.mark.parametrize(
    ("n", "n_keys", "told"),
    [
        (5, None, "two views of each row in a batch without keys, but got 5 rows"),
        (4, 3, "the other views of 4 anchors first among the keys, but got 3 keys"),
    ],
)
def test_rows_without_another_view_are_refused(n, n_keys, told):
    keys = () if n_keys is None else (torch.randn(n_keys, 3), torch.ones(n_keys, 2))
    with pytest.raises(ManyLabelError, match=told):
        losses.get("debiased")(torch.randn(n, 3), torch.ones(n, 2), *keys)


@pytest.mark.parametrize("keyed", [False, True])
def test_views_that_lie_elsewhere_are_refused(keyed):
    x, Y = views(6)
    Y = Y.roll(1, 0) if keyed else Y.view(2, 6, 4).transpose(0, 1).reshape(12, 4)
    arguments = (x[:6], Y[:6].flip(0), x[6:], Y[6:]) if keyed else (x, Y)
    with pytest.raises(ManyLabelError, match="as many labels on both views of a row"):
        losses.get("debiased")(*arguments)


@every_engine
@pytest.mark.parametrize("in_batch", [False, True])
def test_with_one_positive_each_decoupled_is_mulsupcon(engine, in_batch):
    c = case(b=8, n=12)
    c.Y, c.T = torch.eye(4, dtype=torch.long).repeat(2, 1), torch.eye(12, 4, dtype=torch.long)
    want = run("mulsupcon", c, in_batch, engine=engine)
    assert_near(run("decoupled", c, in_batch, engine=engine), want, 1e-10)


def test_positives_of_decoupled_do_not_push_each_other():
    """A positive that comes closer lowers the loss by its own term alone."""
    c = case(b=1, n=6)
    c.Y[:], c.T[:] = 1, 0
    c.T[:3] = 1
    x, keys = c.x, c.keys.clone().requires_grad_()
    values = [losses.get(name, temperature=0.2)(x, c.Y, keys, c.T) for name in ("decoupled", "mulsupcon")]
    ours, theirs = (torch.autograd.grad(value, keys)[0] @ x[0] for value in values)
    assert bool((ours[:3] < 0).all())
    assert bool((theirs[:3] > 0).any())


@pytest.mark.parametrize("name", ["mulsupcon", "decoupled", "debiased", "jaccard"])
def test_second_derivatives_of_tiles(name):
    x, Y = views(3)
    keys, T = views(4, seed=1)
    loss = losses.get(name, temperature=0.5, engine="streamed", **BOTH)
    x, keys = x.requires_grad_(), torch.cat([x.detach().roll(1), keys]).requires_grad_()
    T = torch.cat([Y, T])
    assert torch.autograd.gradcheck(lambda z: loss(z, Y), (x,))
    assert torch.autograd.gradcheck(lambda z, k: loss(z, Y, k, T), (x, keys))
    assert torch.autograd.gradgradcheck(lambda z, k: loss(z, Y, k, T), (x, keys))


@every_engine
@pytest.mark.parametrize("name", ["mulsupcon", "decoupled"])
def test_a_learnt_temperature_is_that_of_all_anchors(name, engine):
    c = case()
    tau = torch.nn.Parameter(torch.tensor(0.3, dtype=torch.float64))
    loss = losses.get(name, temperature=tau, engine=engine, **BOTH)
    assert torch.autograd.gradcheck(lambda t: _at(loss, t)(c.x, c.Y, c.keys, c.T), (tau,))


def _at(loss: torch.nn.Module, tau: Tensor) -> torch.nn.Module:
    loss._parameters["temperature"] = tau
    return loss


def test_a_frequent_label_leaves_the_temperature():
    c = case()
    c.Y[:], c.T[:] = 1, 1
    want = run("any", c, False)
    assert_near(run("any", c, False, frequency_power=1.0), want, 1e-12)
    c.T[1:, 0] = 0  # carried by one of 14
    same = run("any", c, False, temperature=0.1 / 14**0.5)
    assert_near(run("any", c, False, temperature=0.1, frequency_power=0.5), same, 1e-10)


@every_engine
def test_soft_labels_get_their_gradient_through_the_denominator(engine):
    c = case()
    g = torch.Generator().manual_seed(0)
    Y, T = (torch.rand(labels.shape, generator=g).double().requires_grad_() for labels in (c.Y, c.T))
    loss = losses.get("mulsupcon", temperature=0.5, negatives="label_aware")
    assert torch.autograd.gradcheck(lambda Y, T: loss(c.x, Y, c.keys, T), (Y, T))
    assert torch.autograd.grad(losses.get("mulsupcon")(c.x, Y, c.keys, T), Y)[0].any()


@every_engine
@pytest.mark.parametrize("name", ["mulsupcon", "decoupled", "debiased", "jaccard"])
@pytest.mark.parametrize("unknown", ["keep", "leave_out"])
def test_labels_as_bits_are_labels_as_numbers(name, engine, unknown):
    x, Y = views(35)
    hidden = torch.rand(35, 4, generator=torch.Generator().manual_seed(1)) < 0.2
    Y = torch.where(hidden.repeat(2, 1), float("nan"), Y.double())
    loss = losses.get(name, engine=engine, unknown=unknown, **BOTH)
    want = value_and_gradient(loss, x[:35], Y[:35], x, Y)
    packed = PackedLabels.pack(Y)
    assert_near(value_and_gradient(loss, x[:35], packed.take(slice(35)), x, packed), want, 1e-12)
    weight = torch.linspace(0, 2, 35).double()
    rows = losses.get(name, engine=engine, unknown=unknown, reduction="none", **BOTH)(x[:35], Y[:35], x, Y)
    weighted = losses.get(name, engine=engine, unknown=unknown, reduction="sum", **BOTH)
    got = weighted(x[:35], packed.take(slice(35)), x, packed, sample_weight=weight)
    torch.testing.assert_close(got, rows @ weight)


def test_the_threshold_of_overlap_is_inclusive():
    x, keys = torch.randn(1, 3), torch.randn(3, 3)
    Y, T = torch.tensor([[1, 0, 0]]), torch.tensor([[1, 1, 0], [1, 1, 1], [0, 0, 0]])
    log_p = torch.log_softmax(
        torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(keys).T / 0.1, 1
    )[0]
    for threshold, want in (
        (0.5, -log_p[0] / 2),
        (1 / 3, -(log_p[0] / 2 + log_p[1] / 3) / 2),
        (0.51, 0 * log_p[0]),
    ):
        torch.testing.assert_close(losses.get("jaccard", threshold=threshold)(x, Y, keys, T), want)
    at_zero = losses.get("jaccard", threshold=0.0)(
        x, Y, keys, T
    )  # the row that shares nothing does not count
    torch.testing.assert_close(at_zero, -(log_p[0] / 2 + log_p[1] / 3) / 2)
    assert float(losses.get("jaccard")(x, 0 * Y, keys, T)) == 0  # two rows without labels do not attract


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("mulsupcon", {"negatives": "aware"}, "negatives 'alike' or 'label_aware', but got 'aware'"),
        ("any", {"frequency_power": 2}, "frequency_power of at least -1 and at most 1, but got 2"),
        ("debiased", {"frequency_power": "low"}, "frequency_power of at least -1"),
        ("jaccard", {"threshold": 1.5}, "threshold of at least 0 and at most 1, but got 1.5"),
        ("reg", {"negatives": "label_aware"}, "settings among"),
    ],
)
def test_settings_out_of_their_range_are_refused(name, settings, told):
    with pytest.raises(ManyLabelError, match=told):
        losses.get(name, **settings)


def test_a_setting_that_is_spoilt_later_is_refused_too():
    loss = losses.get("mulsupcon")
    loss.negatives = "aware"
    with pytest.raises(ManyLabelError, match="negatives 'alike' or 'label_aware'"):
        loss(torch.randn(3, 2), torch.ones(3, 2))
    assert "negatives=aware" in repr(loss)


ROWS = (3, 5)  # of each rank


def shard(rank: int | None, x: Tensor, Y: Tensor) -> tuple[Tensor, Tensor]:
    """Both views of the rows of a rank, or of all."""
    n = len(x) // 2
    rows = torch.arange(n)[slice(None) if rank is None else (slice(ROWS[0]), slice(ROWS[0], None))[rank]]
    both = torch.cat([rows, n + rows])
    return x[both], Y[both]


def of_rank(rank: int | None, keyed: bool, **settings: object) -> list[Tensor]:
    x, Y = shard(rank, *views(sum(ROWS)))
    x = x.clone().requires_grad_()
    loss = losses.get("debiased", temperature=0.3, **settings)
    n = len(x) // 2
    value = loss(x[:n], Y[:n], x[n:], Y[n:]) if keyed else loss(x, Y)
    value.backward()
    return [value.detach(), x.grad]


def run_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    found = {
        (keyed, engine): of_rank(rank, keyed, engine=engine, group=dist.group.WORLD)
        for keyed in (False, True)
        for engine in ("dense", "streamed")
    }
    torch.save({str(key): value for key, value in found.items()}, Path(folder) / f"rank-{rank}.pt")
    dist.destroy_process_group()


def test_views_on_two_ranks_are_those_of_one_process(tmp_path):
    torch.multiprocessing.spawn(run_rank, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt") for rank in range(2))
    for keyed in (False, True):
        value, gradient = of_rank(None, keyed)
        for engine in ("dense", "streamed"):
            for rank, found in enumerate((first, second)):
                got, of_shard = found[str((keyed, engine))]
                torch.testing.assert_close(got, value, rtol=1e-6, atol=0)
                torch.testing.assert_close(
                    of_shard / 2, shard(rank, gradient, gradient)[0], rtol=1e-6, atol=1e-9
                )
