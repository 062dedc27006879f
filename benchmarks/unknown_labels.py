"""What unknown label entries cost, and what candidates that may be hidden positives do in a contrastive loss.

Run with ``python -m benchmarks.unknown_labels --data FOLDER``, the folder of the data sets. Entries of the label matrix
of the training part are hidden at random, validation rows included. Without ``--study`` a method, ``best`` if none is
named, is trained on all entries, on the known ones, and on hidden ones read as 0, and scored on test rows, of which all
is known. With
``--study`` the recipes ``mulsupcon`` and ``reg`` are trained with ``unknown="keep"`` and ``unknown="leave_out"``, and
scored on a fifth of the training rows, held out with all of their labels; no test row is looked at.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch

from manylabel import data, methods, metrics
from manylabel.data import Rows
from manylabel.data.splits import held_out_rows
from manylabel.labels import LabelMatrix, as_labels

SETS = ("yeast", "scene", "corel5k")
OF_STUDY = ("yeast", "scene")
METHODS = ("mulsupcon", "reg")
SHARES = (0.1, 0.3, 0.6)
CHOICES = ("keep", "leave_out")
LOST_AT_MOST = 1 / 3
"""Of what reading hidden entries as 0 loses."""


class Score(NamedTuple):
    """Macro-F1 at a threshold learnt on validation rows, macro-F1 at 0.5, and mAP."""

    tuned: float
    fixed: float
    map: float


class Parts(NamedTuple):
    """Rows to train on, rows to watch and to learn thresholds on, and rows to score."""

    train: Rows
    validation: Rows
    scored: Rows


def hidden(part: Rows, share: float, seed: int) -> Rows:
    """The same rows, of whose label entries a share is unknown."""
    Y = part.Y.dense()
    which = np.random.default_rng(seed).random(tuple(Y.shape)) < share
    return Rows(part.X, as_labels(Y.masked_fill(torch.from_numpy(which), torch.nan)))


def read_as_absent(part: Rows) -> Rows:
    """The same rows, unknown entries taken for 0."""
    labels: LabelMatrix = part.Y
    return Rows(part.X, labels.with_unknown(None))


def settings(epochs: int) -> dict[str, Any]:
    """Epochs of either stage, in place of the recipe's; none for 0."""
    return {f"{stage}.stage.epochs": epochs for stage in ("pretrain", "classify")} if epochs else {}


def trained(method: str, parts: Parts, seed: int, changed: dict[str, Any]) -> Score:
    """Train on some parts, and score others; thresholds of a method that cross-fits itself are learnt out of fold."""
    predictor = methods.get(method, **changed).fit(parts.train, parts.validation, seed=seed)
    if (own := predictor.held_out) is not None:
        held_out = own.scores, own.Y
    else:
        held_out = predictor.scores(parts.validation.X), parts.validation.Y
    found = metrics.evaluate_protocols(
        predictor.scores(parts.scored.X),
        parts.scored.Y,
        {protocol: (protocol, "shared") for protocol in ("tuned", "fixed")},
        held_out,
        metrics=("macro_f1", "map"),
    )
    tuned, fixed = (found[protocol].values for protocol in ("tuned", "fixed"))
    return Score(tuned["macro_f1"], fixed["macro_f1"], tuned["map"])


def goal(name: str, method: str, folder: str, seeds: Iterable[int], epochs: int) -> dict[str, list[Score]]:
    """Scores on the test rows by what is made of the hidden entries."""
    dataset, found = data.load(name, folder), {"known": [], "unknown": [], "read as 0": []}
    for seed in seeds:
        train, validation = data.split_validation(dataset, seed)
        some = [hidden(part, 0.3, 2 * seed + i) for i, part in enumerate((train, validation))]
        for made, rows in (
            ("known", (train, validation)),
            ("unknown", some),
            ("read as 0", [read_as_absent(part) for part in some]),
        ):
            found[made].append(trained(method, Parts(*rows, dataset.test), seed, settings(epochs)))
    return found


def chosen(
    name: str, method: str, share: float, folder: str, seeds: Iterable[int], epochs: int
) -> dict[str, list[Score]]:
    """Scores on held-out training rows by what becomes of candidates that may be hidden positives."""
    dataset, found = data.load(name, folder), {choice: [] for choice in CHOICES}
    for seed in seeds:
        out = held_out_rows(dataset.train.Y, 0.2, seed)
        rest, scored = (hidden(dataset.train.take(~out), share, seed), dataset.train.take(out))
        watched = held_out_rows(rest.Y, 0.1, seed)
        parts = Parts(rest.take(~watched), rest.take(watched), scored)
        for choice in CHOICES:
            changed = settings(epochs) | {"pretrain.loss.unknown": choice}
            found[choice].append(trained(method, parts, seed, changed))
    return found


def mean(scores: list[Score]) -> Score:
    """Means over seeds."""
    return Score(*np.mean(scores, axis=0))


def print_goal(options: argparse.Namespace) -> None:
    print("| test rows | | all known | 30 % unknown | 30 % read as 0 | lost, share of that of 0 | met |")
    print("|---|---|---|---|---|---|---|")
    for name in options.sets or SETS:
        of = {
            made: mean(s)
            for made, s in goal(
                name, options.method, options.data, range(options.seeds), options.epochs
            ).items()
        }
        for i, metric in enumerate(("macro-F1, learnt threshold", "macro-F1 at 0.5", "mAP")):
            whole, unknown, absent = (of[made][i] for made in ("known", "unknown", "read as 0"))
            share = (whole - unknown) / (whole - absent) if whole > absent else np.nan
            met = "yes" if whole - unknown <= LOST_AT_MOST * (whole - absent) else "no"
            values = f"{whole:.3f} | {unknown:.3f} | {absent:.3f} | {share:.2f} | {met}"
            print(f"| {name} | {metric} | {values} |", flush=True)


def print_study(options: argparse.Namespace) -> None:
    print("| held-out training rows | hidden | keep, macro-F1 | leave_out | keep, mAP | leave_out |")
    print("|---|---|---|---|---|---|")
    gains = []
    for method in METHODS:
        for name in options.sets or OF_STUDY:
            for share in SHARES:
                found = chosen(name, method, share, options.data, range(options.seeds), options.epochs)
                keep, out = (mean(found[choice]) for choice in CHOICES)
                gains += np.subtract(found["leave_out"], found["keep"]).tolist()
                line = f"{keep.tuned:.3f} | {out.tuned:.3f} | {keep.map:.3f} | {out.map:.3f}"
                print(f"| {method}, {name} | {share:.0%} | {line} |", flush=True)
    gain, error = np.mean(gains, axis=0), np.std(gains, axis=0, ddof=1) / len(gains) ** 0.5
    told = ", ".join(
        f"{what} {one:+.4f} (standard error {of:.4f})"
        for what, one, of in zip(("macro-F1", "macro-F1 at 0.5", "mAP"), gain, error, strict=True)
    )
    print(f"\nleave_out beside keep, mean of {len(gains)} trainings of each: {told}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of the data sets, one folder each")
    parser.add_argument("--study", action="store_true", help='compare unknown="keep" with "leave_out"')
    parser.add_argument(
        "--sets", nargs="*", choices=SETS, help="default: all three; yeast and scene in a study"
    )
    parser.add_argument("--method", default="best", help="default: best")
    parser.add_argument("--epochs", type=int, default=0, help="of each stage; default: those of the recipe")
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    options = parser.parse_args()
    began = time.process_time()
    print_study(options) if options.study else print_goal(options)
    print(f"\n{time.process_time() - began:.0f} s of CPU")


if __name__ == "__main__":
    main()
