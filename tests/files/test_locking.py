"""One process works in a folder; a second is told which, and a dead one holds nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from manylabel.errors import ManyLabelError
from manylabel.files import Lock, host

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
HOLDS = """
import sys, pathlib
from manylabel.files import Lock
lock = Lock(pathlib.Path(sys.argv[1]), "child")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the folder."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLDS, str(folder)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture(params=[True, False], ids=["locks of the system", "none"])
def system_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:
        monkeypatch.setitem(sys.modules, "fcntl", None)
    return bool(request.param)


def test_a_second_process_is_told_who_works_there(tmp_path: Path, system_locks: bool) -> None:
    with holder(tmp_path) as process:
        message = (
            rf"run: expected a folder .*, but got one in use by process {process.pid} on {host()} since 2"
        )
        with pytest.raises(ManyLabelError, match=message):
            Lock(tmp_path, "run", patience=0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        Lock(tmp_path, "run").release()
    assert os.listdir(tmp_path) == []


def test_a_process_takes_its_own_lock_again(tmp_path: Path, system_locks: bool) -> None:
    first, second = Lock(tmp_path, "run"), Lock(tmp_path, "run")
    first.release()
    first.release()
    assert os.listdir(tmp_path) == [".lock"]
    second.release()
    assert os.listdir(tmp_path) == []
    with Lock(tmp_path, "run"):
        assert os.listdir(tmp_path) == [".lock"]


def test_a_lock_file_of_a_dead_process_or_of_nonsense_holds_nothing(
    tmp_path: Path, system_locks: bool
) -> None:
    for content in ("", "{", "[]", '{"process": 0}', json.dumps({"process": 999999999, "host": host()})):
        (tmp_path / ".lock").write_text(content)
        Lock(tmp_path, "run").release()
        assert os.listdir(tmp_path) == []


def test_a_folder_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManyLabelError, match="a file that can be written, but got No such file"):
        Lock(tmp_path / "gone", "run")
    lock = Lock(tmp_path, "run")
    (tmp_path / ".lock").unlink()
    lock.release()
