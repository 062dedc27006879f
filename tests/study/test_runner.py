"""Studies carried out: whole, in parts, side by side, after a kill, and with input that cannot be used."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.study.small_study import TINY, TINY_PRETRAINING, Told, plan, write_rows

from manylabel import data, metrics
from manylabel.errors import ManyLabelError
from manylabel.study import Cell, Plan, StudyFolder, run
from manylabel.study.analysis.results import read_study
from manylabel.study.executors.base import Advanced, Failed, Finished, Listener, Source, Started
from manylabel.study.executors.local import in_this_process
from manylabel.study.report import page
from manylabel.study.run_cell import Job

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}


def scores_of(folder: StudyFolder) -> dict[str, np.ndarray]:
    return {
        f"{run.method} {run.seed}": folder.scores(run.method, run.seed)["test_scores"]
        for run in folder.finished_runs()
    }


def assert_same_results(ours: StudyFolder, theirs: StudyFolder) -> None:
    a, b = scores_of(ours), scores_of(theirs)
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)
    for one, other in zip(ours.finished_runs(), theirs.finished_runs(), strict=True):
        assert one.evaluations == other.evaluations


def test_finished_runs_are_kept_and_new_ones_added(
    study: StudyFolder, tiny_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(study.path, out)
    before = (out / "bce" / "seed-0" / "run.json").stat().st_mtime_ns
    told = Told()
    assert run(plan(tiny_data, out, methods=("bce",), settings={"bce": TINY}, seeds=(0, 2)), told) == []
    earlier = {event.key.seed: event.earlier for event in told.outcomes() if isinstance(event, Finished)}
    assert earlier == {0: True, 2: False}
    assert (out / "bce" / "seed-0" / "run.json").stat().st_mtime_ns == before
    folder = StudyFolder(out)
    assert folder.record().methods == ("bce", "mulsupcon")
    assert folder.record().seeds == (0, 1, 2)
    assert len(folder.finished_runs()) == 5


def test_a_run_that_cannot_be_made_does_not_lose_the_others(tiny_data: Path, tmp_path: Path) -> None:
    settings = {
        "bce": TINY,
        "mulsupcon": TINY | TINY_PRETRAINING | {"vectors.encoder.widths": [10**7, 10**7]},
    }
    failed = run(plan(tiny_data, tmp_path / "out", seeds=(0,), settings=settings), Told())
    assert [failure.key.method for failure in failed] == ["mulsupcon"]
    assert failed[0].by_input
    assert "a network that trains in the" in failed[0].message
    assert [run.method for run in StudyFolder(tmp_path / "out").finished_runs()] == ["bce"]
    assert run(plan(tiny_data, tmp_path / "out", seeds=(0,)), Told()) == []
    assert len(StudyFolder(tmp_path / "out").finished_runs()) == 2


def test_nothing_is_left_behind_where_no_run_could_begin(tiny_data: Path, tmp_path: Path) -> None:
    settings = {"bce": TINY | {"vectors.encoder.widths": [10**7, 10**7]}}
    out = tmp_path / "deep" / "out"
    failed = run(plan(tiny_data, out, methods=("bce",), settings=settings), Told())
    assert len(failed) == 2
    assert list(tmp_path.iterdir()) == []


class KillsOne(Told):
    """Kills a worker at the first progress it hears of."""

    def __call__(self, event: object) -> None:
        super().__call__(event)
        if isinstance(event, Advanced) and not any(isinstance(e, Advanced) for e in self[:-1]):
            os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)


def test_results_depend_neither_on_jobs_nor_on_a_process_that_died(
    study: StudyFolder, tiny_data: Path, tmp_path: Path
) -> None:
    asked = plan(tiny_data, tmp_path / "out", jobs=2)
    told = KillsOne()
    failed = run(asked, told)
    assert len(failed) == 1
    assert not failed[0].by_input
    assert "exit code -9" in failed[0].message
    assert len(told.outcomes()) == 4
    assert len(asked.folder.finished_runs()) == 3
    assert multiprocessing.active_children() == []
    assert run(asked, Told()) == []
    assert_same_results(asked.folder, study)


def test_a_file_that_cannot_be_written_is_no_bug(tiny_data: Path, tmp_path: Path) -> None:
    asked = plan(tiny_data, tmp_path / "out", methods=("bce",), settings={"bce": TINY})

    class Spoils(Told):
        def __call__(self, event: object) -> None:
            super().__call__(event)
            if isinstance(event, Finished):
                (asked.folder.run_folder("bce", 1) / "model" / "model.json").mkdir(
                    parents=True, exist_ok=True
                )

    failed = run(asked, Spoils())
    assert [(failure.key.seed, failure.by_input) for failure in failed] == [(1, True)]
    assert "model.json" in failed[0].message
    assert "finished runs are kept" in failed[0].message


def test_a_bug_leaves_its_traceback(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = plan(tiny_data, tmp_path / "out", methods=("bce",), settings={"bce": TINY}, seeds=(0,))
    report = asked.folder.run_folder("bce", 0) / "error.txt"
    with monkeypatch.context() as patch:
        patch.setattr(metrics, "evaluate", lambda *_, **__: 1 / 0)
        failed = run(asked, Told())
    assert not failed[0].by_input
    assert str(report) in failed[0].message
    assert "ZeroDivisionError" in report.read_text()
    assert run(asked, Told()) == []
    assert not report.exists()


LONG = TINY | {"classify.stage.monitor_every": 1000}
LONG_AFTER_PRETRAINING = LONG | TINY_PRETRAINING | {"classify.stage.epochs": 300}


def start(data: Path, out: Path, method: str, settings: dict[str, object]) -> subprocess.Popen[str]:
    """A study of one run in a process of its own."""
    command = [sys.executable, "-m", "manylabel", "run", str(data), "-m", method, "-s", "1", "-o", str(out)]
    for name, value in settings.items():
        command += ["--set", f"{name}={json.dumps(value)}"]
    pipe = subprocess.PIPE
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # also below a parent that ignores Ctrl-C
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True, preexec_fn=heeds)


def test_interrupted_runs_say_how_to_go_on(tiny_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(tiny_data, out, "bce", LONG | {"classify.stage.epochs": 20_000})
    assert process.stderr is not None
    assert any(line.startswith("running bce seed 0: train, epoch") for line in process.stderr)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert f"--out {out}" in errors
    record = StudyFolder(out).run_record("bce", 0)
    assert record is not None
    assert record.status == "running"
    assert StudyFolder(out).finished_runs() == []


@pytest.mark.slow
def test_a_killed_run_is_taken_up_and_ends_the_same(tiny_data: Path, tmp_path: Path) -> None:
    asked = plan(
        tiny_data,
        tmp_path / "killed",
        methods=("mulsupcon",),
        seeds=(0,),
        settings={"mulsupcon": LONG_AFTER_PRETRAINING},
    )
    checkpoint = asked.folder.run_folder("mulsupcon", 0) / "checkpoint.safetensors"
    process = start(tiny_data, asked.out, "mulsupcon", LONG_AFTER_PRETRAINING)
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert asked.folder.finished_runs() == []
    assert run(asked, Told()) == []
    straight = dataclasses.replace(asked, out=tmp_path / "straight")
    assert run(straight, Told()) == []
    assert_same_results(asked.folder, straight.folder)


def test_an_unreadable_checkpoint_fails_its_run_alone(tiny_data: Path, tmp_path: Path) -> None:
    asked = plan(tiny_data, tmp_path / "out", methods=("bce",), settings={"bce": TINY})
    assert run(asked, Told()) == []
    spoilt = asked.folder.run_folder("bce", 1)
    (spoilt / "run.json").unlink()
    (spoilt / "checkpoint.safetensors").write_bytes(b"not a checkpoint")
    failed = run(asked, Told())
    assert [(failure.key.seed, failure.by_input) for failure in failed] == [(1, True)]
    assert "checkpoint.safetensors: expected a checkpoint" in failed[0].message
    assert len(asked.folder.finished_runs()) == 1


def test_another_recipe_needs_another_folder(study: StudyFolder, tiny_data: Path) -> None:
    settings = {"bce": TINY | {"classify.stage.lr": 0.5}}
    with pytest.raises(ManyLabelError, match=r"bce seed 0 there with classify\.stage\.lr = 0\.003"):
        run(plan(tiny_data, study.path, methods=("bce",), settings=settings), Told())


def test_a_run_that_holds_the_settings_of_all_kinds_is_reported_and_not_continued(
    study: StudyFolder, tiny_data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "before"
    shutil.copytree(study.path, folder)
    record = StudyFolder(folder).run_record("bce", 0)
    assert record is not None
    rest = {name: value for name, value in record.recipe.items() if name not in ("encoder", "classify")}
    own = {name: record.recipe[name] for name in ("encoder", "classify")}
    before = record.model_copy(update={"recipe": rest | {"vectors": own, "images": {}}})
    before.write(folder / "bce" / "seed-0" / "run.json")
    message = r"bce seed 0 there with the settings of all kinds .* version \d"
    with pytest.raises(ManyLabelError, match=message):
        run(plan(tiny_data, folder, methods=("bce",), settings={"bce": TINY}), Told())
    assert page._for_kind(before.recipe, "vectors") == page._for_kind(record.recipe, "vectors")


@pytest.mark.parametrize(
    ("earlier", "message"),
    [
        ({"family": "comparator"}, "family = comparator instead of logit"),
        ({"classify": {"stage": {"penalty": 1.2}}}, r"classify\.stage\.penalty = 1\.2 instead of None"),
    ],
    ids=["family", "setting"],
)
def test_a_run_with_earlier_names_is_reported_with_its_version_and_not_continued(
    study: StudyFolder, tiny_data: Path, tmp_path: Path, earlier: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "before"
    shutil.copytree(study.path, folder)
    record = StudyFolder(folder).run_record("bce", 0)
    assert record is not None
    before = record.model_copy(update={"recipe": record.recipe | earlier})
    before.write(folder / "bce" / "seed-0" / "run.json")
    with pytest.raises(ManyLabelError, match=message + r".*, as version \d"):
        run(plan(tiny_data, folder, methods=("bce",), settings={"bce": TINY}), Told())


def test_other_data_need_another_folder(study: StudyFolder, tmp_path: Path) -> None:
    other = write_rows(tmp_path / "tiny.npz", seed=1)
    with pytest.raises(ManyLabelError, match="a study of tiny as it is now, but got one of other data"):
        run(plan(other, study.path), Told())


def test_a_share_of_the_rows_is_a_study_of_its_own(
    study: StudyFolder, tiny_data: Path, tmp_path: Path
) -> None:
    asked = plan(tiny_data, tmp_path / "half", methods=("bce",), settings={"bce": TINY}, fraction=0.5)
    assert run(asked, Told()) == []
    record = asked.folder.record()
    assert record.title == "tiny with 50 % of the training rows"
    assert record.asked["fraction"] == 0.5
    rows = [len(asked.folder.scores("bce", seed)["validation_scores"]) for seed in (0, 1)]
    assert rows == [6, 6]
    with pytest.raises(ManyLabelError, match=r"`fraction` 1, but got one of tiny with 50 %"):
        run(plan(tiny_data, asked.out), Told())
    with pytest.raises(ManyLabelError, match=r"`fraction` 0\.5, but got one of tiny"):
        run(plan(tiny_data, study.path, fraction=0.5), Told())


def test_wrong_labels_and_a_random_split_are_studies_of_their_own(tiny_data: Path, tmp_path: Path) -> None:
    changed = {"methods": ("bce",), "settings": {"bce": TINY}, "seeds": (0,)}
    asked = plan(tiny_data, tmp_path / "wrong", wrong_labels=0.3, split=5, **changed)
    assert run(asked, Told()) == []
    record, (made,) = asked.folder.record(), asked.folder.finished_runs()
    assert record.title == "tiny with 30 % wrong training labels"
    assert "random_state 5" in record.card.split
    assert record.card.rows == {"train": 144, "test": 36}
    assert (record.wrong_labels, made.wrong_labels) == (0.3, 0.3)
    drawn = data.random_split(data.load(tiny_data), 5)
    assert (asked.folder.test_labels().dense() == drawn.test.Y.dense()).all()
    other = dataclasses.replace(asked, cells=(dataclasses.replace(asked.cells[0], split=6),))
    with pytest.raises(ManyLabelError, match="one of other data"):
        run(other, Told())
    right = plan(tiny_data, asked.out, split=5, **changed)
    with pytest.raises(ManyLabelError, match=r"`wrong_labels` 0, but got one of tiny with 30 % wrong"):
        run(right, Told())
    told = Told()
    assert run(dataclasses.replace(asked, jobs=2), told) == []
    assert [event.earlier for event in told.outcomes() if isinstance(event, Finished)] == [True]


@pytest.mark.slow
def test_processes_draw_the_same_split(tiny_data: Path, tmp_path: Path) -> None:
    asked = plan(
        tiny_data, tmp_path / "one", methods=("bce",), settings={"bce": TINY}, split=3, wrong_labels=0.2
    )
    side_by_side = dataclasses.replace(asked, out=tmp_path / "two", jobs=2)
    assert run(asked, Told()) == run(side_by_side, Told()) == []
    assert_same_results(asked.folder, side_by_side.folder)


def test_measures_are_those_of_the_recorded_scores(tiny_data: Path, tmp_path: Path) -> None:
    asked = plan(tiny_data, tmp_path / "out", seeds=(0,), measures=True, wrong_labels=0.2)
    assert run(asked, Told()) == []
    whole = data.load(tiny_data)
    train, _ = data.split_validation(data.with_wrong_labels(whole, 0.2, 0), 0)
    for made in asked.folder.finished_runs():
        scores = asked.folder.scores(made.method, 0)["test_scores"]
        cut = made.evaluations["tuned"]["thresholds"]
        for metric, part, name in (
            ("macro_f1", "rare labels", "map"),
            ("macro_f1", "rare labels", "macro_f1"),
            ("example_f1", "seen label sets", "example_f1"),
        ):
            slices = metrics.slices(scores, scores >= np.float32(cut[metric]), whole.test.Y, train.Y)
            (found,) = (of.values[name] for of in slices if of.name == part)
            assert made.measures[f"{part}: {name}"] == pytest.approx(found)
        model = asked.folder.model(made.method, 0)
        Z, keys = (model.embed(rows.X) for rows in (whole.test, train))
        found = metrics.retrieval(Z, whole.test.Y, keys, train.Y)
        assert made.measures["retrieval: map"] == pytest.approx(found.map, abs=1e-6)
        assert made.measures["retrieval: precision_at_10"] == pytest.approx(found.precision, abs=1e-6)
    results = read_study(asked.folder)
    assert results.summary("bce", "retrieval: map").n == 1
    assert "retrieval: jaccard_at_10" in results.csv({})


def test_a_folder_with_other_files_is_not_touched(tiny_data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ManyLabelError, match="a folder with other files"):
        run(plan(tiny_data, tmp_path), Told())
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_place_that_cannot_be_written_is_refused_at_once(tiny_data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = Told()
    with pytest.raises(ManyLabelError, match="a folder that can be written, but got Not a directory"):
        run(plan(tiny_data, tmp_path / "file" / "out"), told)
    assert told == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "best"}, "`protocol`: expected one of learnt, tuned, fixed, oracle, but got 'best'"),
        ({"methods": (), "settings": {}}, "`methods`: expected at least 1"),
        ({"seeds": ()}, "`seeds`: expected at least 1"),
        ({"jobs": 0}, "`jobs`: expected at least 1, but got 0"),
        ({"fraction": 0.0}, "`fraction`: expected above 0 and up to 1, but got 0"),
        ({"wrong_labels": 1.0}, "`wrong_labels`: expected from 0 to below 1, but got 1"),
        ({"split": -1}, "`split`: expected seeds from 0 to"),
        ({"threads": 0}, "`threads`: expected at least 1"),
        ({"settings": {"zlpr": {}}}, "`settings`: expected one of bce, mulsupcon, but got 'zlpr'"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ManyLabelError, match=message):
        plan(tmp_path / "any", tmp_path, **changes)


def test_unknown_method_and_setting_leave_nothing(tiny_data: Path, tmp_path: Path) -> None:
    with pytest.raises(ManyLabelError, match="'no_such_method'"):
        run(plan(tiny_data, tmp_path / "out", methods=("no_such_method",), settings={}), Told())
    changed = {"bce": {"classify.stage.epoch": 1}}
    with pytest.raises(ManyLabelError, match=r"'classify\.stage\.epoch'"):
        run(plan(tiny_data, tmp_path / "out", methods=("bce",), settings=changed), Told())
    assert not (tmp_path / "out").exists()


def test_failures_travel_between_processes() -> None:
    import pickle

    failure = Failed(Cell("tiny", "bce", 1).key, "message", by_input=True)
    assert pickle.loads(pickle.dumps(failure)) == failure


class Backwards:
    """An executor that begins with the last cell."""

    def run(self, jobs: Sequence[Job], source: Source, listener: Listener) -> list[Failed]:
        return in_this_process(jobs[::-1], source.dataset, listener)


def test_any_executor_runs_the_cells_of_a_plan(study: StudyFolder, tiny_data: Path, tmp_path: Path) -> None:
    asked, told = plan(tiny_data, tmp_path / "out"), Told()
    assert run(asked, told, Backwards()) == []
    assert [event.key for event in told.outcomes()] == [cell.key for cell in asked.cells[::-1]]
    assert_same_results(asked.folder, study)


def test_a_plan_of_several_data_sets_has_a_folder_for_each(tiny_data: Path, tmp_path: Path) -> None:
    other = write_rows(tmp_path / "other.npz", seed=1)
    places = ((str(tiny_data), 1.0), (str(tiny_data), 0.5), (str(other), 1.0))
    cells = [Cell(data, "bce", seed, TINY, fraction) for data, fraction in places for seed in (0, 1)]
    rows = {str(tiny_data): 100, str(other): 300}
    asked = Plan(tuple(cells), tmp_path / "out", jobs=1, nested=True, rows=rows)
    told = Told()
    assert run(asked, told) == []
    begun = [event for event in told if isinstance(event, Started)]
    assert [(event.name, event.place, event.of) for event in begun] == [
        ("tiny", 1, 3),
        ("tiny-50-percent", 2, 3),
        ("other", 3, 3),
    ]
    assert [event.key for event in told.outcomes()] == [cell.key for cell in cells]
    weights = [asked.weights[cell.key] for cell in cells]
    assert weights == [weights[0]] * 4 + [3 * weights[0]] * 2
    for event in begun:
        folder = StudyFolder(asked.out / event.name)
        assert [record.seed for record in folder.finished_runs()] == [0, 1]
        assert "nested" not in folder.record().asked
    alone = plan(other, tmp_path / "alone", methods=("bce",), settings={"bce": TINY})
    assert run(alone, Told()) == []
    assert_same_results(StudyFolder(asked.out / "other"), alone.folder)
