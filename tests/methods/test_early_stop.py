"""Early stop: epochs found on rows held out of the training rows, then all rows for so many; a killed fit goes on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.training.small_run import fit as fit_small
from tests.training.small_run import rows
from tests.training.stops import killed_after

from manylabel import ManyLabelError
from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import get
from manylabel.methods.early_stop import SEARCH, best_epoch
from manylabel.methods.stacking.cross_fit import _chooses

STOP = {"classify.stage.early_stop": {"patience": 2, "share": 0.2}}
QUICK = {
    "vectors.encoder.widths": [16],
    "classify.stage.epochs": 12,
    "classify.stage.batch": 16,
    "classify.stage.lr": 0.05,
}


def fit(train: Rows, validation: Rows, method: str = "bce", folder: Path | None = None, **settings: object):
    return get(method, **(QUICK | settings)).fit(train, validation, seed=3, folder=folder)


def history(folder: Path) -> list[dict]:
    lines = (folder / "history.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def last_steps(folder: Path) -> int:
    """Steps of all stages."""
    return sum({entry["stage"]: entry["step"] for entry in history(folder)}.values())


def weights(predictor) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in predictor.scorer.module.state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_all_rows_are_trained_for_the_epochs_that_held_out_rows_found(tmp_path):
    train, validation = rows(100, 0), rows(40, 1)
    long = {"classify.stage.epochs": 60}
    own = fit(train, validation, folder=tmp_path, **STOP, **long)
    seen = {entry["epoch"]: entry["monitor"]["loss"] for entry in history(tmp_path / SEARCH)}
    epochs = min(seen, key=seen.get)
    assert epochs < 60
    assert len(seen) == min(60, epochs + 2)  # two epochs in vain
    assert [entry["epoch"] for entry in history(tmp_path)] == list(range(1, epochs + 1))
    assert history(tmp_path)[-1]["step"] == epochs * 7  # of 100 rows, none held out
    assert_same(
        weights(own), weights(fit(train, validation, **long, **{"classify.stage.stop_after": epochs}))
    )


def test_a_stopped_stage_has_the_rates_of_the_whole_schedule(tmp_path):
    train, validation = rows(100, 0), rows(40, 1)
    whole, part = tmp_path / "whole", tmp_path / "part"
    fit(train, validation, folder=whole)
    fit(train, validation, folder=part, **{"classify.stage.stop_after": 4})
    for one, other in zip(history(part), history(whole)[:4], strict=True):
        assert {k: v for k, v in one.items() if k != "monitor"} == {
            k: v for k, v in other.items() if k != "monitor"
        }
    fit(train, validation, folder=tmp_path / "long", **{"classify.stage.stop_after": 40})
    assert history(tmp_path / "long") == history(whole)


def test_validation_rows_choose_nothing(tmp_path):
    train, validation = rows(100, 0), rows(40, 1)
    turned = Rows(validation.X, as_labels(1 - validation.Y.dense().numpy()))
    one, other = (fit(train, part, **STOP) for part in (validation, turned))
    assert_same(weights(one), weights(other))


@pytest.mark.parametrize("method", ["mulsupcon", "bce"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_a_fit_that_was_killed_in_either_training_ends_as_if_never_killed(method, share, tmp_path):
    settings = {
        "classify.stage.select": None,
        "classify.stage.early_stop": {"patience": 2, "share": 0.2, "select": "macro_f1"},
    }
    whole = fit_small(tmp_path / "whole", method=method, **settings)
    steps = sum(last_steps(tmp_path / "whole" / part) for part in (".", SEARCH))
    with killed_after(int(share * steps)):
        fit_small(tmp_path / "killed", method=method, **settings)
    torch.rand(7)
    again = fit_small(tmp_path / "killed", method=method, **settings)
    assert_same(weights(again), weights(whole))
    for part in (".", SEARCH):
        assert history(tmp_path / "killed" / part) == history(tmp_path / "whole" / part)


def test_progress_tells_of_both_trainings():
    seen = []
    get("bce", **(QUICK | STOP)).fit(rows(100, 0), rows(40, 1), seed=3, progress=seen.append)
    assert {told.stages for told in seen} == {("early-stop train", "train")}
    assert list(dict.fromkeys(told.stage for told in seen)) == ["early-stop train", "train"]
    assert seen[-1].step == seen[-1].steps


def test_of_few_rows_none_are_held_out():
    few, validation = rows(19, 0), rows(40, 1)
    stopped, plain = (fit(few, validation, **settings) for settings in (STOP, {}))
    assert_same(weights(stopped), weights(plain))


def test_the_first_of_the_best_epochs_is_taken():
    entries = [
        {"stage": "pretrain", "epoch": 1, "monitor": {"loss": 0.0, "map": 1.0}},
        {"stage": "train", "epoch": 1, "monitor": {"loss": 0.5, "map": 0.2}},
        {"stage": "train", "epoch": 2, "monitor": {}},
        {"stage": "train", "epoch": 3, "monitor": {"loss": 0.4, "map": 0.1}},
        {"stage": "train", "epoch": 4, "monitor": {"loss": 0.4, "map": 0.2}},
    ]
    assert best_epoch(entries, "train", "loss") == 3
    assert best_epoch(entries, "train", "map") == 1


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"classify.stage.early_stop": {"patience": 0}}, "greater than or equal to 1"),
        ({"classify.stage.early_stop": {"patience": 1, "share": 0.9}}, "less than or equal to 0.5"),
        ({"pretrain.stage.early_stop": {"patience": 1}}, "early_stop"),
    ],
)
def test_what_cannot_be_asked_is_refused(settings, told):
    with pytest.raises(ManyLabelError, match=told):
        get("mulsupcon", **settings)


def test_a_measurement_that_nobody_makes_is_refused_by_name():
    stop = {"classify.stage.early_stop": {"patience": 1, "select": "nothing"}}
    with pytest.raises(ManyLabelError, match=r"select to be one of .*loss.*, but got 'nothing'"):
        fit(rows(100, 0), rows(40, 1), **stop)


def test_it_stands_in_for_other_ends():
    train, validation = rows(100, 0), rows(40, 1)
    others = {"classify.stage.select": "map", "classify.stage.patience": 1, "classify.stage.stop_after": 2}
    one, other = (fit(train, validation, **STOP, **settings) for settings in ({}, others))
    assert_same(weights(one), weights(other))


def test_a_stack_holds_out_no_further_rows_for_a_learner_that_stops_early():
    for settings, wanted in ((STOP, False), ({"classify.stage.select": "loss"}, True)):
        assert _chooses(get("mulsupcon", **settings).recipe.resolve("vectors").model_dump()) == wanted


@pytest.mark.parametrize("method", ["lamp", "kmcl"])
def test_every_network_can_stop_early(method, tmp_path):
    from tests.methods.small_vectors import SMALL, STAGE

    small = SMALL.get(method, {"vectors.encoder.widths": [16]})
    made = get(method, **(STAGE | small | STOP))
    model = made.fit(rows(100, 0), rows(40, 1), seed=3, folder=tmp_path)
    assert np.isfinite(model.scores(rows(5, 2).X)).all()
    assert history(tmp_path / SEARCH)
