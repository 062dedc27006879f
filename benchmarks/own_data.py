"""The three commands on files as people have them, beside the classifiers that they would pick instead.

Run with ``python -m benchmarks.own_data --data FOLDER --results runs.jsonl``, the folder of the data sets and the file
that a line is added to for every run; runs in it are not made again, so that sets, methods and seeds can be asked for
one after the other. ``--page FILE`` writes the page of what is there. Each set is written out as a CSV
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
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

TEXTS = ("reuters21578", "hallmarks_of_cancer", "goemotions")
METHODS = ("best", "logistic_regression", "extra_trees", "gradient_boosting")
RAREST = 200  # films: genres of fewer are left out
COLUMNS = (("macro_f1", "macro-F1"), ("micro_f1", "micro-F1"), ("map", "mAP"))
KEY = ("set", "method", "seed", "settings")
Line: TypeAlias = dict[str, Any]
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
    subprocess.run(
        [sys.executable, "-m", "manylabel", *map(str, words)], check=True, stdout=subprocess.DEVNULL
    )


def write_set(name: str, data: Path, out: Path) -> None:
    if name == "films":
        write_films(out)
    else:
        write_texts(name, data, out)


def measured(folder: Path, method: str, seed: int, settings: list[str]) -> Line:
    """Metrics of the test rows, and the minutes of a processor that fitting took."""
    model, report = folder / f"{method}-{seed}", folder / f"{method}-{seed}-report"
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    command("fit", folder / "train.csv", "--labels", "tags", "--out", model, "--method", method,
            "--seed", seed, *(word for one in settings for word in ("--set", one)))  # fmt: skip
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = ended.ru_utime - began.ru_utime + ended.ru_stime - began.ru_stime
    command("predict", model, folder / "test.csv", "--out", folder / "predictions.csv")
    command("evaluate", model, folder / "test.csv", "--out", report)
    found = json.loads((report / "metrics.json").read_text())
    values = {metric: found["values"][metric] for metric, _ in COLUMNS}
    return {"rows": found["rows"], "labels": len(found["labels"]), **values, "minutes": seconds / 60}


def read_results(path: Path) -> list[Line]:
    """Every run that was made so far, once."""
    lines = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return [*{key_of(line): line for line in lines}.values()]


def key_of(line: Line) -> tuple[Any, ...]:
    return tuple(tuple(line[k]) if k == "settings" else line[k] for k in KEY)


def is_made(run: Line, results: Path) -> bool:
    return key_of(run) in map(key_of, read_results(results))


def run(asked: argparse.Namespace) -> None:
    """Make the runs that are not there yet, a line of results each."""
    wanted = [
        {"set": name, "method": method, "seed": seed, "settings": asked.set}
        for name in asked.sets.split(",")
        for method in asked.methods.split(",")
        for seed in range(asked.seeds)
    ]
    for name in dict.fromkeys(of["set"] for of in wanted if not is_made(of, asked.results)):
        with tempfile.TemporaryDirectory() as place:
            write_set(name, asked.data, Path(place))
            for of in wanted:
                if of["set"] == name and not is_made(of, asked.results):  # by another process meanwhile
                    line = of | measured(Path(place), of["method"], of["seed"], of["settings"])
                    print(json.dumps(line), flush=True)
                    with asked.results.open("a") as file:
                        file.write(json.dumps(line) + "\n")


ABOUT = """# Own data, from file to figures

`manylabel fit`, `predict` and `evaluate` on CSV files as people have them, for `best` and for what they would pick
instead: TF-IDF (texts) or encoded columns (films) with logistic regression, extra trees and boosted trees (LightGBM)
for each label. All methods read the same file and learn thresholds per label alike, on training rows; test rows are
scored once. Mean and standard deviation over seeds; minutes of one processor that a fit took. The texts are the sets
of the same names; the films are those of `bokeh_sampledata` (CC0): genres from title, year, runtime, language, country,
people and a rating that is empty in every row, a fifth held out. The run of `best` on goemotions is from before the
margins of its support vectors were standardised.

```sh
python -m benchmarks.own_data --data FOLDER --results runs.jsonl --page own-data.md
```
"""


def page(lines: list[Line]) -> str:
    """A table for each set: the methods, their metrics and minutes."""
    names = ("method", *(name for _, name in COLUMNS), "minutes", "seeds")
    parts = [ABOUT]
    for name in dict.fromkeys(line["set"] for line in lines):
        own = [line for line in lines if line["set"] == name]
        first = own[0]
        parts.append(f"\n## {name}\n\n{first['rows']} test rows, {first['labels']} labels.\n\n")
        parts.append(f"| {' | '.join(names)} |\n|{'---|' * len(names)}\n")
        parts += [
            row(of, [x for x in own if method_of(x) == of]) for of in dict.fromkeys(map(method_of, own))
        ]
    return "".join(parts)


def method_of(line: Line) -> str:
    """The method, with the settings that were changed."""
    return line["method"] + (f"[{','.join(line['settings'])}]" if line["settings"] else "")


def row(method: str, lines: list[Line]) -> str:
    figures = [np.array([line[metric] for line in lines]) for metric, _ in COLUMNS]
    told = [f"{of.mean():.3f} ± {of.std(ddof=1):.3f}" if len(of) > 1 else f"{of[0]:.3f}" for of in figures]
    minutes = np.mean([line["minutes"] for line in lines])
    return f"| `{method}` | {' | '.join(told)} | {minutes:.1f} | {len(lines)} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with one folder a data set")
    parser.add_argument("--results", type=Path, default=Path("own_data.jsonl"))
    parser.add_argument("--page", type=Path, help="where to write the page, of all results")
    parser.add_argument("--page-only", action="store_true", help="make no runs")
    parser.add_argument("--sets", default=",".join((*TEXTS, "films")))
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], help="NAME=VALUE of a recipe, for every method")
    asked = parser.parse_args()
    if not asked.page_only:
        run(asked)
    if asked.page is not None:
        asked.page.write_text(page(read_results(asked.results)))


if __name__ == "__main__":
    main()
