"""LightGBM's own text of a model, checked before its compiled reader sees it."""

from __future__ import annotations

from typing import Any

import numpy as np

from manylabel.errors import missing_extra
from manylabel.methods.estimator_checks import Refused, check_nodes

Array = np.ndarray[Any, Any]


def text_of(booster: Any) -> str:
    """A booster as text, without the places of its trees in that text, which its reader would trust.

    Raises
    ------
    Refused
        For categories, linear leaves and several classes.
    """
    lines = str(booster.model_to_string()).split("\n")
    text = "\n".join(line for line in lines if not line.startswith("tree_sizes="))
    check_text(text)
    return text


def booster_of(text: str) -> Any:
    """The booster of a text.

    Raises
    ------
    Refused
        For trees whose nodes lead outside them.
    ManyLabelError
        If LightGBM is not installed.
    """
    check_text(text)
    try:
        import lightgbm
    except ImportError:
        raise missing_extra("Predictor.load", "lightgbm", "boosting") from None
    return lightgbm.Booster(model_str=text)


def check_text(text: str) -> None:
    """Refuse text that leads LightGBM's reader, or its trees, out of their arrays.

    Raises
    ------
    Refused
        Says what does not fit.
    """
    head, *trees = text.partition("\nend of trees")[0].split("\nTree=")
    facts = _facts(head)
    if not head.startswith("tree\n") or "tree_sizes" in _facts(text):
        raise Refused("a text that is no model of LightGBM")
    n_features = int(facts["max_feature_idx"]) + 1
    single = facts["num_class"] == facts["num_tree_per_iteration"] == "1"
    if len(facts["feature_names"].split(" ")) != n_features or not single:
        raise Refused("a model of LightGBM whose features have other names, or of several classes")
    for tree in trees:
        _check_tree(_facts(tree), n_features)


def _check_tree(facts: dict[str, str], n_features: int) -> None:
    n_leaves = int(facts["num_leaves"])
    if int(facts["num_cat"]) != 0 or int(facts.get("is_linear", 0)) != 0:
        raise Refused("a tree of LightGBM with categories or linear leaves")
    leaves = ("leaf_value", "leaf_weight", "leaf_count")
    nodes = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child")
    values = ("internal_value", "internal_weight", "internal_count")
    for name, size in (
        *((n, n_leaves) for n in leaves),
        *((n, n_leaves - 1) for n in (*nodes, *values)),
    ):
        if name in facts and len(facts[name].split()) != size and not (n_leaves == 1 and size == 1):
            raise Refused(f"a tree of LightGBM with {n_leaves} leaves, but {name} of another length")
    if n_leaves == 1:
        return
    left, right, feature = (_whole(facts[n]) for n in ("left_child", "right_child", "split_feature"))
    if min(left.min(), right.min()) < -n_leaves:
        raise Refused(f"a tree of LightGBM with {n_leaves} leaves that leads to another")
    # the child ~k is leaf k: here one node behind the others stands for all leaves
    left, right = (np.append(np.where(child < 0, len(child), child), 0) for child in (left, right))
    leaf = np.arange(n_leaves) == n_leaves - 1
    check_nodes(left, right, np.append(feature, 0), leaf, n_features)


def _whole(text: str) -> Array:
    return np.array(text.split(), dtype=np.int64)


def _facts(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.split("\n"))
    return {name: value for name, sign, value in lines if sign}
