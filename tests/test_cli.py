"""The command line: what a person sees, and what a person who errs sees."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.study.small_study import TINY, TINY_PRETRAINING, write_rows

from manylabel import __version__, methods
from manylabel.cli import commandline, main
from manylabel.files import Lock
from manylabel.methods import Predictor
from manylabel.study import Plan, StudyFolder

LAMP = {
    "classify.stage.epochs": 3,
    "classify.stage.batch": 16,
    "network.width": 16,
    "network.inner": 16,
    "network.layers": 1,
}
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


def write_texts(folder: Path) -> None:
    """A folder of texts whose labels are words that occur in them."""
    words, rng = ("sea", "wind", "rock", "sand", "tree"), np.random.default_rng(0)
    folder.mkdir()
    (folder / "labels.txt").write_text("sea\nwind\nrock\n")
    for part, n in (("train", 100), ("test", 40)):
        texts = [rng.choice(words, 3).tolist() for _ in range(n)]
        rows = [{"text": " ".join(t), "labels": sorted({*t} & {*words[:3]})} for t in texts]
        with gzip.open(folder / f"{part}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


def small(settings: dict[str, object]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--set", f"{name}={json.dumps(value)}")]


def tiny_run(rows: Path, out: Path) -> list[str | Path]:
    pretraining = {f"mulsupcon.{name}": value for name, value in TINY_PRETRAINING.items()}
    asked = ["--methods", "bce,mulsupcon", "--seeds", "2", "--jobs", "1", "--out", out]
    return ["run", rows, *asked, *small(TINY | pretraining)]


def test_a_run_ends_with_table_report_and_verdict(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*tiny_run(rows, tmp_path / "out")) == 0
    output, progress = capsys.readouterr()
    lines = output.rstrip().splitlines()
    assert "tiny, 2 seeds, learnt protocol" in lines[0]
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


def test_variants_of_a_method_are_compared_on_a_share_of_the_rows(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = "bce[classify.stage.lr=1e-2], bce[vectors.encoder.dropout=0.0]"
    settings = [
        "--set",
        "bce[classify.stage.lr=0.01].classify.stage.ema=null",
        *small({"bce.classify.stage.batch": 8}),
    ]
    asked = [
        "run",
        rows,
        "-m",
        methods,
        "-s",
        "1",
        "-j",
        "1",
        "-o",
        tmp_path / "out",
        "--fraction",
        "0.25",
        *settings,
    ]
    assert call(*asked, "--set", "classify.stage.epochs=2") == 0
    output, errors = capsys.readouterr()
    assert "tiny with 25 % of the training rows, 1 seed" in output.splitlines()[0]
    assert "done    bce[classify.stage.lr=0.01] seed 0" in errors
    for name, ema in (("bce[classify.stage.lr=0.01]", None), ("bce[vectors.encoder.dropout=0.0]", 0.99)):
        recipe = json.loads((tmp_path / "out" / name / "seed-0" / "run.json").read_text())["recipe"]
        stage = recipe["classify"]["stage"]
        assert (stage["batch"], stage["epochs"], stage.get("ema")) == (8, 2, ema)


def test_reproductions_are_listed_with_what_they_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("reproduce") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "hours" in next(line for line in lines if "name" in line)
    assert any(
        line.split()[:1] == ["mulsupcon-table-2-3"] and "yeast, scene, delicious" in line for line in lines
    )


def test_a_reproduction_ends_with_tables_and_a_page_and_goes_on_where_it_stopped(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [
        "reproduce",
        "low-data",
        "--sets",
        rows,
        "--methods",
        "bce,mulsupcon[pretrain.queue=0]",
        "--seeds",
        "1",
    ]
    asked += ["--at", "1,0.3", "--epochs-scale", "0.02", "--jobs", "1", "--out", tmp_path]
    folder = tmp_path / "low-data-epochs-x0.02"
    assert call(*asked) == 0
    output, progress = capsys.readouterr()
    assert output.startswith("tiny, tuned protocol, 1 seed, 0.02 x the epochs of the recipes")
    assert output.rstrip().splitlines()[-1] == f"page: {folder / 'README.md'}"
    assert "study 2 of 2: tiny (" in progress
    assert progress.count("done ") == 4
    for name in ("macro-f1", "map"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "0.02 x the epochs" in (folder / "README.md").read_text()
    recipe = json.loads((folder / "tiny-30-percent" / "bce" / "seed-0" / "run.json").read_text())["recipe"]
    assert recipe["classify"]["stage"]["batch"] == 16

    assert call(*asked) == 0
    again, progress = capsys.readouterr()
    assert again == output
    assert progress.count("by an earlier call") == 4


def test_failed_runs_are_told_at_the_end_and_the_others_kept(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = ["--set", "mulsupcon.pretrain.dim=100000000000000"]
    assert call(*tiny_run(rows, tmp_path / "out"), *changed) == 2
    output, errors = capsys.readouterr()
    assert "On tiny, bce reached mAP" in output.splitlines()[-1]
    assert "failed: mulsupcon seed 0" in errors
    assert "mulsupcon seed 1\n  method mulsupcon: expected a training that fits in memory" in errors


def test_a_classifier_of_scikit_learn_is_a_method(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method = "sklearn.neighbors.KNeighborsClassifier"
    changed = ["--set", f"{method}.parameters.n_neighbors=3", "--jobs", "1"]
    assert call("run", rows, "-m", method, "-s", "1", "--out", tmp_path / "out", *changed) == 0
    assert f"{method} reached mAP" in capsys.readouterr().out
    folder = tmp_path / "out" / method / "seed-0"
    assert json.loads((folder / "run.json").read_text())["recipe"]["parameters"] == {"n_neighbors": 3}
    assert Predictor.load(folder / "model").label_names
    assert "Learning curves" not in (tmp_path / "out" / "report.html").read_text()
    changed[1] = f"{method}.parameters.n_neighbors=5"
    assert call("run", rows, "-m", method, "-s", "1", "--out", tmp_path / "out", *changed) == 2
    assert "expected runs of the same recipe" in capsys.readouterr().err


def test_texts_are_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_texts(tmp_path / "notes")
    asked = ["-m", "bce,lamp,logistic_regression", "-s", "1", "--jobs", "1", "--out", tmp_path / "out"]
    changed = [f"bce.{name}={json.dumps(value)}" for name, value in TINY.items()]
    changed += [f"lamp.{name}={value}" for name, value in LAMP.items()]
    assert call("run", tmp_path / "notes", *asked, *(word for c in changed for word in ("--set", c))) == 0
    assert "notes, 1 seed, learnt protocol" in capsys.readouterr().out


def test_a_run_compares_the_recommended_method_with_networks_and_cheap_baselines(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Plan] = []
    monkeypatch.setattr("manylabel.cli.studies.run_plan", asked.append)
    assert call("run", rows, "--out", tmp_path / "out") == 0
    (plan,) = asked
    assert plan.methods == ("best", "bce", "mulsupcon", "logistic_regression_cv", "extra_trees")
    assert (plan.protocol, plan.seeds) == ("learnt", (0, 1, 2))
    assert set(plan.methods) <= set(methods.names())
    assert "--protocol" not in commandline.run(plan.asked)


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
        (["run", "{rows}", "-m", "mulsupcom"], "Did you mean 'mulsupcon'?"),
        (["run", "corel5k"], "--data-dir or MANYLABEL_DATA"),
        (["run", "{rows}", "-m", "lamp", "--set", "network.heads=3"], "a width that 3 heads share evenly"),
        (["run", "{rows}", "-m", "bce", "--set", "encoder.widths=[]"], "at least 1 item"),
        (["bench", "losses", "--threads", "1,x"], "--threads: expected numbers above 0"),
        (["tune", "{rows}", "--metric", "ranking_loss"], "--metric: expected some of map"),
        (["reproduce", "--sets", "yeast"], "the name of a reproduction"),
        (["run", "{rows}", "-m", ","], "--methods: expected at least 1"),
        (["run", "{rows}", "-s", "0"], "--seeds: expected a number above 0"),
        (["run", "{rows}", "-s", "three"], "--seeds: expected a number above 0"),
        (["run", "{rows}", "-s", "-1"], "--seeds: expected a number above 0"),
        (["run", "{rows}", "--jobs", "0"], "--jobs: expected at least 1"),
        (["run", "{rows}", "-m", "bce[lr"], "METHOD[setting=value,...]"),
        (["run", "{rows}", "--fraction", "2"], "--fraction: expected above 0"),
        (["run", "{rows}", "--wrong-labels", "1"], "--wrong-labels: expected from 0 to below 1"),
        (["run", "{rows}", "--split", "-3"], "--split: expected seeds from 0"),
        (
            ["reproduce", "where-contrast-pays", "-m", "bce"],
            "--methods: expected methods with a contrastive term",
        ),
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
        (["reproduce", "win-tie-los"], "Did you mean 'win-tie-loss'?"),
        (["reproduce", "low-data", "--sets", "nothing"], "'nothing'"),
        (["reproduce", "low-data", "--sets", ","], "--sets: expected names"),
        (["reproduce", "low-data", "--at", "few"], "--at: expected numbers"),
        (["reproduce", "low-data", "--at", "nan"], "--at: expected numbers"),
        (
            ["reproduce", "low-data", "--sets", "{rows}", "--at", "0,2"],
            "--at: expected shares of the training rows",
        ),
        (["reproduce", "training-length", "--at", "0"], "--at: expected epochs, 1 or more"),
        (["reproduce", "low-data", "--epochs-scale", "inf"], "--epochs-scale: expected a number above 0"),
        (["reproduce", "ablation-reg", "--methods", "bce"], "--methods: expected none"),
        (["reproduce", "low-data", "--epochs-scale", "0"], "--epochs-scale: expected a number above 0"),
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
        recipe = methods.get(name).recipe
        told = {
            "sklearn_baseline": "estimator",
            "stacking": "learners.network.method",
            "neighbour_votes": "temperature",
        }
        assert told.get(recipe.family, "classify.stage.epochs") in described
        for_vectors_only = "images" not in recipe.kinds
        assert ("not defined for images" in described) == for_vectors_only


def test_data_formats_names_every_reader(capsys):
    from manylabel.data.formats.registry import FORMATS

    assert call("data", "formats") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert all(format.title.split()[0] in told for format in FORMATS)
    assert ".libsvm" in told


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "{rows}", "--seeds", "99999999999"], "--seeds: expected a number from 1 to 1000"),
        (["run", "{rows}", "--seeds", "0,99999999999"], "--seeds: expected seeds from 0 to 4294967295"),
        (["run", "{rows}", "--seeds", "1_0"], "--seeds: expected a number above 0"),
        (["run", "{rows}", "--seeds", "9" * 5000], "--seeds: expected a number above 0"),
        (["run", "{rows}", "--threads", "100000"], "--threads: expected a number from 1 to 1024"),
        (["run", "{rows}", "--jobs", "100000"], "--jobs: expected a number from 1 to 1024"),
        (["run", "{rows}", "--fraction", "nan"], "--fraction: expected above 0"),
        (["tune", "{rows}", "--trials", "99999999999"], "--trials: expected a number from 1 to 1000000"),
        (["tune", "{rows}", "--splits", "99999999999"], "--splits: expected a number from 1 to 1000"),
        (["tune", "{rows}", "--threads", "100000"], "--threads: expected a number from 1 to 1024"),
        (["reproduce", "low-data", "--epochs-scale", "1e300"], "--epochs-scale: expected a number above 0"),
        (["reproduce", "low-data", "--epochs-scale", "nan"], "--epochs-scale: expected a number above 0"),
        (["reproduce", "low-data", "--threads", "100000"], "--threads: expected a number from 1 to 1024"),
        (["bench", "losses", "--threads", "100000"], "--threads: expected a number from 1 to 1024"),
    ],
)
def test_numbers_that_no_machine_can_take_are_refused_at_once(
    arguments: list[str],
    message: str,
    rows: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(*(argument.format(rows=rows) for argument in arguments)) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_terminals_that_lack_characters_stop_no_run(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    printed = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(printed, encoding=encoding, write_through=True))
    assert call("run", rows, "-m", "bce", "-s", "2", "-j", "1", "-o", tmp_path / "±…—µ 表", *small(TINY)) == 0
    text = printed.getvalue().decode(encoding)
    assert ("+-" if encoding == "ascii" else "±") in text
    assert "On tiny, bce reached mAP" in text
    assert [sys.stdout.errors, sys.stderr.errors] == ["strict", "strict"]


@pytest.mark.parametrize("together", [False, True])
def test_a_reader_that_goes_away_ends_nothing_with_noise(rows: Path, together: bool) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "manylabel", "methods", "list"]
    errors = subprocess.STDOUT if together else subprocess.PIPE
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment)
    assert process.stdout is not None
    process.stdout.close()
    if process.stderr is not None:
        assert process.stderr.read() == b""
        process.stderr.close()
    assert process.wait() in (0, 141)


@pytest.mark.skipif(sys.platform == "win32", reason="needs groups of processes")
def test_ctrl_c_many_times_ends_without_a_traceback(rows: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "manylabel", "run", str(rows), "-m", "bce", "-s", "2", "-j", "2"]
    command += ["-o", str(tmp_path / "out"), *small(TINY), "--set", "classify.stage.epochs=200000"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert any(line.startswith("running") for line in process.stdout)
    for _ in range(5):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.01)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert f"--out {tmp_path / 'out'}" in said
    assert StudyFolder(tmp_path / "out").finished_runs() == []
    for lock in (tmp_path / "out").rglob(".lock"):
        Lock(lock.parent, "a test").release()
