"""Estimators as JSON and arrays: equal scores to the bit after a load, and nothing hostile is followed."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.multioutput import ClassifierChain
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from manylabel.errors import ManyLabelError
from manylabel.methods.estimator_state import pack, unpack
from manylabel.methods.lightgbm_text import check_text

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 6)).astype(np.float32)
Y = (X[:, :3] + 0.7 * RANDOM.normal(size=(120, 3)) > 0.3).astype(np.int64)
NEW = RANDOM.normal(size=(70, 6)).astype(np.float32)

ESTIMATORS: dict[str, Any] = {
    "logistic regression": LogisticRegression(),
    "logistic regression of several labels": "chain",
    "linear SVC": LinearSVC(),
    "random forest": RandomForestClassifier(8, random_state=0),
    "random forest of all labels": RandomForestClassifier(8, random_state=np.random.RandomState(3)),
    "best-first trees": RandomForestClassifier(5, max_leaf_nodes=9, ccp_alpha=0.001, random_state=0),
    "extra trees": ExtraTreesClassifier(8, random_state=0),
    "decision tree": DecisionTreeClassifier(random_state=0),
    "neighbours": KNeighborsClassifier(),
    "neighbours of all labels": KNeighborsClassifier(weights="distance"),
    "neighbours in a ball tree": KNeighborsClassifier(algorithm="ball_tree", metric="minkowski", p=3),
    "neighbours by brute force": KNeighborsClassifier(algorithm="brute", metric="cosine"),
    "neighbours in a radius": RadiusNeighborsClassifier(4.0),
    "nearest centroid": NearestCentroid(),
    "MLP": MLPClassifier((12,), max_iter=15, early_stopping=True, random_state=0),
    "MLP of all labels": MLPClassifier((12,), max_iter=15, solver="sgd", random_state=0),
    "MLP by L-BFGS": MLPClassifier((5,), max_iter=15, solver="lbfgs", random_state=0),
    "hist gradient boosting": HistGradientBoostingClassifier(max_iter=8, random_state=0),
    "gradient boosting": GradientBoostingClassifier(n_estimators=8, random_state=0),
    "gradient boosting from zero": GradientBoostingClassifier(
        n_estimators=8, init="zero", loss="exponential"
    ),
    "SVC": SVC(),
    "SVC with probabilities": SVC(probability=True, random_state=0),
    "NuSVC": NuSVC(kernel="poly"),
    "chain": ClassifierChain(LogisticRegression(), order="random", random_state=0),
    "calibrated SVC": CalibratedClassifierCV(LinearSVC()),
    "isotonic": CalibratedClassifierCV(LinearSVC(), method="isotonic", ensemble=False),
    "Gaussian naive Bayes": GaussianNB(),
    "Bernoulli naive Bayes": BernoulliNB(),
    "LightGBM": LGBMClassifier(n_estimators=8, num_leaves=5, verbose=-1),
    "ridge": RidgeClassifier(),
    "descent": SGDClassifier(loss="modified_huber", early_stopping=True, random_state=0),
    "perceptron": Perceptron(),
    "logistic regression with its own folds": LogisticRegressionCV(Cs=3, cv=3),
    "LDA": LinearDiscriminantAnalysis(),
    "QDA": QuadraticDiscriminantAnalysis(),
    "AdaBoost": AdaBoostClassifier(n_estimators=5, random_state=0),
    "bagging": BaggingClassifier(n_estimators=4, max_features=0.5, random_state=0),
    "voting": VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], voting="soft"),
    "stacking": StackingClassifier([("a", GaussianNB()), ("b", DecisionTreeClassifier(random_state=0))]),
    "Gaussian process": GaussianProcessClassifier(random_state=0),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
}
ALL_LABELS = ("several labels", "of all labels", "chain")


def fitted(name: str) -> Any:
    made = ESTIMATORS["chain" if ESTIMATORS[name] == "chain" else name]
    return copy.deepcopy(made).fit(X, Y if name.endswith(ALL_LABELS) else Y[:, 0])


def answers(estimator: Any) -> list[np.ndarray]:
    found = [estimator.predict(NEW)]
    for ask in ("predict_proba", "decision_function"):
        if hasattr(estimator, ask):
            value = getattr(estimator, ask)(NEW)
            found += value if isinstance(value, list) else [value]
    return found


def again(estimator: Any) -> Any:
    value, content = pack(estimator, "test")
    return unpack(json.loads(json.dumps(value, allow_nan=False)), content, "test")


pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer",
    "ignore:lbfgs failed",
    "ignore:X does not have valid feature names",
    "ignore::FutureWarning",
)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_same_scores_to_the_bit(name: str) -> None:
    estimator = fitted(name)
    made = again(estimator)
    assert type(made) is type(estimator)
    for mine, theirs in zip(answers(estimator), answers(made), strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", ["SVC", "neighbours", "logistic regression", "linear SVC"])
def test_estimators_of_sparse_rows(name: str) -> None:
    rows, new = sp.csr_matrix(X * (X > 0)), sp.csr_matrix(NEW * (NEW > 0))
    estimator = copy.deepcopy(ESTIMATORS[name]).fit(rows, Y[:, 0])
    np.testing.assert_array_equal(again(estimator).predict(new), estimator.predict(new))


def test_values_of_every_kind_come_back() -> None:
    structured = np.zeros(3, dtype=[("a", "u1"), ("b", "<f8")])
    given = GaussianNB()
    vars(given).update(
        fortran=np.asfortranarray(X),
        strings=np.array(["a", "bc"]),
        objects=np.array([None, "x", 3], dtype=object),
        empty=np.zeros((0, 4)),
        scalar=np.float32(0.1),
        infinite=[float("inf"), -float("inf")],
        pair=(1, (2.5, True)),
        numbered={0: "zero", 1: None},
        structured=structured,
        matrix=sp.csc_array(X),
        dtype=np.dtype("<f4"),
        kind=np.float64,
    )
    made = again(given)
    assert made.fortran.flags.f_contiguous
    assert made.infinite == given.infinite
    assert made.pair == given.pair
    assert made.numbered == given.numbered
    assert type(made.scalar) is np.float32
    assert made.scalar == given.scalar
    assert made.dtype == given.dtype
    assert made.kind is np.float64
    assert made.objects.tolist() == given.objects.tolist()
    for name in ("fortran", "strings", "empty", "structured"):
        np.testing.assert_array_equal(getattr(made, name), getattr(given, name))
        assert getattr(made, name).dtype == getattr(given, name).dtype
    assert type(made.matrix) is sp.csc_array
    assert (made.matrix != given.matrix).nnz == 0


class Own(GaussianNB):
    """An estimator of another package."""


WITH_CODE = {
    "another package": lambda: Own().fit(X, Y[:, 0]),
    "a function": lambda: make_pipeline(FunctionTransformer(np.abs), GaussianNB()).fit(X, Y[:, 0]),
    "a metric that is a function": lambda: KNeighborsClassifier(metric=lambda a, b: abs(a - b).sum()).fit(
        X, Y[:, 0]
    ),
    "a choice by a function": lambda: make_pipeline(SelectKBest(k=2), GaussianNB()).fit(X, Y[:, 0]),
    "categories": lambda: HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]).fit(
        np.abs(X).astype(int), Y[:, 0]
    ),
    "several classes of LightGBM": lambda: LGBMClassifier(n_estimators=2, verbose=-1).fit(X, Y.sum(1)),
    "a file": lambda: vars(given := GaussianNB()).update(file=sys.stdout) or given,
}


@pytest.mark.parametrize("name", WITH_CODE)
def test_what_cannot_be_written_without_code_is_refused_when_it_is_saved(name: str) -> None:
    estimator = WITH_CODE[name]()
    with pytest.raises(ManyLabelError, match=r"method m: expected an estimator whose state .* but not saved"):
        pack(estimator, "method m")


def test_a_refusal_names_what_it_is() -> None:
    with pytest.raises(ManyLabelError, match=r"but got `\[0\]` of type .*Own"):
        pack([Own()], "m")
    with pytest.raises(ManyLabelError, match=r"`GaussianNB\['file'\]` of type [\w.]+\."):
        pack(WITH_CODE["a file"](), "m")


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of JSON."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(inner)


def attribute(value: Any, name: str) -> Any:
    """The value of an attribute, in JSON, wherever it stands first."""
    pairs = (pair for node in nodes(value) for pair in node.get("dict", ()))
    return next(pair for pair in pairs if pair[0] == name)


def tree_nodes(value: Any, content: np.ndarray) -> np.ndarray:
    """The records of the first tree, in the content itself."""
    told = attribute(value, "nodes")[1]
    dtype = np.dtype(told["dtype"])
    size = told["shape"][0] * dtype.itemsize
    return content[told["array"] : told["array"] + size].view(dtype)


def class_name(name: str) -> Callable[[Any, np.ndarray], None]:
    def change(value: Any, content: np.ndarray) -> None:
        next(node for node in nodes(value) if "object" in node)["object"] = name

    return change


def field(name: str, number: int) -> Callable[[Any, np.ndarray], None]:
    def change(value: Any, content: np.ndarray) -> None:
        tree_nodes(value, content)[name][0] = number

    return change


def replaced(name: str, new: Any) -> Callable[[Any, np.ndarray], None]:
    def change(value: Any, content: np.ndarray) -> None:
        attribute(value, name)[1] = new

    return change


def shape_of_an_array(shape: list[int]) -> Callable[[Any, np.ndarray], None]:
    def change(value: Any, content: np.ndarray) -> None:
        next(node for node in nodes(value) if "array" in node)["shape"] = shape

    return change


def numbers(name: str, number: float) -> Callable[[Any, np.ndarray], None]:
    """All entries of an array become one number."""

    def change(value: Any, content: np.ndarray) -> None:
        told = attribute(value, name)[1]
        dtype = np.dtype(told["dtype"])
        size = int(np.prod(told["shape"])) * dtype.itemsize
        content[told["array"] : told["array"] + size].view(dtype)[:] = number

    return change


def fewer_trees_see_the_rows(value: Any, content: np.ndarray) -> None:
    tree = next(node for node in nodes(value) if "tree" in node)
    tree["tree"][0] = 100_000


HOSTILE: dict[str, tuple[str, Callable[[Any, np.ndarray], None]]] = {
    "a class of Python": ("logistic regression", class_name("os.system")),
    "a class of subprocess": ("logistic regression", class_name("subprocess.Popen")),
    "a class that a module imported": ("logistic regression", class_name("sklearn.base.defaultdict")),
    "a function of scikit-learn": ("logistic regression", class_name("sklearn.base.clone")),
    "no estimator": ("logistic regression", class_name("sklearn.utils._bunch.Bunch")),
    "a module of tests": ("logistic regression", class_name("sklearn.tests.test_base.MyEstimator")),
    "no class": ("logistic regression", class_name("sklearn.linear_model.Nothing")),
    "an empty name": ("logistic regression", class_name("")),
    "a path as a name": ("logistic regression", class_name("sklearn.../../x.y")),
    "a number as a name": ("logistic regression", class_name(5)),  # type: ignore[arg-type]
    "a loss that is called": (
        "descent",
        lambda v, c: next(n for n in nodes(v) if "called" in n).update(called="os.abort"),
    ),
    "a loss of text": (
        "descent",
        lambda v, c: next(n for n in nodes(v) if "called" in n).update(arguments=["x"]),
    ),
    "a type": ("logistic regression", replaced("coef_", {"type": "object"})),
    "arrays of objects": ("logistic regression", lambda v, c: attribute(v, "coef_")[1].update(dtype="|O")),
    "a negative place": ("logistic regression", lambda v, c: attribute(v, "coef_")[1].update(array=-8)),
    "a huge shape": ("logistic regression", shape_of_an_array([10**12, 10**6])),
    "a negative shape": ("logistic regression", shape_of_an_array([-1, -1])),
    "a shape that overflows": ("logistic regression", shape_of_an_array([2**62, 4])),
    "a left child out of range": ("decision tree", field("left_child", 10**6)),
    "a right child before its parent": ("decision tree", field("right_child", 0)),
    "a negative child": ("decision tree", field("left_child", -5)),
    "half a leaf": ("decision tree", field("left_child", -1)),
    "a feature out of range": ("random forest", field("feature", 6)),
    "a negative feature": ("random forest", field("feature", -3)),
    "a tree of more features": ("random forest", fewer_trees_see_the_rows),
    "more nodes than there are": ("decision tree", replaced("node_count", 10**9)),
    "a huge number of classes": (
        "decision tree",
        lambda v, c: next(n for n in nodes(v) if "tree" in n)["tree"].__setitem__(2, 10**9),
    ),
    "a boosted tree that leads out": ("hist gradient boosting", field("left", 10**6)),
    "a boosted tree of other features": ("hist gradient boosting", field("feature_idx", 6)),
    "a boosted tree of categories": ("hist gradient boosting", field("is_categorical", 1)),
    "boosting of other classes": ("gradient boosting", replaced("n_trees_per_iteration_", 3)),
    "support vectors that are not there": ("SVC", numbers("_n_support", 500)),
    "negative support vectors": ("SVC", numbers("_n_support", -1)),
    "targets of neighbours out of range": ("neighbours", numbers("_y", 7)),
    "more neighbours than rows": ("neighbours", replaced("n_samples_fit_", 10**6)),
    "a search tree of another class": (
        "neighbours",
        lambda v, c: next(n for n in nodes(v) if "neighbour_tree" in n).update(neighbour_tree="os.system"),
    ),
    "a metric that is none": ("neighbours", replaced("effective_metric_", "pyfunc")),
    "a place in a random state": ("MLP", lambda v, c: attribute(v, "pos").__setitem__(1, 10**6)),
    "an object of no kind": ("logistic regression", replaced("coef_", {"pickle": "gASVAA=="})),
    "an empty object": ("logistic regression", replaced("coef_", {})),
    "a float of no value": ("logistic regression", replaced("C", {"float": "__import__('os')"})),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_states_are_refused(name: str) -> None:
    method, change = HOSTILE[name]
    value, content = pack(fitted(method), "test")
    value, content = json.loads(json.dumps(value)), content.copy()
    change(value, content)
    with pytest.raises(ManyLabelError, match="test: expected the state of a fitted estimator, but got"):
        unpack(value, content, "test")


def test_columns_of_a_sparse_matrix_out_of_range_are_refused() -> None:
    estimator = copy.deepcopy(ESTIMATORS["neighbours"]).fit(sp.csr_matrix(X), Y[:, 0])
    value, content = pack(estimator, "test")
    content = content.copy()
    told = next(node for node in nodes(value) if "sparse" in node)["parts"][1]
    content[told["array"] :].view(told["dtype"])[0] = 10**6
    with pytest.raises(ManyLabelError, match="ValueError"):
        unpack(value, content, "test")


def test_no_module_outside_the_list_is_imported() -> None:
    value, content = pack(fitted("logistic regression"), "test")
    before = set(sys.modules)
    for name in ("antigravity.x", "sklearn.conftest.x", "this.s", "lightgbm.plotting.x"):
        class_name(name)(value, content)
        with pytest.raises(ManyLabelError, match="an object of class"):
            unpack(value, content, "test")
    assert set(sys.modules) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("left_child=", "left_child=7"),
        ("left_child=", "left_child=-9 "),
        ("split_feature=", "split_feature=6"),
        ("leaf_value=", "leaf_value=1 1 1 1 1 1 1 1 "),
        ("num_leaves=5", "num_leaves=50"),
        ("num_cat=0", "num_cat=1"),
        ("max_feature_idx=5", "max_feature_idx=9"),
        ("num_class=1", "num_class=9"),
        ("version=v4", "version=v4\ntree_sizes=1 999999"),
        ("tree\n", "plant\n"),
    ],
)
def test_a_text_that_would_lead_lightgbm_out_of_its_arrays_is_refused(old: str, new: str) -> None:
    value, content = pack(fitted("LightGBM"), "test")
    booster = next(node for node in nodes(value) if "booster" in node)
    check_text(booster["booster"])
    assert old in booster["booster"]
    booster["booster"] = booster["booster"].replace(old, new, 1)
    with pytest.raises(ManyLabelError, match="the state of a fitted estimator"):
        unpack(value, content, "test")
