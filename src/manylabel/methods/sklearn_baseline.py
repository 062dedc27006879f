"""Scikit-learn baselines: any scikit-learn classifier, named by its import path."""

from __future__ import annotations

import importlib.util
import warnings
from importlib import metadata
from typing import Any, ClassVar, Literal, Self

import numpy as np
import scipy.sparse as sp
import torch
from pydantic import Field
from torch import nn

from manylabel.data import Rows
from manylabel.data.rows import Features
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, as_labels
from manylabel.methods.base import Order, Trainer
from manylabel.methods.estimator_building import build, first_line, lacks_extra
from manylabel.methods.estimator_search import Examples, chosen
from manylabel.methods.estimator_state import pack, unpack
from manylabel.methods.part import Opened, Part, restored_inputs, tensors_of
from manylabel.methods.recipe import ScaledSettings
from manylabel.models import Preprocessor, fit_preprocessor
from manylabel.models.inputs.vectors import Scaling
from manylabel.training import Listener, Progress

Array = np.ndarray[Any, Any]

_MOST_DIMENSIONS = 256
_RARE = 20  # rows: more than any cross-validation within an estimator asks for by default
_PACKAGES = {"sklearn": "scikit-learn", "lightgbm": "lightgbm"}  # whose estimators can be kept
_ROWS = 1024


class SklearnBaselineSettings(ScaledSettings):
    """Which classifier, and how it is given many labels; pictures are taken as vectors of their pixels.

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
    search : dict of one parameter to a list of values, default none
        Ascending values of a parameter, of which one is chosen for all labels by cross-validation on the training
        rows; see :mod:`manylabel.methods.estimator_search`.
    tfidf : bool, default False
        Scale sparse rows of numbers by "tfidf" whatever ``inputs`` says, where none is negative. Texts come so by
        themselves.
    rare : "refuse" or "constant", default "refuse"
        What to do about a label with up to 20 rows (or all but so many) that the estimator cannot be fitted on, as
        those that split the rows again cannot, for calibration or early stopping: refuse it by name, or give it its
        share of the training rows as the score of every row, with a warning.
    """

    estimator: str
    labels: Literal["auto", "together", "one_vs_rest", "chain"] = "auto"
    parameters: dict[str, bool | int | float | str | None] = Field(default_factory=dict)
    search: dict[str, list[bool | int | float | str | None]] = Field(default_factory=dict, max_length=1)
    tfidf: bool = False
    rare: Literal["refuse", "constant"] = "refuse"


