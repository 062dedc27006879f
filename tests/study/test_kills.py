"""A study that is killed at any write, or at any moment, ends like one that was never killed, records included."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from tests.killed_work import KILLED, end
from tests.study import killed_run
from tests.study.killed_run import found, start
from tests.study.small_study import write_rows

from manylabel.files import Lock, is_own


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("data") / "tiny.npz")


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is left where nothing was killed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert end(start(data, out)) == 0
    return found(out)


def check_write(data: Path, out: Path, at: int, whole: dict[str, str], with_report: bool = False) -> bool:
    """Kill at a write and start again; False where the study ended before that write."""
    code = end(start(data, out, at, with_report=with_report))
    if code == 0:
        return False
    assert code == KILLED
    assert end(start(data, out, with_report=with_report)) == 0, f"killed at write {at}"
    assert found(out) == whole, f"killed at write {at}"
    left = [path.name for path in out.rglob("*") if is_own(path.name) and path.name != "digests.json"]
    assert left == [], f"killed at write {at}"
    return True


@pytest.mark.parametrize("at", [5, 24, 41])
def test_a_kill_at_a_write_changes_nothing(
    data: Path, tmp_path: Path, whole: dict[str, str], at: int
) -> None:
    assert check_write(data, tmp_path / "out", at, whole)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_kill_at_any_write_changes_nothing(data: Path, tmp_path: Path, whole: dict[str, str]) -> None:
    at, out = 1, tmp_path / "out"
    while check_write(data, out, at, whole, with_report=True):
        shutil.rmtree(out)
        at += 1
    assert at > 80


def check_moment(data: Path, out: Path, seed: int, whole: dict[str, str]) -> None:
    """Kill twice after a random while, and start again."""
    at = random.Random(seed)
    for _ in range(2):
        process = start(data, out)
        time.sleep(at.uniform(0.0, 0.6))
        os.kill(process, signal.SIGKILL)
        end(process)
    assert end(start(data, out)) == 0
    assert found(out) == whole


@pytest.mark.parametrize("seed", range(1))
def test_kills_at_some_moments_change_nothing(
    data: Path, tmp_path: Path, whole: dict[str, str], seed: int
) -> None:
    check_moment(data, tmp_path / "out", seed, whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 26))
def test_kills_at_random_moments_change_nothing(
    data: Path, tmp_path: Path, whole: dict[str, str], seed: int
) -> None:
    check_moment(data, tmp_path / "out", seed, whole)


WHILE_TIDYING_UP = [
    pytest.param(at, marks=[] if at in (15, 18) else pytest.mark.slow) for at in range(12, 24)
]


@pytest.mark.parametrize("at", WHILE_TIDYING_UP)
def test_a_false_start_that_is_killed_is_no_obstacle(
    data: Path, tmp_path: Path, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(killed_run.SETTINGS, "vectors.encoder.widths", [10**7, 10**7])
        assert end(start(data, tmp_path / "out", at)) in (KILLED, 2)
    assert end(start(data, tmp_path / "out", steps_apart=False)) == 0
    assert found(tmp_path / "out") == whole


def test_a_second_process_in_the_same_folder_is_refused(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    process = start(data, out)
    while not (out / "bce" / "seed-0" / "checkpoint.safetensors").exists():
        time.sleep(0.001)
    os.kill(process, signal.SIGSTOP)
    try:
        assert end(start(data, out)) == 2
        said = capfd.readouterr().err
        assert f"a folder that no other process works in, but got one in use by process {process} on" in said
    finally:
        os.kill(process, signal.SIGCONT)
    assert end(process) == 0
    Lock(out, "a test").release()


def test_a_folder_removed_during_a_run_ends_with_a_message(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(data, out)
    while not (out / "bce" / "seed-0" / "checkpoint.safetensors").exists():
        time.sleep(0.001)
    out.rename(tmp_path / "elsewhere")
    assert end(process) == 2
