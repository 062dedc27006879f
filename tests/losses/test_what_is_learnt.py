"""Whatever may carry a gradient gets it on every engine, or the call says which engine gives it."""

from __future__ import annotations

import pytest
import torch
from tests.losses.registry import CALLS, ENTRIES, Entry, Inputs, Size, case

from manylabel import losses
from manylabel.errors import ManyLabelError
from manylabel.models import LabelQueue

ENGINES = ("auto", "dense", "streamed", "flash")
LARGE = Size(b=80, n=90, c=5, d=6)  # more than the dense engine takes by itself
WITH_ENGINE = [(entry, engine) for entry, engine in CALLS if engine]
every_engine = pytest.mark.parametrize(
    ("entry", "engine"), WITH_ENGINE, ids=[f"{entry}-{engine}" for entry, engine in WITH_ENGINE]
)
# one for each way to walk over the pairs: the others go the same way, and are slow tests
WAYS = ("mulsupcon-batch", "any-keys", "mulsupcon-constant", "msc-keys", "reg-share", "kmcl-isotropic")


def each_way(cases, quick=WAYS):
    """Cases (entry, ...) of which only some entries are part of the quick run."""
    return [
        pytest.param(
            *case, id="-".join(map(str, case)), marks=[] if str(case[0]) in quick else pytest.mark.slow
        )
        for case in cases
    ]


def drawn(entry: Entry, size: Size, dtype: torch.dtype = torch.float64) -> Inputs:
    size = size._replace(b=30) if entry.loss == "kmcl" and size.b > 30 else size
    inputs = entry.draw(size)
    floats = [t.to(dtype).requires_grad_() for t in inputs.floats]
    return Inputs(floats, inputs.labels, [t.to(dtype) for t in inputs.constants])


def called(entry: Entry, inputs: Inputs, tau: object, **settings: object) -> torch.Tensor:
    loss = losses.get(entry.loss, temperature=tau, **entry.settings, **settings)
    return entry.call(loss, [*inputs.floats, *inputs.constants], inputs.labels)


@pytest.mark.parametrize(
    ("entry", "engine", "dtype"),
    [
        *each_way(((*c, torch.float64) for c in WITH_ENGINE), {str(entry) for entry in ENTRIES}),
        *each_way((*c, torch.float32) for c in WITH_ENGINE),
    ],
)
def test_a_temperature_gets_the_gradient_of_the_slow_twin(entry, engine, dtype):
    inputs = drawn(entry, Size(), dtype)
    tau = torch.nn.Parameter(torch.tensor(0.3, dtype=dtype))
    loss = losses.get(entry.loss, temperature=tau, engine=engine, **entry.settings)
    assert [*loss.parameters()] == [tau]
    value = entry.call(loss, [*inputs.floats, *inputs.constants], inputs.labels)
    got = torch.autograd.grad(value, [tau, *inputs.floats])
    exact = [t.detach().double().requires_grad_() for t in inputs.floats]
    precise = tau.detach().double().requires_grad_()
    constants = [t.double() for t in inputs.constants]
    want_value = entry.twin([*exact, *constants], inputs.labels, precise)
    want = torch.autograd.grad(want_value, [precise, *exact], allow_unused=True, materialize_grads=True)
    rtol = 1e-9 if dtype == torch.float64 else 2e-5
    torch.testing.assert_close(value.detach().double(), want_value.detach(), rtol=rtol, atol=rtol)
    for g, w in zip(got, want, strict=True):
        assert g.dtype == dtype
        assert float((g.double() - w).abs().max()) <= rtol * max(1.0, float(w.abs().max()))


@every_engine
def test_a_constant_temperature_in_a_tensor_is_that_number(entry, engine):
    inputs = drawn(entry, Size())
    want = called(entry, inputs, 0.25, engine=engine)
    for tau in (torch.tensor(0.25), torch.tensor([0.25]), torch.nn.Parameter(torch.tensor(0.25), False)):
        assert torch.equal(called(entry, inputs, tau, engine=engine), want)


