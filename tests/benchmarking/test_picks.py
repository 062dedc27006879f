"""The comparison with what people pick: a line a cell, thresholds never from test rows, and the table."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from benchmarks import best_against_picks as picks
from benchmarks.picks_table import BY_RULE, JUDGED, METRICS, report
from tests.study.small_study import write_rows

from manylabel import data
from manylabel.labels import as_labels


def test_a_cell_is_a_line_and_is_not_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, out = write_rows(tmp_path / "tiny.npz"), tmp_path / "picks.jsonl"
    cells = [picks.Cell(str(rows), "k_neighbours", 0, str(tmp_path))]
    picks.run(iter(cells), out, 1)
    (line,) = picks.lines_of(out)
    assert (line["status"], line["method"], line["how"]) == ("done", "k_neighbours", "5 folds")
    assert set(line["test"]) == {*METRICS, *BY_RULE}
    assert 0 < line["fit_seconds"] <= line["seconds"]
    before = out.read_bytes()
    picks.run(iter(cells), out, 1)
    assert out.read_bytes() == before
    assert capsys.readouterr().out.count("done") == 1
    assert f"| {rows} | `k_neighbours` | {line['test']['map']:.3f} |" in "\n".join(
        report([line], [str(rows)], ["k_neighbours"])
    )


def test_few_rows_are_drawn_from_the_training_part_and_measured_on_others_of_it(tmp_path: Path) -> None:
    rows, out = write_rows(tmp_path / "tiny.npz"), tmp_path / "picks.jsonl"
    whole = data.load(str(rows))
    cell, other = (picks.Cell(str(rows), "k_neighbours", seed, str(tmp_path), 40) for seed in (0, 1))
    drawn = cell.rows()
    assert (len(drawn.train), len(drawn.test)) == (40, 80)
    given = [
        {row.tobytes() for row in part.X.values.numpy()} for part in (drawn.train, drawn.test, whole.train)
    ]
    assert not given[0] & given[1]
    assert given[0] | given[1] == given[2]
    assert (drawn.train.Y.label_counts() >= 2).all()
    assert len(drawn.label_names) == drawn.train.Y.n_labels
    assert not np.array_equal(drawn.train.X.values, other.rows().train.X.values)
    picks.run(iter([cell]), out, 1)
    assert [line["status"] for line in picks.lines_of(out)] == ["done"]


def test_held_out_rows_say_how_rows_are_decided_for_example_f1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = write_rows(tmp_path / "tiny.npz")
    cell, told = picks.Cell(str(rows), "k_neighbours", 0, str(tmp_path)), {}
    for better in (True, False):
        found = iter([1.0 if better else 0.0, 0.125])  # of held-out rows, then of test rows
        monkeypatch.setattr(picks, "by_expected_f1", lambda P, Y, found=found: next(found))
        told[better] = picks.measured(cell, 1)["test"]
    assert told[True]["example_f1_by_rule"] == 0.125
    assert told[False]["example_f1_by_rule"] == told[False]["example_f1"]


def test_test_labels_choose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write_rows(tmp_path / "tiny.npz")
    cell, dataset = picks.Cell(str(rows), "k_neighbours", 0, str(tmp_path)), data.load(str(rows))
    seen: list[object] = []
    learn = picks.metrics.evaluate

    def evaluate(S: object, Y: object, *args: object, **how: object) -> object:
        found = learn(S, Y, *args, **how)  # type: ignore[arg-type]
        seen.append(found.thresholds)
        return found

    monkeypatch.setattr(picks.metrics, "evaluate", evaluate)
    for Y in (dataset.test.Y, as_labels(1 - dataset.test.Y.dense().numpy())):
        changed = data.DataSet(
            **{
                **{name: getattr(dataset, name) for name in dataset.__dataclass_fields__},
                "test": data.Rows(dataset.test.X, Y),
            }
        )
        monkeypatch.setattr(picks.data, "load", lambda name, folder, changed=changed: changed)
        picks.measured(cell, 1)
    assert len(seen) == 4
    assert seen[:2] == seen[2:]


def test_what_ends_early_is_told_and_tried_again_with_more_time(tmp_path: Path) -> None:
    rows, out = write_rows(tmp_path / "tiny.npz"), tmp_path / "picks.jsonl"
    cell = picks.Cell(str(rows), "extra_trees", 0, str(tmp_path))
    recipe = picks.fingerprint(cell, data.load(str(rows)))
    line = {"set": "tiny", "method": "extra_trees", "seed": 0, "recipe": recipe}
    line |= {"status": "limit", "minutes": 2}
    assert picks.is_finished(line, 2)
    assert not picks.is_finished(line, 3)
    assert not picks.is_finished(None, 2)
    out.write_text(json.dumps(line) + "\n")
    assert "- tiny, `extra_trees`, seed 0: over 2 CPU minutes" in list(
        report(picks.lines_of(out), ["tiny"], ["extra_trees"])
    )


def lines(
    name: str, method: str, test: list[float], held_out: float, seconds: float
) -> list[dict[str, object]]:
    return [
        {
            "set": name,
            "method": method,
            "seed": seed,
            "recipe": method,
            "status": "done",
            "test": dict.fromkeys((*METRICS, *BY_RULE), value),
            "held_out": dict.fromkeys(METRICS, held_out),
            "fit_seconds": seconds / 2,
            "seconds": seconds,
            "how": "5 folds",
        }
        for seed, value in enumerate(test)
    ]


def test_the_pick_is_chosen_on_held_out_rows_and_the_highest_on_test_rows() -> None:
    found = [
        *lines("a", "best", [0.60, 0.62], 0.5, 30),
        *lines("a", "trees", [0.50, 0.52], 0.9, 10),
        *lines("a", "svm", [0.70, 0.70], 0.8, 5),
        *lines("b", "best", [0.30, 0.31], 0.5, 10),
        *lines("b", "trees", [0.40, 0.40], 0.9, 20),
        *lines("b", "svm", [0.10, 0.10], 0.8, 5),
    ]
    page = "\n".join(report(found, ["a", "b"], ["best", "trees", "svm"]))
    assert page.count("| a | 0.610 ± 0.014 | 0.510 ± 0.014 `trees` | +0.100 | 0.700 ± 0.000 `svm` |") == len(
        JUDGED
    )
    assert "1 won, 0 tied, 1 lost against the pick, mean difference +0.0025" in page
    assert "behind by more than one spread on b" in page
    assert "Means: best 0.4575, highest on test rows 0.5500" in page
    assert "| a | 30.0 | 10.0 `trees` | 3.00 | 6.00 |" in page
    assert "Mean ratio over the sets: 1.75." in page


def test_trees_get_fewer_where_they_would_not_fit() -> None:
    X = sp.csr_matrix((26000, 2), dtype=np.float32)
    wide = SimpleNamespace(train=data.Rows(X, as_labels(np.zeros((26000, 1000), dtype=np.uint8))))
    few = picks.settings("extra_trees", wide)  # type: ignore[arg-type]
    assert few == {"parameters.n_estimators": picks.LEAST_TREES}
