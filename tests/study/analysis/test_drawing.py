"""What all pictures share: names are shown as they are."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from tests.study.analysis.test_statistics import results

from manylabel.labels import as_labels
from manylabel.metrics import f1_curves, reliability
from manylabel.metrics.learnt_thresholds import LabelThreshold
from manylabel.study.analysis.figures import decision_plots, embedding_plots, plots
from manylabel.study.analysis.figures.curves import curves, paired_dots
from manylabel.study.analysis.figures.drawing import Picture, legend, new_figure, short, styled, wrapped
from manylabel.study.analysis.figures.heat_map import class_heat_map
from manylabel.study.analysis.statistics import Summary

NAMES = [
    "$\\frac{",
    "costs $5 to $10",
    "\\$$^^$",
    "_hidden",
    "a\nb",
    "\x1b]0;t\x07",
    "a long name " * 30,
    "日本語 שלום العربية 👩\u200d🔬",
    "zero\u200bwidth\u202e",
    "<b>&amp;\uffff",
]


def pictures() -> list[Picture]:
    methods = [NAMES[0], NAMES[3], NAMES[6]]
    shown = results(**{name: [(0.5, 0.4)] for name in methods})
    for run in shown.runs:
        run.evaluations["tuned"]["per_label"]["f1"] = [0.5] * len(NAMES)
    history = [{"stage": "train", "epoch": 1, "loss": 1.0, "monitor": {"map": 0.5}}]
    Y = as_labels(np.eye(len(NAMES), dtype=np.uint8))
    embedding = np.random.default_rng(0).normal(size=(len(NAMES), 3))
    pair = (Summary(0.5, 0.1, 2), Summary(0.4, 0.1, 2))
    curve = {1.0: Summary(0.5, 0.1, 2), 2.0: Summary(0.6, float("nan"), 1)}
    return [
        plots.learning_curves({name: {0: history} for name in methods}),
        plots.label_scores(shown, NAMES, [1] * len(NAMES), 20),
        embedding_plots.embedding_maps(dict.fromkeys(methods[:2], embedding), Y, NAMES),
        embedding_plots.heat_maps(dict.fromkeys(methods[:2], class_heat_map(embedding, Y)), NAMES, 1.0),
        curves({name: dict.fromkeys(methods, curve) for name in NAMES[:3]}, methods, "x", NAMES[6]),
        decision_plots.reliability_diagram(dict.fromkeys(NAMES, reliability([[0.2], [0.7]], [[0], [1]]))),
        decision_plots.f1_over_threshold(
            f1_curves(np.eye(len(NAMES)), Y), [LabelThreshold(0.5, 0.1, 1, "own")] * len(NAMES), NAMES
        ),
        paired_dots({"mAP": dict.fromkeys(NAMES, pair)}, ("_a", "$b"), NAMES[6]),
    ]


def texts(picture: Picture) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in picture.figure.findobj(Text)]


def test_pictures_show_any_name_as_it_is() -> None:
    """Warnings are errors here: of missing signs, and of pictures that have no room."""
    for picture in pictures():
        svg = b64decode(picture.data_uri().partition(",")[2])
        ET.fromstring(svg)
        drawn = texts(picture)
        assert not any(re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u200b\uffff]", text) for text in drawn)
        assert max(len(line) for text in drawn for line in text.split("\n")) < 120
        assert any("$" in text for text in drawn)


def test_legends_keep_names_that_begin_with_an_underscore() -> None:
    with styled():
        figure = new_figure(6, 2)
        handles = figure.subplots().plot([1, 2], [[1, 2], [2, 3]])
        legend(figure, handles, ["_a", "$b"], "lower center")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["_a", "$b"]


def test_dollars_are_no_formulas(tmp_path: Path) -> None:
    """The same picture with and without something to set as a formula has the same size of text."""
    with styled():
        figure = new_figure(6, 2)
        (text,) = (figure.text(0.1, 0.5, "$x_1$ and $x_2$"),)
        assert not text.get_parse_math()
    Picture(figure, "", "", "").save(tmp_path / "p.svg")
    assert "$x_1$ and $x_2$" in (tmp_path / "p.svg").read_text()  # the comment beside its outlines


@pytest.mark.parametrize("inches", [0.1, 1.0, 2.5, 10.0])
@pytest.mark.parametrize(
    "name", ["mulsupcon[pretrain.temperature=0.2]: pretrain", "x" * 100, "", "a b  c", "\n"]
)
def test_wrapped_names_lose_nothing_but_space(name: str, inches: float) -> None:
    lines = wrapped(name, inches).split("\n")
    assert "".join(lines).replace(" ", "") == name.replace(" ", "").replace("\n", "\\n")
    assert all(len(line) <= max(8, 12 * inches) for line in lines)


def test_short_names_are_cut_after_so_many_characters() -> None:
    assert short("x" * 30, 10) == "x" * 9 + "…"
    assert short("a\x1bb") == "a\\x1bb"
