"""The contract of a frozen encoder: rows of texts or pictures become vectors, the same ones in every process."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from manylabel.data.cache import cached_array, key_of
from manylabel.data.rows import EncodedRows, Features, Vectors, raw_rows
from manylabel.data.rows.base import add_piece
from manylabel.models.frozen.settings import FrozenSettings

Array: TypeAlias = "np.ndarray[Any, Any]"
_FORMAT = 1  # of the vectors: another one where the same files come to give others


class FrozenEncoder(ABC):
    """Makes vectors of rows, and learns nothing.

    Parameters
    ----------
    settings : FrozenSettings
    digest : str
        sha256 of the files and settings that decide what it makes.
    device : torch.device or None, default None
        None is the CPU.

    Attributes
    ----------
    kinds : tuple of str
        The kinds of rows that it takes.
    """

    kinds: ClassVar[tuple[str, ...]]

    def __init__(self, settings: FrozenSettings, digest: str, device: torch.device | None = None) -> None:
        self.settings, self.digest, self.device = settings, digest, device or torch.device("cpu")

    @property
    @abstractmethod
    def width(self) -> int:
        """H, how many numbers it makes of one row."""

    @abstractmethod
    def blocks(self, X: Features) -> Iterator[Array]:
        """The vectors of rows of a kind that it takes, some at a time in their order; (B, H) float32 each.

        Raises
        ------
        ManyLabelError
            If what it is made of cannot be read.
        """

    def vectors(self, X: Features) -> Array:
        """The vectors of rows, (n, H) float32."""
        return np.concatenate([np.zeros((0, self.width), np.float32), *self.blocks(X)])

    def kept_vectors(self, X: Features) -> Array:
        """The same from the cache on disk, where they are computed once; a kill loses the last block at most."""
        key = key_of("frozen encoder", self.digest, content_digest(X))
        shape = len(X), self.width
        compute = lambda start: self.blocks(X.take(slice(start, None)))  # noqa: E731
        return cached_array(key, shape, np.float32, compute, who=f"encoder {self.settings.encoder}")

    def encoded(self, X: Features, keep: bool = False) -> EncodedRows:
        """Rows beside their vectors; rows that stand beside those of this encoder come back as they are.

        Parameters
        ----------
        X : Features
        keep : bool, default False
            Read the vectors from the cache on disk, or write them there.
        """
        if isinstance(X, EncodedRows) and X.encoder == self.digest:
            return X
        raw = raw_rows(X)
        made = self.kept_vectors(raw) if keep else self.vectors(raw)
        return EncodedRows(raw, Vectors(torch.from_numpy(made)), self.digest)

    def meta(self) -> dict[str, Any]:
        """What :func:`manylabel.models.frozen.reopened` finds it by; fits in JSON."""
        return {"settings": self.settings.model_dump(mode="json"), "digest": self.digest}

    def tensors(self) -> dict[str, Tensor]:
        """All that it is made of, where that is small enough to stand in a model folder; else nothing."""
        return {}


def digest_of(files: Iterable[Path], told: Any) -> str:
    """sha256 of the contents of files, and of what is told of them."""
    digest = hashlib.sha256(json.dumps([_FORMAT, told], sort_keys=True).encode())
    for path in files:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def digest_of_tensors(tensors: Mapping[str, Tensor], told: Any) -> str:
    """sha256 of tensors by name, and of what is told of them."""
    digest = hashlib.sha256(json.dumps([_FORMAT, told], sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content: Any = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        digest.update(content)
    return digest.hexdigest()


def content_digest(X: Features) -> str:
    """sha256 of rows: of each piece of their content, with its length before it."""
    digest = hashlib.sha256(f"{type(X).__name__} {len(X)} {X.dtype}".encode())
    for piece in X.content():
        add_piece(digest, piece)
    return digest.hexdigest()
