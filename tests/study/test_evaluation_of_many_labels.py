"""The report of a model on rows whose scores are too many to hold at once: the same figures, block by block."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from tests.study.small_study import TINY, write_rows

from manylabel import data, metrics
from manylabel.cli import main
from manylabel.data import Rows
from manylabel.data.rows import SparseVectors
from manylabel.labels import as_labels
from manylabel.methods import get
from manylabel.study.report import model_page
from manylabel.study.report.model_page import Evaluated, write_model_report


def evaluated(model: Path, file: Path, out: Path) -> tuple[dict, list[str], str]:  # type: ignore[type-arg]
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", str(model), str(file), "--out", str(out)])
    assert not stopped.value.code
    told = json.loads((out / "metrics.json").read_text())
    return told, (out / "labels.csv").read_text().splitlines(), (out / "report.html").read_text()


def test_the_report_by_the_block_has_the_figures_of_whole_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(tmp_path / "rows.npz")
    dataset = data.load(str(path))
    names = dataset.label_names
    get("bce", **TINY).fit(*data.split_validation(dataset, 0), seed=0, label_names=names).save(
        tmp_path / "model"
    )
    whole, labels, page = evaluated(tmp_path / "model", path, tmp_path / "whole")
    monkeypatch.setattr("manylabel.metrics.WHOLE_UP_TO", 100)
    monkeypatch.setattr("manylabel.metrics.scores.ENTRIES_AT_ONCE", 40)
    monkeypatch.setattr(model_page, "MOST_LABELS", 2)
    blocks, of_blocks, short = evaluated(tmp_path / "model", path, tmp_path / "blocks")
    assert blocks["values"] == pytest.approx(whole["values"], abs=1e-6)
    assert blocks["per_label"].keys() == whole["per_label"].keys()
    for name, values in whole["per_label"].items():
        assert blocks["per_label"][name] == pytest.approx(values, abs=1e-6)
    assert blocks["slices"] == []
    assert of_blocks[0] == labels[0]
    assert len(of_blocks) == len(labels) == len(names) + 1
    assert "rows that carry a label or for which one is predicted" in page
    test = dataset.test
    np.savez(tmp_path / "one.npz", X=test.X.values[:1], y=test.Y.dense().numpy()[:1], label_names=names)
    alone = evaluated(tmp_path / "model", tmp_path / "one.npz", tmp_path / "one")[2]
    assert f">1 row, {len(names)} labels, method bce." in alone
    assert "Surest mistakes" in page
    assert "Surest mistakes" not in short
    assert "so many scores are made by the block" in short
    assert f"with those of the {len(names) - 2} labels that are rarer" in short
    tables = [text.partition("<h2>Labels</h2>")[2].partition("<h2>Slices</h2>")[0] for text in (page, short)]
    assert tables[0].count("<tr") - tables[1].count("<tr") == len(names) - 2


def test_an_evaluation_never_holds_all_scores(tmp_path: Path) -> None:
    n, n_labels = 2000, 3000
    rng = np.random.default_rng(0)
    Y = sp.random(n, n_labels, 2 / n_labels, format="csr", random_state=rng, dtype=np.float32)
    X = sp.csr_matrix(Y @ sp.random(n_labels, 50, 0.1, format="csr", random_state=rng, dtype=np.float32))
    rows = Rows(SparseVectors(X), as_labels(sp.csr_matrix(Y > 0)))
    settings = {"encoder.widths": [16], "classify.stage.epochs": 1, "classify.negatives": 64}
    model = get("bce", **settings).fit(rows.take(slice(0, 500)), rows.take(slice(500, 700)), seed=0)
    S, P, predicted = model.streamed(rows.X)
    found = Evaluated("model", "made", "bce", model.label_names, S, P, predicted, rows.Y, model.decision)
    write_model_report(found, tmp_path / "warm", "again")
    tracemalloc.start()
    written = write_model_report(found, tmp_path / "out", "again")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    top = model.scores(rows.X, top=1)
    assert written.quality.values["precision_at_1"] == pytest.approx(metrics.precision_at_k(top, rows.Y, 1))
    assert peak < 4 * n * n_labels  # bytes of the scores alone, once
