"""Linear models and trees of scikit-learn and LightGBM as tensors, which ONNX can hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from manylabel.errors import ManyLabelError

Array = np.ndarray[Any, Any]


class LinearModels(nn.Module):
    """The sigmoid of linear decisions, one for each label, in float64 as the estimators compute them."""

    coef: Tensor
    intercept: Tensor

    def __init__(self, estimators: Sequence[Any]) -> None:
        super().__init__()
        coef = np.concatenate([estimator.coef_ for estimator in estimators]).astype(np.float64)
        intercept = [np.broadcast_to(e.intercept_, len(e.coef_)) for e in estimators]
        self.register_buffer("coef", torch.from_numpy(coef))  # (k, F)
        self.register_buffer("intercept", torch.from_numpy(np.concatenate(intercept).astype(np.float64)))

    def forward(self, X: Tensor) -> Tensor:
        """Features (n, F) -> probabilities (n, k)."""
        return torch.sigmoid(X.double() @ self.coef.T + self.intercept)


class Tree(NamedTuple):
    """The nodes of a tree, its root first.

    Attributes
    ----------
    feature : (N,) int64 array
    threshold : (N,) float64 array
        Rows at or below it go left.
    left, right : (N,) int64 arrays
        Nodes; a leaf is both of its own children.
    value : (N, k) float64 array
        What leaves say.
    depth : int
    """

    feature: Array
    threshold: Array
    left: Array
    right: Array
    value: Array
    depth: int


class Trees(nn.Module):
    """Which leaf of each tree a row ends in, and what it says; all trees go down side by side."""

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    roots: Tensor

    def __init__(self, trees: Sequence[Tree]) -> None:
        super().__init__()
        sizes = [len(tree.feature) for tree in trees]
        roots = np.cumsum([0, *sizes[:-1]])
        self.depth = max(tree.depth for tree in trees)
        self.register_buffer("roots", torch.from_numpy(roots))  # (T,)
        self.register_buffer("feature", torch.from_numpy(np.concatenate([t.feature for t in trees])))
        threshold = _not_above(np.concatenate([t.threshold for t in trees]))
        self.register_buffer("threshold", torch.from_numpy(threshold))
        for side in ("left", "right"):
            nodes = [getattr(tree, side) + root for tree, root in zip(trees, roots, strict=True)]
            self.register_buffer(side, torch.from_numpy(np.concatenate(nodes)))
        self.register_buffer("value", torch.from_numpy(np.concatenate([t.value for t in trees])))

    def forward(self, X: Tensor) -> Tensor:
        """Features (n, F) -> what the leaves say, (n, T, k)."""
        at = self.roots.expand(X.shape[0], -1)  # (n, T)
        for _ in range(self.depth):
            goes_left = X.gather(1, self.feature[at]) <= self.threshold[at]
            at = torch.where(goes_left, self.left[at], self.right[at])
        return self.value[at]


class Forest(nn.Module):
    """The mean of trees that split on all labels at once."""

    def __init__(self, forest: Any) -> None:
        super().__init__()
        self.trees = Trees([_grown(tree.tree_) for tree in forest.estimators_])

    def forward(self, X: Tensor) -> Tensor:
        """Features (n, F) -> probabilities (n, k)."""
        P: Tensor = self.trees(X.float()).mean(1)
        return P


class Boosted(nn.Module):
    """Boosted trees, some for each label: the sigmoid of the sum of what their leaves say."""

    label_of: Tensor

    def __init__(self, boosters: Sequence[Any]) -> None:
        super().__init__()
        dumps = [booster.dump_model() for booster in boosters]
        for dump in dumps:
            _check_booster(dump)
        trees = [[_boosted(info["tree_structure"]) for info in dump["tree_info"]] for dump in dumps]
        self.trees = Trees([tree for own in trees for tree in own])
        label = np.repeat(np.arange(len(trees)), [len(own) for own in trees])
        own = np.eye(len(trees))[label]  # (T, k)
        self.register_buffer("label_of", torch.from_numpy(own))

    def forward(self, X: Tensor) -> Tensor:
        """Features (n, F) -> probabilities (n, k)."""
        return torch.sigmoid(self.trees(X.float()).squeeze(2) @ self.label_of)


def of_estimators(estimators: Sequence[Any], together: bool) -> nn.Module:
    """Fitted estimators as a network of tensors, features (n, F) -> probabilities (n, k).

    Parameters
    ----------
    estimators : sequence of fitted classifiers
        One for all labels (``together``), or one for each.
    together : bool

    Raises
    ------
    ManyLabelError
        For other estimators than linear models, forests of scikit-learn and boosted trees of LightGBM.
    """
    first = estimators[0]
    if together and hasattr(first, "estimators_") and hasattr(first.estimators_[0], "tree_"):
        return Forest(first)
    linear = all(isinstance(getattr(e, "coef_", None), np.ndarray) for e in estimators)
    if not together and linear and all(len(e.coef_) == 1 for e in estimators):
        return LinearModels(estimators)
    if not together and hasattr(first, "booster_"):
        return Boosted([estimator.booster_ for estimator in estimators])
    hint = "Convert it with skl2onnx, or export a linear model, extra trees, boosted trees or a network."
    expected = "linear models of each label, forests of all labels, or boosted trees of each label"
    raise ManyLabelError("ONNX", expected, type(first).__name__, hint)


def _grown(tree: Any) -> Tree:
    """A tree of scikit-learn; of each label's two classes the share of the second."""
    leaf = tree.children_left < 0
    own = np.arange(tree.node_count)
    shares = tree.value / tree.value.sum(axis=2, keepdims=True)  # (N, k, 2)
    return Tree(
        np.where(leaf, 0, tree.feature).astype(np.int64),
        np.where(leaf, 0.0, tree.threshold),
        np.where(leaf, own, tree.children_left).astype(np.int64),
        np.where(leaf, own, tree.children_right).astype(np.int64),
        shares[:, :, 1],
        int(tree.max_depth),
    )


