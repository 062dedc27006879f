"""What a reader of results should know about a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from manylabel.data.dataset import Rows


def find_remarks(train: Rows, test: Rows, label_names: tuple[str, ...]) -> Iterator[str]:
    """Constant labels, rows without labels, and test rows that training rows repeat; one sentence each."""
    counts = train.Y.label_counts().numpy()
    never, always = counts == 0, counts == len(train)
    if never.any():
        yield f"{_labels(label_names, never)} never given in training: nothing can be learnt there."
    if always.any():
        yield f"{_labels(label_names, always)} given to every training row: nothing can be learnt there."
    unseen = test.Y.label_counts().numpy() == 0
    if unseen.any():
        yield f"{_labels(label_names, unseen)} never given in test: no score is defined there."
    for part, rows in (("training", train), ("test", test)):
        empty = int((rows.Y.row_counts() == 0).sum())
        if empty:
            yield f"{empty} of {len(rows)} {part} rows carry no label."
    known = set(train.X.row_keys())
    repeated = sum(key in known for key in test.X.row_keys())
    if repeated:
        yield f"{repeated} of {len(test)} test rows have the features of a training row."


def _labels(names: tuple[str, ...], chosen: Any) -> str:
    picked = [names[i] for i in np.flatnonzero(chosen)]
    if len(picked) == 1:
        return f"Label {picked[0]!r} is"
    shown = ", ".join(repr(name) for name in picked[:5])
    return f"{len(picked)} labels ({shown}{', ...' if picked[5:] else ''}) are"
