"""Classifiers by import path: found, checked, and built with their parameters."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any

from manylabel.errors import ManyLabelError, missing_extra

EXTRAS = {"lightgbm": "boosting", "mlrl": "rules"}


def build(name: str, path: str, given: Mapping[str, Any], seed: int) -> Any:
    """An estimator with some parameters, not fitted; its ``random_state`` is the seed unless it is given.

    Raises
    ------
    ManyLabelError
        If there is no such class, it is no classifier, or it has no such parameter.
    """
    kind = _class(name, path)
    try:
        estimator = kind(**given)
        parameters = estimator.get_params(deep=False)
    except Exception as error:  # whatever another package may raise
        expected = f"parameters of {kind.__name__}"
        raise ManyLabelError(
            f"method {name}", expected, first_line(error), "Look them up in its pages."
        ) from None
    if "random_state" in parameters and "random_state" not in given:
        estimator.set_params(random_state=seed + path.startswith("mlrl."))  # which refuses 0
    return estimator


def lacks_extra(path: str) -> bool:
    """Whether the package of an import path comes with an extra that is not installed."""
    package = path.partition(".")[0]
    return package in EXTRAS and importlib.util.find_spec(package) is None


def _class(name: str, path: str) -> Any:
    module, _, last = path.rpartition(".")
    if lacks_extra(path):
        package = path.partition(".")[0]
        raise missing_extra(f"`method`, {name}", package, EXTRAS[package])
    hint = "Name a classifier such as sklearn.neighbors.KNeighborsClassifier."
    if not module or not all(part.isidentifier() for part in path.split(".")):
        raise ManyLabelError(f"`method`, {name}", "an import path of a class", repr(path), hint)
    try:
        kind = getattr(importlib.import_module(module), last, None)
    except (Exception, SystemExit) as error:  # whatever the module may do when it is imported
        got = f"{path} ({first_line(error) if str(error) else type(error).__name__})"
        raise ManyLabelError(f"`method`, {name}", "an import path of a class", got, hint) from None
    if kind is None:
        raise ManyLabelError(f"`method`, {name}", f"a class in {module}", repr(last), hint)
    scores = hasattr(kind, "predict_proba") or hasattr(kind, "decision_function")
    if not isinstance(kind, type) or not scores or not all(hasattr(kind, m) for m in ("fit", "get_params")):
        expected = "a class with fit and predict_proba or decision_function"
        raise ManyLabelError(f"method {name}", expected, path, hint)
    return kind


def first_line(error: BaseException) -> str:
    """What another package said, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
