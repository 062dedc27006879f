"""``best`` beside what people pick, on every data set with features: same rows, same kind of thresholds, CPU seconds.

Run with ``python -m benchmarks.best_against_picks --data FOLDER``, the folder of the data sets. Every comparator is
fitted on all training rows and scores the test rows once. Its thresholds come from out-of-fold scores of the training
rows (five folds, three from 3 000 rows), or, where so many fits would take longer than the limit, from a held-out
fifth; a method that cross-fits itself brings its own out-of-fold scores. Each cell is a JSON line of ``--out`` and is
not run again; what a cell is of, its line says: data set, recipe, settings, seed. The table is written at the end, and
by ``--table`` alone. ``--few 333`` asks how all do on few rows: each seed draws so many from the training part, and
measures on others of it, so that test rows choose nothing of a recipe that is changed by what is seen there.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import multiprocessing
import queue
import resource
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from benchmarks.picks_table import METRICS, report

from manylabel import data, methods, metrics
from manylabel.data import Rows
from manylabel.data.dataset import DataSet
from manylabel.data.splits import folds_of, held_out_rows
from manylabel.labels import LabelMatrix
from manylabel.methods import Predictor
from manylabel.methods.held_out import HeldOut

SETS = (
    *("yeast", "scene", "cal500", "corel5k", "corel16k001", "delicious", "ohsumed", "rcv1_subset1"),
    *("stackex_cs", "reuters21578", "hallmarks_of_cancer", "goemotions"),
)
PICKS: dict[str, dict[str, Any]] = {
    "logistic_regression_cv": {},
    "linear_svm": {},
    "extra_trees": {},
    "gradient_boosting": {},
    "k_neighbours": {"tfidf": True},
    "classifier_chain": {"tfidf": True, "parameters.solver": "liblinear"},
    "boomer": {},
}
"""Settings that differ from the recipes: sparse rows come to all as a practitioner would give them."""
Fit: TypeAlias = Callable[[Rows, int], Predictor]
NEEDED = {"gradient_boosting": "lightgbm", "boomer": "mlrl"}
MOST_TREES, LEAST_TREES, TREE_BYTES = 300, 20, 4e9
FEW_ROWS = 3000
PARTS = 5  # into which a held-out fifth is dealt for a calibration
MOST_OTHERS = 1500  # rows that measure those which were fitted on few


@dataclass(frozen=True)
class Cell:
    """A method with one seed on one data set."""

    name: str
    method: str
    seed: int
    folder: str
    few: int | None = None

    @property
    def label(self) -> str:
        return f"{self.name} {self.method} seed {self.seed}"

    def rows(self) -> DataSet:
        """The data set as it is, or few rows of its training part."""
        dataset = data.load(self.name, self.folder)
        return dataset if self.few is None else few_rows(dataset, self.few, self.seed)


def few_rows(dataset: DataSet, n: int, seed: int) -> DataSet:
    """So many drawn training rows, others of them as test rows, and the labels that two of the former carry."""
    order = np.random.default_rng(100 + seed).permutation(len(dataset.train))
    train, test = (dataset.train.take(np.sort(rows)) for rows in (order[:n], order[n : n + MOST_OTHERS]))
    kept = np.flatnonzero(train.Y.label_counts().numpy() >= 2)
    parts = (Rows(rows.X, LabelMatrix.of(rows.Y.dense()[:, kept])) for rows in (train, test))
    names = tuple(dataset.label_names[label] for label in kept)
    return replace(
        dataset, **dict(zip(("train", "test"), parts, strict=True)), label_names=names, validation_rows=None
    )


def settings(method: str, dataset: DataSet) -> dict[str, Any]:
    """What differs from the recipe on a data set: as many trees as fit in memory."""
    if method != "extra_trees":
        return PICKS.get(method, {})
    Y = dataset.train.Y
    nodes = 1.5 * len(Y) / 2  # two rows a leaf, as the recipe has it
    trees = int(np.clip(TREE_BYTES / (16 * nodes * Y.n_labels), LEAST_TREES, MOST_TREES))
    return {"parameters.n_estimators": trees}


def fingerprint(cell: Cell, dataset: DataSet) -> str:
    """Of the data and of all settings of the recipe on them."""
    recipe = methods.get(cell.method, **settings(cell.method, dataset)).recipe.resolve(dataset.kind)
    told = recipe.model_dump(mode="json", exclude={"expected", "about", "source"}, exclude_defaults=True)
    text = json.dumps([dataset.digest, told, *([] if cell.few is None else [cell.few])], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cpu() -> float:
    """Seconds of processor time of this process and those that it has started."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def fits(cell: Cell, dataset: DataSet) -> Fit:
    """A fit on some rows. Validation rows choose nothing here: some training rows stand in for them."""
    method = methods.get(cell.method, **settings(cell.method, dataset))
    return lambda rows, fold: method.fit(rows, rows.take(slice(0, 50)), seed=100 * cell.seed + fold)


