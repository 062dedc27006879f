"""Model cards: what a model was trained on, how it was measured and how it decides, as a README of its folder."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from manylabel.methods.stacking.evidence import HEADINGS, MEANS, StackEvidence
from manylabel.metrics import Decision, ExpectedF1, LearntThresholds, Threshold
from manylabel.printable import printable

MOST_LABELS = 200
"""Labels that a card lists; the model has all."""

CHOSEN = {
    "fixed": "0.5 for every label",
    "tuned": "learnt on held-out rows",
    "oracle": "chosen on the scored rows themselves, and therefore optimistic",
}

USE = """```python
from manylabel.methods import Predictor

model = Predictor.from_hub({place!r})
model.predict(X)  # (n, {n_labels}) bool; label names in model.label_names
model.predict_proba(X)  # (n, {n_labels}) float32
```"""


def model_card(
    place: str,
    label_names: Sequence[str],
    decides: tuple[Decision, str],
    facts: Mapping[str, Any],
    data: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, float | None]],
    evidence: StackEvidence | None = None,
) -> str:
    """The text of a card; nothing in it that comes from outside is taken for markup.

    Parameters
    ----------
    place : str
        Where the model can be loaded from.
    label_names : sequence of n_labels str
    decides : (Decision, str)
        How labels are predicted, and what to know of it.
    facts : mapping
        Of the model: method, input, versions.
    data : mapping
        Of the training rows, such as ``name``, ``digest`` and ``rows``.
    metrics : mapping of protocol of thresholds to mapping of metric to value
    evidence : StackEvidence, optional
        What held-out rows say of the learners of a stack.
    """
    from huggingface_hub import ModelCardData

    head = ModelCardData(library_name="manylabel", tags=["multi-label-classification", "manylabel"])
    title = f"{facts.get('method', 'model')} with {len(label_names)} labels"
    parts = [
        f"---\n{head.to_yaml()}\n---",
        f"# {safe(title)}",
        USE.format(place=printable(place).replace("`", ""), n_labels=len(label_names)),
        "## Model\n\n" + table(("", ""), flattened(facts)),
        *([] if evidence is None else [f"## Learners\n\n{_learners(evidence)}"]),
        "## Data\n\n" + (table(("", ""), flattened(data)) if data else "Not told."),
        "## Metrics\n\n" + (_measured(metrics) if metrics else "Not told."),
        "## Decisions\n\n" + _decisions(label_names, *decides),
    ]
    return "\n\n".join(parts) + "\n"


def safe(text: Any) -> str:
    """A text on one line that Markdown and HTML show as it is."""
    line = html.escape(printable(str(text)), quote=False)
    return re.sub(r"([\\`*_{}\[\]()+!|~:@-])", r"\\\1", line)


def table(heading: Sequence[str], rows: Any) -> str:
    """A Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    cells = ([text if i == 1 else safe(text) for text in line] for i, line in enumerate(lines))
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def flattened(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts, one a line."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", str(value)


def _learners(evidence: StackEvidence) -> str:
    return f"{table(HEADINGS, (map(safe, row) for row in evidence.rows()))}\n\n{safe(MEANS)}"


def _measured(metrics: Mapping[str, Mapping[str, float | None]]) -> str:
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    rows = [
        (protocol, *(_number(values.get(name)) for name in names)) for protocol, values in metrics.items()
    ]
    notes = (f"- {safe(name)}: thresholds {CHOSEN[name]}." for name in metrics if name in CHOSEN)
    return "\n\n".join([table(("protocol", *names), rows), "\n".join(notes)]).strip()


def _decisions(label_names: Sequence[str], decision: Decision, note: str) -> str:
    if not isinstance(decision, Threshold | LearntThresholds):
        aim = (
            "the highest expected F1"
            if isinstance(decision, ExpectedF1)
            else "the most probable seen label set"
        )
        return f"Each row gets {aim}, by calibrated probabilities. {safe(note)}".strip()
    values = decision.values.tolist() if isinstance(decision, LearntThresholds) else decision.value
    each = values if isinstance(values, tuple | list) else (values,) * len(label_names)
    what = "labels a row" if isinstance(decision, Threshold) and decision.rule == "top_k" else "threshold"
    rows = list(zip(label_names, map(_number, each), strict=True))
    text = safe(note) or "Learnt on held-out rows."
    left = (
        f"\n\n{len(rows) - MOST_LABELS} more labels in the model folder." if len(rows) > MOST_LABELS else ""
    )
    return f"{text}\n\n{table(('label', what), rows[:MOST_LABELS])}{left}"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"
