"""Cross-fitted thresholds against exhaustive search, and what they say of themselves."""

import json

import numpy as np
import pytest
from scipy.special import expit, logit

from manylabel.labels import as_labels
from manylabel.metrics import Counts
from manylabel.metrics.f1_curve import F1Curve, best_shared, cuts
from manylabel.metrics.held_out import Column, HeldOut
from manylabel.metrics.learnt_thresholds import LearntThresholds, learn_label_thresholds


def draw(n=90, shares=(0.5, 0.2, 0.1, 0.04), seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    Y = rng.random((n, len(shares))) < shares
    S = np.clip(rng.normal(0.3 + 0.25 * Y, 0.2), 0, 1).astype(dtype)
    return np.round(S, 2), Y, np.arange(n) % 5


def columns(S, Y):
    held_out = HeldOut.of(S, Y, np.arange(len(S)) % 2, "test")
    return [held_out.column(label) for label in range(held_out.n_labels)]


def macro(P, Y):
    return float(Counts.of(P, Y).macro_f1())


def test_curve_has_every_label_set_that_a_threshold_can_give():
    S, Y, _ = draw()
    for label, column in enumerate(columns(S, Y)):
        curve = F1Curve.of(column)
        s, y = S[:, [label]], Y[:, [label]]
        assert len(curve.thresholds) == len(np.unique(s))
        np.testing.assert_allclose(curve.f1, [macro(t <= s, y) for t in curve.thresholds])
        assert curve.f1.max() == pytest.approx(max(macro(t <= s, y) for t in np.linspace(0, 1, 501)))
        assert curve.best == curve.thresholds[curve.f1.argmax()]


def test_shared_threshold_is_the_best_of_all():
    for seed in range(5):
        S, Y, _ = draw(seed=seed)
        every = [macro(t <= S, Y) for t in np.unique(S)]
        found = best_shared(columns(S, Y))
        assert macro(np.float32(found) <= S, Y) == pytest.approx(max(every))


def test_cuts_split_neighbouring_floats():
    one = np.float32(0.3)
    scores = np.array([one, np.nextafter(one, np.float32(1))])
    lowest, between = cuts(scores)
    assert (lowest <= scores).all()
    assert (between <= scores).tolist() == [False, True]


def test_thresholds_are_the_shrunk_mean_of_the_folds():
    S, Y, folds = draw()
    learnt = learn_label_thresholds(S, Y, folds, shrinkage=3.0)
    shared, mixed = [], []
    for fold in range(5):
        rest = columns(S[folds != fold], Y[folds != fold])
        u = logit(best_shared(rest))
        n = Y[folds != fold].sum(0)
        t = logit([F1Curve.of(column).best for column in rest])
        shared.append(u)
        mixed.append((n * t + 3 * u) / (n + 3))
    np.testing.assert_allclose(learnt.values, expit(np.mean(mixed, axis=0)))
    np.testing.assert_allclose(learnt.spreads, expit(mixed).std(0))
    assert learnt.shared == pytest.approx(expit(np.mean(shared)))
    np.testing.assert_array_equal(learnt.positives, Y.sum(0))


def test_shared_thresholds_are_one():
    learnt = learn_label_thresholds(*draw(), "shared")
    assert set(learnt.values) == {learnt.shared}
    assert set(learnt.sources) == {"shared"}
    assert (learnt.spreads > 0).all()


def test_labels_without_positives_or_negatives_fall_back_to_the_shared_threshold():
    S, Y, folds = draw(shares=(0.5, 0.0, 1.0, 0.03), n=400)
    report = learn_label_thresholds(S, Y, folds).report()
    assert [of.source for of in report] == ["own", "shared", "shared", "shrunk"]
    assert report[1].value == report[2].value == learn_label_thresholds(S, Y, folds).shared
    assert [of.positives for of in report] == Y.sum(0).tolist()


def test_without_any_positive():
    S, Y, folds = draw(shares=(0.0, 0.0))
    assert [of.value for of in learn_label_thresholds(S, Y, folds).report()] == [0.5, 0.5]


def test_rare_labels_are_drawn_towards_the_shared_threshold():
    S, Y, folds = draw(n=500, shares=(0.4, 0.02))
    own, shrunk = (learn_label_thresholds(S, Y, folds, shrinkage=k) for k in (0.0, 20.0))
    kept = np.abs(logit(shrunk.values) - logit(shrunk.shared)) / np.abs(logit(own.values) - logit(own.shared))
    assert kept[1] < 0.5 < 0.8 < kept[0] < 1


def test_unknown_entries_are_as_rows_that_are_not_there():
    S, Y, folds = draw()
    known = np.random.default_rng(1).random(Y.shape) < 0.6
    learnt = learn_label_thresholds(S, Y, folds, known=known)
    flipped = learn_label_thresholds(S, Y ^ ~known, folds, known=known)
    np.testing.assert_array_equal(learnt.values, flipped.values)
    np.testing.assert_array_equal(learnt.positives, (Y & known).sum(0))
    rows = np.r_[:60]
    whole = np.repeat((np.arange(90) < 60)[:, None], 4, axis=1)
    hidden, short = (
        learn_label_thresholds(S, Y, folds, known=whole),
        learn_label_thresholds(S[rows], Y[rows], folds[rows]),
    )
    np.testing.assert_array_equal(hidden.values, short.values)


def test_a_label_that_is_nowhere_known():
    S, Y, folds = draw()
    known = np.ones(Y.shape, dtype=bool)
    known[:, 1] = False
    of = learn_label_thresholds(S, Y, folds, known=known).report()[1]
    assert (of.positives, of.source) == (0, "shared")


def test_order_of_rows_and_layout_of_labels_do_not_matter():
    S, Y, folds = draw()
    learnt, order = learn_label_thresholds(S, Y, folds), np.random.default_rng(0).permutation(90)
    for other in (
        learn_label_thresholds(S[order], Y[order], folds[order]),
        learn_label_thresholds(S, as_labels(Y).sparse(), 7 + 3 * folds),
    ):
        np.testing.assert_array_equal(learnt.values, other.values)


def test_state():
    S, Y, folds = draw()
    learnt = learn_label_thresholds(S, Y, folds)
    plain, arrays = learnt.state()
    back = LearntThresholds.from_state(json.loads(json.dumps(plain, allow_nan=False)), arrays)
    assert back.report() == learnt.report()
    np.testing.assert_array_equal(back.predict(S), learnt.predict(S))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": np.zeros(90, int)}, "at least two folds, but got 1"),
        ({"folds": np.arange(89)}, "`folds` as 90 integers"),
        ({"folds": np.arange(90) / 2}, "`folds` as 90 integers, one per row, but got float64"),
        ({"known": np.ones((90, 3), bool)}, r"`known` of shape \(90, 4\)"),
        ({"known": np.ones((90, 4))}, "`known` as booleans"),
        ({"Y": np.zeros((89, 4))}, r"labels of shape \(90, 4\)"),
        ({"scores": np.full((90, 4), 2.0)}, r"scores in \[0, 1\]"),
        ({"extent": "best"}, 'extent to be "shared" or "per_label"'),
        ({"shrinkage": -1}, "`shrinkage` to be a finite number of at least 0"),
    ],
)
def test_what_cannot_be_learnt_from_is_refused(change, message):
    S, Y, folds = draw()
    with pytest.raises(ValueError, match=message):
        learn_label_thresholds(**({"scores": S, "Y": Y, "folds": folds} | change))


def test_a_column_of_no_rows():
    empty = Column(np.zeros(0), np.zeros(0, bool), np.zeros(0, int))
    assert empty.one_sided
    assert best_shared([empty]) == 0.5
