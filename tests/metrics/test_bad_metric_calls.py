"""Calls of the metrics that cannot be meant are refused by name, with what was expected and what came."""

import numpy as np
import pytest
import torch

from manylabel import ManyLabelError, metrics

NAN, INF = float("nan"), float("inf")
S = np.random.default_rng(0).random((8, 3)).astype(np.float32)
Y = np.random.default_rng(1).random((8, 3)) < 0.5


def evaluate(scores=S, labels=Y, protocol="oracle", **call):
    return metrics.evaluate(scores, labels, protocol=protocol, **call)


SCORES = {
    "None": None,
    "a text": "scores",
    "a number": 0.5,
    "one axis": S[:, 0],
    "three axes": S[None],
    "rows of unlike lengths": [[0.1, 0.2, 0.3]] * 7 + [[0.1]],
    "texts": [["a", "b", "c"]] * 8,
    "objects": np.array([[object()] * 3] * 8, dtype=object),
    "complex": S * 1j,
    "NaN": np.where(S > 0.9, NAN, S),
    "masked": np.ma.masked_greater(S, 0.9),
    "other rows": S[:7],
    "other labels": S[:, :2],
    "no rows": S[:0],
    "sparse": torch.from_numpy(S).to_sparse(),
    "on meta": torch.from_numpy(S).to("meta"),
}

CALLS = {
    "k 0": lambda: metrics.precision_at_k(S, Y, 0),
    "k 4 of 3": lambda: metrics.precision_at_k(S, Y, 4),
    "k 1.5": lambda: metrics.precision_at_k(S, Y, 1.5),
    "k 1.0": lambda: metrics.recall_at_k(S, Y, 1.0),
    "k as text": lambda: metrics.recall_at_k(S, Y, "1"),
    "k None": lambda: metrics.ndcg_at_k(S, Y, None),
    "k True": lambda: metrics.top_k(S, True),
    "k NaN": lambda: metrics.top_k(S, NAN),
    "empty unknown": lambda: metrics.ndcg_at_k(S, Y, 1, empty="drop"),
    "absent unknown": lambda: metrics.mean_average_precision(S, Y, absent="drop"),
    "absent a list": lambda: metrics.mean_average_precision(S, Y, absent=["zero"]),
    "counted of numbers": lambda: metrics.average_precision(S, Y, counted=S),
    "counted of another shape": lambda: metrics.average_precision(S, Y, counted=Y[:2]),
    "counted of texts": lambda: metrics.average_precision(S, Y, counted=[["a"]]),
    "a NaN": lambda: metrics.propensities(Y, a=NAN),
    "a as text": lambda: metrics.propensities(Y, a="0.5"),
    "b 0": lambda: metrics.propensities(Y, b=0),
    "b -2": lambda: metrics.propensities(Y, b=-2),
    "propensities of two rows": lambda: metrics.propensities(Y[:2]),
    "propensity 0": lambda: metrics.propensity_scored_precision_at_k(S, Y, np.zeros(3)),
    "propensity NaN": lambda: metrics.propensity_scored_precision_at_k(S, Y, np.full(3, NAN)),
    "propensity of other labels": lambda: metrics.propensity_scored_precision_at_k(S, Y, np.ones(2)),
    "propensity of texts": lambda: metrics.propensity_scored_precision_at_k(S, Y, ["a", "b", "c"]),
    "bins 0": lambda: metrics.calibration_error(S, Y, bins=0),
    "bins 2.5": lambda: metrics.calibration_error(S, Y, bins=2.5),
    "bins as text": lambda: metrics.calibration_error(S, Y, bins="15"),
    "bins of a terabyte": lambda: metrics.calibration_error(S, Y, bins=10**11),
    "calibration of logits": lambda: metrics.calibration_error(10 * S, Y),
    "Brier score of logits": lambda: metrics.brier_score(10 * S, Y),
    "predictions in between": lambda: metrics.Counts.of(S, Y),
    "sweep of no thresholds": lambda: metrics.Counts.sweep(S, Y, []),
    "sweep that falls": lambda: metrics.Counts.sweep(S, Y, [0.5, 0.1]),
    "sweep of NaN": lambda: metrics.Counts.sweep(S, Y, [NAN]),
    "sweep of texts": lambda: metrics.Counts.sweep(S, Y, ["a"]),
    "sweep of a number": lambda: metrics.Counts.sweep(S, Y, 0.5),
    "sweep finer than the scores": lambda: metrics.Counts.sweep(S, Y, [0.5, 0.5 + 1e-12]),
    "zero division 2": lambda: metrics.Counts.of(Y, Y).macro_f1(2),
    "zero division as text": lambda: metrics.Counts.of(Y, Y).macro_f1("warn"),
    "threshold of an unknown rule": lambda: metrics.Threshold("foo", 0.1),
    "threshold of no rule": lambda: metrics.Threshold(None, 0.1),
    "threshold NaN": lambda: metrics.Threshold("shared", NAN),
    "threshold None": lambda: metrics.Threshold("shared", None),
    "threshold as text": lambda: metrics.Threshold("shared", "0.5"),
    "no thresholds": lambda: metrics.Threshold("per_label", ()),
    "thresholds of two axes": lambda: metrics.Threshold("per_label", [[0.1, 0.2]]),
    "thresholds of other labels": lambda: metrics.Threshold("per_label", (0.1, 0.2)).predict(S),
    "top 1.5": lambda: metrics.Threshold("top_k", 1.5),
    "top 0": lambda: metrics.Threshold("top_k", 0),
    "top of each label": lambda: metrics.Threshold("top_k", (1, 2, 3)),
    "top 4 of 3": lambda: metrics.Threshold("top_k", 4).predict(S),
    "learn, grid beyond 1": lambda: metrics.learn_thresholds(S, Y, grid=(-1.0, 2.0)),
    "learn, grid that repeats": lambda: metrics.learn_thresholds(S, Y, grid=(0.5, 0.5)),
    "learn, no grid": lambda: metrics.learn_thresholds(S, Y, grid=()),
    "learn, grid of None": lambda: metrics.learn_thresholds(S, Y, grid=[None]),
    "learn, unknown rule": lambda: metrics.learn_thresholds(S, Y, rule="best"),
    "learn, a metric without threshold": lambda: metrics.learn_thresholds(S, Y, ["map"]),
    "learn, no metrics": lambda: metrics.learn_thresholds(S, Y, []),
    "learn, logits": lambda: metrics.learn_thresholds(10 * S, Y),
    "no metrics": lambda: evaluate(metrics=[]),
    "metrics as text": lambda: evaluate(metrics="map"),
    "metrics None": lambda: evaluate(metrics=None),
    "metrics of numbers": lambda: evaluate(metrics=[1]),
    "metrics of lists": lambda: evaluate(metrics=[["map"]]),
    "metric unknown": lambda: evaluate(metrics=["mAP"]),
    "grid NaN": lambda: evaluate(grid=[NAN]),
    "grid 5": lambda: evaluate(grid=[5.0]),
    "grid of texts": lambda: evaluate(grid=["a"]),
    "grid 5 without a threshold": lambda: evaluate(grid=[5.0], metrics=["map"]),
    "scores inf": lambda: evaluate(S * INF, metrics=["map"]),
    "scores -inf": lambda: evaluate(-S * INF, metrics=["map"]),
    "protocol unknown": lambda: evaluate(protocol="best"),
    "protocol None": lambda: evaluate(protocol=None),
    "rule unknown, no threshold": lambda: evaluate(rule="best", metrics=["map"]),
    "rule a list": lambda: evaluate(rule=["shared"]),
    "rule per label for fixed": lambda: evaluate(protocol="fixed", rule="per_label"),
    "absent unknown, no mAP": lambda: evaluate(absent="drop", metrics=["lrap"]),
    "tuned without validation": lambda: evaluate(protocol="tuned"),
    "validation as scores": lambda: evaluate(protocol="tuned", validation=S),
    "validation of three": lambda: evaluate(protocol="tuned", validation=(S, Y, S)),
    "validation of other labels": lambda: evaluate(protocol="tuned", validation=(S[:, :2], Y[:, :2])),
    "validation of logits": lambda: evaluate(protocol="tuned", validation=(10 * S, Y)),
    "validation NaN": lambda: evaluate(protocol="tuned", validation=(S * NAN, Y)),
}


