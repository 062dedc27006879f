"""Reruns of finished cells: the numbers come back, and what does not is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.study.small_study import TINY, Told, plan, write_rows
from tests.test_cli import call

from manylabel.errors import ManyLabelError
from manylabel.study import StudyFolder, run
from manylabel.study.records import read_arrays, write_arrays
from manylabel.study.rerun import rerun


@pytest.fixture
def copied(study: StudyFolder, tmp_path: Path) -> StudyFolder:
    return StudyFolder(shutil.copytree(study.path, tmp_path / "out"))


@pytest.mark.parametrize("cell", ["bce/seed-1", "mulsupcon/seed-0"])
def test_the_numbers_of_a_cell_come_back_to_the_bit(study: StudyFolder, cell: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in study.path.rglob("*")}
    found = rerun(study.path / cell)
    assert found.came_back
    assert (found.differences, found.versions) == ((), ())
    assert found.farthest == {"validation_scores": 0.0, "test_scores": 0.0, "test_embedding": 0.0}
    assert {path: path.stat().st_mtime_ns for path in study.path.rglob("*")} == before


def test_shares_wrong_labels_splits_variants_and_own_recipes_are_trained_again(
    tiny_data: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    own.write_text('like = "bce"\nwithout = ["classify.stage.l2_per_row"]\n[classify.stage]\nema = 0.9\n')
    methods = ("bce[classify.stage.lr=0.01]", str(own))
    changed = {"methods": methods, "settings": dict.fromkeys(methods, TINY), "seeds": (3,)}
    asked = plan(tiny_data, tmp_path / "out", fraction=0.5, wrong_labels=0.3, split=5, **changed)
    assert run(asked, Told()) == []
    for method in asked.names:
        assert rerun(asked.folder.run_folder(method, 3)).came_back


def test_a_cell_of_an_earlier_call_is_trained_again_from_its_record(
    copied: StudyFolder, tiny_data: Path
) -> None:
    later = plan(tiny_data, copied.path, methods=("logistic_regression",), settings={}, seeds=(0,))
    assert run(later, Told()) == []
    assert copied.record().asked["methods"] == ["logistic_regression"]
    assert rerun(copied.run_folder("bce", 0)).came_back


def test_what_does_not_come_back_is_told(copied: StudyFolder, capsys: pytest.CaptureFixture[str]) -> None:
    place = copied.run_folder("bce", 0)
    record = copied.run_record("bce", 0)
    assert record is not None
    changed = record.model_dump()
    changed["evaluations"]["learnt"]["values"]["map"] += 0.25
    changed["versions"]["torch"] = "1.0"
    type(record).model_validate(changed).write(place / "run.json")
    arrays = read_arrays(place / "scores.npz")
    arrays["test_scores"] = arrays["test_scores"] + np.float32(0.5)
    write_arrays(place / "scores.npz", arrays)
    found = rerun(place)
    assert not found.came_back
    (value,) = found.differences
    assert (value.place, value.then - value.now) == ("learnt.values.map", pytest.approx(0.25))
    assert found.farthest["test_scores"] == pytest.approx(0.5, abs=1e-6)
    assert found.farthest["validation_scores"] == 0
    assert [(each.place, each.then) for each in found.versions] == [("torch", "1.0")]
    assert call("rerun", place) == 1
    told = capsys.readouterr().out
    assert "learnt.values.map" in told
    assert "torch 1.0 instead of" in told
    assert call("rerun", copied.run_folder("bce", 1)) == 0
    assert "Every number came back to the bit." in capsys.readouterr().out


def test_what_is_no_finished_cell_of_the_same_data_is_refused(copied: StudyFolder, tmp_path: Path) -> None:
    with pytest.raises(
        ManyLabelError, match=r"expected the folder of a finished cell, but got no such folder"
    ):
        rerun(tmp_path / "none")
    with pytest.raises(ManyLabelError, match=r"but got no run\.json in it"):
        rerun(copied.path)
    record = copied.run_record("bce", 0)
    assert record is not None
    record.model_copy(update={"status": "running"}).write(copied.run_folder("bce", 0) / "run.json")
    with pytest.raises(ManyLabelError, match="but got one that is running"):
        rerun(copied.run_folder("bce", 0))
    other = tmp_path / "other"
    other.mkdir()
    study = copied.record()
    data = write_rows(other / "tiny.npz", seed=1)
    study.model_copy(update={"asked": study.asked | {"data": str(data)}}).write(copied.study_file)
    with pytest.raises(ManyLabelError, match="tiny as it was then, but got other data"):
        rerun(copied.run_folder("bce", 1))


def test_a_record_with_settings_that_are_no_more_is_refused(copied: StudyFolder) -> None:
    record = copied.run_record("bce", 0)
    assert record is not None
    earlier = record.recipe | {"classify": record.recipe["classify"] | {"penalty": 1.2}}
    record.model_copy(update={"recipe": earlier}).write(copied.run_folder("bce", 0) / "run.json")
    with pytest.raises(ManyLabelError, match=r"classify\.penalty"):
        rerun(copied.run_folder("bce", 0))
