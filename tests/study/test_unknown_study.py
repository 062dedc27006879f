"""A study of a data set of which 30 % of the label entries are unknown in every part, up to its report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score
from tests.study.small_study import Told, plan, write_rows

from manylabel.study import run, write_report


def test_a_study_of_unknown_labels_is_run_and_reported(tmp_path: Path) -> None:
    with np.load(write_rows(tmp_path / "known.npz")) as arrays:
        parts = dict(arrays)
    rng = np.random.default_rng(7)
    for name in ("y_train", "y_test"):
        parts[name] = np.where(rng.random(parts[name].shape) < 0.3, np.nan, parts[name])
    parts["y_test"][:, 2] = parts["y_test"][5] = np.nan
    np.savez(tmp_path / "unknown.npz", **parts)
    asked = plan(tmp_path / "unknown.npz", tmp_path / "out", seeds=(0,))
    assert run(asked, Told()) == []
    known = asked.folder.test_labels().known()
    assert known is not None
    np.testing.assert_array_equal(known.numpy(), ~np.isnan(parts["y_test"]))
    labels_asked = [(c, parts["y_test"][:, c]) for c in (0, 1, 3)]
    silent = int(np.isnan(parts["y_test"]).all(1).sum())
    for record in asked.folder.finished_runs():
        for found in record.evaluations.values():
            assert (found["not_known"], found["rows_not_known"]) == ([2], silent)
            assert found["per_label"]["known"] == (~np.isnan(parts["y_test"])).sum(0).tolist()
            assert found["per_label"]["f1"][2] is None
        scores = asked.folder.scores(record.method, record.seed)["test_scores"]
        decided = [
            (column[~np.isnan(column)], scores[~np.isnan(column), c] >= 0.5) for c, column in labels_asked
        ]
        want = np.mean([f1_score(*pair, zero_division=0) for pair in decided])
        assert record.evaluations["fixed"]["values"]["macro_f1"] == pytest.approx(want)
    html = write_report(asked.folder.path).path.read_text(encoding="utf-8")
    assert "1 of 4 labels known of no test row" in html
