"""A fit, an embedding, a search and a study that are killed at any write go on to the bits of one that never was."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.small_works import WORKS, go, left
from tests.killed_work import KILLED, end, start

from manylabel import MultiLabelClassifier, data
from manylabel.files import is_own
from manylabel.training import Run

SOME = {"fit": (4, 60, 101), "embed": (6, 9), "search": (70,), "study": (55,)}


def check_write(name: str, given: Path, out: Path, at: int, whole: dict[str, Any]) -> bool:
    """Kill at a write and start again; False where the work ended before that write."""
    code = go(name, given, out, at)
    if code == 0:
        return False
    assert code == KILLED
    assert go(name, given, out) == 0, f"killed at write {at}"
    assert left(out) == whole, f"killed at write {at}"
    kept = (
        ("digests.json", ".lock") if name == "embed" else ("digests.json",)
    )  # a whole array is read without its lock
    remains = [path.name for path in out.rglob("*") if is_own(path.name) and path.name not in kept]
    assert remains == [], f"killed at write {at}"
    return True


@pytest.mark.parametrize(("name", "at"), [(name, at) for name, places in SOME.items() for at in places])
def test_a_kill_at_a_write_of_work_changes_nothing(
    name: str, at: int, given: Path, tmp_path: Path, whole: Callable[[str], dict[str, Any]]
) -> None:
    assert check_write(name, given, tmp_path / "out", at, whole(name))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", WORKS)
def test_a_kill_at_any_write_of_work_changes_nothing(
    name: str, given: Path, tmp_path: Path, whole: Callable[[str], dict[str, Any]]
) -> None:
    at, out = 1, tmp_path / "out"
    while check_write(name, given, out, at, whole(name)):
        shutil.rmtree(out)
        at += 1
    assert at > max(SOME[name])


REAL = {"pretrain.stage.epochs": 4, "classify.stage.epochs": 12}


def real(folder: Path, out: Path) -> None:
    """Scenes of six kinds, a checkpoint every fifth of a second."""
    Run.__init__.__defaults__ = (*(Run.__init__.__defaults__ or ())[:-1], 0.2)
    train = data.load("scene", folder).train
    model = MultiLabelClassifier("mulsupcon", settings=REAL, validation=0.2, random_state=0)
    model.fit(train.X, train.Y, folder=out / "training").save(out / "model")


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_50_kills_at_random_moments_of_a_real_fit_change_nothing(shared_data: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    assert end(start(lambda: real(shared_data, tmp_path / "whole"), str(tmp_path))) == 0
    took, at, wanted = time.monotonic() - began, random.Random(0), left(tmp_path / "whole" / "model")
    for fold in range(10):
        out = tmp_path / f"killed-{fold}"
        for _ in range(5):
            process = start(lambda out=out: real(shared_data, out), str(out))
            time.sleep(at.uniform(0.1, 0.9) * took)
            os.kill(process, signal.SIGKILL)
            end(process)
        assert end(start(lambda out=out: real(shared_data, out), str(out))) == 0
        assert left(out / "model") == wanted, f"series {fold}"
