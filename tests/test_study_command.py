"""The command for studies: a table for each data set, how to go on, and two calls at once on one folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.study.small_study import write_rows
from tests.test_cli import call

from manylabel.study import StudyFolder

ROOT = Path(__file__).parents[1]
FAILS = "tests.study.killing.FailsWhileThere"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of two data sets, two methods and two fractions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("MANYLABEL_DATA", raising=False)
    for seed, name in enumerate(("one", "two")):
        write_rows(tmp_path / f"{name}.npz", seed=seed)
    text = f"""
    data = ["one.npz", "two.npz"]
    methods = ["bce", "{FAILS}"]
    seeds = 2
    [settings.bce]
    "vectors.encoder.widths" = [16]
    classify.stage = {{ epochs = 3, batch = 16 }}
    """
    path = tmp_path / "asked.toml"
    path.write_text(text)
    return path


def test_a_study_ends_with_a_table_for_each_data_set_and_says_how_to_try_again(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block = file.parent / "block"
    block.touch()
    monkeypatch.setenv("MANYLABEL_TEST_FAILS", str(block))
    assert call("study", "asked.toml", "--jobs", "1") == 2
    told = capsys.readouterr()
    assert told.out.count("mAP") >= 2
    assert "report: runs/asked/one/report.html" in told.out
    assert "report: runs/asked/two/report.html" in told.out
    assert "report: runs/asked/report.html" in told.out
    assert "Try failed cells again with:\n  manylabel study asked.toml --out runs/asked --retry" in told.err
    block.unlink()
    assert call("study", "asked.toml", "--jobs", "1") == 2
    assert f"failed  {FAILS} seed 0 in an earlier call: " in capsys.readouterr().err
    assert call("study", "asked.toml", "--jobs", "1", "--retry") == 0
    told = capsys.readouterr()
    assert "bce seed 0 by an earlier call" in told.err
    assert "failed" not in told.err
    assert FAILS in told.out
    assert call("report", "runs/asked/two") == 0
    capsys.readouterr()
    assert call("report", "runs/asked") == 0
    told = capsys.readouterr()
    assert "2 data sets, learnt protocol" in told.out
    assert "On mAP over 2 data sets, bce has the best average rank" in told.out
    assert {path.suffix for path in Path("runs/asked").glob("report.*")} == {".html", ".md", ".tex"}


def test_errors_name_the_keys_of_the_file_and_not_options(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text('data = ["one.npz"]\nmethods = ["bce"]\nseeds = [0.5]\n')
    assert call("study", file) == 2
    error = capsys.readouterr().err
    assert f"{file}, seeds" in error
    assert "--" not in error


def test_two_studies_on_one_folder_at_once_make_each_cell_once(file: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "MANYLABEL_TEST_FAILS": str(file.parent / "none"),
    }
    command = [sys.executable, "-m", "manylabel", "study", str(file), "--jobs", "1"]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, env=environment, stderr=pipe, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=300)[1] for process in both]
    codes = {process.returncode for process in both}
    assert codes <= {0, 2}
    assert 0 in codes
    for process, error in zip(both, errors, strict=True):
        assert process.returncode == 0 or "in use by process" in error
    lines = [line for error in errors for line in error.splitlines() if line.startswith("done")]
    assert len([line for line in lines if "by an earlier call" not in line]) == 8
    for name in ("one", "two"):
        folder = StudyFolder(Path("runs") / "asked" / name)
        made = folder.finished_runs()
        assert len(made) == 4
        for record in made:
            assert len(folder.scores(record.method, record.seed)["test_scores"]) == 60
