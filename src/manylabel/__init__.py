"""manylabel: contrastive learning for data in which every row carries several labels."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing itself would be half of what the import costs
if TYPE_CHECKING:
    from typing import Any

    from manylabel import data, estimator, losses, methods, metrics, models, reproduction, study, training
    from manylabel.errors import ManyLabelError
    from manylabel.estimator import MultiLabelClassifier, MultiLabelEmbedder
    from manylabel.labels import LabelMatrix
    from manylabel.methods.embedding import embed

__version__ = "0.1.0"

__all__ = [
    "LabelMatrix",
    "ManyLabelError",
    "MultiLabelClassifier",
    "MultiLabelEmbedder",
    "__version__",
    "data",
    "embed",
    "estimator",
    "losses",
    "methods",
    "metrics",
    "models",
    "reproduction",
    "study",
    "training",
]

_HOMES = {
    "embed": "manylabel.methods.embedding",
    "LabelMatrix": "manylabel.labels",
    "ManyLabelError": "manylabel.errors",
    "MultiLabelClassifier": "manylabel.estimator",
    "MultiLabelEmbedder": "manylabel.estimator",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use, so that ``import manylabel`` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'manylabel' has no attribute {name!r}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    return import_module(f"manylabel.{name}")


def __dir__() -> list[str]:
    return sorted(__all__)
