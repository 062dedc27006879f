"""ONNX files of fitted models: onnxruntime makes the same probabilities and the same decisions of new rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import nn

from manylabel import methods
from manylabel.data import Rows
from manylabel.errors import ManyLabelError
from manylabel.labels import as_labels
from manylabel.methods import Predictor
from manylabel.methods.onnx_export import write_onnx
from manylabel.methods.onnx_graph import CalibrationGraph, tfidf_vectors
from manylabel.metrics import ExpectedF1, Threshold, learn_decision
from manylabel.metrics.calibration_maps import IsotonicMap, LogisticMap
from manylabel.metrics.learnt_calibration import Calibration

CLASSIFY = {"encoder.widths": [16, 8], "classify.stage.epochs": 2, "classify.stage.batch": 16}
PRETRAIN = {"pretrain.stage.epochs": 1, "pretrain.stage.batch": 16, "pretrain.queue": 32, "pretrain.dim": 8}
PICTURES = {
    "images.encoder.widths": [4, 8],
    "images.classify.stage.epochs": 1,
    "images.classify.stage.batch": 16,
}
STACK = {
    "vectors.learners.network.settings.classify.stage.epochs": 2,
    "vectors.learners.network.settings.pretrain.stage.epochs": 1,
    "vectors.learners.network.settings.encoder.widths": [16, 8],
    "vectors.learners.network.rivals.without_contrast": None,
    "vectors.learners.trees.bound.most": 20,
}
N_LABELS = 5


def made(n: int, seed: int, shape: tuple[int, ...] = (12,), kind: str = "vectors") -> tuple[Any, np.ndarray]:
    """Rows and labels that depend on them."""
    rng = np.random.default_rng(seed)
    teacher = np.random.default_rng(9).normal(size=(int(np.prod(shape)), N_LABELS))
    X = rng.normal(size=(n, *shape))
    Y = X.reshape(n, -1) @ teacher > 1
    if kind == "sparse":
        X = sp.csr_matrix(np.where(rng.random(X.shape) < 0.15, np.abs(X), 0).astype(np.float32))
    elif kind == "images":
        X = np.clip(128 + 50 * X, 0, 255).astype(np.uint8)
    elif kind == "wide":
        X = X + 1.7e9  # as a time in seconds: float32 has steps of 128 there
    else:
        X = X.astype(np.float32)
    return X, Y


def text(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 30, size=(n, 12))
    return [" ".join(f"word{w}" for w in row) for row in words], (words[:, :, None] == np.arange(5)).any(1)


def rows_of(X: Any, Y: np.ndarray) -> Rows:
    return Rows(X, as_labels(Y))


def halfway(scorer: Any, X: Any) -> Threshold:
    """Thresholds that about half of the rows pass, whatever so short a training has learnt."""
    return Threshold("per_label", tuple(np.median(scorer.scores(X), axis=0).tolist()))


def assert_the_same(path: Path, scorer: Any, X: Any, fed: np.ndarray, threshold: Threshold) -> None:
    """For one row, for several and for all; float32 probabilities within 1e-5, every decision equal."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    S = scorer.scores(X)
    assert 0.02 < threshold.predict(S).mean() < 0.98  # or equal decisions would say nothing
    for n in (1, 7, len(fed)):
        P, labels = session.run(["probabilities", "labels"], {"X": fed[:n]})
        assert (P.dtype, labels.dtype, P.shape) == (np.float32, bool, (n, N_LABELS))
        np.testing.assert_allclose(P, S[:n], atol=1e-5, rtol=0)
        np.testing.assert_array_equal(labels, threshold.predict(S[:n]))


def fitted(method: str, settings: dict[str, Any], train: Any, validation: Any) -> Any:
    return methods.get(method, **settings).fit(rows_of(*train), rows_of(*validation), seed=0).scorer


