"""Scorers, calibrations and thresholds as one network of tensors alone, which ONNX can hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from manylabel.errors import ManyLabelError
from manylabel.methods.ensemble import EnsembleScorer
from manylabel.methods.knn_interpolation import NeighbourScorer
from manylabel.methods.label_network import LabelNetworkScorer
from manylabel.methods.onnx_estimators import of_estimators
from manylabel.methods.part import Scorer
from manylabel.methods.scorer import NetworkScorer
from manylabel.methods.sklearn_baseline import SklearnBaselineScorer
from manylabel.methods.stacking.common_scale import NEAREST as NEAREST_OF_STACK
from manylabel.methods.stacking.scorer import StackScorer
from manylabel.metrics import Decision, LearntThresholds, Threshold
from manylabel.metrics.calibration_maps import IsotonicMap, LogisticMap
from manylabel.metrics.learnt_calibration import Calibration
from manylabel.metrics.log_odds import NEAREST
from manylabel.models import Preprocessor
from manylabel.models.inputs.images import ImagePreprocessor
from manylabel.models.inputs.lsa import LsaPreprocessor
from manylabel.models.inputs.tfidf import TextPreprocessor
from manylabel.models.inputs.vectors import VectorPreprocessor

MOST_BYTES = 2**31 - 2**20
"""Of a file: Protocol Buffers hold no more."""


class Graph(nn.Module, ABC):
    """A scorer on raw rows.

    Attributes
    ----------
    inputs : Preprocessor
        Of the rows that it takes.
    """

    inputs: Preprocessor

    def raw(self, X: Tensor) -> Tensor:
        """Rows as they come, (n, *form) -> as ``Preprocessor.dense`` makes them."""
        return _dense_rows(self.inputs, X)

    @abstractmethod
    def represent(self, X: Tensor) -> Tensor:
        """Representations, (n, H)."""


def _dense_rows(inputs: Preprocessor, X: Tensor) -> Tensor:
    """Rows as they come as a preprocessor makes them dense."""
    if isinstance(inputs, LsaPreprocessor):
        return inputs.projected(_dense_rows(inputs.inner, X))
    columns = getattr(inputs, "columns", None)
    if columns is not None:
        return X.index_select(1, columns)
    return X / 255 if isinstance(inputs, ImagePreprocessor) else X


class NetworkGraph(Graph):
    """Standardisation, encoder, classifier."""

    def __init__(self, scorer: NetworkScorer) -> None:
        super().__init__()
        self.inputs, self.encoder, self.classifier = scorer.inputs, scorer.encoder, scorer.classifier

    def represent(self, X: Tensor) -> Tensor:
        h: Tensor = self.encoder(self.inputs(self.raw(X)))  # (n, H)
        return h

    def forward(self, X: Tensor) -> Tensor:
        return torch.sigmoid(self.classifier(self.represent(X)))  # (n, n_labels)


class LabelNetworkGraph(Graph):
    """Standardisation and a network that makes the probabilities itself."""

    def __init__(self, scorer: LabelNetworkScorer) -> None:
        super().__init__()
        self.inputs, self.network = scorer.inputs, scorer.network

    def represent(self, X: Tensor) -> Tensor:
        return self.network.represent(self.inputs(self.raw(X)))

    def forward(self, X: Tensor) -> Tensor:
        return self.network.probabilities(self.inputs(self.raw(X))).float()


class EnsembleGraph(Graph):
    """The mean of the members' probabilities."""

    def __init__(self, scorer: EnsembleScorer) -> None:
        super().__init__()
        parts = [of_scorer(member) for member in scorer.members]
        self.members, self.inputs = _on_same_words(parts), _widest(parts)

    def represent(self, X: Tensor) -> Tensor:
        return torch.cat([member.represent(X) for member in self.members], 1)  # type: ignore[operator]

    def forward(self, X: Tensor) -> Tensor:
        return torch.stack([member(X) for member in self.members]).mean(0)


