"""Texts as token numbers: what a pretrained encoder of texts eats, cut to its length and filled up to the longest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from manylabel.data.rows import Texts, as_features
from manylabel.errors import ManyLabelError, missing_extra
from manylabel.models.encoders import pretrained
from manylabel.models.inputs.augment import View, ViewSettings, keep_mask
from manylabel.models.inputs.base import Preprocessor

_BLOCK = 32  # texts
_MASKS = ("[MASK]", "<mask>")


class TokenPreprocessor(Preprocessor):
    """Texts as the numbers of their tokens, int32; nothing is learnt from training rows.

    Parameters
    ----------
    length : int
        Most tokens of a text, those that a tokenizer puts around it included.
    pad : int
        The number that fills rows up.
    special : sequence of int
        Numbers of the tokens that are no part of a text.
    mask : int or None
        The number that stands for a masked token; None where there is none.
    tokenizer : bytes or int
        JSON of the package tokenizers, or its size.

    Attributes
    ----------
    tokenizer : uint8 buffer
    """

    name: ClassVar[str] = "tokens"
    n_dims: ClassVar[int] = 1
    tokenizer: Tensor

    def __init__(
        self, length: int, pad: int, special: Sequence[int], mask: int | None, tokenizer: bytes | int
    ) -> None:
        super().__init__((length,), (length,))
        self.pad, self.special, self.mask = pad, tuple(special), mask
        if isinstance(tokenizer, int):
            content = torch.zeros(tokenizer, dtype=torch.uint8)
        else:
            content = torch.frombuffer(bytearray(tokenizer), dtype=torch.uint8)
        self.register_buffer("tokenizer", content)

    @classmethod
    def fit(cls, X: Texts) -> Self:
        """It takes the tokenizer of an encoder: :meth:`of_folder` reads it."""
        raise ManyLabelError("tokens", "the folder of an encoder", "texts alone", "Use `of_folder`.")

    @classmethod
    def of_folder(cls, folder: Path, length: int | None, who: str) -> Self:
        """The tokenizer of a pretrained encoder.

        Parameters
        ----------
        folder : Path
        length : int or None
            Most tokens of a text; None takes as many as the folder says.
        who : str
            The encoder, for messages.

        Raises
        ------
        ManyLabelError
            If a file lacks or cannot be read, or the network has places for fewer tokens than ``length``.
        """
        pretrained.files_of(folder, who)
        most = pretrained.most_tokens(folder)
        if length is not None and most is not None and length > most:
            raise ManyLabelError("`encoder.length`", f"at most {most} tokens of {who}", str(length))
        content = pretrained.read_tokenizer(folder, who).to_str()
        added = [token for token in json.loads(content).get("added_tokens", []) if token["special"]]
        mask = next((token["id"] for token in added if token["content"] in _MASKS), None)
        special = [int(token["id"]) for token in added]
        wide = length or pretrained.length_of(folder)
        return cls(wide, pretrained.pad_of(folder), special, mask, content.encode())

    @property
    def block(self) -> int:
        return _BLOCK

    @property
    def form(self) -> str:
        return "texts"

    @property
    def expected(self) -> str:
        return "a list of texts, as in training"

    def meta(self) -> dict[str, Any]:
        own = {
            "pad": self.pad,
            "special": list(self.special),
            "mask": self.mask,
            "bytes": len(self.tokenizer),
        }
        return super().meta() | own

    @classmethod
    def like(cls, meta: dict[str, Any]) -> Self:
        return cls(meta["shape"][0], meta["pad"], meta["special"], meta["mask"], int(meta["bytes"]))

    @cached_property
    def _reader(self) -> Any:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise missing_extra("tokens", "tokenizers", "text") from None
        reader = Tokenizer.from_buffer(self.tokenizer.cpu().numpy().tobytes())
        reader.no_padding()
        reader.enable_truncation(self.shape[0])
        return reader

    def __deepcopy__(self, memo: dict[int, Any]) -> TokenPreprocessor:
        made = type(self).like(self.meta()).to(self.mean.device)
        made.load_state_dict(self.state_dict())
        return made

    def dense(self, X: Any) -> Tensor:
        """Token numbers of texts, (n, L) int32, filled up to the longest of them."""
        rows = as_features(X)
        self.check(rows)
        return pretrained.padded([one.ids for one in self._reader.encode_batch_fast(rows.values)], self.pad)

    def matrix(self, X: Any, sparse: bool) -> Any:
        raise ManyLabelError("tokens", "an encoder that takes them", "an estimator", "Take TF-IDF.")

    def prepared(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Rows without the columns that fill all of them up, (B, L) -> (B, longest)."""
        longest = int((x != self.pad).sum(1).max()) if len(x) else 0
        return x[:, : max(1, longest)]

    def finished(self, x: Tensor) -> Tensor:
        return self(x)  # type: ignore[no-any-return]

    def augmentation(self, settings: ViewSettings) -> View | None:
        if settings.mask == 0:
            return None
        if self.mask is None:
            hint = "Set views.mask to 0: the dropout of the encoder makes views as well."
            raise ManyLabelError("views.mask", "a tokenizer with a token for masked ones", "none", hint)
        return lambda x: self._masked(x, settings.mask)

    def _masked(self, x: Tensor, share: float) -> Tensor:
        """Tokens of texts masked at random, each with this probability; (B, L) -> (B, L)."""
        own = torch.tensor((self.pad, *self.special), device=x.device, dtype=x.dtype)
        dropped = (keep_mask(x.shape, share, x.device) == 0) & ~torch.isin(x, own)
        return x.masked_fill(dropped, self.mask)  # type: ignore[arg-type]
