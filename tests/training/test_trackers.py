"""Trackers: what they keep of a training is read back with the libraries that it is kept for."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.training.small_run import fit

from manylabel.errors import ManyLabelError
from manylabel.training import Progress, trackers

VALUES = {"tuned": {"map": 0.5, "macro_f1": None}, "fixed": {"map": 0.25}}
PARAMETERS = {"method": "mulsupcon", "pretrain.temperature": 0.1, "note": "x" * 9000}


def test_progress_has_the_record_of_every_epoch_that_ends(tmp_path: Path) -> None:
    heard: list[Progress] = []
    fit(tmp_path, progress=heard.append)
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [dict(p.record) for p in heard if p.record is not None] == [json.loads(line) for line in lines]
    assert len(lines) == 14


def told(tracker: trackers.Tracker, history: list[dict[str, object]]) -> None:
    for record in history:
        stage, epoch = record["stage"], record["epoch"]
        tracker(Progress(str(stage), ("pretrain", "finetune"), int(str(epoch)), 9, 0, 9, 0.0, {}, record))
    tracker(Progress("finetune", ("pretrain", "finetune"), 1, 9, 0, 9, 0.0))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    folder = tmp_path_factory.mktemp("run")
    fit(folder)
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def killed_and_taken_up(name: str, folder: Path, history: list[dict[str, object]]) -> None:
    """Nine epochs, then another process that goes on from the eighth, then the end, said twice."""
    told(trackers.get(name, folder, "films/best/seed-0"), history[:9])
    again = trackers.get(name, folder, "films/best/seed-0")
    told(again, history[7:])
    for _ in range(2):
        again.finish(VALUES, PARAMETERS, history[:9])


def numbers(history: list[dict[str, object]]) -> dict[tuple[str, int], float]:
    """Every number that was measured, by its name and epoch."""
    found = {}
    for record in history:
        monitor = {f"validation_{name}": value for name, value in record["monitor"].items()}  # type: ignore[attr-defined]
        for name, value in {n: record[n] for n in ("loss", "lr", "seconds")}.items() | monitor.items():
            found[f"{record['stage']}/{name}", record["epoch"]] = value
    return found  # type: ignore[return-value]


def test_csv_has_a_line_an_epoch_and_a_line_a_final_metric(
    tmp_path: Path, history: list[dict[str, object]]
) -> None:
    killed_and_taken_up("csv", tmp_path, history)
    with (tmp_path / "csv/films/best/seed-0/epochs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(history) == 14
    read = {
        (f"{row['stage']}/{name}", int(row["epoch"])): float(value)
        for row in rows
        for name, value in row.items()
        if name not in ("stage", "epoch", "step") and value
    }
    assert read == numbers(history)
    results = (tmp_path / "csv/films/best/seed-0/results.csv").read_text().splitlines()
    assert results == ["protocol,metric,value", "tuned,map,0.5", "fixed,map,0.25"]


def test_tensorboard_reads_curves_parameters_and_results(
    tmp_path: Path, history: list[dict[str, object]]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    killed_and_taken_up("tensorboard", tmp_path, history)
    events = EventAccumulator(str(tmp_path / "tensorboard/films/best/seed-0"))
    events.Reload()
    tags = events.Tags()["scalars"]
    read = [(tag, event.step, event.value) for tag in tags for event in events.Scalars(tag)]
    wanted = numbers(history) | {("tuned/map", 0): 0.5, ("fixed/map", 0): 0.25}
    assert Counter((tag, step) for tag, step, _ in read) == dict.fromkeys(wanted, 1)
    assert all(value == pytest.approx(wanted[tag, step], rel=1e-6) for tag, step, value in read)
    text = events.Tensors("parameters/text_summary")[0].tensor_proto.string_val[0].decode()
    assert '"pretrain.temperature": 0.1' in text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # MLflow, of its own parts
def test_mlflow_reads_one_run_with_curves_parameters_and_results(
    tmp_path: Path, history: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    killed_and_taken_up("mlflow", tmp_path, history)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("films")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("best/seed-0", "FINISHED")
    names = run.data.metrics
    read = [
        (m.key, m.step, m.value) for name in names for m in client.get_metric_history(run.info.run_id, name)
    ]
    wanted = numbers(history) | {("tuned/map", 0): 0.5, ("fixed/map", 0): 0.25}
    assert sorted(read) == sorted((name, step, value) for (name, step), value in wanted.items())
    assert run.data.params["pretrain.temperature"] == "0.1"
    assert len(run.data.params["note"]) == 6000


@pytest.mark.parametrize(
    ("name", "run", "message"),
    [
        (
            "tensorbord",
            "a",
            "`track`: expected one of csv, tensorboard, mlflow, but got 'tensorbord'. Did you mean",
        ),
        ("csv", "../a", "tracker: expected `run` as names between slashes, but got '../a'"),
        ("csv", "", "tracker: expected `run`"),
        ("csv", "a//b", "tracker: expected `run`"),
    ],
)
def test_what_cannot_be_tracked_is_refused(tmp_path: Path, name: str, run: str, message: str) -> None:
    with pytest.raises(ManyLabelError) as error:
        trackers.get(name, tmp_path / "new", run)
    assert str(error.value).startswith(message)
    assert not (tmp_path / "new").exists()


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [])
    with pytest.raises(
        ManyLabelError, match=r"track. tensorboard: expected the package .* 'manylabel\[track\]'"
    ):
        trackers.check(["csv", "tensorboard"])
