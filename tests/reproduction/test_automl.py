"""The AutoML study of 2025: random splits as cells, means over them beside the published best."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.reproduction.small_findings import findings, reproduction, write_run
from tests.study.small_study import Told

from manylabel import data
from manylabel.reproduction import Request, catalogue, write
from manylabel.reproduction.compare_automl import compare_automl
from manylabel.reproduction.experiment import Point
from manylabel.study import runner


def test_the_seeds_are_the_first_primes() -> None:
    seeds = catalogue.get("automl-2025").seeds
    assert len(seeds) == 20
    assert list(seeds) == [n for n in range(2, 72) if all(n % d for d in range(2, n))]


def test_every_seed_draws_its_own_test_rows(tiny_data: Path, tmp_path: Path) -> None:
    settings = {"sets": (str(tiny_data),), "methods": ("k_neighbours",), "seeds": (3, 5), "jobs": 1}
    asked = Request("automl-2025", tmp_path, **settings)  # type: ignore[arg-type]
    plan = asked.plan
    assert [study.out.name for study in plan.studies] == ["tiny-split-3", "tiny-split-5"]
    assert runner.run(plan, Told()) == []
    for study in plan.studies:
        (run,) = study.folder.finished_runs()
        drawn = data.random_split(data.load(tiny_data), run.seed)
        assert (study.folder.test_labels().dense() == drawn.test.Y.dense()).all()
    told = Told()
    assert runner.run(asked.plan, told) == []
    assert all(event.earlier for event in told.outcomes())  # type: ignore[union-attr]
    text = write(asked).path.read_text()
    assert "Scientific Reports 15 (2025)" in text
    assert "- fixed: every threshold is 0.5." in text
    assert "not finished" not in text


def test_means_stand_beside_the_best_tool(tmp_path: Path) -> None:
    points = Point("best", "best"), Point("bce", "bce")
    for seed, change in enumerate((-0.01, 0.01)):
        write_run(tmp_path, "scene", points[0], seed, {"micro_f1": 0.80 + change, "macro_f1": 0.81 + change})
        write_run(tmp_path, "scene", points[1], seed, {"micro_f1": 0.79 + change, "macro_f1": 0.79 + change})
        write_run(tmp_path, "own", points[0], seed, {"micro_f1": 0.6})
    sections = compare_automl(*findings(tmp_path, reproduction(points, ("scene", "own"))))
    assert [section.title for section in sections] == ["tuned protocol", "fixed protocol"]
    assert sections[0].sentences[1].startswith("2 of 4 means are at or above")
    rows = [[cell.text for cell in row] for row in sections[0].tables[0].rows]
    assert rows[:2] == [
        ["scene", "micro-F1", "best", "0.800 ± 0.014", "0.794", "+0.006"],
        ["scene", "micro-F1", "bce", "0.790 ± 0.014", "0.794", "-0.004"],
    ]
    assert rows[4] == ["own", "micro-F1", "best", "0.600 ± 0.000", "-", ""]


@pytest.mark.parametrize(("data_set", "micro", "macro"), [("scene", 0.794, 0.801), ("yeast", 0.632, 0.453)])
def test_the_published_best_are_those_of_the_study(data_set: str, micro: float, macro: float) -> None:
    from manylabel.reproduction import published

    assert published.figures("automl 2025")[data_set]["best tool"] == {"micro_f1": micro, "macro_f1": macro}
