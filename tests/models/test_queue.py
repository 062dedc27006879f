"""The queue among other types of numbers, damaged states and bad calls; the momentum encoder of half types."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from manylabel import losses
from manylabel.errors import ManyLabelError
from manylabel.models import FlatParameters, LabelQueue, MomentumEncoder

nan = float("nan")
z, Y = torch.randn(8, 4), torch.rand(8, 3) < 0.5
CONVERSIONS = {
    "float": lambda m: m.float(),
    "half": lambda m: m.half(),
    "bfloat16": lambda m: m.bfloat16(),
    "double": lambda m: m.double(),
    "to bfloat16": lambda m: m.to(torch.bfloat16),
    "half and back": lambda m: m.half().float(),
}


def filled(n: int, queue: LabelQueue) -> LabelQueue:
    g = torch.Generator().manual_seed(0)
    for _ in range(n):
        carried = torch.rand(16, 3, generator=g) < torch.tensor([0.9, 0.5, 0.06])
        keys = torch.randn(16, 8, generator=g) + 2 * carried.float() @ torch.eye(3, 8)
        queue.push(nn.functional.normalize(keys).to(queue.keys.dtype), carried)
    return queue


@pytest.mark.parametrize("how", CONVERSIONS)
@pytest.mark.parametrize("before", [0, 40])
def test_counts_and_sums_keep_their_type(how, before):
    """5 000 rows: more than a half type can count."""
    queue = LabelQueue(5120, 8, 3, running_sums=True)
    module = CONVERSIONS[how](nn.ModuleDict({"queue": filled(before, queue)}))
    filled(330, module["queue"])
    assert (queue.counts.dtype, queue.sums.dtype, queue.filled.dtype) == (torch.float64,) * 2 + (torch.int64,)
    stored = queue.stored_labels.dense(torch.float64)
    assert torch.equal(queue.counts, stored.sum(0))
    torch.testing.assert_close(queue.sums, stored.T @ queue.keys.double(), rtol=1e-4, atol=1e-3)
    kind = queue.keys.dtype
    keys, labels = queue.candidates(nn.functional.normalize(torch.randn(8, 8)).to(kind), Y)
    anchors = torch.randn(8, 8).to(kind)
    fast, exact = (losses.get("mulsupcon")(anchors, Y, keys, T) for T in (labels, labels.dense()))
    assert abs(float(fast) - float(exact)) <= 1e-4 * abs(float(exact))


def test_sums_follow_keys_that_were_rounded():
    queue = filled(20, LabelQueue(512, 8, 3, running_sums=True))
    queue.bfloat16()
    want = queue.stored_labels.dense(torch.float64).T @ queue.keys[: len(queue)].double()
    torch.testing.assert_close(queue.sums, want, rtol=1e-5, atol=1e-5)


def test_a_queue_moves_to_a_device():
    queue = LabelQueue(4, 4, 3, running_sums=True).half().to("meta")
    assert {b.device.type for b in queue.buffers()} == {"meta"}
    assert queue.sums.dtype == torch.float64


@pytest.mark.parametrize(
    ("name", "value"),
    [("filled", 9), ("filled", -1), ("position", 8), ("position", -1), ("position", [0, 1]), ("labels", 255)],
)
def test_a_damaged_state_is_refused(name, value):
    queue = LabelQueue(8, 4, 3)
    state = queue.state_dict()
    state[name] = torch.full_like(state[name], value) if name == "labels" else torch.tensor(value)
    with pytest.raises(ManyLabelError, match="LabelQueue"):
        queue.load_state_dict(state)


BAD = {
    "capacity 2.5": lambda: LabelQueue(2.5, 4, 3),
    "capacity True": lambda: LabelQueue(True, 4, 3),
    "capacity as text": lambda: LabelQueue("4", 4, 3),
    "capacity 0": lambda: LabelQueue(0, 4, 3),
    "width 0": lambda: LabelQueue(4, 0, 3),
    "no labels": lambda: LabelQueue(4, 4, 0),
    "-1 labels": lambda: LabelQueue(4, 4, -1),
    "labels of a type by name": lambda: LabelQueue(4, 4, 3, "uint8"),
    "complex labels": lambda: LabelQueue(4, 4, 3, torch.complex64),
    "running_sums as text": lambda: LabelQueue(4, 4, 3, running_sums="no"),
    "candidates of another width": lambda: LabelQueue(4, 4, 3).candidates(z[:, :2], Y),
    "candidates with fewer label rows": lambda: LabelQueue(4, 4, 3).candidates(z, Y[:2]),
    "candidates of other labels": lambda: LabelQueue(4, 4, 3).candidates(z, Y[:, :2]),
    "candidates on meta": lambda: LabelQueue(4, 4, 3).candidates(z.to("meta"), Y),
    "candidates as lists": lambda: LabelQueue(4, 4, 3).candidates(z.tolist(), Y),
    "sums of other labels": lambda: LabelQueue(4, 4, 3, running_sums=True).label_sums(z, Y[:, :2]),
    "push NaN": lambda: LabelQueue(10, 4, 3).push(z * nan, Y),
    "push inf": lambda: LabelQueue(10, 4, 3).push(z / 0.0, Y),
    "push whole numbers": lambda: LabelQueue(10, 4, 3).push(z.long(), Y),
    "push another width": lambda: LabelQueue(10, 4, 3).push(z[:, :3], Y),
    "push names": lambda: LabelQueue(10, 4, 3).push(z, [["a"]] * 8),
    "push soft labels as bits": lambda: LabelQueue(10, 4, 3).push(z, torch.full((8, 3), 0.5)),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_calls(what):
    with pytest.raises(ManyLabelError, match=r"expected .* but got"):
        BAD[what]()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_the_average_of_a_half_type_goes_all_the_way(dtype):
    network = nn.Linear(3, 3).to(dtype)
    key = MomentumEncoder(network, FlatParameters(network.parameters()), 0.999)
    with torch.no_grad():
        network.weight.fill_(1.0)
        network.bias.fill_(1.0)
    for _ in range(6000):
        key.update()
    assert key.network.weight.dtype == dtype
    torch.testing.assert_close(key.network.weight.float(), torch.ones(3, 3), atol=0.02, rtol=0)


@pytest.mark.parametrize("which", ["query", "key"])
def test_a_network_converted_after_it_was_laid_flat_is_told_of(which):
    network = nn.Linear(3, 3)
    key = MomentumEncoder(network, FlatParameters(network.parameters()))
    key.update()
    (network if which == "query" else key).double()
    with pytest.raises(ManyLabelError, match="MomentumEncoder: expected a network that lies flat"):
        key.update()


def test_a_momentum_encoder_without_flat_parameters_follows_in_the_same_way():
    """And may move; what it would lose by a conversion, it refuses."""
    networks = [nn.Linear(5, 3), nn.Linear(5, 3)]
    networks[1].load_state_dict(networks[0].state_dict())
    flat = MomentumEncoder(networks[0], FlatParameters(networks[0].parameters()), 0.9)
    free = MomentumEncoder(networks[1], momentum=0.9)
    moved = nn.ModuleDict({"network": networks[1], "key": free}).to("cpu")
    for network in networks:
        with torch.no_grad():
            network.weight += 1.0
    flat.update()
    moved["key"].update()
    for one, other in zip(flat.network.parameters(), free.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert float(free.network.weight.detach().mean() - networks[1].weight.detach().mean()) < -0.8
    moved.half()
    with pytest.raises(ManyLabelError, match=r"MomentumEncoder: expected a network of torch.float32"):
        free.update()


def test_without_flat_parameters_the_average_of_half_types_is_kept_in_float32():
    network = nn.Linear(5, 3).half()
    key = MomentumEncoder(network, momentum=0.999)
    before = key.average.clone()
    with torch.no_grad():
        network.weight += 1.0
    key.update()
    assert key.average.dtype == torch.float32
    assert 0 < float((key.average - before).abs().max()) < 2e-3
    assert torch.equal(key.network.weight, key.average[:15].view(3, 5).half())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("sums", [False, True])
def test_unknown_entries_stay_with_their_rows(dtype, sums):
    queue = LabelQueue(7, 3, 11, dtype, running_sums=sums)
    g = torch.Generator().manual_seed(0)
    keys, labels = torch.randn(23, 3, generator=g), (torch.rand(23, 11, generator=g) < 0.4).float()
    labels[5:15][torch.rand(10, 11, generator=g) < 0.3] = nan
    for start in range(0, 20, 3):
        rows, held = slice(start, start + 3), slice(max(start - 7, 0), start)
        candidates, Y = queue.candidates(keys[rows], labels[rows])
        again = LabelQueue(7, 3, 11, dtype, running_sums=sums)
        again.load_state_dict(queue.state_dict())
        want = torch.cat([labels[rows], labels[held]])
        for m in (Y, again.candidates(keys[rows], labels[rows])[1]):
            assert torch.equal(sorted_rows(m.dense()), sorted_rows(want.nan_to_num(0.0)))
            assert torch.equal(sorted_rows(m.unknown.dense()), sorted_rows(want.isnan().float()))
        known = want.nan_to_num(0.0)
        torch.testing.assert_close(Y.label_counts(), known.sum(0))
        torch.testing.assert_close(Y.label_sums(candidates), Y.dense().T @ candidates)
        queue.push(keys[rows], labels[rows])
    assert queue.stored_labels.n_unknown == int(labels[14:21].isnan().sum())


def sorted_rows(Y):
    return torch.tensor(sorted(Y.tolist()))


def test_a_queue_of_known_labels_hands_out_known_labels():
    queue = LabelQueue(4, 2, 3)
    queue.push(torch.ones(3, 2), torch.ones(3, 3))
    assert not queue.stored_labels.has_unknown
    assert not queue.candidates(torch.ones(1, 2), torch.ones(1, 3))[1].has_unknown


@pytest.mark.parametrize("unknown", ["keep", "leave_out"])
def test_a_loss_against_a_queue_is_that_against_its_rows(unknown):
    g = torch.Generator().manual_seed(1)
    keys, labels = torch.randn(12, 4, generator=g), (torch.rand(12, 6, generator=g) < 0.4).float()
    labels[torch.rand(12, 6, generator=g) < 0.3] = nan
    queue = LabelQueue(8, 4, 6, running_sums=True)
    queue.push(keys[4:], labels[4:])
    loss = losses.get("mulsupcon", unknown=unknown)
    got = loss(keys[:4], labels[:4], *queue.candidates(keys[:4], labels[:4]))
    torch.testing.assert_close(got, loss(keys[:4], labels[:4], keys, labels))
