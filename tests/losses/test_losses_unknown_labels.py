"""Unknown label entries in every registered loss: as the slow twin has them, and as rows that are not there."""

from __future__ import annotations

import pytest
import torch
from tests.losses.registry import CALLS, Entry, Inputs, Size
from tests.losses.test_every_loss import assert_near, differentiable, gradients
from torch import Tensor

from manylabel import losses
from manylabel.errors import ManyLabelError
from manylabel.labels import PackedLabels, as_labels
from manylabel.losses.softmax.tiles import tile_size

NAN = float("nan")
BOTH = ("keep", "leave_out")
WAYS = [
    (entry, engine, unknown)
    for entry, engine in CALLS
    for unknown in (BOTH if "unknown" in entry.takes else (None,))
]
PER_LABEL = [
    way for way in WAYS if way[0].loss != "debiased"
]  # positives of which are not a matter of labels
PER_ROW = [way for way in WAYS if "reduction" in way[0].takes]
# the candidates of "proto" are prototypes alone
LEFT_OUT = [
    (entry, engine)
    for entry, engine, unknown in PER_LABEL
    if unknown == "leave_out" and entry.loss != "proto"
]
# against keys; where there are prototypes, that of a label that is unknown on an anchor leaves its denominator
AGAINST_KEYS = [
    way
    for way in PER_LABEL
    if way[0].form in ("keys", "constant") and way[0].loss not in ("all", "msc", "proto")
]


def ids(calls):
    return ["-".join(str(part) for part in call if part) for call in calls]


every_way = pytest.mark.parametrize(("entry", "engine", "unknown"), WAYS, ids=ids(WAYS))
every_row = pytest.mark.parametrize(("entry", "engine", "unknown"), PER_ROW, ids=ids(PER_ROW))
left_out = pytest.mark.parametrize(("entry", "engine"), LEFT_OUT, ids=ids(LEFT_OUT))


def hide(Y: Tensor, share: float = 0.4, seed: int = 0) -> Tensor:
    """The same labels, of which some entries are unknown, and the first is known."""
    hidden = torch.rand(Y.shape, generator=torch.Generator().manual_seed(seed)) < share
    hidden.view(-1)[:1] = False
    return torch.where(hidden, NAN, Y.double())


def hidden(entry: Entry, size: Size, share: float = 0.4) -> Inputs:
    inputs = entry.draw(size)
    return of_views(entry, inputs._replace(labels=[hide(Y, share, n) for n, Y in enumerate(inputs.labels)]))


def of_views(entry: Entry, inputs: Inputs) -> Inputs:
    """The same, where keys may be other views of the anchors, with the labels that these have."""
    if entry.loss != "debiased":
        return inputs
    Y, T = inputs.labels
    return inputs._replace(labels=[Y, torch.cat([Y, T[len(Y) :]])])


def called(entry: Entry, inputs: Inputs, engine: str | None, temperature: float = 0.5, **settings) -> Tensor:
    """What the loss gives; attention has no way to leave a pair out, and tiles stand in for it."""
    loss = entry.build(temperature, engine=engine, **settings)
    given = [*entry.tempered(inputs.floats, temperature), *inputs.constants]
    return entry.call(loss, given, list(inputs.labels))


def computed(entry, inputs, engine, **settings):
    value = called(entry, inputs, engine, **settings)
    return value.detach(), gradients(value.sum(), inputs)


def twin(
    entry: Entry, inputs: Inputs, unknown: str | None, **reduction: str
) -> tuple[Tensor, tuple[Tensor, ...]]:
    inputs = differentiable(inputs)
    more = {} if unknown is None else {"unknown": unknown}
    value = entry.exact(inputs, **more, **reduction)
    return value.detach(), gradients(value.sum(), inputs)


@every_way
@pytest.mark.parametrize(
    "size", [Size(b=9), Size(b=1), Size(c=1), Size(empty=1.0), Size(b=12, n=17, c=6, density=0.2)], ids=str
)
def test_equals_its_slow_twin(entry, engine, unknown, size):
    inputs = differentiable(hidden(entry, size))
    want = twin(entry, inputs, unknown)
    assert_near(computed(entry, inputs, engine, unknown=unknown), want, 1e-10)
    sparse = inputs._replace(labels=[y.to_sparse() for y in inputs.labels])
    assert_near(computed(entry, sparse, engine, unknown=unknown), want, 1e-10)
    listed = inputs._replace(labels=[as_labels(y).sparse() for y in inputs.labels])
    assert_near(computed(entry, listed, engine, unknown=unknown), want, 1e-10)


