"""Estimators in folders and pickles: the same to the bit elsewhere, without a device, resumed after a stop."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier
from tests.estimator.small import SHORT, small
from torch import nn

from manylabel import MultiLabelClassifier, MultiLabelEmbedder
from manylabel.errors import ManyLabelError
from manylabel.training import Progress

X, Y = small(80)
NAMED = pandas.DataFrame(X, columns=list("uvwxyz"))
FRAME = pandas.DataFrame({"u": X[:, 0], "v": ["red", None, "blue", "red"] * 20, "w": X[:, 2]})


def fit(
    X: Any = X, y: Any = Y, folder: Any = None, progress: Any = None, **parameters: Any
) -> MultiLabelClassifier:
    parameters = {"method": "bce", "settings": SHORT, "validation": 0.25, "random_state": 0} | parameters
    return MultiLabelClassifier(**parameters).fit(X, y, folder=folder, progress=progress)


MODELS: dict[str, Any] = {
    "matrix": lambda: (fit(), X),
    "integers": lambda: (fit(y=Y.astype(int)), X),
    "names": lambda: (fit(y=[{f"tag {c}" for c in np.flatnonzero(row)} for row in Y]), X),
    "binary": lambda: (fit(y=np.array(["no", "yes"])[Y[:, 0].astype(int)]), X),
    "several classes": lambda: (fit(y=np.digitize(X[:, 0], [-0.4, 0.4])), X),
    "a table": lambda: (fit(FRAME), FRAME),
    "named columns": lambda: (
        fit(pandas.DataFrame(X, columns=list("uvwxyz"))),
        pandas.DataFrame(X, columns=list("uvwxyz")),
    ),
    "neighbours": lambda: (fit(settings=SHORT | {"neighbours.k": 3}), X),
    "expected F1": lambda: (fit(thresholds="expected_f1"), X),
    "seen sets": lambda: (fit(thresholds="seen_sets"), X),
    "scikit-learn": lambda: (fit(method="sklearn.linear_model.LogisticRegression", settings=None), X),
}


def same(first: Any, second: Any, X: Any) -> None:
    for ask in ("predict", "predict_proba", "transform"):
        one, other = getattr(first, ask)(X), getattr(second, ask)(X)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert list(first.classes_) == list(second.classes_)
    for name in ("n_features_in_", "feature_names_in_"):
        assert hasattr(first, name) == hasattr(second, name)
    known = first.classes_[-1]
    assert str(first.explain_label(known)) == str(second.explain_label(known))


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_is_the_same_to_the_bit_and_so_is_a_pickled_one(name: str, tmp_path: Path) -> None:
    model, rows = MODELS[name]()
    model.save(tmp_path / "model")
    same(model, MultiLabelClassifier.load(tmp_path / "model"), rows)
    same(model, pickle.loads(pickle.dumps(model)), rows)


def test_a_model_that_was_read_is_cloned_and_trained_again_as_it_was(tmp_path: Path) -> None:
    model = fit(random_state=np.int64(3), settings=SHORT | {"encoder.widths": (8,)}, thresholds="expected_f1")
    model.save(tmp_path / "model")
    read = MultiLabelClassifier.load(tmp_path / "model")
    parameters = read.get_params()
    assert (parameters["method"], parameters["random_state"], parameters["validation"]) == ("bce", 3, 0.25)
    assert (parameters["thresholds"], parameters["settings"]["encoder.widths"]) == ("expected_f1", [8])
    same(clone(read).fit(X, Y), model, X)
    assert MultiLabelEmbedder.load(tmp_path / "model").settings == parameters["settings"]
    drawn = fit(random_state=np.random.RandomState(0), validation=(X[:20], Y[:20]))  # neither is kept
    drawn.save(tmp_path / "drawn")
    parameters = MultiLabelClassifier.load(tmp_path / "drawn").get_params()
    assert (parameters["random_state"], parameters["validation"], parameters["settings"]) == (
        None,
        None,
        SHORT,
    )


def test_a_pickle_holds_no_device_and_no_network_of_ours() -> None:
    content = pickle.dumps(fit(settings=SHORT | {"neighbours.k": 3}))
    for name in (b"cuda", b"NetworkScorer", b"manylabel.models", b"torch.nn"):
        assert name not in content


def test_another_process_predicts_the_same(tmp_path: Path) -> None:
    model = fit()
    model.save(tmp_path / "model")
    np.save(tmp_path / "X.npy", X)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    code = """
import pickle, sys, numpy as np
from manylabel import MultiLabelClassifier
X = np.load(sys.argv[1] + "/X.npy")
read = MultiLabelClassifier.load(sys.argv[1] + "/model")
unpickled = pickle.load(open(sys.argv[1] + "/model.pickle", "rb"))
np.savez(sys.argv[1] + "/found.npz", read=read.predict_proba(X), unpickled=unpickled.predict_proba(X))
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    with np.load(tmp_path / "found.npz") as found:
        np.testing.assert_array_equal(found["read"], model.predict_proba(X))
        np.testing.assert_array_equal(found["unpickled"], model.predict_proba(X))


