"""Study files: read, refused with file and key, run, resumed, and failed cells tried again on request."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.study.small_study import Told, write_rows

from manylabel.errors import ManyLabelError
from manylabel.study import Plan, StudyFolder, run
from manylabel.study.executors.base import Failed, Finished

SMALL = """
[settings]
"vectors.encoder.widths" = [16]
classify.stage = { epochs = 3, batch = 16 }
"""
FAILS = "tests.study.killing.FailsWhileThere"


def written(folder: Path, text: str) -> Path:
    path = folder / "asked.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_file_asks_for_data_by_fractions_by_seeds_by_methods_by_grid(tmp_path: Path) -> None:
    text = """
    data = ["yeast", "scene"]
    methods = ["bce", "mulsupcon"]
    seeds = [3, 5]
    fractions = [0.1, 1.0]
    protocol = "tuned"
    threads = 2
    [settings]
    classify.stage.epochs = 5
    [settings.bce]
    "classify.stage.lr" = 0.25
    [grid.mulsupcon]
    pretrain.temperature = [0.1, 0.2]
    pretrain.queue = [64, 128]
    """
    plan = Plan.of_file(written(tmp_path, text), tmp_path / "out")
    assert len(plan.cells) == 2 * 2 * 2 * (1 + 4)
    assert (plan.protocol, plan.threads, plan.nested) == ("tuned", 2, True)
    assert [study.out.name for study in plan.studies] == [
        "yeast-10-percent",
        "yeast",
        "scene-10-percent",
        "scene",
    ]
    first = plan.studies[0]
    assert first.seeds == (3, 5)
    assert first.names == (
        "bce",
        *(f"mulsupcon[pretrain.temperature={t},pretrain.queue={q}]" for t in (0.1, 0.2) for q in (64, 128)),
    )
    assert first.cells[0].changed == {"classify.stage.epochs": 5, "classify.stage.lr": 0.25}
    assert first.cells[1].changed == {
        "classify.stage.epochs": 5,
        "pretrain.temperature": 0.1,
        "pretrain.queue": 64,
    }


def test_what_a_file_leaves_out_has_defaults(tmp_path: Path) -> None:
    plan = Plan.of_file(written(tmp_path, 'data = ["yeast"]\nmethods = ["bce"]'))
    assert plan.out == Path("runs") / "asked"
    assert (plan.seeds, plan.fraction, plan.protocol, plan.threads) == ((0, 1, 2), 1.0, "learnt", 1)


GOOD = 'data = ["yeast"]\nmethods = ["bce"]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data = [", r"expected a study in TOML, but got Invalid value"),
        ("x = " + "[" * 5000, r"expected a study in TOML, but got one that is nested too deeply"),
        ("#" * 2**20 + "\n", r"at most 1048576 bytes, but got a larger file"),
        ('methods = ["bce"]', r', data: expected a value, but got none\. Write it like data = \["yeast"\]'),
        (GOOD + "fraction = [0.5]", r", fraction: expected one of .*'fraction'\. Did you mean 'fractions'"),
        ('data = "yeast"\nmethods = ["bce"]', r", data: expected a valid list, but got 'yeast'"),
        (GOOD + 'seeds = "3"', r", seeds.*: expected a valid integer, but got '3'"),
        (GOOD + "seeds = 0", r", seeds: expected at least 1, but got 0"),
        (GOOD + "seeds = [-1]", r", seeds: expected seeds from 0 to .*, but got -1"),
        (GOOD + "fractions = [0.0]", r", fractions\.0: expected greater than 0, but got 0\.0"),
        (GOOD + "fractions = [nan]", r", fractions\.0: expected .*, but got nan"),
        (GOOD + 'protocol = "best"', r", protocol: expected 'learnt', .*, but got 'best'"),
        (GOOD + "threads = 0", r", threads: expected at least 1, but got 0"),
        (GOOD + 'track = ["paper"]', r", track: expected one of .*, but got 'paper'"),
        ('data = ["yeast"]\nmethods = ["bec"]', r", method: expected one of .*Did you mean 'bce'"),
        (GOOD + "[settings]\nclassify.epochs = 3", r", method bce: expected a setting .*'classify\.epochs'"),
        (GOOD + "[settings]\nbce = 3", r", settings, bce: expected a table of settings, but got 3"),
        (GOOD + "[grid]\nclassify.stage.lr = 0.1", r", grid, classify\.stage\.lr: expected a list of values"),
        (
            GOOD + f"[grid]\na = {list(range(400))}\nb = {list(range(400))}",
            r", grid: expected a grid of at most",
        ),
        (
            'data = ["a/x.csv", "b/x.csv"]\nmethods = ["bce"]',
            r", data: expected data sets of different names",
        ),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_its_name_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ManyLabelError, match=message) as refused:
        Plan.of_file(path)
    assert str(refused.value).startswith(str(path))
    assert "`" not in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManyLabelError, match=r"none\.toml: expected a study in TOML, but got No such file"):
        Plan.of_file(tmp_path / "none.toml")


def test_what_a_later_data_set_does_not_take_is_refused_before_the_first_trains(
    tiny_data: Path, tmp_path: Path
) -> None:
    text = f'data = ["{tiny_data}", "{tmp_path}/none.npz"]\nmethods = ["bce"]' + SMALL
    with pytest.raises(ManyLabelError, match=r"none\.npz"):
        run(Plan.of_file(written(tmp_path, text), tmp_path / "out"), Told())
    assert not (tmp_path / "out").exists()


def test_done_cells_are_kept_and_failed_ones_tried_again_on_request(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, block = write_rows(tmp_path / "other.npz", seed=1), tmp_path / "block"
    monkeypatch.setenv("MANYLABEL_TEST_FAILS", str(block))
    block.touch()
    text = f'data = ["{tiny_data}", "{other}"]\nmethods = ["bce", "{FAILS}"]\nseeds = 1\n'
    text += "[settings.bce]" + SMALL.removeprefix("\n[settings]")
    plan = dataclasses.replace(Plan.of_file(written(tmp_path, text), tmp_path / "out"), jobs=1)
    failed = run(plan, Told(), retry=False)
    assert [(failure.key.data, failure.key.method, failure.earlier) for failure in failed] == [
        (str(tiny_data), FAILS, False),
        (str(other), FAILS, False),
    ]
    record = StudyFolder(plan.out / "other").run_record(FAILS, 0)
    assert record is not None
    assert (record.status, record.by_input) == ("failed", True)
    assert "the file is there" in record.failure
    block.unlink()  # a second call would succeed, but does not try
    told = Told()
    again = run(plan, told, retry=False)
    assert [failure.earlier for failure in again] == [True, True]
    assert [failure.message for failure in again] == [failure.message for failure in failed]
    assert all(event.earlier for event in told.outcomes())
    told = Told()
    assert run(plan, told, retry=True) == []
    made = [(event.key.method, event.earlier) for event in told.outcomes() if isinstance(event, Finished)]
    assert made == [("bce", True), (FAILS, False)] * 2
    assert run(plan, Told(), retry=False) == []


def test_a_failure_with_other_settings_does_not_count(tiny_data: Path, tmp_path: Path) -> None:
    text = f'data = ["{tiny_data}"]\nmethods = ["bce", "logistic_regression"]\nseeds = 1\n[settings.bce]'
    too_large = text + '\n"vectors.encoder.widths" = [10_000_000, 10_000_000]'
    out = tmp_path / "out"
    failed = run(Plan.of_file(written(tmp_path, too_large), out, jobs=1), Told(), retry=False)
    assert [failure.key.method for failure in failed] == ["bce"]
    assert isinstance(failed[0], Failed)
    mended = Plan.of_file(written(tmp_path, text + SMALL.removeprefix("\n[settings]")), out, jobs=1)
    assert run(mended, Told(), retry=False) == []
