"""Predictors: scores, probabilities and decisions; saved, loaded elsewhere, the same to the bit."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.methods.small_vectors import SMALL, STAGE
from tests.methods.test_model_folder import rewritten
from tests.training.small_run import rows
from torch import nn

from manylabel import LabelMatrix, metrics
from manylabel.data import Rows
from manylabel.errors import ManyLabelError
from manylabel.methods import Predictor, get

TINY = {
    "encoder.widths": [8],
    "classify.stage.epochs": 6,
    "classify.stage.batch": 16,
    "classify.stage.lr": 0.01,
}
NAMES = ("sea", "sun", "sand", "<b>sky</b>")
TRAIN, VALIDATION, NEW = rows(120, 0), rows(60, 1), rows(50, 2)


def fit(method: str = "bce", **settings: Any) -> Predictor:
    own = TINY if method == "bce" else {}
    return get(method, **(own | settings)).fit(TRAIN, VALIDATION, label_names=NAMES)


def test_a_fit_leaves_everything_that_predicting_needs() -> None:
    made = fit()
    assert made.label_names == NAMES
    assert (made.schema.kind, made.schema.form) == ("vectors", "shape (10,)")
    assert (made.recipe["name"], made.recipe["classify"]["stage"]["epochs"]) == ("bce", 6)
    scores = made.scores(NEW.X)
    assert made.predict_proba(NEW.X).dtype == np.float32
    np.testing.assert_array_equal(made.predict_proba(NEW.X), scores)
    assert get("bce", **TINY).fit(TRAIN, VALIDATION).label_names == tuple(f"label {c}" for c in range(4))


def test_the_threshold_is_that_of_the_tuned_protocol() -> None:
    made = fit()
    held_out = (made.scores(VALIDATION.X), VALIDATION.Y)
    found = metrics.evaluate(made.scores(NEW.X), NEW.Y, protocol="tuned", validation=held_out)
    learnt = found.thresholds["macro_f1"]
    assert made.decision == metrics.Threshold("shared", learnt)
    predicted = made.predict(NEW.X)
    assert predicted.dtype == bool
    np.testing.assert_array_equal(predicted, made.scores(NEW.X) >= np.float32(learnt))
    assert metrics.Counts.of(predicted, NEW.Y).macro_f1() == found.values["macro_f1"]


@pytest.mark.parametrize(
    ("method", "Y", "told"),
    [
        ("bce", torch.zeros(60, 4), "no validation row carries a label"),
        ("logistic_regression", torch.full((60, 4), 0.3), "are soft"),
    ],
)
def test_where_nothing_can_be_learnt_the_threshold_is_a_half_and_the_folder_says_so(
    method: str, Y: torch.Tensor, told: str, tmp_path: Path
) -> None:
    settings = TINY if method == "bce" else {}
    made = get(method, **settings).fit(TRAIN, Rows(VALIDATION.X, LabelMatrix.of(Y)))
    assert told in made.note
    np.testing.assert_array_equal(made.predict(NEW.X), made.scores(NEW.X) >= 0.5)
    made.save(tmp_path / "model")
    assert told in json.loads((tmp_path / "model" / "model.json").read_text())["note"]
    again = Predictor.load(tmp_path / "model")
    assert (again.decision, again.note) == (made.decision, made.note)


def test_no_rows_are_predicted_too() -> None:
    made = fit()
    assert made.predict(NEW.X.values[:0]).shape == made.predict_proba(NEW.X.values[:0]).shape == (0, 4)


METHODS: dict[str, Callable[[], Predictor]] = {
    "bce": fit,
    "members beside neighbours": lambda: fit(members=2, **{"neighbours.k": 3}),
    "neighbours in the representation": lambda: fit(**{"neighbours.among": "representation"}),
    "a label network": lambda: get("lamp", **(STAGE | SMALL["lamp"])).fit(
        TRAIN, VALIDATION, label_names=NAMES
    ),
    "a scikit-learn baseline": lambda: fit("extra_trees", **{"parameters.n_estimators": 5}),
    "a scikit-learn baseline beside neighbours": lambda: fit("logistic_regression", **{"neighbours.k": 3}),
    "LightGBM": lambda: fit("gradient_boosting", **{"parameters.n_estimators": 5}),
}
ELSEWHERE = """
import sys, numpy as np
from manylabel.methods import Predictor
made = Predictor.load(sys.argv[1])
X = np.load(sys.argv[2])
np.savez(sys.argv[3], scores=made.scores(X), embedding=made.embed(X), predicted=made.predict(X))
"""


@pytest.mark.parametrize("name", METHODS)
def test_a_model_moved_elsewhere_predicts_the_same_to_the_bit(name: str, tmp_path: Path) -> None:
    made = METHODS[name]()
    made.save(tmp_path / "model")
    shutil.move(tmp_path / "model", tmp_path / "moved")
    again = Predictor.load(tmp_path / "moved")
    assert (again.label_names, again.schema, again.recipe) == (NAMES, made.schema, made.recipe)
    assert again.decision == made.decision
    for ask in ("scores", "embed", "predict_proba", "predict"):
        np.testing.assert_array_equal(getattr(again, ask)(NEW.X), getattr(made, ask)(NEW.X), err_msg=ask)
    if name in (
        "LightGBM",
        "a scikit-learn baseline",
    ):  # trees share arrays that they hold apart once they are read
        return
    again.save(tmp_path / "again")
    for path in (tmp_path / "moved").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_another_process_predicts_the_same_to_the_bit(tmp_path: Path) -> None:
    made = fit()
    made.save(tmp_path / "model")
    X = NEW.X.values.numpy()
    np.save(tmp_path / "X.npy", X)
    files = [str(tmp_path / name) for name in ("model", "X.npy", "found.npz")]
    subprocess.run([sys.executable, "-c", ELSEWHERE, *files], check=True)
    found = np.load(tmp_path / "found.npz")
    np.testing.assert_array_equal(found["scores"], made.scores(X))
    np.testing.assert_array_equal(found["predicted"], made.predict(X))


def test_an_encoder_of_ones_own_has_to_be_a_network_again(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(10, 6), nn.Tanh())
    settings = {name: value for name, value in TINY.items() if "encoder" not in name}
    get("bce", encoder=network, **settings).fit(TRAIN, VALIDATION).save(tmp_path)
    with pytest.raises(ManyLabelError, match=r"an encoder that is an nn.Module, but got function"):
        Predictor.load(tmp_path, encoder=lambda x: x)
    with pytest.raises(ManyLabelError, match="one of another version"):
        Predictor.load(tmp_path, encoder=nn.Linear(10, 7))


CALIBRATION = metrics.Calibration.fit(
    np.random.default_rng(0).random((60, 4)), VALIDATION.Y, np.arange(60) % 3
)


def test_a_calibration_changes_probabilities_alone_and_is_kept(tmp_path: Path) -> None:
    made = fit()
    made.calibration = CALIBRATION
    made.save(tmp_path)
    again = Predictor.load(tmp_path)
    probabilities = again.predict_proba(NEW.X)
    assert probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities, CALIBRATION(made.scores(NEW.X)))
    assert not np.array_equal(probabilities, made.scores(NEW.X))
    np.testing.assert_array_equal(again.predict(NEW.X), fit().predict(NEW.X))
    assert again.predict_proba(NEW.X.values[:0]).shape == (0, 4)


RULES = ("fixed", "shared", "per_label", "top_k", "expected_f1", "seen_sets")


@pytest.mark.parametrize("rule", RULES)
def test_every_decision_is_kept_and_reads_the_scores_that_it_wants(rule: Any, tmp_path: Path) -> None:
    made = fit()
    scores = made.scores(VALIDATION.X)
    decision = metrics.learn_decision(rule, scores, VALIDATION.Y, np.arange(60) % 3)
    made.decision, made.calibration = decision, CALIBRATION
    asked = made.predict_proba(NEW.X) if rule in ("expected_f1", "seen_sets") else made.scores(NEW.X)
    np.testing.assert_array_equal(made.predict(NEW.X), decision.predict(asked))
    assert made.predict(NEW.X).any()
    assert made.predict(NEW.X.values[:0]).shape == (0, 4)
    made.save(tmp_path)
    again = Predictor.load(tmp_path)
    assert type(again.decision) is type(decision)
    np.testing.assert_array_equal(again.predict(NEW.X), made.predict(NEW.X))


OTHER_LABELS: dict[str, metrics.Decision] = {
    "thresholds": metrics.Threshold("per_label", (0.5,)),
    "a number of labels": metrics.Threshold("top_k", 5),
    "label sets": metrics.SeenSets.of([[1, 0], [0, 1]]),
    "learnt thresholds": metrics.LearntThresholds(
        "per_label", 0.5, np.full(4, 0.5), np.zeros(3), np.zeros(4, int), ("own",) * 4
    ),
}


@pytest.mark.parametrize("name", OTHER_LABELS)
def test_a_decision_of_other_labels_is_refused(name: str, tmp_path: Path) -> None:
    made = fit()
    made.decision = OTHER_LABELS[name]
    made.save(tmp_path)
    with pytest.raises(ManyLabelError, match=r"a decision of 4 labels, of this version, but got another"):
        Predictor.load(tmp_path)


def test_a_calibration_of_other_labels_is_refused(tmp_path: Path) -> None:
    made = fit()
    made.calibration = metrics.Calibration.fit(
        np.random.default_rng(0).random((60, 2)), VALIDATION.Y.dense()[:, :2], np.arange(60) % 3
    )
    made.save(tmp_path)
    with pytest.raises(ManyLabelError, match=r"a calibration of 4 labels, of this version, but got another"):
        Predictor.load(tmp_path)


def decision(body: dict[str, Any]) -> dict[str, Any]:
    return body["parts"]["decision"]["meta"]  # type: ignore[no-any-return]


HOSTILE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "an unknown part": lambda body: body["parts"]["scorer"].update(type="os.system"),
    "a huge network": lambda body: body["parts"]["scorer"]["meta"]["encoder"].update(widths=[10**8, 10**8]),
    "huge inputs": lambda body: body["parts"]["scorer"]["meta"]["inputs"].update(shape=[10**12]),
    "inputs of no kind": lambda body: body["parts"]["scorer"]["meta"]["inputs"].update(type="words"),
    "a network of another size": lambda body: body["parts"]["scorer"]["meta"]["encoder"].update(widths=[9]),
    "no encoder": lambda body: body["parts"]["scorer"]["meta"].pop("encoder"),
    "a setting that is none": lambda body: body["parts"]["scorer"]["meta"]["encoder"].update(code="x"),
    "thresholds of other labels": lambda body: decision(body).update(rule="per_label", value=[0.5]),
    "a threshold that is text": lambda body: decision(body).update(value="x"),
    "a rule that is none": lambda body: decision(body).update(rule="eval", value=1),
    "a decision of no kind": lambda body: decision(body).update(decision="eval"),
    "a decision without a value": lambda body: decision(body).pop("value"),
    "no decision": lambda body: body["parts"].pop("decision"),
    "no scorer": lambda body: body.update(parts={"decision": body["parts"]["decision"]}, sha256={}),
    "a calibration without maps": lambda body: body["parts"].update(
        calibration={"type": "calibration", "meta": {}, "file": None, "parts": {}}
    ),
    "a calibration of kinds alone": lambda body: body["parts"].update(
        calibration={
            "type": "calibration",
            "meta": {"kinds": ["isotonic"], "n_knots": [2]},
            "file": None,
            "parts": {},
        }
    ),
    "a label twice": lambda body: body.update(label_names=["a", "a", "b", "c"]),
    "a label too few": lambda body: body.update(label_names=["a", "b", "c"]),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("saved") / "model"
    fit().save(place)
    return place


@pytest.mark.parametrize("name", HOSTILE)
def test_a_model_made_to_do_harm_is_refused(name: str, saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "model")
    rewritten(tmp_path / "model", HOSTILE[name])
    with pytest.raises(ManyLabelError):
        Predictor.load(tmp_path / "model")


def test_a_scikit_learn_baseline_that_fits_its_folder_no_more_is_refused(tmp_path: Path) -> None:
    fit("logistic_regression").save(tmp_path)

    def fewer(body: dict[str, Any]) -> None:
        body["parts"]["scorer"]["meta"]["estimators"].pop()

    rewritten(tmp_path, fewer)
    with pytest.raises(ManyLabelError, match="one of another version"):
        Predictor.load(tmp_path)


def test_another_version_of_scikit_learn_is_told(tmp_path: Path) -> None:
    fit("logistic_regression").save(tmp_path)
    rewritten(tmp_path, lambda body: body["parts"]["scorer"]["meta"]["packages"].update(sklearn="0.1"))
    with pytest.warns(
        UserWarning, match=r"written with scikit-learn 0\.1, and is read with .* may differ, or fail"
    ):
        Predictor.load(tmp_path)


def test_a_name_is_one_text_for_each_label() -> None:
    digest = hashlib.sha256(b"no training was lost").hexdigest()
    for names, got in (([], "a list of texts"), ([digest] * 4, "more than once"), (NAMES[:3], "but got 3")):
        with pytest.raises(ManyLabelError, match=got):
            get("bce", **TINY).fit(TRAIN, VALIDATION, label_names=names)
