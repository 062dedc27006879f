"""From the attributes of an ARFF header to columns of numbers: labels as 0/1, categories as one column a value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.formats.arff_header import Attribute, Header, refusal, unescaped
from manylabel.data.formats.border import shown
from manylabel.data.rows.registry import is_sparse_matrix
from manylabel.errors import ManyLabelError
from manylabel.printable import count

_PAIRS = ({"no", "yes"}, {"n", "y"}, {"false", "true"}, {"f", "t"}, {"absent", "present"}, {"off", "on"})
_YES = {"yes", "y", "true", "t", "present", "on", "positive", "pos", "+"}
_NO = {"no", "false", "absent", "none", "negative", "neg", "-"}
LARGEST = float(np.finfo(np.float32).max)
WIDE = 1 << 26  # numbers of a dense table that categories may make; beyond, its features are sparse


class Strings(dict[str, float]):
    """The strings of a column, numbered as they come; 0 is the empty one, which a sparse row leaves out."""

    def __init__(self) -> None:
        super().__init__({"": 0.0})

    def __contains__(self, text: object) -> bool:
        return True

    def __missing__(self, text: str) -> float:
        self[text] = number = float(len(self))
        return number

    def get(self, text: str, default: Any = None) -> Any:  # quotes have to come off first: no quick way
        return default


@dataclass(frozen=True)
class Column:
    """How one attribute is read.

    Attributes
    ----------
    attribute : Attribute
    is_label : bool
    codes : dict of str to float, or None
        What the words of a list stand for: a label's 0 and 1, or the position of a category; or strings.
    categories : tuple of str
        Values that become one 0/1 column each; empty where the column stays one.
    """

    attribute: Attribute
    is_label: bool
    codes: dict[str, float] | None = None
    categories: tuple[str, ...] = ()

    @property
    def allowed(self) -> tuple[float, ...] | None:
        """The numbers that may stand in the column, where they are listed."""
        numbers = self.attribute.numbers
        if not self.is_label:
            return numbers
        return (0.0, 1.0) if numbers is None else tuple(n for n in numbers if n in (0, 1))

    @property
    def omitted_is_zero(self) -> bool:
        """Whether a sparse row may leave the column out: what it leaves out is the first value of a list."""
        values = self.attribute.values
        if values is None or self.categories:
            return True
        if self.codes is not None:
            return self.codes[values[0]] == 0
        return self.attribute.numbers is not None and self.attribute.numbers[0] == 0

    @property
    def one(self) -> str | None:
        """The word that a label column counts as 1."""
        return (
            next(word for word, code in self.codes.items() if code == 1)
            if self.codes and self.is_label
            else None
        )


class Columns:
    """The columns of a table, and what has to be done to their numbers.

    Parameters
    ----------
    path : Path
        For messages.
    columns : sequence of Column

    Attributes
    ----------
    strings, features : list of Column
        Those that hold strings, and the others that are no labels.
    """

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self.path, self.columns = path, tuple(columns)
        self.is_label = np.array([c.is_label for c in columns])
        self.strings = [c for c in columns if c.attribute.is_text]
        self.features = [c for c in columns if not c.is_label and not c.attribute.is_text]
        self.words = {j: c.codes for j, c in enumerate(columns) if c.codes is not None}
        self.binary = np.array([c.codes is None and set(c.allowed or ()) == {0, 1} for c in columns])
        # Columns with one list are checked together: {numbers, whether they are categories: positions}.
        self._listed: dict[tuple[tuple[float, ...], bool], list[int]] = {}
        for j, c in enumerate(columns):
            if c.codes is None and c.allowed is not None and not self.binary[j]:
                self._listed.setdefault((c.allowed, bool(c.categories)), []).append(j)

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the label columns, in their order."""
        return tuple(c.attribute.name for c in self.columns if c.is_label)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that categories become are ``attribute=value``."""
        return tuple(
            name
            for c in self.features
            for name in ([f"{c.attribute.name}={v}" for v in c.categories] or [c.attribute.name])
        )

    def remarks(self) -> Iterator[str]:
        """What becomes of words and categories, one sentence each."""
        pairs: dict[tuple[tuple[str, ...], str], int] = {}
        for c in self.columns:
            if c.one is not None and c.attribute.values is not None:
                key = c.attribute.values, c.one
                pairs[key] = pairs.get(key, 0) + 1
        for (values, one), n in list(pairs.items())[:5]:
            columns = "1 label column lists" if n == 1 else f"{n} label columns list"
            yield f"{columns} {{{','.join(values)}}}: {one!r} is read as 1."
        split = [c for c in self.columns if c.categories]
        if split:
            names = ", ".join(repr(c.attribute.name) for c in split[:5]) + (", ..." if split[5:] else "")
            width = sum(len(c.categories) for c in split)
            one = f"Nominal column {names} holds"
            columns = one if len(split) == 1 else f"{len(split)} nominal columns ({names}) hold"
            yield f"{columns} categories, read as {width} 0/1 columns, one for each."
        if self.strings and self.features:
            names = ", ".join(repr(c.attribute.name) for c in self.strings[:5]) + (
                ", ..." if self.strings[5:] else ""
            )
            yield f"String columns are left out: {names}."

    def check(self, values: Any, columns: Any) -> np.ndarray[Any, Any]:
        """Which numbers may not stand in their columns.

        Parameters
        ----------
        values : float64 array (n_rows, n_columns), or (n_entries,) of sparse rows
        columns : int array (n_columns,), or (n_entries,)
            The column of each.
        """
        bad = ~(np.abs(values) <= LARGEST) | (self.binary[columns] & (values != 0) & (values != 1))
        for allowed, _, where in self._entries(values, columns):
            bad[where] |= ~np.isin(values[where], allowed)
        return np.asarray(bad)

    def recode(self, values: Any, columns: Any) -> None:
        """Replace numbers that are categories by their positions, in place."""
        for allowed, are_categories, where in self._entries(values, columns):
            if are_categories:
                order = np.argsort(allowed)
                values[where] = order[np.searchsorted(allowed, values[where], sorter=order)]

    def _entries(self, values: Any, columns: Any) -> Iterator[tuple[Any, bool, Any]]:
        """The numbers of each list, whether they are categories, and where such values are."""
        if not self._listed:
            return
        places: list[Any] = [(slice(None), columns) for columns in self._listed.values()]
        if values.ndim == 1:
            group = np.full(len(self), len(self._listed))
            for g, chosen in enumerate(self._listed.values()):
                group[chosen] = g
            of = group[columns]
            order = np.argsort(of, kind="stable")
            places = np.split(order, np.searchsorted(of[order], np.arange(1, len(self._listed) + 1)))[:-1]
        for (allowed, are_categories), where in zip(self._listed, places, strict=True):
            yield np.array(allowed), are_categories, where

    def finished(self, X: Any) -> Any:
        """What rows are made of: texts where there are strings alone, else numbers with one column a category.

        Parameters
        ----------
        X : array or CSR (n, n_columns that are no labels)

        Returns
        -------
        list of n str, or array, or CSR where categories would fill the memory with zeros
        """
        if not self.strings:
            return self._widened(X)
        is_text = np.array([c.attribute.is_text for c in self.columns if not c.is_label])
        if not is_text.all():
            return self._widened(X[:, np.flatnonzero(~is_text)])
        numbers = X.toarray() if is_sparse_matrix(X) else X
        words = [list(c.codes or ()) for c in self.strings]
        return ["\n".join(of[int(i)] for of, i in zip(words, row, strict=True)) for row in numbers]

    def _widened(self, X: Any) -> Any:
        features = self.features
        widths = np.array([len(c.categories) or 1 for c in features])
        coded = np.flatnonzero([bool(c.categories) for c in features])
        if not len(coded):
            return X
        starts = np.cumsum(widths) - widths
        n, width = X.shape[0], int(widths.sum())
        if is_sparse_matrix(X):
            return _widened_sparse(X, starts, coded, width, self.path)
        if n * width > WIDE:
            return _as_csr(X, starts, coded, width)
        wide = np.zeros((n, width), dtype=X.dtype)
        plain = np.setdiff1d(np.arange(len(features)), coded)
        wide[:, starts[plain]] = X[:, plain]
        rows = np.arange(n)
        for j in coded:
            wide[rows, starts[j] + X[:, j].astype(np.int64)] = 1
        return wide


def _as_csr(X: Any, starts: Any, coded: Any, width: int) -> Any:
    """Every row stores as many entries as it has attributes."""
    import scipy.sparse as sp

    columns = np.broadcast_to(starts, X.shape).copy()
    columns[:, coded] += X[:, coded].astype(np.int64)
    data = X.copy()
    data[:, coded] = 1
    offsets = np.arange(X.shape[0] + 1, dtype=np.int64) * X.shape[1]
    table = sp.csr_matrix((data.ravel(), columns.ravel(), offsets), shape=(X.shape[0], width))
    table.eliminate_zeros()
    return table


def _widened_sparse(X: Any, starts: Any, coded: Any, width: int, path: Path) -> Any:
    """A category that a row leaves out is the first one of its list."""
    import scipy.sparse as sp

    n = X.shape[0]
    if n * len(coded) > 4 * WIDE:
        hint = "Write the nominal columns as 0/1 columns, of which sparse rows leave the zeros out."
        got = f"{len(coded)} nominal columns in {n} rows"
        raise ManyLabelError(str(path), f"at most {4 * WIDE} categories in sparse rows", got, hint)
    codes = X[:, coded].toarray().astype(np.int64)
    plain = X.tocoo()
    is_coded = np.isin(plain.col, coded)
    rows = np.concatenate([plain.row[~is_coded], np.repeat(np.arange(n), len(coded))])
    columns = np.concatenate([starts[plain.col[~is_coded]], (starts[coded] + codes).ravel()])
    data = np.concatenate([plain.data[~is_coded], np.ones(codes.size, dtype=X.dtype)])
    return sp.csr_matrix((data, (rows, columns)), shape=(n, width))


def plan_columns(path: Path, header: Header, labels: tuple[str, ...] | None, source: str) -> Columns:
    """Decide which columns are labels and how each is read.

    Parameters
    ----------
    path : Path
    header : Header
    labels : tuple of str, or None
        Names of the label columns; None leaves it to the header.
    source : str
        Where the names stand, for messages.

    Raises
    ------
    ManyLabelError
        If the labels are not among the columns, leave no feature, or have other than two values.
    """
    attributes = list(header.attributes.values())
    chosen = _by_header(path, header) if labels is None else _by_name(path, attributes, labels, source)
    if len(chosen) == len(attributes):
        raise ManyLabelError(str(path), "features beside the labels", f"only the label columns of {source}")
    return Columns(path, [_column(path, j, a, j in chosen, chosen.get(j)) for j, a in enumerate(attributes)])


def _by_header(path: Path, header: Header) -> dict[int, str]:
    names = list(header.attributes)
    if header.meka_labels is None:
        return _by_name(path, list(header.attributes.values()), header.outputs, "@outputs")
    n = header.meka_labels
    if not 0 < abs(n) < len(names):
        expected = (
            f"from 1 to {len(names) - 1} labels in @relation, as -C n (the first n) or -C -n (the last)"
        )
        raise ManyLabelError(str(path), expected, f"-C {n}")
    positions = range(n) if n > 0 else range(len(names) + n, len(names))
    return {j: names[j] for j in positions}


def _by_name(path: Path, attributes: list[Attribute], labels: tuple[str, ...], source: str) -> dict[int, str]:
    """Positions of the labels, with their names; names that differ in escaped quotes only are the same."""
    known = {a.name: j for j, a in enumerate(attributes)}
    plain: dict[str, int] = {}
    for j, a in enumerate(attributes):
        plain[unescaped(a.name)] = -1 if unescaped(a.name) in plain else j
    found: dict[int, str] = {}
    missing = []
    for name in labels:
        j = known.get(name, plain.get(unescaped(name), -1))
        if j < 0 or j in found:
            missing.append(name)
        else:
            found[j] = name if name in known else unescaped(name)
    if missing:
        got = f"no attribute {shown(missing[0])}" + (
            f" (nor {count(len(missing) - 1, 'other')})" if missing[1:] else ""
        )
        hint = "Is it the XML file of this table?"
        raise ManyLabelError(str(path), f"an attribute for every label of {source}", got, hint)
    return found


def _column(path: Path, j: int, attribute: Attribute, is_label: bool, name: str | None) -> Column:
    if name is not None and name != attribute.name:
        attribute = Attribute(name, attribute.line, attribute.values, attribute.numbers)
    values, numbers = attribute.values, attribute.numbers
    if attribute.is_text:
        if is_label:
            expected = f"label {shown(attribute.name)} to be numeric or nominal"
            raise refusal(path, attribute.line, expected, "strings", "Write one 0/1 column for each tag.", j)
        return Column(attribute, False, Strings())
    if values is None or (is_label and numbers):
        return Column(attribute, is_label)
    if is_label:
        if len(values) != 2:
            hint = "Write one 0/1 column for each of its values, or leave the column out."
            expected = f"label {shown(attribute.name)} to have two values"
            raise refusal(path, attribute.line, expected, shown("{" + ",".join(values) + "}"), hint, j)
        one = _one_of(*values)
        return Column(attribute, True, {value: float(value == one) for value in values})
    if numbers and len(numbers) <= 2:
        return Column(attribute, False)
    codes = None if numbers else {value: float(i) for i, value in enumerate(values)}
    return Column(attribute, False, codes, values)


def _one_of(first: str, second: str) -> str:
    """Which of two words says that a label is given: the affirmative one, else the second."""
    a, b = first.casefold(), second.casefold()
    if {a, b} in _PAIRS:
        return first if a in _YES else second
    if (b in _NO and a not in _NO) or (a in _YES - {"y", "t"} and b not in _YES):
        return first
    return second
