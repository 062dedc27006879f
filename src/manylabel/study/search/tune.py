"""Hyperparameter search with Optuna: resumable at any moment, shared by several processes or machines."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from manylabel import files
from manylabel.errors import ManyLabelError, missing_extra
from manylabel.study.executors.base import Executor
from manylabel.study.executors.local import Local
from manylabel.study.search import trials
from manylabel.study.search.rounds import Tell, make_round
from manylabel.study.search.search import Search
from manylabel.study.search.space import decoded, recipe_values

if TYPE_CHECKING:
    import optuna

_ATTEMPTS, _PAUSE = 2, 1.0
SAMPLER_SEED = 0
RANDOM_TRIALS = 10  # before the sampler has something to learn from


def run(search: Search, tell: Tell, executor: Executor | None = None) -> optuna.Study:
    """Make trials until there are as many as asked for.

    The first trial is the recipe as it is, if the space holds it. A trial that was killed is made again by the next
    call on that machine; those of other machines are left alone.

    Parameters
    ----------
    search : Search
    tell : callable
        Receives lines that say how far the search is.
    executor : Executor, optional
        Runs the parts of the trials; by default one after another in this process. What is found is the same.

    Raises
    ------
    ManyLabelError
        If Optuna is not installed, the storage cannot be used or holds another search, or no trial succeeds.
    KeyboardInterrupt
        After the trials in progress were given back.
    """
    study = open_study(search)
    with storage_errors(search):
        trials.take_up(study, recipe_values(search.choices, search.recipe, search.kinds))
        there = len(trials.taken(study))
        tell(f"{study.study_name}: {there} of {search.trials} trials are there")
        while (left := search.trials - len(trials.taken(study))) > 0:
            room = search.at_once - len(trials.taken(study)) % search.at_once
            make_round(search, study, min(left, room), tell, executor or Local(1))
    return study


def open_study(search: Search) -> optuna.Study:
    """The study of a search in its storage, begun if it is not there.

    Raises
    ------
    ManyLabelError
        See :func:`run`.
    """
    name = search.name  # refuses what has no search space, before a database is made
    module, storage = _optuna(), _storage(search)
    try:
        names = module.get_all_study_names(storage)
    except Exception as error:  # whatever damage makes of a database
        raise _no_storage(search, error) from None
    if names and search.storage is None and name not in names:
        hint = "Give another `out`: data, recipe, space and objective are part of a search."
        raise ManyLabelError(f"`out` {search.out}", f"trials of {name}", ", ".join(names), hint)
    try:
        study: optuna.Study = module.create_study(
            storage=storage,
            study_name=name,
            sampler=_sampler(),
            direction="maximize",
            load_if_exists=True,
        )
        assert isinstance(study.trials, list)  # reads them all
    except Exception as error:
        raise _no_storage(search, error) from None
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
    from sqlalchemy.pool import NullPool

    files.usable_folder(search.out, "`out`")
    url = search.storage or f"sqlite:///{(search.out / 'trials.db').absolute()}"
    of_file = {"connect_args": {"timeout": 100}, "poolclass": NullPool}  # no connection stays open
    engine = of_file if url.startswith("sqlite") else {}
    for again in range(_ATTEMPTS):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=engine)
        except Exception as error:  # of the database, its driver, or the URL
            if not again and "exist" in str(error):
                time.sleep(_PAUSE)  # another process makes the same tables
                continue
            raise _no_storage(search, error) from None
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def storage_errors(search: Search) -> Iterator[None]:
    """Errors of the database as ours."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (StorageInternalError, SQLAlchemyError) as error:
        raise _no_storage(search, error) from None


def _no_storage(search: Search, error: Exception) -> ManyLabelError:
    url = search.storage or search.out / "trials.db"
    hint = "Give a URL such as sqlite:///trials.db or postgresql://user@host/name."
    if search.storage is None:
        hint = "Make room or restore the file from a copy; if it is damaged, delete it to search anew."
    lines = str(error.__cause__ or error).strip().splitlines()
    got = lines[0] if lines else type(error).__name__
    who = "`storage`" if search.storage else f"`out` {search.out}"
    return ManyLabelError(who, "a database that can be used", f"{url}: {got}", hint)


def _sampler() -> Any:
    """Tree-structured Parzen estimator whose draws depend on the place of the trial, not on the calls before it.

    A trial that is made again draws as it did the first time, and those after it as if it had been made once.
    """
    optuna = _optuna()

    class Numbered(optuna.samplers.BaseSampler):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.number, self.inner = -1, optuna.samplers.RandomSampler(SAMPLER_SEED)

        def of(self, study: Any, trial: Any) -> Any:
            number = trials.place(study, trial)
            if number != self.number:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                    self.inner = optuna.samplers.TPESampler(
                        seed=SAMPLER_SEED + number,
                        n_startup_trials=RANDOM_TRIALS,
                        multivariate=True,
                        constant_liar=True,
                    )
                self.number = number
            return self.inner

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return self.of(study, trial).infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            return self.of(study, trial).sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return self.of(study, trial).sample_independent(study, trial, name, distribution)

    return Numbered()


def settings_of(search: Search, trial: Any) -> dict[str, Any]:
    """The settings that a trial found."""
    return decoded(search.choices, trial.params)


def trials_of(search: Search, study: optuna.Study) -> list[Any]:
    """The trials that succeeded, best first.

    Raises
    ------
    ManyLabelError
        If the storage holds other numbers than were written.
    """
    with storage_errors(search):
        found = trials.best_first(study)
    for trial in found:
        if not trials.is_as_written(trial):
            raise _no_storage(search, ValueError(f"trial {trial.number} has other numbers than were written"))
    return found