def _boosted(root: dict[str, Any]) -> Tree:
    """A tree of LightGBM, as it tells it."""
    nodes = [*_listed(root)]
    place = {id(node): i for i, (node, _) in enumerate(nodes)}
    inner = [("split_feature" in node) for node, _ in nodes]

    def column(of_inner: Any, of_leaf: Any) -> Array:
        pairs = zip(nodes, inner, strict=True)
        return np.array([of_inner(node) if splits else of_leaf(node) for (node, _), splits in pairs])

    return Tree(
        column(lambda node: node["split_feature"], lambda node: 0).astype(np.int64),
        column(lambda node: node["threshold"], lambda node: 0.0).astype(np.float64),
        column(lambda node: place[id(node["left_child"])], lambda node: place[id(node)]).astype(np.int64),
        column(lambda node: place[id(node["right_child"])], lambda node: place[id(node)]).astype(np.int64),
        column(lambda node: 0.0, lambda node: node["leaf_value"]).astype(np.float64)[:, None],
        max(depth for _, depth in nodes),
    )


def _listed(root: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int]]:
    """The nodes below a root, itself first, each with its depth."""
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        if "split_feature" in node:
            waiting += [(node["left_child"], depth + 1), (node["right_child"], depth + 1)]


def _check_booster(dump: dict[str, Any]) -> None:
    categories = any(info["num_cat"] for info in dump["tree_info"])
    plain = dump["objective"] == "binary sigmoid:1" and not dump["average_output"]
    if plain and not categories:
        return
    got = "splits of categories" if categories else f"the objective {dump['objective']}"
    hint = "Fit LGBMClassifier with its default objective and boosting on numbers."
    raise ManyLabelError("ONNX", "boosted trees of the binary objective on numbers", got, hint)


def _not_above(thresholds: Array) -> Array:
    """The largest float32 that is not above: rows are float32, and go left of it as they go left of the float64."""
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)
