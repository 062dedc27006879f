"""Learners of a stack on pages and cards: form, share, what is lost without each, seconds, or why it was left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.study.small_study import TINY_STACK, Told, plan

from manylabel.cli import main
from manylabel.methods import Predictor
from manylabel.methods.stacking.evidence import HEADINGS
from manylabel.study import StudyFolder, run, write_report


@pytest.fixture(scope="module")
def stack(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    settings = TINY_STACK | {"learners.trees.most_labels": 3}
    asked = plan(
        tiny_data,
        tmp_path_factory.mktemp("stack") / "out",
        methods=("best", "bce"),
        seeds=(0,),
        settings={"best": settings, "bce": {"classify.stage.epochs": 1}},
    )
    assert run(asked, Told()) == []
    return asked.folder


def wanted_cells(model: Predictor) -> list[str]:
    """What a page has to say of each learner."""
    evidence = model.evidence
    assert evidence is not None
    cells = list(HEADINGS)
    for name, found in evidence.learners.items():
        cells += [name, found.form, f"{found.seconds:.1f}"]
        cells += [found.left_out] if found.left_out else [f"{found.share:.2f}"]
        cells += [f"{round(change, 3) + 0.0:+.3f}" for change in found.without.values()]
    return cells


def test_the_page_of_a_study_has_a_table_of_each_stack(stack: StudyFolder) -> None:
    model = Predictor.load(stack.path / "best" / "seed-0" / "model")
    page = write_report(stack.path).path.read_text("utf-8")
    assert page.count('<table class="learners">') == 1
    assert "<h2>Learners of best</h2>" in page
    for cell in wanted_cells(model):
        assert f">{cell}</t" in page
    record = stack.run_record("best", 0)
    assert record is not None
    assert record.evidence == model.evidence


def test_reasons_are_short_in_the_sentence_and_whole_in_the_table(stack: StudyFolder) -> None:
    evidence = Predictor.load(stack.path / "best" / "seed-0" / "model").evidence
    assert evidence is not None
    assert "trees (expected at most 3 labels, but got 4)" in evidence.sentence()
    assert evidence.learners["trees"].left_out.startswith("learner trees: expected at most 3 labels")
    lines = list(evidence.rows())
    assert [line[-1] != "" for line in lines] == sorted(line[-1] != "" for line in lines)  # left out last
    shares = [float(line[2]) for line in lines if not line[-1]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=0.02)


def test_the_page_and_the_card_of_a_model_have_it_too(
    stack: StudyFolder, tiny_data: Path, tmp_path: Path
) -> None:
    folder = stack.path / "best" / "seed-0" / "model"
    with np.load(tiny_data) as file:
        np.savez(tmp_path / "rows.npz", X=file["X_test"], y=file["y_test"], label_names=file["label_names"])
    with pytest.raises(SystemExit) as end:
        main(["evaluate", str(folder), str(tmp_path / "rows.npz"), "--out", str(tmp_path / "page")])
    assert not end.value.code
    page = (tmp_path / "page" / "report.html").read_text("utf-8")
    model = Predictor.load(folder)
    for cell in wanted_cells(model):
        assert f">{cell}</t" in page
    model.save_with_card(tmp_path / "card")
    card = (tmp_path / "card" / "README.md").read_text("utf-8")
    assert "## Learners" in card
    lines = [line for line in card.splitlines() if line.startswith("| network")]
    assert len(lines) == 1
    assert lines[0].count("|") == len(HEADINGS) + 1
