"""Rows of every kind that a network is trained on, with the settings of a small one without chance in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from tests.text_encoders import bert_folder, themed_texts

from manylabel.data import Rows, load, open_parts
from manylabel.labels import as_labels

STAGE = {"epochs": 2, "batch": 16, "lr": 0.01, "optimiser": "sgd"}
PLAIN = {f"classify.stage.{name}": value for name, value in STAGE.items()}
N_LABELS = 4


class Kind(NamedTuple):
    """A kind of rows: its method, the settings of its network, and what makes rows of it (n, seed) in a folder."""

    method: str
    settings: dict[str, Any]
    rows: Callable[[Path, int, int], Rows]


def _truth(of: np.ndarray) -> Any:
    """Labels that a few numbers of each row tell, (n, 4)."""
    return as_labels((of[:, :N_LABELS] > np.median(of[:, :N_LABELS], axis=0)).astype(np.uint8))


def pictures(folder: Path, n: int, seed: int, shape: tuple[int, int, int] = (3, 16, 16)) -> Rows:
    """Pictures of which the brightness of the quarters tells the labels."""
    rng = np.random.default_rng(seed)
    level = rng.random((n, 1, 2, 2)).repeat(shape[1] // 2, 2).repeat(shape[2] // 2, 3)
    X = 255 * (0.7 * level + 0.3 * rng.random((n, *shape)))
    Y = _truth(level[:, 0, :: shape[1] // 2, :: shape[2] // 2].reshape(n, -1))
    return Rows(torch.from_numpy(X.astype(np.uint8)), Y)


def texts(folder: Path, n: int, seed: int) -> Rows:
    found, Y = themed_texts(n, seed)
    return Rows(found, as_labels(Y))


def table(n: int, seed: int, width: int = 12) -> np.ndarray:
    """Features of which more than half are 0, as many bytes a row in text as in memory."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random((n, width)) < 0.4, rng.integers(1, 9, (n, width)) / 4, 0).astype(np.float32)


def rows_of_npy(folder: Path, n: int, seed: int, width: int = 12) -> Rows:
    """Vectors in two files."""
    X = table(n, seed, width)
    places = [folder / f"{n}-{seed}-{width}-{part}.npy" for part in range(2)]
    for place, part in zip(places, (X[: n // 3], X[n // 3 :]), strict=True):
        np.save(place, part)
    return Rows(open_parts(*places), _truth(X))


def rows_of_svm(folder: Path, n: int, seed: int, width: int = 12) -> Rows:
    """Sparse vectors in a file of text that stay there."""
    X, place = table(n, seed, width), folder / f"{n}-{seed}-{width}.svm"
    X[0] = 1  # so that every feature is there
    body = "".join(
        " ".join(["0", *(f"{j}:{x:g}" for j, x in enumerate(row, 1) if x)]) + "\n" for row in X.tolist()
    )
    place.write_text(body)
    return Rows(load(place, undivided=True, options={"on_disk": True}).train.X, _truth(X))


def sparse_rows(folder: Path, n: int, seed: int) -> Rows:
    X = table(n, seed)
    return Rows(sp.csr_matrix(X), _truth(X))


def kinds(folder: Path) -> dict[str, Kind]:
    """By name; a pretrained network of texts is put into the folder."""
    still = {"images.classify.views.crop": 1.0, "images.classify.views.jitter": 0.0}
    norm = {"images.classify.stage.sync_batch_norm": True, "images.encoder.widths": [4, 8]}
    net = {"encoder.dropout": 0.0, "classify.views.mask": 0.0, "encoder.widths": [16, 8]}
    bert = folder / "bert"
    if not bert.exists():
        bert_folder(bert, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return {
        "pictures": Kind("bce", PLAIN | still | norm, pictures),
        "words": Kind("bce", PLAIN | net, texts),
        "tokens": Kind("text_bce", PLAIN | {"classify.views.mask": 0.0, "encoder.weights": str(bert)}, texts),
        "sparse": Kind("bce", PLAIN | net, sparse_rows),
        "npy": Kind("bce", PLAIN | net, rows_of_npy),
        "svmlight": Kind("bce", PLAIN | net, rows_of_svm),
    }
