"""The benchmark of own data: runs that are there are not made again, and the page has them all."""

from __future__ import annotations

import argparse
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own_data() -> Any:
    """The names of the script."""
    names = runpy.run_path(str(ROOT / "benchmarks" / "own_data.py"))
    return argparse.Namespace(**names)


def line(**changes: Any) -> dict[str, Any]:
    values = {"rows": 9, "labels": 3, "macro_f1": 0.5, "micro_f1": 0.6, "map": 0.7, "minutes": 1.0}
    return {"set": "s", "method": "bce", "seed": 0, "settings": []} | values | changes


def test_the_page_has_a_table_for_each_set_and_a_row_for_each_method(own_data: Any) -> None:
    lines = [line(), line(seed=1, macro_f1=0.7), line(method="x"), line(set="t", settings=["a=1"])]
    page = own_data.page(lines)
    assert page.count("## ") == 2
    assert "| `bce` | 0.600 ± 0.141 | 0.600 ± 0.000 | 0.700 ± 0.000 | 1.0 | 2 |" in page
    assert "| `x` | 0.500 | 0.600 | 0.700 | 1.0 | 1 |" in page
    assert "| `bce[a=1]` |" in page


@pytest.mark.slow
def test_runs_are_made_once(own_data: Any, tmp_path: Path) -> None:
    results, data = tmp_path / "runs.jsonl", tmp_path / "tiny"
    results.write_text("".join(json.dumps(line(map=value)) + "\n" for value in (0.1, 0.2)))
    assert [one["map"] for one in own_data.read_results(results)] == [0.2]
    data.mkdir()
    write_tiny(data)
    asked = argparse.Namespace(
        data=tmp_path, results=results, sets="tiny", methods="logistic_regression", seeds=1, set=[]
    )
    own_data.run(asked)
    own_data.run(asked)
    made = own_data.read_results(results)
    assert [(one["set"], one["method"]) for one in made] == [("s", "bce"), ("tiny", "logistic_regression")]
    assert made[1]["macro_f1"] > 0.9
    assert (made[1]["rows"], made[1]["labels"]) == (20, 2)


def write_tiny(folder: Path) -> None:
    """Texts whose tags are words of theirs, in the form of the data sets."""
    import gzip

    rows = [
        {"text": f"{['sea', 'rock'][i % 2]} and more {i % 3}", "labels": [["a"], ["b"]][i % 2]}
        for i in range(60)
    ]
    for part, chosen in (("train", rows[:40]), ("test", rows[40:])):
        with gzip.open(folder / f"{part}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in chosen)
