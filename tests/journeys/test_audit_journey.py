"""An audit of a file: planted errors come up in the terminal, in CSV and on a page."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from tests.journeys.conftest import Shell

from manylabel.data.example import write_example


def test_planted_errors_come_up(shell: Shell, tmp_path: Path) -> None:
    write_example(tmp_path / "places.csv", rows=400)
    with open(tmp_path / "places.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    alone = [line for line in lines if line["tags"] in ("hiking", "budget|hiking", "family", "budget|family")]
    planted = [line["name"] for line in alone[:8]]
    for line in lines:
        if line["name"] in planted:
            line["tags"] = f"{line['tags']}|nightlife"  # none of their words speaks of it
        line["name"] = f"={line['name']}"
    with open(tmp_path / "places.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    before = (tmp_path / "places.csv").read_bytes()
    asked = (
        "audit",
        tmp_path / "places.csv",
        "--labels",
        "tags",
        "--id",
        "name",
        "--method",
        "sklearn.ensemble.ExtraTreesClassifier",
    )
    most = ("--top", "2000")
    code, output, _ = shell(*asked, *most, "--out", tmp_path / "found.csv")
    assert code == 0
    assert "places.csv: 400 rows, 6 labels" in output
    with open(tmp_path / "found.csv", newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [float(line["suspicion"]) for line in found] == sorted(
        (float(line["suspicion"]) for line in found), reverse=True
    )
    wrong = [
        line["name"].removeprefix("'=")
        for line in found
        if line["label"] == "nightlife" and line["kind"][0] == "c"
    ]
    carriers = sum("nightlife" in line["tags"] for line in lines)
    places = [wrong.index(name) if name in wrong else carriers for name in planted]
    assert sum(places) / len(planted) < carriers / 4  # by chance in the middle
    assert all(line["name"].startswith("'=") for line in found)  # a spreadsheet runs nothing
    assert (tmp_path / "places.csv").read_bytes() == before

    code, output, _ = shell(*asked, "--out", tmp_path / "found.html")
    assert (code, output.splitlines()[-1]) == (0, f"audit: {tmp_path / 'found.html'}")
    page = (tmp_path / "found.html").read_text("utf-8")
    assert "manylabel audit" in page
    assert re.search(r"probability 0\.\d\d, threshold 0\.\d\d; model 0\.\d\d; \d+% of the nearest rows", page)
    assert "The 20 most suspicious label entries of 400 rows" in page
