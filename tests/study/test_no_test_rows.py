"""Nothing is chosen on test rows: their labels and their number change no prediction and no threshold of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.methods.small_vectors import SMALL
from tests.study.small_study import TINY, TINY_PRETRAINING, TINY_STACK, Told, plan, write_rows

from manylabel.methods import FAMILIES
from manylabel.study import StudyFolder, run

STAGE = {"classify.stage.epochs": 3, "classify.stage.batch": 16}
ERRORS = {"errors.stage.epochs": 2, "errors.stage.batch": 16}
LEARNS = {
    "classify.stage.lr": 0.02
}  # or no threshold of the oracle protocol would tell labels from shuffled ones
JOINED = {"contrast.weight": 0.1, "classify.encoder_rate": 1.0, "neighbours.k": 5}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "logit": ("bce", TINY | {"classify.stage.select": "macro_f1", "classify.stage.monitor_every": 1}),
    "logit, stopped early": ("bce", TINY | {"classify.stage.early_stop": {"patience": 1}}),
    "contrastive": ("mulsupcon", TINY | TINY_PRETRAINING | LEARNS),
    "contrastive, joined": ("mulsupcon", TINY | TINY_PRETRAINING | JOINED),
    "kmcl": ("kmcl", TINY | LEARNS),
    "lamp": ("lamp", STAGE | SMALL["lamp"]),
    "mpvae": ("mpvae", STAGE | SMALL["mpvae"]),
    "rbcc": ("rbcc", STAGE | SMALL["rbcc"] | ERRORS),
    "cgmvae": ("cgmvae", STAGE | SMALL["cgmvae"]),
    "sklearn_baseline": ("extra_trees", {"parameters.n_estimators": 10}),
    "neighbour_votes": ("neighbour_votes", {}),
    "stacking": ("best", TINY_STACK),
}


def study_of(data: Path, out: Path, method: str, settings: dict[str, Any]) -> StudyFolder:
    asked = plan(data, out, methods=(method,), seeds=(0,), settings={method: settings})
    assert run(asked, Told()) == []
    return asked.folder


def changed(data: Path, path: Path, change: Any) -> Path:
    with np.load(data) as file:
        arrays = dict(file)
    np.savez(path, **(arrays | change(arrays)))
    return path


def with_shuffled_labels(arrays: dict[str, Any]) -> dict[str, Any]:
    Y = arrays["y_test"]
    shuffled = np.random.default_rng(1).permutation(Y)
    assert not np.array_equal(shuffled, Y)
    return {"y_test": shuffled}


def with_few_rows(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: arrays[name][:20] for name in ("X_test", "y_test")}


def test_every_family_is_asked() -> None:
    assert {name.partition(",")[0] for name in ASKED} == set(FAMILIES)


@pytest.mark.parametrize("family", ASKED)
def test_shuffled_test_labels_change_no_prediction_and_no_threshold(family: str, tmp_path: Path) -> None:
    method, settings = ASKED[family]
    data = write_rows(tmp_path / "tiny.npz")
    shuffled = changed(data, tmp_path / "shuffled.npz", with_shuffled_labels)
    ours = study_of(data, tmp_path / "ours", method, settings)
    theirs = study_of(shuffled, tmp_path / "theirs", method, settings)
    a, b = ours.scores(method, 0), theirs.scores(method, 0)
    for name in ("validation_scores", "test_scores", "test_embedding"):
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    one, other = (folder.run_record(method, 0) for folder in (ours, theirs))
    assert one is not None
    assert other is not None
    assert _but_seconds(one) == _but_seconds(other)
    for protocol in ("learnt", "tuned", "fixed"):
        assert one.evaluations[protocol]["thresholds"] == other.evaluations[protocol]["thresholds"]
        assert one.evaluations[protocol]["values"] != other.evaluations[protocol]["values"]
    assert one.evaluations["oracle"]["thresholds"] != other.evaluations["oracle"]["thresholds"]


def test_fewer_test_rows_change_no_threshold_and_no_prediction_of_the_others(tmp_path: Path) -> None:
    method, settings = ASKED["contrastive"]
    data = write_rows(tmp_path / "tiny.npz")
    few = changed(data, tmp_path / "few.npz", with_few_rows)
    ours = study_of(data, tmp_path / "ours", method, settings)
    theirs = study_of(few, tmp_path / "theirs", method, settings)
    a, b = ours.scores(method, 0), theirs.scores(method, 0)
    np.testing.assert_array_equal(a["validation_scores"], b["validation_scores"])
    np.testing.assert_allclose(a["test_scores"][:20], b["test_scores"], atol=1e-6)
    one, other = (folder.run_record(method, 0) for folder in (ours, theirs))
    assert one is not None
    assert other is not None
    assert one.evaluations["tuned"]["thresholds"] == other.evaluations["tuned"]["thresholds"]


def _but_seconds(record: Any) -> Any:
    return {
        stage: {k: v for k, v in found.items() if k != "seconds"} for stage, found in record.monitor.items()
    }
