"""Trials of a search: whatever is killed, and however many take it up, each is made once."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest

from manylabel.study.search import trials

GONE = "no-such-host-but-ours:999999999"
VALUES = {"x": 0.25}


class Killed(BaseException):
    """Stands for a kill."""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> optuna.Study:
    monkeypatch.setattr(trials, "host", lambda: "no-such-host-but-ours")
    return optuna.create_study(storage=f"sqlite:///{tmp_path / 'trials.db'}", direction="maximize")


def sign(study: optuna.Study, number: int, name: str = GONE) -> None:
    study._storage.set_trial_user_attr(study.trials[number]._trial_id, trials.WORKER, name)


def make(study: optuna.Study) -> dict[str, Any]:
    """One trial from its beginning to its end."""
    trial = trials.begin(study)
    assert trial is not None
    trial.suggest_float("x", 0.0, 1.0)
    trials.end(study, trial, 0.5, {"data": 0.5}, took=1.0)
    return dict(study.trials[trial.number].params)


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def recipes(study: optuna.Study) -> int:
    return sum(trials.RECIPE in t.user_attrs for t in study.trials if t.state.name == "COMPLETE")


def test_the_recipe_is_queued_once_however_often_a_search_is_taken_up(study: optuna.Study) -> None:
    for _ in range(3):
        trials.take_up(study, VALUES)
    assert states(study) == ["WAITING"]
    assert make(study) == VALUES
    trials.take_up(study, VALUES)
    assert (states(study), recipes(study)) == (["COMPLETE"], 1)


def test_a_trial_is_signed_before_it_begins(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = optuna.study.Study.ask

    def killed(self: optuna.Study, *_: Any, **__: Any) -> None:
        ask(self)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(optuna.study.Study, "ask", killed)
        with pytest.raises(Killed):
            trials.begin(study)
    assert trials.WORKER in study.trials[0].user_attrs
    sign(study, 0)
    trials.take_up(study, None)
    make(study)
    assert states(study) == ["FAIL", "COMPLETE"]


@pytest.mark.parametrize("method", ["tell", "enqueue_trial"])
def test_a_kill_while_a_trial_is_given_back_loses_nothing(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    trials.take_up(study, VALUES)
    assert trials.begin(study) is not None
    sign(study, 0)
    with monkeypatch.context() as patch:
        patch.setattr(optuna.study.Study, method, killed)
        with pytest.raises(Killed):
            trials.take_up(study, VALUES)
    trials.take_up(study, VALUES)
    trials.take_up(study, VALUES)
    assert make(study) == VALUES
    assert (states(study), recipes(study)) == (["FAIL", "COMPLETE"], 1)


def test_two_that_take_up_one_trial_make_it_once(study: optuna.Study) -> None:
    trials.take_up(study, VALUES)
    assert trials.begin(study) is not None
    sign(study, 0)
    trials.take_up(study, VALUES)
    twin = {trials.WORKER: GONE, trials.VALUES: VALUES, trials.RECIPE: True}
    study.enqueue_trial(VALUES, user_attrs=twin)  # the other's, at the same moment
    assert make(study) == VALUES
    assert trials.begin(study) is None
    assert (states(study), recipes(study)) == (["FAIL", "COMPLETE", "FAIL"], 1)
    assert len(trials.taken(study)) == 1
    trials.take_up(study, VALUES)
    assert states(study) == ["FAIL", "COMPLETE", "FAIL"]


def test_a_trial_made_again_is_drawn_like_the_first(study: optuna.Study) -> None:
    trial = trials.begin(study)
    assert trial is not None
    trial.suggest_float("x", 0.0, 1.0)
    trials.give_back(study, trial.number)
    assert trials.drawn_as(study.trials[1]) == 0
    assert make(study) == study.trials[0].params


def test_trials_of_other_machines_and_live_processes_are_left_alone(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    for name in ("elsewhere:1", f"no-such-host-but-ours:{os.getppid()}", "no-such-host-but-ours:nonsense"):
        number = study.ask().number
        sign(study, number, name)
    study.ask()  # without a signature: of an earlier version, or this very moment
    trials.take_up(study, None)
    assert states(study) == ["RUNNING"] * 4
    monkeypatch.setattr(trials, "UNSIGNED", datetime.timedelta(0))
    trials.take_up(study, None)
    assert states(study) == ["RUNNING"] * 3 + ["FAIL", "WAITING"]


def test_other_numbers_than_were_written_are_told(study: optuna.Study) -> None:
    make(study)
    trial = study.trials[0]
    assert trials.is_as_written(trial)
    for change in ({"value": 0.75}, {"params": {"x": 0.125}}):
        other = optuna.trial.create_trial(
            **{
                "params": trial.params,
                "distributions": trial.distributions,
                "value": trial.value,
                "user_attrs": trial.user_attrs,
                **change,
            }
        )
        assert not trials.is_as_written(other)
