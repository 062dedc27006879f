"""Runs whose scores are too many to hold at once: the same values, and the highest scores on record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks import many_labels
from tests.study.small_study import TINY, TINY_PRETRAINING, write_rows

from manylabel import data
from manylabel.study import Cell
from manylabel.study.records import read_arrays
from manylabel.study.run_cell import Job, run_cell


@pytest.mark.parametrize("method", ["bce", "mulsupcon"])
def test_scores_by_the_block_give_the_values_of_whole_ones(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(tmp_path / "rows.npz")
    dataset = data.load(str(path))
    settings = TINY if method == "bce" else TINY | TINY_PRETRAINING
    cell = Cell(str(path), method, 0, settings)

    def record(out: str):  # type: ignore[no-untyped-def]
        job = Job(cell, tmp_path / out, 1)
        return run_cell(job, dataset, lambda _: None), read_arrays(job.folder / "scores.npz")

    whole, scores = record("whole")
    monkeypatch.setattr("manylabel.metrics.WHOLE_UP_TO", 100)
    monkeypatch.setattr("manylabel.metrics.scores.ENTRIES_AT_ONCE", 40)
    blocks, kept = record("blocks")
    for protocol, evaluation in whole.evaluations.items():
        assert blocks.evaluations[protocol]["values"] == pytest.approx(evaluation["values"], abs=1e-6)
    for stage, last in whole.monitor.items():
        for name in last.keys() - {"seconds"}:
            assert blocks.monitor[stage][name] == pytest.approx(last[name], abs=1e-5)
    for part in ("validation", "test"):
        assert f"{part}_scores" not in kept
        in_order = np.take_along_axis(scores[f"{part}_scores"], kept[f"{part}_top_labels"], axis=1)
        np.testing.assert_allclose(kept[f"{part}_top_scores"], in_order, atol=1e-6)
        assert (np.diff(in_order, axis=1) <= 1e-6).all()


@pytest.mark.slow
def test_labels_of_a_large_run_take_little_memory(tmp_path: Path) -> None:
    n = 8000
    phases = many_labels.measured(n, n, tmp_path)
    # 64 MiB for 60 000 x 60 000 labels, of which there are 5 a row: in proportion to the rows
    assert max(phase["labels_mib"] for phase in phases.values()) <= 64 * n / 60_000
    batch = 4 * many_labels.BATCH * n / 2**20  # MiB of the logits of a batch
    assert max(phase["dense_mib"] for phase in phases.values()) <= max(batch, 4)  # or a million scores
    rise = max(phase["peak_mib"] for phase in phases.values()) - phases["load"]["before_mib"]
    dense = 4 * n * n / 2**20
    assert rise < 2 * dense, json.dumps(phases, indent=1)
