"""Two processes train together as one, and stay equal."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from manylabel.training import checkpoint

ROOT = Path(__file__).parents[2]


def torchrun(folder, script):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*command, str(script), str(folder)], check=True, env=environment, capture_output=True)


def test_ranks_end_with_the_same_weights_and_one_history(tmp_path):
    torchrun(tmp_path, Path(__file__).parent / "small_run.py")
    one, two = (checkpoint.load(tmp_path / f"model-{rank}.safetensors")[0] for rank in range(2))
    for name in one:
        assert torch.equal(one[name], two[name]), name
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 14


def test_two_ranks_take_the_steps_of_one(tmp_path):
    torchrun(tmp_path, Path(__file__).parent / "line_run.py")
    weights = [checkpoint.load(tmp_path / f"line-{rank}.safetensors")[0]["weight"] for rank in range(2)]
    subprocess.run(
        [sys.executable, Path(__file__).parent / "line_run.py", tmp_path / "alone"],
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])},
    )
    alone = checkpoint.load(tmp_path / "alone" / "line-0.safetensors")[0]["weight"]
    torch.testing.assert_close(weights[0], alone, rtol=1e-6, atol=1e-7)
    assert torch.equal(weights[0], weights[1])
