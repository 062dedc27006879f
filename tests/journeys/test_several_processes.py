"""torchrun and the same command train one model on two processes, whose shards differ in size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
from tests.journeys.conftest import Shell

from manylabel.methods import model_folder

ROOT = Path(__file__).parents[2]
WORDS = ["fit", "places.csv", "--labels", "tags", "--validation", "0.2"]
WITHOUT_CHANCE = {
    "classify.stage.epochs": 2,
    "classify.stage.batch": 15,  # seven rows and eight
    "classify.views.mask": 0,
    "encoder.widths": "[16]",
    "encoder.dropout": 0,
}


def torchrun(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", "COLUMNS": "160"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, "-m", "manylabel", *words], cwd=folder, env=environment, text=True, capture_output=True
    )


def settings() -> list[str]:
    return [word for name, value in WITHOUT_CHANCE.items() for word in ("--set", f"{name}={value}")]


def test_two_processes_fit_what_one_does(shell: Shell, places: Path, tmp_path: Path) -> None:
    (tmp_path / "places.csv").write_bytes((places / "places.csv").read_bytes())
    words = [*WORDS, "--method", "bce", *settings()]
    together = torchrun(tmp_path, *words, "--out", "together")
    assert together.returncode == 0, together.stderr
    assert together.stdout.count("150 rows") == 1  # said once
    assert not (tmp_path / "together.training").exists()
    words[1] = str(tmp_path / "places.csv")
    assert shell(*words, "--out", tmp_path / "alone")[0] == 0
    found, wanted = (
        model_folder.read(tmp_path / name)[1]["scorer"].tensors for name in ("together", "alone")
    )
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-4, atol=1e-5)


def test_a_method_of_many_learners_is_refused(places: Path) -> None:
    refused = torchrun(places, *WORDS, "--method", "best", "--out", "best")
    assert refused.returncode != 0
    assert "a method of one network over several processes, but got best" in refused.stderr