@every_way
@pytest.mark.parametrize("temperature", [0.005, 0.05])
def test_tiles_and_low_temperatures(entry, engine, unknown, temperature):
    inputs = differentiable(hidden(entry, Size(b=12, n=17, c=6, density=0.2)))
    whole = computed(entry, inputs, engine, temperature=temperature, unknown=unknown)
    with tile_size(3, 4):
        assert_near(computed(entry, inputs, engine, temperature=temperature, unknown=unknown), whole, 1e-9)
    floats = [t.detach() for t in inputs.floats]
    single = differentiable(inputs._replace(floats=floats), torch.float32)
    value, _ = computed(entry, single, engine, temperature=temperature, unknown=unknown)
    assert float(value) == pytest.approx(float(whole[0]), rel=1e-4, abs=1e-4)


@every_row
def test_every_row_is_that_of_its_slow_twin(entry, engine, unknown):
    inputs = differentiable(hidden(entry, Size(b=11, density=0.5, empty=0.1)))
    got = computed(entry, inputs, engine, unknown=unknown, reduction="none")
    want = twin(entry, inputs, unknown, reduction="none")
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


@every_way
def test_without_unknown_entries_nothing_changes(entry, engine, unknown):
    inputs = differentiable(entry.draw(Size(b=12, n=17)))
    got = computed(entry, inputs, engine, unknown=unknown)
    want = computed(entry, inputs, engine)
    assert torch.equal(got[0], want[0])
    assert all(map(torch.equal, got[1], want[1]))
    none = inputs._replace(labels=[as_labels(y).with_unknown(as_labels(0 * y)) for y in inputs.labels])
    assert_near(computed(entry, none, engine, unknown=unknown), want, 1e-12)


def removed(entry: Entry, inputs: Inputs, place: int) -> tuple[Inputs, Inputs]:
    """Labels of which the last row of the candidates is hidden as a whole; and the same without the row."""
    labels = [y.clone() for y in inputs.labels]
    labels[-1][place] = NAN
    left = torch.arange(len(labels[-1])) != place
    floats, constants = list(inputs.floats), list(inputs.constants)
    which = {"batch": 0, "keys": len(floats) - 1}.get(entry.form, 0)
    if entry.form == "constant":
        constants[0] = constants[0][left]
    else:
        floats[which] = floats[which][left]
    return inputs._replace(labels=labels), Inputs(floats, [*labels[:-1], labels[-1][left]], constants)


@left_out
def test_a_candidate_hidden_as_a_whole_is_one_that_is_not_there(entry, engine):
    # ALL: a row that carries nothing has no label by which a hidden row could leave its denominator
    inputs = hidden(entry, Size(b=10, n=12, density=0.5, empty=0.0))
    for y in inputs.labels:
        y[:, 0] = 1 if entry.loss == "all" else y[:, 0]
    with_it, without = (differentiable(i) for i in removed(entry, inputs, 4))
    settings = {"unknown": "leave_out", "reduction": "sum"}
    (value, grads), (want, of_left) = (computed(entry, i, engine, **settings) for i in (with_it, without))
    torch.testing.assert_close(value, want, rtol=1e-10, atol=1e-10)
    for g, w in zip(grads, of_left, strict=True):
        if len(g) > len(w):
            assert not g[4].any()
            g = g[torch.arange(len(g)) != 4]
        torch.testing.assert_close(g, w, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("entry", "engine", "unknown"),
    [way for way in PER_ROW if way in PER_LABEL],
    ids=ids(way for way in PER_ROW if way in PER_LABEL),
)
def test_an_anchor_hidden_as_a_whole_adds_nothing(entry, engine, unknown):
    inputs = hidden(entry, Size(b=8, density=0.5, empty=0.0))
    inputs.labels[0][3] = NAN
    inputs = differentiable(inputs)
    values = called(entry, inputs, engine, unknown=unknown, reduction="none")
    assert float(values[3].detach()) == 0
    assert all(not g.any() for g in gradients(values[3], inputs))


@pytest.mark.parametrize(("entry", "engine", "unknown"), AGAINST_KEYS, ids=ids(AGAINST_KEYS))
def test_a_negative_entry_of_an_anchor_may_as_well_be_unknown(entry, engine, unknown):
    inputs = differentiable(hidden(entry, Size(b=8, n=10, c=6, density=0.3, empty=0.0)))
    Y, T = inputs.labels
    row, label = (Y == 0).nonzero()[0].tolist()
    if entry.loss == "base":  # its union is that of labels known on both
        T[:, label] = torch.where(T[:, label] == 1, 0.0, T[:, label])
    before = computed(entry, inputs, engine, unknown=unknown)
    Y = Y.clone()
    Y[row, label] = NAN
    assert_near(computed(entry, inputs._replace(labels=[Y, T]), engine, unknown=unknown), before, 1e-12)


