"""Linear models of very many labels beside :mod:`benchmarks.large_sparse`: a tree of them, and centroids.

Both take TF-IDF rows of length 1. ``tree`` is omikuji's three partitioned label trees with its own settings, on one
thread (``pip install omikuji``). ``centroids`` scores a label by the cosine between a row and the sum of the training
rows that carry it: one product of two sparse matrices, nothing is trained.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_ROWS = 500  # whose scores are dense at once


class Tree:
    """Partitioned label trees of omikuji."""

    def fit(self, X: Any, Y: Any) -> None:
        """Train on TF-IDF rows, which it reads from a file of XMC text."""
        import omikuji

        with tempfile.TemporaryDirectory() as folder, _quiet():
            path = Path(folder) / "train.txt"
            _write(path, X, Y)
            settings = omikuji.Model.default_hyper_param()
            self.model = omikuji.Model.train_on_data(str(path), settings, n_threads=1)

    def top(self, X: Any, k: int) -> tuple[Array, Array]:
        """Labels and scores of the k highest of each row, (n, k) each."""
        labels, values = np.zeros((X.shape[0], k), np.int32), np.zeros((X.shape[0], k), np.float32)
        for row, (start, stop) in enumerate(zip(X.indptr[:-1], X.indptr[1:], strict=True)):
            entries = zip(X.indices[start:stop].tolist(), X.data[start:stop].tolist(), strict=True)
            for place, (label, score) in enumerate(self.model.predict(list(entries), top_k=k)):
                labels[row, place], values[row, place] = label, score
        return labels, values


class Centroids:
    """Cosines with the sums of the rows of each label."""

    def fit(self, X: Any, Y: Any) -> None:
        """Sum the rows of each label."""
        from sklearn.preprocessing import normalize

        self.centroids = normalize(Y.T.astype(np.float32) @ X).T.tocsr()  # (n_features, n_labels)

    def top(self, X: Any, k: int) -> tuple[Array, Array]:
        """Labels and cosines of the k highest of each row, (n, k) each."""
        parts = [
            _highest((X[i : i + _ROWS] @ self.centroids).toarray(), k) for i in range(0, X.shape[0], _ROWS)
        ]
        labels, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        return labels, values


MODELS: dict[str, type[Tree | Centroids]] = {"tree": Tree, "centroids": Centroids}


class Linear:
    """One of these models on rows as they are.

    Parameters
    ----------
    name : str
        A key of ``MODELS``.
    """

    def __init__(self, name: str) -> None:
        from sklearn.feature_extraction.text import TfidfTransformer

        self.weighting, self.model = TfidfTransformer(), MODELS[name]()

    def fit(self, X: Any, Y: Any) -> Linear:
        """Train on CSR matrices of features and labels."""
        self.model.fit(self.weighting.fit_transform(X).astype(np.float32), Y)
        self.n_labels = Y.shape[1]
        return self

    def scores(self, X: Any, top: int) -> Any:
        """The highest scores of each row, as :meth:`manylabel.methods.Predictor.scores` gives them."""
        from manylabel.metrics import TopScores

        return TopScores(*self.model.top(self.weighting.transform(X).astype(np.float32), top), self.n_labels)


def _highest(S: Array, k: int) -> tuple[Array, Array]:
    found = np.argpartition(-S, k, axis=1)[:, :k]
    values = np.take_along_axis(S, found, 1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(found, order, 1).astype(np.int32), np.take_along_axis(values, order, 1)


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
