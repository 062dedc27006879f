"""Whatever holds rows and labels is read alike: arrays, sparse matrices, tensors, frames, texts, label sets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest
import scipy.sparse as sp
import torch
from tests.estimator.small import SHORT, small

from manylabel import MultiLabelClassifier
from manylabel.data import read_table
from manylabel.estimator.targets import read_targets
from manylabel.labels import as_labels

X, Y = small(120)
X = X.astype(np.float32)
NAMES = ["a", "b", "c", "d"]
COLUMNS = list("uvwxyz")


def fit(X: Any, y: Any, **parameters: Any) -> MultiLabelClassifier:
    parameters = {"validation": 0.2, "settings": SHORT} | parameters
    return MultiLabelClassifier("bce", random_state=0, **parameters).fit(X, y)


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    return fit(X, Y).predict_proba(X)


ROWS: dict[str, Callable[[], Any]] = {
    "float64": lambda: X.astype(np.float64),
    "a tensor": lambda: torch.from_numpy(X),
    "lists": lambda: X.tolist(),
    "columns first": lambda: np.asfortranarray(X),
    "pandas": lambda: pandas.DataFrame(X, columns=COLUMNS),
    "pandas, columns by number": lambda: pandas.DataFrame(X),
    "polars": lambda: polars.DataFrame(X, schema=COLUMNS),
    "Arrow": lambda: pyarrow.table({name: X[:, i] for i, name in enumerate(COLUMNS)}),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_in_any_container_train_the_same_model(name: str, expected: np.ndarray) -> None:
    given = ROWS[name]()
    model = fit(given, Y)
    np.testing.assert_allclose(model.predict_proba(given), expected, atol=2e-6)
    assert model.n_features_in_ == 6


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_array, sp.coo_matrix])
def test_sparse_rows_are_learnt(kind: Any) -> None:
    thin = kind(np.where(X > 0, X, 0))
    model = fit(thin, Y)
    assert model.predict(thin).shape == Y.shape
    assert model.n_features_in_ == 6


LABELS: dict[str, Callable[[], Any]] = {
    "integers": lambda: Y.astype(int),
    "float32": lambda: Y.astype(np.float32),
    "lists": lambda: Y.astype(int).tolist(),
    "sparse": lambda: sp.csr_matrix(Y.astype(float)),
    "a tensor": lambda: torch.from_numpy(Y),
    "a sparse tensor": lambda: torch.from_numpy(Y.astype(np.float32)).to_sparse(),
    "a label matrix": lambda: as_labels(Y),
    "sets of numbers": lambda: [set(np.flatnonzero(row).tolist()) for row in Y],
    "lists of names": lambda: [[NAMES[c] for c in np.flatnonzero(row)] for row in Y],
    "an array of tuples": lambda: pandas.Series(
        [tuple(np.flatnonzero(row).tolist()) for row in Y]
    ).to_numpy(),
    "a series of sets": lambda: pandas.Series([{NAMES[c] for c in np.flatnonzero(row)} for row in Y]),
    "rows in cells, Pandas": lambda: pandas.Series(Y.tolist()),
    "rows in cells, arrays": lambda: pandas.Series([*Y]),
    "rows in cells, Polars": lambda: polars.Series(Y.tolist()),
    "rows in cells, objects": lambda: pandas.Series(Y.tolist()).to_numpy(),
    "pandas": lambda: pandas.DataFrame(Y, columns=NAMES),
    "pandas with NA": lambda: pandas.DataFrame(Y, columns=NAMES).astype("boolean"),
    "polars": lambda: polars.DataFrame(Y, schema=NAMES),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_in_any_container_train_the_same_model(name: str, expected: np.ndarray) -> None:
    model = fit(X, LABELS[name]())
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    names = NAMES if "names" in name or "series" in name or name[:2] == "pa" or name == "polars" else range(4)
    assert list(model.classes_) == list(names)
    assert model.predict(X).dtype == (int if name in ("integers", "lists") else bool)


HIDDEN = np.random.default_rng(2).random(Y.shape) < 0.2


def with_gaps(fill: Any, dtype: Any) -> np.ndarray:
    given = Y.astype(dtype)
    given[HIDDEN] = fill
    return given


UNKNOWN: dict[str, Callable[[], Any]] = {
    "NaN": lambda: with_gaps(np.nan, float),
    "masked": lambda: np.ma.MaskedArray(Y.astype(int), mask=HIDDEN),
    "None": lambda: with_gaps(None, object),
    "pandas.NA": lambda: pandas.DataFrame(Y, columns=NAMES).astype("boolean").mask(HIDDEN),
    "polars nulls": lambda: polars.DataFrame(
        {
            name: [None if hidden else bool(v) for v, hidden in zip(Y[:, c], HIDDEN[:, c], strict=True)]
            for c, name in enumerate(NAMES)
        }
    ),
}


@pytest.fixture(scope="module")
def of_unknown() -> np.ndarray:
    return fit(X, with_gaps(-1, int), unknown=-1).predict_proba(X)


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_entries_in_any_container_are_neither_carried_nor_not(
    name: str, of_unknown: np.ndarray, expected: np.ndarray
) -> None:
    found = fit(X, UNKNOWN[name]()).predict_proba(X)
    np.testing.assert_array_equal(found, of_unknown)
    assert not np.array_equal(found, expected)
    assert np.isfinite(found).all()


def test_a_label_set_that_is_missing_is_unknown_as_a_whole() -> None:
    sets: list[Any] = [[NAMES[c] for c in np.flatnonzero(row)] for row in Y]
    sets[3], sets[7] = None, float("nan")
    gaps = Y.astype(float)
    gaps[[3, 7]] = np.nan
    np.testing.assert_array_equal(fit(X, sets).predict_proba(X), fit(X, gaps).predict_proba(X))


def test_class_names_say_which_labels_there_are() -> None:
    sets = [[NAMES[c] for c in np.flatnonzero(row)] for row in Y]
    model = fit(X, sets, class_names=["z", *NAMES[::-1]])
    assert list(model.classes_) == ["z", "d", "c", "b", "a"]
    assert model.predict_proba(X).shape == (120, 5)
    assert list(fit(X, Y, class_names=NAMES).classes_) == NAMES


def test_texts_are_learnt_from_lists_arrays_and_series() -> None:
    rng = np.random.default_rng(0)
    words = ["sun", "moon", "rain", "snow"]
    texts = [
        " ".join(rng.permutation([w for w, y in zip(words, row, strict=True) if y] + ["sky", "day"]))
        for row in Y
    ]
    settings = SHORT | {"classify.stage.epochs": 20}
    found = [
        MultiLabelClassifier("bce", settings=settings, random_state=0, validation=0.2)
        .fit(given, Y)
        .predict_proba(texts)
        for given in (texts, np.array(texts), pandas.Series(texts), polars.Series(texts))
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    assert ((found[0] > 0.5) == Y).mean() > 0.9


def films(n: int = 120) -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    return {
        "length": [None if i % 9 == 0 else float(x) for i, x in enumerate(X[:n, 0])],
        "country": [["is", "fr", "de"][c] for c in rng.integers(0, 3, n)],
        "year": [1950 + i % 60 for i in range(n)],
        "seen": [bool(b) for b in X[:n, 1] > 0],
    }


@pytest.mark.parametrize("frame", [pandas.DataFrame, polars.DataFrame, pyarrow.table])
def test_frames_with_gaps_and_categories_are_tables(frame: Any) -> None:
    given = frame(films())
    model = fit(given, Y)
    P = model.predict_proba(given)
    assert P.shape == (120, 4)
    assert [column.name for column in model.schema_.features] == list(films())
    turned = {name: films()[name] for name in reversed(films())}
    np.testing.assert_array_equal(model.predict_proba(frame(turned)), P)  # columns are found by name


def test_a_table_brings_its_labels_groups_and_weights() -> None:
    tags = ["|".join(NAMES[c] for c in np.flatnonzero(row)) for row in Y]
    given = films() | {
        "tags": tags,
        "director": [f"d{i % 40}" for i in range(120)],
        "n": [1 + i % 2 for i in range(120)],
    }
    table = read_table(given, labels="tags", columns={"director": "group", "n": "weight"})
    model = fit(table, None)
    assert list(model.classes_) == NAMES
    told = [{NAMES[c] for c in np.flatnonzero(row)} for row in Y]
    weights, groups = table.weights, table.groups
    same = fit(pandas.DataFrame(films()), told, class_names=NAMES)
    assert same.predict_proba(pandas.DataFrame(films())).shape == (120, 4)
    assert weights is not None
    assert groups is not None
    np.testing.assert_array_equal(model.predict_proba(table), model.predict_proba(pandas.DataFrame(films())))


def test_pictures_are_learnt() -> None:
    images = (np.random.default_rng(0).random((40, 1, 12, 12)) * 100).astype(np.float32)
    labels = np.stack([np.arange(40) % 2 == 0, np.arange(40) % 3 == 0], axis=1)
    images[labels[:, 0], :, :6] += 150
    settings = {"encoder.widths": [8], "classify.stage.epochs": 3, "classify.stage.batch": 8}
    model = MultiLabelClassifier("bce", settings=settings, validation=0.25, random_state=0).fit(
        images, labels
    )
    assert model.predict(images).shape == (40, 2)
    assert model.transform(images).shape[0] == 40


@pytest.mark.parametrize("classes", [["no", "yes"], [-1, 1], [False, True], [2.0, 3.0]])
def test_binary_targets_are_predicted_as_the_classes_that_came(classes: list[Any]) -> None:
    y = np.array(classes)[Y[:, 0].astype(int)]
    model = fit(X, y)
    assert list(model.classes_) == classes
    predicted, P = model.predict(X), model.predict_proba(X)
    assert P.shape == (120, 2)
    assert P.dtype == np.float32
    np.testing.assert_allclose(P.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(predicted, np.array(classes)[P.argmax(1)])
    assert model.score(X, y) == (predicted == y).mean() > 0.8


def test_targets_of_several_classes_get_one_each() -> None:
    y = np.array(["x", "y", "z"])[np.digitize(X[:, 0], [-0.4, 0.4])]
    model = fit(X, y)
    P = model.predict_proba(X)
    assert P.shape == (120, 3)
    np.testing.assert_allclose(P.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), model.classes_[P.argmax(1)])
    assert model.score(X, y) > 0.6


@pytest.mark.parametrize(
    ("write", "told"),
    [
        ("|".join, r"separated by the bar, .*text\.split\('\|'\)"),
        (json.dumps, "lists of 4 values, .*a list per row"),
    ],
    ids=["bars", "lists"],
)
def test_several_labels_in_one_text_are_pointed_out(write: Any, told: str) -> None:
    draw = np.random.default_rng(0)
    rows = [
        draw.choice(["war", "drama", "comedy", "noir"], draw.integers(1, 4), replace=False) for _ in range(60)
    ]
    with pytest.warns(UserWarning, match=f"y: .*{told}"):
        targets, _ = read_targets([write(row.tolist()) for row in rows], who="y")
    assert targets.kind == "multiclass"


def test_classes_with_commas_of_their_own_are_no_several_labels() -> None:
    targets, _ = read_targets(
        ["Portland, ME", "Boston, MA", "Salem, MA"] * 20
    )  # filterwarnings turns warnings to errors
    assert targets.classes.tolist() == ["Boston, MA", "Portland, ME", "Salem, MA"]


def test_no_texts_have_no_labels() -> None:
    texts = ["a calm sea", "wind on the rock"] * 20
    model = MultiLabelClassifier("logistic_regression", random_state=0).fit(
        texts, np.eye(2, dtype=int)[[0, 1] * 20]
    )
    assert model.predict([]).shape == (0, 2)
    assert model.predict_proba([]).shape == (0, 2)