@pytest.mark.parametrize("name", ["bce", "focal", "asl"])
def test_a_hidden_entry_of_logits_takes_its_term_alone_away(name):
    g = torch.Generator().manual_seed(0)
    x, Y = torch.randn(6, 5, generator=g).double(), (torch.rand(6, 5, generator=g) < 0.4).double()
    of_one = losses.get(name, reduction="sum")(x[2:3, 3:4], Y[2:3, 3:4])
    whole = losses.get(name, reduction="sum")(x, Y)
    Y[2, 3] = NAN
    torch.testing.assert_close(losses.get(name, reduction="sum")(x, Y), whole - of_one)
    torch.testing.assert_close(losses.get(name, reduction="mean")(x, Y), (whole - of_one) / 29)
    Y[4] = NAN
    left = losses.get(name, reduction="sum")(x, Y)
    torch.testing.assert_close(losses.get(name, reduction="rows")(x, Y), left / 5)


@every_way
def test_the_order_of_rows_and_labels_does_not_matter(entry, engine, unknown):
    inputs = hidden(entry, Size(b=9, n=11))
    if entry.form in ("batch", "keys") and "temperature" in entry.takes and entry.loss not in ("msc",):
        order = torch.randperm(len(inputs.labels[-1]), generator=torch.Generator().manual_seed(1))
        if entry.loss == "debiased":  # the other views come first
            order = torch.cat([torch.arange(9), 9 + order[order < len(order) - 9]])
        floats = [*inputs.floats[:-1], inputs.floats[-1][order]]
        moved = inputs._replace(floats=floats, labels=[*inputs.labels[:-1], inputs.labels[-1][order]])
        got, want = (called(entry, i, engine, unknown=unknown) for i in (moved, inputs))
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)
        columns = torch.randperm(inputs.labels[0].shape[1], generator=torch.Generator().manual_seed(2))
        moved = inputs._replace(labels=[y[:, columns] for y in inputs.labels])
        torch.testing.assert_close(
            called(entry, moved, engine, unknown=unknown), want, rtol=1e-10, atol=1e-10
        )
    else:
        order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
        fixed = {"proto": 1, "msc": 1, "reg": 1, "wrg": 1}.get(entry.loss)
        floats = [t if n == fixed or (fixed and n > 1) else t[order] for n, t in enumerate(inputs.floats)]
        moved = inputs._replace(floats=floats, labels=[inputs.labels[0][order], *inputs.labels[1:]])
        got, want = (called(entry, i, engine, unknown=unknown) for i in (moved, inputs))
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


def test_packed_labels_are_those_of_a_tensor():
    entry = next(entry for entry, _ in CALLS if str(entry) == "mulsupcon-keys")
    inputs = hidden(entry, Size(b=9, n=70, c=11))
    packed = inputs._replace(labels=[PackedLabels.pack(y) for y in inputs.labels])
    for unknown in BOTH:
        got, want = (called(entry, i, None, unknown=unknown) for i in (packed, inputs))
        torch.testing.assert_close(got, want)


def test_leaving_out_matters():
    for entry, engine in LEFT_OUT:
        if entry.loss not in ("all", "supcon"):
            inputs = hidden(entry, Size(b=9, n=11, c=6))
            kept, without = (called(entry, inputs, engine, unknown=unknown) for unknown in BOTH)
            assert not torch.allclose(kept, without), str(entry)


@pytest.mark.parametrize("name", ["mulsupcon", "reg", "any"])
def test_only_the_two_settings(name):
    with pytest.raises(ManyLabelError, match="unknown 'keep' or 'leave_out', but got 'drop'"):
        losses.get(name, unknown="drop")


@pytest.mark.parametrize("unknown", BOTH)
def test_second_derivatives(unknown):
    g = torch.Generator().manual_seed(0)
    z = torch.randn(5, 3, generator=g, dtype=torch.float64, requires_grad=True)
    k = torch.randn(7, 3, generator=g, dtype=torch.float64, requires_grad=True)
    Y, T = (hide((torch.rand(n, 4, generator=g) < 0.5).double(), seed=n) for n in (5, 7))
    loss = losses.get("mulsupcon", engine="streamed", unknown=unknown)
    assert torch.autograd.gradcheck(lambda z, k: loss(z, Y, k, T), (z, k))
    assert torch.autograd.gradgradcheck(lambda z, k: loss(z, Y, k, T), (z, k))
    assert torch.autograd.gradgradcheck(lambda z: loss(z, Y), (z,))
