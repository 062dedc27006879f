"""The report of one model on rows that it has never seen: a self-contained HTML page, figures as JSON and CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from manylabel import files
from manylabel.data.rows import Features
from manylabel.errors import ManyLabelError
from manylabel.files.spreadsheet import csv_text
from manylabel.labels import LabelMatrix
from manylabel.methods.stacking.evidence import MEANS, StackEvidence
from manylabel.metrics import (
    DISPLAY_NAMES,
    Decision,
    LearntThresholds,
    Quality,
    Slice,
    StreamedScores,
    Threshold,
    TrainingLabels,
    f1_curves,
    measure_decisions,
    reliability,
    slices,
)
from manylabel.metrics.scores import Made
from manylabel.study.analysis.figures.decision_plots import f1_over_threshold, reliability_diagram
from manylabel.study.analysis.figures.drawing import Picture, require_matplotlib
from manylabel.study.analysis.figures.label_quality import f1_by_frequency
from manylabel.study.analysis.tables import Cell, Table, evidence_table
from manylabel.study.report.examples import Mistakes, RowGallery, mistakes_of
from manylabel.study.report.html import render_page

Array = np.ndarray[Any, Any]
MOST_LABELS = 1000
"""Labels on the page, the most frequent; all of them are in ``labels.csv``."""
_MOST_CURVES = 12
_MOST_NAMED = 20


@dataclass(frozen=True)
class Evaluated:
    """What a model makes of rows whose labels are known.

    Attributes
    ----------
    model, data, method : str
        Where they come from, for the page.
    label_names : tuple of C str
    scores, probabilities : (n, C) float32 array or StreamedScores
        Before and after calibration. Of streamed ones slices, reliability, curves and mistakes are left out.
    predictions : (n, C) bool array or StreamedScores
    Y : LabelMatrix (n, C)
    decision : Decision
        What decided.
    note : str
        What a reader of the decisions should know.
    Y_train : LabelMatrix (m, C), TrainingLabels or None
        Labels of the training rows, or what the model keeps of them, which slices are made by.
    groups : (n,) names, or None
    calibrated : bool
    evidence : StackEvidence or None
        What held-out rows said of the learners of a stack.
    X : Features or None
        The rows, whose surest mistakes are shown.
    """

    model: str
    data: str
    method: str
    label_names: tuple[str, ...]
    scores: Made
    probabilities: Made
    predictions: Made
    Y: LabelMatrix
    decision: Decision
    note: str = ""
    Y_train: LabelMatrix | TrainingLabels | None = None
    groups: Any = None
    calibrated: bool = False
    evidence: StackEvidence | None = None
    X: Features | None = None

    @property
    def streamed(self) -> bool:
        """Whether scores are made by the block."""
        return isinstance(self.scores, StreamedScores)


PAGE, METRICS, LABELS = "report.html", "metrics.json", "labels.csv"


@dataclass(frozen=True)
class ModelReport:
    """What was found, and where it is written."""

    path: Path
    overall: Table
    quality: Quality
    absent: list[str]
    """Sentences on labels that no row carries, and how metrics count them."""


def write_model_report(found: Evaluated, out: str | Path, repeat: str) -> ModelReport:
    """Write ``report.html``, ``metrics.json`` and ``labels.csv`` into a folder.

    Parameters
    ----------
    found : Evaluated
    out : str or Path
        It is made where it is missing.
    repeat : str
        The command that does it again.

    Raises
    ------
    ManyLabelError
        If the folder cannot be written, or holds files of somebody else.
    """
    require_matplotlib()
    folder = report_folder(out)
    quality = measure_decisions(found.scores, found.predictions, found.Y)
    parts = _slices(found)
    overall, labels = values_table(quality.values, ""), label_table(found, quality)
    absent = _absent(found.label_names, quality)
    page = render_page(
        "model_page.html.jinja",
        found=found,
        title=f"{Path(found.model).name} on {Path(found.data).name}",
        protocol=protocol_of(found.decision),
        overall=overall,
        labels=labels,
        most_labels=MOST_LABELS,
        learners=None if found.evidence is None else evidence_table(found.evidence),
        means=MEANS,
        parts=_slice_tables(parts),
        pictures=_pictures(found, quality),
        mistakes=_mistakes(found),
        repeat=repeat,
        n_unknown=found.Y.n_unknown,
        absent=absent,
    )
    files.write(folder / METRICS, _json(found, quality, parts))
    files.write(folder / LABELS, csv_text([labels.headings, *_numbers(found, quality)]).encode())
    files.write(folder / PAGE, page.encode())
    return ModelReport(folder / PAGE, overall, quality, absent)


def report_folder(out: str | Path) -> Path:
    """A folder that a report can be written to; it is made where it is missing.

    Raises
    ------
    ManyLabelError
        If it cannot be written, or holds other files, of which ``labels.csv`` would be replaced.
    """
    folder = files.usable_folder(out, "`out`")
    others = {path.name for path in folder.iterdir() if not files.is_own(path.name)} - {METRICS, LABELS, PAGE}
    if others:
        expected, hint = "a new or empty folder, or one of such a report", "Name another folder."
        raise ManyLabelError(f"`out`, {folder}", expected, f"one that holds {min(others)!r:.60}", hint)
    return folder


def protocol_of(decision: Decision) -> str:
    """In words, where the thresholds of a decision come from."""
    if isinstance(decision, Threshold) and decision.rule == "shared" and decision.value == 0.5:
        return "fixed: every threshold is 0.5"
    return "tuned: decisions were learnt before these rows were looked at, on training rows held out"


def values_table(values: Mapping[str, float], title: str) -> Table:
    """Every metric beside its value."""
    headings = tuple(DISPLAY_NAMES[metric] for metric in values)
    return Table(title, headings, (tuple(Cell(_shown(v)) for v in values.values()),), names=0)


def _absent(names: Sequence[str], quality: Quality) -> list[str]:
    """Sentences on labels that no row carries, and how metrics count them."""
    known, none = quality.per_label["known"] > 0, quality.per_label["positives"] == 0
    sentences = {
        "without a positive row here; the mAP leaves such labels out, the macro-F1 counts them as 0": known
        & none,
        "known of no row here, left out of every metric": ~known,
    }
    return [
        f"{which.sum()} of {len(names)} labels {told}: {_listed([names[c] for c in np.flatnonzero(which).tolist()])}."
        for told, which in sentences.items()
        if which.any()
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def label_table(found: Evaluated, quality: Quality) -> Table:
    """Support, threshold, precision, recall, F1 and average precision of the most frequent labels, in that order."""
    headings = ("label", "rows", "predicted", "threshold", "precision", "recall", "F1", "AP")
    rows = tuple(
        tuple(Cell(_shown(value)) for value in row) for row in _numbers(found, quality)[:MOST_LABELS]
    )
    return Table("", headings, rows)


def _numbers(found: Evaluated, quality: Quality) -> list[list[Any]]:
    of, thresholds = quality.per_label, _thresholds(found.decision, len(found.label_names))
    order = np.argsort(-of["positives"], kind="stable").tolist()
    columns = [of[name] for name in ("precision", "recall", "f1", "ap")]
    return [
        [
            found.label_names[c],
            int(of["positives"][c]),
            int(of["predicted"][c]),
            thresholds[c],
            *(None if np.isnan(column[c]) else float(column[c]) for column in columns),
        ]
        for c in order
    ]


def _thresholds(decision: Decision, n_labels: int) -> list[float | None]:
    """The threshold of each label; None where none decides."""
    if isinstance(decision, LearntThresholds):
        return [float(value) for value in decision.values]
    if isinstance(decision, Threshold) and decision.rule != "top_k":
        values = decision.value if isinstance(decision.value, tuple) else (decision.value,) * n_labels
        return [float(value) for value in values]
    return [None] * n_labels


def _slices(found: Evaluated) -> list[Slice]:
    """None where nothing is known of the labels of the training rows, and of streamed scores."""
    if found.Y_train is None or found.streamed:
        return []
    return slices(found.scores, found.predictions, found.Y, found.Y_train, found.groups)


def _slice_tables(parts: list[Slice]) -> list[Table]:
    """One table of labels, one of rows: they have other metrics."""
    tables = []
    for metrics in dict.fromkeys(tuple(part.values) for part in parts):
        headings = ("slice", "rows", "labels", "true entries", *(DISPLAY_NAMES[m] for m in metrics))
        rows = [
            (part.name, part.rows, part.labels, part.positives, *part.values.values())
            for part in parts
            if tuple(part.values) == metrics
        ]
        tables.append(Table("", headings, tuple(tuple(Cell(_shown(v)) for v in row) for row in rows)))
    return tables


def _mistakes(found: Evaluated) -> Mistakes | None:
    if found.X is None or isinstance(found.probabilities, StreamedScores):
        return None
    return mistakes_of(RowGallery(found.X, found.Y, found.label_names), found.probabilities)


def _pictures(found: Evaluated, quality: Quality) -> list[Picture]:
    positives = quality.per_label["positives"]
    by_frequency = np.argsort(-positives, kind="stable")
    told = np.sort(by_frequency[:MOST_LABELS])
    names = [found.label_names[c] for c in told.tolist()]
    f1 = f1_by_frequency(positives[told], quality.per_label["f1"][told], names)
    if isinstance(found.scores, StreamedScores):
        return [f1]
    of = {"scores": reliability(found.scores, found.Y)}
    if found.calibrated:
        of["calibrated"] = reliability(found.probabilities, found.Y)
    pictures = [reliability_diagram(of), f1]
    frequent = by_frequency[:_MOST_CURVES]
    shown = np.sort(frequent[positives[frequent] > 0])
    if isinstance(found.decision, LearntThresholds) and len(shown):
        pictures.append(_curves(found, found.scores[:, shown], found.decision, shown))
    return pictures


def _curves(found: Evaluated, scores: Array, decision: LearntThresholds, labels: Array) -> Picture:
    """F1 at every threshold of some labels, in ascending order."""
    chosen = decision.report()
    curves = f1_curves(scores, found.Y.sparse().select_labels(torch.from_numpy(labels)))
    numbers = labels.tolist()
    return f1_over_threshold(curves, [chosen[c] for c in numbers], [found.label_names[c] for c in numbers])


def _json(found: Evaluated, quality: Quality, parts: list[Slice]) -> bytes:
    told = {
        "model": found.model,
        "data": found.data,
        "method": found.method,
        "rows": len(found.Y),
        "unknown_entries": found.Y.n_unknown,
        "protocol": protocol_of(found.decision),
        "labels": list(found.label_names),
        **quality.to_dict(),
        "slices": [part.to_dict() for part in parts],
    }
    return (json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _shown(value: Any) -> str:
    if value is None or value != value:
        return "n/a"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
