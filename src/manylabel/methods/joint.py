"""Joint training: encoder and classifier on a loss of the logits and a contrastive loss at once."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from manylabel.methods.classifier_stage import Classification, LogitLoss
from manylabel.methods.contrastive_term import ContrastiveTerm, ContrastSettings
from manylabel.methods.recipe import ClassifySettings
from manylabel.methods.rows import DeviceRows
from manylabel.models import FlatParameters, Preprocessor
from manylabel.training import Group


class JointContrast(ContrastSettings):
    """The contrastive loss and what it weighs beside that of the classifier.

    Attributes
    ----------
    weight : float, default 0.1
        At the start of training.
    balance : "fixed", "linear", "cosine" or "learnt", default "fixed"
        The weight stays, falls to 0 at the last step, or is learnt; see :class:`Balance`.
    """

    weight: float = Field(0.1, gt=0)
    balance: Literal["fixed", "linear", "cosine", "learnt"] = "fixed"


class Balance(nn.Module):
    """Two losses as one.

    Parameters
    ----------
    weight : float
        Of the contrastive loss at the start.
    kind : "fixed", "linear", "cosine" or "learnt"
    steps : int
        Steps of the training.

    Notes
    -----
    Fixed, linear and cosine: ``L = L_classifier + w_t L_contrast`` with ``w_t`` equal to w, to w (1 - t/T), or to
    w (1 + cos(pi t/T)) / 2 at step t of T. Learnt, the uncertainty weighting of A. Kendall, Y. Gal, R. Cipolla,
    "Multi-Task Learning Using Uncertainty to Weigh Losses", CVPR 2018::

        L = exp(-a) L_classifier + a/2 + exp(-b) L_contrast + b/2

    with ``a = log sigma_1^2`` from 0 and ``b = log sigma_2^2`` from -log w, trained along without weight decay.
    """

    step: Tensor

    def __init__(self, weight: float, kind: str, steps: int) -> None:
        super().__init__()
        self.weight, self.kind, self.steps = weight, kind, steps
        self.register_buffer("step", torch.tensor(0))
        self.log_variances: nn.Parameter | None = None
        if kind == "learnt":
            self.log_variances = nn.Parameter(torch.tensor([0.0, -math.log(weight)]))

    def forward(self, classifier: Tensor, contrast: Tensor) -> Tensor:
        """The loss of one step, of two scalars."""
        if self.log_variances is not None:
            losses = torch.stack([classifier, contrast])
            return (torch.exp(-self.log_variances) * losses + self.log_variances / 2).sum()
        share = self._share(int(self.step) / self.steps)
        self.step += 1
        return classifier + self.weight * share * contrast

    def _share(self, progress: float) -> float:
        if self.kind == "linear":
            return 1 - progress
        return (1 + math.cos(math.pi * progress)) / 2 if self.kind == "cosine" else 1.0


class JointTraining(Classification):
    """Train encoder and classifier on both losses; what is monitored is the classifier alone.

    Parameters
    ----------
    inputs : Preprocessor
    encoder : nn.Module
    classifier : nn.Module
    train, validation : DeviceRows
    settings : ClassifySettings
    loss : callable (logits, Y) -> scalar
    term : ContrastiveTerm
        Of ``encoder``.
    balance : Balance
    """

    def __init__(
        self,
        inputs: Preprocessor,
        encoder: nn.Module,
        classifier: nn.Module,
        train: DeviceRows,
        validation: DeviceRows,
        settings: ClassifySettings,
        loss: LogitLoss,
        term: ContrastiveTerm,
        balance: Balance,
    ) -> None:
        super().__init__(inputs, encoder, classifier, train, validation, settings, loss, term.groups)
        self.encoder, self.term, self.balance = encoder, term, balance
        self.module = nn.ModuleDict({"network": self.network, "term": term, "balance": balance})
        if balance.log_variances is not None:
            self.groups.append(Group(FlatParameters([balance.log_variances]), weight_decay=0.0))

    def loss(self, rows: Tensor) -> Tensor:
        """Both losses of views of these rows."""
        train = self.rows.train
        Y, weights = train.Y.take(rows), train.weights_of(rows)
        own, others = self.term.views(train.X[rows], self.view)
        h = self.encoder(own)  # (n_encoded * B, H)
        weight = self.term.weights_of_views(weights)
        classification = self.classified(h, self.term.of_views(Y), weight)
        return self.balance(classification, self.term(h, Y, others, weights))  # type: ignore[no-any-return]