def cross_fitted(fit: Fit, train: Rows, seed: int) -> HeldOut:
    folds, scores = folds_of(train.Y, n_folds(train), 100 * seed), np.zeros(train.Y.shape, dtype=np.float32)
    for fold in range(n_folds(train)):
        own = np.flatnonzero(folds == fold)
        scores[own] = fit(train.take(folds != fold), 1 + fold).scores(train.X.take(own))
    return HeldOut(scores, train.Y, folds, f"{n_folds(train)} folds")


def n_folds(train: Rows) -> int:
    return 5 if len(train) < FEW_ROWS else 3


def held_out_fifth(fit: Fit, train: Rows, seed: int) -> HeldOut:
    own = held_out_rows(train.Y, 0.2, 100 * seed)
    rows = train.take(own)
    scores = fit(train.take(~own), 1).scores(rows.X)
    return HeldOut(scores, rows.Y, folds_of(rows.Y, PARTS, seed), "a fifth")


def learnt(cell: Cell, dataset: DataSet, limit: float) -> tuple[Predictor, HeldOut, float]:
    """A model of all training rows, some of these as models scored them that did not see them, CPU seconds of a fit."""
    train, began = dataset.train, cpu()
    method = methods.get(cell.method)
    if method.cross_fits:
        own = held_out_rows(train.Y, 0.1, cell.seed)  # joined to the others again
        model = method.fit(train.take(~own), train.take(own), seed=cell.seed)
        assert model.held_out is not None
        return model, model.held_out, cpu() - began
    fit = fits(cell, dataset)
    model = fit(train, 0)
    once = cpu() - began
    part = held_out_fifth if (1 + n_folds(train)) * once > 60 * limit else cross_fitted
    return model, part(fit, train, cell.seed), once


def measured(cell: Cell, limit: float) -> dict[str, Any]:
    """Metrics of test rows and of held-out rows, and CPU seconds: of the last fit, and of everything."""
    dataset, began = cell.rows(), cpu()
    model, held_out, once = learnt(cell, dataset, limit)
    whole, S, Y = cpu() - began, model.scores(dataset.test.X), dataset.test.Y
    of = (held_out.scores, held_out.Y)
    test = metrics.evaluate(S, Y, validation=of, rule="per_metric", metrics=METRICS).values
    own = metrics.evaluate(*of, "oracle", rule="per_metric", metrics=METRICS).values
    P = metrics.Calibration.fit(*of, held_out.folds)(S)  # (n_test, n_labels)
    sets = metrics.SeenSets.of(dataset.train.Y).predict(P)
    test["seen_sets"] = float(metrics.Counts.of(sets, Y).subset_accuracy())
    own["expected_f1"] = by_expected_f1(calibrated_apart(held_out), held_out.Y)
    better = own["expected_f1"] > own["example_f1"]
    test["example_f1_by_rule"] = by_expected_f1(P, Y) if better else test["example_f1"]
    return {"test": test, "held_out": own, "fit_seconds": once, "seconds": whole, "how": held_out.how}