CASES = {
    "bce": ("bce", CLASSIFY, "vectors", (12,)),
    "mulsupcon": ("mulsupcon", CLASSIFY | PRETRAIN, "vectors", (12,)),
    "joint": ("joint_mulsupcon", CLASSIFY, "vectors", (12,)),
    "an ensemble": ("bce", CLASSIFY | {"members": 3}, "vectors", (12,)),
    "neighbours among features": ("mulsupcon_knn", CLASSIFY | PRETRAIN, "vectors", (12,)),
    "neighbours that weigh by row": (
        "bce",
        CLASSIFY | {"encoder.name": "resmlp", "neighbours.weight": "per_row", "neighbours.sure": 0.5},
        "vectors",
        (12,),
    ),
    "embedded numbers": ("bce", CLASSIFY | {"encoder.name": "numeric_mlp"}, "vectors", (12,)),
    "neighbours of sparse rows": ("mulsupcon_knn", CLASSIFY | PRETRAIN, "sparse", (100,)),
    "rank-normal columns": ("bce", CLASSIFY | {"inputs.scaling": "rank_normal"}, "vectors", (12,)),
    "TF-IDF of sparse rows": ("bce", CLASSIFY | {"inputs.scaling": "tfidf"}, "sparse", (100,)),
    "singular vectors": ("bce", CLASSIFY | {"inputs.scaling": "lsa"}, "sparse", (100,)),
    "float64 rows": ("bce", CLASSIFY, "wide", (12,)),
    "linear models": ("logistic_regression", {}, "vectors", (12,)),
    "linear models of sparse rows": ("logistic_regression", {}, "sparse", (100,)),
    "linear models of ranks": ("logistic_regression", {"inputs.scaling": "rank_normal"}, "sparse", (100,)),
    "linear models of counts": ("logistic_regression", {"inputs.scaling": "tfidf"}, "sparse", (100,)),
    "decisions of support vectors": ("sklearn.svm.LinearSVC", {}, "vectors", (12,)),
    "extra trees": ("extra_trees", {"parameters.n_estimators": 20}, "vectors", (12,)),
    "extra trees of sparse rows": ("extra_trees", {"parameters.n_estimators": 20}, "sparse", (100,)),
    "extra trees of float64 rows": ("extra_trees", {"parameters.n_estimators": 20}, "wide", (12,)),
    "a random forest": (
        "sklearn.ensemble.RandomForestClassifier",
        {"parameters.n_estimators": 20},
        "vectors",
        (12,),
    ),
    "boosted trees": ("gradient_boosting", {"parameters.n_estimators": 20}, "vectors", (12,)),
    "boosted trees of sparse rows": ("gradient_boosting", {"parameters.n_estimators": 20}, "sparse", (100,)),
    "a stack": ("best", STACK, "vectors", (12,)),
    "a stack of sparse rows": ("best", STACK, "sparse", (100,)),
    "a stack of float64 rows": ("best", STACK, "wide", (12,)),
    "pictures": ("bce", PICTURES, "images", (3, 16, 16)),
    "pictures with neighbours in the representation": ("mulsupcon_knn", PICTURES, "images", (1, 16, 16)),
}


