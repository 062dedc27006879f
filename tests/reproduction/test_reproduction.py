"""Reproductions: what they ask for, what they cost, how they are carried out, taken up and written down."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import statistics
from pathlib import Path

import pytest
from rich.console import Console
from tests.reproduction.small_findings import findings, reproduction, write_run

from manylabel import data, methods
from manylabel.cli import commandline
from manylabel.errors import ManyLabelError
from manylabel.methods.stacking.settings import dotted
from manylabel.reproduction import Request, catalogue, published, runtime, write
from manylabel.reproduction.experiment import Point
from manylabel.reproduction.scaling import fitted
from manylabel.reproduction.without_contrast import without_contrast
from manylabel.study import StudyFolder, runner
from manylabel.study.executors.base import Failed
from manylabel.study.progress import Display
from manylabel.study.variants import Variant

BASE = (
    "vectors.classify.stage.epochs",
    "vectors.classify.stage.batch",
    "vectors.classify.stage.monitor_every",
)


def test_a_scaled_training_has_a_share_of_the_epochs() -> None:
    settings = fitted("mulsupcon", 0.1, 1.0, 1500)
    recipe = methods.get("mulsupcon", **settings).recipe
    stages = [recipe.resolve("vectors").pretrain.stage, recipe.resolve("vectors").classify.stage]  # type: ignore[attr-defined]
    assert [stage.epochs for stage in stages] == [1, 5]
    assert [stage.batch for stage in stages] == [64, 64]
    assert stages[1].ema == pytest.approx(0.99**10)


def test_epochs_of_the_learners_of_a_stack_are_scaled() -> None:
    settings = fitted("best", 0.2, 1.0, 1500)
    usual = methods.get("mulsupcon").recipe.resolve("vectors")
    stack = methods.get("best", **settings).recipe
    network = stack.resolve("vectors").learners["network"]  # type: ignore[attr-defined]
    learner = methods.get(network.method, **dict(dotted(network.settings))).recipe.resolve("vectors")
    for stage in ("pretrain", "classify"):
        ours, theirs = (getattr(own, stage).stage for own in (learner, usual))
        assert ours.epochs == max(1, round(0.2 * theirs.epochs)) < theirs.epochs
        assert ours.batch == theirs.batch
    assert network.settings["inputs"] == {"scaling": "rank_normal"}  # nothing else is changed
    rival = network.rivals["without_contrast"]
    plain = methods.get("bce").recipe.resolve("vectors").classify.stage  # type: ignore[attr-defined]
    assert rival.settings["classify"]["stage"]["epochs"] == round(0.2 * plain.epochs)
    epochs = {name: value for name, value in settings.items() if name.endswith("pretrain.stage.epochs")}
    assert {name.partition(".")[0] for name in epochs} >= {"vectors", "text"}
    assert fitted("best", 1.0, 1.0, 1500) == {}
    assert fitted("best", 1.0, 0.1, 1500) == {}  # folds of a share are trained on like folds of all rows


def test_settings_of_learners_that_a_variant_names_are_not_scaled() -> None:
    name = "learners.network.settings.pretrain.stage.epochs"
    settings = fitted(f"best[{name}=7]", 0.2, 1.0, 1500)
    assert not [each for each in settings if each.endswith(name)]
    assert [each for each in settings if each.endswith("network.settings.classify.stage.epochs")]
    half = without_contrast("best")
    ours = fitted(half, 0.1, 1.0, 1000, scales_variants=True)
    parsed = Variant.parse(half)
    stack = methods.get(parsed.method, **{**parsed.settings, **ours}).recipe.resolve("vectors")
    before = methods.get(parsed.method, **parsed.settings).recipe.resolve("vectors")
    epochs = [own.learners["network"].settings["classify"]["stage"]["epochs"] for own in (stack, before)]  # type: ignore[attr-defined]
    assert epochs[0] == round(0.1 * epochs[1])


def test_a_share_of_the_rows_gets_a_batch_that_it_holds_and_the_steps_of_all_rows() -> None:
    old, new = (
        [settings.get(name) for name in BASE] for settings in (_recipe(), fitted("bce", 1.0, 0.02, 1500))
    )
    assert old == [75, 64, None]
    assert new == [round(75 * 50 * 16 / 64), 16, None]
    assert fitted("bce", 1.0, 0.5, 1500) == {
        name: value
        for kind in ("vectors", "images")
        for name, value in {
            f"{kind}.classify.stage.epochs": 150 if kind == "vectors" else 70,
            f"{kind}.classify.stage.monitor_every": 4 if kind == "images" else None,
        }.items()
        if value is not None
    }
    assert fitted("bce", 1.0, 1.0, 1500) == {}


def _recipe() -> dict[str, int]:
    stage = methods.get("bce").recipe.resolve("vectors").classify.stage  # type: ignore[attr-defined]
    return dict(zip(BASE, (stage.epochs, stage.batch, stage.monitor_every), strict=True))


def test_what_a_variant_names_is_not_scaled() -> None:
    settings = fitted("mulsupcon[pretrain.stage.epochs=7,vectors.classify.stage.epochs=9]", 0.1, 1.0, 1500)
    epochs = {name: value for name, value in settings.items() if name.endswith("epochs")}
    assert epochs == {"images.classify.stage.epochs": 2}


@pytest.mark.parametrize("name", catalogue.ITEMS)
def test_every_reproduction_has_points_that_differ_and_a_cost(name: str) -> None:
    asked = catalogue.get(name)
    assert asked.name == name
    parts = [(point.fraction, point.wrong_labels) for point in asked.points]
    drawn = zip(asked.points, parts, strict=True)
    assert len({(point.method, part) for point, part in drawn}) == len(asked.points)
    places = {(point.line, point.x, point.wrong_labels) for point in asked.points}
    assert len(places) == len(asked.points)
    assert (asked.axis is None) == all(point.x is None for point in asked.points)
    assert runtime.hours(asked) > 0
    assert name in {row[0] for row in runtime.rows()}


@pytest.mark.parametrize("name", catalogue.ITEMS)
def test_a_plan_has_as_many_cells_as_the_list_says(name: str, tiny_data: Path, tmp_path: Path) -> None:
    asked, plan = catalogue.get(name), Request(name, tmp_path, sets=(str(tiny_data),)).plan
    assert len({cell.key for cell in plan.cells}) == len(plan.cells)
    held = [point for point in asked.points if point.fraction * 120 >= asked.fewest_rows]
    assert len(plan.cells) == len(held) * len(asked.seeds)
    assert runtime.runs(asked) == len(asked.points) * len(asked.seeds) * len(asked.sets)
    assert plan.weights.keys() == {cell.key for cell in plan.cells}
    assert len({study.out for study in plan.studies}) == len(plan.studies)


def test_points_of_curves_are_trainings_that_differ_in_the_axis_alone() -> None:
    asked = catalogue.get(
        "ablation-temperature", catalogue.Asked(("mulsupcon[pretrain.queue=0]",), (0.2, 1.0))
    )
    assert [point.method for point in asked.points] == [
        "mulsupcon[pretrain.queue=0,pretrain.temperature=0.2]",
        "mulsupcon[pretrain.queue=0,pretrain.temperature=1]",
    ]
    lengths = catalogue.get("training-length", catalogue.Asked(("bce", "mulsupcon"), (20.0,)))
    assert [point.method for point in lengths.points] == [
        "bce[classify.stage.epochs=20,classify.stage.ema=null]",
        "mulsupcon[pretrain.stage.epochs=20,classify.encoder_rate=0]",
    ]
    for point in lengths.points:
        methods.get(point.method.partition("[")[0])


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("win-tie-los", catalogue.Asked(), "Did you mean 'win-tie-loss'?"),
        ("mulsupcon-table-5", catalogue.Asked(methods=("bce",)), "`methods`: expected none"),
        ("win-tie-loss", catalogue.Asked(at=(0.1,)), "`at`: expected none"),
        (
            "win-tie-loss",
            catalogue.Asked(methods=("bce",)),
            "`methods`: expected a method to set against bce",
        ),
    ],
)
def test_what_a_reproduction_does_not_take_is_refused(
    name: str, asked: catalogue.Asked, message: str
) -> None:
    with pytest.raises(ManyLabelError, match=message):
        catalogue.get(name, asked)


def test_published_figures_are_those_of_the_paper(shared_data: Path) -> None:
    file = shared_data.parent / "spec" / "results.json"
    if not file.exists():
        pytest.skip("no table of published results beside the data sets")
    metric = {"mAP": "map", "HA": "hamming_accuracy", "precision@1": "precision_at_1"}
    metric |= {f"{kind}-F1": f"{kind}_f1" for kind in ("example", "macro", "micro")}
    table = {
        "Table 2": "tables 2 and 3",
        "Table 3": "tables 2 and 3",
        "Table 5": "table 5",
        "Table 8": "table 8",
    }
    names = {"MulSupCon weighted (eq. 6)": "with 1/|y| (eq. 6)", "MulSupCon (eq. 4)": "without (eq. 4)"}
    compared = 0
    for row in json.loads(file.read_text())["rows"]:
        if row["paper"].startswith("MulSupCon") and row["table"] in table:
            of_set = published.figures(table[row["table"]]).get(row["dataset"], {})
            method = names.get(row["method"], row["method"])
            if of_set and row["value"] is not None:
                assert of_set[method][metric[row["metric"]]] == row["value"], row
                compared += 1
    stored = [
        value
        for name in set(table.values())
        for of_set in published.figures(name).values()
        for values in of_set.values()
        for value in values.values()
    ]
    assert compared == len(stored) == 24 + 24 + 20 + 18 + 36


def request(tiny_data: Path, out: Path, **changes: object) -> Request:
    asked = {
        "name": "mulsupcon-table-2-3",
        "sets": (str(tiny_data),),
        "methods": ("bce", "asl"),
        "seeds": (0,),
        "epochs_scale": 0.02,
        "jobs": 1,
    }
    return Request(out=out, **(asked | changes))  # type: ignore[arg-type]


def carry_out(asked: Request, console: Console | None = None) -> list[Failed]:
    """Run the cells of a reproduction as the command does."""
    plan = asked.plan
    with Display(console or Console(file=io.StringIO()), plan.weights, plan.protocol) as display:
        return runner.run(plan, display)


def test_a_reproduction_is_carried_out_taken_up_and_written_down(tiny_data: Path, tmp_path: Path) -> None:
    asked, log = request(tiny_data, tmp_path), io.StringIO()
    console = Console(file=log, width=200)
    assert carry_out(asked, console) == []
    assert re.search(r"study 1 of 1: tiny \(\d+\.\d s so far\)", log.getvalue())
    page = write(asked, commandline.reproduce)
    text = page.path.read_text()
    assert page.path == tmp_path / "mulsupcon-table-2-3-epochs-x0.02" / "README.md"
    assert text.startswith("# mulsupcon-table-2-3, 1 seed, 0.02 x the epochs of the recipes\n")
    repeat = f"--methods bce,asl --seeds 1 --epochs-scale 0.02 --out {tmp_path}\n"
    assert f"```sh\nmanylabel reproduce mulsupcon-table-2-3 --sets {tiny_data} {repeat}```" in text
    runs = StudyFolder(page.path.parent / "tiny").finished_runs()
    assert [run.method for run in runs] == ["bce", "asl"]
    oracle = runs[0].evaluations["oracle"]["values"]
    assert f"| bce | macro-F1 | {oracle['macro_f1']:.3f} | - |" in text
    values = list(csv.DictReader((page.path.parent / "values.csv").read_text().splitlines()))
    found = {(row["method"], row["protocol"], row["metric"]): float(row["value"]) for row in values}
    assert found["bce", "oracle", "macro_f1"] == oracle["macro_f1"]
    assert {row["budget"] for row in values} == {"0.02 x the epochs of the recipes"}

    log.truncate(0)
    more = request(tiny_data, tmp_path, seeds=(0, 1))
    assert carry_out(more, console) == []
    assert log.getvalue().count("by an earlier call") == 2
    assert len(StudyFolder(page.path.parent / "tiny").finished_runs()) == 4


def test_trainings_on_a_share_take_the_steps_of_all_rows(tiny_data: Path, tmp_path: Path) -> None:
    """Counted in what the runs recorded: epochs, batches and rows of a quarter beside those of all 120 rows."""
    asked = request(tiny_data, tmp_path, methods=("bce",), epochs_scale=0.1, at=(0.25, 1.0), name="low-data")
    assert carry_out(asked) == []
    steps = {}
    for study in asked.plan.studies:
        (run,) = study.folder.finished_runs()
        recipe = run.recipe["classify"]["stage"]
        seen = 120 * run.fraction * 0.9  # a tenth are validation rows
        assert recipe["batch"] <= seen
        steps[run.fraction] = run.monitor["train"]["epochs"] * math.ceil(seen / recipe["batch"])
        assert run.monitor["train"]["epochs"] == recipe["epochs"]
    assert steps[0.25] == pytest.approx(steps[1.0], rel=0.35)


def test_values_and_tables_are_those_of_the_runs(tiny_data: Path, tmp_path: Path) -> None:
    asked = request(tiny_data, tmp_path, seeds=(0, 1))
    assert carry_out(asked) == []
    (study,) = asked.plan.studies
    runs = [run for run in study.folder.finished_runs() if run.method == "asl"]
    values = [run.evaluations["tuned"]["values"]["micro_f1"] for run in runs]
    mean, spread = statistics.mean(values), statistics.stdev(values)
    page = write(asked)
    assert f"| asl | micro-F1 | {mean:.3f} ± {spread:.3f} | - |" in page.path.read_text()
    lines = list(csv.DictReader((page.path.parent / "values.csv").read_text().splitlines()))
    kept = {(line["method"], line["seed"], line["protocol"], line["metric"]): line["value"] for line in lines}
    assert [float(kept["asl", str(run.seed), "tuned", "micro_f1"]) for run in runs] == values
    assert len(lines) == 4 * 4 * len(runs[0].evaluations["tuned"]["values"])


def test_runs_that_are_not_there_are_told(tiny_data: Path, tmp_path: Path) -> None:
    asked = request(tiny_data, tmp_path)
    with pytest.raises(ManyLabelError, match="expected finished runs, but got none"):
        write(asked)
    assert carry_out(asked) == []
    page = write(request(tiny_data, tmp_path, methods=("bce", "asl", "zlpr")))
    assert "**1 run is not finished and not part of this page" in page.path.read_text()


def test_input_that_cannot_be_used_is_refused_before_anything_is_trained(
    tiny_data: Path, tmp_path: Path
) -> None:
    for changes, message in (
        ({"methods": ("bce", "no_such_method")}, "'no_such_method'"),
        ({"sets": (str(tiny_data), "no_such_set")}, "'no_such_set'"),
    ):
        with pytest.raises(ManyLabelError, match=message):
            carry_out(request(tiny_data, tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()
    with pytest.raises(ManyLabelError, match="`epochs_scale`: expected a number above 0"):
        request(tiny_data, tmp_path, epochs_scale=0.0)


def test_rows_held_out_of_the_training_part_stand_in_for_test_rows(tiny_data: Path, tmp_path: Path) -> None:
    plan = request(tiny_data, tmp_path, name="ablation-losses", methods=None).plan
    (path,) = {cell.data for cell in plan.cells}
    made, whole = data.load(Path(path)), data.load(tiny_data)
    parts = [rows for part in (made.train, made.test) for rows in _rows(part)]
    assert sorted(parts) == sorted(_rows(whole.train))
    assert len(made.test) == round(len(whole.train) / 4)
    assert not set(parts) & set(_rows(whole.test))
    assert made.label_names == whole.label_names
    assert [study.data for study in plan.studies] == [path]


def _rows(rows: data.Rows) -> list[tuple[float, ...]]:
    return [(*map(float, x), *y) for x, y in zip(rows.X.values, rows.Y.dense().tolist(), strict=True)]


def test_pictures_are_not_held_out(tiny_data: Path, tmp_path: Path) -> None:
    with pytest.raises(ManyLabelError, match="data set digits: expected dense vectors, but got images"):
        _ = request(tiny_data, tmp_path, name="ablation-losses", methods=None, sets=("digits",)).plan


def test_findings_are_means_over_the_seeds_that_are_there(tmp_path: Path) -> None:
    points = Point("bce", "bce"), Point("asl", "asl")
    for seed, value in enumerate((0.4, 0.6)):
        write_run(tmp_path, "a", points[0], seed, {"map": value})
    _, found = findings(tmp_path, reproduction(points, ("a", "b")))
    summary = found.summary(("a", points[0]), "map", "tuned")
    assert (summary.mean, summary.n) == (0.5, 2)
    assert found.summary(("b", points[0]), "map", "tuned").n == 0
    assert found.seconds(*(("a", point) for point in points)).mean == 90
    assert (len(found.missing), found.is_empty) == (6, False)


def test_a_contest_is_against_bce_or_the_variant_of_it_that_is_named() -> None:
    def lines(*named: str) -> tuple[str, ...]:
        return catalogue.get("win-tie-loss", catalogue.Asked(methods=named)).lines

    assert lines("reg") == ("bce", "reg")
    assert lines("reg", "bce") == ("bce", "reg")
    assert lines("bce[neighbours.weight=0.4]", "best") == ("bce[neighbours.weight=0.4]", "best")
    with pytest.raises(ManyLabelError, match="a method to set against bce"):
        lines("bce")
