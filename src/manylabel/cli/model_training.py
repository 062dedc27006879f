"""Training behind the command fit: rows held out, a method trained on the others, decisions learnt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manylabel.cli.output import make_console
from manylabel.cli.training_progress import TrainingDisplay
from manylabel.errors import ManyLabelError

if TYPE_CHECKING:
    from manylabel.data import Rows
    from manylabel.data.own_rows import OwnRows
    from manylabel.methods import Predictor
    from manylabel.metrics import Quality

SHARE = 0.2  # of the rows, held out where no validation rows are given
RULES = {
    "tuned": "per_label",
    **{name: name for name in ("shared", "fixed", "top_k", "expected_f1", "seen_sets")},
}
FOLDS = 3


def train(rows: OwnRows, asked: Mapping[str, Any], folder: Path) -> tuple[Predictor, Quality]:
    """Train a model with progress, and measure its decisions on the rows held out.

    Raises
    ------
    ManyLabelError
        If the method, its settings, the rule or the validation rows cannot be used.
    """
    from manylabel import methods

    method = methods.get(asked["method"], **asked["settings"])
    rule = _checked_rule(asked["thresholds"])
    training, validation = _parts(rows, asked)
    with TrainingDisplay(make_console(stderr=True)) as display:
        model = method.fit(
            training,
            validation,
            seed=asked["seed"],
            folder=folder,
            progress=display,
            label_names=rows.label_names,
        )
    return _decide(model, rule, training, validation)


def _checked_rule(text: str) -> str | float:
    from manylabel.errors import did_you_mean

    if text in RULES:
        return RULES[text]
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        hint = did_you_mean(text, RULES)
        raise ManyLabelError(
            "`thresholds`", f"one of {', '.join(RULES)}, or a number from 0 to 1", repr(text), hint
        )
    return number


def _parts(rows: OwnRows, asked: Mapping[str, Any]) -> tuple[Rows, Rows]:
    """Training and validation rows."""
    from manylabel.data import Rows
    from manylabel.data.own_rows import read_test_rows
    from manylabel.data.splits import held_out_rows

    given = asked["validation"]
    every = Rows(rows.X, rows.Y)
    if given is not None and Path(given).exists():
        reading = {name: asked[name] for name in ("delimiter", "encoding")} if rows.schema else {}
        held = read_test_rows(given, rows.schema, rows.label_names, **reading)
        return every, Rows(held.X, held.Y)
    drawn = held_out_rows(rows.Y, _share(given), asked["seed"], "`validation`")
    return every.take(~drawn), every.take(drawn)


def _share(given: str | None) -> float:
    if given is None:
        return SHARE
    try:
        share = float(given)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise ManyLabelError("`validation`", "an existing file, or a share between 0 and 1", repr(given))
    return share


def _decide(
    model: Predictor, rule: str | float, training: Rows, validation: Rows
) -> tuple[Predictor, Quality]:
    import numpy as np

    from manylabel.metrics import Calibration, Threshold, learn_decision, measure_decisions

    S, n = model.scores(validation.X), len(validation)
    folds = np.random.default_rng(0).permutation(n) % min(FOLDS, n)
    if isinstance(rule, float):
        model.decision = Threshold("shared", rule)
    elif not model.note:
        model.calibration = Calibration.fit(S, validation.Y, folds)
        P = model.probabilities(S) if rule in ("expected_f1", "seen_sets") else S
        model.decision = learn_decision(rule, P, validation.Y, folds, Y_train=training.Y)  # type: ignore[arg-type]
    return model, measure_decisions(S, model.decided(S), validation.Y)
