"""Static embeddings of texts: the mean of one vector a token, looked up in a table, as wordllama and model2vec have."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from manylabel.data.rows import Features
from manylabel.errors import ManyLabelError, missing_extra
from manylabel.models.frozen.base import Array, FrozenEncoder, digest_of
from manylabel.models.frozen.settings import FrozenSettings
from manylabel.models.frozen.texts import texts_of

_AT_ONCE = 1024  # texts
_TABLES = ("embeddings", "embedding.weight")
_LARGEST = 1 << 27  # bytes of a table that a model folder gets a copy of


@dataclass(frozen=True)
class StaticFiles:
    """The files of static embeddings.

    Attributes
    ----------
    table : Path
        safetensors with one row a token, and perhaps weights and another numbering of tokens.
    tokenizer : Path
        As the package tokenizers writes it.
    config : Path or None
    """

    table: Path
    tokenizer: Path
    config: Path | None

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """Those of a folder; None where there are none."""
        for tables, tokenizers in (("", "tokenizer.json"), ("weights", "tokenizers/*.json")):
            table = sorted((folder / tables).glob("*.safetensors"))
            tokenizer = sorted(folder.glob(tokenizers))
            if len(table) == 1 and tokenizer and _is_table(table[0]):
                config = folder / "config.json"
                return cls(table[0], tokenizer[0], config if config.is_file() else None)
        return None

    @property
    def normalises(self) -> bool:
        """Whether the vector of a text is divided by its length."""
        if self.config is None:
            return False
        return bool(json.loads(self.config.read_text(encoding="utf-8")).get("normalize", False))


class StaticEncoder(FrozenEncoder):
    """Means of static embeddings.

    Parameters
    ----------
    settings : FrozenSettings
    digest : str
    table : (n_tokens, H) tensor
    tokenizer : bytes
        JSON of the package tokenizers.
    normalises : bool
    weights : (n,) tensor, optional
        Of each token before the mean.
    mapping : (n,) int tensor, optional
        The row of each token.

    Notes
    -----
    Tokens that the table does not know have no say; a text without a known token is a row of zeros.
    """

    kinds: ClassVar[tuple[str, ...]] = ("text", "table")

    def __init__(
        self,
        settings: FrozenSettings,
        digest: str,
        table: Tensor,
        tokenizer: bytes,
        normalises: bool,
        weights: Tensor | None = None,
        mapping: Tensor | None = None,
    ) -> None:
        super().__init__(settings, digest)
        self.kept, self.tokenizer_json, self.normalises = table, tokenizer, normalises
        self.weights, self.mapping = weights, mapping

    @classmethod
    def open(cls, settings: FrozenSettings, files: StaticFiles) -> Self:
        """Read the files of static embeddings.

        Raises
        ------
        ManyLabelError
            If one of them cannot be read.
        """
        from safetensors.torch import load_file

        who = f"encoder {settings.encoder}"
        try:
            found, normalises = load_file(files.table), files.normalises
            tokenizer = files.tokenizer.read_bytes()
        except Exception as error:  # whatever damage makes of them
            got = f"one that cannot be read ({(str(error) or type(error).__name__).splitlines()[0][:120]})"
            raise ManyLabelError(who, "a table of embeddings with its tokenizer", got) from error
        paths = [files.table, files.tokenizer, *([files.config] if files.config else [])]
        table = next(found[name] for name in _TABLES if name in found)
        told = ["static", settings.length]
        return cls(
            settings,
            digest_of(paths, told),
            table,
            tokenizer,
            normalises,
            found.get("weights"),
            found.get("mapping"),
        )

    @cached_property
    def _tokenizer(self) -> Any:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise missing_extra(f"encoder {self.settings.encoder}", "tokenizers", "text") from None
        tokenizer = Tokenizer.from_buffer(self.tokenizer_json)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def _unknown(self) -> int | None:
        """The number of the token that stands for unknown ones."""
        unknown = json.loads(self.tokenizer_json).get("model", {}).get("unk_token")
        found: int | None = None if unknown is None else self._tokenizer.token_to_id(unknown)
        return found

    @cached_property
    def _table(self) -> Tensor:
        """One row a token, weighted, (n_tokens, H) float32."""
        table = self.kept.float()
        if self.mapping is not None:
            table = table[self.mapping.long()]
        return table if self.weights is None else table * self.weights.float()[:, None]

    @property
    def width(self) -> int:
        return int(self.kept.shape[1])

    def blocks(self, X: Features) -> Iterator[Array]:
        texts = texts_of(X, f"encoder {self.settings.encoder}")
        for start in range(0, len(texts), _AT_ONCE):
            yield self._means(texts[start : start + _AT_ONCE]).numpy()

    def _means(self, texts: Sequence[str]) -> Tensor:
        """(n, H) float32."""
        found = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        known = [[i for i in one.ids if i != self._unknown][: self.settings.length] for one in found]
        offsets = torch.tensor([0, *map(len, known)]).cumsum(0)[:-1]
        tokens = torch.tensor([i for one in known for i in one], dtype=torch.long)
        means = F.embedding_bag(tokens, self._table, offsets, mode="mean")  # zeros where there is none
        return F.normalize(means) if self.normalises else means

    def meta(self) -> dict[str, Any]:
        return super().meta() | {"normalises": self.normalises}

    def tensors(self) -> dict[str, Tensor]:
        if self.kept.nbytes > _LARGEST:
            return {}
        tokenizer = torch.frombuffer(bytearray(self.tokenizer_json), dtype=torch.uint8)
        others = {"weights": self.weights, "mapping": self.mapping}
        own = {name: tensor for name, tensor in others.items() if tensor is not None}
        return {"table": self.kept, "tokenizer": tokenizer} | own

    @classmethod
    def of_tensors(cls, meta: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """The encoder that :meth:`meta` and :meth:`tensors` tell of."""
        return cls(
            FrozenSettings.model_validate(meta["settings"]),
            str(meta["digest"]),
            tensors["table"],
            tensors["tokenizer"].numpy().tobytes(),
            bool(meta["normalises"]),
            tensors.get("weights"),
            tensors.get("mapping"),
        )


def _is_table(path: Path) -> bool:
    """Whether a file holds one table of embeddings, and no network."""
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as file:
            names = set(file.keys())
    except Exception:  # whatever damage makes of it; the reader of networks says what it is
        return False
    return len(names & set(_TABLES)) == 1 and names <= {*_TABLES, "weights", "mapping"}
