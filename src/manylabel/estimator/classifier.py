"""MultiLabelClassifier: labels, probabilities and embeddings of rows, for people who live in scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from sklearn.base import ClassifierMixin
from torch import nn

from manylabel.data import Rows
from manylabel.errors import ManyLabelError, did_you_mean
from manylabel.estimator.base import Estimator, check_length
from manylabel.estimator.decisions import Rule, fixed_threshold, learn, measured
from manylabel.estimator.explanation import Evidence, LabelExplanation
from manylabel.estimator.growth import grown, neighbours_of
from manylabel.labels import LabelMatrix
from manylabel.methods.part import Part
from manylabel.metrics import Threshold, TrainingLabels
from manylabel.training import Listener

Array: TypeAlias = "np.ndarray[Any, Any]"


class MultiLabelClassifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """Contrastive learning for rows that carry several labels, with decisions learnt on held-out rows.

    Parameters
    ----------
    method : str, default "best"
        One of :func:`manylabel.methods.names`, the path of a recipe file, or the import path of a classifier, such as
        ``"sklearn.svm.LinearSVC"``.
    encoder : nn.Module or str, optional
        A network (B, *shape) -> (B, H) in place of the recipe's. Or the name or folder of a frozen encoder through
        which texts or pictures go once, so that any method takes them as vectors, such as ``"wordllama"``; see
        :class:`manylabel.models.frozen.FrozenSettings`.
    settings : mapping, optional
        Settings of the recipe by dotted name, such as ``{"classify.stage.epochs": 20}``.
    thresholds : str or float, default "tuned"
        How scores become labels: "tuned", one threshold per label, drawn towards the shared one where the label is
        rare; "shared", one for all; "fixed", 0.5; "top_k", as many labels per row as is best; "expected_f1", the label
        set of the highest expected F1; "seen_sets", the most probable label set that training rows carry; or a number.
    calibrate : bool, default True
        Learn to turn scores into probabilities that can be taken at their word.
    validation : None, float or pair (X, y), default None
        Where decisions and calibration are learnt. None: on all rows, each scored by a model that was trained on other
        folds; 5 folds, 3 from 10 000 rows on, and none from 50 000 on, where a tenth of the rows is held out. A number:
        that share of the rows is held out. A pair: these rows.
    class_names : sequence, optional
        Names of the columns of ``y``, or all labels that may occur in label sets.
    unknown : number, optional
        Which number in ``y``, such as -1, stands for an unknown entry, beside NaN and other missing ones.
    random_state : int, RandomState or None, default None
    device : str, default "auto"
        Where networks are trained: "auto" is the first GPU if there is one.
    verbose : int, default 0
        Above 0, what happens is printed.

    Attributes
    ----------
    classes_ : (n_classes,) array
        Label names, numbers of columns where they have none, or the classes of binary and multiclass targets.
    n_features_in_ : int
        Columns of vectors.
    feature_names_in_ : (n_features_in_,) array of str
        Of a frame of numbers.
    schema_ : Schema
        Of the columns of a table, where X was one.
    predictor_ : Predictor
        The model: scorer, decision, calibration.
    balance_ : float
        How well every label keeps its share over folds, or in training and held-out rows; see
        :func:`manylabel.data.groups.label_balance`. NaN where validation rows were given, or nothing was held out.
    quality_ : dict of metric to float
        Of scores and decisions on held-out rows, see :func:`manylabel.metrics.measure_decisions`; each row is decided
        by what the other folds taught. Empty where nothing was held out, and for binary and multiclass targets.
    how_ : str
        Where the held-out scores come from.

    Notes
    -----
    Binary targets and targets of several classes are learnt as one and as one-hot labels; the most probable class is
    predicted.
    A row of whole-number weight 2 is the same as the row given twice, and rows may come in any order: models agree to
    the bit.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(60, 4))
    >>> model = MultiLabelClassifier("bce", settings={"classify.stage.epochs": 2}, random_state=0)
    >>> model.fit(X, X[:, :3] > 0).predict(X[:2]).shape
    (2, 3)
    """

    def __init__(
        self,
        method: str = "best",
        *,
        encoder: nn.Module | str | None = None,
        settings: Mapping[str, Any] | None = None,
        thresholds: Rule | float = "tuned",
        calibrate: bool = True,
        validation: float | tuple[Any, Any] | None = None,
        class_names: Sequence[Any] | None = None,
        unknown: float | None = None,
        random_state: Any = None,
        device: str = "auto",
        verbose: int = 0,
    ) -> None:
        self.method, self.encoder, self.settings = method, encoder, settings
        self.thresholds, self.calibrate, self.validation = thresholds, calibrate, validation
        self.class_names, self.unknown, self.random_state = class_names, unknown, random_state
        self.device, self.verbose = device, verbose

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        folder: str | Path | None = None,
        progress: Listener | None = None,
    ) -> Self:
        """Train, and learn decisions and calibration on rows that no model saw whose scores they use.

        Parameters
        ----------
        X : (n, n_features) array, SciPy sparse matrix, tensor or frame; n texts; (n, channels, height, width) pictures
            Frames of pandas, polars or Arrow, those with texts, dates, categories and gaps included; or a table of
            :func:`manylabel.data.read_table`, whose labels stand in for ``y``.
        y : (n, n_labels) 0/1 array, tensor, sparse matrix or frame; n label sets; or n classes
            NaN, masked entries and ``pandas.NA`` are unknown labels: neither carried nor not.
        sample_weight : (n,) or (n, n_labels) array, optional
            How much each row, or each of its label entries, counts. Small whole numbers repeat rows, for any method;
            others weigh the losses of methods that can.
        groups : (n,) array, optional
            Rows of one group stay together in every split.
        folder : str or Path, optional
            Keeps checkpoints: a second call with the same rows, parameters and integer ``random_state`` goes on.
        progress : callable, optional
            Receives :class:`manylabel.training.Progress`.

        Raises
        ------
        ManyLabelError
            For parameters, rows or labels that cannot be used.
        """
        fixed = fixed_threshold(self.thresholds)
        fitted = self._train(
            X,
            y,
            sample_weight=sample_weight,
            groups=groups,
            folder=folder,
            progress=progress,
            decide=fixed is None or self.calibrate,
        )
        rows, single = fitted.rows.rows, self.targets_.kind != "multilabel"
        learnt = learn(fitted.held_out, "fixed" if single else self.thresholds, self.calibrate, rows.Y)
        model = self.predictor_
        model.decision, model.calibration, model.note = learnt.decision, learnt.calibration, learnt.note
        if self.targets_.kind == "multiclass":
            model.decision = Threshold("top_k", 1)
        self.how_ = "" if fitted.held_out is None else fitted.held_out.how
        self.quality_ = {} if single else measured(fitted.held_out, self.thresholds, self.calibrate, rows.Y)
        self._evidence = Evidence.of(model, rows, fitted.rows.source, fitted.held_out)
        told = {name: None if value != value else value for name, value in self.quality_.items()}
        self._keep(rows, {"how": self.how_, "quality": told}, self._evidence.arrays())
        return self

    @property
    def classes_(self) -> Array:
        """Label names, numbers of columns, or classes."""
        self._ready()
        return self.targets_.classes

    @property
    def training_labels_(self) -> TrainingLabels | None:
        """What is kept of the labels of the fit: how frequent each is, and which label sets there were.

        :func:`manylabel.metrics.slices` takes it. None for a model of a study.
        """
        return None if self._ready().estimator is None else self._evidence.labels

    @property
    def _calibrates(self) -> bool:
        return bool(self.calibrate)

    def predict(self, X: Any) -> Array:
        """Predicted labels.

        Parameters
        ----------
        X : rows as in ``fit``, n of them

        Returns
        -------
        (n, n_labels) bool array, or (n,) array of classes
            Label sets have the type of ``y`` where that was an array of integers.

        Raises
        ------
        ManyLabelError
            For rows of another form than those of the fit.
        NotFittedError
            Before ``fit``.
        """
        model = self._ready()
        S = model.scores(self._rows(X))
        return self.targets_.predicted(model.decided(S), self.targets_.spread(model.probabilities(S)))

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the labels, (n, n_labels) float32; of the classes of binary and multiclass targets."""
        model = self._ready()
        return self.targets_.spread(model.predict_proba(self._rows(X)))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of rows whose labels are all predicted right (subset accuracy), or whose class is.

        Parameters
        ----------
        X, y : as in ``fit``
            Rows with an unknown label are left out.
        sample_weight : (n,) array, optional
        """
        predicted, Y = self.predict(X), self.targets_.matrix(y, self.unknown)
        right = self._right(predicted, y, Y)
        known = Y.unknown.row_counts().cpu().numpy() == 0
        weights = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)[known]
        return float(np.average(right[known], weights=weights))

    def _right(self, predicted: Array, y: Any, Y: LabelMatrix) -> Array:
        if len(predicted) != len(Y):
            raise ManyLabelError("score", "as many rows of X as of y", f"{len(predicted)} and {len(Y)}")
        if self.targets_.kind == "multilabel":
            return np.asarray((predicted.astype(bool) == Y.dense().cpu().numpy().astype(bool)).all(axis=1))
        return np.asarray((self.targets_.matrix(predicted, None).dense() == Y.dense()).all(dim=1).numpy())

    def to_onnx(self, path: str | Path, *, vectors: bool = False) -> None:
        """Write an ONNX file that makes the same probabilities and decisions, without this library.

        Parameters
        ----------
        path, vectors
            As :meth:`manylabel.methods.Predictor.to_onnx` takes them, which says what the file holds.

        Raises
        ------
        ManyLabelError
            For a model that ONNX cannot hold, such as one of scikit-learn; if a package of the extra "export" is
            missing.
        NotFittedError
            Before ``fit``.
        """
        self._ready().to_onnx(path, vectors=vectors)

    def explain_label(self, name: Any) -> LabelExplanation:
        """What is known of a label: ``print`` it.

        Parameters
        ----------
        name : str or int
            One of ``classes_``.

        Raises
        ------
        ManyLabelError
            For no label of the model, and for a model of a study, which keeps no evidence.
        """
        model = self._ready()
        known = (
            [self.targets_.classes[1]] if self.targets_.kind == "binary" else self.targets_.classes.tolist()
        )
        if name not in known:
            told = did_you_mean(str(name), map(str, known), f"Labels: {', '.join(map(str, known[:12]))}.")
            raise ManyLabelError("explain_label", "a label of the model", f"{name!r:.60}", told)
        if model.estimator is None:
            raise ManyLabelError("explain_label", "a model that an estimator trained", "one of a study")
        return self._evidence.explain(model, known.index(name), model.estimator.meta["how"])

    def add(self, X: Any, y: Any) -> Self:
        """Let rows join the neighbours that have a say in the scores, without training.

        Parameters
        ----------
        X : rows as in ``fit``, m of them
        y : (m, n_labels) 0/1 matrix, m label sets, or a frame
            Label sets and frames may bring labels never seen. These are unknown on the rows of the fit, the neighbours
            alone decide on them, at the shared threshold, and they come last in ``classes_``. A label of the fit that a
            frame lacks is unknown.

        Raises
        ------
        ManyLabelError
            If the model has no neighbours, its decision cannot take new labels, or rows or labels do not fit.
        """
        model = self._ready()
        neighbours_of(model)
        if self.targets_.kind != "multilabel":
            raise ManyLabelError("add", "a model of label sets", f"one of {self.targets_.kind} targets")
        targets = self.targets_.widened(y)
        features, Y = self._rows(X), targets.matrix(y, self.unknown)
        check_length(features, Y)
        known = len(model.label_names)
        self.predictor_ = grown(model, features, Y, targets.label_names[known:])
        self.targets_ = targets
        if model.estimator is not None:
            self._evidence = self._evidence.joined(Y)
            told = {name: model.estimator.meta[name] for name in ("how", "quality")}
            self._keep(Rows(features, Y), told, self._evidence.arrays())
        return self

    def _restore(self, kept: Part | None) -> None:
        super()._restore(kept)
        self.how_, self.quality_ = "", {}
        if kept is not None:
            told = kept.meta["quality"].items()
            self.how_ = kept.meta["how"]
            self.quality_ = {name: float("nan") if value is None else value for name, value in told}
            arrays = {name: tensor.numpy() for name, tensor in kept.tensors.items()}
            self._evidence = Evidence.of_arrays(arrays)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
