"""Damaged files of a study are refused; other numbers are never taken without a word."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.files.test_digests import damaged
from tests.study.small_study import TINY, Told, plan, write_rows

from manylabel.errors import ManyLabelError
from manylabel.files import digests
from manylabel.study import StudyFolder, run, write_report
from manylabel.study.executors.base import Advanced
from manylabel.training import Run

RUN = "bce/seed-0/"


class Stopped(BaseException):
    """Stands for a kill."""


class Stops(Told):
    """Stops a study at its second progress."""

    def __call__(self, event: object) -> None:
        super().__call__(event)
        if sum(isinstance(e, Advanced) for e in self) == 2:
            raise Stopped


def go_on(data: Path, out: Path) -> list[object]:
    return list(run(plan(data, out, methods=("bce",), seeds=(0,), settings={"bce": TINY}), Told()))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, one that was stopped half-way, and their data."""
    folder = tmp_path_factory.mktemp("damage")
    data = write_rows(folder / "tiny.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run.__init__, "__defaults__", (*Run.__init__.__defaults__[:-1], 0.0))  # type: ignore[index]
        assert go_on(data, folder / "full") == []
        with pytest.raises(Stopped):
            run(plan(data, folder / "half", methods=("bce",), seeds=(0,), settings={"bce": TINY}), Stops())
    write_report(folder / "full")
    return folder


def resumed(out: Path) -> object:
    failed = go_on(out.parent / "tiny.npz", out)
    if failed:
        raise ManyLabelError("run", "no failure", failed[0].message)  # type: ignore[attr-defined]
    return {k: v.tobytes() for k, v in StudyFolder(out).scores("bce", 0).items()}


def scored(out: Path) -> object:
    X = torch.from_numpy(np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32))
    return StudyFolder(out).model("bce", 0).predict_proba(X).tobytes()


def shown(out: Path) -> object:
    write_report(out)
    return (out / "report.html").read_text().replace(str(out), "OUT")


CASES = [
    (resumed, "half", RUN + "checkpoint.safetensors", 100),
    (resumed, "half", RUN + "run.json", 40),
    (scored, "full", RUN + "model/model.json", 50),
    (scored, "full", RUN + "model/*.safetensors", 50),
    (shown, "full", RUN + "scores.npz", 60),
    (shown, "full", RUN + "history.jsonl", 50),
    (shown, "full", RUN + "run.json", 50),
    (shown, "full", "test_labels.npz", 50),
    (shown, "full", "study.json", 50),
]


def check(
    use: Callable[[Path], object], base: Path, file: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the damage, the same result or our own error."""
    monkeypatch.setattr(digests, "_PAUSE", 0.0)
    out, at = base.parent / "damaged", random.Random(file)
    wanted, refused = None, 0
    for i in range(times + 1):
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(base, out)
        if i == 0:
            wanted = use(out)
            continue
        (path,) = out.glob(file)
        path.write_bytes(damaged(path.read_bytes(), at))
        try:
            assert use(out) == wanted
        except ManyLabelError:
            refused += 1
    assert refused > times / 2


@pytest.mark.parametrize(("use", "base", "file", "times"), CASES)
def test_a_damaged_file_is_refused(
    use: Callable[[Path], object],
    base: str,
    file: str,
    times: int,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check(use, place / base, file, 3, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(("use", "base", "file", "times"), CASES)
def test_500_damaged_files_are_refused(
    use: Callable[[Path], object],
    base: str,
    file: str,
    times: int,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check(use, place / base, file, times, monkeypatch)
