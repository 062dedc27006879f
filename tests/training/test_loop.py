"""The loop: schedules, selection, averages, clipping, precision, errors."""

import math
from itertools import chain

import pytest
import torch
from tests.training.small_run import fit
from torch import nn

from manylabel import ManyLabelError
from manylabel.labels import as_labels
from manylabel.models import FlatParameters
from manylabel.training import Group, Loop, Ranks, Stage, Task, divide
from manylabel.training.probe import ridge
from manylabel.training.schedules import Plateau, factor


class Line(Task):
    """Fit one number to the mean of ``n_rows`` numbers; the monitor says how far off it is."""

    def __init__(self, n_rows=20, scores=None):
        self.module = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.module.weight)
        self.groups = [Group(FlatParameters(self.module.parameters()))]
        self.n_rows, self.targets = n_rows, torch.arange(n_rows, dtype=torch.float32)
        self.scores, self.seen = iter(scores or ()), []

    def loss(self, rows):
        self.seen.append(rows.tolist())
        return (self.module(torch.ones(len(rows), 1))[:, 0] - self.targets[rows]).square().mean()

    def monitor(self):
        weight = self.module.weight.item()
        return {"loss": abs(weight - 9.5), "score": next(self.scores, 0.0), "weight": weight}


def run(task, **settings):
    loop = Loop("test", task, Stage(**settings), seed=0, ranks=Ranks())
    return loop, [record for record in loop.run() if record]


def test_an_epoch_sees_every_row_once_in_a_new_order():
    task = Line()
    run(task, epochs=2, batch=5)
    rows = list(chain.from_iterable(task.seen))
    first, second = rows[:20], rows[20:]
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second