class NeighbourGraph(Graph):
    """A scorer, averaged with the labels of the nearest training rows, which the graph holds."""

    rows: Tensor
    labels: Tensor

    def __init__(self, scorer: NeighbourScorer) -> None:
        super().__init__()
        self.alone, self.settings = of_scorer(scorer.scorer), scorer.settings
        self.inputs = self.alone.inputs
        self.near_inputs, self.sparse = scorer.inputs, sp.issparse(scorer.rows)
        if scorer.unknown is not None or scorer.n_labels > scorer.scorer.n_labels:
            hint = "Export the method without neighbours."
            raise ManyLabelError(
                "ONNX", "neighbours whose labels are all known", "some that are unknown", hint
            )
        shapes = scorer.rows.shape, scorer.labels.shape
        if 4 * sum(n * width for n, width in shapes) > MOST_BYTES:
            got = f"neighbours among {shapes[0][0]} training rows of {shapes[0][1]} numbers"
            hint = "Export the method without neighbours, or train on fewer rows."
            raise ManyLabelError("ONNX", "a model that fits in a file of 2 GB", got, hint)
        self.register_buffer("rows", _unit(_dense(scorer.rows)))  # (N, F)
        self.register_buffer("labels", _dense(scorer.labels))  # (N, n_labels)
        self.k = min(scorer.settings.k, len(self.rows))

    def represent(self, X: Tensor) -> Tensor:
        return self.alone.represent(X)

    def forward(self, X: Tensor) -> Tensor:
        cosines = _unit(self._near(X)) @ self.rows.T  # (n, N)
        nearest, which = cosines.topk(self.k, dim=1)  # (n, k)
        shares = torch.softmax(nearest / self.settings.temperature, dim=1)
        votes = torch.zeros_like(cosines).scatter(1, which, shares) @ self.labels  # (n, n_labels)
        alone: Tensor = self.alone(X)
        w: Any = self.settings.weight
        if w == "per_row":
            w = torch.where(alone >= self.settings.sure, votes, 1.0).amin(1, keepdim=True)
        P: Tensor = (1 - w) * alone + w * votes
        return P

    def _near(self, X: Tensor) -> Tensor:
        """What rows are compared in; sparse ones as they are, as in training."""
        if self.near_inputs is None:
            return self.alone.represent(X)
        return self.near_inputs.as_matrix(_dense_rows(self.near_inputs, X), self.sparse)


class EstimatorGraph(Graph):
    """Estimators of scikit-learn or LightGBM on rows as they were fitted on; other labels have constant scores."""

    constant: Tensor
    varying: Tensor

    def __init__(self, scorer: SklearnBaselineScorer) -> None:
        super().__init__()
        self.inputs, self.sparse = scorer.inputs, scorer.sparse
        constant = torch.from_numpy(scorer.constant)
        self.register_buffer("varying", constant.isnan().nonzero().squeeze(1))
        self.register_buffer("constant", constant.nan_to_num())
        self.estimators = of_estimators(scorer.estimators, scorer.together) if len(self.varying) else None

    def represent(self, X: Tensor) -> Tensor:
        return self.inputs.as_matrix(self.raw(X), self.sparse)  # (n, F)

    def forward(self, X: Tensor) -> Tensor:
        P = self.constant.expand(X.shape[0], -1)  # (n, n_labels)
        if self.estimators is None:
            return P.clone()
        found = self.estimators(self.represent(X)).float().clamp(0, 1)
        return P.index_copy(1, self.varying, found)


class FewerWords(Graph):
    """A part that knows some of the words, on TF-IDF vectors of more of them."""

    columns: Tensor

    def __init__(self, part: Graph, columns: Tensor) -> None:
        super().__init__()
        self.part, self.inputs = part, part.inputs
        self.register_buffer("columns", columns)

    def _own(self, X: Tensor) -> Tensor:
        """Vectors of the own words, of length 1 again, (n, n_words) -> (n, n_own)."""
        return _unit(X.index_select(1, self.columns))

    def represent(self, X: Tensor) -> Tensor:
        return self.part.represent(self._own(X))

    def forward(self, X: Tensor) -> Tensor:
        P: Tensor = self.part(self._own(X))
        return P


class StackGraph(Graph):
    """Learners on a common scale, combined by the weights of a stack; in float64, as the weights are."""

    share: Tensor
    base: Tensor
    weights: Tensor

    def __init__(self, scorer: StackScorer) -> None:
        super().__init__()
        frequency, n_labels = scorer.frequency, len(scorer.frequency.share)
        if scorer.n_labels > n_labels:
            hint = "Export the model as it was before labels joined."
            raise ManyLabelError(
                "ONNX", "a model that was trained on all its labels", "labels that joined", hint
            )
        parts = [of_scorer(learner) for learner in scorer.learners.values()]
        self.learners, self.inputs = _on_same_words(parts), _widest(parts)
        self.represents = list(scorer.learners).index(scorer.represents)
        self.rests_on = list(scorer.rests_on.values())
        coefficients = torch.from_numpy(scorer.stack.of_labels(frequency))  # (M + 2, n_labels)
        share = torch.from_numpy(frequency.share)
        self.register_buffer("share", share)
        self.register_buffer("base", coefficients[0] + coefficients[1] * torch.logit(share))
        self.register_buffer("weights", coefficients[2:].clone())

    def represent(self, X: Tensor) -> Tensor:
        return self.learners[self.represents].represent(X)  # type: ignore[operator,no-any-return]

    def forward(self, X: Tensor) -> Tensor:
        z = self.base.expand(X.shape[0], -1)  # (n, n_labels)
        for learner, k, w in zip(self.learners, self.rests_on, self.weights, strict=True):
            p = learner(X).double()
            drawn = p if k is None else (k * p + self.share) / (k + 1)
            inside = drawn.clamp(NEAREST_OF_STACK, 1 - NEAREST_OF_STACK)
            z = z + w * (inside.log() - torch.log1p(-inside))
        return torch.sigmoid(z).float()


