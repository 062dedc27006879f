"""The command line: what a person sees, and what a person who errs sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.study.small_study import TINY, TINY_PRETRAINING, write_rows

from manylabel import __version__, methods
from manylabel.cli import main

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("MANYLABEL_DATA", raising=False)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("data") / "tiny.npz")


def call(*arguments: str | Path) -> int:
    """The exit code of a command line."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def small(settings: dict[str, object]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--set", f"{name}={json.dumps(value)}")]


def tiny_run(rows: Path, out: Path) -> list[str | Path]:
    pretraining = {f"mulsupcon.{name}": value for name, value in TINY_PRETRAINING.items()}
    return ["run", rows, "--seeds", "2", "--jobs", "1", "--out", out, *small(TINY | pretraining)]


def test_a_run_ends_with_table_report_and_verdict(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*tiny_run(rows, tmp_path / "out")) == 0
    output, progress = capsys.readouterr()
    lines = output.rstrip().splitlines()
    assert "tiny, 2 seeds, tuned protocol" in lines[0]
    assert all(heading in output for heading in ("mAP", "macro-F1", "Hamming", "training"))
    assert lines[-2] == f"report: {tmp_path / 'out' / 'report.html'}"
    assert lines[-1].startswith("On tiny, ")
    assert (tmp_path / "out" / "report.html").exists()
    assert progress.count("done ") == 4

    assert call("report", tmp_path / "out", "--protocol", "oracle") == 0
    again = capsys.readouterr().out
    assert "(oracle)" in again
    assert "oracle thresholds" in again.splitlines()[-1]

    assert call(*tiny_run(rows, tmp_path / "out")) == 0
    output, progress = capsys.readouterr()
    assert output.rstrip().splitlines() == lines
    assert progress.count("by an earlier call") == 4


def test_failed_runs_are_told_at_the_end_and_the_others_kept(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = ["--set", "mulsupcon.pretrain.stage.batch=4000"]
    assert call(*tiny_run(rows, tmp_path / "out"), *changed) == 2
    output, errors = capsys.readouterr()
    assert "On tiny, bce reached mAP" in output.splitlines()[-1]
    assert "failed: mulsupcon seed 0" in errors
    assert "mulsupcon seed 1\n  stage pretrain: expected at least 4000 training rows" in errors


def test_default_folder_is_named_after_the_data(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("run", rows, "-m", "bce", "-s", "1", *small(TINY)) == 0
    assert (tmp_path / "runs" / "tiny" / "bce" / "seed-0" / "run.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "digit"], "Did you mean 'digits'?"),
        (["run", "nowhere/data.npz"], "nowhere/data.npz: expected an existing file"),
        (["run", "{rows}", "-m", "mulsupcom"], "'mulsupcom'"),
        (["run", "{rows}", "-m", ","], "--methods: expected at least 1"),
        (["run", "{rows}", "-s", "0"], "--seeds: expected a number above 0"),
        (["run", "{rows}", "-s", "three"], "--seeds: expected a number above 0"),
        (["run", "{rows}", "-s", "-1"], "--seeds: expected a number above 0"),
        (["run", "{rows}", "--jobs", "0"], "--jobs: expected at least 1"),
        (["run", "{rows}", "--set", "lr"], "--set: expected NAME=VALUE"),
        (["run", "{rows}", "--set", "learning_rate=1"], "'learning_rate'"),
        (["run", "{rows}", "--set", "classify.stage.epochs=none"], "classify.stage.epochs"),
        (["run", "{rows}", "--protocol", "best"], "'best' is not one of"),
        (["run", "{rows}", "--data-dir", "/no/such/folder"], "/no/such/folder"),
        (["run"], "Missing argument"),
        (["report", "."], "no study.json in it"),
        (["report", "nowhere"], "nowhere: expected the folder of a study"),
        (["methods", "describe", "bcee"], "'bcee'"),
        (["data", "describe", "nothing"], "'nothing'"),
        (["data", "get", "nothing"], "'nothing'"),
    ],
)
def test_input_that_cannot_be_used_ends_with_a_message_and_code_2(
    arguments: list[str],
    message: str,
    rows: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*(argument.format(rows=rows) for argument in arguments)) == 2
    output, errors = capsys.readouterr()
    assert message in errors
    assert "Traceback" not in errors + output
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_place_ends_with_code_2(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert call("run", rows, "--out", tmp_path / "file" / "out") == 2
    assert "expected a folder that can be written" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on file sizes")
def test_a_full_disk_is_noticed_before_training(rows: Path, tmp_path: Path) -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536));"
        f"from manylabel.cli import main; main(['run', {str(rows)!r}, '--out', {str(tmp_path / 'out')!r}])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert "expected a folder that can be written, but got File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert "running" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"manylabel {__version__}\n"
    for command in ([], ["run"], ["report"], ["data", "list"], ["data", "get"], ["methods", "describe"]):
        assert call(*command, "--help") == 0
        assert "Usage: manylabel" in capsys.readouterr().out
    assert call("run", "--help") == 0
    text = capsys.readouterr().out
    assert "manylabel run digits --methods bce,mulsupcon --seeds 3" in text
    assert "MANYLABEL_DATA" in text


