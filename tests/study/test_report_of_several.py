"""The report of a study of several data sets: ranks, tests and pictures, in every format, whatever the names hold."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.study.small_study import TINY, TINY_PRETRAINING, Told, write_rows
from tests.study.test_report import Page, WellFormed
from tests.test_cli import call

from manylabel.errors import ManyLabelError
from manylabel.study import Plan, Report, run, write_report
from manylabel.study.analysis.comparison import Comparison, read_comparisons
from manylabel.study.analysis.figures.over_sets import Cost, Gains, pareto

ODD = "=1+1 <i>&amp; $x_2$ \\input{y}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three data sets, three methods, two fractions, two seeds, one name of each kind of trouble; not to be changed."""
    out = tmp_path_factory.mktemp("several")
    names = ["one", "two", ODD.replace("\\", "")]
    for seed, name in enumerate(names):
        write_rows(out / f"{name}.npz", seed=seed)
    (out / "=odd$_.toml").write_text('like = "bce"')
    asked = {
        "data": [str(out / f"{name}.npz") for name in names],
        "methods": ["k_neighbours", str(out / "=odd$_.toml"), "mulsupcon"],
        "seeds": 2,
        "fractions": [1.0, 0.5],
    }
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in asked.items())
    for method, settings in ((str(out / "=odd$_.toml"), TINY), ("mulsupcon", TINY | TINY_PRETRAINING)):
        text += f"[settings.{json.dumps(method)}]\n"
        text += "".join(f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in settings.items())
    file = out / "asked.toml"
    file.write_text(text)
    plan = Plan.of_file(file, out / "study", jobs=1)
    assert run(plan, Told()) == []
    for each in plan.studies:
        write_report(each.out)
    return plan.out


@pytest.fixture(scope="module")
def report(folder: Path) -> Report:
    return write_report(folder)


@pytest.fixture(scope="module")
def compared(folder: Path) -> Comparison:
    return read_comparisons(folder)[0]


def test_the_page_is_well_formed_and_needs_nothing_from_outside(report: Report, folder: Path) -> None:
    html = report.path.read_text("utf-8")
    assert WellFormed(html).flaws == []
    page = Page(html)
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert len(links) == 6
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object"}
        assert (attributes.get("src") or "data:").startswith("data:image/svg+xml;base64,") or tag != "img"
    for heading in ("Overall", "mAP", "macro-F1", "micro-F1", "example-F1", "Learning curves", "Data sets"):
        assert heading in page.text
    assert "Friedman χ²(2) = " in page.text
    assert "Nemenyi's critical difference of 1.91 tells it apart from" in page.text
    assert "Not finished" not in page.text


def test_ranks_and_means_are_those_of_the_tables(report: Report, compared: Comparison) -> None:
    table = report.table
    assert table.headings[1:3] == ("mean mAP", "rank in mAP")
    names, values = compared.complete("map")
    assert len(names) == 3
    for i, method in enumerate(compared.methods):
        row = next(row for row in table.rows if row[0].text == method)
        assert row[1].text == f"{values[:, i].mean():.3f}"
        better = (np.round(values, 3) > np.round(values[:, [i]], 3)).sum(axis=1)
        same = (np.round(values, 3) == np.round(values[:, [i]], 3)).sum(axis=1) - 1
        assert row[2].text == f"{(1 + better + same / 2).mean():.2f}"
    assert [cell.best for cell in (row[2] for row in table.rows)].count(True) >= 1


