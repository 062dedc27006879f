"""Frozen network of texts: a Hugging Face encoder as it is, its texts in batches of like length."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from manylabel.data.rows import Features
from manylabel.errors import ManyLabelError
from manylabel.models.encoders import pretrained
from manylabel.models.encoders.pretrained import PretrainedText, padded
from manylabel.models.frozen.base import Array, FrozenEncoder, digest_of
from manylabel.models.frozen.settings import FrozenSettings
from manylabel.models.frozen.texts import texts_of

BATCH = 32  # texts; more of them share the padding of the longest
_READ_AT_ONCE = 2048  # texts; a kill loses so many at most


class TextNetwork(FrozenEncoder):
    """A pretrained encoder of texts that stays as it is; network and tokenizer are read when rows come.

    Parameters
    ----------
    settings : FrozenSettings
    folder : Path
    device : torch.device

    Raises
    ------
    ManyLabelError
        If a file lacks in the folder, or ``length`` is more than the network has places for.
    """

    kinds: ClassVar[tuple[str, ...]] = ("text", "table")

    def __init__(self, settings: FrozenSettings, folder: Path, device: torch.device) -> None:
        self.who, self.folder = f"encoder {settings.encoder}", folder
        files = pretrained.files_of(folder, self.who)
        most = pretrained.most_tokens(folder)
        if settings.length is not None and most is not None and settings.length > most:
            raise ManyLabelError(
                "`inputs.length`", f"at most {most} tokens of {self.who}", str(settings.length)
            )
        self._width = pretrained.width_of(folder, self.who)
        self.length = settings.length or pretrained.length_of(folder)
        self.pooling = pretrained.pooling_of(folder) if settings.pooling == "auto" else settings.pooling
        super().__init__(settings, digest_of(files, ["network", self.pooling, self.length]), device)

    @cached_property
    def _network(self) -> PretrainedText:
        network = pretrained.read_network(self.folder, self.who)
        return PretrainedText(network, self.pooling, pretrained.pad_of(self.folder)).eval().to(self.device)

    @cached_property
    def _tokenizer(self) -> Any:
        tokenizer = pretrained.read_tokenizer(self.folder, self.who)
        tokenizer.enable_truncation(self.length)
        return tokenizer

    @property
    def width(self) -> int:
        return self._width

    def blocks(self, X: Features) -> Iterator[Array]:
        texts = texts_of(X, self.who)
        for start in range(0, len(texts), _READ_AT_ONCE):
            yield self._block(texts[start : start + _READ_AT_ONCE])

    @torch.no_grad()
    def _block(self, texts: list[str]) -> Array:
        """Vectors of texts, (n, H); those of like length go together, so that little padding is computed with."""
        tokens = [one.ids for one in self._tokenizer.encode_batch_fast(texts)]
        out = np.zeros((len(texts), self._network.out_features), np.float32)
        order = np.argsort([-len(row) for row in tokens], kind="stable")  # what takes most memory comes first
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            batch = padded([tokens[i] for i in rows], self._network.pad).to(self.device)
            out[rows] = self._network(batch).cpu().numpy()
        return out
