"""Executors in general: progress events, and one attempt at a cell."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from manylabel import data, files
from manylabel.data.dataset import DataSet
from manylabel.data.loading import seen_from
from manylabel.errors import ManyLabelError
from manylabel.study.cell import CellKey
from manylabel.study.records import DataCard
from manylabel.training import Progress


@dataclass(frozen=True)
class Started:
    """The next study of a plan of several."""

    name: str
    place: int
    of: int


@dataclass(frozen=True)
class Loaded:
    """The data of a study are there, its ``runs`` begin."""

    card: DataCard
    runs: int


@dataclass(frozen=True)
class Advanced:
    """A run got further."""

    key: CellKey
    progress: Progress


@dataclass(frozen=True)
class Finished:
    """A run is done, now or by an earlier call; ``record`` is what it left."""

    key: CellKey
    record: Any
    earlier: bool = False


@dataclass(frozen=True)
class Failed:
    """A run stopped with an error, now or in an earlier call.

    ``by_input``: the input or the machine is to blame, not the program.
    """

    key: CellKey
    message: str
    by_input: bool
    earlier: bool = False


Event: TypeAlias = Started | Loaded | Advanced | Finished | Failed
Listener: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True)
class Source:
    """The data set of some cells, and where other processes load it from."""

    data: str
    data_dir: Path | None
    dataset: DataSet
    split: int | None = None
    labels: tuple[str, ...] = ()
    read: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> tuple[Any, ...]:
        """What :func:`loaded` takes; it can be hashed."""
        return self.data, self.data_dir, self.split, self.labels, tuple(self.read.items())


def loaded(
    name: str,
    data_dir: Path | None,
    split: int | None,
    labels: tuple[str, ...] = (),
    read: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
) -> DataSet:
    """A data set with its published test rows, or with those that a split draws; of a table with these labels.

    ``read`` are settings of its reader.
    """
    dataset = data.load(name, data_dir, labels=labels, options=dict(read))
    return dataset if split is None else data.random_split(dataset, split)


def loaded_again(where: tuple[Any, ...], digest: str) -> DataSet:
    """The data set of a :class:`Source` in another process: what :func:`loaded` takes, and the digest it had."""
    dataset = loaded(*where)
    if dataset.digest != digest:
        raise ManyLabelError(where[0], "the data that the study began with", "other data", "Run again.")
    return dataset


def loaded_as_asked(
    asked: Mapping[str, Any], folder: Path, digest: str, data_dir: Path | None, who: str
) -> DataSet:
    """The data set of the record of a study, as it was then.

    Parameters
    ----------
    asked : mapping
        The parameters that the record keeps.
    folder : Path
        Where paths in them are seen from.
    digest : str
    data_dir : Path or None
        Folder with local copies of data sets; None stands for that of the study.
    who : str
        For messages.

    Raises
    ------
    ManyLabelError
        If the record is one of an earlier version, or the data are other ones now.
    """
    if "data" not in asked:
        raise ManyLabelError(who, "a study that names its data", "one of an earlier version")
    place = data_dir or (folder / asked["data_dir"] if "data_dir" in asked else None)
    name = seen_from(folder, asked["data"], place)
    dataset = loaded(name, place, asked.get("split"), tuple(asked.get("labels", ())), asked.get("read", ()))
    if dataset.digest != digest:
        raise ManyLabelError(who, f"{dataset.name} as it was then", "other data", "Restore the data.")
    return dataset


class Work(Protocol):
    """What an executor runs: a cell of a study, or a part of a trial of a search."""

    @property
    def key(self) -> CellKey:
        """Names it among the others of a call."""
        ...

    @property
    def folder(self) -> Path:
        """Where it leaves what it found; nothing else works there."""
        ...

    @property
    def marker(self) -> Path:
        """What a process sees that shares the folder."""
        ...

    def run(self, dataset: DataSet, tell: Callable[[Progress], None]) -> Any:
        """Do it, leave a record in the folder, and return the record."""
        ...

    def found(self) -> Any:
        """The record in the folder; None where it is not done."""
        ...

    def settled(self) -> Work:
        """The same with paths that mean the same in any folder."""
        ...


class Executor(Protocol):
    """Runs cells, here or elsewhere."""

    def run(self, jobs: Sequence[Work], source: Source, listener: Listener) -> list[Failed]:
        """Run cells, hand their events to the listener as they happen, and return the failed ones."""
        ...


def attempt(job: Work, dataset: DataSet, tell: Listener) -> Finished | Failed:
    """One run; an error of it is put into its folder and handed back."""
    report = job.folder / "error.txt"
    try:
        record = job.run(dataset, lambda progress: tell(Advanced(job.key, progress)))
    except ConnectionError:
        raise  # nobody listens any more
    except (ManyLabelError, OSError) as error:
        return Failed(job.key, message(error), by_input=True)
    except Exception as error:
        with suppress(ManyLabelError):  # a place that cannot be written any more must not hide the error
            files.write(report, traceback.format_exc().encode())
        return Failed(job.key, f"{message(error)} (traceback in {report})", by_input=False)
    with suppress(OSError):
        report.unlink(missing_ok=True)
    return Finished(job.key, record)


def message(error: Exception) -> str:
    """What a failure says of its error."""
    if isinstance(error, ManyLabelError) and not isinstance(error.__cause__, OSError):
        return str(error)
    if isinstance(error, OSError | ManyLabelError):
        hint = "Make room or free the place, then run the same command again: finished runs are kept."
        return f"{str(error).rstrip('.')}. {hint}"
    return f"{type(error).__name__}: {error}"
