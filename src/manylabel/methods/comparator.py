"""What a user would pick instead: any scikit-learn classifier, named by its import path."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn

from manylabel import files
from manylabel.data.dataset import Features, Kind, Rows
from manylabel.errors import ManyLabelError, missing_extra
from manylabel.methods.base import check_validation
from manylabel.methods.recipe import AnyRecipe, KindSettings
from manylabel.methods.rows import features
from manylabel.models import Inputs
from manylabel.training import Listener, Progress

Array = np.ndarray[Any, Any]

EXTRAS = {"lightgbm": "boosting"}
_MOST_DIMENSIONS = 256
_ZLIB = b"x"  # how compressed joblib files begin
_ROWS = 1024


class ComparatorSettings(KindSettings):
    """Which classifier, and how it is given many labels.

    Attributes
    ----------
    estimator : str
        Import path of a class with ``fit`` and ``predict_proba`` or ``decision_function``.
    labels : "auto", "together", "one_vs_rest" or "chain", default "auto"
        ``together``: one estimator that takes all labels itself; ``one_vs_rest``: one for each label; ``chain``: each
        label's estimator sees the labels before it, in an order drawn by the seed. ``auto`` is ``together`` where the
        estimator says that it can, else ``one_vs_rest``.
    parameters : dict
        Of the estimator; its other parameters stay at their defaults. ``random_state`` is the seed of the run unless
        it is given here.
    """

    estimator: str
    labels: Literal["auto", "together", "one_vs_rest", "chain"] = "auto"
    parameters: dict[str, bool | int | float | str | None] = Field(default_factory=dict)


class ComparatorRecipe(AnyRecipe):
    """A recipe of the family "comparator"; pictures are taken as vectors of their pixels."""

    vectors: ComparatorSettings
    images: ComparatorSettings


class ComparatorScorer:
    """Fitted estimators behind the standardisation of their training rows.

    Parameters
    ----------
    inputs : Inputs
    constant : (n_labels,) float32 array
        1 or 0 for labels that all or no training rows carry, NaN for those that the estimators predict.
    estimators : list
        One for all labels that vary (``together``), or one for each.
    together : bool
    like : array or CSR matrix
        No rows of the form that the estimators were fitted on.
    """

    def __init__(
        self, inputs: Inputs, constant: Array, estimators: list[Any], together: bool, like: Any
    ) -> None:
        self.inputs, self.constant, self.like = inputs, constant, like
        self.estimators, self.together = estimators, together

    def scores(self, X: Features) -> Array:
        """Probabilities of the labels, (n, n_labels) float32 array.

        A decision function, where an estimator has no probabilities, goes through a sigmoid: it ranks rows, but a
        threshold of 0.5 means no more than its sign.
        """
        rows = features(X, self.inputs, self.like)
        scores = np.tile(self.constant, (rows.shape[0], 1))
        varying = np.isnan(self.constant)
        if varying.any():
            found = [_probabilities(estimator, rows, self.together) for estimator in self.estimators]
            scores[:, varying] = np.concatenate(found, axis=1).clip(0, 1)
        return scores

    def embed(self, X: Features) -> Array:
        """The features that the estimators see, (n, H) float32 array; they have no representation of their own.

        More than 256 features are projected at random to 256, which about keeps distances (Johnson and Lindenstrauss).
        """
        rows = features(X, self.inputs, self.like)
        if rows.shape[1] > _MOST_DIMENSIONS:
            from sklearn.random_projection import SparseRandomProjection

            projection = SparseRandomProjection(_MOST_DIMENSIONS, dense_output=True, random_state=0)
            rows = projection.fit(rows[:1]).transform(rows)
        dense: Array = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows, dtype=np.float32)
        return dense

    def save(self, path: Path) -> None:
        """Write a joblib file, named like ``path`` with the ending ``.joblib``.

        Warning: scikit-learn's estimators can only be pickled, and a pickle can run any code when it is read. Read
        such a file only if you trust whoever wrote it, and with the versions of the packages that wrote it.
        """
        import joblib

        buffer = io.BytesIO()
        joblib.dump(self, buffer, compress=3)
        files.write(Path(path).with_suffix(".joblib"), files.sealed(buffer.getvalue()))


def load_trusted(path: Path) -> ComparatorScorer:
    """Read what :meth:`ComparatorScorer.save` wrote; this can run any code that the file holds.

    Raises
    ------
    ManyLabelError
        If the file is damaged, or no such file.
    """
    import joblib

    what = "a saved comparator"
    content = files.unsealed(Path(path), what, _ZLIB)
    try:
        scorer = joblib.load(io.BytesIO(content))
    except Exception as error:  # of other versions of the packages that wrote it
        hint = "Read it with the versions of the packages that wrote it."
        raise ManyLabelError(str(path), what, f"{type(error).__name__}: {error}", hint) from error
    if not isinstance(scorer, ComparatorScorer):
        raise ManyLabelError(str(path), what, type(scorer).__name__)
    return scorer


class ComparatorMethod:
    """Fit a classifier of scikit-learn's kind; see :class:`manylabel.methods.Method` for :meth:`fit`.

    Dense rows are standardised; sparse rows and the TF-IDF vectors of texts are taken as they are. The validation rows
    are not looked at; an interrupted fit starts anew.

    Parameters
    ----------
    recipe : ComparatorRecipe
    encoder : None
        There is no place for one.
    """

    def __init__(self, recipe: ComparatorRecipe, encoder: nn.Module | None = None) -> None:
        if encoder is not None:
            raise ManyLabelError(f"method {recipe.name}", "features as they are", "an encoder")
        self.name, self.recipe = recipe.name, recipe
        for settings in (recipe.vectors, recipe.images):
            if not _lacks_extra(settings.estimator):  # the recipe can be looked at without
                build(recipe.name, settings, seed=0)  # refuses unknown parameters before data are read

    def fit(
        self,
        train: Rows,
        validation: Rows,
        *,
        kind: Kind = "vectors",
        seed: int = 0,
        folder: Path | None = None,
        progress: Listener | None = None,
    ) -> ComparatorScorer:
        check_validation(self.name, validation)
        settings = self.recipe.images if kind == "images" else self.recipe.vectors
        inputs = Inputs.fit(train.X, kind)
        X, Y = features(train.X, inputs), _binary(self.name, train)
        share = Y.mean(axis=0)
        constant = np.where((share == 0) | (share == 1), share, np.nan).astype(np.float32)
        varying = Y[:, np.isnan(constant)]
        estimator = build(self.name, settings, seed)
        together = _together(estimator, settings) and varying.shape[1] > 1
        if together and settings.labels == "chain":
            estimator = _chain(estimator, seed)
        targets = [varying] if together else list(varying.T)
        estimators = []
        for i, target in enumerate(targets):
            if progress is not None:
                progress(Progress("fit", ("fit",), 1, 1, i, len(targets), float("nan")))
            estimators.append(_fitted(self.name, estimator, X, target))
        return ComparatorScorer(inputs, constant, estimators, together, X[:0])


def build(name: str, settings: ComparatorSettings, seed: int) -> Any:
    """The estimator of some settings, not fitted.

    Raises
    ------
    ManyLabelError
        If there is no such class, it is no classifier, or it has no such parameter.
    """
    kind = _class(name, settings.estimator)
    try:
        estimator = kind(**settings.parameters)
    except TypeError as error:
        raise ManyLabelError(f"method {name}", f"parameters of {kind.__name__}", str(error)) from None
    if "random_state" in estimator.get_params(deep=False) and "random_state" not in settings.parameters:
        estimator.set_params(random_state=seed)
    return estimator


def _lacks_extra(path: str) -> bool:
    package = path.partition(".")[0]
    return package in EXTRAS and importlib.util.find_spec(package) is None


def _class(name: str, path: str) -> Any:
    module, _, last = path.rpartition(".")
    if _lacks_extra(path):
        package = path.partition(".")[0]
        raise missing_extra(f"method {name}", package, EXTRAS[package])
    try:
        kind = getattr(importlib.import_module(module), last)
    except ImportError as error:
        raise ManyLabelError(f"method {name}", "an import path of a class", f"{path} ({error})") from None
    except (AttributeError, ValueError):
        raise ManyLabelError(f"method {name}", f"a class in {module or 'a module'}", repr(last)) from None
    scores = hasattr(kind, "predict_proba") or hasattr(kind, "decision_function")
    if not isinstance(kind, type) or not scores or not all(hasattr(kind, m) for m in ("fit", "get_params")):
        hint = "Name a classifier such as sklearn.neighbors.KNeighborsClassifier."
        expected = "a class with fit and predict_proba or decision_function"
        raise ManyLabelError(f"method {name}", expected, path, hint)
    return kind


def _chain(estimator: Any, seed: int) -> Any:
    from sklearn.multioutput import ClassifierChain

    return ClassifierChain(estimator, order="random", random_state=seed)


def _together(estimator: Any, settings: ComparatorSettings) -> bool:
    if settings.labels != "auto":
        return settings.labels != "one_vs_rest"
    from sklearn.utils import get_tags

    tags = get_tags(estimator).classifier_tags
    return tags is not None and bool(tags.multi_label)


def _binary(name: str, train: Rows) -> Array:
    if getattr(train.Y.sparse(), "weights", None) is not None:
        hint = "Round the labels, or use bce, which takes them as they are."
        raise ManyLabelError(f"method {name}", "labels that are 0 or 1", "soft labels", hint)
    return train.Y.dense(torch.int64).cpu().numpy()


def _fitted(name: str, estimator: Any, X: Any, target: Array) -> Any:
    from sklearn.base import clone

    try:
        return clone(estimator).fit(X, target)
    except (ValueError, TypeError) as error:
        got = str(error).splitlines()[0]
        raise ManyLabelError(f"method {name}", "rows that its estimator takes", got) from error


def _probabilities(estimator: Any, X: Any, together: bool) -> Array:
    """(n, k) for the k labels that an estimator was fitted on."""
    blocks = (X[start : start + _ROWS] for start in range(0, X.shape[0], _ROWS))
    return np.concatenate([_of_block(estimator, block, together) for block in blocks])


def _of_block(estimator: Any, X: Any, together: bool) -> Array:
    if not hasattr(estimator, "predict_proba"):
        decisions = np.asarray(estimator.decision_function(X), dtype=np.float64).reshape(X.shape[0], -1)
        return np.asarray(1 / (1 + np.exp(-decisions.clip(-500, 500))))
    found = estimator.predict_proba(X)
    if isinstance(found, list):  # (n, 2) for each label
        return np.stack([label[:, 1] for label in found], axis=1)
    return np.asarray(found if together else found[:, 1:])
