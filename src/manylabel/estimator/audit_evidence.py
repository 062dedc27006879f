"""Evidence of an audit: cross-fitted scores, votes of the nearest rows, label pairs, and one probability of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
import torch

from manylabel.data import Rows
from manylabel.data.splits import folds_of
from manylabel.errors import ManyLabelError
from manylabel.estimator.fitting import Fitting
from manylabel.labels import LabelMatrix
from manylabel.metrics.held_out import fully_known
from manylabel.models import fit_preprocessor

Array: TypeAlias = "np.ndarray[Any, Any]"

MOST_ENTRIES = 500_000
"""Entries that the weights of the evidence are learnt from."""
MOST_PAIRED = 4096
"""Labels up to which all pairs of them are counted."""
SURE = 1e-3
"""How near to 0 and 1 a probability may come before its log-odds are cut off."""


@dataclass(frozen=True, eq=False)
class Marks:
    """Label entries as arrays.

    Attributes
    ----------
    carried, unknown : (n, n_labels) bool arrays
    lists : (n, n_labels) CSR matrix of 0 and 1
        The same as ``carried``.
    """

    carried: Array
    unknown: Array
    lists: Any

    @classmethod
    def of(cls, Y: LabelMatrix) -> Marks:
        """The entries of a label matrix."""
        carried, unknown = _dense(Y), _dense(Y.unknown) if Y.n_unknown else np.zeros(Y.shape, dtype=bool)
        return cls(carried, unknown, sp.csr_matrix(carried, dtype=np.float32))

    def beside(self, row: int, label: int) -> tuple[int | None, float]:
        """The other label of a row that speaks most against an entry, and the share of its rows that carry this one.

        Of a carried entry the label beside which it is rarest, of others the one beside which it is most usual; the
        row itself is not counted.
        """
        here = bool(self.carried[row, label])
        others = self.lists[row].indices
        others = others[others != label]
        if not len(others):
            return None, float("nan")
        with_other = self.lists[:, others]
        both = np.asarray(with_other.T @ self.lists[:, [label]].toarray())[:, 0] - here
        rest = np.asarray(with_other.sum(0)).ravel() - 1
        if not rest.any():
            return None, float("nan")
        shares = np.where(rest > 0, both / np.maximum(rest, 1), np.inf if here else -np.inf)
        best = int(shares.argmin() if here else shares.argmax())
        return int(others[best]), float(shares[best])


def _dense(Y: LabelMatrix) -> Array:
    found: Array = Y.dense(torch.bool).cpu().numpy()
    return found


def out_of_fold(fitting: Fitting, rows: Rows, groups: Array | None, n_folds: int) -> tuple[Array, Array]:
    """Probabilities of every row by a model trained without its fold, (n, n_labels) float32, and the folds, (n,).

    Those of a method that cross-fits itself are taken from its one training.

    Raises
    ------
    ManyLabelError
        If such a method has folds for fewer rows, as of very many labels.
    """
    if not fitting.method.cross_fits:
        folds = folds_of(rows.Y, n_folds, fitting.seed, "audit", groups)
        return cross_fitted_scores(fitting, rows, groups, folds), folds
    held_out = fitting.train(rows, None, "model", ("model",), groups).held_out
    n_scored = 0 if held_out is None else len(held_out.folds)
    if held_out is None or n_scored < len(rows):
        hint = 'Choose another method, such as "mulsupcon_knn".'
        raise ManyLabelError("audit", f"held-out scores of {len(rows)} rows", f"{n_scored}", hint)
    return held_out.scores, held_out.folds


def cross_fitted_scores(fitting: Fitting, rows: Rows, groups: Array | None, folds: Array) -> Array:
    """Probabilities of every row by a model trained without its fold, (n, n_labels) float32."""
    names = tuple(f"fold-{fold}" for fold in range(int(folds.max()) + 1))
    scores = np.zeros(rows.Y.shape, dtype=np.float32)
    for fold, name in enumerate(names):
        own, others = folds == fold, rows.take(folds != fold)
        kept = fitting.chooses_epochs(others, None if groups is None else groups[folds != fold])
        kept &= np.isin(
            np.arange(len(others)), fully_known(others.Y)
        )  # a method learns its threshold on rows whose labels are all known
        model = fitting.train(*fitting.parted(others, kept), name, names)
        scores[own] = model.scores(rows.X.take(np.flatnonzero(own)))
    return scores


def neighbour_shares(rows: Rows, k: int) -> Array:
    """Share of the k nearest other rows that carry each label, of those on which it is known; (n, n_labels) float32.

    NaN where it is known on none of them.
    """
    from sklearn.neighbors import NearestNeighbors

    if len(rows) < 2:
        return np.full(rows.Y.shape, np.nan, dtype=np.float32)
    matrix = fit_preprocessor(rows.X).matrix(rows.X, rows.X.is_sparse)
    search = NearestNeighbors(n_neighbors=min(k, len(rows) - 1), metric="cosine", algorithm="brute")
    nearest = search.fit(matrix).kneighbors(return_distance=False)  # never the row itself
    marks = Marks.of(rows.Y)
    votes = np.zeros(rows.Y.shape, dtype=np.float32)
    known = np.zeros(rows.Y.shape, dtype=np.float32)
    for rank in nearest.T:
        votes += marks.carried[rank]
        known += ~marks.unknown[rank]
    return np.where(known > 0, votes / np.maximum(known, 1), np.float32(np.nan))


def combined(model: Array, shares: Array, pairs: Array, Y: LabelMatrix, folds: Array) -> Array:
    """One probability of each entry, by a logistic regression that is fitted without the entry's fold; float32.

    Parameters
    ----------
    model, shares, pairs : (n, n_labels) arrays
        Of :func:`cross_fitted_scores`, :func:`neighbour_shares` and :func:`pair_evidence`.
    Y : LabelMatrix (n, n_labels)
    folds : (n,) int array
    """
    from sklearn.linear_model import LogisticRegression

    marks = Marks.of(Y)
    found = np.empty(Y.shape, dtype=np.float32)
    for fold in range(int(folds.max()) + 1):
        own, others = folds == fold, folds != fold
        base = _frequency(marks, others)
        rows, labels = np.nonzero(~marks.unknown & others[:, None])
        if len(rows) > MOST_ENTRIES:
            drawn = np.random.default_rng(fold).choice(len(rows), MOST_ENTRIES, replace=False)
            rows, labels = rows[drawn], labels[drawn]
        target = marks.carried[rows, labels]
        if target.all() or not target.any():
            found[own] = model[own]
            continue
        entries = rows, labels
        evidence = _evidence(model[entries], shares[entries], pairs[entries], base[labels])
        learnt = LogisticRegression(C=10.0).fit(evidence, target)
        n = int(own.sum())
        asked = _evidence(model[own].ravel(), shares[own].ravel(), pairs[own].ravel(), np.tile(base, n))
        found[own] = learnt.predict_proba(asked)[:, 1].reshape(n, Y.n_labels)
    return found


def pair_evidence(Y: LabelMatrix, folds: Array) -> Array:
    """How the other labels of each row speak for each label, (n, n_labels) float32; 0 where labels are very many.

    ``sum_k log P(y_k | carries j) / P(y_k | does not)`` over the known other labels k, as if these were independent
    given j (naive Bayes). Probabilities are those of the rows without the fold.
    """
    marks, found = Marks.of(Y), np.zeros(Y.shape, dtype=np.float32)
    if Y.n_labels > MOST_PAIRED:
        return found
    carried, known = marks.carried.astype(np.float32), (~marks.unknown).astype(np.float32)
    absent = known - carried
    for fold in range(int(folds.max()) + 1):
        own, others = folds == fold, folds != fold
        base = _frequency(marks, others).astype(np.float32)
        # (n_labels, n_labels): j down, k across
        with_j = _given(carried[others], carried[others], known[others], base)
        without = _given(absent[others], carried[others], known[others], base)
        for entries, log_ratio in (
            (carried, np.log(with_j / without)),
            (absent, np.log((1 - with_j) / (1 - without))),
        ):
            np.fill_diagonal(log_ratio, 0)  # a label says nothing of itself
            found[own] += entries[own] @ log_ratio.T
    return found


def _given(j: Array, k: Array, known: Array, base: Array) -> Array:
    """``P(carries k | j)`` of all pairs, drawn towards the frequency of k by one row."""
    p: Array = (j.T @ k + base) / (j.T @ known + 1)
    return np.clip(p, 1e-4, 1 - 1e-4)


def _frequency(marks: Marks, rows: Array) -> Array:
    """The share of some rows that carries each label, drawn a little towards 1/2; (n_labels,)."""
    known = (~marks.unknown[rows]).sum(0)
    share: Array = (marks.carried[rows].sum(0) + 0.5) / (known + 1)
    return share


def _evidence(model: Array, shares: Array, pairs: Array, base: Array) -> Array:
    """Four kinds of evidence in log-odds, (m, 4); neighbours that know nothing say what the frequency says."""
    shares = np.where(np.isnan(shares), base, shares)
    parts = [_log_odds(model, SURE), _log_odds(shares, 0.02), pairs, _log_odds(base, SURE)]
    return np.stack(parts, axis=1)


def _log_odds(p: Array, sure: float) -> Array:
    p = np.clip(p.astype(np.float64), sure, 1 - sure)
    found: Array = np.log(p / (1 - p))
    return found
