"""The rule "per_metric" against loops over entries: shrunk thresholds per label for the macro-F1, shared ones else."""

import numpy as np
import pytest

from manylabel import metrics
from manylabel.labels import as_labels
from manylabel.metrics import GRID, Counts, StreamedScores, Threshold, evaluate, learn_thresholds
from manylabel.metrics.expected_curve import FINE_GRID, SHRINKAGE, expected_curve
from manylabel.metrics.thresholds import SET_METRICS

UNKNOWN = np.nan


def draw(n=120, seed=0, unknown=0.0):
    """Labels from frequent to absent, scores that lean towards them, some in the corners."""
    draw = np.random.default_rng(seed)
    Y = (draw.random((n, 6)) < [0.6, 0.3, 0.1, 0.03, 0.0, 1.0]).astype(float)
    S = np.clip(draw.normal(0.2 + 0.3 * Y, 0.15), 0, 1)
    S[draw.random(S.shape) < 0.05] = 0.2
    Y[draw.random(Y.shape) < unknown] = UNKNOWN
    return S, Y


def interval(score, grid):
    return sum(t <= score for t in grid)


def rising(shares, weights):
    """Pool neighbours that fall, one pair after the other."""
    pools = [[share, weight, 1] for share, weight in zip(shares, weights, strict=True)]
    i = 0
    while i + 1 < len(pools):
        (a, v, m), (b, w, n) = pools[i], pools[i + 1]
        if a > b:
            pools[i : i + 2] = [[(a * v + b * w) / (v + w), v + w, m + n]]
            i = max(i - 1, 0)
        else:
            i += 1
    return [share for share, _, n in pools for _ in range(n)]


def twin(S, Y, grid):
    """(curve to maximise of each label and threshold, expected curve alone)."""
    known = [(S[i, j], Y[i, j], j) for i in range(len(S)) for j in range(S.shape[1]) if Y[i, j] == Y[i, j]]
    positives, entries = [0.0] * (len(grid) + 1), [1e-9] * (len(grid) + 1)
    for score, true, _ in known:
        positives[interval(score, grid)] += true
        entries[interval(score, grid)] += 1
    shares = [p / max(e - 1e-9, 1) for p, e in zip(positives, entries, strict=True)]
    q = rising(shares, entries)
    mixed, expected = np.zeros((S.shape[1], len(grid))), np.zeros((S.shape[1], len(grid)))
    for j in range(S.shape[1]):
        own = [(score, true, q[interval(score, grid)]) for score, true, label in known if label == j]
        n = sum(true for _, true, _ in own)
        weight = n / (n + SHRINKAGE)
        for k, t in enumerate(grid):
            above = [each for each in own if each[0] >= t]
            bottom = len(above) + sum(p for *_, p in own)
            expected[j, k] = 2 * sum(p for *_, p in above) / bottom if bottom else 0
            f1 = 2 * sum(true for _, true, _ in above) / (len(above) + n) if len(above) + n else 0
            mixed[j, k] = weight * f1 + (1 - weight) * expected[j, k]
    return mixed, expected


@pytest.mark.parametrize("grid", [None, GRID], ids=["fine", "nine"])
@pytest.mark.parametrize("unknown", [0.0, 0.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_macro_f1_has_shrunk_thresholds_per_label(seed, unknown, grid):
    S, Y = draw(seed=seed, unknown=unknown)
    learnt = learn_thresholds(S, Y, rule="per_metric", grid=grid)["macro_f1"]
    used = FINE_GRID if grid is None else grid
    mixed, expected = twin(S, Y, used)
    counts = Counts.sweep(S, Y, used)
    np.testing.assert_allclose(expected_curve(counts.labels), expected, atol=1e-9)
    assert learnt.rule == "per_label"
    for j, t in enumerate(learnt.value):
        assert mixed[j, used.index(t)] == pytest.approx(mixed[j].max(), abs=1e-9)


@pytest.mark.parametrize("metric", [metric for metric in SET_METRICS if metric != "macro_f1"])
def test_every_other_metric_has_one_threshold_of_the_fine_grid(metric):
    S, Y = draw()
    learnt = learn_thresholds(S, Y, [metric], rule="per_metric")[metric]
    values = [float(SET_METRICS[metric](Counts.of(t <= S, Y))) for t in FINE_GRID]
    assert learnt == Threshold("shared", FINE_GRID[int(np.nanargmax(values))])


def test_rare_labels_take_the_expected_threshold_and_frequent_ones_their_own():
    draw = np.random.default_rng(0)
    Y = np.zeros((4000, 3), dtype=bool)
    Y[:2000, 0] = Y[:2, 1] = Y[2000:, 2] = True
    S = np.clip(draw.normal(0.3 + 0.4 * Y, 0.1), 0, 1)
    S[:, 2] = np.clip(S[:, 2] - 0.2, 0, 1)  # its own scale
    S[:2, 1] = 0.05  # two positives that run against the scores
    found = learn_thresholds(S, Y, ["macro_f1"], rule="per_metric")["macro_f1"].value
    assert found[1] > 0.4
    assert found[2] < found[0] - 0.1


def test_scores_made_by_the_block_learn_the_same():
    S, Y = draw()
    streamed = StreamedScores(lambda rows: S[rows], S.shape)
    whole = learn_thresholds(S, Y, tuple(SET_METRICS), rule="per_metric")
    assert learn_thresholds(streamed, as_labels(Y), tuple(SET_METRICS), rule="per_metric") == whole


def test_evaluate_measures_each_metric_at_its_own():
    (S, Y), held_out = draw(seed=2), draw(seed=3)
    found = evaluate(S, Y, validation=held_out, rule="per_metric")
    learnt = learn_thresholds(*held_out, rule="per_metric")
    assert (found.protocol, found.rule) == ("tuned", "per_metric")
    for metric in ("macro_f1", "micro_f1", "example_f1", "hamming_accuracy"):
        assert found.thresholds[metric] == learnt[metric].value
        at = Counts.of(learnt[metric].predict(S), Y)
        assert found.values[metric] == float(SET_METRICS[metric](at))
    assert found.to_dict()["thresholds"]["macro_f1"] == list(learnt["macro_f1"].value)


def test_a_threshold_itself_is_of_no_metric():
    with pytest.raises(ValueError, match="a rule of shared, per_label, top_k, but got 'per_metric'"):
        metrics.Threshold("per_metric", 0.5)