class SklearnBaselineScorer:
    """Fitted estimators behind the standardisation of their training rows.

    Parameters
    ----------
    inputs : Preprocessor
    constant : (n_labels,) float32 array
        1 or 0 for labels that all or no training rows carry, the share of the training rows for rare labels that were
        left out, NaN for those that the estimators predict.
    estimators : list
        One for all labels that vary (``together``), or one for each.
    together : bool
    sparse : bool
        Whether the estimators were fitted on a CSR matrix.
    """

    part_type: ClassVar[str] = "sklearn_baseline"
    embeds_features: ClassVar[bool] = True

    def __init__(
        self,
        inputs: Preprocessor,
        constant: Array,
        estimators: list[Any],
        together: bool,
        sparse: bool,
    ) -> None:
        self.inputs, self.constant, self.sparse = inputs, constant, sparse
        self.estimators, self.together = estimators, together

    @property
    def n_labels(self) -> int:
        return len(self.constant)

    def scores(self, X: Features) -> Array:
        """Probabilities of the labels, (n, n_labels) float32 array.

        A decision function, where an estimator has no probabilities, goes through a sigmoid: it ranks rows, but a
        threshold of 0.5 means no more than its sign.

        Raises
        ------
        ManyLabelError
            If the rows do not have the form of the training rows, or the estimator fails on them.
        """
        return self._scores(self.inputs.matrix(X, self.sparse))

    def _scores(self, rows: Any) -> Array:
        return scores_by(self.constant, self.estimators, self.together, rows)

    def embed(self, X: Features) -> Array:
        """The features that the estimators see, (n, H) float32 array; they have no representation of their own.

        More than 256 features are projected at random to 256, which about keeps distances (Johnson and Lindenstrauss).
        """
        rows = self.inputs.matrix(X, self.sparse)
        if rows.shape[1] > _MOST_DIMENSIONS:
            from sklearn.random_projection import SparseRandomProjection

            if not rows.shape[0]:
                return np.zeros((0, _MOST_DIMENSIONS), np.float32)
            projection = SparseRandomProjection(_MOST_DIMENSIONS, dense_output=True, random_state=0)
            rows = projection.fit(rows[:1]).transform(rows)
        dense: Array = np.asarray(rows.toarray() if sp.issparse(rows) else rows, dtype=np.float32)
        return dense

    def part(self) -> Part:
        """The estimators as JSON and arrays, without pickle.

        Raises
        ------
        ManyLabelError
            If an estimator is of another package, or holds something that cannot be written without code.
        """
        estimators, content = pack(self.estimators, "scikit-learn baseline")
        packages = {type(estimator).__module__.partition(".")[0] for estimator in self.estimators}
        meta = {
            "inputs": self.inputs.meta(),
            "together": self.together,
            "sparse": self.sparse,
            "estimators": estimators,
            "packages": {name: _version(name) for name in sorted(packages | {"sklearn"})},
        }
        own = {"constant": torch.from_numpy(self.constant), "arrays": torch.from_numpy(content.copy())}
        return Part(self.part_type, meta, own | tensors_of(self.inputs))

    @classmethod
    def restore(cls, opened: Opened) -> Self:
        """The scorer of a part; its estimators are tried on a row of zeros.

        Raises
        ------
        ManyLabelError
            If its estimators cannot be made again, or do not fit its inputs and labels.

        Warns
        -----
        UserWarning
            If another version of scikit-learn or LightGBM wrote it.
        """
        meta, tensors = opened.meta, opened.tensors
        _warn_of_other_versions(meta["packages"])
        estimators = unpack(meta["estimators"], tensors["arrays"].numpy(), "scikit-learn baseline")
        inputs, constant = restored_inputs(meta["inputs"], tensors), tensors["constant"].numpy()
        scorer = cls(inputs, constant, estimators, bool(meta["together"]), bool(meta["sparse"]))
        n_columns = int(np.prod(inputs.shape))
        if any(estimator.n_features_in_ != n_columns for estimator in estimators):
            raise ValueError(f"estimators of other numbers of features than {n_columns}")
        zeros = np.zeros((1, n_columns), np.float32)
        scorer._scores(sp.csr_matrix(zeros) if scorer.sparse else zeros)
        return scorer


def scores_by(constant: Array, estimators: list[Any], together: bool, rows: Any) -> Array:
    """Scores of rows by what :meth:`Fitting.fit` gives, (n, n_labels) float32."""
    scores = np.tile(constant, (rows.shape[0], 1))
    varying = np.isnan(constant)
    if varying.any() and len(scores):
        found = [_probabilities(estimator, rows, together) for estimator in estimators]
        scores[:, varying] = np.concatenate(found, axis=1).clip(0, 1)
    return scores


def _version(package: str) -> str:
    return metadata.version(_PACKAGES[package])


def _warn_of_other_versions(packages: dict[str, str]) -> None:
    for name, version in packages.items():
        if name in _PACKAGES and importlib.util.find_spec(name) and version != _version(name):
            text = (
                f"the model was written with {_PACKAGES[name]} {version}, and is read with {_version(name)}: "
            )
            warnings.warn(f"{text}its scores may differ, or fail", stacklevel=2)


