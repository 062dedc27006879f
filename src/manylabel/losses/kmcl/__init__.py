"""KMCL: asymmetric loss, reconstruction and kernel contrastive term over one Gaussian a label."""

from __future__ import annotations

from manylabel.losses.kmcl.loss import KMCL, KernelTerms

__all__ = ["KMCL", "KernelTerms"]