def test_help_does_not_wait_for_heavy_imports() -> None:
    code = (
        "import sys; from manylabel.cli import main\n"
        "try: main(['run', '--help'])\n"
        "finally: print({'torch', 'numpy', 'sklearn', 'matplotlib'} & sys.modules.keys(), file=sys.stderr)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stderr == "set()\n"


def test_module_and_script_are_the_same_program() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "manylabel", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout == f"manylabel {__version__}\n"


def test_methods_are_listed_and_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("methods", "list") == 0
    listed = capsys.readouterr().out
    for name in methods.names():
        assert name in listed
        assert call("methods", "describe", name) == 0
        described = capsys.readouterr().out
        assert methods.get(name).recipe.about[:40] in described
        assert "classify.stage.epochs" in described
        assert ("not defined for images" in described) == (not methods.get(name).recipe.images.model_dump())


def test_data_sets_are_listed_fetched_and_described(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    write_rows(tmp_path / "mine" / "data.npz")
    assert call("data", "list", "--data-dir", tmp_path) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("digits", "yeast", "scene", "mine"))

    assert call("data", "get", "mine", "--data-dir", tmp_path) == 0
    assert "mine: 120 training and 60 test rows" in capsys.readouterr().out

    assert call("data", "describe", rows) == 0
    described = capsys.readouterr().out
    assert "8 numbers" in described
    assert "label 1" in described


def test_seeds_are_a_number_or_a_list(rows: Path, tmp_path: Path) -> None:
    for seeds in ("4,7", "9,"):
        asked = ["run", rows, "-m", "bce", "-s", seeds, "-j", "1", "-o", tmp_path / "out"]
        assert call(*asked, *small(TINY)) == 0
    made = sorted(path.name for path in (tmp_path / "out" / "bce").iterdir())
    assert made == ["seed-4", "seed-7", "seed-9"]


def test_remarks_on_the_data_are_told_before_the_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(write_rows(tmp_path / "tiny.npz")) as file:
        arrays = dict(file)
    arrays["y_train"][:, 1] = 0
    np.savez(tmp_path / "constant.npz", **arrays)
    asked = ["run", tmp_path / "constant.npz", "-m", "bce", "-s", "1", "-o", tmp_path / "out"]
    assert call(*asked, *small(TINY)) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[1].startswith("note: Label 'label 1' is never given in training")


@pytest.mark.parametrize(
    ("array", "value", "message"),
    [("X_train", np.nan, "nan in row 3, column 0"), ("y_test", 2, "2"), ("y_train", None, "y_train")],
)
def test_data_that_cannot_be_used_leave_nothing(
    array: str, value: float | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(write_rows(tmp_path / "tiny.npz")) as file:
        arrays = dict(file)
    if value is None:
        del arrays[array]
    else:
        arrays[array][3, 0] = value
    np.savez(tmp_path / "bad.npz", **arrays)
    assert call("run", tmp_path / "bad.npz", "-o", tmp_path / "out") == 2
    errors = capsys.readouterr().err
    assert "bad.npz" in errors
    assert message in errors
    assert not (tmp_path / "out").exists()
