"""Studies on a real Dask cluster of two processes: results, lost workers, deadly cells, a lost scheduler."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.study.dask_cluster import Cluster
from tests.study.search.test_tune import search, trials
from tests.study.small_study import TINY, TINY_PRETRAINING, Told, plan
from tests.study.test_runner import assert_same_results

from manylabel.errors import ManyLabelError
from manylabel.study import StudyFolder, run
from manylabel.study.executors.base import Advanced, Finished
from manylabel.study.executors.dask import MOST_DEATHS, Dask
from manylabel.study.search import tune

pytest.importorskip("distributed", reason="needs dask[distributed], the extra cluster")
KILLS = "tests.study.killing.KillsItsProcess"


def test_the_results_are_those_of_this_machine(
    cluster: Cluster, study: StudyFolder, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # paths that the workers do not know
    asked, told = plan(tiny_data, Path("out")), Told()
    assert run(asked, told, Dask(cluster.address)) == []
    assert_same_results(asked.folder, study)
    assert {event.key for event in told if isinstance(event, Advanced)} == {cell.key for cell in asked.cells}
    assert not list(asked.out.rglob("attempts.txt"))
    again = Told()
    assert run(asked, again, Dask("tcp://127.0.0.1:1")) == []  # nothing is left to run anywhere
    assert all(isinstance(event, Finished) and event.earlier for event in again.outcomes())


@pytest.mark.slow
def test_a_search_finds_the_same_as_on_this_machine(
    cluster: Cluster, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = {"splits": (0, 1), "at_once": 2, "trials": 4}
    here = trials(search(tiny_data, tmp_path / "here", **wanted))
    asked = replace(search(tiny_data, tmp_path / "there", **wanted), out=Path("there"))
    study = tune.run(asked, lambda line: None, Dask(cluster.address))
    assert [(t.params, t.value) for t in study.trials if t.state.name == "COMPLETE"] == here
    assert len(list(asked.out.rglob("part.json"))) == 8


@pytest.mark.slow
def test_workers_get_what_a_recipe_file_holds(
    cluster: Cluster, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of files by relative paths, one like the other; the workers run in another folder."""
    monkeypatch.chdir(tmp_path)
    Path("plain.toml").write_text('like = "bce"\n[classify.stage]\nepochs = 2\nbatch = 16\n')
    Path("mine.toml").write_text('like = "plain.toml"\n[vectors.encoder]\nwidths = [16]\n')
    wanted = {"method": "mine.toml", "settings": {}, "trials": 2}
    here = trials(search(tiny_data, tmp_path / "here", **wanted))
    study_here = plan(tiny_data, tmp_path / "cells", methods=("mine.toml",), settings={}, seeds=(0,))
    assert run(study_here, Told()) == []
    asked = replace(search(tiny_data, tmp_path / "there", **wanted), out=Path("there"))
    cells = plan(tiny_data, Path("cells-there"), methods=("mine.toml",), settings={}, seeds=(0,))
    assert not (cluster.folder / "mine.toml").exists()
    study = tune.run(asked, lambda line: None, Dask(cluster.address))
    assert [(t.params, t.value) for t in study.trials if t.state.name == "COMPLETE"] == here
    assert run(cells, Told(), Dask(cluster.address)) == []
    assert_same_results(cells.folder, study_here.folder)


@pytest.mark.slow
def test_a_cell_that_kills_its_workers_is_reported_and_the_others_finish(
    cluster: Cluster, tiny_data: Path, tmp_path: Path
) -> None:
    asked = plan(tiny_data, tmp_path / "out", methods=(KILLS, "bce"), settings={"bce": TINY}, seeds=(0,))
    failed = run(asked, Told(), Dask(cluster.address))
    assert [failure.key.method for failure in failed] == [KILLS]
    assert {failure.message for failure in failed} == {
        f"its worker ended {MOST_DEATHS} times while it ran, often for want of memory"
    }
    assert len(cluster.deaths.read_text().splitlines()) == MOST_DEATHS
    assert [(made.method, made.seed) for made in asked.folder.finished_runs()] == [("bce", 0)]
    assert not list(asked.out.rglob("attempts.txt"))


class KillsWorker(Told):
    """Kills a worker and its nanny, or the scheduler, at the first progress that it hears of."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self.process = process

    def __call__(self, event: Any) -> None:
        super().__call__(event)
        if isinstance(event, Advanced) and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.mark.slow
def test_the_cells_of_a_lost_worker_run_again_elsewhere(
    cluster: Cluster, study: StudyFolder, tiny_data: Path, tmp_path: Path
) -> None:
    asked = plan(tiny_data, tmp_path / "out")
    assert run(asked, KillsWorker(cluster.workers[0]), Dask(cluster.address)) == []
    assert cluster.workers[0].poll() is not None
    assert_same_results(asked.folder, study)


@pytest.mark.slow
def test_a_lost_scheduler_loses_no_finished_cell(
    cluster: Cluster, study: StudyFolder, tiny_data: Path, tmp_path: Path
) -> None:
    asked = plan(tiny_data, tmp_path / "out")
    assert run(plan(tiny_data, asked.out, seeds=(0,)), Told(), Dask(cluster.address)) == []
    with pytest.raises(ManyLabelError, match=r"a scheduler until the end, but got a lost one"):
        run(asked, KillsWorker(cluster.scheduler), Dask(cluster.address))
    assert len(asked.folder.finished_runs()) >= 2
    for worker in cluster.workers:
        os.killpg(worker.pid, signal.SIGKILL)
    assert run(asked, Told()) == []
    assert_same_results(asked.folder, study)


def test_what_is_no_scheduler_is_refused(tiny_data: Path, tmp_path: Path) -> None:
    asked = plan(tiny_data, tmp_path / "out", settings={"bce": TINY, "mulsupcon": TINY | TINY_PRETRAINING})
    with pytest.raises(
        ManyLabelError, match=r"`scheduler` tcp://127\.0\.0\.1:1: expected the address of a Dask"
    ):
        run(asked, Told(), Dask("tcp://127.0.0.1:1", patience=1))
    with pytest.raises(ManyLabelError, match=r"`scheduler` nonsense://x: expected the address"):
        run(asked, Told(), Dask("nonsense://x", patience=1))