@pytest.mark.parametrize(
    ("entry", "engine", "learnt"),
    each_way((*c, learnt) for learnt in (False, True) for c in WITH_ENGINE if c[1] != "dense"),
)
def test_second_derivatives_are_those_of_the_dense_engine(entry, engine, learnt):
    found = []
    for name in ("dense", engine):
        inputs = drawn(entry, LARGE._replace(b=20, n=30))
        tau = torch.tensor(0.3, dtype=torch.float64, requires_grad=learnt)
        wanted = [*inputs.floats, *([tau] if learnt else [])]
        value = called(entry, inputs, tau, engine=name, reduction="sum")
        first = torch.autograd.grad(value, wanted, create_graph=True)
        penalty = sum(g.square().sum() for g in first)
        second = torch.autograd.grad(penalty, wanted, allow_unused=True, materialize_grads=True)
        found.append([*first, *second])
    torch.testing.assert_close(found[1], found[0], rtol=1e-7, atol=1e-9)
    assert all(bool(g.any()) for g in found[0][: len(wanted)])


def test_keys_changed_in_place_have_no_second_derivative():
    z, keys = torch.randn(80, 4, requires_grad=True), torch.randn(90, 4)
    value = losses.get("mulsupcon")(z, torch.ones(80, 2), keys, torch.ones(90, 2))
    keys += 1
    value.backward(retain_graph=True)  # the first one does not look at them again
    with pytest.raises(ManyLabelError, match=r"changed in place .* Pass a copy"):
        torch.autograd.grad(value, z, create_graph=True)


@pytest.mark.filterwarnings(
    "ignore:.torch.jit.script. is deprecated"
)  # jvp of some operators asks torch for it
@pytest.mark.parametrize(
    ("entry", "n", "c"),
    [
        *each_way((e, n, 4) for n in (16, 96) for e in ENTRIES if "engine" in e.takes),
        *each_way(((e, 96, 700) for e in ENTRIES if "engine" in e.takes), WAYS[:3]),
    ],
)
def test_torch_func_gives_the_same_for_few_rows_and_many(entry, n, c):
    if entry.loss == "kmcl":
        n, c = n // 4, c // 100 + 3
    inputs = drawn(entry, Size(b=n, n=70, c=c, density=0.1))
    first, *others = (t.detach() for t in inputs.floats)

    def value(x: torch.Tensor, **settings: object) -> torch.Tensor:
        return called(entry, inputs._replace(floats=[x, *others]), 0.3, **settings)

    (want,) = torch.autograd.grad(value(inputs.floats[0], engine="dense"), inputs.floats[0])
    torch.testing.assert_close(torch.func.grad(value)(first), want)
    mapped = torch.func.vmap(torch.func.grad(value))(first[None])[0]
    torch.testing.assert_close(mapped, want)
    _, slope = torch.func.jvp(value, (first,), (want,))
    torch.testing.assert_close(slope, want.square().sum())
    with pytest.raises(ManyLabelError, match="'auto' or 'dense' under a transform"):
        torch.func.grad(lambda x: value(x, engine="streamed"))(first)


def test_labels_that_vmap_goes_over_are_refused():
    z, Y = torch.randn(2, 8, 4), torch.ones(2, 8, 3)
    with pytest.raises(ManyLabelError, match="vmap"):
        torch.func.vmap(losses.get("mulsupcon"))(z, Y)


