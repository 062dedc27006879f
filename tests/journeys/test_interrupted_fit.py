"""A fit that is killed or stopped goes on with the same command, and ends as if nothing had happened."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.journeys.conftest import Shell, quick

ROOT = Path(__file__).parents[2]
WORDS = ("fit", "places.csv", "--labels", "tags", "--method", "bce", *quick()[2:4])


def start(folder: Path, out: str) -> subprocess.Popen[str]:
    """The fit in a process of its own, with a checkpoint after every step."""
    code = (
        "import sys; from manylabel.training import Run; "
        "Run.__init__.__defaults__ = (*Run.__init__.__defaults__[:-1], 0.0); "
        "from manylabel.cli import main; main(sys.argv[1:])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "160"}
    command = [sys.executable, "-c", code, *WORDS, "--out", out]
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, stdout=-1, stderr=-1)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".safetensors"}


@pytest.mark.parametrize("by", [pytest.param(signal.SIGKILL, marks=pytest.mark.slow), signal.SIGINT])
def test_the_same_command_goes_on(shell: Shell, places: Path, tmp_path: Path, by: signal.Signals) -> None:
    (tmp_path / "places.csv").write_bytes((places / "places.csv").read_bytes())
    process = start(tmp_path, "stopped")
    wait_for(tmp_path / "stopped.training" / "fold-2" / "checkpoint.safetensors", process)
    process.send_signal(by)
    _, errors = process.communicate(timeout=120)
    assert not (tmp_path / "stopped" / "model.json").exists()
    assert (tmp_path / "stopped.training" / "fold-0").is_dir()
    if by == signal.SIGINT:
        assert process.returncode == 130
        told = shlex.split(errors.splitlines()[-1])
        assert told[:5] == ["manylabel", "fit", "places.csv", "--method", "bce"]
        assert "Stopped. Go on where it stopped with:" in errors
        return  # what goes on is the same
    finished = (tmp_path / "stopped.training" / "fold-0" / "checkpoint.safetensors").stat().st_mtime_ns
    for out in ("stopped", "whole"):
        again = start(tmp_path, out)
        if out == "stopped":
            wait_for(tmp_path / "stopped.training" / "fold-3", again)
            kept = tmp_path / "stopped.training" / "fold-0" / "checkpoint.safetensors"
            assert kept.stat().st_mtime_ns == finished  # not trained again
        _, errors = again.communicate(timeout=120)
        assert again.returncode == 0, errors
    assert content(tmp_path / "stopped") == content(tmp_path / "whole")
    assert sorted(os.listdir(tmp_path)) == ["places.csv", "stopped", "whole"]