class SklearnBaselineMethod(Trainer):
    """Fit a classifier of scikit-learn's kind.

    Dense rows are standardised; sparse rows are taken as they are, or as TF-IDF where the settings say so, texts always
    as TF-IDF vectors. The validation rows are not looked at; an interrupted fit starts anew.

    Parameters
    ----------
    settings : SklearnBaselineSettings
    encoder : None
        There is no place for one.
    """

    settings: SklearnBaselineSettings

    def __init__(self, settings: SklearnBaselineSettings, encoder: nn.Module | None = None) -> None:
        if encoder is not None:
            raise ManyLabelError(f"method {settings.name}", "features as they are", "an encoder")
        super().__init__(settings)
        if not lacks_extra(settings.estimator):  # the recipe can be looked at without
            self._estimator(
                {name: values[0] for name, values in settings.search.items()}, 0
            )  # refuses unknown parameters before data are read

    def trained(self, train: Rows, validation: Rows, order: Order) -> SklearnBaselineScorer:
        seed = int(order.seed) % 2**32
        estimator = self._estimator({}, seed)
        train, scaled = _weighted(self.name, estimator, train), self.settings.inputs
        inputs = fit_preprocessor(
            train.X,
            self._scaling(train.X),
            scaled.own_pixels,
            words=scaled.words,
            most_features=scaled.most_features,
        )
        Y = _binary(self.name, train)
        examples = Examples(inputs.matrix(train.X, train.X.is_sparse), Y, train.weights)
        for parameter, values in self.settings.search.items():
            tried = {value: self._estimator({parameter: value}, seed) for value in values}
            estimator = tried[chosen(self._trial, tried, examples, seed)]
        fitting = Fitting(self.name, self.settings, estimator, examples, order.progress)
        constant, estimators, together = fitting.fit(seed)
        return SklearnBaselineScorer(inputs, constant, estimators, together, train.X.is_sparse)

    def _scaling(self, X: Features) -> Scaling:
        return "tfidf" if self.settings.tfidf and X.counts_like else self.settings.inputs.scaling

    def _estimator(self, changed: dict[str, Any], seed: int) -> Any:
        return build(self.name, self.settings.estimator, self.settings.parameters | changed, seed)

    def _trial(self, estimator: Any, part: Examples, X: Any, seed: int) -> Array:
        """Scores of rows by an estimator that was fitted on some of the training rows, (n, n_labels)."""
        settings = self.settings.model_copy(update={"rare": "constant"})
        return scores_by(*Fitting(self.name, settings, estimator, part, None).fit(seed), X)