class CalibrationGraph(nn.Module):
    """Scores -> probabilities, each label by its map; in float64, as log-odds near 0 and 1 need its digits."""

    slope: Tensor
    intercept: Tensor

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        maps, of = calibration.maps, torch.as_tensor(calibration.map_of)
        lines = [(m.slope, m.intercept) if isinstance(m, LogisticMap) else (1.0, 0.0) for m in maps]
        of_label = torch.tensor(lines, dtype=torch.float64)[of]  # (n_labels, 2)
        self.register_buffer("slope", of_label[:, 0].clone())
        self.register_buffer("intercept", of_label[:, 1].clone())
        self.steps = nn.ModuleList(
            Steps(m, (of == number).nonzero().squeeze(1))
            for number, m in enumerate(maps)
            if isinstance(m, IsotonicMap)
        )

    def forward(self, S: Tensor) -> Tensor:
        s = S.double()  # (n, n_labels)
        inside = s.clamp(NEAREST, 1 - NEAREST)
        P = torch.sigmoid(self.slope * (inside.log() - torch.log1p(-inside)) + self.intercept)
        for step in self.steps:
            P = step(s, P)
        return P.float()


class Steps(nn.Module):
    """An isotonic map of some labels: linear between knots, level outside of them."""

    knots: Tensor
    values: Tensor
    labels: Tensor

    def __init__(self, of: IsotonicMap, labels: Tensor) -> None:
        super().__init__()
        self.register_buffer("knots", torch.tensor(of.knots, dtype=torch.float64))  # (k,)
        self.register_buffer("values", torch.tensor(of.values, dtype=torch.float64))
        self.register_buffer("labels", labels)

    def forward(self, s: Tensor, P: Tensor) -> Tensor:
        """``P`` (n, n_labels) with the columns of these labels replaced."""
        s = s.index_select(1, self.labels)
        # ONNX has no binary search: the knots below a score are counted.
        above = (s[..., None] > self.knots).sum(-1)
        left, right = (above - 1).clamp_min(0), above.clamp_max(len(self.knots) - 1)
        x0, x1, y0, y1 = self.knots[left], self.knots[right], self.values[left], self.values[right]
        share = (s - x0) / torch.where(x1 > x0, x1 - x0, torch.ones_like(x0))
        return P.index_copy(1, self.labels, y0 + share.clamp(0, 1) * (y1 - y0))


class Decisions(nn.Module):
    """Raw rows -> probabilities and labels.

    Parameters
    ----------
    graph : Graph
    threshold : Threshold
        Of the scores.
    calibrated : nn.Module
        Scores -> probabilities.
    """

    value: Tensor

    def __init__(self, graph: Graph, threshold: Threshold, calibrated: nn.Module) -> None:
        super().__init__()
        self.scorer, self.calibrated = graph, calibrated  # "graph" is taken in what torch exports
        self.top_k = int(threshold.value) if threshold.rule == "top_k" else None  # type: ignore[arg-type]
        # In the type of the scores, as the threshold compares them.
        self.register_buffer("value", torch.tensor(threshold.value, dtype=torch.float32))

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
        S = self.scorer(X)  # (n, n_labels)
        if self.top_k is None:
            return self.calibrated(S), self.value <= S
        highest = S.topk(min(self.top_k, S.shape[1]), dim=1).indices
        return self.calibrated(S), torch.zeros_like(S).scatter(1, highest, 1.0) > 0


_GRAPHS: dict[type[Any], Callable[[Any], Graph]] = {
    NetworkScorer: NetworkGraph,
    LabelNetworkScorer: LabelNetworkGraph,
    EnsembleScorer: EnsembleGraph,
    NeighbourScorer: NeighbourGraph,
    SklearnBaselineScorer: EstimatorGraph,
    StackScorer: StackGraph,
}


def of_scorer(scorer: Scorer) -> Graph:
    """The graph of a scorer.

    Raises
    ------
    ManyLabelError
        For a scorer that no graph can hold, such as most estimators of scikit-learn.
    """
    make = _GRAPHS.get(type(scorer))
    if make is None:
        hint = "Export a method such as bce or best."
        raise ManyLabelError(
            "ONNX", "a model of networks, linear models or trees", f"a {type(scorer).__name__}", hint
        )
    return make(scorer)


