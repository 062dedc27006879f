"""The three commands on files as people have them, beside the classifiers that they would pick instead.

Run with ``python -m benchmarks.own_data --data FOLDER``, the folder of the data sets. Each set is written out as a CSV
file of training rows and one of test rows; the films (``bokeh_sampledata``, CC0) as a table with numbers, languages,
countries, people and an empty column. ``manylabel fit``, ``predict`` and ``evaluate`` then do what they would do for
anyone, once for each method and seed: the same rows, the same kind of thresholds. Figures are the macro-F1, micro-F1
and mAP that ``evaluate`` writes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

TEXTS = ("reuters21578", "hallmarks_of_cancer", "goemotions")
METHODS = ("best", "logistic_regression", "extra_trees", "gradient_boosting")
METRICS = ("macro_f1", "micro_f1", "map")
RAREST = 200  # films: genres of fewer are left out
FILM_COLUMNS = ("Title", "Year", "Runtime", "Language", "Country", "Director", "Cast", "imdbRating")


def text_rows(folder: Path, part: str) -> Iterator[tuple[str, str]]:
    """Texts and their tags, as the lines of the data set tell them."""
    with gzip.open(folder / f"{part}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield row["text"], "|".join(map(str, row["labels"]))


def write_texts(name: str, data: Path, out: Path) -> None:
    for part in ("train", "test"):
        with (out / f"{part}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("text", "tags"))
            writer.writerows(text_rows(data / name, part))


def write_films(out: Path) -> None:
    """A table of films, split by a hash of their number: a fifth are test rows."""
    import sqlite3

    import bokeh_sampledata

    base = Path(bokeh_sampledata.__file__).parent / "_data" / "movies.db"
    with sqlite3.connect(f"file:{base}?mode=ro", uri=True) as connection:
        named = ", ".join(f'"{name}"' for name in FILM_COLUMNS)
        rows = list(connection.execute(f'select ID, "Genre", {named} from omdb where "Genre" is not null'))
    connection.close()
    tags = [[tag.strip() for tag in genres.split(",") if tag.strip()] for _, genres, *_ in rows]
    counts: dict[str, int] = {}
    for tag in (tag for row in tags for tag in row):
        counts[tag] = counts.get(tag, 0) + 1
    with (
        (out / "train.csv").open("w", newline="", encoding="utf-8") as train,
        (out / "test.csv").open("w", newline="", encoding="utf-8") as test,
    ):
        writers = [csv.writer(train), csv.writer(test)]
        for writer in writers:
            writer.writerow((*(name.lower() for name in FILM_COLUMNS), "tags"))
        for (number, _, *cells), row in zip(rows, tags, strict=True):
            kept = [tag for tag in row if counts[tag] >= RAREST]
            held_out = hashlib.sha256(str(number).encode()).digest()[0] < 51
            writers[held_out].writerow((*("" if cell is None else cell for cell in cells), "|".join(kept)))


def command(*words: Any) -> None:
    subprocess.run([sys.executable, "-m", "manylabel", *map(str, words)], check=True, capture_output=True)


def measured(folder: Path, method: str, seed: int, settings: list[str]) -> tuple[dict[str, float], float]:
    """Metrics of the test rows, and the minutes that fitting took."""
    model, report = folder / f"{method}-{seed}", folder / f"{method}-{seed}-report"
    started = time.perf_counter()
    command("fit", folder / "train.csv", "--labels", "tags", "--out", model, "--method", method,
            "--seed", seed, *(word for one in settings for word in ("--set", one)))  # fmt: skip
    minutes = (time.perf_counter() - started) / 60
    command("predict", model, folder / "test.csv", "--out", folder / "predictions.csv")
    command("evaluate", model, folder / "test.csv", "--out", report)
    values = json.loads((report / "metrics.json").read_text())["values"]
    return {metric: values[metric] for metric in METRICS}, minutes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder a data set")
    parser.add_argument("--sets", default=",".join((*TEXTS, "films")))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], help="NAME=VALUE of a recipe, for every method")
    asked = parser.parse_args()
    print(f"| set | method | {' | '.join(METRICS)} | minutes |")
    print("|---" * (len(METRICS) + 3) + "|")
    for name in asked.sets.split(","):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            if name == "films":
                write_films(folder)
            else:
                write_texts(name, asked.data, folder)
            for method in asked.methods.split(","):
                found = [measured(folder, method, seed, asked.set) for seed in range(asked.seeds)]
                figures = [np.array([values[metric] for values, _ in found]) for metric in METRICS]
                told = " | ".join(f"{f.mean():.3f} ± {f.std(ddof=len(f) > 1):.3f}" for f in figures)
                minutes = np.mean([minutes for _, minutes in found])
                print(f"| {name} | `{method}` | {told} | {minutes:.1f} |", flush=True)


if __name__ == "__main__":
    main()