class Fitting:
    """Fit an estimator on the labels that vary.

    Parameters
    ----------
    name : str
        Of the method.
    settings : SklearnBaselineSettings
    estimator : classifier, not fitted
    examples : Examples
    progress : callable or None
    """

    def __init__(
        self,
        name: str,
        settings: SklearnBaselineSettings,
        estimator: Any,
        examples: Examples,
        progress: Listener | None,
    ) -> None:
        self.name, self.settings, self.estimator = name, settings, estimator
        self.X, Y, self.weights = examples
        self.progress = progress
        self.n_rows, self.rows_of = len(Y), Y.sparse().to("cpu").transposed
        self.carried = self.rows_of.row_counts(torch.int64).numpy()
        self.hidden = Y.unknown.sparse().to("cpu").transposed if Y.n_unknown else None
        hidden = 0 if self.hidden is None else self.hidden.row_counts(torch.int64).numpy()
        self.known = np.maximum(len(Y) - hidden, 1)  # rows on which each label is known
        self.share = self.carried / self.known
        self.fewest = np.minimum(self.carried, self.known - self.carried)  # rows with or without each label
        self.fewest = np.where(len(Y) == hidden, 0, self.fewest)  # nothing is learnt of what nobody knows
        self.constant = np.where(self.fewest == 0, self.share, np.nan).astype(np.float32)

    def fit(self, seed: int) -> tuple[Array, list[Any], bool]:
        """What :class:`SklearnBaselineScorer` is made of: constant scores, estimators, whether one takes all labels."""
        together = self._all_known() and (
            _together(self.name, self.estimator, self.settings) and int(np.isnan(self.constant).sum()) > 1
        )
        if together and self.settings.labels == "chain":
            self.estimator = _chain(self.estimator, seed)
        estimators = self._fit_together() if together else self._fit_each()
        return self.constant, estimators, together

    def _all_known(self) -> bool:
        """Whether one estimator may take all labels, as far as these are known and their entries count alike."""
        of_entries = self.weights is not None and self.weights.ndim == 2
        if self.hidden is None and not of_entries:
            return True
        if self.settings.labels in ("together", "chain"):
            expected, got = "weights of shape (n,)", "weights of entries"
            hint = 'Set labels to "one_vs_rest": each label is then learnt by itself'
            if self.hidden is not None and not of_entries:
                expected = "labels that are all known"
                got = f"{int(self.hidden.row_counts(torch.int64).sum())} unknown entries"
                hint += " from the rows on which it is known"
            raise ManyLabelError(f"method {self.name}", expected, got, f"{hint}.")
        return False

    def _fit_each(self) -> list[Any]:
        estimators, labels = [], np.flatnonzero(self.fewest).tolist()
        for i, label in enumerate(labels):
            if self.progress is not None:
                self.progress(Progress("fit", ("fit",), 1, 1, i, len(labels), float("nan")))
            try:
                estimators.append(_fitted(self.estimator, *self._of_label(label)))
            except Warning:
                raise
            except Exception as error:  # whatever another package may raise
                self._leave_out([label], error)
        return estimators

    def _fit_together(self) -> list[Any]:
        """One estimator; as long as it cannot be fitted, the rarest labels are left out."""
        while np.isnan(self.constant).any():
            if self.progress is not None:
                self.progress(Progress("fit", ("fit",), 1, 1, 0, 1, float("nan")))
            left = np.flatnonzero(np.isnan(self.constant))
            try:
                return [_fitted(self.estimator, self.X, self._targets(left), self.weights)]
            except Warning:
                raise
            except Exception as error:  # whatever another package may raise
                rarest = self.fewest[left].min()
                self._leave_out(left[self.fewest[left] == rarest].tolist(), error)
        return []

    def _targets(self, labels: Any) -> Array:
        """Which rows carry some labels, (n, k) int64 of 0 and 1."""
        return self.rows_of.take(torch.as_tensor(labels)).columns_first(torch.int64).numpy()

    def _of_label(self, label: int) -> tuple[Any, Array, Array | None]:
        """The rows on which a label is known, which of them carry it, and their weights."""
        target, weights = self._targets([label])[:, 0], self.weights
        if weights is not None and weights.ndim == 2:
            weights = weights[:, label]
        if self.hidden is None:
            return self.X, target, weights
        known = self.hidden.take(torch.tensor([label])).columns_first(torch.int64).numpy()[:, 0] == 0
        return self.X[known], target[known], None if weights is None else weights[known]

    def _leave_out(self, labels: list[int], error: Exception) -> None:
        """Give labels their share as a score, where that is allowed; else say what the estimator said."""
        first, n = labels[0], self.n_rows
        carried = int(self.carried[first])
        rare = self.fewest[first] <= _RARE
        told = f"label {first} (counted from 0), which {carried} of {n} training rows carry"
        if not rare or self.settings.rare == "refuse":
            got = first_line(error)
            hint = "Check its parameters."
            if rare:
                got = f"{got} It is rarest for {told}" if len(labels) > 1 else f"{got} That is about {told}"
                hint = 'Set rare to "constant" to give such labels their share as a score, or drop them.'
            raise ManyLabelError(f"method {self.name}", "rows that its estimator takes", got, hint) from error
        self.constant[labels] = self.share[labels]
        for label in labels:
            carried = int(self.carried[label])
            warnings.warn(
                f"method {self.name}: label {label} (counted from 0), which {carried} of {n} training rows carry, "
                f"cannot be learnt ({first_line(error)}); its share, {self.share[label]:.3g}, is its score.",
                stacklevel=4,
            )


