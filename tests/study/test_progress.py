"""What is shown while runs go on."""

from __future__ import annotations

import io
import itertools
import time

import pytest
from rich.console import Console

from manylabel.printable import clock
from manylabel.study.cell import Cell
from manylabel.study.executors.base import Advanced, Failed, Finished, Loaded
from manylabel.study.folder import StudyFolder
from manylabel.study.progress import Display, Overview, Pace
from manylabel.training import Progress

A, B, C = (Cell("tiny", method, seed).key for method, seed in (("bce", 0), ("mulsupcon", 1), ("bce", 2)))


def progress(step: int, stage: str = "pretrain", loss: float = 1.25) -> Progress:
    return Progress(stage, ("pretrain", "finetune"), 1 + step // 10, 10, step, 100, loss)


def show(study: StudyFolder, terminal: bool, every: float = 0.0) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=terminal, color_system=None)
    with Display(console, {A: 1.0, B: 1.0}, "tuned", every) as display:
        display(Loaded(study.record().card, 2))
        for step in (0, 10, 20):
            display(Advanced(B, progress(step)))
        if terminal:
            display._lines.bars.refresh()  # type: ignore[union-attr]
        display(Finished(A, study.finished_runs()[0]))
        display(Failed(B, "no [room] left", by_input=True))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def test_lines_for_logs_tell_stage_epoch_loss_and_outcome(study: StudyFolder) -> None:
    text = show(study, terminal=False)
    assert "tiny: 120 training and 60 test rows (8 numbers), 4 labels; 2 runs\n" in text
    assert "running mulsupcon seed 1: pretrain 1/2, epoch 2/10, loss 1.250, 0:00 left" in text
    value = study.finished_runs()[0].evaluations["tuned"]["values"]["map"]
    assert f"done    bce seed 0 in {clock(study.finished_runs()[0].seconds)}: mAP {value:.3f}" in text
    assert "failed  mulsupcon seed 1: no [room] left" in text
    assert "\x1b" not in text


def test_lines_for_logs_come_now_and_then(study: StudyFolder) -> None:
    assert show(study, terminal=False, every=1000.0).count("running") == 1


def test_bars_show_a_line_per_run_and_one_for_all(study: StudyFolder) -> None:
    text = show(study, terminal=True)
    assert "mulsupcon seed 1" in text
    assert "pretrain 1/2, epoch 3/10, loss 1.250" in text
    assert "all runs" in text
    assert "0 of 2 done" in text
    assert "━" in text


def test_time_left_of_a_stage_is_timed_from_where_it_was_taken_up() -> None:
    pace = Pace()
    pace.update(progress(40), now=100.0)
    assert pace.left is None
    pace.update(progress(60), now=110.0)
    assert pace.left == pytest.approx(20.0)
    assert pace.share == pytest.approx(0.3)
    pace.update(progress(0, "finetune"), now=130.0)
    assert (pace.left, pace.share) == (None, 0.5)


def test_time_left_of_all_runs_weighs_them_and_leaves_out_what_was_there(study: StudyFolder) -> None:
    overview = Overview({A: 3.0, B: 1.0, C: 4.0})
    overview.end(Finished(C, study.finished_runs()[0], earlier=True))
    assert overview.left(5.0) is None
    overview.advance(Advanced(A, progress(0)), now=10.0)
    overview.advance(Advanced(A, progress(100)), now=40.0)  # half of run A in 30 seconds
    assert overview.share == pytest.approx((4.0 + 1.5) / 8)
    assert overview.left(40.0) == pytest.approx(30.0 * 2.5 / 1.5)
    assert overview.finished == 1


@pytest.mark.parametrize("booted", [0.0, 0.5, 999.0])
def test_a_machine_that_just_booted_shows_the_same(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch, booted: float
) -> None:
    now = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: booted + next(now))
    assert show(study, terminal=False, every=1000.0).count("running") == 1


def test_the_time_left_counts_from_the_first_progress_whatever_the_clock_says() -> None:
    for start in (0.0, 0.5, 1e6):
        overview = Overview({A: 1.0})
        overview.advance(Advanced(A, progress(0)), now=start)
        overview.advance(Advanced(A, progress(100)), now=start + 10.0)
        assert overview.left(start + 10.0) == pytest.approx(10.0)


def test_the_time_left_is_not_told_by_the_pace_of_almost_nothing() -> None:
    overview = Overview({A: 1.0, B: 999.0})
    overview.advance(Advanced(A, progress(0)), now=0.0)
    overview.advance(Advanced(A, progress(100)), now=10.0)
    assert overview.left(10.0) is None
    overview.advance(Advanced(B, progress(10)), now=20.0)
    assert overview.left(20.0) == pytest.approx(20.0 * (1000 - 50.45) / 50.45)
