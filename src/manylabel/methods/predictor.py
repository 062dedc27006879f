"""Predictors: a scorer with all that it needs to decide, which can be saved, and loaded somewhere else."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, overload

import numpy as np
from torch import nn

from manylabel import files
from manylabel.data.rows import Features, as_features, raw_rows
from manylabel.errors import ManyLabelError
from manylabel.methods import hub, model_folder
from manylabel.methods.decision import calibration_of, decision_of, part_of
from manylabel.methods.frozen import opened_again
from manylabel.methods.held_out import HeldOut
from manylabel.methods.model_card import model_card
from manylabel.methods.model_folder import Contents, Schema
from manylabel.methods.part import Part, Scorer
from manylabel.methods.restore import restore
from manylabel.methods.scorer import top_scores
from manylabel.methods.setting_paths import anywhere
from manylabel.methods.stacking.evidence import StackEvidence
from manylabel.methods.stacking.scorer import StackScorer
from manylabel.methods.versions import versions
from manylabel.metrics import Calibration, Decision, StreamedScores, TopScores
from manylabel.metrics.inputs import check_k
from manylabel.models.frozen import FrozenEncoder

Array = np.ndarray[Any, Any]


class Predictor:
    """A trained method: scores, embeddings, probabilities and predicted labels of rows that it has never seen.

    Parameters
    ----------
    scorer : Scorer
    label_names : sequence of n_labels str
    decision : Decision
        Turns scores, or calibrated probabilities where it wants these, into label sets.
    schema : Schema
        Kind and form of the rows that it takes.
    recipe : mapping
        The settings of the method, resolved; they fit in JSON.
    calibration : Calibration or None, default None
    note : str, default ""
        What a reader of the decisions should know, such as why nothing could be learnt.
    estimator : Part or None, default None
        What :mod:`manylabel.estimator` keeps beside.
    held_out : HeldOut or None, default None
        Held-out scores of the training rows, of a method that cross-fits itself; a model folder does not keep them.
    encoder : FrozenEncoder or None, default None
        What makes vectors of rows before they are scored.

    Raises
    ------
    ManyLabelError
        For label names that are no texts, of which two are equal, or of another number than the scorer's labels.
    """

    def __init__(
        self,
        scorer: Scorer,
        label_names: Sequence[str],
        decision: Decision,
        schema: Schema,
        recipe: Mapping[str, Any],
        calibration: Calibration | None = None,
        note: str = "",
        estimator: Part | None = None,
        held_out: HeldOut | None = None,
        encoder: FrozenEncoder | None = None,
    ) -> None:
        self.scorer, self.decision, self.schema, self.note = scorer, decision, schema, note
        self.label_names, self.recipe = checked_names(label_names, scorer.n_labels), dict(recipe)
        self.calibration, self.estimator, self.held_out = calibration, estimator, held_out
        self.encoder = encoder

    def keep_origin(self, feature_names: tuple[str, ...] | None, reading: Mapping[str, Any]) -> None:
        """Keep what the file of the training rows said of them beside their numbers, so that new rows are read alike.

        Parameters
        ----------
        feature_names : tuple of n_features str, or None
            New rows that name their features have to have the same.
        reading : mapping
            Settings of the reader, see :attr:`manylabel.data.DataSet.reading`.
        """
        update = {"feature_names": feature_names, "reading": dict(reading)}
        self.schema = self.schema.model_copy(update=update)

    @property
    def evidence(self) -> StackEvidence | None:
        """What held-out rows say of the learners of a stack; None of other methods."""
        return self.scorer.evidence if isinstance(self.scorer, StackScorer) else None

    @overload
    def scores(self, X: Any) -> Array: ...

    @overload
    def scores(self, X: Any, *, top: int) -> TopScores: ...

    def scores(self, X: Any, *, top: int | None = None) -> Array | TopScores:
        """Scores as the method makes them, (n, n_labels) float32 in [0, 1]; a threshold is compared with these.

        Parameters
        ----------
        X : rows like the training rows, n of them
            Whatever :class:`manylabel.data.Rows` takes as features; n may be 0.
        top : int, optional
            Give the so many highest scores of each row alone; no array of all scores is made.

        Raises
        ------
        ManyLabelError
            If the rows do not have the form of the training rows, or hold anything but finite numbers, and for a
            ``top`` that is no integer from 1 to the number of labels.
        """
        rows = self.read(X)
        if top is None:
            return self.scorer.scores(rows)
        check_k(top, self.scorer.n_labels, "scores, `top`")
        return top_scores(self.scorer.scores, rows, self.scorer.n_labels, top)

    def embed(self, X: Any) -> Array:
        """Representations of rows, (n, H) float32."""
        return self.scorer.embed(self.read(X))

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the labels, (n, n_labels) float32: the scores, calibrated where there is a calibration."""
        return self.probabilities(self.scores(X))

    def predict(self, X: Any) -> Array:
        """Predicted labels, (n, n_labels) bool.

        ``decision`` turns scores into label sets as held-out rows taught it; ``note`` says where they could not.
        """
        return self.decided(self.scores(X))

    def probabilities(self, S: Array) -> Array:
        """Probabilities of scores that were made already, (n, n_labels) -> (n, n_labels) float32."""
        return S if self.calibration is None or not len(S) else self.calibration(S)

    def decided(self, S: Array) -> Array:
        """Predicted labels of scores that were made already, (n, n_labels) -> (n, n_labels) bool."""
        if not len(S):
            return np.zeros(S.shape, dtype=bool)
        return self.decision.predict(self.probabilities(S) if self.decision.wants_probabilities else S)

    def streamed(self, X: Any) -> tuple[StreamedScores, StreamedScores, StreamedScores]:
        """Scores, probabilities and predicted labels of rows, each made a block of rows at a time."""
        rows = self.read(X)
        shape = len(rows), self.scorer.n_labels

        def scores(part: slice) -> Array:
            return self.scorer.scores(rows.take(part))

        made = (
            scores,
            lambda part: self.probabilities(scores(part)),
            lambda part: self.decided(scores(part)),
        )
        return tuple(StreamedScores(each, shape) for each in made)  # type: ignore[return-value]

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
        files.as_path(folder, "save, folder")
        model_folder.write(folder, *self.pieces())

    def pieces(self) -> tuple[Contents, dict[str, Part]]:
        """Everything that it is made of, as JSON and tensors, which :meth:`of_pieces` reads.

        Raises
        ------
        ManyLabelError
            If a scikit-learn estimator holds something that cannot be written without code.
        """
        contents = Contents(
            recipe=anywhere(self.recipe), label_names=self.label_names, input=self.schema, note=self.note
        )
        parts = {"scorer": self.scorer.part(), "decision": part_of(self.decision)}
        if self.calibration is not None:
            parts["calibration"] = part_of(self.calibration)
        if self.estimator is not None:
            parts["estimator"] = self.estimator
        if self.encoder is not None:
            parts["encoder"] = Part("frozen_encoder", self.encoder.meta(), self.encoder.tensors())
        return contents, parts

    @classmethod
    def of_pieces(
        cls,
        contents: Contents,
        parts: Mapping[str, Part],
        encoder: nn.Module | str | None = None,
        who: str = "predictor",
    ) -> Self:
        """The predictor that :meth:`pieces` took apart; it scores the same.

        Raises
        ------
        ManyLabelError
            If pieces lack, are of another version, or need ``encoder`` and none is given.
        """
        n_labels = len(contents.label_names)
        lacking = {"scorer", "decision"} - parts.keys()
        if lacking:
            got = f"one without {' and '.join(sorted(lacking))}"
            raise ManyLabelError(who, "a model of this version", got, "Train and save again.")
        place = encoder if isinstance(encoder, str) else None
        scorer = restore(parts["scorer"], None if isinstance(encoder, str) else encoder, who)
        frozen = (
            None if "encoder" not in parts else opened_again(parts["encoder"], contents.input.kind, place)
        )
        decision = decision_of(parts["decision"], n_labels)
        calibration = calibration_of(parts["calibration"], n_labels) if "calibration" in parts else None
        return cls(
            scorer,
            contents.label_names,
            decision,
            contents.input,
            contents.recipe,
            calibration,
            contents.note,
            parts.get("estimator"),
            encoder=frozen,
        )

    @classmethod
    def load(cls, folder: str | Path, encoder: nn.Module | str | None = None) -> Self:
        """Read what :meth:`save` wrote; nothing is unpickled, and no code of the folder is run.

        Parameters
        ----------
        folder : str or Path
        encoder : nn.Module or str, optional
            The network, for a model that was trained with a network of the caller's own; it is copied. Or where a
            frozen encoder is now that the model was trained with.

        Returns
        -------
        Predictor
            On the same machine its scores are the same to the bit.

        Raises
        ------
        ManyLabelError
            If there is no model; if it is damaged, incomplete, of another version or made to do harm; or if it needs
            ``encoder`` and none is given, or a frozen encoder that is gone or has changed.
        """
        return cls.of_pieces(*model_folder.read(folder), encoder, str(folder))

    def to_onnx(self, path: str | Path, *, vectors: bool = False) -> None:
        """Write an ONNX file that makes the same probabilities and decisions, without this library.

        It takes ``X`` (n, ...), raw rows as in training, float32 (float64 where the training rows were), pictures from
        0 to 255; it gives ``probabilities`` (n, n_labels) float32 and ``labels`` (n, n_labels) bool. Metadata under
        ``manylabel.NAME`` hold, in JSON, ``label_names``, ``method``, ``input``, ``thresholds`` and ``versions``.

        Parameters
        ----------
        path : str or Path
        vectors : bool, default False
            Of a model of texts, or one with a frozen encoder: it takes the vectors that :meth:`vectors` makes.

        Raises
        ------
        ManyLabelError
            For a model that ONNX cannot hold, such as naive Bayes or one that decides by whole label sets; if a
            package of the extra "export" is
            missing; or where onnxruntime computes something else, and nothing is written then.
        """
        from manylabel.methods.onnx_export import write_onnx
        from manylabel.methods.onnx_graph import threshold_of

        if self.encoder is not None and not vectors:
            hint = "Pass `vectors=True`: the file then takes what the method `vectors` makes of rows."
            raise ManyLabelError("to_onnx", "a model without a frozen encoder", "one with", hint)
        threshold = threshold_of(self.decision)
        told = {"rule": threshold.rule, "value": threshold.value, "note": self.note}
        write_onnx(
            path,
            self.scorer,
            threshold,
            self.label_names,
            calibration=self.calibration,
            vectors=vectors and self.encoder is None,
            about={**self._facts(), "thresholds": told},
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
            place or str(folder),
            self.label_names,
            (self.decision, self.note),
            self._facts(),
            told,
            metrics or {},
            self.evidence,
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
        cls,
        repo_id_or_folder: str | Path,
        *,
        revision: str | None = None,
        encoder: nn.Module | str | None = None,
    ) -> Self:
        """Load a model from the Hugging Face hub, or from a folder; nothing is unpickled and no code is run.

        Parameters
        ----------
        repo_id_or_folder : str or Path
            A folder that is there, else ``"owner/name"``.
        revision : str, optional
            Branch, tag or commit.
        encoder : nn.Module or str, optional
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
        told = {} if self.evidence is None else {"learners": self.evidence.sentence()}
        method = {"method": self.recipe.get("name"), **told}
        return {**method, "input": self.schema.model_dump(exclude_defaults=True), "versions": versions()}

    def vectors(self, X: Any) -> Array:
        """TF-IDF vectors of texts, or those of the frozen encoder, (n, H) float32, for a file of :meth:`to_onnx`."""
        if self.encoder is not None:
            return np.asarray(self.encoder.encoded(as_features(X)).vectors)
        from manylabel.methods.onnx_graph import tfidf_vectors

        return tfidf_vectors(self.scorer, self.read(X))

    def read(self, X: Any) -> Features:
        """Rows as the scorer takes them: as they are, or their vectors where there is a frozen encoder."""
        found = as_features(X)
        if self.encoder is None:
            return raw_rows(found)
        encoded = self.encoder.encoded(found)
        return encoded if isinstance(self.scorer, StackScorer) else encoded.vectors


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
