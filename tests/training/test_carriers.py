"""Orders of rows in which the labels of a step have several carriers."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from tests.training.small_run import fit
from tests.training.test_loop import Line, run

from manylabel import ManyLabelError
from manylabel.labels import LabelMatrix, as_labels
from manylabel.training import Loop, Ranks, Stage, divide
from manylabel.training.sampling import order_by_carriers


def ordered(Y: torch.Tensor, batch: int, carriers: int, seed: int = 0, lists: bool = True, window: int = 0):
    """The order, and the rows of each step."""
    labels: LabelMatrix = as_labels(Y).sparse() if lists else as_labels(Y)
    division = divide(Stage(epochs=1, batch=batch), len(Y))
    drawn = torch.randperm(len(Y), generator=torch.Generator().manual_seed(seed))
    order = order_by_carriers(labels, division, carriers, drawn.split(window or len(Y)))
    return order, [order[division.span(step)] for step in range(division.steps)]


def lacking(Y: torch.Tensor, steps: list[torch.Tensor], carriers: int) -> int:
    """Labels of a step that fewer rows carry, over all steps."""
    counts = torch.stack([Y[rows].sum(0) for rows in steps])
    return int(((counts > 0) & (counts < carriers)).sum())


def tagged(n: int, n_labels: int, share: float, seed: int = 0) -> torch.Tensor:
    return (torch.rand(n, n_labels, generator=torch.Generator().manual_seed(seed)) < share).float()


@pytest.mark.parametrize("carriers", [2, 4])
def test_where_the_rows_allow_it_every_label_has_its_carriers(carriers: int) -> None:
    Y = torch.eye(30).repeat(4, 1)  # four rows of each label
    _, steps = ordered(Y, 8, carriers)
    assert {len(rows) for rows in steps} == {8}
    assert lacking(Y, steps, carriers) == 0
    random = list(torch.randperm(120, generator=torch.Generator().manual_seed(0)).split(8))
    assert lacking(Y, random, carriers) > 60


@pytest.mark.parametrize("lists", [True, False])
def test_every_row_comes_once_in_an_order_that_the_seed_decides(lists: bool) -> None:
    Y = tagged(101, 20, 0.1)
    order, steps = ordered(Y, 16, 2, lists=lists)
    assert order.sort().values.tolist() == list(range(101))
    assert torch.equal(order, ordered(Y, 16, 2, lists=not lists)[0])
    assert not torch.equal(order, ordered(Y, 16, 2, seed=1)[0])
    assert sum(map(len, steps)) == 101


def test_few_labels_all_have_carriers_and_many_have_them_more_often_than_by_chance() -> None:
    few, many = tagged(600, 12, 0.15), tagged(600, 200, 0.015)
    _, steps = ordered(few, 32, 2)
    assert lacking(few, steps[:-3], 2) == 0  # the last steps get what is left
    _, steps = ordered(many, 32, 2)
    random = list(torch.randperm(600, generator=torch.Generator().manual_seed(0)).split(32))
    assert lacking(many, steps, 2) < 0.75 * lacking(many, random, 2)


def test_rows_that_are_read_together_are_taken_together_and_keep_the_promise() -> None:
    Y = torch.eye(30).repeat(24, 1)
    drawn = torch.randperm(720, generator=torch.Generator().manual_seed(0))
    order, steps = ordered(Y, 12, 2, window=240)
    for start in (0, 240, 480):  # three windows, one after the other
        assert sorted(order[start : start + 240].tolist()) == sorted(drawn[start : start + 240].tolist())
    assert (
        lacking(Y, steps, 2) < lacking(Y, list(drawn.split(12)), 2) / 4
    )  # what is left of each window lacks some
    assert torch.equal(ordered(Y, 12, 2, window=720)[0], ordered(Y, 12, 2)[0])


def test_a_loop_taken_up_in_an_epoch_goes_on_in_its_order() -> None:
    settings = {"epochs": 2, "batch": 4, "carriers": 2}
    whole, part, rest = Line(), Line(), Line()
    for task in (whole, part, rest):
        task.labels = as_labels(tagged(20, 6, 0.3))
    run(whole, **settings)
    loop = Loop("test", part, Stage(**settings), 0, Ranks())
    steps = loop.run()
    for _ in range(7):
        next(steps)
    taken_up = Loop("test", rest, Stage(**settings), 0, Ranks())
    taken_up.load(*loop.state())
    for _ in taken_up.run():
        pass
    assert part.seen + rest.seen == whole.seen
    assert sorted(chain.from_iterable(whole.seen[:5])) == list(range(20))


def test_a_recipe_asks_for_carriers_and_rows_without_labels_are_trained_on_too() -> None:
    asked = {"pretrain.stage.carriers": 2, "classify.stage.carriers": 3}
    scores = [fit(**asked, seed=1).scores(torch.zeros(1, 10)) for _ in range(2)]
    assert (scores[0] == scores[1]).all()
    assert (fit(seed=1).scores(torch.zeros(1, 10)) != scores[0]).any()


def test_a_task_without_labels_promises_none() -> None:
    with pytest.raises(ManyLabelError, match="a task with labels"):
        run(Line(), epochs=1, batch=4, carriers=2)
    with pytest.raises(ValueError, match="carriers"):
        Stage(epochs=1, carriers=1)