@pytest.mark.parametrize("case", CASES)
def test_onnxruntime_decides_as_torch_does(case: str, tmp_path: Path) -> None:
    method, settings, kind, shape = CASES[case]
    train, validation, (X, _) = (made(n, seed, shape, kind) for n, seed in ((120, 0), (60, 1), (300, 2)))
    scorer = fitted(method, settings, train, validation)
    fresh, _ = made(60, 3, shape, kind)  # a stack learns from validation rows, too, and is surer of them
    threshold = halfway(scorer, fresh)
    if case == "mulsupcon":
        threshold = Threshold("shared", threshold.value[0])  # type: ignore[index]
    write_onnx(tmp_path / "model.onnx", scorer, threshold, [f"label {c}" for c in range(N_LABELS)])
    fed = X.toarray() if sp.issparse(X) else X
    assert_the_same(
        tmp_path / "model.onnx", scorer, X, fed if kind == "wide" else fed.astype(np.float32), threshold
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lamp", "lamp_narrow", "mpvae", "cgmvae", "rbcc", "kmcl"])
@pytest.mark.filterwarnings("ignore:.*fewer than a batch:UserWarning")
def test_methods_of_their_own_networks_decide_as_torch_does(method: str, tmp_path: Path) -> None:
    train, validation, (X, _) = (made(n, seed) for n, seed in ((120, 0), (60, 1), (300, 2)))
    epochs = {"classify.stage.epochs": 3, "classify.stage.batch": 16}
    scorer = fitted(method, epochs, train, validation)
    threshold = halfway(scorer, validation[0])
    write_onnx(tmp_path / "model.onnx", scorer, threshold, list("abcde"))
    assert_the_same(tmp_path / "model.onnx", scorer, X, X, threshold)


def test_only_frequent_columns_of_many_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manylabel.models.inputs.vectors.MOST_FEATURES", 40)
    train, validation, (X, _) = (made(n, seed, (200,), "sparse") for n, seed in ((120, 0), (60, 1), (50, 2)))
    scorer = fitted("bce", CLASSIFY, train, validation)
    assert scorer.inputs.columns.shape == (40,)
    threshold = Threshold("top_k", 2)
    write_onnx(tmp_path / "model.onnx", scorer, threshold, list("abcde"))
    assert_the_same(tmp_path / "model.onnx", scorer, X, X.toarray(), threshold)


def test_texts_are_exported_from_their_vectors_on(tmp_path: Path) -> None:
    train, validation, (X, _) = text(150, 0), text(60, 1), text(80, 2)
    scorer = fitted("mulsupcon_knn", CLASSIFY | PRETRAIN, train, validation)
    threshold = halfway(scorer, validation[0])
    with pytest.raises(ManyLabelError, match=r"expected rows of numbers, but got texts. Pass `vectors=True`"):
        write_onnx(tmp_path / "model.onnx", scorer, threshold, list("abcde"))
    write_onnx(tmp_path / "model.onnx", scorer, threshold, list("abcde"), vectors=True)
    assert_the_same(tmp_path / "model.onnx", scorer, X, tfidf_vectors(scorer, X), threshold)


def test_a_stack_of_texts_is_exported_where_all_its_parts_see_the_same_words(tmp_path: Path) -> None:
    train, validation, (X, _) = text(150, 0), text(60, 1), text(80, 2)
    short = {name.replace("vectors.", "text."): value for name, value in STACK.items()}
    short |= {"learners.boosted": None, "learners.trees": None}
    short["text.learners.shallow_network.settings.classify.stage.epochs"] = 2
    short.pop("text.learners.network.rivals.without_contrast")
    short.pop("text.learners.trees.bound.most")
    by_folds = fitted("best", short, train, validation)
    threshold = halfway(by_folds, validation[0])
    with pytest.raises(ManyLabelError, match="all parts see the same words, but got folds of them"):
        write_onnx(tmp_path / "model.onnx", by_folds, threshold, list("abcde"), vectors=True)
    refitted = {f"learners.{name}.final": "refit" for name in ("network", "shallow_network")}
    scorer = fitted("best", short | refitted, train, validation)
    threshold = halfway(scorer, validation[0])
    write_onnx(tmp_path / "model.onnx", scorer, threshold, list("abcde"), vectors=True)
    assert_the_same(tmp_path / "model.onnx", scorer, X, tfidf_vectors(scorer, X), threshold)


class Own(nn.Module):
    """A network of the caller's own; ``bad`` fixes the number of rows, or draws anew each time."""

    def __init__(self, bad: str = "") -> None:
        super().__init__()
        self.layer, self.bad = nn.Linear(12, 6), bad

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.layer(x))
        if self.bad == "fixed":
            return h[: int(x.sum().abs().sign() * len(x)) or len(x)]
        return h + torch.rand_like(h) if self.bad == "random" else h


def test_a_network_of_the_callers_own_is_exported_or_refused(tmp_path: Path) -> None:
    train, validation, (X, _) = (made(n, seed) for n, seed in ((120, 0), (60, 1), (50, 2)))
    settings = {"classify.stage.epochs": 2, "classify.stage.batch": 16}
    path, threshold = tmp_path / "model.onnx", Threshold("shared", 0.5)
    for bad, message in (
        ("fixed", "expected a network of tensors for any number of rows"),
        ("random", "expected the probabilities that torch computes, but got probabilities that differ by"),
        ("", None),
    ):
        method = methods.get("bce", encoder=Own(bad), **settings)
        scorer = method.fit(rows_of(*train), rows_of(*validation), seed=0).scorer
        if message is None:
            write_onnx(path, scorer, threshold, list("abcde"))
            assert_the_same(path, scorer, X, X, threshold)
            continue
        with pytest.raises(ManyLabelError, match=message):
            write_onnx(path, scorer, threshold, list("abcde"))
        assert not path.exists()


