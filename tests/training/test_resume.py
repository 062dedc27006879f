"""A run that is killed goes on bit for bit."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.files.test_digests import damaged
from tests.training.small_run import fit
from tests.training.stops import killed_after

from manylabel import ManyLabelError
from manylabel.methods import model_folder
from manylabel.training import checkpoint

SCRIPT = Path(__file__).parent / "small_run.py"


def weights(scorer):
    return {name: t.clone() for name, t in scorer.scorer.module.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_a_random_state_may_be_a_row_of_those_of_all_ranks():
    with torch.random.fork_rng(devices=[]):
        states = torch.stack([torch.manual_seed(seed).get_state() for seed in (1, 2)])
        checkpoint.set_random_state({"cpu": states[1]})
        assert torch.equal(torch.get_rng_state(), states[1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return weights(fit(folder)), history(folder)


def history(folder):
    lines = (folder / "history.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


@pytest.mark.parametrize("steps", [1, 5, 6, 7, 20, 36, 37, 41, 60, 84])
def test_a_run_stopped_at_any_step_ends_as_if_never_stopped(whole, tmp_path, monkeypatch, steps):
    with killed_after(steps):
        fit(tmp_path)
    torch.rand(7)  # whatever else the process draws must not matter
    assert_same(weights(fit(tmp_path)), whole[0])
    assert history(tmp_path) == whole[1]


def test_a_finished_run_is_not_trained_again(whole, tmp_path):
    fit(tmp_path)
    seen = []
    again = fit(tmp_path, progress=seen.append)
    assert_same(weights(again), whole[0])
    assert {(p.stage, p.step) for p in seen} == {("finetune", 56)}


def test_what_only_pictures_ask_does_not_matter_to_the_checkpoint_of_vectors(tmp_path):
    fit(tmp_path)
    seen = []
    fit(tmp_path, progress=seen.append, **{"images.classify.views.crop": 0.5})
    assert {(p.stage, p.step) for p in seen} == {("finetune", 56)}
    with pytest.raises(ManyLabelError, match="one of another"):
        fit(tmp_path, **{"vectors.classify.views.mask": 0.6})


def test_a_process_killed_by_the_system_goes_on(whole, tmp_path):
    process = subprocess.Popen([sys.executable, SCRIPT, tmp_path], env=environment(tmp_path))
    while not (tmp_path / "checkpoint.safetensors").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run([sys.executable, SCRIPT, tmp_path], check=True, env=environment(tmp_path))
    tensors = model_folder.read(tmp_path / "model-0")[1]["scorer"].tensors
    assert_same(tensors, whole[0])


def environment(folder):
    root = str(Path(__file__).parents[2])
    return os.environ | {"PYTHONPATH": os.pathsep.join([root, f"{root}/src"]), "OMP_NUM_THREADS": "1"}


def test_the_random_state_of_the_caller_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit()
    assert torch.equal(torch.rand(3), expected)


def test_seeds_differ_and_repeat(whole):
    assert_same(weights(fit()), whole[0])
    other = weights(fit(seed=4))
    assert not torch.equal(other["classifier.weight"], whole[0]["classifier.weight"])


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    fit(tmp_path)
    with pytest.raises(
        ManyLabelError, match="a checkpoint of this recipe and data set, but got one of another"
    ):
        fit(tmp_path, **{"classify.stage.lr": 0.5})


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"junk", lambda raw: b""])
def test_an_unreadable_checkpoint_is_named_and_kept(tmp_path, damage):
    fit(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(
        ManyLabelError, match=r"checkpoint\.safetensors: expected a checkpoint written by manylabel"
    ):
        fit(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("steps", [18, 36, 60, 84])
def test_a_history_that_a_kill_kept_from_the_disk_is_written_by_the_next_call(
    whole, tmp_path, monkeypatch, steps
):
    from manylabel.training import run

    with monkeypatch.context() as patch:
        patch.setattr(run, "write_history", lambda path, records: None)
        with killed_after(steps):
            fit(tmp_path)
    assert not (tmp_path / "history.jsonl").exists()
    assert_same(weights(fit(str(tmp_path))), whole[0])
    assert history(tmp_path) == whole[1]


def test_a_folder_is_made_before_training_or_refused(tmp_path):
    fit(str(tmp_path / "new" / "folder"))
    assert (tmp_path / "new" / "folder" / "checkpoint.safetensors").exists()
    (tmp_path / "file").write_text("")
    seen = []
    with pytest.raises(ManyLabelError, match=r"a folder that can be written.*Not a directory"):
        fit(tmp_path / "file" / "folder", progress=seen.append)
    assert seen == []


def test_every_damage_to_a_checkpoint_is_told(tmp_path):
    tensors = {"half": torch.randn(5).bfloat16(), "scalar": torch.tensor(3), "none": torch.zeros(0, 2)}
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, tensors, {"note": "what it is", "value": 0.5})
    content, at, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        path.write_bytes(damaged(content, at))
        try:
            again, meta = checkpoint.load(path)
        except ManyLabelError:
            refused += 1
        else:  # blanks of the header
            assert_same(again, tensors)
            assert meta == {"note": "what it is", "value": 0.5}
    assert refused > 250


def test_checkpoints_of_earlier_versions_are_read_with_a_warning(tmp_path):
    from safetensors.torch import save_file

    save_file({"w": torch.ones(2)}, tmp_path / "old.safetensors", {"manylabel": json.dumps({"type": "x"})})
    with pytest.warns(UserWarning, match="no digest, as earlier versions left none"):
        tensors, meta = checkpoint.load(str(tmp_path / "old.safetensors"))
    assert (tensors["w"].tolist(), meta) == ([1.0, 1.0], {"type": "x"})
