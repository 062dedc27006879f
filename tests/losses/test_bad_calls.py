"""Bad calls of the losses end in the library's own error, which says what to do; none is nonsense without a word."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.losses.registry import Size, contrastive

from manylabel import losses
from manylabel.errors import ManyLabelError

nan, inf = float("nan"), float("inf")
z, x, K = torch.randn(8, 4), torch.randn(8, 3), torch.randn(6, 4)
Y, T, ones = torch.rand(8, 3) < 0.5, torch.rand(6, 3) < 0.5, torch.ones(8, 3)
one_hot = torch.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1]]
P = torch.randn(3, 4)
get = losses.get
CONTRASTIVE = (
    "supcon",
    "all",
    "any",
    "mulsupcon",
    "mulsupcon_weighted",
    "mulsupcon_inbatch",
    "base",
    "similarity_dissimilarity",
    "pair_weighted",
)
WITH_PROTOTYPES = ("proto", "msc", "reg", "wrg")
ON_LOGITS = ("bce", "focal", "asl", "zlpr", "twoway")

Call = Callable[[], object]


def refused(call: Call, *words: str) -> str:
    with pytest.raises(ManyLabelError) as caught:
        call()
    message = str(caught.value)
    assert ": expected " in message
    assert ", but got " in message
    for word in words:
        assert word in message, message
    return message


WRONG_NUMBERS = {
    "text": "0.1",
    "None": None,
    "two": torch.tensor([0.1, 0.2]),
    "a list": [0.1],
    "NaN": nan,
    "inf": inf,
    "-inf": -inf,
    "True": True,
    "complex": 1j,
    "huge": 10**400,
}
SETTINGS = {  # settings that are numbers, with what lies outside their range
    "temperature": (("mulsupcon", "proto", "msc", "reg", "kmcl"), (0, -1.0, 1e-30)),
    "gamma": (("focal",), (-1,)),
    "gamma_neg": (("asl", "kmcl"), (-1,)),
    "gamma_pos": (("asl", "kmcl"), (-0.1,)),
    "clip": (("asl", "kmcl"), (2, 1, -0.1)),
    "eps": (("asl",), (-1, 0, 1)),
    "alpha": (("msc",), (-1,)),
    "beta": (("msc",), (-0.1,)),
    "positive_temperature": (("twoway",), (0, -1)),
    "negative_temperature": (("twoway",), (0, -1)),
}
NUMBERS = [
    (name, setting, value)
    for setting, (names, outside) in SETTINGS.items()
    for name in names
    for value in [*WRONG_NUMBERS.values(), *outside]
] + [(name, "alpha", value) for name in ("reg", "wrg") for value in WRONG_NUMBERS.values()]


@pytest.mark.parametrize(("name", "setting", "value"), NUMBERS, ids=lambda v: f"{v!r:.20}")
def test_numbers_without_meaning(name, setting, value):
    refused(lambda: get(name, **{setting: value}), setting)


ARGUMENTS = {
    "mulsupcon": (z, Y),
    "proto": (z, Y, P),
    "msc": (z, Y, P),
    "reg": (z, Y, P),
    "wrg": (z, Y, P),
    "focal": (x, Y),
    "asl": (x, Y),
    "twoway": (x, Y),
    "kmcl": (z, x, x, ones, Y),
}


def changed(name: str, *arguments: object, **settings: object) -> object:
    """A loss whose settings are changed after it was built."""
    loss = get(name)
    for setting, value in settings.items():
        setattr(loss, setting, value)
    return loss(*arguments)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [case for case in NUMBERS if not isinstance(case[2], torch.Tensor) and case[2] in (None, -1, 2, 0)],
    ids=lambda v: f"{v!r:.20}",
)
def test_settings_changed_later_are_refused_too(name, setting, value):
    refused(lambda: changed(name, *ARGUMENTS[name], **{setting: value}), setting)


@pytest.mark.parametrize("name", [*SETTINGS, "alpha"])
def test_a_setting_that_cannot_be_learnt_refuses_a_tensor_that_would_be(name):
    if name != "temperature":
        loss = "reg" if name == "alpha" else SETTINGS[name][0][0]
        refused(lambda: get(loss, **{name: torch.tensor(0.5, requires_grad=True)}), "cannot be learnt")


OTHER_SETTINGS: dict[str, tuple[Call, str]] = {
    "name is a list": (lambda: get(["mulsupcon"]), "one of supcon"),
    "name is None": (lambda: get(None), "one of supcon"),
    "a name spelt wrong": (lambda: get("mulsupkon"), "mulsupcon"),
    "a setting of another loss": (lambda: get("bce", temperature=0.1), "settings among"),
    "group is text": (lambda: get("mulsupcon", group="world"), "process group"),
    "group of a loss on logits is text": (lambda: get("bce", group="world"), "process group"),
    "group of a loss on logits changed later": (lambda: changed("twoway", x, Y, group=3), "process group"),
    "group is a number": (lambda: changed("mulsupcon", z, Y, group=3), "process group"),
    "reduction is a number": (lambda: get("mulsupcon", reduction=3), "'mean', 'sum' or 'none'"),
    "reduction changed later": (lambda: changed("mulsupcon", z, Y, reduction="avg"), "'mean'"),
    "reduction on logits changed later": (lambda: changed("focal", x, Y, reduction="avg"), "'rows'"),
    "reduction rows of zlpr": (lambda: get("zlpr", reduction="rows"), "'mean', 'sum' or 'none'"),
    "reduction of kmcl": (lambda: changed("kmcl", z, x, x, ones, Y, reduction="avg"), "'mean'"),
    "engine is a list": (lambda: get("any", engine=["dense"]), "'auto'"),
    "engine is None": (lambda: get("any", engine=None), "'auto'"),
    "normalize is text": (lambda: get("any", normalize="no"), "True or False"),
    "normalize changed later": (lambda: changed("mulsupcon", z, Y, normalize=None), "True or False"),
    "weight is a number": (lambda: get("pair_weighted", weight=5), "function"),
    "normalize_weights is text": (
        lambda: get("pair_weighted", normalize_weights="no"),
        "True or False",
    ),
    "detach_focus is text": (lambda: get("asl", detach_focus="no"), "True or False"),
    "log_space is a number": (lambda: get("asl", log_space=2), "True or False"),
    "similarity of kmcl": (lambda: get("kmcl", similarity=3), "'bc', 'mks' or 'rbf'"),
    "scale of kmcl": (lambda: get("kmcl", scale=None), "'released'"),
    "one alpha": (lambda: get("focal", alpha=0.25), "one weight for each label"),
    "alpha with two axes": (lambda: get("focal", alpha=torch.ones(8, 1)), "one weight for each label"),
    "alpha NaN": (lambda: get("focal", alpha=[1.0, nan, 1.0]), "finite weights"),
    "alpha below 0": (lambda: get("focal", alpha=[1.0, -1.0, 1.0]), "at least 0"),
    "alpha of texts": (lambda: get("focal", alpha=["a", "b", "c"]), "numbers"),
    "two alphas for three labels": (lambda: get("focal", alpha=torch.ones(2))(x, Y), "each label"),
    "features of kmcl": (
        lambda: get("kmcl").contrastive(x, ones, Y, n_features=2.5),
        "whole number",
    ),
}


@pytest.mark.parametrize("what", OTHER_SETTINGS)
def test_other_settings(what):
    call, word = OTHER_SETTINGS[what]
    refused(call, word)


EMBEDDINGS = {
    "sparse": z.to_sparse(),
    "on meta": z.to("meta"),
    "whole numbers": z.long(),
    "complex": z.to(torch.complex64),
    "one axis": z[0],
    "three axes": z[None],
    "an array": z.numpy(),
    "a list": z.tolist(),
    "None": None,
    "eight bits": z.to(torch.float8_e4m3fn),
}


@pytest.mark.parametrize("what", EMBEDDINGS)
def test_embeddings_keys_and_prototypes(what):
    given = EMBEDDINGS[what]
    for name in CONTRASTIVE:
        refused(lambda name=name: get(name)(given, one_hot))
        if name != "mulsupcon_inbatch" and given is not None:
            refused(lambda name=name: get(name)(z, one_hot, given, one_hot))
    for name in WITH_PROTOTYPES:
        refused(lambda name=name: get(name)(given, Y, P))
        refused(lambda name=name: get(name)(z, Y, given))
    for name in ON_LOGITS:
        refused(lambda name=name: get(name)(given, Y))


LABELS = {
    "tuples of numbers": ([(0, 2), (1,), ()] * 2 + [(), ()], "MultiLabelBinarizer"),
    "lists of names": ([["a", "c"], ["b"], []] * 2 + [[], []], "MultiLabelBinarizer"),
    "sets": ([{0}, {1, 2}, set()] * 2 + [set(), set()], "MultiLabelBinarizer"),
    "texts": (["a b", "c", ""] * 2 + ["", ""], "MultiLabelBinarizer"),
    "one text": ("abcdefgh", "MultiLabelBinarizer"),
    "an array of texts": (np.full((8, 3), "a"), "MultiLabelBinarizer"),
    "objects": (np.full((8, 3), object()), "0/1 numbers"),
    "None alone": (np.full((8, 3), None), "some of which are known"),
    "ragged": ([[1, 0], [1]] * 4, "0/1 matrix"),
    "complex": (Y.to(torch.complex64), "numbers"),
    "on meta": (Y.to("meta"), "meta"),
    "NaN alone": (ones * nan, "NaN"),
    "infinity beside NaN": (torch.where(Y > 0, nan, inf), "[0, 1]"),
    "inf": (ones * inf, "[0, 1]"),
    "below 0": (-ones, "[0, 1]"),
    "above 1": (2 * ones, "[0, 1]"),
    "masked throughout": (np.ma.masked_array(ones.numpy(), mask=Y.numpy() | True), "some of which are known"),
    "three axes": (ones[None], "(n_rows, n_labels)"),
    "no axis": (np.array(1), "(n_rows, n_labels)"),
    "fewer rows": (Y[:7], "labels"),
    "None": (None, "0/1 numbers"),
    "a dictionary": ({0: 1}, "0/1 numbers"),
    "nested": (torch.nested.nested_tensor([ones[0], ones[1]], layout=torch.jagged), "labels"),
}


@pytest.mark.parametrize("what", LABELS)
def test_labels(what):
    given, word = LABELS[what]
    names = [n for n in (*CONTRASTIVE, *ON_LOGITS) if n != "supcon"]
    for name in names:
        refused(lambda name=name: get(name)(x, given), word)
        if name in CONTRASTIVE and name != "mulsupcon_inbatch" and given is not None:
            refused(lambda name=name: get(name)(z, Y, z, given), word)
    refused(lambda: get("supcon")(z, given))
    for name in WITH_PROTOTYPES:
        refused(lambda name=name: get(name)(z, given, P), word)
    refused(lambda: get("kmcl")(z, x, x, ones, given))


SHAPES: dict[str, tuple[Call, str]] = {
    "keys without labels": (lambda: get("any")(z, Y, K), "Y_keys"),
    "labels without keys": (lambda: get("any")(z, Y, None, T), "keys along"),
    "keys of another width": (lambda: get("any")(z, Y, K[:, :3], T), "same width"),
    "labels of keys of another width": (lambda: get("any")(z, Y, K, T[:, :2]), "same label columns"),
    "prototypes of other labels": (lambda: get("proto")(z, Y, P[:2]), "one per label"),
    "prototypes of another width": (lambda: get("msc")(z, Y, P[:, :3]), "(3, 4)"),
    "labels of other logits": (lambda: get("asl")(x, Y[:, :2]), "match the logits"),
    "weights of another shape": (
        lambda: get("pair_weighted", weight=lambda *a: torch.ones(2, 2))(z, Y),
        "tensor of shape",
    ),
    "weights as an array": (
        lambda: get("pair_weighted", weight=lambda a, b: (a @ b.T).numpy())(z, Y),
        "as a tensor",
    ),
    "weights below 0": (
        lambda: get("pair_weighted", weight=lambda a, b: -(a @ b.T) - 1)(z, Y),
        "at least 0",
    ),
    "weights NaN": (lambda: get("pair_weighted", weight=lambda a, b: a @ b.T * nan)(z, Y), "finite"),
    "soft class numbers": (lambda: get("supcon")(z, torch.rand(8)), "whole class numbers"),
    "class numbers as texts": (lambda: get("supcon")(z, ["a"] * 8), "0/1 numbers"),
    "fewer class numbers": (lambda: get("supcon")(z, torch.arange(7)), "(8, n_labels)"),
    "class numbers beyond int64": (
        lambda: get("supcon")(z, np.full(8, 2**64 - 1, np.uint64)),
        "int64",
    ),
    "KMCL, negative variances": (lambda: get("kmcl")(z, x, x, -ones, Y), "variances above 0"),
    "KMCL, variances of 0": (lambda: get("kmcl")(z, x, x, 0 * ones, Y), "variances above 0"),
    "KMCL, variances as a number": (lambda: get("kmcl")(z, x, x, 1.0, Y), "variances"),
    "KMCL, logits as an array": (lambda: get("kmcl")(z, x.numpy(), x, ones, Y), "logits"),
    "KMCL, whole means": (lambda: get("kmcl")(z, x, x.long(), ones, Y), "means"),
    "KMCL, means on meta": (lambda: get("kmcl")(z, x, x.to("meta"), ones, Y), "means"),
    "KMCL, fewer labels": (lambda: get("kmcl")(z, x, x, ones, Y[:7]), "one row per sample"),
}


@pytest.mark.parametrize("what", SHAPES)
def test_arguments_that_do_not_match(what):
    call, word = SHAPES[what]
    assert word.lower() in refused(call).lower()


net = torch.nn.Linear(4, 4)
CACHED: dict[str, tuple[Call, str]] = {
    "values of rows": (
        lambda: losses.cached_step(net, get("mulsupcon", reduction="none"), z, Y),
        "reduction 'mean'",
    ),
    "lists": (lambda: losses.cached_step(net, get("any"), [[1, 2], [3, 4]], Y), "tensors"),
    "an array": (
        lambda: losses.cached_step(net, get("any"), z.numpy(), Y),
        "one or two views of the same rows, but got ndarray",
    ),
    "three views": (lambda: losses.cached_step(net, get("any"), [z, z, z], Y), "one or two views"),
    "no views": (lambda: losses.cached_step(net, get("any"), [], Y), "one or two views"),
    "unlike views": (lambda: losses.cached_step(net, get("any"), [z, z[:7]], Y), "same rows"),
    "chunk 2.5": (lambda: losses.cached_step(net, get("any"), z, Y, chunk=2.5), "whole number"),
    "chunk 0": (lambda: losses.cached_step(net, get("any"), z, Y, chunk=0), "at least 1"),
    "chunk True": (lambda: losses.cached_step(net, get("any"), z, Y, chunk=True), "whole number"),
    "an encoder of another shape": (
        lambda: losses.cached_step(torch.nn.Unflatten(1, (2, 2)), get("any"), z, Y),
        "(n, D)",
    ),
    "an encoder of two things": (
        lambda: losses.cached_step(lambda rows: (rows, rows), get("any"), z, Y),
        "tuple",
    ),
    "a loss of something else": (
        lambda: losses.cached_step(net, lambda rows, Y: net(z).sum(), z, Y),
        "leaves them out",
    ),
    "a detached loss": (
        lambda: losses.cached_step(net, lambda rows, Y: rows.detach().sum(), z, Y),
        "detached",
    ),
}


@pytest.mark.parametrize("what", CACHED)
def test_cached_steps(what):
    call, word = CACHED[what]
    refused(call, word)


@pytest.mark.parametrize("engine", ["dense", "streamed", "flash"])
@pytest.mark.parametrize("dtypes", [("f4", "f8"), ("f2", "f8"), ("f8", "f4"), ("f8", "f2")], ids=str)
@pytest.mark.parametrize(
    "name",
    [
        "mulsupcon",
        "any",
        "msc",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("base", "all", "similarity_dissimilarity")),
    ],
)
def test_keys_of_another_type_are_taken_to_that_of_the_anchors(engine, dtypes, name):
    first, second = (getattr(torch, {"f2": "half", "f4": "float32", "f8": "float64"}[d]) for d in dtypes)
    (a, b), (Ya, Yb), _ = contrastive(False, True)(Size(b=70, n=90))
    a, b = a.to(first).requires_grad_(), b.to(second).requires_grad_()
    extra = (torch.randn(4, 5, dtype=second), b, Yb) if name == "msc" else (b, Yb)
    value = get(name, engine=engine)(a, Ya, *extra)
    value.backward()
    assert value.dtype == (torch.float64 if first == torch.float64 else torch.float32)
    assert (a.grad.dtype, b.grad.dtype) == (first, second)
    exact = [t.detach().double() if t.is_floating_point() else t for t in (a, Ya, *extra)]
    want = get(name, engine="dense")(*exact)
    assert abs(float(value.detach()) - float(want)) <= 1e-3 * abs(float(want))


@pytest.mark.parametrize("name", CONTRASTIVE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("length", [1e-30, 1e-13, 1e10, 1e19, 3e37, "1e200"])
def test_rows_of_any_length_give_what_the_dense_engine_gives(name, dtype, length):
    if isinstance(length, str):
        dtype, length = torch.float64, float(length)
    x = torch.randn(90, 6, dtype=dtype, generator=torch.Generator().manual_seed(0))
    x[::7] *= length / x[::7].norm(dim=1, keepdim=True)
    Y = torch.eye(3)[torch.arange(90) % 3]
    found = []
    for engine in ("dense", "streamed"):
        rows = x.clone().requires_grad_()
        value = get(name, engine=engine)(rows, Y)
        value.backward()
        found.append((value.detach(), rows.grad))
    (want, slope), (got, other) = found
    assert slope.isfinite().all()
    torch.testing.assert_close(got, want, rtol=1e-5, atol=0)
    scale = slope.abs().amax(1, keepdim=True).clamp_min(torch.finfo(dtype).tiny)  # rows differ in size
    torch.testing.assert_close(other / scale, slope / scale, rtol=1e-3, atol=1e-3)
    if length >= 1e10:  # directions alone count
        unit = x / x.abs().amax(1, keepdim=True)
        torch.testing.assert_close(want, get(name, engine="dense")(unit, Y), rtol=1e-5, atol=0)