def _chain(estimator: Any, seed: int) -> Any:
    from sklearn.multioutput import ClassifierChain

    return ClassifierChain(estimator, order="random", random_state=seed)


def _together(name: str, estimator: Any, settings: SklearnBaselineSettings) -> bool:
    if settings.labels != "auto":
        return settings.labels != "one_vs_rest"
    from sklearn.utils import get_tags

    try:
        tags = get_tags(estimator).classifier_tags
    except Exception as error:  # an estimator that passes the question on to one that it lacks
        kind = type(estimator).__name__
        hint = "It may need an estimator of its own, which a recipe cannot give: take another, or set labels."
        raise ManyLabelError(
            f"method {name}", f"{kind} to say what it can do", first_line(error), hint
        ) from error
    return tags is not None and bool(tags.multi_label)


def _binary(name: str, train: Rows) -> LabelMatrix:
    if not train.Y.binary:
        hint = "Round the labels, or use bce, which takes them as they are."
        raise ManyLabelError(f"method {name}", "labels that are 0 or 1", "soft labels", hint)
    return train.Y


def _weighted(name: str, estimator: Any, train: Rows) -> Rows:
    """The rows that count, where the estimator takes weights; entries that count nothing are unknown."""
    if train.weights is None:
        return train
    from sklearn.utils.validation import has_fit_parameter

    kind = type(estimator).__name__
    if not has_fit_parameter(estimator, "sample_weight"):
        hint = "Leave the weights out, or take an estimator whose fit has sample_weight."
        raise ManyLabelError(f"method {name}", f"rows that all count alike for {kind}", "weights", hint)
    train = train.take(train.weights.reshape(len(train), -1).any(axis=1))
    if train.weights.ndim == 1 or train.weights.all():
        return train
    nothing = as_labels(train.weights == 0).sparse()
    Y = train.Y.sparse().to("cpu").without(nothing).with_unknown(nothing.union(train.Y.unknown.sparse()))
    return Rows(train.X, Y, train.weights)


def _fitted(estimator: Any, X: Any, target: Array, weights: Array | None) -> Any:
    from sklearn.base import clone

    if weights is None:
        return clone(estimator).fit(X, target)
    return clone(estimator).fit(X, target, sample_weight=weights)


def _probabilities(estimator: Any, X: Any, together: bool) -> Array:
    """(n, k) for the k labels that an estimator was fitted on."""
    blocks = (X[start : start + _ROWS] for start in range(0, X.shape[0], _ROWS))
    name = type(estimator).__name__
    try:
        found = np.concatenate([_of_block(estimator, block, together) for block in blocks])
    except Exception as error:  # whatever another package may raise
        hint = "Choose other parameters, or another estimator."
        raise ManyLabelError(name, "rows that it can score", first_line(error), hint) from error
    if found.ndim != 2 or not found.shape[1] or not np.isfinite(found).all():
        got = f"shape {found.shape}" if found.ndim != 2 or not found.shape[1] else "NaN or infinity"
        raise ManyLabelError(name, "a finite score for each label", got, "Choose other parameters.")
    return found


def _of_block(estimator: Any, X: Any, together: bool) -> Array:
    if not hasattr(estimator, "predict_proba"):
        decisions = np.asarray(estimator.decision_function(X), dtype=np.float64).reshape(X.shape[0], -1)
        return np.asarray(1 / (1 + np.exp(-decisions.clip(-500, 500))))
    found = estimator.predict_proba(X)
    if isinstance(found, list):  # (n, 2) for each label
        return np.stack([label[:, 1] for label in found], axis=1)
    return np.asarray(found if together else found[:, 1:])
