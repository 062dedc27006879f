"""The losses as one would write them first, and the bare matrix products that any exact form needs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

_EPS = 1e-8


def mulsupcon(x: Tensor, Y: Tensor, keys: Tensor, T: Tensor, temperature: float) -> Tensor:
    """One row per (anchor, label): a log-softmax over all candidates, the mean over those with the label.

    Step by step, as the loss is commonly written: maximum, exponentials, normaliser, mask, mean.
    """
    anchors, labels = Y.nonzero(as_tuple=True)
    logits = F.normalize(x)[anchors] @ keys.T / temperature  # (pairs, N)
    logits = logits - logits.max(1, keepdim=True).values.detach()
    log_p = logits - logits.exp().sum(1, keepdim=True).log()
    positive = T.T[labels]  # (pairs, N)
    return -((log_p * positive).sum(1) / positive.sum(1).clamp(min=1)).mean()


def reg(x: Tensor, Y: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    """REG with alpha = 0, its weights from tensors with an axis for anchors, candidates and labels."""
    A = torch.cat([Y.to(x.dtype), torch.eye(Y.shape[1], dtype=x.dtype)])  # (n, C)
    z = F.normalize(torch.cat([x, prototypes]))
    others = 1 - torch.eye(len(A), dtype=x.dtype)
    shared = A[:, None] * A[None] * others[:, :, None]  # (n, n, C)
    per_label = shared.sum(1)  # (n, C)
    w = (shared / (per_label[:, None] + _EPS)).sum(2) / A.sum(1, keepdim=True).clamp(min=1)
    logits = (z @ z.T / temperature).masked_fill(others == 0, -1e30)
    log_p = F.log_softmax(logits, 1)
    excess = (log_p.detach().exp() - w).clamp(min=0) * (w > 0)
    values = -(w * log_p).sum(1) - (excess * logits).sum(1)
    return values.sum() / (w.sum(1) > 0).sum()


def kernel_contrastive(
    means: Tensor, variances: Tensor, Y: Tensor, n_features: int, temperature: float
) -> Tensor:
    """KMCL's contrastive term: kernels and shares of all pairs and labels at once, then one anchor after the other."""
    sd = variances.sqrt() + 1.49e-8
    s, t = sd[:, None], sd[None]  # (B, 1, C) or (B, 1, D, C)
    total = s**2 + t**2
    mean_part = (means[:, None] - means[None]) ** 2 / total
    distance = n_features / 2 * torch.log(total / (2 * s * t)) + n_features / 4 * mean_part
    if distance.dim() == 4:
        distance = distance.sum(2)
    E = torch.exp(torch.exp(-distance) / temperature)  # (B, B, C)
    y = Y.to(means.dtype)
    shared = y @ y.T
    jaccard = shared / (y.sum(1)[:, None] + y.sum(1) - shared).clamp(min=1)
    others = 1 - torch.eye(len(y), dtype=y.dtype)
    mass = (E * others[:, :, None]).sum(1, keepdim=True)
    logs = torch.log(jaccard[:, :, None] * E / mass + 1e-7)
    loss = 0.0 * (means.sum() + variances.sum())
    for i, logs_i in enumerate(logs.unbind(0)):  # (B, C)
        partners = (shared[i] * others[i]).nonzero().squeeze(1)
        if len(partners):
            loss = loss - (logs_i * y[i] * y)[partners].sum() / len(partners)
    return loss / len(y)


def products(n_rows: int, n_columns: int, dim: int, both: bool, height: int = 512) -> Callable[[], None]:
    """Similarities of all pairs and the sums that gradients need, in tiles of matrix products alone.

    ``2 n_rows n_columns dim`` operations for the similarities, as many for the gradient of the rows, and with
    ``both`` as many for that of the columns.
    """
    x, keys = torch.randn(n_rows, dim), torch.randn(n_columns, dim)
    dx, dkeys = torch.zeros_like(x), torch.zeros_like(keys)
    width = min((1 << 18) // min(height, n_rows), n_columns)
    buffer = torch.empty(height, width)

    def run() -> None:
        for first in range(0, n_columns, width):
            k = keys[first : first + width]
            for start in range(0, n_rows, height):
                q = x[start : start + height]
                s = torch.mm(q, k.T, out=buffer.flatten()[: len(q) * len(k)].view(len(q), len(k)))
                dx[start : start + height].addmm_(s, k)
                if both:
                    dkeys[first : first + width].addmm_(s.T, q)

    return run
