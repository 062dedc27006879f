"""A step in chunks has the gradients of a step in one piece."""

from __future__ import annotations

import pytest
import torch
from tests.losses.registry import labels
from torch import nn

from manylabel import losses
from manylabel.errors import ManyLabelError

ROWS, FEATURES, LABELS, DIM = 23, 7, 5, 6
ONE_VIEW = (
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


@pytest.fixture
def encoder() -> nn.Module:
    layers = nn.Linear(FEATURES, 12), nn.ReLU(), nn.Dropout(0.4), nn.Linear(12, DIM)
    return nn.Sequential(*layers).double()


@pytest.fixture
def rows() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    Y = labels(ROWS, LABELS, 0.4, torch.Generator().manual_seed(0))
    return torch.randn(ROWS, FEATURES).double(), torch.randn(ROWS, FEATURES).double(), Y


def taken(parameters) -> list[torch.Tensor]:
    grads = [p.grad.clone() for p in parameters]
    for p in parameters:
        p.grad = None
    return grads


def in_chunks_with_graph(encoder, x, chunk):
    return torch.cat([encoder(part) for part in x.split(chunk)])


@pytest.mark.parametrize("name", ONE_VIEW)
@pytest.mark.parametrize("chunk", [1, 6, 23, 100])
def test_gradients_of_one_view_with_dropout(name, chunk, encoder, rows):
    x, _, Y = rows
    loss, parameters = losses.get(name), list(encoder.parameters())
    torch.manual_seed(5)
    want = loss(in_chunks_with_graph(encoder, x, chunk), Y)
    want.backward()
    want_grads, following = taken(parameters), torch.rand(1)
    torch.manual_seed(5)
    got = losses.cached_step(encoder, loss, x, Y, chunk=chunk)
    assert torch.equal(torch.rand(1), following)
    torch.testing.assert_close(got, want.detach())
    torch.testing.assert_close(taken(parameters), want_grads)


@pytest.mark.parametrize("name", ["supcon", "any", "mulsupcon", "base"])
@pytest.mark.parametrize("dropout", [False, True])
def test_gradients_of_two_views(name, dropout, encoder, rows):
    first, second, Y = rows
    Y = Y.argmax(1) if name == "supcon" else Y
    encoder.train(dropout)
    loss, parameters = losses.get(name), list(encoder.parameters())
    torch.manual_seed(5)
    z, keys = (in_chunks_with_graph(encoder, view, 5) for view in (first, second))
    want = loss(z, Y, keys, Y)
    want.backward()
    want_grads = taken(parameters)
    torch.manual_seed(5)
    got = losses.cached_step(encoder, loss, (first, second), Y, chunk=5)
    torch.testing.assert_close(got, want.detach())
    torch.testing.assert_close(taken(parameters), want_grads)


@pytest.mark.parametrize("dropout", [False, True])
def test_prototypes_beside_two_views(dropout, encoder, rows):
    first, second, Y = rows
    encoder.train(dropout)
    prototypes = nn.Parameter(torch.randn(LABELS, DIM).double())
    loss, parameters = losses.get("msc"), [*encoder.parameters(), prototypes]
    torch.manual_seed(5)
    z, keys = (in_chunks_with_graph(encoder, view, 5) for view in (first, second))
    loss(z, Y, prototypes, keys, Y).backward()
    want = taken(parameters)
    torch.manual_seed(5)
    losses.cached_step(
        encoder, lambda z, Y, k, Y_k: loss(z, Y, prototypes, k, Y_k), (first, second), Y, chunk=5
    )
    torch.testing.assert_close(taken(parameters), want)


class Mixture(nn.Module):
    """Features, logits, means and variances of KMCL side by side, (n, DIM + 3 LABELS)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(FEATURES, DIM), nn.Dropout(0.4))
        self.heads = nn.Linear(DIM, 3 * LABELS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.body(x)
        logits, means, spread = self.heads(features).chunk(3, 1)
        return torch.cat([features, logits, means, nn.functional.elu(spread) + 2], 1)


def test_kernel_mixtures(rows):
    x, _, Y = rows
    encoder, kmcl = Mixture().double(), losses.get("kmcl")

    def loss(parts, Y):
        return kmcl(*parts.split([DIM, LABELS, LABELS, LABELS], 1), Y)

    parameters = list(encoder.parameters())
    torch.manual_seed(5)
    want = loss(in_chunks_with_graph(encoder, x, 6), Y)
    want.backward()
    want_grads = taken(parameters)
    torch.manual_seed(5)
    got = losses.cached_step(encoder, loss, x, Y, chunk=6)
    torch.testing.assert_close(got, want.detach())
    torch.testing.assert_close(taken(parameters), want_grads)


@pytest.mark.parametrize("name", WITH_PROTOTYPES)
def test_prototypes_get_their_gradient(name, encoder, rows):
    x, _, Y = rows
    encoder.eval()
    prototypes = nn.Parameter(torch.randn(LABELS, DIM).double())
    loss, parameters = losses.get(name), [*encoder.parameters(), prototypes]
    loss(encoder(x), Y, prototypes).backward()
    want = taken(parameters)
    losses.cached_step(encoder, lambda z, Y: loss(z, Y, prototypes), x, Y, chunk=4)
    torch.testing.assert_close(taken(parameters), want)


def test_batch_normalisation_sees_chunks(rows):
    x, _, Y = rows
    encoder = nn.Sequential(nn.BatchNorm1d(FEATURES), nn.Linear(FEATURES, DIM)).double()
    loss, parameters = losses.get("mulsupcon"), list(encoder.parameters())
    loss(in_chunks_with_graph(encoder, x, 8), Y).backward()
    want = taken(parameters)
    losses.cached_step(encoder, loss, x, Y, chunk=8)
    torch.testing.assert_close(taken(parameters), want)


def test_views_must_match(encoder, rows):
    x, other, Y = rows
    with pytest.raises(ManyLabelError, match="one or two views of the same rows"):
        losses.cached_step(encoder, losses.get("any"), (x, other[:3]), Y)
    with pytest.raises(ManyLabelError, match="chunk as a whole number of at least 1"):
        losses.cached_step(encoder, losses.get("any"), x, Y, chunk=0)
