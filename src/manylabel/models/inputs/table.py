"""Rows of a table as vectors: numbers standardised, dates in parts, categories and tags one-hot, texts by TF-IDF."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from manylabel.data.column_storage import Codes, Numbers, Stored, Strings
from manylabel.data.rows import TableRows, as_features
from manylabel.data.tag_cells import UNIT
from manylabel.errors import ManyLabelError
from manylabel.models.inputs import vectors
from manylabel.models.inputs.tfidf import Words
from manylabel.models.inputs.vectors import OfFeatures

if TYPE_CHECKING:
    import scipy.sparse as sp

MOST_VALUES = 500  # of a category that have a feature of their own
_FARTHEST = 1e6  # deviations from the mean
_DAY, _YEAR = 86_400.0, 365.2425 * 86_400


class ColumnEncoder(nn.Module):
    """One column of a table as some features.

    Attributes
    ----------
    role : str
        Of the columns that it encodes.
    """

    role: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(cls, stored: Any, room: int) -> ColumnEncoder:
        """Learn from training rows; ``room`` is the largest number of words or tags with a feature."""

    @property
    @abstractmethod
    def width(self) -> int:
        """The number of features."""

    @abstractmethod
    def rows(self, stored: Any) -> sp.csr_matrix:
        """The features of a column, (n, width)."""

    def meta(self) -> dict[str, Any]:
        """What an encoder of this form is made from; fits in JSON."""
        return {}

    @classmethod
    def like(cls, meta: dict[str, Any]) -> ColumnEncoder:
        """An encoder of the form that :meth:`meta` tells, not fitted."""
        return cls(**meta)


class NumberEncoder(ColumnEncoder):
    """A number, standardised; a missing one is the median, and has a second feature that says so.

    Parameters
    ----------
    has_missing : bool
        Whether a training row lacked it: then there is the second feature.
    """

    role: ClassVar[str] = "number"
    parts: ClassVar[int] = 1
    fill: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, has_missing: bool) -> None:
        super().__init__()
        self.has_missing = has_missing
        for name, value in (("fill", 0.0), ("centre", 0.0), ("spread", 1.0)):
            self.register_buffer(name, torch.full((self.parts,), value, dtype=torch.float64))

    @classmethod
    def fit(cls, stored: Numbers, room: int) -> NumberEncoder:
        made = cls(bool(stored.missing().any()))
        parts = cls.split(stored.values)
        known = np.where(np.isnan(parts), 0.0, parts)
        size = np.maximum(np.abs(known).max(axis=0, initial=0), 1e-300)  # of huge numbers no sum can be made
        parts = parts / size
        if len(parts) > stored.missing().sum():
            made.fill.copy_(torch.from_numpy(np.nanmedian(parts, axis=0) * size))
        filled = made._filled(parts * size) / size
        spread = np.where(filled.std(axis=0) <= 2.0**-49, 1.0 / size, filled.std(axis=0))
        made.centre.copy_(torch.from_numpy(filled.mean(axis=0) * size))
        made.spread.copy_(torch.from_numpy(spread * size))
        return made

    @property
    def width(self) -> int:
        return self.parts + self.has_missing

    @staticmethod
    def split(values: Any) -> Any:
        """The numbers that are made of one, (n,) -> (n, parts)."""
        return values[:, None]

    def rows(self, stored: Numbers) -> sp.csr_matrix:
        import scipy.sparse as sp

        parts = self.split(stored.values)
        centre, spread = self.centre.cpu().numpy(), self.spread.cpu().numpy()
        found = np.clip(self._filled(parts) / spread - centre / spread, -_FARTHEST, _FARTHEST)
        if self.has_missing:
            found = np.concatenate([found, stored.missing()[:, None]], axis=1)
        return sp.csr_matrix(found.astype(np.float32))

    def _filled(self, parts: Any) -> Any:
        return np.where(np.isnan(parts), self.fill.cpu().numpy(), parts)

    def meta(self) -> dict[str, Any]:
        return {"has_missing": self.has_missing}


class BooleanEncoder(NumberEncoder):
    """Yes and no as a number."""

    role: ClassVar[str] = "boolean"


class DateEncoder(NumberEncoder):
    """A date in parts: time, and sine and cosine of its place in the year, the week and the day."""

    role: ClassVar[str] = "date"
    parts: ClassVar[int] = 7

    @staticmethod
    def split(values: Any) -> Any:
        turns = [2 * np.pi * values / period for period in (_YEAR, 7 * _DAY, _DAY)]
        circles = [wave(turn) for turn in turns for wave in (np.sin, np.cos)]
        return np.round(
            np.stack([values, *circles], axis=1), 9
        )  # of dates without a time the last are constant


class CategoryEncoder(ColumnEncoder):
    """A category one-hot: values of two training rows and more; then all others together, and missing ones.

    Parameters
    ----------
    values : sequence of str
        Those with a feature of their own, at most 500, the most frequent.
    """

    role: ClassVar[str] = "category"

    def __init__(self, values: Any) -> None:
        super().__init__()
        self.values = tuple(values)

    @classmethod
    def fit(cls, stored: Codes, room: int) -> CategoryEncoder:
        counts = Counter(dict(zip(stored.values, stored.counts().tolist(), strict=True)))
        frequent = [value for value, n in counts.most_common(MOST_VALUES) if n > 1 and value.strip()]
        return cls(sorted(frequent))

    @property
    def width(self) -> int:
        return len(self.values) + 2

    def rows(self, stored: Codes) -> sp.csr_matrix:
        import scipy.sparse as sp

        place = {value: i for i, value in enumerate(self.values)}
        other, none = len(self.values), len(self.values) + 1
        of_values = [place.get(value, other) if value.strip() else none for value in stored.values]
        columns = np.array([*of_values, none], np.int64)[stored.codes]
        n = len(stored)
        return sp.csr_matrix((np.ones(n, np.float32), columns, np.arange(n + 1)), shape=(n, self.width))

    def meta(self) -> dict[str, Any]:
        return {"values": self.values}


class TagsEncoder(ColumnEncoder):
    """Tags multi-hot: values of two training rows and more; then how many others, as log(1 + n), and whether none.

    Parameters
    ----------
    values : sequence of str
        Those with a feature of their own, the most frequent where there is no room for all.
    """

    role: ClassVar[str] = "tags"

    def __init__(self, values: Any) -> None:
        super().__init__()
        self.values = tuple(values)

    @classmethod
    def fit(cls, stored: Strings, room: int) -> TagsEncoder:
        counts = Counter(value for cell in stored for value in {*cell.split(UNIT)})
        return cls(sorted(value for value, n in counts.most_common(room) if n > 1))

    @property
    def width(self) -> int:
        return len(self.values) + 2

    def rows(self, stored: Strings) -> sp.csr_matrix:
        import scipy.sparse as sp

        place = {value: i for i, value in enumerate(self.values)}
        columns, entries, offsets = [], [], [0]
        for cell in stored.cells():
            values = {*cell.split(UNIT)} if cell else set()
            known = sorted(place[value] for value in values if value in place)
            columns += known
            entries += [1.0] * len(known)
            if len(known) < len(values) or not values:
                columns.append(len(self.values) + (not values))
                entries.append(float(np.log1p(len(values) - len(known))) if values else 1.0)
            offsets.append(len(columns))
        data = np.array(entries, np.float32)
        return sp.csr_matrix((data, np.array(columns, np.int64), offsets), shape=(len(stored), self.width))

    def meta(self) -> dict[str, Any]:
        return {"values": self.values}


class TextEncoder(ColumnEncoder):
    """A text by TF-IDF over the words of the training texts; a missing one has no word."""

    role: ClassVar[str] = "text"

    def __init__(self, vocabulary: Any) -> None:
        super().__init__()
        self.words = Words(vocabulary)

    @classmethod
    def fit(cls, stored: Strings, room: int) -> TextEncoder:
        try:
            words = Words.fit([*stored.cells()], room)
        except ManyLabelError:  # no two texts share a word
            return cls(())
        made = cls(words.vocabulary)
        made.words = words
        return made

    @property
    def width(self) -> int:
        return len(self.words.vocabulary)

    def rows(self, stored: Strings) -> sp.csr_matrix:
        import scipy.sparse as sp

        if not self.width:
            return sp.csr_matrix((len(stored), 0), dtype=np.float32)
        return self.words.rows([*stored.cells()])

    def meta(self) -> dict[str, Any]:
        return {"vocabulary": self.words.vocabulary}


_ENCODERS: dict[str, type[ColumnEncoder]] = {
    kind.role: kind
    for kind in (NumberEncoder, BooleanEncoder, DateEncoder, CategoryEncoder, TagsEncoder, TextEncoder)
}


class TablePreprocessor(OfFeatures):
    """Rows of a table as vectors, each column encoded by its role.

    Parameters
    ----------
    roles : dict of str -> str
        Column name -> role.
    encoders : sequence of ColumnEncoder
        One a column.

    Notes
    -----
    Every column has the same say: its features are divided by one number so that they make up an equal share of the
    squared length of the training rows, whose mean is one a feature. A text of ten thousand words would drown numbers
    otherwise. For estimators of scikit-learn (:meth:`matrix`) that mean is one a column, as that of TF-IDF is one: a
    penalty on the weights of thousands of words is none when rows are long. Missing cells, values and words that
    training rows never had are no error.
    """

    name: ClassVar[str] = "table"

    def __init__(self, roles: dict[str, str], encoders: Any) -> None:
        width = sum(encoder.width for encoder in encoders)
        super().__init__((width,), (width,))
        self.roles = dict(roles)
        self.encoders = nn.ModuleList(encoders)

    @classmethod
    def fit(cls, X: TableRows) -> Self:
        """Learn from training rows.

        Raises
        ------
        ManyLabelError
            If no column makes a feature.
        """
        roles = {name: column.role for name, column in X.columns.items()}
        room = max(
            1, vectors.MOST_FEATURES // max(1, sum(role in ("tags", "text") for role in roles.values()))
        )
        encoders = [_ENCODERS[role].fit(X.values[name], room) for name, role in roles.items()]
        made = cls(roles, encoders)
        if not made.shape[0]:
            raise ManyLabelError("X", "a column to learn from", "texts of which no two share a word")
        made._share(X)
        return made

    def _share(self, X: TableRows) -> None:
        start, used = 0, self._used
        for block in self._blocks(X):
            stop = start + block.shape[1]
            length = (
                float(np.square(block.data, dtype=np.float64).sum()) / block.shape[0]
            )  # mean square of a row
            self.scale[start:stop] = (length * used / self.shape[0]) ** 0.5 or 1.0
            start = stop

    @property
    def form(self) -> str:
        return f"a table of {', '.join(f'{name} ({role})' for name, role in self.roles.items())}"

    def meta(self) -> dict[str, Any]:
        own = [encoder.meta() for encoder in self._encoders]
        return super().meta() | {"roles": self.roles, "encoders": own}

    @classmethod
    def like(cls, meta: dict[str, Any]) -> Self:
        roles = dict(meta["roles"])
        made = [_ENCODERS[role].like(own) for role, own in zip(roles.values(), meta["encoders"], strict=True)]
        return cls(roles, made)

    def dense(self, X: Any) -> Tensor:
        return torch.from_numpy(self.csr(X).toarray())

    def csr(self, X: Any) -> Any:
        import scipy.sparse as sp

        rows: Any = as_features(X)
        self.check(rows)
        return sp.hstack(self._blocks(rows), format="csr", dtype=np.float32)

    def matrix(self, X: Any, sparse: bool) -> Any:
        import scipy.sparse as sp

        shared = self.csr(X) @ sp.diags_array(self._shares.cpu().numpy())
        return sp.csr_matrix(shared) if sparse else shared.toarray()

    def as_matrix(self, x: Tensor, sparse: bool) -> Tensor:
        return (x * self._shares).flatten(1)

    @property
    def _shares(self) -> Tensor:
        """Factors of the features by which the mean square of a row is one a column, (n_features,)."""
        return self.scale.reciprocal().mul((self._used / self.shape[0]) ** 0.5)

    def _blocks(self, X: TableRows) -> list[Any]:
        stored: list[Stored] = [X.values[name] for name in self.roles]
        return [encoder.rows(column) for encoder, column in zip(self._encoders, stored, strict=True)]

    @property
    def _used(self) -> int:
        """How many columns make features."""
        return sum(encoder.width > 0 for encoder in self._encoders)

    @property
    def _encoders(self) -> list[ColumnEncoder]:
        return cast("list[ColumnEncoder]", list(self.encoders))