@pytest.mark.parametrize("name", ["mulsupcon", "mulsupcon_weighted", "pair_weighted"])
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_soft_labels_get_their_gradient(name, keyed, layout):
    c = case(b=9, n=12, c=4)
    soft = [0.1 + 0.8 * torch.rand(len(y), 4, dtype=torch.float64) for y in (c.Y, c.T)]

    def value(Y: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
        Y, T = (t.to_sparse() if layout == "sparse" else t for t in (Y, T))
        loss = losses.get(name, temperature=0.4)
        return loss(c.x, Y, c.keys, T) if keyed else loss(c.x, Y)

    leaves = [t.clone().requires_grad_() for t in soft]
    assert torch.autograd.gradcheck(lambda Y: value(Y, leaves[1]), leaves[:1])
    assert not keyed or torch.autograd.gradcheck(lambda T: value(leaves[0], T), leaves[1:])


def test_soft_labels_of_many_rows_take_the_dense_engine():
    z, Y = torch.randn(200, 8), torch.rand(200, 400, requires_grad=True)
    loss = losses.get("mulsupcon")
    loss(z, Y).backward()
    assert loss.backend == "dense"
    assert Y.grad is not None
    with torch.no_grad():
        loss(z, Y)
    assert loss.backend == "streamed"
    with pytest.raises(ManyLabelError, match=r"labels that require a gradient, but got 'streamed'.*dense"):
        losses.get("mulsupcon", engine="streamed")(z, Y)


@pytest.mark.parametrize("name", ["supcon", "all", "any", "base", "similarity_dissimilarity"])
def test_labels_that_are_sets_have_no_gradient(name):
    Y = torch.eye(6).requires_grad_()
    with pytest.raises(ManyLabelError, match=r"labels without a gradient.*detach"):
        losses.get(name)(torch.randn(6, 3), Y)
    with torch.no_grad():
        losses.get(name)(torch.randn(6, 3), Y)


@pytest.mark.parametrize("n", [8, 96])
@pytest.mark.parametrize("keyed", [False, True])
def test_pair_weights_get_their_gradient(n, keyed):
    z, Y = torch.randn(n, 4), torch.rand(n, 5) < 0.4
    keys = (torch.randn(n + 7, 4), torch.rand(n + 7, 5) < 0.4) if keyed else ()
    slopes = []
    for engine in ("dense", "auto"):
        per_label = torch.linspace(0.5, 1.5, 5).requires_grad_()
        loss = losses.get("pair_weighted", weight=lambda a, b, w=per_label: (a * w) @ b.T, engine=engine)
        loss(z, Y, *keys).backward()
        assert loss.backend == "dense"
        slopes.append(per_label.grad)
    torch.testing.assert_close(slopes[0], slopes[1])
    assert slopes[0].any()
    loss = losses.get("pair_weighted", weight=loss.weight, engine="streamed")
    with pytest.raises(ManyLabelError, match="pair weights that require a gradient, but got 'streamed'"):
        loss(z, Y, *keys)
    with torch.no_grad():
        assert float(loss(z, Y, *keys)) > 0


def test_a_module_of_pair_weights_is_part_of_the_loss():
    weight = torch.nn.Bilinear(5, 5, 1)
    assert len([*losses.get("pair_weighted", weight=weight).parameters()]) == 2


def test_a_focal_weight_that_is_a_parameter_is_learnt():
    alpha = torch.nn.Parameter(torch.ones(3))
    loss = losses.get("focal", alpha=alpha)
    loss(torch.randn(4, 3), torch.ones(4, 3)).backward()
    assert [*loss.parameters()] == [alpha]
    assert alpha.grad.any()
    assert not [*losses.get("focal", alpha=[1.0, 2.0, 1.0]).parameters()]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_temperature_with_a_queue_of_known_sums(engine):
    queue = LabelQueue(200, 6, 4, running_sums=True)
    queue.push(torch.nn.functional.normalize(torch.randn(200, 6)), torch.rand(200, 4) < 0.3)
    z, Y = torch.nn.functional.normalize(torch.randn(40, 6)), torch.rand(40, 4) < 0.4
    keys, labels = queue.candidates(z, Y)
    slopes = []
    for known in (labels, labels.dense()):
        tau = torch.nn.Parameter(torch.tensor(0.1))
        losses.get("mulsupcon", temperature=tau, engine=engine)(z, Y, keys, known).backward()
        slopes.append(tau.grad)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_learnt_temperature_that_leaves_its_range_says_so(value):
    tau = torch.nn.Parameter(torch.tensor(0.1))
    loss = losses.get("mulsupcon", temperature=tau)
    tau.data.fill_(value)
    with pytest.raises(ManyLabelError, match=r"temperature above 0.*learn its logarithm"):
        loss(torch.randn(4, 3), torch.ones(4, 2))


def test_a_sharp_learnt_temperature_is_computed_like_a_constant_one():
    c = case(b=12)
    x, tau = c.x.float(), torch.nn.Parameter(torch.tensor(0.01))
    want = losses.get("mulsupcon", temperature=0.01)(x, c.Y)
    got = losses.get("mulsupcon", temperature=tau)(x, c.Y)
    assert abs(float(got.detach()) - float(want)) <= 1e-6 * abs(float(want))
    assert got.dtype == want.dtype


def test_the_table_covers_every_loss_with_a_temperature():
    assert {entry.loss for entry, _ in WITH_ENGINE} == {
        entry.loss for entry in ENTRIES if "temperature" in entry.takes
    }
