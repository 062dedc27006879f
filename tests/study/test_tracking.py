"""Studies that trackers follow: every epoch and final metric once, whatever was killed, repeated or broken."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tests.study.small_study import TINY, TINY_PRETRAINING, Told, plan

from manylabel.errors import ManyLabelError
from manylabel.study import StudyFolder, run

ONE = {"methods": ("mulsupcon",), "settings": {"mulsupcon": TINY | TINY_PRETRAINING}}


def assert_tracked(folder: StudyFolder, method: str, seed: int) -> None:
    """The CSV files of a run say what its records say."""
    kept = folder.tracking / "csv" / "tiny" / method / f"seed-{seed}"
    with (kept / "epochs.csv").open(newline="") as file:
        epochs = [(row["stage"], int(row["epoch"]), float(row["loss"])) for row in csv.DictReader(file)]
    history = folder.history(method, seed)
    assert epochs == [(entry["stage"], entry["epoch"], entry["loss"]) for entry in history]
    assert len(epochs) >= 3
    with (kept / "results.csv").open(newline="") as file:
        results = {(row["protocol"], row["metric"]): float(row["value"]) for row in csv.DictReader(file)}
    record = folder.run_record(method, seed)
    assert record is not None
    for protocol, found in record.evaluations.items():
        for metric, value in found["values"].items():
            assert results.get((protocol, metric)) == value


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_epoch_and_result_of_a_study_is_tracked(tiny_data: Path, tmp_path: Path, jobs: int) -> None:
    asked = plan(tiny_data, tmp_path / "out", track=("csv", "tensorboard"), jobs=jobs, **ONE)
    assert run(asked, Told()) == []
    for seed in (0, 1):
        assert_tracked(asked.folder, "mulsupcon", seed)
        events = asked.folder.tracking / "tensorboard" / "tiny" / "mulsupcon" / f"seed-{seed}"
        assert len(list(events.iterdir())) == 1
    assert run(asked, Told()) == []
    assert_tracked(asked.folder, "mulsupcon", 1)
    assert asked.asked["track"] == ["csv", "tensorboard"]


def test_runs_that_finished_before_are_tracked_from_their_records(tiny_data: Path, tmp_path: Path) -> None:
    assert run(plan(tiny_data, tmp_path / "out", seeds=(0,)), Told()) == []
    asked = plan(tiny_data, tmp_path / "out", track=("csv",))
    assert not asked.folder.tracking.exists()
    assert run(asked, Told()) == []
    for method in ("bce", "mulsupcon"):
        for seed in (0, 1):
            assert_tracked(asked.folder, method, seed)


def test_a_tracker_that_breaks_costs_no_training(tiny_data: Path, tmp_path: Path) -> None:
    asked = plan(tiny_data, tmp_path / "out", track=("tensorboard", "csv"), **ONE)

    class Blocks(Told):
        def __call__(self, event: object) -> None:
            super().__call__(event)
            if len(self) == 1:
                asked.folder.tracking.mkdir()
                (asked.folder.tracking / "tensorboard").write_text("a file where a folder should be")

    with pytest.warns(UserWarning, match="The tracker tensorboard is left out from here on: "):
        assert run(asked, Blocks()) == []
    for seed in (0, 1):
        assert_tracked(asked.folder, "mulsupcon", seed)


def test_a_false_start_leaves_nothing_of_its_trackers(tiny_data: Path, tmp_path: Path) -> None:
    settings = {"bce": TINY | {"vectors.encoder.widths": [10**7, 10**7]}}
    asked = plan(tiny_data, tmp_path / "deep" / "out", methods=("bce",), settings=settings, track=("csv",))

    class Tracks(Told):
        def __call__(self, event: object) -> None:
            super().__call__(event)
            (asked.folder.tracking / "csv").mkdir(parents=True, exist_ok=True)

    assert len(run(asked, Tracks())) == 2
    assert list(tmp_path.iterdir()) == []


def test_trackers_that_are_unknown_and_a_method_that_takes_their_place_are_refused(
    tiny_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        ManyLabelError, match="`track`: expected one of csv, tensorboard, mlflow, but got 'wandb'"
    ):
        plan(tiny_data, tmp_path / "out", track=("wandb",))
    (tmp_path / "tracking.toml").write_text('like = "bce"\n')
    with pytest.raises(ManyLabelError, match="the name of a file of a study"):
        run(
            plan(tiny_data, tmp_path / "out", methods=(str(tmp_path / "tracking.toml"),), settings={}), Told()
        )
    assert not (tmp_path / "out").exists()
