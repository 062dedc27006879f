"""Models with cards: in a folder and back, safe to look at, and clear words where the hub cannot be reached."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.training.small_run import rows

from manylabel import methods, metrics
from manylabel.errors import ManyLabelError
from manylabel.methods import Predictor
from manylabel.methods.model_card import safe

NAMES = ["<script>alert(1)</script>", "a | b", "[x](javascript:y)\n# new", "`rm` *b* _i_ \x1b[31m"]
TINY = {"encoder.widths": [8], "classify.stage.epochs": 2, "classify.stage.batch": 16}
DATA = {"name": "films", "digest": "ab" * 32, "rows": {"train": 100, "test": 40}}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return methods.get("bce", **TINY).fit(rows(100, 0), rows(40, 1), label_names=NAMES)


def test_a_folder_with_a_card_is_a_model(predictor: Predictor, tmp_path: Path) -> None:
    test = rows(50, 2)
    found = {
        p: metrics.evaluate(
            predictor.scores(test.X),
            test.Y,
            protocol=p,
            validation=(predictor.scores(rows(40, 1).X), rows(40, 1).Y),
        ).values
        for p in ("tuned", "oracle")
    }
    predictor.save_with_card(tmp_path / "model", data=DATA, metrics=found)
    again = Predictor.from_hub(tmp_path / "model")
    np.testing.assert_array_equal(again.scores(test.X), predictor.scores(test.X))
    assert list(again.label_names) == NAMES
    card = (tmp_path / "model" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: manylabel\n")
    for told in ("| digest | " + "ab" * 32, "| rows train | 100 |", "| labels | 4 |", "| method | bce |"):
        assert told in card
    assert f"{found['tuned']['map']:.4g}" in card
    assert "oracle: thresholds chosen on the scored rows themselves, and therefore optimistic" in card
    assert "versions manylabel | 0" in card
    threshold = predictor.decision.value  # type: ignore[attr-defined]
    assert card.count(f" | {threshold:.4g} |") >= 4
    predictor.save_with_card(tmp_path / "model", data=DATA)  # in place of the old one
    assert "## Metrics\n\nNot told." in (tmp_path / "model" / "README.md").read_text()


def test_names_in_a_card_are_text_and_never_markup(predictor: Predictor, tmp_path: Path) -> None:
    predictor.save_with_card(tmp_path / "model", data={"name": "<img src=x>\n---\n|"})
    card = (tmp_path / "model" / "README.md").read_text()
    assert "<script" not in card
    assert "<img" not in card
    assert "\x1b" not in card
    assert "\n# new" not in card
    assert "](javascript" not in card
    tables = [line for line in card.splitlines() if line.startswith("| ")]
    assert len(tables) > 15
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} == {3}  # two columns each


def test_cards_of_very_many_labels_list_some_of_them(tmp_path: Path) -> None:
    from manylabel.methods.model_card import model_card
    from manylabel.metrics import ExpectedF1, LearntThresholds, SeenSets, Threshold

    names, zeros = [f"label {c}" for c in range(1000)], np.zeros(1000)
    learnt = LearntThresholds("per_label", 0.25, zeros + 0.25, zeros, zeros, ("shared",) * 1000)
    for decision in (Threshold("shared", 0.25), learnt):
        card = model_card("a/b", names, (decision, ""), {}, {}, {})
        assert card.count("| 0.25 |") == 200
        assert "Learnt on held-out rows." in card
        assert "800 more labels in the model folder." in card
    for rule, told in (
        (ExpectedF1(), "highest expected F1"),
        (SeenSets.of([[1, 0]]), "probable seen label set"),
    ):
        card = model_card("a/b", ["x", "y"], (rule, "few | rows"), {}, {}, {})
        assert told in card
        assert "few \\| rows" in card


def test_what_is_neither_a_folder_nor_a_repository_is_told(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        ManyLabelError, match=r"from_hub: expected a folder, or a repository of the hub, but got"
    ):
        Predictor.from_hub("nobody/nothing-of-this-name")
    with pytest.raises(
        ManyLabelError, match=r"push_to_hub: expected a repository to upload to, but got .*Offline"
    ):
        predictor.push_to_hub("nobody/nothing-of-this-name")
    with pytest.raises(ManyLabelError, match="expected a model folder"):
        Predictor.from_hub(tmp_path)
    with pytest.raises(ManyLabelError, match="from_hub: expected a folder, or a repository of the hub"):
        Predictor.from_hub("no name/ of/a repository")


def test_without_the_package_folders_still_load(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor.save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert Predictor.from_hub(tmp_path / "model").label_names == predictor.label_names
    for call in (
        lambda: predictor.push_to_hub("a/b"),
        lambda: predictor.save_with_card(tmp_path / "new"),
        lambda: Predictor.from_hub("a/b"),
    ):
        with pytest.raises(ManyLabelError, match=r"the package huggingface_hub.*'manylabel\[hub\]'"):
            call()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "text", ["a*b", "_x_", "<b>", "&amp;", "a|b", "[l](u)", "`c`", "https://x.y", "a\nb", "# x"]
)
def test_safe_text_is_escaped(text: str) -> None:
    told = safe(text)
    assert "\n" not in told
    assert not re.search(r"(?<!\\)[`*_|\[\]<>]", told.replace("&lt;", "").replace("&gt;", ""))
