"""Build a data set from the arrays of a file: checked, split, digested."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from manylabel.data.dataset import DataSet, Rows
from manylabel.data.quality import checked_labels, checked_names, find_remarks
from manylabel.data.rows import features_of_file
from manylabel.data.rows.base import add_piece
from manylabel.data.splits import held_out_rows
from manylabel.errors import ManyLabelError

Names: TypeAlias = "Sequence[Any] | np.ndarray[Any, Any]"
TEST_SHARE = 0.25
UNDIVIDED = "undivided: all rows, in the order of their file"
DRAWN = f"no published split: {TEST_SHARE:.0%} of the rows are drawn label-stratified with seed 0"


@dataclass(frozen=True)
class Part:
    """Features and labels as a file holds them, not yet checked; ``where`` names the file in messages."""

    X: Any
    Y: Any
    where: str

    def checked(self) -> Rows:
        """The same rows, or a refusal that says what is wrong with them."""
        X = features_of_file(self.X, f"{self.where}, features")
        Y = checked_labels(self.Y, f"{self.where}, labels")
        if len(X) != len(Y):
            raise ManyLabelError(
                self.where, f"one label row for each of {len(X)} rows", f"{len(Y)} label rows"
            )
        return Rows(X, Y)


@dataclass(frozen=True)
class Like:
    """What rows were like that a model was trained on, for files that tell width and labels by what occurs in them.

    Attributes
    ----------
    n_features : int or None, default None
        How many features rows have; None where these are none that are numbered.
    feature_names : tuple of n_features str, or None
        What they are called, where that is known: a file that names its features has these, in their order.
    label_names : tuple of str, default ()
        All labels, in any order; () where none are asked for by name.
    unlabelled : bool, default False
        Whether rows may come without labels: they are to be predicted, and what labels they have is not looked at.
    picture_shape : (channels, height, width), or None
        Of pictures: new ones are brought to this size, and grey ones get as many channels.
    identifier : str or None, default None
        The column of a list of pictures that names them, in place of their files.
    reading : mapping, default none
        Settings with which a reader reads such rows where it is asked for no others, see :attr:`DataSet.reading`.
    """

    n_features: int | None = None
    label_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] | None = None
    unlabelled: bool = False
    picture_shape: tuple[int, int, int] | None = None
    identifier: str | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_names", tuple(self.label_names))
        if self.feature_names is not None:
            names = checked_names(self.feature_names, len(self.feature_names), "feature", "`like`")
            object.__setattr__(self, "feature_names", names)

    @property
    def of_features(self) -> Like:
        """The same of features alone: of rows whose labels and whose number of features their files say."""
        return Like(feature_names=self.feature_names, picture_shape=self.picture_shape, reading=self.reading)

    @property
    def settled(self) -> frozenset[str]:
        """Settings of readers that a model has decided: they stand above those of a folder's card."""
        sizes = {"side": self.picture_shape, "features": self.n_features}
        return frozenset((*self.reading, *(name for name, size in sizes.items() if size is not None)))

    @property
    def columns(self) -> tuple[str, ...]:
        """The labels that rows without any get, none of which they carry: as a data set has at least one."""
        return self.label_names or ("label 0",)

    def no_labels(self, n: int) -> Any:
        """The labels of n rows that have none to tell, an empty CSR matrix of :attr:`columns`."""
        import scipy.sparse as sp

        return sp.csr_matrix((n, len(self.columns)), dtype=np.uint8)

    def check_features(self, names: tuple[str, ...], where: str) -> None:
        """Refuse a file that names other features than the model's, or has them in another order.

        Raises
        ------
        ManyLabelError
            Names the first one that is missing, too many or elsewhere.
        """
        if self.feature_names is None or names == self.feature_names:
            return
        asked, found = set(self.feature_names), set(names)
        absent = [name for name in self.feature_names if name not in found]
        more = [name for name in names if name not in asked]
        if absent or more:
            told = [f"{how} {some[0]!r:.60}" for how, some in (("without", absent), ("with", more)) if some]
            got = f"columns {' and '.join(told)}"
            hint = "Give the rows the columns of the training file, by their names."
        else:
            at = next(i for i, (a, b) in enumerate(zip(self.feature_names, names, strict=True)) if a != b)
            got = (
                f"{names[at]!r:.60} as feature {at + 1}, which is {self.feature_names[at]!r:.60} in the model"
            )
            hint = "Put the columns, and the values of nominal ones, into the order of the training file."
        expected = f"the {len(asked)} features of the model, in their order"
        raise ManyLabelError(where, expected, got, hint)


@dataclass(frozen=True)
class About:
    """What is said of a data set beside its rows.

    Attributes
    ----------
    name, source, licence, split : str
    remarks : tuple of str
    undivided : bool, default False
        Whether rows without a published split stay together, in the order of their file: both parts are then all rows.
    options : mapping, default none
        Settings of the reader, see :mod:`manylabel.data.formats.options`.
    like : Like, default none
    """

    name: str
    source: str = ""
    licence: str = "not stated"
    split: str = "the given training and test files"
    remarks: tuple[str, ...] = ()
    undivided: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    like: Like = Like()


