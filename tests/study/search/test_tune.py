"""The search of hyperparameters: on training rows alone, repeatable, resumable, shared."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.study.small_study import TINY, TINY_STACK, plan, write_rows
from tests.study.test_no_test_rows import changed, with_few_rows, with_shuffled_labels
from tests.test_cli import call

from manylabel import methods
from manylabel.cli import commandline
from manylabel.errors import ManyLabelError
from manylabel.methods import recipe_files
from manylabel.study.executors.local import Local
from manylabel.study.parameters import parameters
from manylabel.study.search import report, tune
from manylabel.study.search.part import Part, PartRecord
from manylabel.study.search.search import Search

ROOT = Path(__file__).parents[3]
SPACE = """
"classify.stage.lr" = { low = 1e-3, high = 1e-1, log = true }
"vectors.encoder.dropout" = { low = 0.0, high = 0.5, step = 0.1 }
"vectors.encoder.widths" = { choices = [[16], [8, 8]] }
"classify.stage.epochs" = { low = 2, high = 4 }
"""


def search(data: Path, out: Path, **changes: Any) -> Search:
    """A search of a second a trial."""
    space = out.parent / "space.toml"
    space.write_text(SPACE)
    asked = {"method": "bce", "trials": 3, "settings": TINY, "space": space, "out": out}
    return Search(**{"data": (str(data),), **asked, **changes})


def trials(asked: Search) -> list[tuple[dict[str, Any], float]]:
    """What each trial tried and reached."""
    study = tune.run(asked, lambda line: None)
    return [(t.params, t.value) for t in study.trials if t.state.name == "COMPLETE"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "tiny.npz")


@pytest.mark.parametrize("change", [with_shuffled_labels, with_few_rows])
def test_test_rows_change_no_trial(change: Any, rows: Path, tmp_path: Path) -> None:
    other = changed(rows, tmp_path / "other.npz", change)
    wanted = {"metrics": ("macro_f1", "map"), "splits": (0, 1), "trials": 4}
    ours = trials(search(rows, tmp_path / "ours", **wanted))
    assert len(ours) == 4
    assert ours == trials(search(other, tmp_path / "theirs", **wanted))


def test_development_rows_are_training_rows_and_in_no_other_part(rows: Path, tmp_path: Path) -> None:
    (problem, other) = search(rows, tmp_path / "out", splits=(0, 1)).problems
    with np.load(rows) as file:
        given = {row.tobytes() for row in file["X_train"]}
    rest = {row.tobytes() for row in problem.dataset.train.X.values.numpy()}
    development = {row.tobytes() for row in problem.dataset.test.X.values.numpy()}
    assert len(development) == 24
    assert rest | development == given
    assert not rest & development
    assert development != {row.tobytes() for row in other.dataset.test.X.values.numpy()}


def test_a_search_goes_on_as_if_it_had_not_stopped(rows: Path, tmp_path: Path) -> None:
    whole = trials(search(rows, tmp_path / "whole", trials=13))  # the sampler learns from the first ten
    trials(search(rows, tmp_path / "parts", trials=5))
    parts = trials(search(rows, tmp_path / "parts", trials=13))
    assert parts == whole
    assert len({json.dumps(values) for values, _ in whole}) > 10


def test_a_search_leaves_no_database_open(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[sqlite3.Connection] = []

    class Watched(sqlite3.Connection):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more)
            opened.append(self)

    monkeypatch.setattr(sqlite3.dbapi2, "connect", partial(sqlite3.connect, factory=Watched))
    tune.run(search(rows, tmp_path / "out", trials=1), lambda line: None)
    assert opened
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            connection.execute("select 1")


def test_a_killed_search_loses_one_trial_and_makes_it_again(rows: Path, tmp_path: Path) -> None:
    asked = search(rows, tmp_path / "out", settings=TINY | {"classify.stage.batch": 1})
    whole = trials(search(rows, tmp_path / "whole", settings=asked.settings))
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    script = "import shlex, sys; from manylabel.cli import main; main(shlex.split(sys.argv[1])[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", script, commandline.tune(parameters(asked))], env=environment
    )
    _wait_for_second_trial(tmp_path / "out" / "trials.db")
    process.send_signal(signal.SIGKILL)
    process.wait()
    study = tune.run(asked, lambda line: None)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert [(study.trials[i].params, study.trials[i].value) for i in (0, 2, 3)] == whole


def _wait_for_second_trial(database: Path) -> None:
    for _ in range(1200):
        time.sleep(0.05)
        try:
            with sqlite3.connect(database) as connection:
                found = connection.execute(
                    "select count(*) from trial_params join trials using (trial_id) where number = 1"
                )
                if found.fetchone()[0] == 4:
                    return
        except sqlite3.OperationalError:
            continue
    raise AssertionError("the second trial did not begin")


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 3])
def test_the_answer_is_the_same_in_one_process_and_in_several(
    at_once: int, rows: Path, tmp_path: Path
) -> None:
    wanted = {"trials": 4, "splits": (0, 1), "at_once": at_once}
    alone = trials(search(rows, tmp_path / "alone", **wanted))
    study = tune.run(search(rows, tmp_path / "several", **wanted), lambda line: None, Local(2))
    assert [(t.params, t.value) for t in study.trials if t.state.name == "COMPLETE"] == alone
    assert len(alone) == 4


def test_a_table_is_searched_with_its_label_columns_in_several_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("data", "example", "places.csv", "--rows", "120") == 0
    assert call("tune", "places.csv", "--method", "bce") == 2
    told = "Of a table name the label columns with --labels, which run, tune and fit take"
    assert told in capsys.readouterr().err
    few = ("--labels", "tags", "-m", "logistic_regression", "-n", "2", "--splits", "2", "--at-once", "2")
    assert call("tune", "places.csv", *few, "--jobs", "2", "--out", "several") == 0
    compared = "run places.csv --methods several/best.toml,logistic_regression --labels tags\n"
    assert capsys.readouterr().out.endswith(compared)
    found_by = Path("several/best.toml").read_text().splitlines()[0]
    assert found_by.startswith("# Found by: manylabel tune places.csv")
    assert "--labels tags" in found_by
    asked = {"data": ("places.csv",), "labels": ("tags",), "method": "logistic_regression", "trials": 2}
    alone = trials(Search(**asked, splits=(0, 1), at_once=2, out=Path("alone")))
    again = trials(Search(**asked, splits=(0, 1), at_once=2, out=Path("several")))
    assert alone == again
    np.savez("rows.npz", X=np.eye(40, 6), Y=np.tile(np.eye(2, dtype=int), (20, 1)))
    read = Search(data=("rows.npz",), method="bce", trials=1, out=Path("o"), read={"unheard": 1})
    with pytest.raises(ManyLabelError, match="unheard"):
        _ = read.problems


class Stops(Local):
    """Runs one part, then is interrupted."""

    def run(self, jobs: Any, source: Any, listener: Any) -> Any:
        super().run(jobs[:1], source, listener)
        raise KeyboardInterrupt


def test_a_round_that_is_interrupted_is_given_back_and_its_finished_parts_are_kept(
    rows: Path, tmp_path: Path
) -> None:
    wanted = {"trials": 4, "splits": (0, 1), "at_once": 2}
    whole = trials(search(rows, tmp_path / "whole", **wanted))
    asked = search(rows, tmp_path / "out", **wanted)
    with pytest.raises(KeyboardInterrupt):
        tune.run(asked, lambda line: None, Stops(1))
    study = tune.open_study(asked)
    assert {trial.state.name for trial in study.trials} <= {"FAIL", "WAITING"}
    (kept,) = (tmp_path / "out").rglob("part.json")
    before = kept.stat().st_mtime_ns
    assert trials(asked)[:2] == whole[:2]
    assert kept.stat().st_mtime_ns == before
    assert len(list((tmp_path / "out").rglob("part.json"))) == 8


def test_a_trial_that_ends_its_process_fails_and_the_others_go_on(rows: Path, tmp_path: Path) -> None:
    space = tmp_path / "deadly.toml"
    space.write_text('"parameters.deadly" = { choices = [false, true] }')
    told: list[str] = []
    wanted = {"method": "tests.study.killing.KillsWhereAsked", "settings": {}, "trials": 4, "at_once": 4}
    study = tune.run(search(rows, tmp_path / "out", **wanted | {"space": space}), told.append, Local(2))
    outcomes = {trial.params["parameters.deadly"]: trial.state.name for trial in study.trials}
    assert outcomes == {"false": "COMPLETE", "true": "FAIL"}
    said = "failed: its process ended with exit code -9 (killed, often for want of memory)"
    assert any(said in line for line in told)


def test_several_folders_share_a_storage(rows: Path, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    whole = trials(search(rows, tmp_path / "whole", trials=4))
    first = trials(search(rows, tmp_path / "a", storage=storage, trials=2))
    second = trials(search(rows, tmp_path / "b", storage=storage, trials=4))
    assert first == whole[:2]
    assert second == whole


def test_a_folder_with_another_search_is_refused(rows: Path, tmp_path: Path) -> None:
    trials(search(rows, tmp_path / "out", trials=1))
    with pytest.raises(ManyLabelError, match=r"expected trials of bce on tiny \w+, but got bce on tiny"):
        trials(search(rows, tmp_path / "out", trials=1, metrics=("map",)))


def test_trials_that_cannot_be_made_count_unless_none_succeeds(rows: Path, tmp_path: Path) -> None:
    space = tmp_path / "selections.toml"
    space.write_text('"classify.stage.select" = { choices = ["loss", "accuracy"] }')
    told: list[str] = []
    chosen = TINY | {"classify.stage.select": "loss"}
    study = tune.run(search(rows, tmp_path / "out", space=space, trials=6, settings=chosen), told.append)
    states = [trial.state.name for trial in study.trials]
    assert len(states) == 6
    assert {"COMPLETE", "FAIL"} == set(states)
    assert any("failed: stage train: expected select to be one of" in line for line in told)
    with pytest.raises(ManyLabelError, match="select to be one of"):
        trials(search(rows, tmp_path / "none", settings=TINY | {"classify.stage.select": "accuracy"}))


def test_the_first_trial_is_the_recipe_as_it_is(rows: Path, tmp_path: Path) -> None:
    space = tmp_path / "lr.toml"
    space.write_text('"classify.stage.lr" = { low = 1e-4, high = 1e-1, log = true }')
    asked = search(rows, tmp_path / "out", space=space, trials=2)
    study = tune.run(asked, lambda line: None)
    assert study.trials[0].params == {
        "classify.stage.lr": methods.get("bce").recipe.resolve("vectors").classify.stage.lr
    }
    assert "the recipe as it was" in report.write(asked, study).sentence


def test_the_winner_is_a_recipe_that_a_run_takes(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    asked = search(rows, out, trials=10)
    small = [word for name, value in TINY.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    command = ["tune", rows, "-m", "bce", "-n", "10", "--space", asked.space, "--out", out, *small]
    assert call(*command) == 0
    output, progress = capsys.readouterr()
    assert progress.count("trial ") >= 10
    assert "about" in progress
    assert "Best trials" in output
    assert output.rstrip().splitlines()[-1].startswith("  manylabel run")
    assert (out / "search.png").read_bytes().startswith(b"\x89PNG")
    best = report.trials_of(asked, tune.open_study(asked))[0]
    recipe = methods.get(str(out / "best.toml")).recipe
    assert recipe.name == "best"
    settings = {**TINY, **tune.settings_of(asked, best)}
    expected = methods.get("bce", **settings).recipe
    for kind in ("vectors", "images"):
        own, its = (
            of.resolve(kind).model_dump(exclude={"name", "about", "expected"}) for of in (recipe, expected)
        )
        assert own == its
    study = tmp_path / "study"
    assert (
        call("run", rows, "-m", f"{out / 'best.toml'},bce", "-s", "1", "--out", study, "--jobs", "1", *small)
        == 0
    )
    assert "best" in capsys.readouterr().out
    assert (study / "best" / "seed-0" / "run.json").exists()


@pytest.mark.parametrize(
    "method", ["bce", "mulsupcon", "mulsupcon_knn", "kmcl", "lamp", "mpvae", "rbcc", "cgmvae", "asl", "best"]
)
def test_every_family_has_a_space_that_holds_its_recipe(method: str) -> None:
    from manylabel.study.search.space import default_space, recipe_values

    settings = methods.get(method).recipe.settings
    recipe = {kind: own.model_dump(mode="json") for kind, own in settings.items()}
    space = default_space(method, {"vectors"}, {})
    assert len(space) >= 3
    assert not any(name.startswith("images.") for name in space)
    assert recipe_values(space, recipe, {"vectors"}) is not None


def test_a_stack_is_searched_by_its_own_space(rows: Path, tmp_path: Path) -> None:
    from manylabel.study.search.space import default_space, recipe_values

    found = methods.get("best").recipe.settings
    recipe = {kind: own.model_dump(mode="json") for kind, own in found.items()}
    space = default_space("best", {"vectors"}, {})
    values = recipe_values(space, recipe, {"vectors"})
    assert values is not None
    leaf = methods.get("extra_trees").recipe.resolve("vectors").parameters["min_samples_leaf"]  # type: ignore[attr-defined]
    assert values["learners.trees.settings.parameters.min_samples_leaf"] == leaf
    of_pictures = default_space("best", {"images"}, {})
    assert len(of_pictures) == 4
    assert all("learners.network." in name for name in of_pictures)
    assert recipe_values(of_pictures, recipe, {"images"}) is not None
    asked = search(rows, tmp_path / "out", method="best", settings=TINY_STACK, space=None, trials=2)
    (first, _), (other, _) = trials(asked)
    assert first == {name: value for name, value in values.items() if name in first}
    assert {name for name in first if first[name] != other[name]} & {name for name in first if "use" in name}


def test_a_scikit_learn_baseline_is_searched_too(rows: Path, tmp_path: Path) -> None:
    asked = search(rows, tmp_path / "out", method="k_neighbours", settings={}, space=None)
    assert len(trials(asked)) == 3


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("", "at least one setting, but got none"),
        ("lr = 3", r"lr: expected a table of values to search, but got 3\. Write it like \{ low = "),
        ("lr = [1, 2]", r"lr: expected a table of values .*got \[1, 2\].* or \{ choices = \[64, 128\] \}"),
        ('"classify.stage.lr" = { low = 1, high = 0.1 }', "choices, or low below high"),
        ('"classify.stage.lr" = { low = 0.0, high = 0.1, log = true }', "log with low above 0"),
        ('"classify.stage.lr" = { choices = [] }', "choices that are not empty"),
        ('"classify.stage.rate" = { low = 0.1, high = 0.2 }', "expected a setting such as"),
        ('"encoder.dropout" = { low = 0.1, high = 2.0 }', "dropout: expected .*less than 1"),
        ("lr = {", "a search space in TOML"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(
    space: str, message: str, rows: Path, tmp_path: Path
) -> None:
    (tmp_path / "wrong.toml").write_text(space)
    with pytest.raises(ManyLabelError, match=message):
        trials(search(rows, tmp_path / "out", space=tmp_path / "wrong.toml"))


@pytest.mark.parametrize(
    ("best", "first", "words"),
    [
        ((1, 0.51234), None, ""),
        ((0, 0.51234), (0, 0.51234), ", which is the recipe as it was"),
        ((1, 0.51234), (0, 0.51231), ", no better than the recipe as it was"),
        ((1, 0.51234), (0, 0.5), ", against 0.5000 of the recipe as it was"),
    ],
)
def test_a_winner_claims_no_more_than_its_decimals_show(
    best: tuple[int, float], first: tuple[int, float] | None, words: str
) -> None:
    number_and_value = [
        None if t is None else SimpleNamespace(number=t[0], value=t[1]) for t in (best, first)
    ]
    assert report.beside_the_recipe(*number_and_value) == words


def test_recipes_of_any_value_are_read_back() -> None:
    table = {
        "text": 'é "x" \\ 👩\u200d🔬 \x7f\x1b\n',
        "number": 1e-300,
        "infinite": [math.inf, -math.inf],
        "list": [1, "a", True, []],
        "": {"a.b": {"é\n": False}},
    }
    assert tomllib.loads(report.toml(table)) == table


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trials", "0"], "--trials: expected at least 1"),
        (["--splits", "0"], "--splits: expected at least 1"),
        (["--metric", "f1"], "--metric: expected some of map, .*, but got 'f1'"),
        (["--method", "bcee"], "'bcee'"),
        (["--method", "nowhere/best.toml"], "a recipe in TOML, but got No such file"),
        (["--method", "linear_svm"], "^error: manylabel tune: expected a method with a search space"),
        (["--storage", "nothing"], "--storage: expected a database that can be used"),
        (["--space", "nowhere.toml"], "a search space in TOML"),
    ],
)
def test_a_question_that_cannot_be_asked_ends_with_code_2(
    arguments: list[str],
    message: str,
    rows: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("tune", rows, *(["-m", "bce"] if "--method" not in arguments else []), *arguments) == 2
    output, errors = capsys.readouterr()
    assert "Traceback" not in output + errors
    assert re.search(message, errors)


def test_methods_of_the_same_name_are_refused(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "bce.toml").write_text('like = "bce"')
    with pytest.raises(ManyLabelError, match=r"methods of different names, but got bce, .*bce\.toml"):
        plan(rows, tmp_path / "out", methods=("bce", str(tmp_path / "bce.toml")), settings={})


def test_a_space_holds_the_sections_that_a_recipe_has_for_the_data() -> None:
    from manylabel.study.search.space import default_space

    of_best = default_space("mulsupcon_knn", {"vectors"}, {})
    assert {"pretrain.temperature", "classify.encoder_rate", "neighbours.weight"} <= of_best.keys()
    assert "contrast.weight" not in of_best
    on_pictures = default_space("mulsupcon_knn", {"images"}, {})
    assert {"contrast.weight", "images.classify.views.crop", "neighbours.k"} <= on_pictures.keys()
    assert not {"pretrain.temperature", "classify.encoder_rate"} & on_pictures.keys()
    joined = default_space("mulsupcon", {"vectors"}, {"contrast.weight": 0.1})
    assert "contrast.temperature" in joined
    assert not {"contrast.weight", "classify.encoder_rate"} & joined.keys()


def test_a_part_counts_for_the_recipe_that_it_was_made_with_alone(rows: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('like = "bce"\n')
    part = Part.of(search(rows, tmp_path / "out", method=str(recipe)), 0, 0, {})
    part.folder.mkdir(parents=True)
    PartRecord(asked=part.asked, value=0.5).write(part.folder / "part.json")
    assert part.found() is not None
    recipe.write_text('like = "bce"\n[vectors.encoder]\ndropout = 0.1\n')
    assert Part.of(search(rows, tmp_path / "out", method=str(recipe)), 0, 0, {}).found() is None


def test_a_settled_part_holds_every_recipe_file_that_it_needs(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plain.toml").write_text('like = "bce"\n[vectors.encoder]\nwidths = [8]\n')
    Path("mine.toml").write_text('like = "plain.toml"\n')
    Path("stack.toml").write_text('like = "best"\n[learners.network]\nmethod = "mine.toml"\nrivals = {}\n')
    part = Part.of(
        search(rows, Path("out"), method="stack.toml", settings={}, space=None), 0, 0, {}
    ).settled()
    mine, plain = (str(Path(name).resolve()) for name in ("mine.toml", "plain.toml"))  # as files name files
    assert part.files.keys() == {"stack.toml", mine, plain}
    assert (part.method, part.out) == ("stack.toml", tmp_path / "out")
    for file in part.files:
        Path(file).unlink()
    with recipe_files.kept(part.files):
        assert methods.get("stack.toml").recipe.resolve("vectors").learners["network"].method == mine  # type: ignore[attr-defined]
        assert methods.get(mine).recipe.resolve("vectors").encoder.widths == (8,)  # type: ignore[attr-defined]
    with pytest.raises(ManyLabelError, match=r"mine\.toml"):
        methods.get(mine)
