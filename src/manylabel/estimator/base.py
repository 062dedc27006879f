"""What the estimators share: reading, training, the model folder, pickles that hold no device."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from manylabel import files, methods
from manylabel.data import Rows, Schema, Table
from manylabel.errors import ManyLabelError
from manylabel.estimator.fitting import Fitting, checked_share
from manylabel.estimator.targets import Targets, read_targets
from manylabel.estimator.validation import Arranged, arranged, read_features, read_groups, read_weights
from manylabel.labels import LabelMatrix
from manylabel.methods import HeldOut, Predictor
from manylabel.methods.base import as_device
from manylabel.methods.estimator_state import NotWritten
from manylabel.methods.model_folder import Contents
from manylabel.methods.part import Part
from manylabel.training import Listener

Array: TypeAlias = "np.ndarray[Any, Any]"

_OF_THE_CALL = ("encoder", "device", "verbose")  # of where it runs; rows held out stay with the caller, too
_REQUIRES_Y = "requires y to be passed, but the target y is None"


class Fitted(NamedTuple):
    """What a training leaves an estimator.

    Attributes
    ----------
    rows : Arranged
    held_out : HeldOut or None
    """

    rows: Arranged
    held_out: HeldOut | None


class Estimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Parameters are stored as they come and looked at in ``fit``; what was learnt ends in ``_``."""

    method: Any
    encoder: nn.Module | str | None
    settings: Mapping[str, Any] | None
    validation: Any
    class_names: Sequence[Any] | None
    unknown: float | None
    random_state: Any
    device: str
    verbose: int

    predictor_: Predictor
    targets_: Targets
    balance_: float

    @property
    def name(self) -> str:
        return type(self).__name__

    def _train(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any,
        groups: Any,
        folder: str | Path | None,
        progress: Listener | None,
        decide: bool,
    ) -> Fitted:
        """Read everything, train, and keep the model."""
        features = read_features(self, X, reset=True)
        if isinstance(X, Table):
            y = X if y is None else y
            groups = table_groups(X.groups) if groups is None else groups
            sample_weight = X.weights if sample_weight is None else sample_weight
        if y is None:
            raise ManyLabelError(self.name, "labels", f"none: it {_REQUIRES_Y}")
        self.targets_, Y = read_targets(y, self.class_names, self.unknown)
        check_length(features, Y)
        n = len(Y)
        given = arranged(features, Y, read_weights(sample_weight, Y.shape), read_groups(groups, n))
        _check_classes(self.targets_, given.rows.Y)
        fitting = self._fitting(folder, progress)
        given = given._replace(rows=fitting.method.encoded(given.rows, self.device))
        decide = decide and (self.targets_.kind == "multilabel" or self._calibrates)
        validation = self._validation()
        if isinstance(validation, Rows):
            validation = fitting.method.encoded(validation, self.device)
        self.predictor_, held_out, self.balance_ = fitting.fit(given.rows, given.groups, validation, decide)
        if (names := getattr(self, "feature_names_in_", None)) is not None:
            self.predictor_.keep_origin(tuple(names.tolist()), {})
        return Fitted(given, held_out)

    @property
    def _calibrates(self) -> bool:
        return False

    def _fitting(self, folder: str | Path | None, progress: Listener | None) -> Fitting:
        if not isinstance(self.method, str):
            hint = "A classifier of scikit-learn goes by its import path, such as 'sklearn.svm.LinearSVC'."
            raise ManyLabelError(
                "`method`", "the name of a method, or the path of a recipe", f"{self.method!r:.60}", hint
            )
        if not isinstance(self.settings, Mapping | None):
            hint = 'Such as {"classify.stage.epochs": 20}.'
            raise ManyLabelError(
                "`settings`", "a mapping of dotted names to values", f"{self.settings!r:.60}", hint
            )
        as_device(self.device, self.name)
        settings = {str(name): value for name, value in (self.settings or {}).items()}
        return Fitting(
            methods.get(self.method, encoder=self.encoder, **settings),
            seed_of(self.random_state),
            self.targets_.label_names,
            self.device,
            None if folder is None else files.usable_folder(folder, "fit, folder"),
            progress,
            print if self.verbose else lambda line: None,
        )

    def _validation(self) -> Rows | float | None:
        """Held-out rows, or their share, as `validation` asks for them."""
        if not isinstance(self.validation, tuple | list):
            return checked_share(self.validation)
        if len(self.validation) != 2:
            raise ManyLabelError(
                "`validation`", "the pair (X, y) of held-out rows", f"{len(self.validation)} parts"
            )
        X, y = self.validation
        features, Y = (
            read_features(self, X, reset=False),
            self.targets_.matrix(y, self.unknown, "`validation`, y"),
        )
        check_length(features, Y)
        return Rows(features, Y)

    def transform(self, X: Any) -> Array:
        """Embeddings: rows that share labels lie close.

        Parameters
        ----------
        X : rows as in ``fit``, n of them

        Returns
        -------
        (n, H) float32 array

        Raises
        ------
        ManyLabelError
            For rows of another form than those of the fit.
        NotFittedError
            Before ``fit``.
        """
        return self._ready().embed(self._rows(X))

    @property
    def _n_features_out(self) -> int:
        """H, for the names of embedded columns."""
        return int(self.predictor_.estimator.meta["width"]) if self.predictor_.estimator else 0

    def _ready(self) -> Predictor:
        check_is_fitted(self, "predictor_")
        return self.predictor_

    def _rows(self, X: Any) -> Any:
        return read_features(self, X, reset=False)

    def save(self, folder: str | Path) -> None:
        """Write the model folder: JSON and safetensors files, without code in them.

        Parameters
        ----------
        folder : str or Path
            It is made where it is missing; a model in it is replaced in one step.

        Raises
        ------
        ManyLabelError
            If the folder cannot be written or holds other files, or something in the model cannot be written without
            code.
        NotFittedError
            Before ``fit``.
        """
        self._ready().save(folder)

    @classmethod
    def load(cls, folder: str | Path, *, encoder: nn.Module | str | None = None) -> Self:
        """Read what :meth:`save`, a command or a study wrote; nothing is unpickled, and no code of the folder is run.

        The parameters are those of the fit, so that ``sklearn.base.clone`` trains the same again, but for the encoder,
        the device and what a file cannot hold: a random generator, held-out rows.

        Parameters
        ----------
        folder : str or Path
        encoder : nn.Module or str, optional
            The network, for a model that was trained with a network of the caller's own; or where a frozen encoder is
            now that the model was trained with.

        Raises
        ------
        ManyLabelError
            If there is no model, or it is damaged, incomplete or of another version; or its frozen encoder is gone or
            has changed.
        """
        predictor = Predictor.load(folder, encoder)
        frozen = predictor.encoder and predictor.encoder.settings.encoder
        made = cls(method=str(predictor.recipe.get("name", "best")), encoder=encoder or frozen)
        made.predictor_ = predictor
        try:
            made._restore(predictor.estimator)
            kept = predictor.estimator.meta.get("parameters", {}) if predictor.estimator else {}
            made.set_params(**{name: kept[name] for name in cls._get_param_names() if name in kept})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            got = f"another ({type(error).__name__}: {str(error)[:200]})"
            hint = "Read it with the version that wrote it, or train again."
            raise ManyLabelError(str(folder), "an estimator of this version", got, hint) from error
        return made

    def _restore(self, kept: Part | None) -> None:
        """Take what :meth:`_told` kept; of the model of a study, what its label names say."""
        if kept is None:
            names = np.array(self.predictor_.label_names, dtype=object)
            self.targets_, self.balance_ = Targets("multilabel", names), float("nan")
            return
        told = kept.meta
        classes = np.array(told["classes"], dtype=told["classes_dtype"])
        self.targets_, self.balance_ = (
            Targets(told["target"], classes, told["dtype"]),
            told["balance"] or float("nan"),
        )
        if told["n_features_in"] is not None:
            self.n_features_in_ = int(told["n_features_in"])
        if told["feature_names_in"] is not None:
            self.feature_names_in_ = np.array(told["feature_names_in"], dtype=object)
        if told["schema"] is not None:
            self.schema_ = Schema.from_json(told["schema"])

    def _told(self) -> dict[str, Any]:
        """What a model folder keeps of the estimator, beside the model: fits in JSON."""
        names, schema = getattr(self, "feature_names_in_", None), getattr(self, "schema_", None)
        classes, balance = self.targets_.classes, self.balance_
        return {
            "parameters": self._kept_parameters(),
            "target": self.targets_.kind,
            "classes": classes.tolist(),
            "classes_dtype": classes.dtype.str,
            "dtype": self.targets_.dtype,
            "balance": None if np.isnan(balance) else balance,
            "n_features_in": getattr(self, "n_features_in_", None),
            "feature_names_in": None if names is None else names.tolist(),
            "schema": None if schema is None else schema.to_json(),
        }

    def _kept_parameters(self) -> dict[str, Any]:
        """Those that say how to train again, so that a model that was read is cloned as what it is."""
        kept = {}
        for name, value in self.get_params(deep=False).items():
            if name in _OF_THE_CALL or (name == "validation" and not isinstance(value, int | float | None)):
                continue
            with suppress(AttributeError, TypeError, ValueError):  # a generator, say
                kept[name] = _as_json(value)
        return kept

    def _keep(self, rows: Rows, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        """Put what the estimator keeps into the predictor, so that it is saved with it."""
        width = self.predictor_.embed(rows.X.take(slice(0, 1))).shape[1]
        tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        self.predictor_.estimator = Part("estimator", {**self._told(), **meta, "width": width}, tensors)

    def __getstate__(self) -> dict[str, Any]:
        """Without a device: tensors on the CPU, and no code but that of scikit-learn estimators of one's own."""
        state = dict(super().__getstate__())
        if "predictor_" in state:
            try:
                contents, parts = state["predictor_"].pieces()
                state["predictor_"] = contents, {name: _on_cpu(part) for name, part in parts.items()}
            except NotWritten:  # nothing of torch is in it
                pass
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = state.get("predictor_")
        if isinstance(kept, tuple):
            contents, parts = kept
            assert isinstance(contents, Contents)
            state = {**state, "predictor_": Predictor.of_pieces(contents, parts, state["encoder"], self.name)}
        super().__setstate__(state)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "predictor_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.input_tags.three_d_array = False
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _on_cpu(part: Part) -> Part:
    tensors = {name: tensor.detach().cpu() for name, tensor in part.tensors.items()}
    return Part(part.type, part.meta, tensors, {name: _on_cpu(inner) for name, inner in part.parts.items()})


def _as_json(value: Any) -> Any:
    """A parameter as JSON gives it back: arrays as lists, tuples as lists.

    Raises
    ------
    TypeError, ValueError
        If it holds what JSON does not.
    """
    return json.loads(json.dumps(value, allow_nan=False, default=lambda inner: inner.tolist()))


def seed_of(random_state: Any) -> int:
    try:
        return int(check_random_state(random_state).randint(2**31 - 1))
    except ValueError as error:
        raise ManyLabelError(
            "`random_state`", "None, an integer or a RandomState", f"{random_state!r:.60}"
        ) from error


def table_groups(groups: Array | None) -> Array | None:
    """The groups of a table, a row without one alone."""
    if groups is None:
        return None
    alone = groups < 0
    return np.where(alone, groups.max() + 1 + np.cumsum(alone), groups)


def check_length(features: Any, Y: LabelMatrix) -> None:
    """Refuse other numbers of rows than of labels."""
    if len(features) != len(Y):
        got = f"{len(features)} rows of X and {len(Y)} of y"
        raise ManyLabelError("fit", "as many rows of X as of y", got, "Pass the same rows of both.")


def _check_classes(targets: Targets, Y: LabelMatrix) -> None:
    """Refuse binary and multiclass targets of which weights left one class."""
    if targets.kind == "multilabel":
        return
    carried = Y.label_counts().cpu().numpy()
    n_classes = int((carried > 0).sum()) + int(targets.kind == "binary" and carried[0] < len(Y))
    if n_classes < 2:
        raise ManyLabelError("y", "rows of at least two classes with a weight above 0", "1 class")
