"""What reproductions show: entries beside published ones, orderings, curves, wins and losses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tests.reproduction.small_findings import findings, reproduction, write_run

from manylabel.reproduction.ablation import ablation
from manylabel.reproduction.compare_losses import compare_losses
from manylabel.reproduction.compare_published import compare_published, published_name
from manylabel.reproduction.experiment import Axis, Point
from manylabel.reproduction.sweep import sweep
from manylabel.reproduction.win_tie_loss import win_tie_loss
from manylabel.study.analysis.tables import Table
from manylabel.study.report.sections import Section


def rows(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def bold(table: Table) -> list[str]:
    return [cell.text for row in table.rows for cell in row if cell.best]


def test_entries_stand_beside_the_published_ones(tmp_path: Path) -> None:
    points = Point("mulsupcon", "mulsupcon"), Point("bce", "bce"), Point("best", "best")
    ours = {"example_f1": 0.660, "micro_f1": 0.658, "macro_f1": 0.4651, "hamming_accuracy": 0.780}
    for seed, change in enumerate((-0.001, 0.001)):
        write_run(tmp_path, "yeast", points[0], seed, {name: value + change for name, value in ours.items()})
        write_run(tmp_path, "yeast", points[2], seed, {"micro_f1": 0.667, "macro_f1": 0.49 + change})
    asked = reproduction(points, ("yeast",))
    oracle, tuned = compare_published("tables 2 and 3")(*findings(tmp_path, asked, "half the epochs"))
    assert [section.title for section in (oracle, tuned)] == ["oracle protocol", "tuned protocol"]
    assert (
        "3 of 4 entries are within 0.01 of the published figure; 3 are within it or above"
        in oracle.sentences[1]
    )
    entries, highest = oracle.tables
    assert entries.title == "yeast, oracle protocol, 2 seeds, half the epochs"
    assert rows(entries)[:4] == [
        ["mulsupcon", "example-F1", "0.660 ± 0.001", "0.659", "+0.001", "yes"],
        ["mulsupcon", "micro-F1", "0.658 ± 0.001", "0.667", "-0.009", "yes"],
        ["mulsupcon", "macro-F1", "0.465 ± 0.001", "0.475", "-0.010", "yes"],
        ["mulsupcon", "Hamming accuracy", "0.780 ± 0.001", "0.799", "-0.019", "no"],
    ]
    assert bold(entries) == ["0.660 ± 0.001"]
    assert rows(highest)[1:3] == [
        ["yeast", "micro-F1", "0.667 (MulSupCon)", "0.667 (best)", "+0.000", "0.667", "+0.000"],
        ["yeast", "macro-F1", "0.487 (C-GMVAE)", "0.490 (best)", "+0.003", "0.490", "+0.003"],
    ]


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("lamp", "LaMP"),
        ("paper-mulsupcon", "MulSupCon"),
        ("mulsupcon[pretrain.queue=0]", "MulSupCon"),
        ("bce", ""),
    ],
)
def test_recipes_are_compared_with_the_method_that_they_are_of(method: str, name: str) -> None:
    assert published_name(method) == name


def test_orderings_stand_beside_those_on_other_data(tmp_path: Path) -> None:
    points = Point("all", "ALL"), Point("any", "ANY"), Point("mulsupcon", "MulSupCon")
    for point, value in zip(points, (0.40, 0.30, 0.45), strict=True):
        for seed in (0, 1):
            write_run(tmp_path, "yeast", point, seed, {"map": value})
    reached, differences = compare_losses("table 5")(
        *findings(tmp_path, reproduction(points, ("yeast", "scene")))
    )
    assert rows(reached.tables[0])[0][:2] == ["ALL", "0.400 ± 0.000"]
    over_all, over_any = differences.tables
    assert over_all.title.startswith("MulSupCon less ALL")
    assert [row[:2] for row in rows(over_all)] == [
        ["yeast, ours", "+0.050"],
        ["MS-COCO, published", "+0.036"],
    ]
    assert [row[:2] for row in rows(over_any)] == [
        ["yeast, ours", "+0.150"],
        ["MS-COCO, published", "+0.108"],
    ]


def test_curves_are_drawn_through_the_means(tmp_path: Path) -> None:
    points = [Point(f"bce[x={x}]", "bce", x) for x in (10.0, 1.0, 100.0)]
    means = {1.0: 0.2, 10.0: 0.4, 100.0: 0.5}
    for point in points[:2]:
        for seed, change in enumerate((-0.1, 0.1)):
            write_run(tmp_path, "a", point, seed, {"macro_f1": means[point.x or 0] + change})
    asked = reproduction(points, ("a", "b"), axis=Axis("share", logarithmic=True, names={1.0: "least"}))
    pictured, numbers = sweep("macro_f1")(*findings(tmp_path, asked))
    figure = pictured.pictures["macro-f1"].figure
    axes = figure.axes[0]
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["a", "b"]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[1, 0.2], [10, 0.4]])
    low, high = axes.collections[0].get_datalim(axes.transData).intervaly
    assert (low, high) == pytest.approx((0.2 - 0.1 * 2**0.5, 0.4 + 0.1 * 2**0.5))
    assert axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["least", "10"]
    assert rows(numbers.tables[0])[0][:3] == ["bce", "least", "0.200 ± 0.141"]


def contest(tmp_path: Path, differences: list[float]) -> Section:
    points = Point("bce", "bce"), Point("mulsupcon", "mulsupcon")
    names = [f"set{i}" for i in range(len(differences))]
    for name, difference in zip(names, differences, strict=True):
        for seed, change in enumerate((-0.01, 0.01)):
            write_run(tmp_path, name, points[0], seed, {"macro_f1": 0.5 + change, "map": 0.6})
            write_run(tmp_path, name, points[1], seed, {"macro_f1": 0.5 + difference + change, "map": 0.6})
    (section,) = win_tie_loss(
        *findings(tmp_path, reproduction(points, (*names, "absent"), show=win_tie_loss))
    )
    return section


def test_a_contest_counts_sets_and_tests_their_differences(tmp_path: Path) -> None:
    differences = [0.03, 0.01, -0.02, 0.04, 0.0, 0.05, 0.06]
    section = contest(tmp_path, differences)
    p = stats.wilcoxon([d for d in differences if d]).pvalue
    assert section.sentences[0] == (
        "macro-F1: mulsupcon against bce over 7 data sets: 5 won, 1 tied, 1 lost; mean difference "
        f"{np.mean(differences):+.4f}; two-sided Wilcoxon signed-rank p = {p:.3g}."
    )
    assert (
        "0 won, 7 tied, 0 lost; mean difference +0.0000; two-sided Wilcoxon signed-rank p = 1."
        in section.sentences[1]
    )
    assert rows(section.tables[0])[2][:4] == ["set2", "0.500 ± 0.014", "0.480 ± 0.014", "-0.020"]
    (picture,) = section.pictures.values()
    axes = picture.figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()][-1] == "set6"
    assert axes.get_xlabel() == "macro-F1"


def test_a_contest_over_few_sets_says_so(tmp_path: Path) -> None:
    assert "(too few sets for any significance)" in contest(tmp_path, [0.1, 0.2]).sentences[0]


def test_parts_are_shown_by_what_they_are_worth(tmp_path: Path) -> None:
    points = [Point("best", "best"), Point("mulsupcon", "without neighbours"), Point("bce", "absent")]
    for seed, change in enumerate((-0.01, 0.01)):
        write_run(tmp_path, "yeast", points[0], seed, {"macro_f1": 0.48 + change, "map": 0.6})
        write_run(tmp_path, "yeast", points[1], seed, {"macro_f1": 0.47 + change, "map": 0.62})
    write_run(tmp_path, "scene", points[1], 0, {"macro_f1": 0.7})  # nothing to compare with
    first, second = ablation(*findings(tmp_path, reproduction(points, ("yeast", "scene"), show=ablation)))
    assert ("oracle" in first.title, "tuned" in second.title) == (True, True)
    (table,) = second.tables
    assert rows(table) == [
        ["best", "0.500 ± 0.000", "0.500 ± 0.000", "0.480 ± 0.014", "0.500 ± 0.000", "0.600 ± 0.000"],
        ["without neighbours", "+0.000", "+0.000", "-0.010", "+0.000", "+0.020"],
    ]
    assert [cell.best for cell in table.rows[1]] == [False] * 5 + [True]
