"""Embedding: rows through a frozen encoder into the cache on disk; of a data set, the same as one of vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from pydantic import ValidationError

from manylabel import files
from manylabel.data import DataSet, Rows, Table
from manylabel.data.cache import key_of
from manylabel.data.rows import as_features
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix
from manylabel.methods.frozen import opened
from manylabel.models.frozen import FrozenEncoder, FrozenSettings

Array: TypeAlias = "np.ndarray[Any, Any]"
_DENSE = 1 << 26  # entries of labels that are written one by one


def embed(X: Any, encoder: str, *, device: str = "auto", **settings: Any) -> Array:
    """The vectors that a frozen encoder makes of texts or pictures; computed once, then read from the cache on disk.

    Parameters
    ----------
    X : n texts, (n, channels, height, width) pictures, or a table with text columns
        Whatever :class:`manylabel.data.Rows` takes, or :func:`manylabel.data.read_table` gives.
    encoder : str
        Name or folder, see :class:`manylabel.models.frozen.FrozenSettings`.
    device : str, default "auto"
        Where a network computes: "auto" is the first GPU if there is one.
    **settings
        ``weights``, ``pooling``, ``length`` or ``pixels`` of the encoder.

    Returns
    -------
    (n, H) float32 array
        Mapped from the file in the cache; what is written into it stays in memory.

    Raises
    ------
    ManyLabelError
        If there is no such encoder, it is none for rows of this kind, or the cache cannot be written.
    """
    rows = as_features(X.X if isinstance(X, Table) else X)
    return opened_encoder(encoder, rows.kind, device, **settings).kept_vectors(rows)


def embed_dataset(dataset: DataSet, encoder: FrozenEncoder) -> DataSet:
    """A data set whose rows are the vectors that an encoder makes of them, with the same labels and split."""
    train, test = (_of_vectors(part, encoder) for part in (dataset.train, dataset.test))
    return replace(
        dataset,
        train=train,
        test=test,
        feature_names=None,
        reading={},
        digest=key_of("encoded data set", dataset.digest, encoder.digest),
        source=f"{dataset.source} Rows went through the encoder {encoder.settings.encoder}.".strip(),
    )


def opened_encoder(encoder: str, kind: str, device: str = "auto", **settings: Any) -> FrozenEncoder:
    """A frozen encoder for rows of one kind.

    Raises
    ------
    ManyLabelError
        If there is no such encoder or setting, or it is none for rows of this kind.
    """
    try:
        asked = FrozenSettings(encoder=encoder, **settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        expected = f"`{place}` as a setting of an encoder: {', '.join(FrozenSettings.model_fields)}"
        raise ManyLabelError("embed", expected, f"{first['input']!r:.60} ({first['msg']})") from None
    found = opened(asked, kind, device)
    assert found is not None, "settings that name an encoder open one"
    return found


def write_dataset(dataset: DataSet, path: str | Path) -> None:
    """Write a data set of vectors as one npz file, which :func:`manylabel.data.load` and every command reads.

    Raises
    ------
    ManyLabelError
        If the file cannot be written.
    """
    arrays: dict[str, Any] = {"label_names": np.array(dataset.label_names, dtype=np.str_)}
    for name, part in (("train", dataset.train), ("test", dataset.test)):
        arrays[f"X_{name}"] = np.asarray(part.X, dtype=np.float32)
        arrays |= {f"y_{name}{ending}": array for ending, array in _labels(part.Y).items()}
    if dataset.validation_rows is not None:
        arrays["val_rows"] = dataset.validation_rows
    with files.writing(path) as file:
        np.savez(file, **arrays)


def _of_vectors(part: Rows, encoder: FrozenEncoder) -> Rows:
    return Rows(encoder.encoded(part.X, keep=True).vectors, part.Y, part.weights)


def _labels(Y: LabelMatrix) -> dict[str, Array]:
    """Labels as arrays by the ending of their names: dense, unknown entries as NaN; sparse ones in CSR parts."""
    if Y.n_rows * Y.n_labels > _DENSE and not Y.has_unknown:
        entries = Y.sparse().to("cpu")
        values = torch.ones(len(entries.columns)) if entries.weights is None else entries.weights.float()
        parts = {"data": values, "indices": entries.columns, "indptr": entries.offsets}
        return {f"_{name}": part.numpy() for name, part in parts.items()} | {"_shape": np.array(Y.shape)}
    dense = Y.dense(torch.uint8 if Y.binary and not Y.has_unknown else torch.float32).cpu()
    if Y.has_unknown:
        dense = dense.masked_fill(Y.unknown.dense(torch.bool).cpu(), torch.nan)
    return {"": dense.numpy()}