def test_steps_share_all_rows_evenly():
    task = Line()
    loop, records = run(task, epochs=1, batch=6)
    assert [len(rows) for rows in task.seen] == [5, 5, 5, 5]
    assert sorted(chain.from_iterable(task.seen)) == list(range(20))
    assert (loop.step, records[0]["step"]) == (4, 4)


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("n_rows", [3, 4, 7, 21, 64, 65, 129])
@pytest.mark.parametrize("batch", [6, 13, 64])
def test_every_row_is_in_one_step_however_many_ranks_share_it(n_rows, world, batch):
    division = divide(Stage(epochs=1, batch=batch), n_rows, world)
    sizes = [division.span(step).stop - division.span(step).start for step in range(division.steps)]
    assert sum(sizes) == division.rows == n_rows
    assert world <= division.least == min(sizes)
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1
    assert division.steps == -(-division.rows // batch)


def test_no_step_leaves_a_rank_without_rows():
    division = divide(Stage(epochs=1, batch=4), 10, world=4)
    assert [division.span(step) for step in range(division.steps)] == [slice(0, 5), slice(5, 10)]


def test_no_step_of_a_batch_of_two_has_a_single_row():
    division = divide(Stage(epochs=1, batch=2), 5)
    assert [division.span(step) for step in range(division.steps)] == [slice(0, 2), slice(2, 5)]
    assert divide(Stage(epochs=1, batch=1), 5).steps == 5


def test_the_incomplete_last_batch_is_dropped_where_the_stage_says_so():
    task = Line()
    loop, records = run(task, epochs=1, batch=6, drop_last=True)
    assert [len(rows) for rows in task.seen] == [6, 6, 6]
    assert (loop.step, records[0]["step"]) == (3, 3)


def test_an_automatic_batch_grows_with_the_rows_and_is_none_too_large():
    auto = Stage(epochs=1, batch="auto")
    rows = (10, 449, 450, 1099, 1100)
    assert [divide(auto, n, name="test").steps for n in rows] == [1, 29, 15, 35, 18]
    assert divide(auto, 448, world=3).steps == divide(auto, 448).steps == 28


@pytest.mark.parametrize("n_rows", [10, 20])
def test_a_penalty_stands_beside_the_sum_over_rows(n_rows):
    task = Line(n_rows)
    run(task, epochs=200, batch=n_rows, optimiser="sgd", lr=0.02, l2_per_row=40.0, schedule="constant")
    mean = (n_rows - 1) / 2
    least = 2 * n_rows * mean / (2 * n_rows + 40)  # of sum (w - t)^2 + 40/2 w^2
    assert task.module.weight.item() == pytest.approx(least, rel=1e-4)


def test_the_best_epoch_is_kept_and_patience_ends_training():
    task = Line(scores=[0.1, 0.5, 0.4, 0.3, 0.9])
    loop, records = run(task, epochs=10, batch=20, lr=0.5, select="score", patience=2)
    assert [r["monitor"]["score"] for r in records] == [0.1, 0.5, 0.4, 0.3]
    assert task.module.weight.item() == records[1]["monitor"]["weight"]
    assert loop.best_epoch == 1


def test_the_average_is_monitored_and_kept():
    task, plain = Line(), Line()
    _, records = run(task, epochs=5, batch=20, lr=0.5, ema=0.5, ema_rising=False, schedule="constant")
    _, raw = run(plain, epochs=5, batch=20, lr=0.5, schedule="constant")
    average = 0.0
    for record, expected in zip(records, raw, strict=True):
        average += 0.5 * (expected["monitor"]["weight"] - average)
        assert record["monitor"]["weight"] == pytest.approx(average, rel=1e-6)
    assert task.module.weight.item() == pytest.approx(average, rel=1e-6)


def test_a_rising_average_is_its_closed_form_and_forgets_the_initial_weights():
    steps, task, plain = 40, Line(), Line()
    nn.init.constant_(task.module.weight, 1e6)
    nn.init.constant_(plain.module.weight, 1e6)
    settings = {"batch": 20, "lr": 0.5, "schedule": "constant", "optimiser": "sgd", "epochs": steps}
    _, records = run(task, ema=0.999, **settings)
    _, raw = run(plain, monitor_every=1, **settings)
    weights = [r["monitor"]["weight"] for r in raw]

    def share(t):  # of what step t, from 0, brings: 9 / (10 + t), and of it what later steps leave
        return 9 / (10 + t) * math.prod((1 + s) / (10 + s) for s in range(t + 1, steps))

    left = math.prod((1 + s) / (10 + s) for s in range(steps))  # of the initial weights
    assert left + sum(map(share, range(steps))) == pytest.approx(1)
    assert left < 1e-9 < 0.96 < 0.999**steps
    expected = left * 1e6 + sum(share(t) * w for t, w in enumerate(weights))
    assert records[-1]["monitor"]["weight"] == pytest.approx(expected, rel=1e-4)


def test_validation_rows_are_looked_at_ten_times_unless_something_chooses_by_them():
    def looks(**settings):
        return sum(bool(r["monitor"]) for r in run(Line(), epochs=40, batch=20, **settings)[1])

    assert looks() == 10
    assert looks(monitor_every=20) == 2
    assert looks(schedule="plateau") == looks(select="loss") == 40


def test_the_gradient_is_clipped_to_its_norm():
    task = Line()
    run(task, epochs=1, batch=20, optimiser="sgd", lr=1.0, clip=0.25, schedule="constant")
    assert task.module.weight.item() == pytest.approx(0.25)


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_every_optimiser_gets_there(optimiser):
    task = Line()
    run(task, epochs=200, batch=20, optimiser=optimiser, lr=0.3 if optimiser != "sgd" else 0.05)
    assert task.module.weight.item() == pytest.approx(9.5, abs=0.1)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains(precision):
    for record in run(Line(), epochs=3, batch=20, precision=precision)[1]:
        assert math.isfinite(record["loss"])


def test_a_diverged_run_says_so():
    task = Line()
    task.targets = task.targets * float("inf")
    told = (
        r"stage test, epoch 1, step 1: expected a finite loss, but got (inf|nan) on the training rows \d+, "
    )
    with pytest.raises(ManyLabelError, match=told):
        run(task, epochs=1, batch=20)


def test_fewer_rows_than_a_batch_shrink_it_and_say_so():
    shrunk, asked = Line(), Line()
    with pytest.warns(UserWarning, match="20 training rows are fewer than a batch of 64; each step takes 20"):
        run(shrunk, epochs=3, batch=64)
    run(asked, epochs=3, batch=20)
    for p, q in zip(shrunk.module.parameters(), asked.module.parameters(), strict=True):
        assert torch.equal(p, q)


def test_ranks_share_what_rows_there_are():
    with pytest.warns(UserWarning, match="each step takes 7"):
        assert divide(Stage(epochs=1, batch=8), 7, world=2, name="train").span(0) == slice(0, 7)
    with pytest.raises(ManyLabelError, match="at least 2 training rows, one for each rank, but got 1"):
        divide(Stage(epochs=1, batch=8), 1, world=2, name="train")
    with pytest.raises(ManyLabelError, match="a batch of at least 3 rows, one for each rank, but got 2"):
        divide(Stage(epochs=1, batch=2), 70, world=3, name="train")


def test_an_unknown_measurement_cannot_select():
    with pytest.raises(ManyLabelError, match="select to be one of loss, score, weight"):
        run(Line(), epochs=1, batch=20, select="accuracy")


def test_cosine_starts_warm_and_ends_at_its_floor():
    values = [factor("cosine", step, 100, warmup=0.1, floor=0.2) for step in range(101)]
    assert values[0] == pytest.approx(0.1)
    assert values[9] == values[10] == 1
    assert values[55] == pytest.approx(0.6)
    assert values[100] == pytest.approx(0.2)


@pytest.mark.parametrize("warmup", [0.1, 0.3])
def test_one_cycle_is_that_of_torch(warmup):
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    there = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 1.0, total_steps=50, pct_start=warmup, cycle_momentum=False, final_div_factor=4.0
    )
    for step in range(50):
        ours = factor("one_cycle", step, 50, warmup=warmup, floor=0.01)
        assert ours == pytest.approx(there.get_last_lr()[0], abs=1e-9)
        optimiser.step()
        there.step()


