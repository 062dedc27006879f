"""A file whose labels are unknown here and there: it is trained on, measured on what is known, and told."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from tests.journeys.conftest import Shell, quick

from manylabel.data.example import TAGS, write_example


def test_unknown_entries_are_neither_positive_nor_negative(shell: Shell, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, rows, seed in (("train", 150, 0), ("test", 60, 1)):
        write_example(tmp_path / "all.csv", rows, seed)
        with open(tmp_path / "all.csv", newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        with open(tmp_path / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["description", "price", *TAGS])
            for line in lines:
                entries = ["" if rng.random() < 0.2 else int(tag in line["tags"]) for tag in TAGS]
                writer.writerow([line["description"], line["price"], *entries])
    labels = ",".join(TAGS)
    code, output, _ = shell(
        "fit", tmp_path / "train.csv", "--labels", labels, "--out", tmp_path / "model", *quick()
    )
    assert (code, "label entries are unknown" in output) == (0, True)
    report = tmp_path / "report"
    asked = ("evaluate", tmp_path / "model", tmp_path / "test.csv", "--train", tmp_path / "train.csv")
    assert shell(*asked, "--out", report)[0] == 0
    told = json.loads((report / "metrics.json").read_text("utf-8"))
    assert 40 < told["unknown_entries"] < 110
    assert all(0 <= value <= 1 for value in told["values"].values())
    assert len(told["slices"]) >= 3
    assert f"{told['unknown_entries']} label entries are unknown" in (report / "report.html").read_text(
        "utf-8"
    )
