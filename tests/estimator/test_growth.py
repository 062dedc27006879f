"""Rows and labels that join the neighbours of a model without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.estimator.small import SHORT, small

from manylabel import MultiLabelClassifier
from manylabel.errors import ManyLabelError

NEIGHBOURS = SHORT | {"neighbours.k": 5, "neighbours.weight": 0.5}
X, Y = small(120)
SETS = [{f"tag {c}" for c in np.flatnonzero(row)} for row in Y]
AWAY = X[X.sum(1) < -2]  # by direction, in which neighbours are sought
FAR = np.full((8, 6), 9.0) + np.random.default_rng(1).normal(size=(8, 6)) / 10


def fit(y: Any = Y, **parameters: Any) -> MultiLabelClassifier:
    parameters = {"validation": 0.2, "settings": NEIGHBOURS} | parameters
    return MultiLabelClassifier("bce", random_state=0, **parameters).fit(X, y)


def test_rows_that_join_change_what_is_said_of_rows_beside_them_and_of_no_others() -> None:
    model = fit()
    before, elsewhere = model.predict_proba(FAR), model.predict_proba(AWAY)
    wrong = np.tile(~model.predict(FAR)[:1], (8, 1))
    model.add(FAR, wrong)
    scores = model.predictor_.scores(FAR)
    alone = model.predictor_.scorer.scorer.scores(model.predictor_.read(FAR.astype(float)))  # type: ignore[attr-defined]
    np.testing.assert_allclose(scores, (alone + wrong) / 2, atol=1e-6)
    assert not np.array_equal(model.predict_proba(FAR), before)
    np.testing.assert_array_equal(model.predict_proba(AWAY), elsewhere)


def test_labels_never_seen_come_last_and_their_neighbours_decide(tmp_path: Path) -> None:
    model = fit(SETS)
    before = model.predict_proba(AWAY)
    n = len(model.classes_)
    model.add(FAR, [{"tag 0", "new"}] * 8)
    assert list(model.classes_) == [*sorted({tag for tags in SETS for tag in tags}), "new"]
    P = model.predict_proba(np.concatenate([FAR, AWAY]))
    assert P.shape == (8 + len(AWAY), n + 1)
    assert len(AWAY) > 20
    assert P[:8, n].min() > P[8:, n].max()
    assert model.predict(FAR)[:, n].all()
    assert not model.predict(AWAY)[:, n].any()
    np.testing.assert_array_equal(P[8:, :n], before)
    told = model.explain_label("new")
    assert (told.support, told.source, told.f1) == (8, "shared", None)
    model.save(tmp_path)
    again = MultiLabelClassifier.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(FAR), model.predict_proba(FAR))
    assert list(again.classes_) == list(model.classes_)
    again.add(FAR, [{"newer"}] * 8)
    assert again.classes_[-1] == "newer"


def test_a_frame_may_lack_labels_of_the_fit_and_bring_others() -> None:
    pandas = pytest.importorskip("pandas")
    names = ["a", "b", "c", "d"]
    model = fit(pandas.DataFrame(Y, columns=names))
    before = model.predict_proba(FAR)
    model.add(FAR, pandas.DataFrame({"e": [1] * 8, "b": [1] * 8}))
    assert list(model.classes_) == [*names, "e"]
    after = model.predict_proba(FAR)
    assert model.predict(FAR)[:, 4].all()
    assert (after[:, 1] >= before[:, 1]).all()
    # labels that the new rows say nothing of: the scorer stands alone where no neighbour knows them
    alone = model.predictor_.scorer.scorer.scores(model.predictor_.read(FAR))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(model.predictor_.scores(FAR)[:, 0], alone[:, 0])


@pytest.mark.parametrize(
    ("parameters", "y", "message"),
    [
        (
            {"settings": SHORT},
            Y[:8],
            r"add: expected a model with neighbours, but got one without\. Train with",
        ),
        ({"thresholds": "seen_sets", "y": SETS}, [{"new"}] * 8, "a decision that can take labels never seen"),
        ({}, Y[:5], "as many rows of X as of y, but got 8 rows of X and 5 of y"),
        ({}, Y[:8, :2], "expected 4 labels, but got 2"),
        ({"y": Y[:, 0].astype(int)}, [1] * 8, "a model of label sets, but got one of binary targets"),
    ],
)
def test_what_cannot_join_is_refused_and_the_model_stays(parameters: Any, y: Any, message: str) -> None:
    model = fit(**parameters)
    before = model.predict_proba(FAR)
    with pytest.raises(ManyLabelError, match=message):
        model.add(FAR, y)
    np.testing.assert_array_equal(model.predict_proba(FAR), before)