def test_names_are_text_in_every_format(report: Report, folder: Path) -> None:
    html, text = report.path.read_text("utf-8"), Page(report.path.read_text("utf-8")).text
    assert "<i>&amp; $x_2$" in text
    assert "<i>" not in html.replace("&lt;i&gt;", "")
    markdown = (folder / "report.md").read_text("utf-8")
    assert "\\<i>\\&amp; \\$x_2\\$" in markdown
    assert not re.search(r"(?<!\\)<i>", re.sub("```.*?```", "", markdown, flags=re.S))
    latex = (folder / "report.tex").read_text("utf-8")
    assert r"=1+1 \textless{}i\textgreater{}\&amp; \$x\_2\$ input\{y\}" in latex
    bare = re.sub(r"\\[&$#%_{}]|\\text\w+\{\}|\$\\pm\$|\$\\chi\$|\$\^2\$", "", latex)
    assert not set("$#^~<>|") & set(bare)
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") > 10
    with (folder / "values.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["method"] for row in rows} == {"k_neighbours", "'=odd$_", "mulsupcon"}
    assert {row["fraction"] for row in rows} == {"1.0", "0.5"}
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row.values())


def test_every_picture_is_linked_and_there(report: Report, folder: Path) -> None:
    markdown = (folder / "report.md").read_text("utf-8")
    linked = re.findall(r"\]\((report-[^)]*\.svg)\)", markdown)
    assert len(set(linked)) == len(linked) == 16
    assert {path.name for path in folder.glob("*.svg")} == set(linked)
    kinds = {re.split(r"[-.]", name)[1] for name in linked}
    assert kinds == {"ranks", "gains", "cost", "training", "rows"}


def test_the_same_study_gives_the_same_files(report: Report, folder: Path) -> None:
    names = ("report.html", "report.md", "report.tex", "values.csv")
    before = [(folder / name).read_bytes() for name in names]
    write_report(folder)
    assert [(folder / name).read_bytes() for name in names] == before


def test_what_is_missing_is_told_and_left_out_of_the_ranks(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "study")
    for seed in (0, 1):
        (tmp_path / "study" / "one" / "mulsupcon" / f"seed-{seed}" / "run.json").unlink()
    written = write_report(tmp_path / "study", "tuned")
    assert "tuned protocol" in written.table.title
    text = Page(written.path.read_text("utf-8")).text
    assert "Not finished, and not part of this page: one: mulsupcon seed 0, one: mulsupcon seed 1." in text
    assert "mAP: without one, as some method has no value there." in text
    assert "On mAP over 2 data sets" in text


def test_a_study_without_finished_runs_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "study")
    for record in (tmp_path / "study").rglob("run.json"):
        record.unlink()
    with pytest.raises(ManyLabelError, match="a study with finished runs, but got none"):
        write_report(tmp_path / "study")


def test_one_method_on_one_data_set_has_tables_without_ranks(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "one", tmp_path / "study" / "one")
    for method in ("mulsupcon", "k_neighbours"):
        for seed in (0, 1):
            (tmp_path / "study" / "one" / method / f"seed-{seed}" / "run.json").unlink()
    text = Page(write_report(tmp_path / "study").path.read_text("utf-8")).text
    assert (
        "ranks take two methods with values on two data sets; there are 1 method and 1 such data set." in text
    )
    assert "critical difference of" not in text


def test_gains_are_averaged_from_rare_to_frequent_labels() -> None:
    shares = np.geomspace(0.001, 0.5, 24)
    at, gains = Gains(shares, -np.log(shares)).means()
    assert len(at) == 6
    assert np.all(np.diff(at) > 0)
    assert gains == pytest.approx(-np.log(at))


def test_the_front_holds_what_no_other_method_beats_in_cost_and_quality() -> None:
    points = {"a": Cost(1, 0.5), "b": Cost(2, 0.4), "c": Cost(3, 0.7), "d": Cost(3, 0.6), "e": Cost(9, 0.7)}
    assert pareto(points) == ["a", "c"]


@pytest.mark.parametrize("option", [("--examples",), ("--temperature", "0.5")])
def test_what_one_data_set_has_is_refused_before_anything_is_written(
    report: Report, folder: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, ...]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert call("report", str(folder), *option) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"{option[0]}: expected the folder of one data set, but got" in told
    assert str(folder / "one") in told.replace(" ", "")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
