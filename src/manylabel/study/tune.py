"""Carry out a search with Optuna: resumable at any moment, shared by several processes or machines."""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from manylabel.errors import ManyLabelError, missing_extra
from manylabel.study.display import clock
from manylabel.study.search import Problem, Search
from manylabel.study.search_space import decoded, recipe_values
from manylabel.training import Progress

if TYPE_CHECKING:
    import optuna

Tell: TypeAlias = Callable[[str], None]

SAMPLER_SEED = 0
RANDOM_TRIALS = 10  # before the sampler has something to learn from
EVERY = 10.0  # seconds between two lines of progress
WORKER, ERROR, RECIPE, PARTS = "worker", "error", "recipe", "parts"


def run(search: Search, tell: Tell) -> optuna.Study:
    """Make trials until there are as many as asked for.

    The first trial is the recipe as it is, if the space holds it. A trial that was killed is made again by the next
    call on that machine; those of other machines are left alone.

    Parameters
    ----------
    search : Search
    tell : callable
        Receives lines that say how far the search is.

    Raises
    ------
    ManyLabelError
        If Optuna is not installed, the storage cannot be used or holds another search, or no trial succeeds.
    KeyboardInterrupt
        After the trial in progress was given back.
    """
    study = open_study(search)
    _take_up(study)
    if not study.trials:
        values = recipe_values(search.choices, search.recipe, search.kinds)
        if values is not None:
            study.enqueue_trial(values, user_attrs={RECIPE: True})
    there = len(_taken(study))
    tell(f"{study.study_name}: {there} of {search.trials} trials are there")
    while len(_taken(study)) < search.trials:
        _one_trial(search, study, tell)
    return study


def open_study(search: Search) -> optuna.Study:
    """The study of a search in its storage, begun if it is not there.

    Raises
    ------
    ManyLabelError
        See :func:`run`.
    """
    module = _optuna()
    storage = _storage(search)
    names = module.get_all_study_names(storage)
    if names and search.storage is None and search.name not in names:
        hint = "Give another --out: data, recipe, space and objective are part of a search."
        raise ManyLabelError(f"--out {search.out}", f"trials of {search.name}", ", ".join(names), hint)
    study: optuna.Study = module.create_study(
        storage=storage,
        study_name=search.name,
        sampler=_sampler(),
        direction="maximize",
        load_if_exists=True,
    )
    return study


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise missing_extra("manylabel tune", "optuna", "track") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _storage(search: Search) -> Any:
    optuna = _optuna()
    search.out.mkdir(parents=True, exist_ok=True)
    url = search.storage or f"sqlite:///{(search.out / 'trials.db').absolute()}"
    wait = {"connect_args": {"timeout": 100}} if url.startswith("sqlite") else {}
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=wait)
    except Exception as error:  # of the database, its driver, or the URL
        hint = "Give a URL such as sqlite:///trials.db or postgresql://user@host/name."
        got = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ManyLabelError("--storage", "a database that can be used", f"{url}: {got}", hint) from None


def _sampler() -> Any:
    """Tree-structured Parzen estimator whose draws depend on the number of the trial, not on the calls before it."""
    optuna = _optuna()

    class Numbered(optuna.samplers.BaseSampler):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.number, self.inner = -1, optuna.samplers.RandomSampler(SAMPLER_SEED)

        def of(self, trial: Any) -> Any:
            if trial.number != self.number:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                    self.inner = optuna.samplers.TPESampler(
                        seed=SAMPLER_SEED + trial.number,
                        n_startup_trials=RANDOM_TRIALS,
                        multivariate=True,
                        constant_liar=True,
                    )
                self.number = trial.number
            return self.inner

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return self.of(trial).infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            return self.of(trial).sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return self.of(trial).sample_independent(study, trial, name, distribution)

    return Numbered()


def _taken(study: optuna.Study) -> list[Any]:
    """Trials that count: those that succeeded or could not be made, and those that some process is at."""
    return [
        trial
        for trial in study.trials
        if trial.state.name in ("COMPLETE", "RUNNING") or ERROR in trial.user_attrs
    ]


def _take_up(study: optuna.Study) -> None:
    """Give back the trials whose process on this machine is gone."""
    host = socket.gethostname()
    for trial in study.trials:
        if trial.state.name == "RUNNING":
            their_host, _, process = trial.user_attrs.get(WORKER, "").rpartition(":")
            if their_host == host and not _is_alive(int(process)):
                _give_back(study, trial)


def _is_alive(process: int) -> bool:
    if process == os.getpid():
        return False  # one call after another in one process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _give_back(study: optuna.Study, trial: Any) -> None:
    """Let the next trial be this one again."""
    import optuna

    kept = {RECIPE: True} if RECIPE in trial.user_attrs else {}
    study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    study.enqueue_trial(trial.params, user_attrs=kept)


def _one_trial(search: Search, study: optuna.Study, tell: Tell) -> None:
    import optuna

    trial = study.ask()
    trial.set_user_attr(WORKER, f"{socket.gethostname()}:{os.getpid()}")
    watch = _Watch(search, study, trial.number, tell)
    try:
        found = {name: choice.suggest(name, trial) for name, choice in search.choices.items()}
        value, parts = search.evaluate(found, watch.advance)
    except ManyLabelError as error:
        trial.set_user_attr(ERROR, str(error))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        if not any(t.state.name == "COMPLETE" for t in study.trials):
            raise  # the first trial already cannot be made
        tell(f"trial {trial.number} failed: {error}")
        return
    except BaseException:
        _give_back(study, trial)
        raise
    trial.set_user_attr(PARTS, parts)
    study.tell(trial, value)
    watch.end(value)


class _Watch:
    """Says how far the search is, every few seconds and after each trial."""

    def __init__(self, search: Search, study: optuna.Study, number: int, tell: Tell) -> None:
        self.search, self.study, self.number, self.tell = search, study, number, tell
        self.began = self.last = time.monotonic()

    def advance(self, place: int, problem: Problem, progress: Progress) -> None:
        now = time.monotonic()
        if now - self.last < EVERY:
            return
        self.last = now
        stage = (progress.stages.index(progress.stage) + progress.step / progress.steps) / len(
            progress.stages
        )
        share = (place + stage) / len(self.search.problems)
        left = self._left(now - self.began, share)
        self.tell(f"trial {self.number}: {problem}, {progress.stage}, {share:.0%} of the trial; {left}")

    def end(self, value: float) -> None:
        best = self.study.best_trial
        took = clock(time.monotonic() - self.began)
        self.tell(
            f"trial {self.number}: {self.search.objective} {value:.4f} in {took} "
            f"(best {best.value:.4f}, trial {best.number}); {self._left(0.0, 0.0)}"
        )

    def _left(self, elapsed: float, share: float) -> str:
        """Trials and time left by the pace of the finished ones, or of this one."""
        done = [t.duration.total_seconds() for t in self.study.trials if t.duration and t.value is not None]
        if not done and not share:
            return f"{self.search.trials} trials left"
        each = sum(done) / len(done) if done else elapsed / share
        if not share and len(_taken(self.study)) >= self.search.trials:
            return "nothing left"
        number = max(0, self.search.trials - len(_taken(self.study))) + (1 - share) * (share > 0)
        return f"about {clock(number * each)} left"


def settings_of(search: Search, trial: Any) -> dict[str, Any]:
    """The settings that a trial found."""
    return decoded(search.choices, trial.params)


def trials_of(study: optuna.Study) -> list[Any]:
    """The trials that succeeded, best first."""
    done = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    return sorted(done, key=lambda trial: (-trial.value, trial.number))
