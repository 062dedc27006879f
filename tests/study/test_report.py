"""The report: one page that needs nothing else, and the pictures on it."""

from __future__ import annotations

import base64
import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.study.analysis.test_statistics import results

from manylabel.errors import ManyLabelError
from manylabel.labels import as_labels
from manylabel.study import Report, StudyFolder, write_report
from manylabel.study.analysis.figures import drawing, embedding_plots, plots
from manylabel.study.analysis.figures.heat_map import class_heat_map
from manylabel.study.analysis.latex import latex_table
from manylabel.study.parameters import plan_call


class Page(HTMLParser):
    """Tags, and the text outside of styles and scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open not in ("style", "script"):
            self.text += data


class WellFormed(HTMLParser):
    """What is wrong with the tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.flaws: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.flaws += [f"<{tag}> is not closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if len(dict(attrs)) < len(attrs):
            self.flaws.append(f"<{tag}> has an attribute twice")
        if tag not in {"meta", "img", "input"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.flaws.append(f"</{tag}> closes something else")


@pytest.fixture(scope="module")
def report(study: StudyFolder, tmp_path_factory: pytest.TempPathFactory) -> Report:
    out = tmp_path_factory.mktemp("report") / "out"
    shutil.copytree(study.path, out)
    return write_report(out)


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(report.path.read_text(encoding="utf-8"))


def test_page_is_well_formed(report: Report) -> None:
    assert WellFormed(report.path.read_text(encoding="utf-8")).flaws == []


def test_page_needs_nothing_from_outside(page: Page) -> None:
    loading = {"src", "href", "srcset", "data", "action"}
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object"}
        for name in loading & attributes.keys():
            assert (attributes[name] or "").startswith("data:image/svg+xml;base64,")


def test_page_says_what_was_found_on_what_and_how_to_repeat_it(
    page: Page, report: Report, study: StudyFolder
) -> None:
    record = study.record()
    assert report.verdict in page.text
    for row in report.table.rows:
        assert all(cell.text in page.text for cell in row)
    assert "learnt on held-out training rows, among 109" in page.text
    assert record.card.digest in page.text
    assert record.repeated(plan_call) in page.text
    assert record.versions["torch"] in page.text
    assert "classify.stage.epochs" in page.text
    assert "Seeds: 0, 1." in page.text
    assert "Not finished" not in page.text


def test_page_shows_four_pictures_with_words_for_those_who_cannot_see_them(page: Page) -> None:
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4
    assert all(len(image["alt"] or "") > 30 for image in images)
    for image in images:
        svg = base64.b64decode((image["src"] or "").partition(",")[2]).decode()
        assert svg.startswith("<?xml")
        assert "</svg>" in svg


def test_names_from_the_data_cannot_become_markup(report: Report, page: Page) -> None:
    assert "Left out, as no test row carries them alone: label 0, <b>last & least</b>." in page.text
    assert "<b>last" not in report.path.read_text(encoding="utf-8")


def test_the_same_study_gives_the_same_files(report: Report) -> None:
    before = {path: path.read_bytes() for path in (report.path, *report.beside)}
    written = write_report(report.path.parent)
    assert {path: path.read_bytes() for path in (written.path, *written.beside)} == before


def test_the_page_says_which_files_lie_beside_it(report: Report, page: Page) -> None:
    assert [path.name for path in report.beside] == ["report.md", "report.tex", "values.csv"]
    assert "in values.csv, the tables in report.md and report.tex." in page.text
    linked = re.findall(r"\]\(([^)]*\.svg)\)", (report.path.with_name("report.md")).read_text("utf-8"))
    assert linked == [
        "report-learning-curves.svg",
        "report-f1-per-label.svg",
        "report-embeddings-of-the-test-rows.svg",
        "report-class-heat-map.svg",
    ]
    assert sorted(linked) == sorted(path.name for path in report.path.parent.glob("*.svg"))


def test_tables_are_the_same_in_markdown_and_latex(report: Report) -> None:
    markdown, latex, _ = (path.read_text("utf-8") for path in report.beside)
    assert report.table.markdown() in markdown
    assert latex_table(report.table) in latex
    for row in report.table.rows:
        for cell in row:
            marked = f"**{cell.text}**" if cell.best else f"<u>{cell.text}</u>" if cell.level else cell.text
            assert f"| {marked} |" in markdown
    assert any(cell.best for row in report.table.rows for cell in row)
    assert "**Differences, seed by seed**" in markdown
    assert r"\caption{Differences, seed by seed}" in latex
    assert latex.isascii()


def test_values_of_one_data_set_have_the_columns_of_several(report: Report, study: StudyFolder) -> None:
    with report.beside[-1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["set", "fraction", "method", "seed", "protocol", "metric", "value", "seconds"]
    for run in study.finished_runs():
        for protocol, evaluation in run.evaluations.items():
            for metric, value in evaluation["values"].items():
                asked = {"set": "tiny", "method": run.method, "seed": str(run.seed), "protocol": protocol}
                (row,) = [row for row in rows if row.items() >= (asked | {"metric": metric}).items()]
                assert (float(row["value"]), float(row["seconds"])) == (value, run.seconds)


def test_oracle_is_marked_and_explained(report: Report, tmp_path: Path) -> None:
    shutil.copytree(report.path.parent, tmp_path / "out")
    oracle = write_report(tmp_path / "out", "oracle")
    text = Page(oracle.path.read_text(encoding="utf-8")).text
    assert "macro-F1 (oracle)" in text
    assert "on the test rows themselves" in text
    assert "oracle thresholds" in oracle.verdict


def test_runs_without_the_protocol_are_refused_by_name(study: StudyFolder, tmp_path: Path) -> None:
    shutil.copytree(study.path, tmp_path / "out")
    folder = StudyFolder(tmp_path / "out")
    for run in folder.finished_runs():
        earlier = {name: found for name, found in run.evaluations.items() if name != "learnt"}
        run.model_copy(update={"evaluations": earlier}).write(
            folder.run_folder(run.method, run.seed) / "run.json"
        )
    message = "runs under the learnt protocol, but got bce seed 0 with tuned, fixed, oracle alone"
    with pytest.raises(ManyLabelError, match=message):
        write_report(folder.path)
    assert "tuned protocol" in write_report(folder.path, "tuned").table.title


def test_unfinished_runs_are_named(study: StudyFolder, tmp_path: Path) -> None:
    shutil.copytree(study.path, tmp_path / "out")
    (tmp_path / "out" / "mulsupcon" / "seed-1" / "run.json").unlink()
    text = Page(write_report(tmp_path / "out").path.read_text(encoding="utf-8")).text
    assert "Not finished, and not part of this page: mulsupcon seed 1." in text
    assert "The command under “Repeat it” makes what is missing." in text


def test_a_page_of_odd_data_and_names_is_well_formed(study: StudyFolder, tmp_path: Path) -> None:
    """No test row carries a label, so the mAP is not defined; warnings are errors here."""
    shutil.copytree(study.path, tmp_path / "out")
    folder = StudyFolder(tmp_path / "out")
    names = ("$\\frac{", "</p><script>", "{{7*7}}", "\x1b]0;t\x07\u202e\uffff")
    record = folder.record()
    card = record.card.model_copy(update={"label_names": names, "name": "<i>\x1b\nx"})
    record.model_copy(update={"card": card}).write(folder.study_file)
    folder.write_test_labels(as_labels(np.zeros((60, 4), dtype=np.uint8)))
    for run in folder.finished_runs():
        evaluations = json.loads(json.dumps(run.evaluations))
        for evaluation in evaluations.values():
            evaluation["values"]["map"] = None
            evaluation["left_out"] = [0, 1, 2, 3]
            evaluation["not_known"] = [2]
            evaluation["per_label"] |= {"f1": [None] * 4, "ap": [None] * 4}
        changed = run.model_copy(update={"evaluations": evaluations})
        changed.write(folder.run_folder(run.method, run.seed) / "run.json")
    written = write_report(folder.path)
    html = written.path.read_text(encoding="utf-8")
    assert WellFormed(html).flaws == []
    assert "mAP is not defined" in written.verdict
    text = Page(html).text
    assert "$\\frac{, </p><script>, {{7*7}}, \\x1b]0;t\\x07\\u202e\\uffff" in text
    assert "<i>\\x1b\\nx" in text
    assert "choose other test rows" in text
    assert "1 of 4 labels known of no test row, left out of every metric: {{7*7}}." in " ".join(text.split())
    assert not re.search("nan|None|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\uffff]", text)


def test_a_study_without_finished_runs_has_no_report(study: StudyFolder, tmp_path: Path) -> None:
    study.record().write(tmp_path / "study.json")
    with pytest.raises(ManyLabelError, match=r"Finish them with: Plan\.grid\(data="):
        write_report(tmp_path)
    with pytest.raises(ManyLabelError, match="'best'"):
        write_report(study.path, "best")


def test_a_method_has_one_colour_in_all_pictures() -> None:
    chosen = drawing.colours(["bce", "mulsupcon", "zlpr"])
    assert len(set(chosen.values())) == 3
    assert drawing.colours(["bce", "mulsupcon"])["mulsupcon"] == chosen["mulsupcon"]


def test_label_bars_choose_among_many_labels_and_name_their_support() -> None:
    shown = results(bce=[(0.5, 0.4)])
    labels = 100
    shown.runs[0].evaluations["tuned"]["per_label"]["f1"] = np.linspace(0, 1, labels).tolist()
    positives = list(range(labels))
    picture = plots.label_scores(shown, [f"tag {c}" for c in range(labels)], positives, 100)
    texts = [tick.get_text() for tick in picture.figure.axes[0].get_yticklabels()]
    assert len(texts) == plots.MOST_LABELS
    assert texts[0] == "tag 99 (99)"
    assert texts[-1] == "tag 1 (1)"  # label 0 has no test row
    assert "40 of 100 labels" in picture.caption


def test_learning_curves_have_a_column_per_stage_and_a_line_per_seed() -> None:
    def history(stages: dict[str, int]) -> list[dict[str, object]]:
        entry = {"loss": 1.0, "monitor": {"map": 0.5, "loss": 0.7}}
        return [{"stage": s, "epoch": e, **entry} for s, n in stages.items() for e in range(1, n + 1)]

    end_to_end, two = {"train": 3}, {"pretrain": 2, "finetune": 4}
    histories = {"bce": {0: history(end_to_end), 1: history(end_to_end)}, "mulsupcon": {0: history(two)}}
    axes = plots.learning_curves(histories).figure.axes  # type: ignore[arg-type]
    titles = [axis.get_title(loc="left") for axis in axes]
    assert titles[:3] == ["bce: train", "mulsupcon: pretrain", "mulsupcon: finetune"]
    assert [len(axis.lines) for axis in axes] == [3, 1, 1, 6, 2, 2]
    assert axes[0].get_ylim() == axes[1].get_ylim() == axes[2].get_ylim()


def test_learning_curves_show_what_random_scores_reach_and_no_loss_of_another_function() -> None:
    entry = {"stage": "train", "epoch": 1, "loss": 20.0, "monitor": {"map": 0.5}}
    picture = plots.learning_curves({"lamp": {0: [entry, entry | {"epoch": 2}]}}, 0.25)
    top, bottom = picture.figure.axes
    assert [list(line.get_ydata()) for line in top.lines] == [[0.5, 0.5], [0.25, 0.25]]
    assert top.get_ylim()[0] < 0.25
    assert len(bottom.lines) == 1
    told = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert told == ["training loss", "mAP of random scores: 0.250"]


def test_labels_of_many_methods_are_dots_on_one_line_and_all_are_named() -> None:
    methods = [f"method {i}" for i in range(8)]
    shown = results(**{method: [(0.5, 0.4), (0.5, 0.6)] for method in methods})
    for run in shown.runs:
        run.evaluations["tuned"]["per_label"]["f1"] = [0.1, 0.6, 0.3]
    picture = plots.label_scores(shown, ["a", "b", "c"], [10, 20, 5], 40)
    assert picture.figure.get_figheight() < 3
    axes = picture.figure.axes[0]
    points = [line for line in axes.lines if line.get_marker() != "|" and line.get_marker() != "None"]
    assert len({(line.get_color(), line.get_marker()) for line in points}) == 8
    (always,) = [line for line in axes.lines if line.get_marker() == "|"]
    assert list(always.get_xdata()) == pytest.approx([2 / 3, 2 * 0.125 / 1.125, 0.4])  # b, c, a
    told = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert told == [*methods, "label predicted for every row"]


def test_methods_without_a_representation_have_no_embeddings(study: StudyFolder, tmp_path: Path) -> None:
    shutil.copytree(study.path, tmp_path / "out")
    folder = StudyFolder(tmp_path / "out")
    titles = {}
    for bare in (("bce",), ("bce", "mulsupcon")):
        for run in folder.finished_runs():
            recipe = run.recipe | ({"family": "sklearn_baseline"} if run.method in bare else {})
            changed = run.model_copy(update={"recipe": recipe})
            changed.write(folder.run_folder(run.method, run.seed) / "run.json")
        page = Page(write_report(folder.path).path.read_text(encoding="utf-8"))
        alts = [attributes["alt"] or "" for tag, attributes in page.tags if tag == "img"]
        titles[bare] = [alt for alt in alts if "embedding" in alt or "similarity" in alt]
        assert ("No embeddings: these methods see the features as they are." in page.text) == (len(bare) == 2)
    assert [("bce" in alt, "mulsupcon" in alt) for alt in titles["bce",]] == [(False, True)] * 2
    assert titles["bce", "mulsupcon"] == []


def test_embedding_maps_colour_rows_with_one_label() -> None:
    rng = np.random.default_rng(0)
    Y = np.eye(3, dtype=np.uint8)[rng.integers(0, 3, 60)]
    Y[:20] = 1
    embeddings = {m: rng.normal(size=(60, 5)) for m in ("bce", "mulsupcon")}
    picture = embedding_plots.embedding_maps(embeddings, as_labels(Y), ["a", "b", "c"])
    for axis in picture.figure.axes:
        names = [points.get_label() for points in axis.collections]
        assert names == ["several labels or none", "a", "b", "c"]
        assert sum(len(points.get_offsets()) for points in axis.collections) == 60
    assert "67% of them carry a single label" in picture.caption


def test_embedding_maps_colour_label_sets_where_single_labels_are_rare() -> None:
    Y = np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1], [0, 0, 0]] * 10 + [[1, 0, 0]], dtype=np.uint8)
    embedding = np.random.default_rng(0).normal(size=(len(Y), 5))
    picture = embedding_plots.embedding_maps({"bce": embedding}, as_labels(Y), ["a", "b", "c"])
    shown = {points.get_label(): len(points.get_offsets()) for points in picture.figure.axes[0].collections}
    assert shown == {"other label sets": 0, "a + b": 10, "b + c": 10, "a + b + c": 10, "no label": 10, "a": 1}
    assert "Only 2.4% of them carry a single label, so the 5 most frequent label sets" in picture.caption


