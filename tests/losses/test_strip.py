"""Few anchors against constant candidates: one strip says what the dense backend says."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from manylabel import LabelMatrix, losses
from manylabel.losses.softmax import strip


def computed(name, z, keys, Y, T, engine, **settings):
    leaf = z.clone().requires_grad_()
    loss = losses.get(name, engine=engine, **settings)
    value = loss(leaf, Y, keys, T)
    value.backward()
    return value.detach(), leaf.grad, loss.divisor


@pytest.fixture
def strips(monkeypatch):
    """How often a strip was taken."""
    taken = []
    contrast_strip = strip.contrast_strip

    def counted(*arguments):
        value = contrast_strip(*arguments)
        taken.append(value is not None)
        return value

    monkeypatch.setattr("manylabel.losses.base.contrast_strip", counted)
    return taken


@pytest.mark.parametrize("name", ["mulsupcon", "mulsupcon_weighted", "all"])
@pytest.mark.parametrize(
    "n_labels", [5, 40]
)  # fewer labels than dimensions: weights of pairs; more: label sums
@pytest.mark.parametrize("n", [90, 3000])  # more candidates than one tile holds
@pytest.mark.parametrize("unit", [False, True], ids=["any length", "unit keys"])
@pytest.mark.parametrize("settings", [{}, {"reduction": "sum"}, {"normalize": False}], ids=str)
def test_the_same_as_dense(name, n_labels, n, unit, settings, strips):
    g = torch.Generator().manual_seed(0)
    z, keys = torch.randn(40, 8, generator=g).double(), torch.randn(n, 8, generator=g).double()
    keys = F.normalize(keys) if unit else keys
    Y, T = torch.rand(40, n_labels, generator=g) < 0.1, torch.rand(n, n_labels, generator=g) < 0.1
    settings = {"temperature": 0.5, **settings}
    want = computed(name, z, keys, Y, T, "dense", **settings)
    known = LabelMatrix.of(T)
    known = known.with_sums(keys, known.label_counts(torch.float64), known.label_sums(keys))
    for labels in (T, T.double().to_sparse(), known):
        torch.testing.assert_close(computed(name, z, keys, Y, labels, "streamed", **settings), want)
    assert strips == [True] * 3


@pytest.mark.parametrize("place", ["z", "keys"])
@pytest.mark.parametrize("length", [0.0, 1e-30, 1e200])
def test_odd_rows_and_low_temperatures_are_left_to_tiles(place, length, strips):
    z, keys = torch.randn(40, 8).double(), torch.randn(90, 8).double()
    Y, T = torch.rand(40, 5) < 0.5, torch.rand(90, 5) < 0.5
    computed("mulsupcon", z, keys, Y, T, "streamed", temperature=0.005)
    rows = z if place == "z" else keys
    rows[3] *= length
    want = computed("mulsupcon", z, keys, Y, T, "dense")
    torch.testing.assert_close(computed("mulsupcon", z, keys, Y, T, "streamed"), want)
    assert strips == [False] * 2
