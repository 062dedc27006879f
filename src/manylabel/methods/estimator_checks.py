"""Checks of restored estimators: what compiled code of scikit-learn follows without looking has to lie in range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class Refused(Exception):
    """A value that is neither written nor read; the text says what it is."""


def check_object(made: Any) -> None:
    """Refuse an estimator whose numbers would lead compiled code out of its arrays.

    Raises
    ------
    Refused
        Says which.
    """
    for kind in type(made).__mro__:
        check = _CHECKS.get(f"{kind.__module__}.{kind.__qualname__}")
        if check is not None:
            check(made)


def check_random_state(state: dict[str, Any]) -> None:
    """Refuse a place outside the 624 numbers of a Mersenne Twister, which NumPy would read."""
    if state["bit_generator"] != "MT19937" or not 0 <= state["state"]["pos"] <= 624:
        raise Refused("a random state that is none")


def check_nodes(left: Array, right: Array, feature: Array, leaf: Array, n_features: int) -> None:
    """Refuse nodes of a tree that lead outside it, or around in a circle.

    Parameters
    ----------
    left, right, feature : (n_nodes,) int arrays
    leaf : (n_nodes,) bool array
    n_features : int
    """
    own, inner = np.arange(len(leaf)), ~leaf
    children = np.stack([left, right]).astype(np.int64)[:, inner]
    beyond = (children <= own[inner]) | (children >= len(leaf))  # a child comes after its parent
    features = feature.astype(np.int64)[inner]
    if not len(leaf) or beyond.any() or (features < 0).any() or (features >= n_features).any():
        raise Refused(f"a tree of {len(leaf)} nodes, some of which are not there")


def _tree(made: Any) -> None:
    tree = getattr(made, "tree_", None)
    if tree is None:
        return
    if tree.n_features != made.n_features_in_:
        raise Refused(f"a tree of {tree.n_features} features for rows of {made.n_features_in_}")
    leaf = tree.children_left == -1
    if (leaf != (tree.children_right == -1)).any():
        raise Refused("a tree with half a leaf")
    check_nodes(tree.children_left, tree.children_right, tree.feature, leaf, tree.n_features)


def _forest(made: Any) -> None:
    """Trees of a forest see rows that the forest checked, not they themselves."""
    for tree in np.ravel(getattr(made, "estimators_", [])):
        if tree.n_features_in_ != made.n_features_in_:
            raise Refused(f"a tree of {tree.n_features_in_} features in a forest of {made.n_features_in_}")


def _gradient_boosting(made: Any) -> None:
    _forest(made)
    trees = getattr(made, "estimators_", None)
    if trees is None:
        return
    n_scores = 1 if made.n_classes_ == 2 else made.n_classes_
    single = all(tree.tree_.n_outputs == 1 and tree.tree_.max_n_classes == 1 for tree in np.ravel(trees))
    if trees.ndim != 2 or trees.shape[1] != n_scores or made.n_trees_per_iteration_ != n_scores or not single:
        raise Refused(f"gradient boosting of {n_scores} scores with trees of shape {trees.shape}")


def _hist_tree(made: Any) -> None:
    nodes = made.nodes
    if nodes["is_categorical"].any():
        raise Refused("a tree that splits categories")
    check_nodes(
        nodes["left"], nodes["right"], nodes["feature_idx"], nodes["is_leaf"] == 1, np.iinfo(np.int64).max
    )


def _hist_gradient_boosting(made: Any) -> None:
    if getattr(made, "is_categorical_", None) is not None:
        raise Refused("gradient boosting with columns of categories")
    for tree in (tree for iteration in getattr(made, "_predictors", []) for tree in iteration):
        inner = tree.nodes["feature_idx"][tree.nodes["is_leaf"] == 0]
        if len(inner) and not 0 <= inner.min() <= inner.max() < made.n_features_in_:
            raise Refused(f"a tree of features that rows of {made.n_features_in_} do not have")
    if hasattr(made, "_predictors") and made._n_features != made.n_features_in_:
        raise Refused(f"gradient boosting of {made._n_features} features for rows of {made.n_features_in_}")


def _support_vectors(made: Any) -> None:
    vectors = getattr(made, "support_vectors_", None)
    if vectors is None:
        return
    counts, n_classes = made._n_support, len(made.classes_)
    n_pairs = n_classes * (n_classes - 1) // 2
    sizes = {np.size(made._intercept_), *(np.size(p) or n_pairs for p in (made._probA, made._probB))}
    sound = (
        counts.shape == (n_classes,)
        and (counts >= 0).all()
        and counts.sum() == vectors.shape[0]
        and made._dual_coef_.shape == (n_classes - 1, vectors.shape[0])
        and made.support_.shape == (vectors.shape[0],)
        and vectors.shape[1] == made.n_features_in_
        and sizes == {n_pairs}
        and np.size(made._probA) == np.size(made._probB)
    )
    if not sound:
        raise Refused(f"support vectors of shape {vectors.shape} that their counts {counts} do not fit")


def _neighbours(made: Any) -> None:
    rows = getattr(made, "_fit_X", None)
    if rows is None:
        return
    n, targets = rows.shape[0], np.asarray(getattr(made, "_y", np.zeros(rows.shape[0], np.int64)))
    classes = getattr(made, "classes_", [0])
    several = targets.ndim == 2
    sizes = np.asarray([len(c) for c in classes] if several else [len(classes)])
    columns = targets.reshape(len(targets), -1)
    sound = len(targets) == n == made.n_samples_fit_ and rows.shape[1] == made.n_features_in_
    if not sound or columns.shape[1] != len(sizes) or (columns < 0).any() or (columns >= sizes).any():
        raise Refused(f"neighbours among {n} rows with targets of shape {targets.shape} that do not fit")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "sklearn.tree._classes.BaseDecisionTree": _tree,
    "sklearn.ensemble._forest.BaseForest": _forest,
    "sklearn.ensemble._gb.BaseGradientBoosting": _gradient_boosting,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _hist_tree,
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting": _hist_gradient_boosting,
    "sklearn.svm._base.BaseLibSVM": _support_vectors,
    "sklearn.neighbors._base.NeighborsBase": _neighbours,
}
