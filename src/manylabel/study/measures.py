"""Measures of a run beside its metrics: rare labels, unseen label sets, neighbours in the embedding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from manylabel import metrics
from manylabel.data.dataset import Rows
from manylabel.metrics.slices import THIRDS

NEIGHBOURS = 10
OF_LABELS = ("macro_f1", "map")
OF_ROWS = ("example_f1",)
RETRIEVAL = ("map", "precision_at_10", "jaccard_at_10")


def measure_name(part: str, metric: str) -> str:
    """What a record calls a metric of a slice, or of ``retrieval``."""
    return f"{part}: {metric}"


def measures(
    scores: Any, thresholds: Mapping[str, Any], embeddings: tuple[Any, Any], test: Rows, train: Rows
) -> dict[str, float | None]:
    """Slices and retrieval of one run, by name; None where undefined.

    Parameters
    ----------
    scores : (n, C) array
        Of the test rows; of streamed ones nothing is measured but the retrieval.
    thresholds : mapping of metric to float or C floats
        Slices of labels are cut at those of macro-F1, slices of rows at those of example-F1.
    embeddings : pair of (n, D) and (m, D) arrays
        Of the test rows and of the training rows.
    test, train : Rows
        The training rows as the method saw them.
    """
    found = dict(_retrieval(embeddings, test, train))
    if not isinstance(scores, metrics.StreamedScores):
        found |= dict(_slices(scores, thresholds, test, train))
    return {name: None if math.isnan(value) else value for name, value in found.items()}


def _slices(
    scores: Any, thresholds: Mapping[str, Any], test: Rows, train: Rows
) -> Iterator[tuple[str, float]]:
    for metric, wanted in (("macro_f1", OF_LABELS), ("example_f1", OF_ROWS)):
        cut = thresholds[metric]
        predicted = metrics.Threshold("per_label" if isinstance(cut, list) else "shared", cut).predict(scores)
        for part in metrics.slices(scores, predicted, test.Y, train.Y):
            if (part.name in THIRDS) == (metric == "macro_f1"):
                yield from ((measure_name(part.name, name), part.values[name]) for name in wanted)


def _retrieval(embeddings: tuple[Any, Any], test: Rows, train: Rows) -> Iterator[tuple[str, float]]:
    asking, keys = embeddings
    found = metrics.retrieval(asking, test.Y, keys, train.Y, min(NEIGHBOURS, len(train)))
    values = found.map, found.precision, found.jaccard
    yield from ((measure_name("retrieval", m), v) for m, v in zip(RETRIEVAL, values, strict=True))