def test_warm_restarts_double_their_period():
    values = [factor("warm_restarts", step, 100, period=10) for step in range(71)]
    assert [step for step in range(1, 71) if values[step] > values[step - 1]] == [10, 30, 70]


def test_a_line_falls_to_its_floor():
    values = [factor("linear", step, 100, warmup=0.5) for step in range(50, 101)]
    assert values == pytest.approx([1 - step / 50 for step in range(51)])
    assert factor("linear", 100, 100, floor=0.3) == pytest.approx(0.3)


def test_the_step_schedule_goes_down_by_a_factor():
    values = [factor("step", step, 30, period=10, decay=0.5, floor=0.3) for step in range(30)]
    assert values == pytest.approx([1.0] * 10 + [0.5] * 10 + [0.3] * 10)


def test_plateau_drops_after_patience_and_rests():
    plateau, factors = Plateau(patience=2, cooldown=1), []
    for loss in (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5):
        plateau.update(loss)
        factors.append(plateau.factor)
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_the_probe_reads_what_is_there():
    Z = torch.randn(300, 6)
    Y = (Z[:, :3] > 0).float()
    Z_new = torch.randn(100, 6)
    scores = ridge(Z, Y)(Z_new)
    assert scores.shape == (100, 3)
    assert ((scores > 0.5) == (Z_new[:, :3] > 0)).float().mean() > 0.85


def test_ridge_is_the_closed_form():
    Z, Y, Z_new = torch.randn(50, 4), torch.rand(50, 2), torch.randn(7, 4)
    centred = Z - Z.mean(0)
    penalty = 2.0 * (centred.square().sum(0).mean() / 100) * torch.eye(4)
    W = torch.linalg.inv(centred.T @ centred + penalty) @ centred.T @ (Y - Y.mean(0))
    expected = ((Z_new - Z.mean(0)) @ W + Y.mean(0)).clamp(0, 1)
    torch.testing.assert_close(ridge(Z, Y, 2.0)(Z_new), expected)
    seven_rows = ridge(Z, Y, 2.0, entries_at_once=14)(Z_new)
    torch.testing.assert_close(seven_rows, expected)
    sets = (Y > 0.5).float()
    lists = as_labels(sets).sparse()
    torch.testing.assert_close(ridge(Z, lists)(Z_new), ridge(Z, sets)(Z_new))


def test_progress_tells_where_the_run_stands():
    seen = []
    fit(progress=seen.append)
    assert seen[-1].stages == ("pretrain", "finetune")
    assert (seen[-1].stage, seen[-1].step, seen[-1].steps) == ("finetune", 56, 56)
    assert "macro_f1" in seen[-1].monitor