def test_metadata_tell_what_the_columns_are(tmp_path: Path) -> None:
    import onnx

    train, validation = made(120, 0), made(60, 1)
    scorer, names = fitted("bce", CLASSIFY, train, validation), ["a", "<b>", "ä, ü", 'd "e"', "f"]
    write_onnx(tmp_path / "m.onnx", scorer, Threshold("shared", 0.5), names, about={"method": "bce"})
    model = onnx.load(tmp_path / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    told = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert told == {"manylabel.label_names": names, "manylabel.method": "bce"}
    sizes = {
        value.name: value.type.tensor_type.shape.dim for value in (*model.graph.input, *model.graph.output)
    }
    assert {name: (d[0].dim_param, d[1].dim_value) for name, d in sizes.items()} == {
        "X": ("n", 12),
        "probabilities": ("n", 5),
        "labels": ("n", 5),
    }


def test_the_model_itself_stays_as_it_was(tmp_path: Path) -> None:
    train, validation = made(120, 0), made(60, 1)
    scorer = fitted("bce", CLASSIFY, train, validation)
    before = scorer.scores(validation[0])
    write_onnx(tmp_path / "m.onnx", scorer, Threshold("shared", 0.5), list("abcde"))
    np.testing.assert_array_equal(scorer.scores(validation[0]), before)
    assert scorer.module.training is False


def test_a_label_that_no_training_row_carries_has_a_constant_score(tmp_path: Path) -> None:
    X, Y = made(120, 0)
    Y[:, 2] = False
    scorer = fitted("extra_trees", {"parameters.n_estimators": 5}, (X, Y), (X, Y))
    write_onnx(tmp_path / "m.onnx", scorer, Threshold("shared", 0.5), list("abcde"))
    assert_the_same(tmp_path / "m.onnx", scorer, X, X, Threshold("shared", 0.5))


def test_other_estimators_of_scikit_learn_are_refused_by_name(tmp_path: Path) -> None:
    scorer = fitted("sklearn.naive_bayes.GaussianNB", {}, made(120, 0), made(60, 1))
    with pytest.raises(ManyLabelError, match=r"expected linear models.*got GaussianNB.*skl2onnx"):
        write_onnx(tmp_path / "m.onnx", scorer, Threshold("shared", 0.5), list("abcde"))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = fitted("bce", CLASSIFY, made(120, 0), made(60, 1))
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ManyLabelError, match=r"expected the package onnxscript.*'manylabel\[export\]'"):
        write_onnx(tmp_path / "m.onnx", scorer, Threshold("shared", 0.5), list("abcde"))


@pytest.mark.parametrize("n", [50])
def test_neighbours_too_many_for_a_file_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    scorer = fitted("mulsupcon_knn", CLASSIFY | PRETRAIN, made(120, 0), made(60, 1))
    monkeypatch.setattr("manylabel.methods.onnx_graph.MOST_BYTES", 4 * n * 17)
    with pytest.raises(ManyLabelError, match="got neighbours among 120 training rows of 12 numbers"):
        write_onnx(tmp_path / "m.onnx", scorer, Threshold("shared", 0.5), list("abcde"))


def test_neighbours_of_which_many_are_as_near_are_refused_with_what_to_do(tmp_path: Path) -> None:
    X, Y = made(120, 0)
    few = np.eye(X.shape[1], dtype=np.float32)[np.arange(120) % 3]
    scorer = methods.get("neighbour_votes").fit(*[Rows(few, as_labels(Y))] * 2).scorer
    with pytest.raises(ManyLabelError, match=r"probabilities that differ by .*as near as one another"):
        write_onnx(tmp_path / "m.onnx", scorer, Threshold("shared", 0.5), list("abcde"))
    assert not (tmp_path / "m.onnx").exists()


