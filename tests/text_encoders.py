"""Folders of small text encoders, made from a configuration: a BERT with its tokenizer, and static embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

WORDS = ["red", "green", "blue", "dark", "light", "old", "new", "big", "small", "road"]
WORDS += ["cat", "dog", "bird", "fish", "tree", "house", "car", "sea", "sky", "sun"]


def themed_texts(n: int = 120, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts of 3 to 11 words, and which of four words (cat, dog, sea, sun) each has, (n, 4) uint8."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, size=rng.integers(3, 12))) for _ in range(n)]
    Y = np.array([[word in text.split() for word in ("cat", "dog", "sea", "sun")] for text in texts])
    return texts, Y.astype(np.uint8)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    made = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return made


def bert_folder(folder: Path, seed: int = 0, **changed: Any) -> Path:
    """A BERT of two layers with random weights, and its tokenizer, as ``save_pretrained`` writes them."""
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=25, max_position_embeddings=32, **{**sizes, **changed})
    torch.manual_seed(seed)
    transformers.BertModel(config).save_pretrained(folder)
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "mask_token": "[MASK]"}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(), sep_token="[SEP]", model_max_length=32, **special
    )
    tokenizer.save_pretrained(folder)
    return folder


def static_folder(folder: Path, seed: int = 0, **extra: Any) -> Path:
    """Static embeddings of 8 numbers, as model2vec writes them."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    pytest.importorskip("tokenizers", reason="needs tokenizers")
    table = np.random.default_rng(seed).normal(size=(25, 8)).astype(np.float32)
    save_file({"embeddings": table, **extra}, folder / "model.safetensors")
    _tokenizer().save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text('{"model_type": "model2vec", "normalize": false}')
    return folder