def test_pictures_of_many_methods_wrap() -> None:
    methods = [f"method {i}" for i in range(7)]
    Y = as_labels(np.eye(2, dtype=np.uint8)[np.arange(20) % 2])
    embedding = np.random.default_rng(0).normal(size=(20, 3))
    history = [{"stage": "train", "epoch": 1, "loss": 1.0, "monitor": {"map": 0.5}}]
    pictures = [
        plots.learning_curves({m: {0: history} for m in methods}),
        embedding_plots.embedding_maps(dict.fromkeys(methods, embedding), Y, ["a", "b"]),
        embedding_plots.heat_maps(dict.fromkeys(methods, class_heat_map(embedding, Y)), ["a", "b"], 1.0),
    ]
    for picture in pictures:
        assert picture.figure.get_figwidth() < 12
        titles = [axis.get_title(loc="left") for axis in picture.figure.axes]
        assert all(any(title.startswith(m) for title in titles) for m in methods)


@pytest.mark.parametrize(("rows", "width"), [(1, 4), (5, 4), (60, 1), (60, 0)])
def test_embedding_maps_take_few_rows_and_thin_embeddings(rows: int, width: int) -> None:
    """A width of 0 stands for an embedding that is the same for all rows."""
    Y = np.ones((rows, 1), dtype=np.uint8)
    embedding = np.random.default_rng(0).normal(size=(rows, width)) if width else np.ones((rows, 3))
    picture = embedding_plots.embedding_maps({"bce": embedding}, as_labels(Y), ["a"])
    points = picture.figure.axes[0].collections[1].get_offsets()
    assert points.shape == (rows, 2)
    assert np.isfinite(points).all()


def test_heat_maps_share_one_scale_and_state_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    Y = as_labels(np.eye(4, dtype=np.uint8)[rng.integers(0, 3, 40)])
    maps = {m: class_heat_map(rng.normal(size=(40, 6)), Y) for m in ("bce", "mulsupcon")}
    picture = embedding_plots.heat_maps(maps, ["a", "b", "c", "d"], 1.0)
    images = [axis.images[0] for axis in picture.figure.axes[:2]]
    assert images[0].get_clim() == images[1].get_clim()
    assert f"mulsupcon: diagonal {maps['mulsupcon'].diagonal:.3f}" in [
        axis.get_title(loc="left") for axis in picture.figure.axes
    ]
    assert re.search(r"Left out, .*: d\.$", picture.caption)
    assert "it would be 0.333" in picture.caption