def test_calibrated_probabilities_are_part_of_the_file(tmp_path: Path) -> None:
    """Maps of all kinds, scores beyond their knots and at 0 and 1."""
    import onnxruntime

    train, validation, (X, _) = (made(n, seed) for n, seed in ((120, 0), (60, 1), (300, 2)))
    scorer = fitted("bce", CLASSIFY, train, validation)
    rising = np.linspace(0.49, 0.51, 7)
    maps = (
        LogisticMap(1.0, 0.0),
        LogisticMap(1.7, -0.4),
        IsotonicMap(rising, rising**2),
        IsotonicMap(rising[:1], rising[:1]),
    )
    of = np.array([0, 1, 2, 3, 2])
    calibration = Calibration(
        maps, of, ("identity", "platt", "isotonic", "isotonic"), np.ones(5, dtype=np.int64)
    )
    threshold = halfway(scorer, validation[0])
    write_onnx(tmp_path / "m.onnx", scorer, threshold, list("abcde"), calibration=calibration)
    session = onnxruntime.InferenceSession((tmp_path / "m.onnx").read_bytes())
    P, labels = session.run(["probabilities", "labels"], {"X": X})
    S = scorer.scores(X)
    assert ((S[:, 2] < 0.49) | (S[:, 2] > 0.51)).any()
    np.testing.assert_allclose(P, calibration(S), atol=1e-5, rtol=0)
    np.testing.assert_array_equal(labels, threshold.predict(S))
    edges = np.repeat([[0.0], [1.0], [1e-9], [0.49], [0.5]], 5, axis=1)
    mapped = CalibrationGraph(calibration)(torch.from_numpy(edges))
    np.testing.assert_allclose(mapped.numpy(), calibration(edges), atol=1e-6)
    with pytest.raises(ManyLabelError, match="expected a calibration learnt here, but got function"):
        write_onnx(tmp_path / "m.onnx", scorer, threshold, list("abcde"), calibration=halfway)


def test_a_predictor_is_exported_with_its_thresholds_also_after_it_was_loaded(tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    train, validation, (X, _) = (made(n, seed) for n, seed in ((300, 0), (100, 1), (300, 2)))
    settings = CLASSIFY | {"classify.stage.epochs": 20, "classify.stage.lr": 0.01}
    predictor = methods.get("bce", **settings).fit(
        rows_of(*train), rows_of(*validation), label_names=list("abcde")
    )
    predictor.save(tmp_path / "model")
    for made_of in (predictor, Predictor.load(tmp_path / "model")):
        made_of.to_onnx(tmp_path / "m.onnx")
        session = onnxruntime.InferenceSession((tmp_path / "m.onnx").read_bytes())
        P, labels = session.run(["probabilities", "labels"], {"X": X})
        np.testing.assert_allclose(P, predictor.predict_proba(X), atol=1e-5, rtol=0)
        np.testing.assert_array_equal(labels, predictor.predict(X))
        assert 0.05 < labels.mean() < 0.95
    S, Y = predictor.scores(validation[0]), rows_of(*validation).Y
    predictor.decision = learn_decision("per_label", S, Y, np.arange(100) % 3)
    predictor.to_onnx(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession((tmp_path / "m.onnx").read_bytes())
    np.testing.assert_array_equal(session.run(["labels"], {"X": X})[0], predictor.predict(X))
    predictor.decision = ExpectedF1()
    with pytest.raises(ManyLabelError, match="expected a decision by thresholds, but got ExpectedF1"):
        predictor.to_onnx(tmp_path / "m.onnx")
    predictor.decision = made_of.decision
    predictor.to_onnx(tmp_path / "m.onnx")
    with pytest.raises(ManyLabelError, match="expected a model of texts, but got one of shape"):
        predictor.vectors(X)
    told = {e.key: json.loads(e.value) for e in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert told["manylabel.label_names"] == list("abcde")
    assert told["manylabel.method"] == "bce"
    assert told["manylabel.input"] == {"kind": "vectors", "form": predictor.schema.form}
    threshold = {"rule": "shared", "value": predictor.decision.value, "note": ""}  # type: ignore[attr-defined]
    assert told["manylabel.thresholds"] == threshold
    assert told["manylabel.versions"]["torch"] == torch.__version__
