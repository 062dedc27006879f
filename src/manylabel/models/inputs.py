"""From raw rows to what an encoder eats: dense, floating, standardised."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manylabel.data.features import (
    Features,
    Kind,
    as_features,
    blurred_columns,
    count_rows,
    is_wide,
    row_shape,
)
from manylabel.errors import ManyLabelError
from manylabel.models.words import Words

MOST_FEATURES = 10_000  # of texts, and of sparse rows that have more
_CHUNK = 2**26  # entries of a dense block


class Inputs(nn.Module):
    """How raw rows become what an encoder eats, fitted on training rows.

    What a number means depends on the kind alone, not on its type. The numbers of pictures go from 0 (black) to 255;
    they are divided by 255 and standardised channel by channel. Vectors are standardised feature by feature; a
    constant feature becomes 0. Where training rows are of a type that float32 may not hold (float64, large integers),
    mean and scale are float64 and so is the subtraction: what is left of a large offset, such as a time in seconds
    since 1970, is narrowed only then. Texts become TF-IDF vectors of the words of the training texts. These, and
    sparse vectors of more than 10 000 features, of which those kept are not 0 in the most training rows, are divided
    by one number, the root mean square of all entries: rare words scaled to the variance of frequent ones would drown
    them.

    Parameters
    ----------
    kind : "vectors" or "images"
        What the encoder eats.
    shape : tuple of int
        ``(n_features,)`` or ``(channels, height, width)``.
    vocabulary : sequence of n_features str, optional
        For rows that are texts.
    raw_features : int, optional
        For sparse vectors of which ``n_features`` columns are kept.
    dtype : torch.float32 or torch.float64, default torch.float32
        Of mean and scale, and of rows until they are standardised.

    Attributes
    ----------
    mean, scale : (n_features,) or (channels, 1, 1) buffers
    columns : (n_features,) int64 buffer, or None
        The columns that are kept, where not all are.
    words : Words or None
    """

    mean: Tensor
    scale: Tensor
    columns: Tensor | None

    def __init__(
        self,
        kind: Kind,
        shape: tuple[int, ...],
        *,
        vocabulary: Sequence[str] | None = None,
        raw_features: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if kind not in ("vectors", "images"):
            raise ManyLabelError("encoder", "vectors or images", repr(kind), "Use Inputs.fit for texts.")
        self.kind, self.shape, self.raw_features = kind, tuple(shape), raw_features
        per = shape if kind == "vectors" else (shape[0], 1, 1)
        self.register_buffer("mean", torch.zeros(per, dtype=dtype))
        self.register_buffer("scale", torch.ones(per, dtype=dtype))
        self.register_buffer("columns", None if raw_features is None else torch.arange(shape[0]))
        self.words = None if vocabulary is None else Words(vocabulary)

    @classmethod
    def fit(cls, X: Any, kind: Kind) -> Inputs:
        """Learn from training rows.

        Raises
        ------
        ManyLabelError
            If there are no rows, or they are not of this kind.
        """
        X = as_features(X)
        check_kind(X, kind)
        if count_rows(X) == 0:
            raise ManyLabelError("X", "at least one training row", "none")
        if isinstance(X, list):
            words = Words.fit(X, MOST_FEATURES)
            inputs = cls("vectors", (len(words.vocabulary),), vocabulary=words.vocabulary)
            inputs.words = words
            return inputs._scaled_by_one_number(X)
        dtype = torch.float64 if kind == "vectors" and is_wide(X.dtype) else torch.float32
        if hasattr(X, "tocsr") and X.shape[1] > MOST_FEATURES:
            inputs = cls("vectors", (MOST_FEATURES,), raw_features=X.shape[1], dtype=dtype)
            assert inputs.columns is not None
            frequent = np.argsort(-X.getnnz(axis=0), kind="stable")[:MOST_FEATURES]
            inputs.columns.copy_(torch.from_numpy(np.sort(frequent)))
            return inputs._scaled_by_one_number(X)
        inputs = cls(kind, tuple(X.shape[1:]), dtype=dtype)
        if kind == "images":
            _check_picture_range(X)
        std, mean = inputs._moments(X)
        least = 1e-8 if dtype == torch.float32 else mean.abs().mul(2.0**-49).clamp_min(1e-8)
        inputs.mean.copy_(mean.view_as(inputs.mean))
        inputs.scale.copy_(torch.where(std > least, std, torch.ones_like(std)).view_as(inputs.scale))
        return inputs

    @property
    def dtype(self) -> torch.dtype:
        """Of rows until they are standardised."""
        return self.mean.dtype

    def meta(self) -> dict[str, Any]:
        """What :meth:`like` makes inputs of this form from; fits in JSON."""
        vocabulary = None if self.words is None else self.words.vocabulary
        own: dict[str, Any] = {"kind": self.kind, "shape": self.shape}
        own |= {"vocabulary": vocabulary, "raw_features": self.raw_features}
        return own if self.dtype == torch.float32 else own | {"dtype": "float64"}

    @classmethod
    def like(cls, meta: dict[str, Any]) -> Inputs:
        """Inputs of the form that :meth:`meta` tells, not fitted."""
        own = {name: meta[name] for name in ("vocabulary", "raw_features")}
        dtype = torch.float64 if meta.get("dtype") == "float64" else torch.float32
        return cls(meta["kind"], tuple(meta["shape"]), dtype=dtype, **own)

    def unscaled(self) -> Inputs:
        """The same words or columns, their values as they are."""
        inputs = self.like(self.meta())
        kept = {"mean": inputs.mean, "scale": inputs.scale}
        inputs.load_state_dict(self.state_dict() | kept)
        return inputs

    def read(self, X: Any) -> Features:
        """New rows as :func:`~manylabel.data.features.as_features` reads them, of the form of the training rows.

        Raises
        ------
        ManyLabelError
            If they hold anything but finite numbers, or have another shape than the training rows.
        """
        found = as_features(X)
        self._check_form(found)
        if self.kind == "images":
            _check_picture_range(found, dark=True)
        return found

    def sparse(self, X: Any) -> Any:
        """Texts or sparse rows as a CSR matrix of the features that are kept, (n, n_features)."""
        self._check_form(X)
        if self.words is not None:
            return self.words.rows(X)
        return X if self.columns is None else X[:, self.columns.cpu().numpy()]

    def dense(self, X: Features) -> Tensor:
        """Rows as :meth:`read` gives them as a tensor of :attr:`dtype`, pictures in [0, 1]; (n, *shape).

        Raises
        ------
        ManyLabelError
            If the rows do not have the shape of the training rows.
        """
        if isinstance(X, list) or hasattr(X, "tocsr"):
            return torch.from_numpy(self.sparse(X).toarray()).to(self.dtype)
        self._check_form(X)
        rows = X if self.columns is None else X[:, self.columns.to(X.device)]
        if self.kind == "vectors":
            return rows.to(self.dtype)
        return (
            rows / 255 if rows.dtype == torch.float32 else rows.float().div_(255)
        )  # never in the caller's memory

    def _check_form(self, X: Features) -> None:
        """Refuse rows of another form than the training rows."""
        shape = row_shape(X)
        if self.words is not None:
            if shape is not None:
                raise ManyLabelError("X", "a list of texts, as in training", f"rows of shape {shape}")
            return
        own = self.shape if self.raw_features is None else (self.raw_features,)
        if shape != own:
            got = "texts" if shape is None else f"shape {shape}"
            raise ManyLabelError("X", f"rows of shape {own}", got, "Use the features of the training rows.")

    def forward(self, x: Tensor) -> Tensor:
        """Standardise dense rows, (B, *shape) -> (B, *shape) float32."""
        return ((x - self.mean) / self.scale).float()

    def _scaled_by_one_number(self, X: Any) -> Inputs:
        rows = self.sparse(X)
        warn_of_blurred(rows, self.columns)
        squares = float(np.square(rows.data, dtype=np.float64).sum())
        self.scale.fill_((squares / (rows.shape[0] * rows.shape[1])) ** 0.5 or 1.0)
        return self

    def _moments(self, X: Any) -> tuple[Tensor, Tensor]:
        """Standard deviation and mean of features or channels; large sparse rows a block of columns at a time."""
        if not hasattr(X, "tocsc") or X.shape[0] * X.shape[1] <= _CHUNK:
            return torch.std_mean(
                self.dense(X), dim=(0,) if self.kind == "vectors" else (0, 2, 3), correction=0
            )
        columns, width = X.tocsc(), max(1, _CHUNK // X.shape[0])
        blocks = (columns[:, start : start + width].toarray() for start in range(0, X.shape[1], width))
        moments = [torch.std_mean(torch.from_numpy(block), dim=0, correction=0) for block in blocks]
        return torch.cat([std for std, _ in moments]), torch.cat([mean for _, mean in moments])


def check_kind(X: Features, kind: Any) -> None:
    """Refuse rows that are not of a kind of data.

    Raises
    ------
    ManyLabelError
        Names the kind that would do.
    """
    if kind not in ("vectors", "images", "text"):
        raise ManyLabelError("kind", '"vectors", "images" or "text"', repr(kind))
    shape = row_shape(X)
    if (kind == "images") != (shape is not None and len(shape) == 3):
        known = {None: "texts", 1: "vectors", 3: "pictures"}[None if shape is None else len(shape)]
        hint = f"Pass kind={'images' if known == 'pictures' else 'text' if shape is None else 'vectors'!r}."
        raise ManyLabelError("X", f"rows of the kind {kind!r}", known, hint)
    if kind == "text" and shape is not None:
        raise ManyLabelError("X", "a list of texts", f"rows of shape {shape}", "Pass kind='vectors'.")


def warn_of_blurred(X: Features, names: Tensor | None = None) -> None:
    """Say which columns lose what they tell where rows become float32 and nothing is subtracted before.

    Parameters
    ----------
    X : tensor or CSR matrix
    names : (n_features,) int tensor, optional
        The numbers of the columns, where some were left out.
    """
    if isinstance(X, list) or not is_wide(X.dtype):
        return
    values: Any = X if hasattr(X, "tocsr") else X.double().cpu().numpy()
    blurred = blurred_columns(values)
    if not len(blurred):
        return
    told = []
    for column in blurred[:3].tolist():
        own = values[:, [column]].data if hasattr(X, "tocsr") else values[:, column]
        before, after = len(np.unique(own)), len(np.unique(own.astype(np.float32)))
        told.append(
            f"{column if names is None else int(names[column])} ({before} distinct values, {after} as float32)"
        )
    more = f" and {len(blurred) - 3} more" if len(blurred) > 3 else ""
    warnings.warn(
        f"X: columns lose what they tell when they become float32: {', '.join(told)}{more}. "
        "Subtract their means before.",
        stacklevel=3,
    )


def _check_picture_range(X: Any, dark: bool = False) -> None:
    """Refuse numbers that no byte has, and training pictures that are all but black: their numbers go to 1."""
    if not isinstance(X, Tensor) or X.dtype == torch.uint8 or not X.numel():
        return
    low, high = (float(bound) for bound in X.aminmax())
    if low < 0 or high > 255 or (not dark and X.is_floating_point() and 0 < high <= 1):
        hint = "Multiply pictures that go from 0 to 1 by 255."
        raise ManyLabelError("X", "pictures whose numbers go from 0 to 255", f"{low:g} to {high:g}", hint)
