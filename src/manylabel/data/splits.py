"""Which rows are held out: published rows where there are any, label-stratified ones elsewhere."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from manylabel.data.dataset import DataSet, Rows
from manylabel.data.groups import dealt
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelLists, LabelMatrix

Array: TypeAlias = "np.ndarray[Any, Any]"


def split_validation(dataset: DataSet, seed: int, fraction: float = 0.1) -> tuple[Rows, Rows]:
    """The training rows without, and the validation rows within, the training part.

    Parameters
    ----------
    dataset : DataSet
    seed : int
        Draws the rows; without effect where validation rows are published.
    fraction : float, default 0.1
        Share of the training part that is held out, where no validation rows are published.

    Returns
    -------
    train, validation : Rows
        Disjoint, in the order of ``dataset.train``, together all of its rows.

    Raises
    ------
    ManyLabelError
        If the fraction is not between 0 and 1, or one of the parts would have no rows.
    """
    held_out = np.zeros(len(dataset.train), dtype=bool)
    if dataset.validation_rows is not None:
        held_out[dataset.validation_rows] = True
    else:
        held_out = held_out_rows(dataset.train.Y, fraction, seed)
    return dataset.train.take(~held_out), dataset.train.take(held_out)


def held_out_rows(
    Y: LabelMatrix, fraction: float, seed: int, who: str = "split", groups: Array | None = None
) -> Array:
    """Rows to hold out as :func:`stratified` draws them, or a refusal by ``who`` where it draws none.

    Parameters
    ----------
    Y : LabelMatrix (n_rows, n_labels)
    fraction : float
        Share of the rows to draw.
    seed : int
    who : str
        Named in the error message.
    groups : (n_rows,) integers, optional
        Rows of one group stay together, see :func:`manylabel.data.groups.dealt`.

    Raises
    ------
    ManyLabelError
        If the fraction is not between 0 and 1, there are too few rows or groups, or no label can spare one.
    """
    if groups is not None:
        return np.asarray(dealt(Y, groups, (fraction, 1 - fraction), seed, who) == 0)
    drawn = stratified(Y, fraction, seed)
    if drawn.any():
        return drawn
    got = f"{len(Y)} rows that each carry the only row of a label"
    hint = "Leave out labels with a single row, or give test rows of their own (test.csv beside train.csv, X_test)."
    raise ManyLabelError(who, "rows to hold out whose labels others carry too", got, hint)


def folds_of(
    Y: LabelMatrix, n_folds: int, seed: int, who: str = "split", groups: Array | None = None
) -> Array:
    """The fold of each row, label-stratified, (n_rows,) int64 in [0, n_folds); no fold is empty.

    Parameters
    ----------
    Y, seed, who, groups
        As :func:`held_out_rows` takes them.
    n_folds : int
        At least 2.

    Raises
    ------
    ManyLabelError
        If there are fewer rows or groups than folds.
    """
    if groups is not None:
        return dealt(Y, groups, (1 / n_folds,) * n_folds, seed, who)
    if len(Y) < n_folds:
        raise ManyLabelError(who, f"at least {n_folds} rows for as many folds", f"{len(Y)}")
    folds, left = np.full(len(Y), n_folds - 1), np.arange(len(Y))
    for fold in range(n_folds - 1):
        drawn = stratified(Y.take(left), 1 / (n_folds - fold), seed + fold)
        if not drawn.any():  # every row left carries the last one of a label; some fold has to take it
            n = len(left) // (n_folds - fold)
            drawn[np.random.default_rng(seed + fold).permutation(len(left))[:n]] = True
        folds[left[drawn]] = fold
        left = left[~drawn]
    return folds


def stratified(Y: LabelMatrix, fraction: float, seed: int) -> Array:
    """Draw rows such that every label keeps its share in both parts.

    Parameters
    ----------
    Y : LabelMatrix (n_rows, n_labels)
    fraction : float
        Share of the rows to draw.
    seed : int

    Returns
    -------
    (n_rows,) bool array
        The rows drawn: none where every row carries the only row of a label, see :func:`held_out_rows`. No label
        loses its last row to them, and rows without labels are drawn by the same share.

    Notes
    -----
    Iterative stratification: labels are served from the one with the fewest rows still free to the one with
    the most, since a rare label has the least choice. Each draws from its free rows what it still lacks of
    ``fraction`` times its rows; the rows drawn count for all their labels. Work grows with the number of
    label entries plus ``n_labels ** 2`` for finding the next label, which is little up to 100 000 labels.

    References
    ----------
    Sechidis, Tsoumakas and Vlahavas, On the stratification of multi-label data, ECML/PKDD 2011. Here a
    label's free rows are dealt out at once, not one after another.
    """
    n_rows = len(Y)
    if not 0 < fraction < 1:
        raise ManyLabelError("split", "a fraction between 0 and 1", f"{fraction:g}")
    if not 0 < round(fraction * n_rows) < n_rows:
        raise ManyLabelError("split", f"enough rows to draw {fraction:g} of them", f"{n_rows} rows")
    rng = np.random.default_rng(seed)
    drawn, free = np.zeros(n_rows, dtype=bool), np.ones(n_rows, dtype=bool)
    _serve_labels(Y.sparse(), fraction, rng, drawn, free)
    rest = np.flatnonzero(free)  # rows without labels
    lacking = round(fraction * n_rows) - int(drawn.sum())
    drawn[rng.choice(rest, int(np.clip(lacking, 0, len(rest))), replace=False)] = True
    if not drawn.any():  # no label has rows enough to be owed one
        _spare_rows(Y.sparse(), round(fraction * n_rows), rng, drawn)
    return drawn


def _serve_labels(Y: LabelLists, fraction: float, rng: np.random.Generator, drawn: Any, free: Any) -> None:
    """Deal out all rows that carry a label, in place."""
    offsets, columns = Y.offsets.numpy(), Y.columns.numpy()
    carriers = np.split(Y.transposed.columns.numpy(), Y.transposed.offsets.numpy()[1:-1])
    left = np.array([len(rows) for rows in carriers])  # free rows of each label
    wanted = fraction * left  # rows that each label still lacks among the drawn
    kept = np.zeros_like(left)  # rows of each label that were dealt out and not drawn
    # Among equals, labels without a kept row go first: then no other label can draw the last row of one.
    served_last = 2 * len(Y) + 2
    turn = np.where(left > 0, 2 * left, served_last)

    def count(rows: Any) -> tuple[Any, Any]:
        entries = [columns[offsets[row] : offsets[row + 1]] for row in rows.tolist()]
        return np.unique(np.concatenate(entries) if entries else columns[:0], return_counts=True)

    while left.any():
        label = turn.argmin()
        rows = rng.permutation(carriers[label][free[carriers[label]]])
        n_drawn = min(max(round(wanted[label]), 0), len(rows) - (kept[label] == 0))
        drawn[rows[:n_drawn]] = True
        free[rows] = False
        for some, balance, sign in ((rows[:n_drawn], wanted, -1), (rows[n_drawn:], kept, 1)):
            labels, counts = count(some)
            left[labels] -= counts
            balance[labels] += sign * counts
            turn[labels] = np.where(left[labels] > 0, 2 * left[labels] + (kept[labels] > 0), served_last)


def _spare_rows(Y: LabelLists, n: int, rng: np.random.Generator, drawn: Any) -> None:
    """Draw up to ``n`` rows at random of which no label loses its last one, in place."""
    offsets, columns = Y.offsets.numpy(), Y.columns.numpy()
    left = np.bincount(columns, minlength=Y.n_labels)
    for row in rng.permutation(len(Y)):
        labels = columns[offsets[row] : offsets[row + 1]]
        if drawn.sum() < n and (left[labels] > 1).all():
            drawn[row] = True
            left[labels] -= 1
