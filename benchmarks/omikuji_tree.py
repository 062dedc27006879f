"""A tree of linear models of very many labels beside :mod:`benchmarks.large_sparse`.

It takes TF-IDF rows of length 1: omikuji's three partitioned label trees with its own settings, on one thread
(``pip install omikuji``).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.metrics import TopScores


class Tree:
    """Partitioned label trees of omikuji on TF-IDF rows."""

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import TfidfTransformer

        self.weighting = TfidfTransformer()

    def fit(self, X: Any, Y: Any) -> Tree:
        """Train on CSR matrices of features and labels, which omikuji reads from a file of XMC text."""
        import omikuji

        self.n_labels = Y.shape[1]
        with tempfile.TemporaryDirectory() as folder, _quiet():
            path = Path(folder) / "train.txt"
            _write(path, self.weighting.fit_transform(X), Y)
            settings = omikuji.Model.default_hyper_param()
            self.model = omikuji.Model.train_on_data(str(path), settings, n_threads=1)
        return self

    def scores(self, X: Any, top: int) -> TopScores:
        """The highest scores of each row, as :meth:`manylabel.methods.Predictor.scores` gives them."""
        rows = self.weighting.transform(X).astype(np.float32)
        labels, values = np.zeros((X.shape[0], top), np.int32), np.zeros((X.shape[0], top), np.float32)
        for row, (start, stop) in enumerate(zip(rows.indptr[:-1], rows.indptr[1:], strict=True)):
            entries = zip(rows.indices[start:stop].tolist(), rows.data[start:stop].tolist(), strict=True)
            for place, (label, score) in enumerate(self.model.predict(list(entries), top_k=top)):
                labels[row, place], values[row, place] = label, score
        return TopScores(labels, values, self.n_labels)


def _write(path: Path, X: Any, Y: Any) -> None:
    with path.open("w") as file:
        file.write(f"{X.shape[0]} {X.shape[1]} {Y.shape[1]}\n")
        for row in range(X.shape[0]):
            labels = Y.indices[Y.indptr[row] : Y.indptr[row + 1]]
            entries = slice(X.indptr[row], X.indptr[row + 1])
            pairs = (f"{j}:{v:.5f}" for j, v in zip(X.indices[entries], X.data[entries], strict=True))
            file.write(f"{','.join(map(str, labels))} {' '.join(pairs)}\n")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress that compiled code writes to standard error."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