def refusal(call):
    with np.errstate(all="ignore"), pytest.raises(ManyLabelError) as caught:
        call()
    error = caught.value
    assert error.who
    assert error.expected
    assert error.got


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("metric", [metrics.average_precision, metrics.lrap, metrics.brier_score, evaluate])
def test_scores_that_cannot_be_measured(name, metric):
    refusal(lambda: metric(SCORES[name], Y))


@pytest.mark.parametrize("name", CALLS)
def test_calls_that_cannot_be_meant(name):
    refusal(CALLS[name])


@pytest.mark.parametrize(
    "scores",
    [
        S.tolist(),
        tuple(map(tuple, S.tolist())),
        np.asfortranarray(S),
        S[::-1][::-1],
        S.astype(S.dtype.newbyteorder()),
        S.astype(np.longdouble),
        np.ma.masked_array(S, False),
        torch.from_numpy(S).requires_grad_(),
    ],
    ids=["lists", "tuples", "columns first", "reversed", "swapped", "long double", "mask", "graph"],
)
def test_scores_of_any_container_are_measured_alike(scores):
    assert evaluate(scores).values == pytest.approx(evaluate().values)


def test_thresholds_of_an_array_can_be_kept():
    threshold = metrics.Threshold("per_label", np.array([0.1, 0.2, 0.3]))
    assert threshold.value == (0.1, 0.2, 0.3)
    assert hash(threshold) == hash(metrics.Threshold("per_label", (0.1, 0.2, 0.3)))


@pytest.mark.parametrize(("written", "meant"), [("mAP", "map"), ("macro-F1", "macro_f1"), ("LRAP", "lrap")])
def test_a_metric_as_tables_print_it_is_told_by_its_name(written: str, meant: str) -> None:
    with pytest.raises(ManyLabelError, match=f"Did you mean '{meant}'"):
        metrics.evaluate(S, Y, "fixed", metrics=(written,))