def of_calibration(calibration: Any) -> nn.Module:
    """What makes probabilities of scores.

    Raises
    ------
    ManyLabelError
        For a calibration that is not this library's own.
    """
    if calibration is None:
        return nn.Identity()
    if not isinstance(calibration, Calibration):
        hint = "Export the model without it, and calibrate its scores afterwards."
        raise ManyLabelError("ONNX", "a calibration learnt here", type(calibration).__name__, hint)
    return CalibrationGraph(calibration)


def threshold_of(decision: Decision) -> Threshold:
    """The thresholds by which a model decides.

    Raises
    ------
    ManyLabelError
        For a decision about whole label sets.
    """
    if isinstance(decision, LearntThresholds):
        return Threshold("per_label", tuple(decision.values.tolist()))
    if not isinstance(decision, Threshold):
        hint = "Export the model with thresholds, and decide by its probabilities afterwards."
        raise ManyLabelError("ONNX", "a decision by thresholds", type(decision).__name__, hint)
    return decision


def example(inputs: Preprocessor, vectors: bool) -> Tensor:
    """Two rows of zeros as the graph takes them.

    Raises
    ------
    ManyLabelError
        For texts, unless they enter as vectors.
    """
    inputs = _of_features(inputs)
    if isinstance(inputs, TextPreprocessor) and not vectors:
        hint = "Pass `vectors=True`: the model then takes TF-IDF vectors, as predictor.vectors(texts) makes them."
        raise ManyLabelError("ONNX", "rows of numbers", "texts", hint)
    raw = getattr(inputs, "raw_features", None)
    shape = getattr(inputs, "rows", inputs.shape) if raw is None else (raw,)
    dtype = inputs.dtype if isinstance(inputs, VectorPreprocessor) else torch.float32
    return torch.zeros(2, *shape, dtype=dtype)


def tfidf_vectors(scorer: Scorer, X: Any) -> np.ndarray[Any, Any]:
    """Texts as a graph takes them, (n, n_words) float32.

    Raises
    ------
    ManyLabelError
        For a model of other rows.
    """
    inputs = _of_features(of_scorer(scorer).inputs)
    if not isinstance(inputs, TextPreprocessor):
        raise ManyLabelError(
            "vectors", "a model of texts", f"one of {inputs.form}", "Pass its rows as they are."
        )
    found: np.ndarray[Any, Any] = inputs.dense(X).numpy()
    return found


def _of_features(inputs: Preprocessor) -> Preprocessor:
    """What makes the features of rows: of singular vectors their own preprocessor, else this one."""
    return inputs.inner if isinstance(inputs, LsaPreprocessor) else inputs


def _widest(parts: Sequence[Graph]) -> Preprocessor:
    """What makes the rows of a model of several parts: of texts, what knows the most words."""
    inputs = [part.inputs for part in parts]
    return max(
        inputs, key=lambda own: _of_features(own).shape[0] * isinstance(_of_features(own), TextPreprocessor)
    )


def _on_same_words(parts: Sequence[Graph]) -> nn.ModuleList:
    """Parts of a model on the TF-IDF vectors of the part that knows the most words.

    Raises
    ------
    ManyLabelError
        If another part was fitted on other texts, as those of different folds are: the same word weighs more or less.
    """
    inputs = [_of_features(part.inputs) for part in parts]
    texts = [own for own in inputs if isinstance(own, TextPreprocessor)]
    if not texts:
        return nn.ModuleList(parts)
    widest = max(texts, key=lambda own: len(own.words.vocabulary)).words
    places = {word: place for place, word in enumerate(widest.vocabulary)}
    made: list[Graph] = []
    for part, own in zip(parts, inputs, strict=True):
        assert isinstance(own, TextPreprocessor), "rows of one kind"
        columns = torch.tensor([places.get(word, -1) for word in own.words.vocabulary])
        if (columns < 0).any() or not torch.equal(widest.idf[columns], own.words.idf):
            networks = "`learners.network.final` and `learners.shallow_network.final`"
            hint = f'Train it with {networks} as "refit" (and `members` as 1).'
            raise ManyLabelError("ONNX", "texts of which all parts see the same words", "folds of them", hint)
        made.append(part if len(columns) == len(places) else FewerWords(part, columns))
    return nn.ModuleList(made)


def _dense(matrix: Any) -> Tensor:
    dense = matrix.toarray() if sp.issparse(matrix) else matrix
    return torch.from_numpy(np.ascontiguousarray(dense, dtype=np.float32))


def _unit(x: Tensor) -> Tensor:
    """Rows of length 1; those of zeros stay."""
    norms = x.norm(dim=1, keepdim=True)
    return x / torch.where(norms > 0, norms, torch.ones_like(norms))
