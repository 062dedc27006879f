"""Classes that the state of an estimator may name: estimators of scikit-learn and LightGBM, and a short list."""

from __future__ import annotations

import importlib
from typing import Any

from manylabel.methods.estimator_checks import Refused

_CLOSED = {"tests", "conftest", "externals", "datasets", "experimental", "_build_utils", "utils"}  # modules
STATEFUL = (  # small classes beside estimators, made without a call and given their attributes
    "sklearn._loss.link.Interval",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.LogLink",
    "sklearn._loss.link.HalfLogitLink",
    "sklearn._loss.loss.AbsoluteError",
    "sklearn._loss.loss.ExponentialLoss",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.gaussian_process.kernels.CompoundKernel",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.DotProduct",
    "sklearn.gaussian_process.kernels.Exponentiation",
    "sklearn.gaussian_process.kernels.ExpSineSquared",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RationalQuadratic",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)
CALLED = (  # compiled losses, made by a call with numbers
    "sklearn._loss._loss.CyAbsoluteError",
    "sklearn._loss._loss.CyExponentialLoss",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn.linear_model._sgd_fast.EpsilonInsensitive",
    "sklearn.linear_model._sgd_fast.Hinge",
    "sklearn.linear_model._sgd_fast.Huber",
    "sklearn.linear_model._sgd_fast.ModifiedHuber",
    "sklearn.linear_model._sgd_fast.SquaredEpsilonInsensitive",
    "sklearn.linear_model._sgd_fast.SquaredHinge",
    "sklearn.linear_model._sgd_fast.SquaredLoss",
)
NEIGHBOUR_TREES = ("sklearn.neighbors._ball_tree.BallTree", "sklearn.neighbors._kd_tree.KDTree")


def listed_class(name: str) -> Any:
    """A listed class, or an estimator of scikit-learn or LightGBM.

    Raises
    ------
    Refused
        For any other; modules outside these packages are not even imported.
    """
    if name in STATEFUL:
        return imported(name)
    parts = name.split(".")
    of_package = name.startswith(("sklearn.", "lightgbm.sklearn.")) and all(map(str.isidentifier, parts))
    if not of_package or len(parts) < 3 or _CLOSED & set(parts):
        raise Refused(f"an object of class {name!r:.80}")
    from sklearn.base import BaseEstimator, OutlierMixin

    kind = imported(name)
    if not isinstance(kind, type) or not issubclass(kind, BaseEstimator) or issubclass(kind, OutlierMixin):
        raise Refused(f"an object of class {name!r:.80}")
    if name_of(kind) != name:  # what a module imported from elsewhere
        raise Refused(f"an object of class {name!r:.80}")
    return kind


def imported(name: str) -> Any:
    """What has this name, which the caller has found in a list."""
    module, _, last = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), last)
    except (ImportError, AttributeError):
        raise Refused(f"an object of class {name!r:.80}, which this version does not have") from None


def name_of(kind: type) -> str:
    """The import path of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"
