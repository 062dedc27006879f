"""Where contrast pays: pairs at equal budget, what they are compared on, the tests, and the page of a small study."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.reproduction.small_findings import findings, reproduction, write_run
from tests.study.small_study import Told, write_rows

from manylabel import methods
from manylabel.errors import ManyLabelError
from manylabel.reproduction import Request, catalogue, write
from manylabel.reproduction.experiment import Axis, Place, Point, Reproduction
from manylabel.reproduction.regimes import pairs, regimes_of
from manylabel.reproduction.scaling import fitted
from manylabel.reproduction.where_contrast_pays import where_contrast_pays
from manylabel.reproduction.without_contrast import PRETRAINING_COST, without_contrast
from manylabel.study import runner
from manylabel.study.analysis.results import Results
from manylabel.study.variants import Variant

LINES = ("mulsupcon", "mulsupcon without contrast")
NAMES = ("mulsupcon", "bce")
GAINS = {"a": 0.03, "b": 0.01, "c": 0.02, "d": 0.04, "e": 0.05, "f": 0.06, "g": 0.015}


def recipe_of(variant: str, kind: str = "vectors") -> methods.recipe.AnySettings:
    parsed = Variant.parse(variant)
    return methods.get(parsed.method, **parsed.settings).recipe.own_settings[kind]


@pytest.mark.parametrize(
    "method", ["mulsupcon", "reg", "mulsupcon[pretrain.stage.epochs=8,encoder.dropout=0.5]"]
)
def test_without_contrast_all_but_the_term_stays_and_the_time(method: str) -> None:
    for kind in ("vectors", "images"):
        ours, theirs = recipe_of(method, kind), recipe_of(without_contrast(method), kind)
        assert theirs.family == "logit"
        assert theirs.encoder == ours.encoder  # type: ignore[attr-defined]
        one, other = ours.classify, theirs.classify  # type: ignore[attr-defined]
        assert (other.views, other.loss) == (one.views, one.loss)
        epochs = one.stage.epochs + round(PRETRAINING_COST * ours.pretrain.stage.epochs)  # type: ignore[attr-defined]
        assert other.stage.epochs == pytest.approx(epochs, rel=0.1)
        assert other.stage == one.stage.model_copy(update={"epochs": other.stage.epochs})


def test_neighbours_stay_and_joint_training_keeps_its_epochs() -> None:
    method = "joint_mulsupcon[neighbours.weight=0.3,neighbours.k=7]"
    ours, theirs = recipe_of(method), recipe_of(without_contrast(method))
    assert theirs.neighbours == ours.neighbours
    assert theirs.classify.stage.epochs == ours.classify.stage.epochs  # type: ignore[attr-defined]


def test_beside_a_frozen_encoder_the_network_is_trained_as_long() -> None:
    assert without_contrast("mulsupcon[classify.encoder_rate=0]") == without_contrast("mulsupcon")


@pytest.mark.parametrize("method", ["bce", "cgmvae", "extra_trees"])
def test_a_method_without_a_pair_is_refused(method: str) -> None:
    with pytest.raises(ManyLabelError, match="`methods`: expected methods"):
        without_contrast(method)


def test_what_the_other_half_names_is_scaled_like_a_recipe() -> None:
    half = without_contrast("mulsupcon[classify.stage.epochs=100,pretrain.stage.epochs=20]")
    assert half == "bce[classify.stage.epochs=130]"
    assert "vectors.classify.stage.epochs" not in fitted(half, 1.0, 0.5, 1000)
    settings = fitted(half, 1.0, 0.5, 1000, scales_variants=True)
    assert settings["vectors.classify.stage.epochs"] == 260
    parsed = Variant.parse(half)
    changed = methods.get(parsed.method, **parsed.settings, **settings).recipe
    assert changed.resolve("vectors").classify.stage.epochs == 260  # type: ignore[attr-defined]


def test_a_stage_whose_epochs_a_variant_names_is_scaled_as_a_whole() -> None:
    half = without_contrast("mulsupcon")
    parsed = Variant.parse(half)
    settings = fitted(half, 0.1, 1.0, 1000, scales_variants=True)
    assert not settings.keys() & parsed.settings.keys()
    ours, scaled = (
        methods.get(parsed.method, **parsed.settings, **changed).recipe.resolve("vectors").classify.stage  # type: ignore[attr-defined]
        for changed in ({}, settings)
    )
    ema = pytest.approx(ours.ema ** (1 / 0.1))
    assert scaled == ours.model_copy(update={"epochs": round(0.1 * ours.epochs), "ema": ema})


def test_the_other_half_of_a_stack_trains_the_classifier_alone_and_names_a_folder() -> None:
    half = without_contrast("best")
    assert str(Variant.parse(half)) == half
    learner = {kind: recipe_of(half, kind).learners["network"] for kind in ("vectors", "images", "text")}  # type: ignore[attr-defined]
    assert {network.method for network in learner.values()} == {"bce"}
    of_rows, of_texts = (learner[kind].settings for kind in ("vectors", "text"))
    epochs = recipe_of(without_contrast("mulsupcon")).classify.stage.epochs  # type: ignore[attr-defined]
    assert of_rows == {"inputs": {"scaling": "rank_normal"}, "classify": {"stage": {"epochs": epochs}}}
    assert of_texts == {"inputs": {"scaling": "lsa"}, "classify": {"stage": {"epochs": epochs}}}
    assert learner["images"].settings["neighbours"]["among"] == "representation"


def points() -> list[Point]:
    parts = [(1.0, 0.0), (0.1, 0.0), (1.0, 0.3)]
    return [
        Point(name, line, 100 * fraction if not wrong else None, fraction, wrong)
        for name, line in zip(NAMES, LINES, strict=True)
        for fraction, wrong in parts
    ]


def small(folder: Path, gains: dict[str, float] = GAINS) -> tuple[Reproduction, Results[Place]]:
    """With contrast every value is higher by the gain of the data set, on a tenth of the rows lower by as much."""
    for i, (data, gain) in enumerate(gains.items()):
        for point in points():
            for seed, change in enumerate((-0.002, 0.002)):
                by = 0.0 if point.line == LINES[1] else gain + change
                by = -by if point.fraction < 1 else by
                measures = {
                    "rare labels: map": 0.3 + by,
                    "unseen label sets: example_f1": None if data == "a" else 0.3 + by,
                    "retrieval: map": 0.7 + by,
                }
                values = {"map": 0.5 + by, "macro_f1": 0.4 + by / 2, "micro_f1": 0.6}
                write_run(folder, data, point, seed, values, measures, n_labels=(5, 50, 500)[i % 3])
    axis = Axis("share", logarithmic=True)
    return findings(folder, reproduction(points(), [*gains, "absent"], axis=axis, show=where_contrast_pays))


def test_regimes_compare_both_halves_seed_by_seed(tmp_path: Path) -> None:
    asked, found = small(tmp_path)
    assert pairs(asked) == ("mulsupcon",)
    rows = regimes_of(asked, found, "mulsupcon")
    by_name = {(row.regime.name, row.regime.metric): row for row in rows}
    whole = by_name["all rows, labels as they are", "mAP"]
    np.testing.assert_allclose(whole.regime.values["b"], [(0.508, 0.5), (0.512, 0.5)])
    differences = [gain + change for gain in GAINS.values() for change in (-0.002, 0.002)]
    assert whole.regime.over_seeds.p_value == pytest.approx(stats.wilcoxon(differences).pvalue)
    assert whole.regime.over_sets.p_value == pytest.approx(stats.wilcoxon(list(GAINS.values())).pvalue)
    assert whole.regime.over_sets.mean == pytest.approx(np.mean(list(GAINS.values())))
    assert whole.over_seeds >= whole.regime.over_seeds.p_value
    assert [row.over_seeds for row in rows].count(1.0) > 0  # micro-F1 is the same in both halves
    tenth = by_name["10 % of the training rows", "mAP"]
    assert (whole.sign, tenth.sign, by_name["all rows, labels as they are", "micro-F1"].sign) == (1, -1, 0)
    assert by_name["30 % wrong labels", "macro-F1"].regime.over_sets.mean > 0
    assert len(by_name["unseen label sets", "example-F1"].regime.values) == 6
    assert set(by_name["20 to 99 labels", "mAP"].regime.values) == {"b", "e"}
    assert ("medium labels", "mAP") not in by_name  # measured nowhere
    assert by_name["neighbours in the embedding", "mAP of neighbours"].sign == 1


def test_the_page_says_what_to_take_and_shows_every_regime(tmp_path: Path) -> None:
    short, numbers, curves = where_contrast_pays(*small(tmp_path))
    assert (
        "over 7 data sets: it wins significantly in all rows, labels as they are (mAP)" in short.sentences[0]
    )
    assert "it loses significantly in 10 % of the training rows (mAP)" in short.sentences[0]
    assert "Too few" not in short.sentences[0]
    verdicts = {row[0].text: row[1].text for row in short.tables[0].rows}
    assert verdicts["rare labels"] == "with contrast"
    assert verdicts["10 % of the training rows"] == "without"
    assert verdicts["fewer than 20 labels"] == "either, none is shown to be better"
    shares = next(table for table in numbers.tables if "by share" in table.title)
    assert [cell.text for cell in shares.rows[0][:6]] == [
        *("10 % of the training rows", "mAP", "0.500", "0.468", "-0.032"),
        "0 / 0 / 7",
    ]
    assert shares.rows[0][4].best
    by_labels = numbers.tables[-1]
    assert [row[0].text for row in by_labels.rows] == ["a", "d", "g", "b", "e", "c", "f"]
    assert by_labels.rows[0][2].text == "+0.030 ± 0.003"
    (dots,) = numbers.pictures.values()
    axes = dots.figure.axes[0]
    texts = [label.get_text() for label in axes.get_yticklabels()]
    assert {"rare labels, mAP", "label frequency", "30 % wrong labels, macro-F1"} <= set(texts)
    first = axes.lines[0].get_xdata()
    np.testing.assert_allclose(first, list(GAINS.values()), atol=1e-9)
    assert set(curves.pictures) == {
        f"{m}-by-{x}" for m in ("map", "macro-f1") for x in ("share", "wrong-labels")
    }
    panel = curves.pictures["map-by-wrong-labels"].figure.axes[0]
    np.testing.assert_allclose(panel.lines[0].get_xydata(), [[0, 0.53], [30, 0.53]])


def test_few_data_sets_show_nothing_and_say_so(tmp_path: Path) -> None:
    short, *_ = where_contrast_pays(*small(tmp_path, {"a": 0.2, "b": 0.3}))
    assert "wins significantly nowhere" in short.sentences[0]
    assert short.sentences[0].endswith("Too few for any significance.")
    asked, found = findings(tmp_path, reproduction(points(), ("none",)))
    assert where_contrast_pays(asked, found)[0].sentences == ("No pair has runs of both halves yet.",)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("pays") / "tiny.npz", n_train=90)


def test_a_small_study_is_carried_out_and_taken_up(rows: Path, tmp_path: Path) -> None:
    settings = {"sets": (str(rows),), "methods": ("mulsupcon",), "seeds": (0,), "at": (0.05, 0.3), "jobs": 1}
    asked = Request("where-contrast-pays", tmp_path, epochs_scale=0.01, **settings)  # type: ignore[arg-type]
    plan = asked.plan
    assert [study.out.name for study in plan.studies] == [
        *("tiny-30-percent", "tiny", "tiny-10-percent-wrong", "tiny-30-percent-wrong")
    ]  # a twentieth of 90 rows is too few
    half = dataclasses.replace(plan, cells=plan.cells[:3])
    assert runner.run(half, Told()) == []
    told = Told()
    assert runner.run(plan, told) == []
    assert [event.earlier for event in told.outcomes()] == [True] * 3 + [False] * 5  # type: ignore[union-attr]
    page = write(asked)
    text = page.path.read_text()
    assert "not finished" not in text
    assert "Too few for any significance" in text
    assert "| 30 % wrong labels | mAP |" in text
    lines = list(csv.DictReader((page.path.parent / "values.csv").read_text().splitlines()))
    wrong = {line["wrong_labels"] for line in lines}
    assert wrong == {"0.0", "0.1", "0.3"}
    assert "retrieval: precision_at_10" in {line["metric"] for line in lines}


def test_shares_are_what_the_axis_takes() -> None:
    asked = catalogue.get("where-contrast-pays", catalogue.Asked(("reg",), (0.2,)))
    assert [(p.method, p.fraction, p.wrong_labels) for p in asked.points] == [
        (half, *part)
        for half in ("reg", without_contrast("reg"))
        for part in ((0.2, 0.0), (1.0, 0.0), (1.0, 0.1), (1.0, 0.3))
    ]
    with pytest.raises(ManyLabelError, match="`at`: expected shares of the training rows"):
        catalogue.get("where-contrast-pays", catalogue.Asked(at=(2.0,)))
