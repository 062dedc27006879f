"""Trackers by name: what each epoch measured, and the final metrics, for TensorBoard, CSV or MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from manylabel import files
from manylabel.errors import ManyLabelError, did_you_mean, missing_extra
from manylabel.training.trackers.base import Tracker


class _Backend(NamedTuple):
    module: str
    tracker: str
    packages: tuple[str, ...]
    extra: str


_BACKENDS = {
    "csv": _Backend("csv_files", "CSVTracker", (), ""),
    "tensorboard": _Backend("tensorboard", "TensorBoardTracker", ("tensorboard",), "track"),
    "mlflow": _Backend("mlflow", "MLflowTracker", ("mlflow", "sqlalchemy", "alembic"), "mlflow"),
}


def names() -> tuple[str, ...]:
    """The trackers that there are."""
    return tuple(_BACKENDS)


def check(chosen: Sequence[str], who: str = "`track`") -> None:
    """Refuse unknown trackers, and those whose package is not installed.

    Raises
    ------
    ManyLabelError
    """
    for name in chosen:
        if name not in _BACKENDS:
            raise ManyLabelError(
                who, f"one of {', '.join(_BACKENDS)}", repr(name), did_you_mean(name, _BACKENDS)
            )
        for package in _BACKENDS[name].packages:
            if find_spec(package) is None:
                raise missing_extra(f"{who} {name}", package, _BACKENDS[name].extra)


def get(name: str, folder: str | Path, run: str) -> Tracker:
    """A tracker of one training.

    Parameters
    ----------
    name : {"csv", "tensorboard", "mlflow"}
    folder : str or Path
        Where files are kept; it is made where it is missing. MLflow keeps them in the SQLite file ``mlflow.db`` there,
        unless the environment variable ``MLFLOW_TRACKING_URI`` names a server.
    run : str
        What the training is called, such as ``"films/best"``; the part before the first slash is the experiment.

    Returns
    -------
    Tracker
        A listener, for the ``progress`` of a fit.

    Raises
    ------
    ManyLabelError
        For an unknown name, a package that is not installed, a folder that cannot be written, or a name that leads
        out of it.
    """
    check([name])
    if not run or any(part in ("", ".", "..") for part in run.split("/")):
        raise ManyLabelError("tracker", "`run` as names between slashes", repr(run), "Such as 'films/best'.")
    backend = _BACKENDS[name]
    module = import_module(f"manylabel.training.trackers.{backend.module}")
    tracker: Tracker = getattr(module, backend.tracker)(files.usable_folder(folder, "tracker, `folder`"), run)
    return tracker


__all__ = ["Tracker", "check", "get", "names"]
