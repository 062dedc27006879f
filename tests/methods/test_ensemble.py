"""Averages over members: what they score, how they are kept, how they go on after a stop."""

import numpy as np
import pytest
from tests.training.small_run import rows

from manylabel import methods
from manylabel.errors import ManyLabelError
from manylabel.methods.ensemble import EnsembleScorer

TINY = {"encoder.widths": [8], "classify.stage.epochs": 2, "classify.stage.batch": 16}


def fit(seed=0, folder=None, progress=None, **settings):
    method = methods.get("bce", **(TINY | settings))
    return method, method.fit(rows(100, 0), rows(20, 1), seed=seed, folder=folder, progress=progress)


def test_scores_are_the_mean_of_members_of_other_seeds():
    X = rows(30, 2).X.values
    method, scorer = fit(seed=4, members=3)
    assert method.recipe.members > 1
    assert method.name == "bce"
    alone = [fit(seed=seed)[1].scores(X) for seed in (4000, 4001, 4002)]
    assert not np.allclose(alone[0], alone[1])
    np.testing.assert_allclose(scorer.scores(X), np.mean(alone, axis=0), rtol=1e-6)
    assert scorer.scores(X).dtype == np.float32
    assert scorer.embed(X).shape == (30, 3 * 8)


def test_one_member_is_the_method_itself():
    assert methods.get("bce").recipe.members == 1


def test_a_saved_ensemble_scores_the_same(tmp_path):
    X = rows(30, 2).X.values
    scorer = fit(members=2)[1]
    scorer.save(tmp_path / "model")
    again = methods.Predictor.load(tmp_path / "model")
    assert isinstance(again.scorer, EnsembleScorer)
    np.testing.assert_array_equal(again.scores(X), scorer.scores(X))


def test_a_stopped_ensemble_ends_as_if_never_stopped(tmp_path):
    X = rows(30, 2).X.values
    whole = fit(members=2)[1].scores(X)

    def stop(told):
        if told.stage.endswith("2/2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(members=2, folder=tmp_path, progress=stop)
    assert (tmp_path / "member-0" / "checkpoint.safetensors").exists()
    np.testing.assert_array_equal(fit(members=2, folder=tmp_path)[1].scores(X), whole)


def test_progress_counts_members():
    told = []
    fit(members=2, progress=told.append)
    assert told[-1].stages == ("train 1/2", "train 2/2")
    assert [t.stage for t in told][-1] == "train 2/2"


def test_no_members_are_refused():
    with pytest.raises(ManyLabelError, match="members"):
        methods.get("bce", members=0)