def calibrated_apart(held_out: HeldOut) -> np.ndarray[Any, Any]:
    """Probabilities of the held-out rows, (n, n_labels), each fold's by a calibration on the other folds."""
    P = np.zeros_like(held_out.scores)
    for fold in np.unique(held_out.folds):
        own = held_out.folds == fold
        others = np.flatnonzero(~own)
        learnt = metrics.Calibration.fit(
            held_out.scores[others], held_out.Y.take(others), held_out.folds[others]
        )
        P[own] = learnt(held_out.scores[own])
    return P


def by_expected_f1(P: np.ndarray[Any, Any], Y: LabelMatrix) -> float:
    """Example-F1 where each row gets the label set of the highest expected F1."""
    return float(metrics.Counts.of(metrics.ExpectedF1().predict(P), Y).example_f1())


def _work(cell: Cell, limit: float, found: Any) -> None:
    seconds = int(60 * limit)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))  # the system ends the process then
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.put({"status": "done", **measured(cell, limit)})
    except Exception as error:  # told in the table, and the other cells go on
        found.put({"status": "failed", "error": f"{type(error).__name__}: {error}"[:300]})


def within(limit: float, cell: Cell) -> dict[str, Any]:
    """What a process of its own finds in so many minutes of processor time."""
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    process = context.Process(target=_work, args=(cell, limit, found))
    process.start()
    while process.is_alive():
        try:
            return dict(found.get(timeout=1))
        except queue.Empty:
            continue
    if process.exitcode == -signal.SIGXCPU:
        return {"status": "limit", "minutes": limit}
    return {"status": "failed", "error": f"the process ended with {process.exitcode}"}


def lines_of(out: Path) -> list[dict[str, Any]]:
    """What is there by now; the last of several lines of a cell counts."""
    text = out.read_text(encoding="utf-8") if out.exists() else ""
    cells = {}
    for line in filter(None, text.split("\n")):
        told = json.loads(line)
        cells[told["set"], told["recipe"], told["seed"]] = told
    return list(cells.values())


def is_finished(line: dict[str, Any] | None, limit: float) -> bool:
    return line is not None and (line["status"] == "done" or line.get("minutes", 0) >= limit)


def run(cells: Iterator[Cell], out: Path, limit: float) -> None:
    for cell in cells:
        recipe = fingerprint(cell, cell.rows())
        known = {(line["set"], line["recipe"], line["seed"]): line for line in lines_of(out)}
        if is_finished(known.get((cell.name, recipe, cell.seed)), limit):
            continue
        found = within(limit, cell)
        line = {"set": cell.name, "method": cell.method, "seed": cell.seed, "recipe": recipe, **found}
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        seconds = f" {found['seconds']:.0f} s, {found['how']}" if found["status"] == "done" else ""
        print(f"{cell.label}: {found['status']}{seconds}{found.get('error', '')}", flush=True)


def is_installed(method: str) -> bool:
    return importlib.util.find_spec(NEEDED.get(method, "manylabel")) is not None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of the data sets, one folder each")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--methods", default=",".join(("best", *PICKS)))
    parser.add_argument("--seeds", type=int, default=3, help="how many: 0, 1, ...")
    parser.add_argument("--limit-minutes", type=float, default=30, help="CPU minutes of one cell")
    parser.add_argument("--few", type=int, help="so many rows drawn from the training parts, in place of all")
    parser.add_argument("--out", type=Path, help="default: runs/picks.jsonl, or runs/picks-FEW.jsonl")
    parser.add_argument("--table", action="store_true", help="run nothing: the table of what is there")
    asked = parser.parse_args()
    out = asked.out or Path("runs") / ("picks.jsonl" if asked.few is None else f"picks-{asked.few}.jsonl")
    out.parent.mkdir(parents=True, exist_ok=True)
    sets, compared = asked.sets.split(","), [m for m in asked.methods.split(",") if is_installed(m)]
    if not asked.table:
        cells = (
            Cell(name, method, seed, asked.data, asked.few)
            for seed in range(asked.seeds)
            for name in sets
            for method in compared
        )
        run(cells, out, asked.limit_minutes)
    print("\n".join(report(lines_of(out), sets, compared)))


if __name__ == "__main__":
    main()
