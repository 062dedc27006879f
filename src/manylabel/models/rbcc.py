"""RBCC: a recurrent cell shared by all labels reads each label's parents in a Bayesian network of the labels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manylabel.errors import ManyLabelError
from manylabel.models.label_network import LabelNetwork


class RecurrentChains(LabelNetwork):
    """Recurrent Bayesian classifier chains.

    For a label with parents p1 ... pr the cell starts at zero and reads ``[e_p y_p, x]`` for each parent in turn
    (``e_p`` the p-th unit vector; ``[0, x]`` once without parents). Its last state gives the label's logit. In
    training ``y_p`` is the true label; in prediction, which goes through the labels from parents to children, it is
    the predicted one.

    Parameters
    ----------
    n_features, n_labels : int
    hidden : int, default 100

    Notes
    -----
    Loss: binary cross entropy, the mean over rows and labels. Without :meth:`connect` no label has parents. Labels at
    the same depth with equally many parents are one step, for all rows at once; nothing loops over rows or labels.

    References
    ----------
    W. Gerych et al., "Recurrent Bayesian Classifier Chains for Exact Multi-Label Classification", NeurIPS 2021. The
    released code also offers plain recurrent and LSTM cells.
    """

    graph: Tensor

    def __init__(self, n_features: int, n_labels: int, *, hidden: int = 100) -> None:
        super().__init__(n_features, n_labels, per_row=n_labels * 3 * hidden)
        self.cell = nn.GRUCell(n_labels + n_features, hidden)  # only its parameters are used
        self.out = nn.Linear(hidden, n_labels)
        # entry (c, p): 0 if p is no parent of c, else its place among the parents of c, from 1
        self.register_buffer("graph", torch.zeros(n_labels, n_labels, dtype=torch.int32))
        self.register_load_state_dict_post_hook(RecurrentChains._plan)  # type: ignore[no-untyped-call]
        self._plan()

    def connect(self, parents: list[list[int]]) -> None:
        """Give each label its parents, in the order in which they are read.

        Raises
        ------
        ManyLabelError
            If the parents have a cycle.
        """
        self.graph.zero_()
        for label, of_label in enumerate(parents):
            for place, parent in enumerate(of_label, 1):
                self.graph[label, parent] = place
        self._plan()

    def _plan(self, *_: Any) -> None:
        """Labels in groups (labels (G,), parents (G, r)): by number of parents, and by depth too."""
        places = self.graph.cpu()
        parents = [sorted(row.nonzero().flatten().tolist(), key=row.tolist().__getitem__) for row in places]
        depth = depths(parents)
        device = self.graph.device
        self.by_count = _groups(parents, [len(of_label) for of_label in parents], device)
        self.by_depth = _groups(parents, [(d, len(p)) for d, p in zip(depth, parents, strict=True)], device)

    def logits(self, x: Tensor, Y: Tensor) -> Tensor:
        """Logits (B, n_labels) with the parents' labels taken from ``Y`` (B, n_labels)."""
        gates, out = self._gates(x), x.new_zeros(x.shape[0], self.n_labels)
        for labels, parents in self.by_count:
            out = out.index_copy(1, labels, self._read(gates, Y, labels, parents))
        return out

    def loss(self, x: Tensor, Y: Tensor) -> Tensor:
        target = Y.float()
        return F.binary_cross_entropy_with_logits(self.logits(x, target).float(), target)

    def probabilities(self, x: Tensor) -> Tensor:
        gates, out = self._gates(x), x.new_zeros(x.shape[0], self.n_labels)
        Y = torch.zeros_like(out)
        for labels, parents in self.by_depth:
            logits = self._read(gates, Y, labels, parents)
            out = out.index_copy(1, labels, logits)
            Y = Y.index_copy(1, labels, (logits > 0).to(Y.dtype))
        return torch.sigmoid(out)

    def represent(self, x: Tensor) -> Tensor:
        """The state of the cell after reading a row without parents, (B, hidden)."""
        gates = self._gates(x)
        return self._step(gates, gates.new_zeros(x.shape[0], self.out.in_features))

    def _gates(self, x: Tensor) -> Tensor:
        """What the row alone adds to the cell's gates, (B, 3 H); the same at every step and label."""
        weight = self.cell.weight_ih[:, self.n_labels :]
        return F.linear(x, weight, self.cell.bias_ih)

    def _read(self, gates: Tensor, Y: Tensor, labels: Tensor, parents: Tensor) -> Tensor:
        """Logits (B, G) of labels that have equally many parents, (G, r)."""
        of_parents = self.cell.weight_ih.T  # (C + F, 3 H), the row of a parent is what its presence adds
        state = gates.new_zeros(gates.shape[0], 1, self.out.in_features)
        if parents.shape[1] == 0:
            state = self._step(gates[:, None], state)  # (B, 1, H), the same for all these labels
        for parent in parents.T:  # (G,)
            state = self._step(gates[:, None] + Y[:, parent, None] * of_parents[parent], state)  # (B, G, H)
        return (state * self.out.weight[labels]).sum(-1) + self.out.bias[labels]

    def _step(self, gates: Tensor, state: Tensor) -> Tensor:
        """One step of a GRU whose input is already in ``gates``."""
        reset, update, new = gates.chunk(3, -1)
        h_reset, h_update, h_new = F.linear(state, self.cell.weight_hh, self.cell.bias_hh).chunk(3, -1)
        keep = torch.sigmoid(update + h_update)
        candidate = torch.tanh(new + torch.sigmoid(reset + h_reset) * h_new)
        return candidate + keep * (state - candidate)


class BinaryRelevance(nn.Module):
    """One small network per label, Linear-sigmoid-Linear, all in one pass; (B, n_features) -> (B, n_labels) logits.

    Parameters
    ----------
    n_features, n_labels : int
    hidden : int, default 100
        Of each label's network.
    """

    def __init__(self, n_features: int, n_labels: int, hidden: int = 100) -> None:
        super().__init__()
        self.first = nn.Linear(n_features, n_labels * hidden)
        last = nn.Linear(hidden, n_labels)  # row c reads the hidden units of label c
        self.weight, self.bias = last.weight, last.bias

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.sigmoid(self.first(x)).view(-1, *self.weight.shape)  # (B, n_labels, hidden)
        logits: Tensor = (hidden * self.weight).sum(-1) + self.bias
        return logits


def depths(parents: list[list[int]]) -> list[int]:
    """Length of the longest path to each label.

    Raises
    ------
    ManyLabelError
        If the parents have a cycle.
    """
    depth = [0 if not of_label else -1 for of_label in parents]
    waiting = [label for label in range(len(parents)) if depth[label] < 0]
    while waiting:
        ready = [label for label in waiting if all(depth[p] >= 0 for p in parents[label])]
        if not ready:
            raise ManyLabelError("RecurrentChains", "parents without a cycle", f"one among labels {waiting}")
        for label in ready:
            depth[label] = 1 + max(depth[p] for p in parents[label])
        waiting = [label for label in waiting if depth[label] < 0]
    return depth


def _groups(parents: list[list[int]], keys: list[Any], device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Labels with the same key, and their parents, in the order of the keys."""
    found = []
    for key in sorted(set(keys)):
        labels = [label for label, other in enumerate(keys) if other == key]
        index = torch.tensor(labels, device=device)
        of_labels = torch.tensor([parents[label] for label in labels], dtype=torch.int64, device=device)
        found.append((index, of_labels.view(len(labels), len(parents[labels[0]]))))
    return found
