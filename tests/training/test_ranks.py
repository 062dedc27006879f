"""Two processes train together as one, and stay equal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.training.ranks_run import RUNS
from tests.training.starts_run import RUNS as STARTED

from manylabel.methods import model_folder
from manylabel.training import checkpoint

ROOT = Path(__file__).parents[2]


def torchrun(folder, script):
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    asked = [*command, str(script), str(folder)]
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run_alone(folder, script):
    """The same in one process, into a folder of its own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    subprocess.run([sys.executable, script, folder / "alone"], check=True, env=environment)


def weights(folder):
    """The tensors of a saved model."""
    return model_folder.read(folder)[1]["scorer"].tensors


@pytest.mark.slow
def test_ranks_end_with_the_same_weights_and_one_history(tmp_path):
    torchrun(tmp_path, Path(__file__).parent / "small_run.py")
    one, two = (weights(tmp_path / f"model-{rank}") for rank in range(2))
    for name in one:
        assert torch.equal(one[name], two[name]), name
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 14


@pytest.mark.slow
def test_two_ranks_take_the_steps_of_one(tmp_path):
    torchrun(tmp_path, Path(__file__).parent / "line_run.py")
    found = [checkpoint.load(tmp_path / f"line-{rank}.safetensors")[0]["weight"] for rank in range(2)]
    run_alone(tmp_path, Path(__file__).parent / "line_run.py")
    alone = checkpoint.load(tmp_path / "alone" / "line-0.safetensors")[0]["weight"]
    torch.testing.assert_close(found[0], alone, rtol=1e-6, atol=1e-7)
    assert torch.equal(found[0], found[1])


def test_batch_norm_over_one_row_of_each_rank_is_refused_before_training(tmp_path):
    torchrun(tmp_path, Path(__file__).parent / "one_row_run.py")
    told = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert sorted(told) == ["batch-0.txt", "batch-1.txt", "momentum-0.txt", "momentum-1.txt"]
    expected = "batch norm: expected at least 2 rows of a step on each rank, but got 1. "
    assert all(text.startswith(expected) and "larger batch" in text for text in told.values()), told


@pytest.fixture(scope="module")
def of_methods(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    script = Path(__file__).parent / "ranks_run.py"
    torchrun(folder, script)
    run_alone(folder, script)
    return folder


@pytest.mark.parametrize("method", RUNS)
def test_unequal_shards_of_two_ranks_train_as_one_process(method, of_methods):
    one, two, alone = (
        weights(of_methods / path) for path in (f"{method}-0", f"{method}-1", f"alone/{method}-0")
    )
    for name in alone:
        assert torch.equal(one[name], two[name]), name
        torch.testing.assert_close(one[name], alone[name], rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def of_starts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("starts")
    script = Path(__file__).parent / "starts_run.py"
    torchrun(folder, script)
    run_alone(folder, script)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("start", ["first", "second"])
@pytest.mark.parametrize("kind", STARTED)
def test_two_ranks_start_at_centroids_and_from_a_model_as_one_process(kind, start, of_starts):
    name = f"{kind}-{start}"
    one, two, alone = (weights(of_starts / path) for path in (f"{name}-0", f"{name}-1", f"alone/{name}-0"))
    for tensor in alone:
        assert torch.equal(one[tensor], two[tensor]), tensor
        torch.testing.assert_close(one[tensor], alone[tensor], rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def of_pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    script = Path(__file__).parent / "batch_norm_run.py"
    torchrun(folder, script)
    run_alone(folder, script)
    return folder


@pytest.mark.parametrize("method", ["bce", "mulsupcon_weighted"])
def test_batch_norm_over_all_ranks_makes_two_processes_one(method, of_pictures):
    one, two, alone = (
        weights(of_pictures / path) for path in (f"{method}-0", f"{method}-1", f"alone/{method}-0")
    )
    assert any("running_var" in name for name in alone)
    for name in alone:
        assert torch.equal(one[name], two[name]), name
        torch.testing.assert_close(one[name], alone[name], rtol=1e-5, atol=1e-5)