def assemble(
    about: About,
    train: Part,
    test: Part | None = None,
    *,
    label_names: Names | None = None,
    feature_names: Names | None = None,
    validation_rows: Any = None,
) -> DataSet:
    """Check the parts of a data set and put them together.

    Parameters
    ----------
    about : About
    train : Part
        All rows, if there is no ``test``.
    test : Part, optional
        Without it, a label-stratified quarter of the rows becomes the test part, unless they are to stay undivided.
    label_names, feature_names : sequence of str, optional
        Labels are numbered where their names are not known.
    validation_rows : positions in ``train``, optional
        Only beside a ``test``.

    Raises
    ------
    ManyLabelError
        For anything in the parts that cannot be used, or parts that do not fit each other.
    """
    assert test is not None or validation_rows is None, "positions in a part that is yet to be drawn"
    whole = test is None and about.undivided
    kept, held_out = _two_parts(train, train if whole else test)
    label_names = _readable(label_names, "label", train.where)
    labels = checked_names(label_names, kept.Y.n_labels, "label", train.where)
    features = None
    if feature_names is not None and kept.X.row_shape is not None:
        feature_names = _readable(feature_names, "feature", train.where)
        features = checked_names(feature_names, kept.X.row_shape[0], "feature", train.where)
        about.like.check_features(features, train.where)
    rows = None if validation_rows is None else _positions(validation_rows, len(kept), train.where)
    return DataSet(
        name=about.name,
        train=kept,
        test=held_out,
        label_names=labels,
        feature_names=features,
        validation_rows=rows,
        split=UNDIVIDED if whole else DRAWN if test is None else about.split,
        source=about.source,
        licence=about.licence,
        digest=_digest(kept, held_out, labels, rows),
        remarks=about.remarks
        + (() if whole or about.like.unlabelled else tuple(find_remarks(kept, held_out, labels))),
    )


def _readable(names: Names | None, what: str, where: str) -> list[str] | None:
    """Names as text; a refusal for anything that cannot be shown or recorded."""
    if names is None:
        return None
    if getattr(names, "ndim", 1) != 1:
        got = f"an array of shape {np.shape(names)}"
        raise ManyLabelError(where, f"{what} names as a list", got, f"Pass one name for each {what}.")
    found = []
    for i, name in enumerate(names):
        try:
            text = name.decode() if isinstance(name, bytes) else str(name)
            text.encode()
        except UnicodeError:
            hint = "Write the names as str, or as bytes in UTF-8."
            raise ManyLabelError(where, f"{what} names in Unicode", f"{name!r} as name {i}", hint) from None
        found.append(text)
    return found


def _two_parts(train: Part, test: Part | None) -> tuple[Rows, Rows]:
    kept = train.checked()
    if test is None:
        if len(kept) < 4:
            raise ManyLabelError(train.where, "at least 4 rows to draw a test part from", f"{len(kept)}")
        drawn = held_out_rows(kept.Y, TEST_SHARE, 0, f"{train.where}, test part")
        return kept.take(~drawn), kept.take(drawn)
    if test is train:
        return kept, kept
    held_out = test.checked()
    for what, here, there in (
        ("labels", kept.Y.n_labels, held_out.Y.n_labels),
        ("features", kept.X.form, held_out.X.form),
    ):
        if here != there:
            raise ManyLabelError(test.where, f"the {what} of {train.where} ({here})", f"{there}")
    return kept, held_out


def _positions(rows: Any, n: int, where: str) -> np.ndarray[Any, Any]:
    positions = np.asarray(rows)
    if positions.dtype.kind not in "iu" or positions.ndim != 1:
        got = f"{positions.dtype} of shape {positions.shape}"
        raise ManyLabelError(where, "validation rows as a list of positions", got)
    positions = np.sort(positions)
    if len(np.unique(positions)) != len(positions) or not (0 < len(positions) < n):
        raise ManyLabelError(where, f"from 1 to {n - 1} distinct validation rows", f"{len(positions)}")
    if positions[0] < 0 or positions[-1] >= n:
        got = f"{positions[0]} to {positions[-1]}"
        raise ManyLabelError(where, f"validation rows from 0 to {n - 1}", got)
    return positions.astype(np.int64)


def _digest(train: Rows, test: Rows, names: tuple[str, ...], validation: np.ndarray[Any, Any] | None) -> str:
    """sha256 over the content, whatever file it came from."""
    digest = hashlib.sha256()
    add = partial(add_piece, digest)
    for rows in (train, test):
        for piece in rows.X.content():
            add(piece)
        labels = rows.Y.sparse()
        add(labels.offsets.numpy().astype("<i8").tobytes())
        add(labels.columns.numpy().astype("<i8").tobytes())
        if rows.Y.n_unknown:
            unknown = rows.Y.unknown.sparse()
            add(unknown.offsets.numpy().astype("<i8").tobytes())
            add(unknown.columns.numpy().astype("<i8").tobytes())
    add("\n".join(names).encode(errors="surrogatepass"))
    add(b"" if validation is None else validation.astype("<i8").tobytes())
    return digest.hexdigest()
