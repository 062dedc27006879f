"""The files of a study: written whole, read back, refused when they are something else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.study.small_study import Told, plan

from manylabel import files
from manylabel.errors import ManyLabelError
from manylabel.labels import as_labels
from manylabel.metrics import Threshold
from manylabel.study.folder import StudyFolder
from manylabel.study.parameters import plan_call
from manylabel.study.records import (
    RunRecord,
    StudyRecord,
    flattened,
    read_history,
)
from manylabel.study.runner import run as run_plan
from manylabel.training.progress import write_history


def record(**changes: object) -> RunRecord:
    asked = {"method": "bce", "recipe": {"vectors": {"lr": 0.1}}, "seed": 0, "digest": "d", "threads": 1}
    return RunRecord(**(asked | {"versions": {}} | changes))  # type: ignore[arg-type]


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    ours = record(
        seconds=2.5, evaluations={"tuned": {"values": {"map": 0.5}}}, monitor={"train": {"map": 0.4}}
    )
    ours.write(tmp_path / "run.json")
    assert RunRecord.read(tmp_path / "run.json") == ours
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digests.json", "run.json"]


def test_undefined_numbers_are_written_as_json(tmp_path: Path) -> None:
    record(evaluations={"tuned": {"per_label": {"ap": [0.5, float("nan")]}}}).write(tmp_path / "run.json")
    text = (tmp_path / "run.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["evaluations"]["tuned"]["per_label"]["ap"] == [0.5, None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Invalid JSON"),
        ("[]", "should be an object"),
        ('{"format": 1}', "Field required at method"),
        ('{"surprise": 1}', "Field required"),
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "run.json"
    files.write_checked(path, content.encode())
    with pytest.raises(ManyLabelError, match=message) as caught:
        RunRecord.read(path)
    assert str(path) in str(caught.value)


def test_a_record_of_a_later_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    files.write_checked(path, json.dumps(record().model_dump(mode="json") | {"format": 2}).encode())
    with pytest.raises(ManyLabelError, match="at format"):
        RunRecord.read(path)


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManyLabelError, match=r"no study\.json in it"):
        StudyFolder(tmp_path).record()
    with pytest.raises(ManyLabelError, match="no such folder"):
        StudyFolder(tmp_path / "nowhere").record()


def test_runs_ask_for_the_same_whatever_their_description_says() -> None:
    ours = record(recipe={"about": "old words", "vectors": {"lr": 0.1}})
    assert ours.asks_for_the_same(record(recipe={"about": "new words", "vectors": {"lr": 0.1}}))
    assert not ours.asks_for_the_same(record(recipe={"vectors": {"lr": 0.2}}))
    assert not ours.asks_for_the_same(record(recipe={"vectors": {"lr": 0.1}}, digest="other"))


def test_flattened_names_nested_settings_with_dots() -> None:
    assert flattened({"a": {"b": {"c": 1}, "d": [2]}, "e": None}) == {"a.b.c": 1, "a.d": [2], "e": None}


def test_a_history_reads_back_and_refuses_damage(tmp_path: Path) -> None:
    lines = [{"stage": "train", "epoch": 1, "loss": 3.0}, {"stage": "train", "epoch": 2, "loss": 2.0}]
    path = tmp_path / "history.jsonl"
    write_history(path, lines)
    assert read_history(path) == lines
    assert read_history(tmp_path / "missing") == []
    content = path.read_bytes()
    for damaged in (content[:-1], content[: content.index(b"\n") + 1], b"", content.replace(b"3.0", b"4.0")):
        path.write_bytes(damaged)
        with pytest.raises(
            ManyLabelError, match=r"history\.jsonl: expected the history of a run, but got a dam"
        ):
            read_history(path)


def test_files_of_earlier_versions_are_read_with_a_warning(tmp_path: Path) -> None:
    record().write(tmp_path / "run.json")
    (tmp_path / "digests.json").unlink()
    with pytest.warns(UserWarning, match="damage would go unnoticed"):
        assert RunRecord.read(tmp_path / "run.json") == record()


def test_test_labels_read_back(tmp_path: Path) -> None:
    Y = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]])
    StudyFolder(tmp_path).write_test_labels(as_labels(Y))
    np.testing.assert_array_equal(StudyFolder(tmp_path).test_labels().dense().numpy(), Y)


def test_damaged_arrays_name_the_file(tmp_path: Path) -> None:
    files.write_checked(tmp_path / "test_labels.npz", b"PK\x03\x04 cut short")
    with pytest.raises(ManyLabelError, match=r"test_labels\.npz"):
        StudyFolder(tmp_path).test_labels()


def test_a_study_remembers_what_earlier_calls_asked_for(study: StudyFolder) -> None:
    first = study.record()
    later = first.model_copy(update={"methods": ("zlpr", "bce"), "seeds": (5,), "asked": {"data": "later"}})
    joined = first.joined(later)
    assert joined.methods == ("bce", "mulsupcon", "zlpr")
    assert joined.seeds == (0, 1, 5)
    assert joined.asked == {"data": "later"}


def test_a_finished_study_is_complete(study: StudyFolder) -> None:
    runs = study.finished_runs()
    assert [(run.method, run.seed) for run in runs] == [
        ("bce", 0),
        ("bce", 1),
        ("mulsupcon", 0),
        ("mulsupcon", 1),
    ]
    for run in runs:
        assert set(run.evaluations) == {"learnt", "tuned", "fixed", "oracle"}
        assert run.seconds > 0
        assert run.versions["torch"]
        files = {path.name for path in study.run_folder(run.method, run.seed).iterdir()}
        assert {
            "run.json",
            "history.jsonl",
            "checkpoint.safetensors",
            "model",
            "scores.npz",
        } <= files
        scores = study.scores(run.method, run.seed)
        assert scores["test_scores"].shape == (60, 4)
        assert len(scores["test_embedding"]) == 60
        assert 11 <= len(scores["validation_scores"]) <= 13  # a tenth of 120 rows, stratified
    assert set(runs[2].monitor) == {"pretrain", "finetune"}


def test_study_json_holds_the_data_card(study: StudyFolder) -> None:
    card = StudyRecord.read(study.study_file).card
    assert card.rows == {"train": 120, "test": 60}
    assert card.label_names[-1] == "<b>last & least</b>"
    assert len(card.digest) == 64


def test_records_of_earlier_versions_hold_the_command_itself(study: StudyFolder, tmp_path: Path) -> None:
    record = study.record()
    assert (record.command, record.repeated(plan_call)) == ("", plan_call(record.asked))
    earlier = record.model_dump(mode="json", exclude={"asked"}) | {"command": "manylabel run tiny"}
    files.write_checked(tmp_path / "study.json", json.dumps(earlier).encode())
    read = StudyFolder(tmp_path).record()
    assert read.repeated(plan_call) == "manylabel run tiny"
    assert read.joined(record).repeated(plan_call) == plan_call(record.asked)


def test_the_model_of_a_run_predicts_as_it_did(study: StudyFolder, tiny_data: Path) -> None:
    model = study.model("bce", 0)
    assert model.label_names == study.record().card.label_names
    with np.load(tiny_data) as arrays:
        X = arrays["X_test"]
    np.testing.assert_array_equal(model.scores(X), study.scores("bce", 0)["test_scores"])
    learnt = study.run_record("bce", 0).evaluations["tuned"]["thresholds"]  # type: ignore[union-attr]
    assert model.decision == Threshold("shared", learnt["macro_f1"])


def test_the_model_of_a_run_of_an_earlier_version_is_told(study: StudyFolder, tmp_path: Path) -> None:
    shutil.copytree(study.path, tmp_path / "out")
    earlier = StudyFolder(tmp_path / "out")
    folder = earlier.run_folder("bce", 0)
    shutil.rmtree(folder / "model")
    (folder / "model.safetensors").write_bytes(b"\0" * 16)
    assert earlier.scores("bce", 0)["test_scores"].shape == (60, 4)
    assert len(earlier.finished_runs()) == 4
    with pytest.raises(
        ManyLabelError, match=r"model\.safetensors, as a version before .* wrote it \(0\.1\.0\)"
    ):
        earlier.model("bce", 0)
    with pytest.raises(ManyLabelError, match="expected a finished run, but got none"):
        earlier.model("bce", 7)


OF_NO_PACKAGE = """
from sklearn.naive_bayes import GaussianNB

class Own(GaussianNB):
    pass
"""


def test_a_run_whose_model_cannot_be_saved_keeps_its_scores(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_classifier.py").write_text(OF_NO_PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    method = "own_classifier.Own"
    asked = plan(tiny_data, tmp_path / "out", methods=(method,), settings={}, seeds=(0,))
    assert run_plan(asked, Told()) == []
    (record,) = asked.folder.finished_runs()
    assert "own_classifier.Own" in record.unsaved
    assert asked.folder.scores(method, 0)["test_scores"].shape == (60, 4)
    with pytest.raises(ManyLabelError, match="none, as it could not be saved"):
        asked.folder.model(method, 0)
