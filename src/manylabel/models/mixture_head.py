"""The head of KMCL: a logit and a Gaussian per label on the representation of an encoder."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manylabel.errors import ManyLabelError


class Mixture(NamedTuple):
    """What the head makes of a row.

    Attributes
    ----------
    features : (B, D) tensor
    logits : (B, n_labels) tensor
    means : (B, n_labels) or (B, D * n_labels) tensor
    variances : tensor
        In (1, inf). Like the means for "bc", (B, D) for "mks", (B, 1) for "rbf".
    """

    features: Tensor
    logits: Tensor
    means: Tensor
    variances: Tensor


class MixtureHead(nn.Module):
    """Linear layers for logits, means and variances.

    Parameters
    ----------
    in_features, n_labels : int
    width : int or None, default None
        None makes isotropic mixtures: one number per label. A number makes anisotropic ones, with as many dimensions:
        a linear layer takes the representation to that width first, for the logits too.
    similarity : "bc", "mks" or "rbf", default "bc"
        One variance per row and label, per row and dimension (anisotropic only), or per row (isotropic only).

    Notes
    -----
    ``variance = 2 + 1e-7 + ELU(a)`` of a linear layer ``a``. Weights of the means start uniform in [0, 0.1], those of
    the variances at 1, both biases at 0, as in the released code of Sajedi et al., 2023.
    """

    def __init__(
        self,
        in_features: int,
        n_labels: int,
        width: int | None = None,
        similarity: Literal["bc", "mks", "rbf"] = "bc",
    ) -> None:
        super().__init__()
        if similarity == ("mks" if width is None else "rbf"):
            hint = "Set width for mks, leave it out for rbf."
            raise ManyLabelError("MixtureHead", "mks with a width, or rbf without", similarity, hint)
        self.reduce = nn.Identity() if width is None else nn.Linear(in_features, width)
        features = in_features if width is None else width
        per_label = n_labels if width is None else width * n_labels
        self.logits = nn.Linear(features, n_labels)
        self.means = nn.Linear(features, per_label)
        self.variances = nn.Linear(features, {"bc": per_label, "mks": features, "rbf": 1}[similarity])
        nn.init.uniform_(self.means.weight, 0.0, 0.1)
        nn.init.ones_(self.variances.weight)
        nn.init.zeros_(self.means.bias)
        nn.init.zeros_(self.variances.bias)

    def forward(self, h: Tensor) -> Tensor:
        """Logits of representations, (B, in_features) -> (B, n_labels); all that prediction needs."""
        logits: Tensor = self.logits(self.reduce(h))
        return logits

    def mixture(self, h: Tensor) -> Mixture:
        """Logits and Gaussians of representations (B, in_features)."""
        f = self.reduce(h)
        return Mixture(f, self.logits(f), self.means(f), 2 + 1e-7 + F.elu(self.variances(f)))

    @torch.no_grad()
    def classifier(self) -> nn.Linear:
        """The logits as one linear layer on the representation."""
        if isinstance(self.reduce, nn.Identity):
            return self.logits
        folded = nn.Linear(self.reduce.in_features, self.logits.out_features).to(self.logits.weight.device)
        folded.weight.copy_(self.logits.weight @ self.reduce.weight)
        folded.bias.copy_(self.logits.weight @ self.reduce.bias + self.logits.bias)
        return folded
