"""Training that diverges stops at the step, names its rows, and leaves the state before it."""

import math
import pickle

import pytest
import torch
from tests.training.small_run import fit
from tests.training.test_loop import Line, run

from manylabel.models import LabelQueue
from manylabel.training import Loop, Ranks, Run, Stage, checkpoint
from manylabel.training.divergence import Diverged, Sighting, Watch


class Breaks(Line):
    """A line of which one row goes wrong once training has come to a step."""

    def __init__(self, at, how):
        super().__init__()
        self.at, self.how, self.step = at, how, 0

    def loss(self, rows):
        self.step += 1
        value = super().loss(rows)
        return self.how(value, self.module.weight) if self.step == self.at else value


def nan(value, weight):
    return value * math.nan


def steep(value, weight):
    return value + (weight - weight.detach()).sum() * 1e30 * 1e9  # the loss is finite, its slope is not


def kink(value, weight):
    return (
        value + (weight - weight.detach()).square().sum().sqrt()
    )  # finite, with a slope that is NaN at any scale


HOWS = [
    (nan, "a finite loss, but got nan"),
    (steep, "a finite norm of the gradient, but got inf"),
    (kink, "a finite norm of the gradient, but got nan"),
]


@pytest.mark.parametrize(("how", "told"), HOWS)
@pytest.mark.parametrize("clip", [None, 1.0])
def test_the_step_its_rows_and_what_to_try_are_named(how, told, clip):
    task = Breaks(at=7, how=how)
    with pytest.raises(Diverged) as caught:
        run(task, epochs=3, batch=5, clip=clip)  # four steps an epoch
    rows = task.seen[6]
    assert str(caught.value) == (
        f"stage test, epoch 2, step 3: expected {told} on the training rows {', '.join(map(str, rows))}. "
        "Lower the learning rate, set `clip`, raise the temperature, or look at these rows."
    )
    assert caught.value.rows == tuple(rows)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.rows) == (str(caught.value), caught.value.rows)


@pytest.mark.parametrize(("how", "told"), HOWS)
def test_the_network_and_the_checkpoint_are_those_before_the_step(tmp_path, how, told):
    task = Breaks(at=7, how=how)
    with pytest.raises(Diverged, match=r"checkpoint.safetensors keeps the last state before"):
        Run(("test",), 0, tmp_path, checkpoint_seconds=0.0).train("test", task, Stage(epochs=3, batch=5))
    kept, facts = checkpoint.load(tmp_path / "checkpoint.safetensors")
    assert (facts["loop"]["epoch"], facts["loop"]["step_in_epoch"]) == (1, 2)
    assert torch.equal(kept["module.weight"], task.module.weight)
    assert task.module.weight.isfinite().all()
    whole = Line()
    Run(("test",), 0, tmp_path).train(
        "test", whole, Stage(epochs=3, batch=5)
    )  # with the row mended, it goes on
    plain = Line()
    run(plain, epochs=3, batch=5)
    assert torch.equal(whole.module.weight, plain.module.weight)


def test_keys_without_finite_numbers_are_told_with_the_step(monkeypatch):
    pushed, count = LabelQueue.push, iter(range(100))

    def push(self, keys, labels):
        return pushed(self, keys * math.inf if next(count) == 9 else keys, labels)

    monkeypatch.setattr(LabelQueue, "push", push)
    with pytest.raises(Diverged, match=r"stage pretrain, epoch 2, step 3: expected finite keys, but got NaN"):
        fit()


def in_float16(how):
    """A loop of one step an epoch whose scale begins at 2, and its line."""
    task = Line()
    loop = Loop("test", task, Stage(epochs=40, batch=20, precision="float16"), seed=0, ranks=Ranks())
    loop.scaler = torch.amp.GradScaler("cpu", init_scale=2.0, enabled=True)
    plain = task.loss
    task.loss = lambda rows: how(plain(rows), task.module.weight)
    return task, loop


def test_float16_skips_steps_until_its_scale_is_lost():
    task, loop = in_float16(kink)
    with pytest.raises(
        Diverged, match=r"step 1: expected a gradient scale of at least 6\.10352e-05, but got 3\.05"
    ):
        list(loop.run())
    assert loop.epoch == 16  # from 2, halved at every step
    assert task.module.weight.item() == 0  # no step was taken


def test_a_gradient_that_overflows_once_its_scale_is_gone_is_no_step():
    task, loop = in_float16(steep)
    with pytest.raises(Diverged, match="step 1: expected a finite norm of the gradient, but got inf"):
        list(loop.run())
    assert 0 < loop.epoch < 16
    assert task.module.weight.item() == 0


def test_a_gpu_is_looked_at_every_so_often_and_whenever_asked():
    watch = Watch(torch.device("cuda"))
    one = torch.tensor(1.0)
    for step in range(watch.at_once - 1):
        assert watch.see(Sighting(step, torch.tensor(math.nan) if step == 4 else one, one)) is None
    assert watch.look() == (4, "a finite loss", "nan")
    assert watch.look() is None
