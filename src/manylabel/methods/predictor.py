"""Predictors: a scorer with all that it needs to decide, which can be saved, and loaded somewhere else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from torch import nn

from manylabel import files
from manylabel.data.rows import Features, as_features
from manylabel.errors import ManyLabelError
from manylabel.methods import hub, model_folder
from manylabel.methods.model_card import model_card
from manylabel.methods.model_folder import Contents, Schema
from manylabel.methods.part import Scorer
from manylabel.methods.restore import restore
from manylabel.methods.thresholds import Thresholds
from manylabel.methods.versions import versions

Array = np.ndarray[Any, Any]


class Calibration(Protocol):
    """Turns scores into probabilities that can be taken at their word."""

    def __call__(self, S: Array) -> Array:
        """(n, n_labels) scores in [0, 1] -> (n, n_labels) probabilities."""
        ...

    def to_json(self) -> dict[str, Any]:
        """What it is made from again; its "type" is a key of :data:`CALIBRATIONS`."""
        ...


CALIBRATIONS: dict[str, Callable[[dict[str, Any]], Calibration]] = {}
"""By the "type" of their JSON: what makes a calibration again."""


class Predictor:
    """A trained method: scores, embeddings, probabilities and predicted labels of rows that it has never seen.

    Parameters
    ----------
    scorer : Scorer
    label_names : sequence of n_labels str
    thresholds : Thresholds
        Thresholds of the scores.
    schema : Schema
        Kind and form of the rows that it takes.
    recipe : mapping
        The settings of the method, resolved; they fit in JSON.
    calibration : Calibration or None, default None

    Raises
    ------
    ManyLabelError
        For label names that are no texts, of which two are equal, or of another number than the scorer's labels.
    """

    def __init__(
        self,
        scorer: Scorer,
        label_names: Sequence[str],
        thresholds: Thresholds,
        schema: Schema,
        recipe: Mapping[str, Any],
        calibration: Calibration | None = None,
    ) -> None:
        self.scorer, self.thresholds, self.schema = scorer, thresholds, schema
        self.label_names, self.recipe = checked_names(label_names, scorer.n_labels), dict(recipe)
        self.calibration = calibration

    def scores(self, X: Any) -> Array:
        """Scores as the method makes them, (n, n_labels) float32 in [0, 1]; thresholds are compared with these.

        Parameters
        ----------
        X : rows like the training rows, n of them
            Whatever :class:`manylabel.data.Rows` takes as features; n may be 0.

        Raises
        ------
        ManyLabelError
            If the rows do not have the form of the training rows, or hold anything but finite numbers.
        """
        return self.scorer.scores(self._read(X))

    def embed(self, X: Any) -> Array:
        """Representations of rows, (n, H) float32."""
        return self.scorer.embed(self._read(X))

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the labels, (n, n_labels) float32: the scores, calibrated where there is a calibration."""
        S = self.scores(X)
        return S if self.calibration is None else np.asarray(self.calibration(S), dtype=np.float32)

    def predict(self, X: Any) -> Array:
        """Predicted labels, (n, n_labels) bool.

        Scores are compared with the threshold that was best for macro-F1 on the validation rows;
        ``thresholds.by_metric`` has those of other metrics, ``thresholds.note`` says where none could be learnt.
        """
        return self.thresholds.predict(self.scores(X))

    def save(self, folder: str | Path) -> None:
        """Write a model folder: JSON and safetensors files, without code in them.

        Parameters
        ----------
        folder : str or Path
            It is made where it is missing; a model in it is replaced in one step.

        Raises
        ------
        ManyLabelError
            If the folder cannot be written or holds other files, or a scikit-learn estimator holds something that
            cannot be written without code. The predictor stays as it is.
        """
        contents = Contents(
            recipe=self.recipe,
            label_names=self.label_names,
            input=self.schema,
            thresholds=self.thresholds.to_json(),
            calibration=None if self.calibration is None else self.calibration.to_json(),
        )
        files.as_path(folder, "save, folder")
        model_folder.write(folder, contents, self.scorer.part())

    @classmethod
    def load(cls, folder: str | Path, encoder: nn.Module | None = None) -> Self:
        """Read what :meth:`save` wrote; nothing is unpickled, and no code of the folder is run.

        Parameters
        ----------
        folder : str or Path
        encoder : nn.Module, optional
            The network, for a model that was trained with a network of the caller's own; it is copied.

        Returns
        -------
        Predictor
            On the same machine its scores are the same to the bit.

        Raises
        ------
        ManyLabelError
            If there is no model; if it is damaged, incomplete, of another version or made to do harm; or if it needs
            ``encoder`` and none is given.
        """
        record, part = model_folder.read(folder)
        scorer, n_labels = restore(part, encoder, str(folder)), len(record.label_names)
        try:
            thresholds = Thresholds.of_json(record.thresholds, n_labels)
            calibration = _calibration(record.calibration)
        except (KeyError, TypeError, AttributeError) as error:
            got = f"one of another version ({type(error).__name__}: {str(error)[:100]})"
            raise ManyLabelError(str(folder), "a model of this version", got) from error
        return cls(scorer, record.label_names, thresholds, record.input, record.recipe, calibration)

    def to_onnx(self, path: str | Path, *, vectors: bool = False) -> None:
        """Write an ONNX file that makes the same probabilities and decisions, without this library.

        It takes ``X`` (n, ...), raw rows as in training, float32 (float64 where the training rows were), pictures from
        0 to 255; it gives ``probabilities`` (n, n_labels) float32 and ``labels`` (n, n_labels) bool. Metadata under
        ``manylabel.NAME`` hold, in JSON, ``label_names``, ``method``, ``input``, ``thresholds`` and ``versions``.

        Parameters
        ----------
        path : str or Path
        vectors : bool, default False
            Of a model of texts: it takes their TF-IDF vectors, as :meth:`vectors` makes them.

        Raises
        ------
        ManyLabelError
            For a model that ONNX cannot hold, such as one of scikit-learn; if a package of the extra "export" is
            missing; or where onnxruntime computes something else, and nothing is written then.
        """
        from manylabel.methods.onnx_export import write_onnx

        about = {**self._facts(), "thresholds": self.thresholds.to_json()}
        decides = self.thresholds.by_metric[self.thresholds.used]
        calibration = self.calibration
        write_onnx(
            path,
            self.scorer,
            decides,
            self.label_names,
            calibration=calibration,
            vectors=vectors,
            about=about,
        )

    def save_with_card(
        self,
        folder: str | Path,
        *,
        data: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Mapping[str, float | None]] | None = None,
        place: str | None = None,
    ) -> None:
        """Save, with a model card ``README.md`` beside the model.

        Parameters
        ----------
        folder : str or Path
        data : mapping, optional
            What to tell of the training rows, such as ``{"name": ..., "digest": ..., "rows": ...}``.
        metrics : mapping of protocol to mapping of metric to value, optional
            Such as ``{evaluation.protocol: evaluation.values}`` of :func:`manylabel.metrics.evaluate`.
        place : str, optional
            Where the card says that the model is; by default the folder.

        Raises
        ------
        ManyLabelError
            As :meth:`save`; or if the package of the extra "hub" is missing.
        """
        hub.require("save_with_card")
        told = {"labels": len(self.label_names), **(data or {})}
        card = model_card(
            place or str(folder), self.label_names, self.thresholds, self._facts(), told, metrics or {}
        )
        self.save(folder)
        files.write(Path(folder) / hub.CARD, card.encode())

    def push_to_hub(
        self,
        repo_id: str,
        *,
        data: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Mapping[str, float | None]] | None = None,
        private: bool = True,
        message: str = "Upload of a manylabel model",
    ) -> str:
        """Upload the model folder with a model card to the Hugging Face hub.

        Parameters
        ----------
        repo_id : str
            ``"owner/name"``; it is made where it is missing. A model that is there is replaced.
        data, metrics
            As :meth:`save_with_card` takes them.
        private : bool, default True
            Of a repository that is made.
        message : str
            Of the commit.

        Returns
        -------
        str
            The address of the commit.

        Raises
        ------
        ManyLabelError
            If the hub cannot be reached or refuses, or the package of the extra "hub" is missing.
        """
        hub.require("push_to_hub")
        with tempfile.TemporaryDirectory() as folder:
            self.save_with_card(folder, data=data, metrics=metrics, place=repo_id)
            return hub.upload(Path(folder), repo_id, private, message)

    @classmethod
    def from_hub(
        cls, repo_id_or_folder: str | Path, *, revision: str | None = None, encoder: nn.Module | None = None
    ) -> Self:
        """Load a model from the Hugging Face hub, or from a folder; nothing is unpickled and no code is run.

        Parameters
        ----------
        repo_id_or_folder : str or Path
            A folder that is there, else ``"owner/name"``.
        revision : str, optional
            Branch, tag or commit.
        encoder : nn.Module, optional
            As :meth:`load` takes it.

        Raises
        ------
        ManyLabelError
            As :meth:`load`; or if there is no such repository, or it cannot be reached.
        """
        folder = files.as_path(repo_id_or_folder, "from_hub")
        return cls.load(
            folder if folder.is_dir() else hub.download(str(repo_id_or_folder), revision), encoder
        )

    def _facts(self) -> dict[str, Any]:
        """What the model is, beside its parts."""
        return {"method": self.recipe.get("name"), "input": self.schema.model_dump(), "versions": versions()}

    def vectors(self, X: Any) -> Array:
        """TF-IDF vectors of texts, (n, n_words) float32, for a file of :meth:`to_onnx`."""
        from manylabel.methods.onnx_graph import tfidf_vectors

        return tfidf_vectors(self.scorer, self._read(X))

    def _read(self, X: Any) -> Features:
        return as_features(X)


def _calibration(told: dict[str, Any] | None) -> Calibration | None:
    if told is None:
        return None
    make = CALIBRATIONS.get(told["type"])
    if make is None:
        hint = "Read it with the version that wrote it."
        raise ManyLabelError(
            "calibration", f"a type of {sorted(CALIBRATIONS)}", f"{told['type']!r:.60}", hint
        )
    return make(told)


def checked_names(names: Sequence[str] | None, n_labels: int) -> tuple[str, ...]:
    """Names of labels, each another text; "label 0", "label 1", ... where none are given.

    Raises
    ------
    ManyLabelError
        For another number of names than labels, a name that is no text, and one that comes twice.
    """
    if names is None:
        return tuple(f"label {c}" for c in range(n_labels))
    who, hint = "`label_names`", "Give each label a name of its own."
    found = () if isinstance(names, str) else tuple(names)
    if not found or not all(isinstance(name, str) for name in found):
        raise ManyLabelError(who, "a list of texts", f"{names!r:.60}", hint)
    if len(found) != n_labels:
        raise ManyLabelError(who, f"{n_labels} names, one for each label", str(len(found)), hint)
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ManyLabelError(who, "names that all differ", f"{twice!r:.60} more than once", hint)
    return found
