"""MultiLabelEmbedder: embeddings in which rows that share labels lie close, as a transformer of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from torch import nn

from manylabel.estimator.base import Estimator
from manylabel.training import Listener


class MultiLabelEmbedder(Estimator):
    """Learn embeddings from labels: ``fit(X, y)``, then ``transform(X)``.

    Parameters
    ----------
    method : str, default "mulsupcon"
        As :class:`manylabel.MultiLabelClassifier` takes it, and so are the others.
    encoder : nn.Module or str, optional
    settings : mapping, optional
    validation : None, float or pair (X, y), default None
        Rows that choose the epochs: a tenth of all, another share, or these.
    class_names : sequence, optional
    unknown : number, optional
    random_state : int, RandomState or None, default None
    device : str, default "auto"
    verbose : int, default 0

    Attributes
    ----------
    n_features_in_, feature_names_in_, schema_, predictor_
        As those of :class:`manylabel.MultiLabelClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(60, 4))
    >>> embedder = MultiLabelEmbedder("bce", settings={"classify.stage.epochs": 2, "encoder.widths": [8]})
    >>> embedder.fit_transform(X, X[:, :3] > 0).shape
    (60, 8)
    """

    def __init__(
        self,
        method: str = "mulsupcon",
        *,
        encoder: nn.Module | str | None = None,
        settings: Mapping[str, Any] | None = None,
        validation: float | tuple[Any, Any] | None = None,
        class_names: Sequence[Any] | None = None,
        unknown: float | None = None,
        random_state: Any = None,
        device: str = "auto",
        verbose: int = 0,
    ) -> None:
        self.method, self.encoder, self.settings = method, encoder, settings
        self.validation, self.class_names, self.unknown = validation, class_names, unknown
        self.random_state, self.device, self.verbose = random_state, device, verbose

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        folder: str | Path | None = None,
        progress: Listener | None = None,
    ) -> Self:
        """Train; arguments and errors are those of :meth:`manylabel.MultiLabelClassifier.fit`."""
        fitted = self._train(
            X,
            y,
            sample_weight=sample_weight,
            groups=groups,
            folder=folder,
            progress=progress,
            decide=False,
        )
        self._keep(fitted.rows.rows, {}, {})
        return self
