"""The contract of a preprocessor: how features of one kind become what an encoder eats."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from manylabel.data.rows import Features, as_features
from manylabel.errors import ManyLabelError
from manylabel.models.inputs.augment import View, ViewSettings

Array = np.ndarray[Any, Any]


class Preprocessor(nn.Module):
    """Features of one kind made dense, floating and standardised, as learnt from training rows.

    What a number means depends on the kind alone, not on its type.

    Parameters
    ----------
    shape : tuple of int
        Of one row that the encoder eats.
    per : tuple of int
        Of mean and scale.
    dtype : torch.float32 or torch.float64, default torch.float32
        Of mean and scale, and of rows until they are standardised.

    Attributes
    ----------
    name : str
        Under which :func:`~manylabel.models.inputs.registry.preprocessor_like` knows it.
    n_dims : int
        Dimensions of one row that the encoder eats.
    mean, scale : buffers of the shape ``per``
    """

    name: ClassVar[str]
    n_dims: ClassVar[int]
    mean: Tensor
    scale: Tensor

    def __init__(
        self, shape: tuple[int, ...], per: tuple[int, ...], dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.register_buffer("mean", torch.zeros(per, dtype=dtype))
        self.register_buffer("scale", torch.ones(per, dtype=dtype))

    @classmethod
    @abstractmethod
    def fit(cls, X: Any) -> Self:
        """Learn from training rows, of which there is at least one."""

    @property
    def dtype(self) -> torch.dtype:
        """Of rows until they are standardised."""
        return self.mean.dtype

    @property
    @abstractmethod
    def form(self) -> str:
        """What new rows have to agree with, as :attr:`manylabel.data.rows.Features.form` says it."""

    @property
    def expected(self) -> str:
        """The form of the training rows, for messages."""
        return f"rows of {self.form}"

    @property
    def hint(self) -> str:
        """What to do where rows are of another form."""
        return "Use the features of the training rows."

    @property
    def block(self) -> int:
        """How many rows go through an encoder at once where nothing is trained."""
        return 1024

    def meta(self) -> dict[str, Any]:
        """What a preprocessor of this form is made from; fits in JSON."""
        own = {"type": self.name, "shape": self.shape}
        return own if self.dtype == torch.float32 else own | {"dtype": "float64"}

    @classmethod
    @abstractmethod
    def like(cls, meta: dict[str, Any]) -> Self:
        """A preprocessor of the form that :meth:`meta` tells, not fitted."""

    def adapted(self, X: Features) -> Self:
        """A copy for rows of the form of ``X``, which may be another one where the encoder can eat such rows.

        Raises
        ------
        ManyLabelError
            If it cannot.
        """
        self.check(X)
        return copy.deepcopy(self)

    def read(self, X: Any) -> Features:
        """New rows of the form of the training rows.

        Raises
        ------
        ManyLabelError
            If they hold anything but finite numbers, or have another form than the training rows.
        """
        found = as_features(X)
        self.check(found)
        return found

    def check(self, X: Features) -> None:
        """Refuse rows of another form than the training rows.

        Raises
        ------
        ManyLabelError
            Names both forms.
        """
        if X.form != self.form:
            raise ManyLabelError("X", self.expected, X.form, self.hint)

    @abstractmethod
    def dense(self, X: Any) -> Tensor:
        """Rows as a tensor of :attr:`dtype`, not yet standardised; (n, *shape).

        Raises
        ------
        ManyLabelError
            If the rows do not have the form of the training rows.
        """

    @abstractmethod
    def matrix(self, X: Any, sparse: bool) -> Any:
        """Rows as an estimator takes them, read by :meth:`read`; (n, n_features).

        Parameters
        ----------
        X : features of n rows
        sparse : bool
            Whether the training rows were: then a CSR matrix of the features as they are, else a standardised float32
            array. Texts are always sparse, pictures never.
        """

    def as_matrix(self, x: Tensor, sparse: bool) -> Tensor:
        """Dense rows as :meth:`matrix` makes them, (B, *shape) -> (B, n_features) float32."""
        return x.flatten(1).float() if sparse else self(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Standardise dense rows, (B, *shape) -> (B, *shape) float32."""
        return ((x - self.mean) / self.scale).float()

    @abstractmethod
    def prepared(self, x: Tensor) -> Tensor:
        """Dense rows on the device as a step of training takes them."""

    @abstractmethod
    def finished(self, x: Tensor) -> Tensor:
        """Waiting rows of a batch as they enter the encoder."""

    @abstractmethod
    def augmentation(self, settings: ViewSettings) -> View | None:
        """What disturbs waiting rows in training; None where the settings leave them as they are."""

    def view(self, settings: ViewSettings) -> View:
        """What happens to waiting rows of a batch before they enter the encoder in training."""
        disturb = self.augmentation(settings)
        return self.finished if disturb is None else lambda x: self.finished(disturb(x))

    def standardised(self, X: Features) -> Array:
        """Rows as one flat float32 array, (n, ...)."""
        return self(self.dense(X).to(self.mean.device)).flatten(1).cpu().numpy()  # type: ignore[no-any-return]
