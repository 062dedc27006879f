"""LaMP: labels as nodes that attend to the encoded row, then to each other."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manylabel.labels import LabelMatrix, Labels
from manylabel.models.encoders import Dropout
from manylabel.models.label_network import LabelNetwork

_ROWS = 1024


class LaMP(LabelNetwork):
    """Label message passing.

    ::

        u_l = E_l;   each layer: attend to the encoded row, position-wise, attend to the other labels, position-wise
        logit_l = w_l . u_l

    Parameters
    ----------
    n_features, n_labels : int
    width : int, default 512
        d, of every state.
    inner : int, default 512
        Hidden width of the position-wise blocks.
    layers : int, default 2
        Of the decoder, and of the encoder of words.
    heads : int, default 4
    dropout : float, default 0.2
    inputs : "vector" or "words", default "vector"
        ``vector`` encodes a row by one linear layer, as one element to attend to. ``words`` takes each feature other
        than 0 as a word of a bag, without positions; it needs features that are not standardised.
    max_words : int, default 300
        Further words of a row are left out.
    encoder_attention : bool, default False
        Let words attend to each other. In the released code the result of this attention is discarded.
    graph : "none", "edgeless" or "prior", default "prior"
        Which labels attend to which: all; each to itself; those that occur together in a training row. The last is
        all until :meth:`connect` has seen the labels.
    intermediate : float, default 0
        Weight of the loss of the states after each half layer but the last (0.2 in the released code's option).
    tied : bool, default False
        Read out with the label embeddings, as the released code intends; its tie has no effect.

    Notes
    -----
    Loss: binary cross entropy, the mean over rows and labels. The read-out has no bias and is computed row by row.

    References
    ----------
    J. Lanchantin, A. Sekhon, Y. Qi, "Neural Message Passing for Multi-Label Classification", ECML-PKDD 2019.
    """

    neighbours: Tensor

    takes_unknown = True

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        *,
        width: int = 512,
        inner: int = 512,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.2,
        inputs: Literal["vector", "words"] = "vector",
        max_words: int = 300,
        encoder_attention: bool = False,
        graph: Literal["none", "edgeless", "prior"] = "prior",
        intermediate: float = 0.0,
        tied: bool = False,
    ) -> None:
        super().__init__(n_features, n_labels, per_row=n_labels * max(width, inner))
        self.encoder: nn.Module = nn.Linear(n_features, width)
        if inputs == "words":
            blocks = [EncoderLayer(width, inner, heads, dropout, encoder_attention) for _ in range(layers)]
            self.encoder = WordEncoder(n_features, width, blocks, max_words)
        self.labels = nn.Parameter(torch.randn(n_labels, width))  # E
        self.layers = nn.ModuleList(DecoderLayer(width, inner, heads, dropout) for _ in range(layers))
        self.readout = self.labels if tied else nn.Parameter(torch.empty(n_labels, width))  # W
        if not tied:
            nn.init.xavier_normal_(self.readout)
        self.graph, self.intermediate = graph, intermediate
        alone = torch.eye(n_labels, dtype=torch.bool)
        self.register_buffer("neighbours", alone if graph == "edgeless" else torch.ones_like(alone))

    def connect(self, Y: Labels) -> None:
        """Learn the ``prior`` graph from training labels (n, n_labels): pairs of one row, and each label itself."""
        labels, together = LabelMatrix.of(Y), torch.zeros_like(self.neighbours)
        for start in range(0, len(labels), _ROWS):
            block = labels.take(slice(start, start + _ROWS)).dense()
            together |= (block.T @ block) > 0
        self.neighbours.copy_(together.fill_diagonal_(True))

    def states(self, x: Tensor) -> list[Tensor]:
        """Label states after every half layer, each (B, n_labels, d); the last ones are read out."""
        if isinstance(self.encoder, WordEncoder):
            memory, present = self.encoder(x)  # (B, L, d), (B, L)
        else:
            memory, present = self.encoder(x)[:, None], None  # (B, 1, d)
        u, found = self.labels.expand(x.shape[0], -1, -1), []
        neighbours = None if self.graph == "none" else self.neighbours
        for layer in self.layers:
            found += layer(u, memory, present, neighbours)
            u = found[-1]
        return found

    def logits(self, x: Tensor) -> Tensor:
        """(B, n_labels)."""
        return (self.states(x)[-1] * self.readout).sum(-1)

    def loss(self, x: Tensor, Y: Tensor) -> Tensor:
        *earlier, last = self.states(x)
        target = Y.float()
        known = ~target.isnan() if Y.is_floating_point() else None
        value = _entropy((last * self.readout).sum(-1).float(), target, known)
        if self.intermediate:
            readout = self.readout.detach()
            for u in earlier:
                logits = (u * readout).sum(-1).float()
                value = value + self.intermediate * _entropy(logits, target, known)
        return value

    def probabilities(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(x).float())

    def represent(self, x: Tensor) -> Tensor:
        """The mean of the label states, (B, d)."""
        return self.states(x)[-1].mean(1)


class Attention(nn.Module):
    """Multi-head attention without biases, then dropout, residual and LayerNorm.

    Parameters
    ----------
    width : int
        d; each head has ``d / heads``.
    heads : int
    dropout : float
        Also on the attention weights.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        for layer in (self.query, self.key, self.value):
            nn.init.normal_(layer.weight, std=(2 / (width + width // heads)) ** 0.5)
        self.heads, self.dropout, self.norm = heads, Dropout(dropout), nn.LayerNorm(width)

    def forward(self, u: Tensor, memory: Tensor, allowed: Tensor | None = None) -> Tensor:
        """States ``u`` (B, n, d) attend to ``memory`` (B, m, d) where ``allowed``, (n, m) or (B, 1, 1, m), is true."""
        q, k, v = (
            layer(states).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, n, d / heads)
            for layer, states in ((self.query, u), (self.key, memory), (self.value, memory))
        )
        dropped = self.dropout.p if self.training else 0.0
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed, dropout_p=dropped)
        attended: Tensor = self.norm(u + self.dropout(self.output(out.transpose(1, 2).flatten(2))))
        return attended


class PositionWise(nn.Module):
    """Linear, ReLU, Linear on each state, then dropout, residual and LayerNorm."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))
        self.dropout, self.norm = Dropout(dropout), nn.LayerNorm(width)

    def forward(self, u: Tensor) -> Tensor:
        out: Tensor = self.norm(u + self.dropout(self.body(u)))
        return out


class DecoderLayer(nn.Module):
    """Labels attend to the row, then to the labels; a position-wise block after each."""

    def __init__(self, width: int, inner: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.to_row, self.to_labels = Attention(width, heads, dropout), Attention(width, heads, dropout)
        self.first, self.second = PositionWise(width, inner, dropout), PositionWise(width, inner, dropout)

    def forward(
        self, u: Tensor, memory: Tensor, present: Tensor | None, neighbours: Tensor | None
    ) -> list[Tensor]:
        """The states after each half."""
        mask = None if present is None else present[:, None, None]
        half = self.first(self.to_row(u, memory, mask))
        return [half, self.second(self.to_labels(half, half, neighbours))]


class EncoderLayer(nn.Module):
    """Words attend to each other if asked to; a position-wise block."""

    def __init__(self, width: int, inner: int, heads: int, dropout: float, attention: bool) -> None:
        super().__init__()
        self.attention = Attention(width, heads, dropout) if attention else None
        self.position_wise = PositionWise(width, inner, dropout)

    def forward(self, words: Tensor, present: Tensor) -> Tensor:
        if self.attention is not None:
            words = self.attention(words, words, present[:, None, None])
        out: Tensor = self.position_wise(words)
        return out


class WordEncoder(nn.Module):
    """A row as the set of its features other than 0.

    Parameters
    ----------
    n_features : int
    width : int
    blocks : list of EncoderLayer
    max_words : int
    """

    def __init__(self, n_features: int, width: int, blocks: list[EncoderLayer], max_words: int) -> None:
        super().__init__()
        self.table = nn.Embedding(n_features + 1, width, padding_idx=0)
        self.blocks, self.max_words = nn.ModuleList(blocks), max_words

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded words (B, L, d), and which of them are words rather than padding, (B, L)."""
        nonzero = x != 0
        longest = min(x.shape[1], self.max_words)
        if not torch.compiler.is_exporting():  # which knows no number that depends on the rows
            longest = int(nonzero.sum(1).max().clamp(1, self.max_words))
        present, features = nonzero.sort(dim=1, descending=True, stable=True)  # words in front
        present, features = present[:, :longest], features[:, :longest]
        words = self.table((features + 1) * present)
        present = present | ~nonzero.any(1, keepdim=True)  # a row without words attends to its padding
        for block in self.blocks:
            words = block(words, present)
        return words, present


def _entropy(logits: Tensor, target: Tensor, known: Tensor | None) -> Tensor:
    """Binary cross entropy, a mean over the known entries."""
    if known is None:
        return F.binary_cross_entropy_with_logits(logits, target)
    weight = known.to(logits.dtype)
    total = F.binary_cross_entropy_with_logits(logits, target.nan_to_num(0.0), weight, reduction="sum")
    return total / weight.sum().clamp(min=1)
