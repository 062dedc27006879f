"""The trials of a search in its storage: begun, ended, given back, made again, such that a kill loses none.

What a trial stands for is told by its root: the number of the trial that it makes again, or the recipe as it is. A root
whose trials all failed without an error of their own is owed: the next call makes it again. All of this is read from
the storage alone, so that any process can die at any moment and any other goes on.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from manylabel.files import host, is_alive

if TYPE_CHECKING:
    import optuna

Root: TypeAlias = int | str

WORKER, ERROR, RECIPE, PARTS = "worker", "error", "recipe", "parts"
AGAIN, VALUES, SUPERFLUOUS = "again", "values", "superfluous"
SECONDS, DIGEST = "seconds", "digest"
UNSIGNED = datetime.timedelta(minutes=1)  # a trial is signed within moments of its beginning


def taken(study: optuna.Study) -> list[Any]:
    """Trials that count: those that succeeded or could not be made, and those that a worker is running."""
    return [
        trial
        for trial in study.trials
        if trial.state.name in ("COMPLETE", "RUNNING") or ERROR in trial.user_attrs
    ]


def best_first(study: optuna.Study) -> list[Any]:
    """The trials that succeeded, best first."""
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    return sorted(done, key=lambda trial: (-trial.value, trial.number))


def seconds(study: optuna.Study) -> list[float]:
    """How long each of the trials took that succeeded."""
    return [trial.user_attrs[SECONDS] for trial in best_first(study) if SECONDS in trial.user_attrs]


def drawn_as(trial: Any) -> int:
    """The number of the trial that this one makes again, or its own."""
    number: int = trial.user_attrs.get(AGAIN, trial.number)
    return number


def place(study: optuna.Study, trial: Any) -> int:
    """How many things other trials stood for before what this one stands for: its number, had none been made twice."""
    earlier = study.get_trials(deepcopy=False)[: drawn_as(trial)]
    return len({_root(other) for other in earlier})


def take_up(study: optuna.Study, recipe: Mapping[str, Any] | None) -> None:
    """End the trials whose process on this machine is gone, and queue what is owed.

    Parameters
    ----------
    study : optuna.Study
    recipe : mapping or None
        Values of the recipe as it is, which every search measures; None where the space does not hold them.
    """
    for trial in study.trials:
        if trial.state.name == "RUNNING" and _is_dead(trial):
            _tell_failed(study, trial.number)
    by_root: dict[Root, list[Any]] = {} if recipe is None else {RECIPE: []}
    for trial in study.trials:
        by_root.setdefault(_root(trial), []).append(trial)
    for root, trials in by_root.items():
        if not any(map(_settles, trials)):
            values = recipe if root == RECIPE else _values(trials)
            _enqueue(study, root, values or {})


def begin(study: optuna.Study) -> optuna.Trial | None:
    """The next trial, signed by this process; None where another process makes the same one already.

    A trial is queued with a signature before it is asked for, so that none begins without.
    """
    if not any(trial.state.name == "WAITING" for trial in study.trials):
        study.enqueue_trial({}, user_attrs={WORKER: _signature()})
    trial = study.ask()
    try:
        trial.set_user_attr(WORKER, _signature())
    except _finished():  # in this moment, another process took it for one that a dead process had begun
        return None
    if _is_superfluous(study, trial):
        trial.set_user_attr(SUPERFLUOUS, True)
        _tell_failed(study, trial.number)
        return None
    return trial


def end(
    study: optuna.Study, trial: optuna.Trial, value: float, parts: Mapping[str, float], took: float
) -> None:
    """Keep what a trial reached, with a digest of it."""
    trial.set_user_attr(PARTS, dict(parts))
    trial.set_user_attr(DIGEST, _digest(trial.params, value, trial.user_attrs))
    trial.set_user_attr(SECONDS, took)
    study.tell(trial, value)


def fail(study: optuna.Study, trial: optuna.Trial, error: Exception) -> None:
    """Keep why a trial cannot be made; it is not made again."""
    trial.set_user_attr(ERROR, str(error))
    _tell_failed(study, trial.number)


def give_back(study: optuna.Study, number: int) -> None:
    """Let a later trial be this one again."""
    _tell_failed(study, number)
    trial = study.trials[number]
    trials = [other for other in study.trials if _root(other) == _root(trial)]
    if not any(map(_settles, trials)):
        _enqueue(study, _root(trial), _values(trials))


def is_as_written(trial: Any) -> bool:
    """Whether the numbers of a trial that succeeded are those that :func:`end` wrote; True for earlier versions'."""
    if SECONDS not in trial.user_attrs:
        return True
    return bool(trial.user_attrs.get(DIGEST) == _digest(trial.params, trial.value, trial.user_attrs))


def _digest(params: Mapping[str, Any], value: float, attributes: Mapping[str, Any]) -> str:
    facts = [dict(params), value, attributes.get(PARTS), attributes.get(RECIPE)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _root(trial: Any) -> Root:
    """What a trial stands for."""
    return RECIPE if RECIPE in trial.user_attrs else drawn_as(trial)


def _settles(trial: Any) -> bool:
    """Whether a trial makes others of the same root superfluous: it is made, waits, or cannot be made."""
    return trial.state.name != "FAIL" or ERROR in trial.user_attrs


def _values(trials: list[Any]) -> dict[str, Any]:
    """The values to try again: those that were asked for, or else those that had been drawn."""
    found: dict[str, Any] = {}
    for trial in trials:
        for tried in (trial.user_attrs.get(VALUES, {}), trial.params):
            found = tried if len(tried) > len(found) else found
    return dict(found)


def _enqueue(study: optuna.Study, root: Root, values: Mapping[str, Any]) -> None:
    kept = {RECIPE: True} if root == RECIPE else {AGAIN: root}
    study.enqueue_trial(dict(values), user_attrs={WORKER: _signature(), VALUES: dict(values), **kept})


def _is_superfluous(study: optuna.Study, trial: optuna.Trial) -> bool:
    """Whether an earlier trial of the same root is not lost: two processes may have queued it at once."""
    earlier = study.trials[: trial.number]
    return any(_settles(other) for other in earlier if _root(other) == _root(trial))


def _signature() -> str:
    return f"{host()}:{os.getpid()}"


def _is_dead(trial: Any) -> bool:
    """Whether the process of a trial is gone from this machine; those of other machines are never known to be."""
    their_host, _, process = trial.user_attrs.get(WORKER, "").rpartition(":")
    if not their_host:
        began = trial.datetime_start
        return began is not None and datetime.datetime.now() - began > UNSIGNED
    if their_host != host() or not process.isdecimal():
        return False
    return int(process) == os.getpid() or not is_alive(int(process))  # one call after another in one process


def _tell_failed(study: optuna.Study, number: int) -> None:
    import optuna

    with suppress(*_finished()):  # another process was first
        study.tell(number, state=optuna.trial.TrialState.FAIL)


def _finished() -> tuple[type[Exception], ...]:
    """What Optuna raises where a trial has ended already."""
    from optuna import exceptions

    newer = getattr(exceptions, "UpdateFinishedTrialError", RuntimeError)
    return (ValueError, RuntimeError, newer)
