"""What estimators refuse: each bad input with its message, and nothing lost by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import scipy.sparse as sp
import torch
from sklearn.exceptions import NotFittedError
from sklearn.svm import LinearSVC
from tests.estimator.small import SHORT, small

from manylabel import MultiLabelClassifier, MultiLabelEmbedder
from manylabel.errors import ManyLabelError

X, Y = small(40)
NAN = X.copy()
NAN[3, 2] = np.nan
INF = X.copy()
INF[0, 1] = np.inf
SETS = [{"a"} if row[0] else {"b"} for row in Y]


def changed(y: Any, row: int, column: int, value: Any, dtype: Any = float) -> Any:
    given = y.astype(dtype)
    given[row, column] = value
    return given


def fit(
    X: Any = X, y: Any = Y, *, given: dict[str, Any] | None = None, **parameters: Any
) -> MultiLabelClassifier:
    parameters = {"method": "bce", "settings": SHORT, "validation": 0.25, "random_state": 0} | parameters
    return MultiLabelClassifier(**parameters).fit(X, y, **(given or {}))


FITS: dict[str, tuple[Callable[[], Any], str]] = {
    "NaN in X": (
        lambda: fit(NAN),
        r"X: expected finite numbers, but got NaN in row 3, column 2 .*, or train on a frame",
    ),
    "infinity in X": (
        lambda: fit(INF),
        r"X: expected finite numbers, but got inf in row 0, column 1 .*Rescale numbers",
    ),
    "no rows": (lambda: fit(X[:0], Y[:0]), r"X: expected at least one row, but got 0 sample\(s\)"),
    "no columns": (
        lambda: fit(X[:, :0]),
        r"at least one feature, but got 0 feature\(s\) \(shape=\(40, 0\)\)",
    ),
    "one axis": (
        lambda: fit(X[:, 0]),
        r"expected vectors or pictures, but got shape \(40,\)\. Reshape your data",
    ),
    "three axes": (lambda: fit(X[:, :, None]), r"vectors or pictures, but got shape \(40, 6, 1\)"),
    "texts among numbers": (lambda: fit([["a", 1.0]] * 40), r"X: expected features that are real numbers"),
    "complex numbers": (lambda: fit(X + 1j), r"Complex data not supported"),
    "ragged rows": (lambda: fit([[1, 2], [3]] * 20), r"X: expected features in rows of one length"),
    "a file name": (
        lambda: fit("films.csv"),
        r"X: expected a list of texts, one a row, but got one text, 'films.csv'. Put it in a list.",
    ),
    "bytes": (lambda: fit(b"films"), r"X: expected a list of texts, one a row, but got one text"),
    "a text as an array": (lambda: fit(np.array("films")), r"X: expected a list of texts, one a row"),
    "a number": (lambda: fit(3), r"X: expected rows as an array.*, but got 3 of type int"),
    "nothing": (lambda: fit(None), r"X: expected rows as an array.*, but got None\."),
    "a set": (lambda: fit({"a", "b"}), r"X: expected rows as an array.* of type set"),
    "a generator": (lambda: fit(row for row in X), r"X: expected rows as an array.* of type generator"),
    "a dict": (lambda: fit({"a": 1}), r"X: expected rows as an array.* of type dict"),
    "an unknown method": (lambda: fit(method="bcee"), r"^`method`: expected one of .* Did you mean 'bce'"),
    "no recipe file": (lambda: fit(method="x.toml"), r"^`method`, x.toml: expected a recipe in TOML"),
    "no such class": (
        lambda: fit(method="sklearn.svm.X", settings=None),
        r"^`method`, sklearn.svm.X: expected a class in sklearn.svm, but got 'X'",
    ),
    "texts with a gap": (lambda: fit(["a", None] * 20), r"texts in every row, but got NoneType in row 1"),
    "a sparse matrix with NaN": (lambda: fit(sp.csr_matrix(NAN)), r"X: expected finite numbers, but got NaN"),
    "fewer labels than rows": (
        lambda: fit(X, Y[:-1]),
        r"but got 40 rows of X and 39 of y\. Pass the same rows",
    ),
    "no labels": (lambda: fit(X, None), r"requires y to be passed, but the target y is None"),
    "no label columns": (
        lambda: fit(X, Y[:, :0]),
        r"y: expected at least one label, but got shape \(40, 0\)",
    ),
    "a 2": (
        lambda: fit(X, changed(Y, 1, 1, 2, int)),
        r"y: expected labels in \[0, 1\], but got values from 0 to 2",
    ),
    "soft labels": (
        lambda: fit(X, changed(Y, 1, 1, 0.3)),
        r"y: expected labels that are 0 or 1, but got values in between",
    ),
    "-1 that nobody named": (lambda: fit(X, changed(Y, 0, 0, -1, int)), r"y: .*-1"),
    "nothing known": (
        lambda: fit(X, np.full(Y.shape, np.nan)),
        r"y: expected labels some of which are known",
    ),
    "three axes of labels": (
        lambda: fit(X, Y[:, :, None]),
        r"y: expected labels of shape \(n_rows, n_labels\)",
    ),
    "continuous targets": (lambda: fit(X, X[:, 0]), r"y: expected classes, but got continuous numbers"),
    "a class that is NaN": (lambda: fit(X, np.r_[np.nan, np.ones(39)]), r"a class in every row, but got NaN"),
    "one class": (lambda: fit(X, np.ones(40)), r"y: expected at least two classes, but got 1 class, 1\.0"),
    "one class that is a text": (
        lambda: fit(X, ["a, b"] * 40),
        r"at least two classes, but got 1 class, 'a, b'",
    ),
    "a class that the fit had not": (
        lambda: fit(X, ["a", "b"] * 20).score(X, ["c"] * 40),
        r"the classes of the fit \(a, b\), but got 'c'",
    ),
    "mixed classes": (lambda: fit(X, ["a", 1] * 20), r"y: expected classes of one type, but got int, str"),
    "objects as classes": (lambda: fit(X, np.array([object()] * 40)), r"classes of one type, but got object"),
    "label sets of mixed types": (
        lambda: fit(X, [{"a"}, {1}] * 20),
        r"all whole numbers, but got int, str",
    ),
    "empty label sets": (lambda: fit(X, [set()] * 40), r"y: expected a label in some row, but got none"),
    "a number among label sets": (
        lambda: fit(X, [{"a"}] * 39 + [3]),
        r"in every row, but got int in row 39",
    ),
    "a label that is not named": (
        lambda: fit(X, SETS, class_names=["a", "c"]),
        r"y: expected labels that are known \(a, c\), but got 'b' in row \d+",
    ),
    "too few names": (lambda: fit(class_names=["a", "b"]), r"`class_names`: expected 4 names, .* but got 2"),
    "a name twice": (lambda: fit(class_names=list("abca")), r"`class_names`: .*'a' more than once"),
    "names of two types": (
        lambda: fit(class_names=["a", 1, "b", "c"]),
        r"`class_names`: .*all whole numbers",
    ),
    "names as one text": (
        lambda: fit(class_names="abcd"),
        r"`class_names`: expected a list of names, but got 'abcd'",
    ),
    "names beside classes": (
        lambda: fit(X, Y[:, 0].astype(int), class_names=["no", "yes"]),
        r"`class_names`: expected no names beside one class per row",
    ),
    "unknown that is 0": (lambda: fit(unknown=0), r"`unknown` as a number outside of \[0, 1\], but got 0"),
    "a method that is a class": (
        lambda: fit(method=MultiLabelClassifier),
        r"`method`: expected the name of a method",
    ),
    "an unknown setting": (
        lambda: fit(settings={"epochs": 3}),
        r"method bce: expected a setting such as .*epochs",
    ),
    "a setting of another type": (
        lambda: fit(settings={"classify.stage.epochs": "many"}),
        r"classify\.stage\.epochs",
    ),
    "settings as a list": (
        lambda: fit(settings=["epochs"]),
        r"`settings`: expected a mapping of dotted names",
    ),
    "an unknown rule": (
        lambda: fit(thresholds="best"),
        r"`thresholds`: expected one of tuned, shared, fixed",
    ),
    "a threshold beyond 1": (
        lambda: fit(thresholds=1.5),
        r"`thresholds`: .*a number from 0 to 1, but got 1\.5",
    ),
    "a threshold that is true": (lambda: fit(thresholds=True), r"`thresholds`: .*but got True"),
    "all rows held out": (
        lambda: fit(validation=1.0),
        r"`validation`: expected None, a share between 0 and 1",
    ),
    "validation as a number of rows": (lambda: fit(validation=10), r"`validation`: .*but got 10"),
    "validation without labels": (lambda: fit(validation=(X,)), r"`validation`: expected the pair \(X, y\)"),
    "validation of other columns": (
        lambda: fit(validation=(X[:, :2], Y)),
        r"X has 2 features, but Multi",
    ),
    "validation of other labels": (
        lambda: fit(validation=(X, Y[:, :2])),
        r"`validation`, y: .*but got 2",
    ),
    "an encoder that is none": (lambda: fit(encoder=len), r"an encoder that is an nn\.Module"),
    "an encoder of other rows": (lambda: fit(encoder=torch.nn.Linear(3, 2)), r"encoder"),
    "a device that is none": (
        lambda: fit(device="gpu"),
        r"MultiLabelClassifier: expected `device` as a device",
    ),
    "a random state that is none": (
        lambda: fit(random_state="now"),
        r"`random_state`: expected None, an integer",
    ),
    "too few weights": (lambda: fit(given={"sample_weight": np.ones(3)}), r"fit.*sample_weight.*\(3,\)"),
    "negative weights": (lambda: fit(given={"sample_weight": -np.ones(40)}), r"fit.*sample_weight.*-1"),
    "weights that are all 0": (
        lambda: fit(given={"sample_weight": np.zeros(40)}),
        r"at least one non-zero number",
    ),
    "weights that leave one class": (
        lambda: fit(X, Y[:, 0].astype(int), given={"sample_weight": Y[:, 0].astype(int)}),
        r"rows of at least two classes with a weight above 0, but got 1 class",
    ),
    "too few groups": (
        lambda: fit(given={"groups": [1, 2]}),
        r"`groups`: expected 40 groups, one for each row",
    ),
    "one group": (
        lambda: fit(given={"groups": [1] * 40}),
        r"fit: expected at least 2 groups of rows, but got 1",
    ),
    "two columns of one name": (
        lambda: fit(frame("uvwxyu")),
        r"X: expected every column name once, but got 'u' more than once\. Rename or drop one",
    ),
    "two labels of one name": (
        lambda: fit(y=frame("aabb", Y)),
        r"y: expected every column name once, but got 'a' more than once",
    ),
    "two labels of one name, in Arrow": (
        lambda: fit(y=pyarrow.table([*Y[:, :2].T.astype(int)], names=["a", "a"])),
        r"y: expected every column name once, but got 'a' more than once",
    ),
    "labels by number and by text": (
        lambda: fit(y=pandas.DataFrame(Y, columns=[0, "a", "b", "c"])),
        r"y, columns: expected names that are all texts, or all whole numbers, but got \[0, 'a'",
    ),
    "names in another order than those of the frame": (
        lambda: fit(y=frame("abcd", Y), class_names=list("dcba")),
        r"`class_names`: expected the order of the columns \(a, b, c, d\), but got another one\. Leave it out",
    ),
    "rows that are computed later": (
        lambda: fit(polars.LazyFrame(X)),
        r"X: expected a frame in memory, but got LazyFrame, computed later\. Call \.collect\(\)",
    ),
    "labels that are computed later": (
        lambda: fit(y=polars.LazyFrame(Y)),
        r"y: expected a frame in memory, but got LazyFrame, computed later\. Call \.collect\(\)",
    ),
    "a classifier of scikit-learn": (
        lambda: fit(method=LinearSVC()),
        r"`method`: expected the name of a method.* but got LinearSVC\(\)\. .*import path.*'sklearn\.svm\.LinearSVC'",
    ),
    "a folder that is a file": (
        lambda: fit(given={"folder": __file__}),
        r"fit, folder: expected a folder",
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_a_fit_that_cannot_be_is_refused(name: str) -> None:
    call, message = FITS[name]
    with pytest.raises(ManyLabelError, match=message):
        call()


@pytest.fixture(scope="module")
def model() -> MultiLabelClassifier:
    return fit(pandas.DataFrame(X, columns=list("uvwxyz")), pandas.DataFrame(Y, columns=list("abcd")))


def frame(columns: str, values: np.ndarray = X) -> pandas.DataFrame:
    return pandas.DataFrame(values[:, : len(columns)], columns=list(columns))


ASKED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "fewer columns": (
        lambda m: m.predict(frame("uvwxy")),
        r"seen at fit time, yet now missing",
    ),
    "columns in another order": (
        lambda m: m.predict(frame("vuwxyz")),
        r"must be in the same order as they were in fit\. Pass the columns",
    ),
    "other columns": (lambda m: m.predict_proba(frame("uvwxyt")), r"Feature names unseen at fit time:\n- t"),
    "a gap": (lambda m: m.predict(frame("uvwxyz", NAN)), r"a frame of numbers, none of them missing or NaN"),
    "one row without its axis": (lambda m: m.predict(X[0]), r"Reshape your data"),
    "texts": (lambda m: m.transform(["a", "b"]), r"expected .*shape \(6,\)|vectors"),
    "scores of other rows": (
        lambda m: m.score(frame("uvwxyz"), Y[:3]),
        r"score: expected as many rows of X as of y",
    ),
    "scores of other labels": (
        lambda m: m.score(frame("uvwxyz"), Y[:, :3]),
        r"y: expected 4 labels, but got 3",
    ),
    "a label that is none": (
        lambda m: m.explain_label("e"),
        r"a label of the model, but got 'e'",
    ),
    "nobody's neighbours": (lambda m: m.add(frame("uvwxyz"), Y), r"add: expected a model with neighbours"),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_question_that_cannot_be_is_refused_and_the_model_stays(
    name: str, model: MultiLabelClassifier
) -> None:
    call, message = ASKED[name]
    before = model.predict_proba(frame("uvwxyz"))
    with pytest.raises(ManyLabelError, match=message):
        call(model)
    np.testing.assert_array_equal(model.predict_proba(frame("uvwxyz")), before)


@pytest.mark.parametrize("ask", ["predict", "predict_proba", "transform", "save"])
def test_before_a_fit_there_is_nothing_to_ask(ask: str, tmp_path: Path) -> None:
    given = tmp_path if ask == "save" else X
    with pytest.raises(NotFittedError):
        getattr(MultiLabelClassifier(), ask)(given)
    if ask in ("transform", "save"):
        with pytest.raises(NotFittedError):
            getattr(MultiLabelEmbedder(), ask)(given)


def test_a_folder_of_no_model_and_one_of_other_things_are_refused(
    tmp_path: Path, model: MultiLabelClassifier
) -> None:
    with pytest.raises(
        ManyLabelError, match=r"expected a model folder, but got no such folder.*fit or `save`"
    ):
        MultiLabelClassifier.load(tmp_path / "no")
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ManyLabelError, match="a new or empty folder, or one of a model"):
        model.save(tmp_path)


def test_a_failed_fit_of_the_same_estimator_says_so_and_can_be_repeated(model: MultiLabelClassifier) -> None:
    again = fit()
    with pytest.raises(ManyLabelError):
        again.fit(NAN, Y)
    np.testing.assert_array_equal(again.fit(X, Y).predict_proba(X), fit().predict_proba(X))
