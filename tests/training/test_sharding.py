"""Two processes keep a part of an encoder each, and train it as one process would."""

from pathlib import Path

import pytest
import torch
from tests.training.shard_run import REFUSED, RUNS, Transformer
from tests.training.test_ranks import run_alone, torchrun, weights

from manylabel.training import checkpoint, sharded
from manylabel.training.sharding import is_in_parts, load_state, whole_state

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    script = Path(__file__).parent / "shard_run.py"
    torchrun(folder, script)
    run_alone(folder, script)
    return folder


@pytest.mark.parametrize("method", RUNS)
def test_weights_are_those_of_one_process(method, folder):
    """With a clipped gradient, an average, the best epoch, two rates, and sizes that do not divide."""
    one, two, alone = (weights(folder / path) for path in (f"{method}-0", f"{method}-1", f"alone/{method}-0"))
    start = Transformer().state_dict()
    assert set(start) <= {name.removeprefix("encoder.") for name in alone}
    for name in alone:
        assert torch.equal(one[name], two[name]), name
        torch.testing.assert_close(one[name], alone[name], rtol=1e-6, atol=1e-6)


def test_an_encoder_of_entries_may_be_in_parts(folder):
    one, two, alone = (weights(folder / path) for path in ("entries-0", "entries-1", "alone/entries-0"))
    for name in alone:
        assert torch.equal(one[name], two[name]), name
        torch.testing.assert_close(one[name], alone[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kept", ["parts", "whole"])
def test_a_killed_run_of_two_processes_goes_on_to_the_same_bits(kept, folder):
    for rank in (0, 1):
        never, resumed = weights(folder / f"{kept}-{rank}"), weights(folder / f"{kept}-resumed-{rank}")
        assert all(torch.equal(never[name], resumed[name]) for name in never)


def test_a_checkpoint_is_whole(folder):
    """One file that holds every weight, average and moment; classifier and encoder are two groups in place of one."""
    ours, facts = checkpoint.load(folder / "parts.safetensors")
    theirs, _ = checkpoint.load(folder / "whole.safetensors")
    assert facts["loop"]["step_in_epoch"] == 2
    module = [name for name in theirs if name.startswith(("module.", "best."))]
    assert {name: t.shape for name, t in ours.items() if name in module} == {
        n: theirs[n].shape for n in module
    }
    for name in module:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-5)
    for name in ("average", "optimiser.{}.exp_avg", "optimiser.{}.exp_avg_sq"):
        pattern = name if "{}" in name else "average.{}"
        joined = torch.cat([ours[pattern.format(i)] for i in range(2)])
        torch.testing.assert_close(joined, theirs[pattern.format(0)], rtol=1e-4, atol=1e-5)
        assert bool(joined.any())


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_with_parts_is_refused(name, folder):
    told = {(folder / f"refused-{name}-{rank}.txt").read_text() for rank in (0, 1)}
    (text,) = told
    assert ", shard: expected " in text
    assert {"compile": "without compile", "float16": "without precision float16"}.get(
        name, "a trained encoder"
    ) in text


def test_a_single_process_trains_the_network_itself():
    network = Transformer()
    with sharded(network, True) as trained:
        assert trained is network
    state = whole_state(network)
    assert not any(map(is_in_parts, state.values()))
    other = Transformer()
    load_state(other, state)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), network.parameters(), strict=True))
