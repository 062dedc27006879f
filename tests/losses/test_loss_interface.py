"""Names, settings, the record of the engine, and what bad input is told."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.losses.cases import case

from manylabel import losses
from manylabel.errors import ManyLabelError
from manylabel.labels import as_labels


@pytest.mark.parametrize("name", losses.names())
def test_built_by_name_with_settings(name):
    loss = losses.get(name)
    assert isinstance(loss, torch.nn.Module)
    assert repr(loss).endswith(")")


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(
        ManyLabelError, match=r"losses\.get: expected one of .*mulsupcon.*but got 'mulsupkon'"
    ):
        losses.get("mulsupkon")


def test_unknown_setting_lists_the_known_ones():
    with pytest.raises(
        ManyLabelError, match=r"MulSupCon: expected settings among .*temperature.*but got 'tau'"
    ):
        losses.get("mulsupcon", tau=0.1)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_temperature_must_be_positive(temperature):
    with pytest.raises(ManyLabelError, match="temperature above 0"):
        losses.get("mulsupcon", temperature=temperature)


def test_unknown_reduction_and_engine():
    with pytest.raises(ManyLabelError, match="'mean', 'sum' or 'none'"):
        losses.get("any", reduction="avg")
    with pytest.raises(ManyLabelError, match="'auto', 'dense', 'streamed', 'flash'"):
        losses.get("any", engine="fast")


def test_the_engine_that_ran_is_recorded():
    c = case()
    loss = losses.get("mulsupcon")
    assert loss.backend is None
    loss(c.x, c.Y)
    assert loss.backend == "dense"
    z = torch.randn(300, 8)
    loss(z, torch.ones(300, 2))
    assert loss.backend == "streamed"
    loss = losses.get("mulsupcon", engine="streamed")
    loss(c.x, c.Y)
    assert loss.backend == "streamed"


def test_the_divisor_is_recorded():
    c = case()
    loss = losses.get("mulsupcon", reduction="none", engine="dense")
    assert loss.divisor is None
    values = loss(c.x.requires_grad_(), c.Y, c.keys, c.T)
    assert not loss.divisor.requires_grad
    mean = losses.get("mulsupcon")(c.x, c.Y, c.keys, c.T)
    torch.testing.assert_close(values.sum() / loss.divisor, mean)
    loss(c.x, c.Y * 0)
    assert float(loss.divisor) == 0
    assert float(copy.deepcopy(loss).divisor) == 0
    torch._dynamo.reset()
    torch.compile(loss, fullgraph=True, backend="eager")(c.x, c.Y)
    assert loss.divisor is None


Z, Y = torch.randn(64, 8), torch.ones(64, 20, dtype=torch.long)
K, T = torch.randn(10, 8), torch.ones(10, 20, dtype=torch.long)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (Z, Y[:63]),
            r"MulSupCon: expected labels of shape \(64, n_labels\) to match embeddings \(64, 8\), "
            r"but got \(63, 20\)",
        ),
        (
            (Z[0], Y),
            r"embeddings as a floating tensor of shape \(n, D\), but got torch.float32 of shape \(8,\)",
        ),
        ((Z.long(), Y), "embeddings as a floating tensor"),
        ((Z.numpy(), Y), "embeddings as a floating tensor of shape .*, but got ndarray"),
        ((Z, Y[:, 0]), r"labels of shape \(n_rows, n_labels\), but got shape \(64,\)"),
        ((Z, Y, K), "expected Y_keys along with keys"),
        ((Z, Y, None, T), "expected keys along with Y_keys"),
        ((Z, Y, K[:, :7], T), r"keys of shape \(n, 8\) to match embeddings \(64, 8\), but got \(10, 7\)"),
        ((Z, Y, K, T[:9]), r"labels of shape \(10, n_labels\) to match keys \(10, 8\), but got \(9, 20\)"),
        ((Z, Y, K, T[:, :19]), r"labels of keys with 20 columns to match Y, but got \(10, 19\)"),
        ((Z, Y * 2), r"labels in \[0, 1\], but got values from 2 to 2"),
        ((Z, Y * float("nan")), "labels some of which are known, but got NaN or missing ones alone"),
        ((Z, np.full((64, 20), "a")), "0/1 numbers or booleans, but got entries of type <U1"),
    ],
)
def test_bad_input_is_told_what_was_expected(arguments, message):
    with pytest.raises(ManyLabelError, match=message):
        losses.get("mulsupcon")(*arguments)


@pytest.mark.parametrize("name", ["supcon", "all", "any"])
def test_soft_labels_only_for_mulsupcon(name):
    with pytest.raises(ManyLabelError, match="expected labels that are 0 or 1, but got values in between"):
        losses.get(name)(Z, Y * 0.5)


def test_in_batch_form_refuses_keys():
    with pytest.raises(ManyLabelError, match="MulSupConInBatch: expected no keys"):
        losses.get("mulsupcon_inbatch")(Z, Y, K, T)


def test_supcon_refuses_several_labels_and_fractions():
    with pytest.raises(ManyLabelError, match="SupCon: expected one label per row, but got up to 20"):
        losses.get("supcon")(Z, Y)
    with pytest.raises(ManyLabelError, match="SupCon: expected whole class numbers"):
        losses.get("supcon")(Z, torch.rand(64))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_labels_of_every_layout():
    c = case(b=20, n=30)
    loss = losses.get("mulsupcon")
    want = loss(c.x, c.Y, c.keys, c.T)
    for wrap in (
        lambda a: a.bool(),
        lambda a: a.numpy(),
        lambda a: a.tolist(),
        lambda a: sp.csr_matrix(a.numpy()),
        lambda a: sp.coo_array(a.numpy()),
        lambda a: a.to_sparse(),
        lambda a: a.double().to_sparse_csr(),
        as_labels,
    ):
        torch.testing.assert_close(loss(c.x, wrap(c.Y), c.keys, wrap(c.T)), want)
