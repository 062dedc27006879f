"""What learnt decisions and calibration gain for binary cross entropy on ten data sets.

Run with ``python -m benchmarks.decisions --data FOLDER``, the folder of the data sets. Each set is trained once with
the recipe ``bce``, for the epochs below where those of the recipe take long, on 80 % of its training rows. Thresholds
and calibration are learnt on the other 20 % in five folds, and test rows are scored once. Scores are kept in a folder,
so that a second run takes seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from manylabel import data, methods, metrics
from manylabel.labels import LabelMatrix, as_labels
from manylabel.metrics import Calibration, Counts, Threshold, learn_decision, reliability

FOLDS = 5


class Budget(NamedTuple):
    """Epochs of training, 0 for those of the recipe, and the share of the training rows that is used."""

    epochs: int = 0
    fraction: float = 1.0


SETS = {
    "yeast": Budget(),
    "scene": Budget(60),
    "cal500": Budget(),
    "corel5k": Budget(100),
    "rcv1_subset1": Budget(50),
    "ohsumed": Budget(40),
    "stackex_cs": Budget(80),
    "reuters21578": Budget(15),
    "goemotions": Budget(10, 0.2),
    "hallmarks_of_cancer": Budget(40),
}


class Scored(NamedTuple):
    """Scores and labels of validation and test rows, and labels of the training rows."""

    validation: np.ndarray[Any, Any]
    Y_validation: LabelMatrix
    test: np.ndarray[Any, Any]
    Y_test: LabelMatrix
    Y_train: LabelMatrix


def scored(name: str, budget: Budget, folder: str, cache: Path) -> Scored:
    """Train and score, or read what an earlier run scored."""
    dataset = data.load(name, folder)
    part = data.take_fraction(dataset, budget.fraction, 0)
    train, validation = data.split_validation(part, 0, 0.2)
    kept = cache / f"{name}-{budget.epochs}-{budget.fraction}.npz"
    if not kept.exists():
        began = time.process_time()
        changed: dict[str, Any] = {"classify.stage.epochs": budget.epochs} if budget.epochs else {}
        scorer = methods.get("bce", **changed).fit(train, validation, seed=0)
        np.savez(kept, validation=scorer.scores(validation.X), test=scorer.scores(dataset.test.X))
        print(f"{name}: {len(train)} rows trained in {time.process_time() - began:.0f} s of CPU", flush=True)
    with np.load(kept) as arrays:
        return Scored(arrays["validation"], validation.Y, arrays["test"], dataset.test.Y, train.Y)


def predictions(of: Scored) -> dict[str, np.ndarray[Any, Any]]:
    """Label sets of the test rows by each rule."""
    folds = np.random.default_rng(0).permutation(len(of.validation)) % FOLDS
    calibration = Calibration.fit(of.validation, of.Y_validation, folds)
    probabilities = calibration(of.test)
    nine = metrics.learn_thresholds(of.validation, of.Y_validation, ["macro_f1"])["macro_f1"]

    def learnt(rule: Any) -> Any:
        return learn_decision(rule, of.validation, of.Y_validation, folds, Y_train=of.Y_train)

    rules = {"0.5": Threshold("shared", 0.5), "nine": nine}
    rules |= {rule: learnt(rule) for rule in ("shared", "per_label", "top_k")}
    found = {name: rule.predict(of.test) for name, rule in rules.items()}
    calibrated = {rule: learnt(rule).predict(probabilities) for rule in ("expected_f1", "seen_sets")}
    return found | calibrated | {"probabilities": probabilities}


def mean_error(P: np.ndarray[Any, Any], Y: LabelMatrix) -> tuple[float, float]:
    """Expected calibration error: mean over labels, and of all entries pooled."""
    found = reliability(P, Y)
    return float(np.nanmean(found.error())), float(found.pooled().error()[0])


METRICS = {
    "macro-F1": Counts.macro_f1,
    "example-F1": Counts.example_f1,
    "subset accuracy": Counts.subset_accuracy,
}


def report(results: dict[str, dict[str, np.ndarray[Any, Any]]], sets: dict[str, Scored]) -> None:
    """Tables of calibration errors and of each metric, a row per data set."""
    heads = ("labels", "after", "perfect", "entries", "after")
    print(f"\n{'calibration error':<20} " + " ".join(f"{head:>8}" for head in heads))
    halved = np.zeros(2, dtype=int)
    for name, of in sets.items():
        P = results[name]["probabilities"]
        before, after = mean_error(of.test, of.Y_test), mean_error(P, of.Y_test)
        drawn = as_labels(
            np.random.default_rng(0).random(P.shape) < P
        )  # truths of which P is exactly the chance
        shown = (before[0], after[0], mean_error(P, drawn)[0], before[1], after[1])
        halved += np.array(after) <= np.array(before) / 2
        print(f"{name:<20} " + " ".join(f"{value:8.4f}" for value in shown))
    print(f"halved on {halved[0]} sets (mean over labels), on {halved[1]} (entries pooled)")
    for metric, value in METRICS.items():
        table(metric, value, results, sets)


def table(
    metric: str, value: Callable[[Counts], Any], results: dict[str, Any], sets: dict[str, Scored]
) -> None:
    """One metric of every rule, and its mean over the sets."""
    rules = [rule for rule in next(iter(results.values())) if rule != "probabilities"]
    print(f"\n{metric:<20} " + " ".join(f"{rule:>11}" for rule in rules))
    rows = {
        name: [float(value(Counts.of(results[name][rule], of.Y_test))) for rule in rules]
        for name, of in sets.items()
    }
    for name, values in (rows | {"mean": np.mean(list(rows.values()), axis=0)}).items():
        print(f"{name:<20} " + " ".join(f"{one:11.4f}" for one in values))
    better = {rule: sum(row[i] > row[0] for row in rows.values()) for i, rule in enumerate(rules)}
    print("sets above 0.5:      " + " ".join(f"{better[rule]:11d}" for rule in rules))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of the data sets, one folder each")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS), help="default: all ten")
    parser.add_argument("--cache", default=Path(tempfile.gettempdir()) / "manylabel-decisions", type=Path)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    sets = {name: scored(name, SETS[name], options.data, options.cache) for name in options.sets}
    report({name: predictions(of) for name, of in sets.items()}, sets)


if __name__ == "__main__":
    main()
