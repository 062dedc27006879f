"""Pretrained text encoders: a Hugging Face network and its tokenizer, read from a folder without running its code."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from manylabel.errors import ManyLabelError, missing_extra

Pooling: TypeAlias = Literal["mean", "first"]
_READ = (
    "config.json",
    "model*.safetensors*",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)
_MOST = 512  # tokens of a text, where nothing in the folder says how many it takes


class PretrainedText(nn.Module):
    """A pretrained network of texts, from token numbers to one vector a text.

    Parameters
    ----------
    network : nn.Module
        Takes ``input_ids`` and ``attention_mask`` (B, L), and gives ``last_hidden_state`` (B, L, H).
    pooling : "mean" or "first"
        The mean of the vectors of all tokens, or the vector of the first one.
    pad : int
        The number that fills rows up.

    Notes
    -----
    (B, L) token numbers -> (B, H) float32. In training mode the dropout of the network makes another view of a text
    each time.
    """

    def __init__(self, network: nn.Module, pooling: Pooling, pad: int) -> None:
        super().__init__()
        self.network, self.pooling, self.pad = network, pooling, pad
        config: Any = network.config
        self.out_features: int = int(config.hidden_size)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens.long()  # (B, L)
        known = tokens != self.pad
        h = self.network(input_ids=tokens, attention_mask=known.long()).last_hidden_state  # (B, L, H)
        if self.pooling == "first":
            return h[:, 0].float()  # type: ignore[no-any-return]
        weight = known.to(h.dtype)[..., None]
        return ((h * weight).sum(1) / weight.sum(1).clamp_min(1)).float()  # type: ignore[no-any-return]

    def told(self) -> dict[str, Any]:
        """What it is made from again, without its weights; fits in JSON."""
        config: Any = self.network.config
        return {"config": json.loads(config.to_json_string(use_diff=True)), "pooling": self.pooling}


def files_of(folder: Path, who: str) -> list[Path]:
    """The files that decide what a pretrained text encoder makes, in a fixed order.

    Raises
    ------
    ManyLabelError
        If one that is needed lacks.
    """
    found = [path for pattern in _READ for path in sorted(folder.glob(pattern)) if path.is_file()]
    names = {path.name for path in found}
    hint = "Take the folder that `save_pretrained` wrote, network and tokenizer."
    if "config.json" not in names:
        raise ManyLabelError(who, f"config.json in {folder}", "no such file", hint)
    if not any(name.endswith(".safetensors") for name in names):
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        got = f"{pickled[0]}, which is pickled" if pickled else "no such file"
        hint = "Load it with transformers and write it with save_pretrained: nothing is unpickled here."
        raise ManyLabelError(who, f"model.safetensors in {folder}", got, hint)
    if not names & {"tokenizer.json", "vocab.txt", "vocab.json"} and not any(
        n.endswith(".model") for n in names
    ):
        raise ManyLabelError(who, f"tokenizer.json in {folder}", "no such file", hint)
    return found


def read_network(folder: Path, who: str) -> nn.Module:
    """The pretrained network of a folder, in evaluation mode.

    Raises
    ------
    ManyLabelError
        If transformers is missing; if the network is none that it knows, or its weights are those of another one.
    """
    transformers = _transformers(who)
    hint = "Take a folder with one encoder of texts, such as BERT or RoBERTa."
    try:
        with _quiet():
            network, told = transformers.AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
    except Exception as error:  # whatever the package may say of the folder
        raise ManyLabelError(who, f"an encoder of texts in {folder}", _first_line(error), hint) from error
    lacking = sorted(key for key in told["missing_keys"] if "pooler" not in key)
    lacking += sorted(str(key[0]) for key in told["mismatched_keys"])
    if lacking:
        got = f"a file without {lacking[0]} and {len(lacking) - 1} more"
        raise ManyLabelError(who, f"the weights of the network that {folder}/config.json names", got, hint)
    if getattr(network.config, "is_encoder_decoder", False) or not hasattr(network.config, "hidden_size"):
        raise ManyLabelError(who, f"an encoder of texts in {folder}", type(network).__name__, hint)
    for part in [module for name, module in network.named_modules() if name == "pooler"]:
        part.requires_grad_(False)  # what it makes is not used
    return network.eval()  # type: ignore[no-any-return]


def checkpoint_layers(network: nn.Module, who: str) -> None:
    """Let backward passes compute the inside of layers again, in place of keeping it.

    Raises
    ------
    ManyLabelError
        If the network cannot.
    """
    own: Any = network
    try:
        # the older of the two names warns where the newer one is there
        enable = getattr(own, "activation_checkpointing_enable", None) or own.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    except (ValueError, AttributeError, TypeError) as error:
        hint = "Set encoder.checkpointing to false."
        raise ManyLabelError(
            who, "a network whose layers can be computed again", _first_line(error), hint
        ) from error


def new_network(config: dict[str, Any], who: str) -> nn.Module:
    """The network of a ``config.json`` with fresh weights.

    Raises
    ------
    ManyLabelError
        If transformers is missing, or knows no such network.
    """
    transformers = _transformers(who)
    try:
        made = transformers.AutoConfig.for_model(**config)
        return transformers.AutoModel.from_config(made, trust_remote_code=False)  # type: ignore[no-any-return]
    except Exception as error:  # whatever the package may say of it
        raise ManyLabelError(who, "a network that transformers knows", _first_line(error)) from error


def read_tokenizer(folder: Path, who: str) -> Any:
    """The tokenizer of a folder, of the package tokenizers, without padding and truncation.

    Raises
    ------
    ManyLabelError
        If it cannot be read.
    """
    transformers = _transformers(who)
    try:
        with _quiet():
            found = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            ).backend_tokenizer
    except Exception as error:  # whatever the package may say of the folder
        raise ManyLabelError(who, f"a tokenizer in {folder}", _first_line(error)) from error
    found.no_padding()
    found.no_truncation()
    return found


def pooling_of(folder: Path) -> Pooling:
    """How the folder says that vectors of tokens become one; the mean where it says nothing."""
    return "first" if _told(folder / "1_Pooling" / "config.json").get("pooling_mode_cls_token") else "mean"


def length_of(folder: Path) -> int:
    """How many tokens of a text the folder says that its encoder takes."""
    own = _told(folder / "sentence_bert_config.json").get("max_seq_length")
    limits = [own, _told(folder / "tokenizer_config.json").get("model_max_length"), _positions(folder)]
    return int(min([_MOST, *(limit for limit in limits if isinstance(limit, int | float) and limit > 1)]))


def pad_of(folder: Path) -> int:
    """The number of the token that fills rows up."""
    return int(_told(folder / "config.json").get("pad_token_id") or 0)


def width_of(folder: Path, who: str) -> int:
    """How many numbers the network makes of a text, without reading it.

    Raises
    ------
    ManyLabelError
        If its ``config.json`` does not say.
    """
    found = _told(folder / "config.json")
    width = found.get("hidden_size", found.get("dim"))
    if not isinstance(width, int):
        raise ManyLabelError(who, f"hidden_size in {folder / 'config.json'}", "none")
    return width


def most_tokens(folder: Path) -> int | None:
    """How many tokens the network has places for; None where that is not told."""
    return _positions(folder)


def _positions(folder: Path) -> int | None:
    config = _told(folder / "config.json")
    places = config.get("max_position_embeddings")
    if not isinstance(places, int):
        return None
    # networks of RoBERTa's kind number the places of tokens from the one after that of padding
    counts_from = int(config.get("pad_token_id") or 0) + 1
    return places - counts_from if "roberta" in str(config.get("model_type")) else places


def _told(path: Path) -> dict[str, Any]:
    """What a JSON file says; nothing where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _transformers(who: str) -> Any:
    try:
        import transformers
    except (ImportError, RuntimeError, OSError):
        raise missing_extra(who, "transformers", "text") from None
    return transformers


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the reports and progress bars of transformers, which are as they were afterwards."""
    logging: Any = importlib.import_module("transformers.utils.logging")
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def padded(rows: list[list[int]], pad: int, length: int | None = None) -> Tensor:
    """Token numbers of rows as one (n, L) int32 tensor, filled up to ``length``, or to the longest."""
    wide = max([1, *map(len, rows)]) if length is None else length
    out = torch.full((len(rows), wide), pad, dtype=torch.int32)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.tensor(row[:wide], dtype=torch.int32)
    return out
