"""Metrics of labels of which some entries are unknown: those of the known entries, and of nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as sk
from tests.metrics.block_cases import METRICS as OF_BLOCKS
from tests.metrics.block_cases import C, N, S, Y
from tests.metrics.test_metric_properties import ALL, CUT_IN_TIES, PER_LABEL, SCALARS, draw

from manylabel import ManyLabelError, metrics
from manylabel.labels import as_labels
from manylabel.metrics import Counts, StreamedScores, TopScores

NAN = float("nan")
SHORT = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def hidden(Y, share=0.3, seed=5):
    """The labels with a share of their entries unknown; label 1 and row 3 as a whole, and most of row 4."""
    Y = Y.astype(float)
    Y[np.random.default_rng(seed).random(Y.shape) < share] = NAN
    Y[:, 1] = Y[3] = Y[4, 2:] = NAN
    return Y


@st.composite
def cases(draw_from):
    shape = draw_from(st.tuples(st.integers(1, 12), st.integers(1, 5)))
    places = arrays.arrays(np.float64, shape, elements=st.integers(0, 4).map(lambda n: n / 4))
    entries = arrays.arrays(np.float64, shape, elements=st.sampled_from([0.0, 1.0, NAN]))
    return draw_from(places), draw_from(entries.filter(lambda Y: not np.isnan(Y).all()))


@SHORT
@given(cases())
def test_values_of_labels_are_those_of_scikit_learn_on_the_rows_that_know_them(case):
    S, Y = case
    ap, brier = metrics.average_precision(S, Y), metrics.brier_score(S, Y)
    tally = Counts.of(S >= 0.5, Y).labels
    f1, precision, recall = tally.f1(), tally.precision(), tally.recall()
    for c in range(S.shape[1]):
        rows = ~np.isnan(Y[:, c])
        assert tally.known[c] == rows.sum()
        if not rows.any():
            assert np.isnan([ap[c], brier[c], f1[c], precision[c], recall[c]]).all()
            continue
        y, s, p = Y[rows, c], S[rows, c], S[rows, c] >= 0.5
        assert brier[c] == pytest.approx(np.square(s - y).mean())
        for ours, theirs in ((f1, sk.f1_score), (precision, sk.precision_score), (recall, sk.recall_score)):
            np.testing.assert_allclose(ours[c], theirs(y, p, zero_division=np.nan), atol=1e-12)
        if y.any():
            assert ap[c] == pytest.approx(sk.average_precision_score(y, s))
        else:
            assert np.isnan(ap[c])
    known = ~np.isnan(Y)
    counts = Counts.of(S >= 0.5, Y)
    assert counts.hamming_accuracy() == pytest.approx(1 - sk.hamming_loss(Y[known], S[known] >= 0.5))
    assert counts.micro_f1() == pytest.approx(sk.f1_score(Y[known], S[known] >= 0.5, zero_division=0))


OF_ROWS = {
    "coverage_error": sk.coverage_error,
    "ranking_loss": sk.label_ranking_loss,
    "lrap": sk.label_ranking_average_precision_score,
    "ndcg_at_2": lambda y, s: sk.ndcg_score(y, s, k=2) if y.any() else NAN,
}


@SHORT
@given(cases())
def test_values_of_rows_are_those_of_scikit_learn_on_the_labels_known_of_them(case):
    S, Y = case
    rows = [(y[~np.isnan(y)], s[~np.isnan(y)]) for y, s in zip(Y, S, strict=True) if not np.isnan(y).all()]
    several = [(y[None], s[None]) for y, s in rows if len(y) > 1]
    for name, metric in OF_ROWS.items():
        if len(several) < len(rows) or S.shape[1] < 2:
            continue  # scikit-learn ranks two labels at least
        values = [metric(y, s) for y, s in several]
        want = np.nanmean(values) if not np.isnan(values).all() else NAN
        np.testing.assert_allclose(SCALARS[name](S, Y), want, atol=1e-12)
    exact = np.mean([((s >= 0.5) == y).all() for y, s in rows])
    assert Counts.of(S >= 0.5, Y).subset_accuracy() == pytest.approx(exact)
    f1 = [
        2 * (y * (s >= 0.5)).sum() / (y.sum() + (s >= 0.5).sum())
        for y, s in rows
        if y.any() or (s >= 0.5).any()
    ]
    np.testing.assert_allclose(Counts.of(S >= 0.5, Y).example_f1(), np.mean(f1) if f1 else NAN)
    ranked = [y[np.argsort(-s, kind="stable")] for y, s in rows]
    for k in range(1, S.shape[1] + 1):
        assert metrics.precision_at_k(S, Y, k) == pytest.approx(np.mean([y[:k].mean() for y in ranked]))
        found = [y[:k].sum() / y.sum() for y in ranked if y.any()]
        np.testing.assert_allclose(metrics.recall_at_k(S, Y, k), np.mean(found) if found else NAN)


@pytest.mark.parametrize("name", ALL)
def test_a_row_hidden_as_a_whole_is_a_row_removed(name):
    S, Y = draw()
    Y = hidden(Y)
    np.testing.assert_allclose(ALL[name](S, Y), ALL[name](np.delete(S, 3, 0), np.delete(Y, 3, 0)), rtol=1e-12)


@pytest.mark.parametrize("name", sorted(SCALARS.keys() | CUT_IN_TIES.keys() - {"psp_at_2"}))
def test_a_label_that_is_nowhere_known_is_a_label_removed(name):
    S, Y = draw()
    Y = hidden(Y)
    metric = (SCALARS | CUT_IN_TIES)[name]
    assert metric(S, Y) == pytest.approx(metric(np.delete(S, 1, 1), np.delete(Y, 1, 1)), rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0, NAN])
def test_no_rule_for_0_by_0_counts_what_is_not_known(value):
    S, Y = draw()
    Y = hidden(Y)
    whole = Counts.of(S > 0.5, Y)
    labels = Counts.of(np.delete(S, 1, 1) > 0.5, np.delete(Y, 1, 1))
    rows = Counts.of(np.delete(S, 3, 0) > 0.5, np.delete(Y, 3, 0))
    for metric in ("macro_f1", "class_precision", "class_recall", "class_f1"):
        assert getattr(whole, metric)(value) == pytest.approx(getattr(labels, metric)(value))
    assert whole.example_f1(value) == pytest.approx(rows.example_f1(value))


@pytest.mark.parametrize("name", ALL)
def test_a_matrix_that_calls_nothing_unknown_gives_the_same_bits(name):
    S, Y = draw()
    marked = as_labels(Y)
    marked = marked.with_unknown(as_labels(np.zeros_like(Y)))
    assert marked.has_unknown
    np.testing.assert_array_equal(ALL[name](S, marked), ALL[name](S, Y))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("layout", [as_labels, lambda Y: as_labels(Y).sparse()], ids=["dense", "lists"])
def test_blocks_and_layouts(name, layout, monkeypatch):
    S, Y = draw()
    Y = layout(hidden(Y))
    whole = ALL[name](S, Y)
    monkeypatch.setattr("manylabel.metrics.scores.ENTRIES_AT_ONCE", 30)
    np.testing.assert_allclose(ALL[name](S, Y), whole, rtol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_scores_of_unknown_entries_do_not_matter(name):
    S, Y = draw()
    Y = hidden(Y)
    other = np.where(np.isnan(Y), np.random.default_rng(9).random(S.shape), S)
    np.testing.assert_array_equal(ALL[name](other, Y), ALL[name](S, Y))


@pytest.mark.parametrize("name", sorted(OF_BLOCKS.keys() - {"of", "top_k thresholds", "evaluate"}))
def test_streamed_scores(name):
    labels = as_labels(Y)
    gone = np.random.default_rng(2).random((N, C)) < 0.05
    labels = labels.with_unknown(as_labels(gone & ~Y.toarray()).sparse())
    streamed = StreamedScores(lambda rows: S[rows], S.shape)
    np.testing.assert_array_equal(OF_BLOCKS[name](streamed, labels), OF_BLOCKS[name](S, labels))


def test_the_highest_scores_of_each_row_are_enough_where_enough_of_them_are_known():
    S, Y = draw(60, 12, decimals=2)
    Y = hidden(Y, 0.2)
    top = TopScores.of(S, 9)
    assert metrics.precision_at_k(top, Y, 2) == metrics.precision_at_k(S, Y, 2)
    assert metrics.recall_at_k(top, Y, 2) == metrics.recall_at_k(S, Y, 2)
    grid = [top.bound + 0.01]
    for ours, whole in zip(
        Counts.sweep(top, Y, grid).labels.columns, Counts.sweep(S, Y, grid).labels.columns, strict=True
    ):
        np.testing.assert_array_equal(ours, whole)
    Y[7, top.labels[7, :8]] = NAN
    with pytest.raises(ManyLabelError, match=r"the 2 highest scores of known labels .* Keep more scores"):
        metrics.precision_at_k(top, Y, 2)
    every = TopScores.of(S, 12)
    assert metrics.precision_at_k(every, Y, 2) == metrics.precision_at_k(S, Y, 2)


def test_infinite_scores_of_known_labels_go_before_unknown_ones():
    S = np.array([[0.5, -np.inf, -np.inf]])
    assert metrics.precision_at_k(S, np.array([[0.0, NAN, 1.0]]), 2) == 0.5


def test_propensities_are_those_of_the_share_known():
    _, Y = draw(200, 6)
    want = metrics.propensities(Y)
    Y = np.vstack([Y.astype(float), np.full((50, 6), NAN)])
    np.testing.assert_array_equal(metrics.propensities(Y), want)
    Y[: 200 // 2, 2] = NAN
    found = metrics.propensities(Y)
    counts = np.nansum(Y, 0)
    counts[2] *= 2
    np.testing.assert_allclose(found, 1 / (1 + (np.log(200) - 1) * 2.5**0.55 * (counts + 1.5) ** -0.55))
    Y[:, 2] = NAN
    assert metrics.propensities(Y)[2] == pytest.approx(1 / (1 + (np.log(200) - 1) * 2.5**0.55 * 1.5**-0.55))


def test_an_evaluation_names_what_it_left_out():
    S, Y = draw()
    Y[2, 3] = False
    Y = hidden(Y)
    found = metrics.evaluate(S, Y, "oracle")
    assert (found.left_out, found.not_known, found.rows_not_known) == ((3,), (1,), 1)
    np.testing.assert_array_equal(found.per_label["known"], (~np.isnan(Y)).sum(0))
    assert np.isnan([found.per_label["f1"][1], found.per_label["ap"][1]]).all()
    assert "labels known of no row, left out: 1 of 7, numbers 1" in str(found)
    assert "rows of which no label is known, left out: 1" in str(found)
    assert found.to_dict()["not_known"] == [1]
    without = metrics.evaluate(np.delete(S, 1, 1), np.delete(Y, 1, 1), "oracle", absent="zero")
    assert metrics.evaluate(S, Y, "oracle", absent="zero").values == pytest.approx(without.values)


@pytest.mark.parametrize("rule", ["shared", "per_label", "top_k"])
def test_thresholds_are_learnt_from_known_entries(rule):
    S, Y = draw(80)
    Y = hidden(Y)
    found = metrics.learn_thresholds(S, Y, rule=rule)
    if rule != "top_k":  # which counts places among all labels, as its predictions do
        S = np.where(np.isnan(Y), np.random.default_rng(3).random(S.shape), S)
    assert metrics.learn_thresholds(S, Y, rule=rule) == found
    if rule == "shared":
        for metric, threshold in found.items():
            values = [float(getattr(Counts.of(t <= S, Y), metric)()) for t in metrics.GRID]
            assert threshold.value == metrics.GRID[int(np.argmax(values))]


def test_slices_of_labels_with_unknown_entries():
    S, Y = draw(60)
    Y = hidden(Y)
    found = {
        part.name: part for part in metrics.slices(S, S > 0.5, Y, np.nan_to_num(Y), [0] * 3 + [1] + [2] * 56)
    }
    assert "group 1" not in found  # its one row knows no label
    group = Counts.of(S[4:] > 0.5, Y[4:])
    assert found["group 2"].values["micro_f1"] == pytest.approx(float(group.micro_f1()))


@pytest.mark.parametrize("name", PER_LABEL)
def test_labels_nowhere_known_have_no_value(name):
    S, Y = draw()
    assert np.isnan(PER_LABEL[name](S, hidden(Y))[1])


@pytest.mark.parametrize("name", ["map", "lrap", "precision_at_2", "brier_score", "macro_f1"])
def test_labels_without_a_known_entry_are_refused(name):
    S, Y = draw()
    with pytest.raises(ManyLabelError, match="some of which are known"):
        ALL[name](S[3:4], as_labels(hidden(Y)).take(np.array([3])))