def test_a_network_of_ones_own_is_copied_kept_in_pickles_and_given_again_to_a_folder(tmp_path: Path) -> None:
    own = nn.Sequential(nn.Linear(6, 8), nn.Tanh())
    settings = {name: value for name, value in SHORT.items() if "encoder" not in name}
    before = own[0].weight.detach().clone()
    model = fit(encoder=own, settings=settings)
    assert torch.equal(own[0].weight, before)
    same(model, pickle.loads(pickle.dumps(model)), X)
    model.save(tmp_path)
    same(model, MultiLabelClassifier.load(tmp_path, encoder=own), X)
    with pytest.raises(ManyLabelError, match="Pass `encoder`"):
        MultiLabelClassifier.load(tmp_path)


def test_a_folder_tampered_with_is_refused(tmp_path: Path) -> None:
    fit().save(tmp_path)
    path = tmp_path / "model.json"
    body = json.loads(path.read_text())
    body["parts"]["estimator"]["meta"]["target"] = "binary"
    path.write_text(json.dumps(body))
    with pytest.raises(ManyLabelError, match="another content than was written"):
        MultiLabelClassifier.load(tmp_path)


def test_the_embedder_is_saved_and_pickled_too(tmp_path: Path) -> None:
    embedder = MultiLabelEmbedder("bce", settings=SHORT, random_state=0).fit(X, Y)
    embedder.save(tmp_path)
    for again in (MultiLabelEmbedder.load(tmp_path), pickle.loads(pickle.dumps(embedder))):
        np.testing.assert_array_equal(again.transform(X), embedder.transform(X))
    near = embedder.transform(X).astype(np.float64)
    apart = np.linalg.norm(near[:, None] - near[None], axis=-1)
    shared = (Y[:, None] & Y[None]).any(-1)
    off = ~np.eye(80, dtype=bool)
    assert apart[shared & off].mean() < apart[~shared & off].mean()


class Stopped(Exception):
    """The kill."""


def test_a_fit_that_was_stopped_goes_on_in_its_folder(tmp_path: Path) -> None:
    told: list[Progress] = []

    def stop_late(progress: Progress) -> None:
        told.append(progress)
        if progress.stage.startswith("fold-2") and progress.epoch == 4:
            raise Stopped

    with pytest.raises(Stopped):
        fit(validation=None, folder=tmp_path, progress=stop_late)
    again: list[Progress] = []
    model = fit(validation=None, folder=tmp_path, progress=again.append)
    trained = {one.stage for one in again if one.step < one.steps}  # and not merely read
    assert trained == {f"{name} train" for name in ("fold-2", "fold-3", "fold-4", "model")}
    assert told[0].stages == tuple(f"{name} train" for name in (*(f"fold-{k}" for k in range(5)), "model"))
    same(model, fit(validation=None), X)


def test_a_scikit_learn_classifier_is_made_a_multi_label_one() -> None:
    model = fit(method="sklearn.neighbors.KNeighborsClassifier", settings={"parameters.n_neighbors": 3})
    plain = KNeighborsClassifier(3)
    assert model.predict_proba(X).shape == Y.shape
    assert model.score(X, Y) >= 0.5 * plain.fit(X, Y).score(X, Y)


def test_an_estimator_becomes_an_onnx_file_that_decides_the_same(tmp_path: Path) -> None:
    import onnxruntime

    X, Y = small(60)
    model = MultiLabelClassifier("bce", settings=SHORT, random_state=0)
    with pytest.raises(NotFittedError):
        model.to_onnx(tmp_path / "m.onnx")
    model.fit(X, Y).to_onnx(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    probabilities, labels = session.run(["probabilities", "labels"], {"X": X})
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(labels, model.predict(X))
    nearest = MultiLabelClassifier("sklearn.neighbors.KNeighborsClassifier", random_state=0).fit(X, Y)
    with pytest.raises(ManyLabelError, match=r"ONNX.*KNeighborsClassifier"):
        nearest.to_onnx(tmp_path / "n.onnx")
    assert not (tmp_path / "n.onnx").exists()


def test_trees_become_an_onnx_file_that_decides_the_same(tmp_path: Path) -> None:
    import onnxruntime

    X, Y = small(60)
    trees = MultiLabelClassifier("extra_trees", random_state=0).fit(X, Y)
    trees.to_onnx(tmp_path / "t.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "t.onnx"))
    probabilities, labels = session.run(["probabilities", "labels"], {"X": X})
    np.testing.assert_allclose(probabilities, trees.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(labels, trees.predict(X))
