"""Scores made by the block give what an array gives; the highest scores of each row give it where they decide."""

import numpy as np
import pytest
from tests.metrics.block_cases import METRICS, C, N, S, Y

from manylabel import ManyLabelError, metrics
from manylabel.labels import as_labels
from manylabel.metrics import Counts, StreamedScores, TopScores
from manylabel.metrics.scores import ENTRIES_AT_ONCE

STREAMED = StreamedScores(lambda rows: S[rows], S.shape)


@pytest.mark.parametrize("name", sorted(METRICS.keys() - {"of"}))
def test_scores_made_by_the_block_give_what_an_array_gives(name):
    assert N * C > ENTRIES_AT_ONCE
    np.testing.assert_array_equal(METRICS[name](STREAMED, Y), METRICS[name](S, Y))


@pytest.mark.parametrize("density", [0.0, 0.3])
def test_streamed_average_precision_of_few_and_of_many_carriers(density):
    rng = np.random.default_rng(1)
    scores, labels = np.round(rng.random((200, 30)), 1), rng.random((200, 30)) < density
    streamed = StreamedScores(lambda rows: scores[rows], scores.shape, scores.dtype)
    np.testing.assert_array_equal(
        metrics.average_precision(streamed, labels), metrics.average_precision(scores, labels)
    )


def test_several_protocols_at_once_are_those_one_by_one():
    held_out = (S[:300, :40], Y[:300, :40])
    asked = {name: (name, "shared") for name in ("tuned", "fixed", "oracle")}
    asked |= {"learnt": ("tuned", "per_metric"), "top": ("oracle", "top_k")}
    found = metrics.evaluate_protocols(S[:, :40], Y[:, :40], asked, held_out)
    assert list(found) == list(asked)
    for name, evaluation in found.items():
        protocol, rule = asked[name]
        alone = metrics.evaluate(S[:, :40], Y[:, :40], protocol, held_out, rule=rule)
        assert evaluation.to_dict() == alone.to_dict()


@pytest.mark.parametrize(
    "score",
    [lambda rows: S[rows, :5], lambda rows: 2 * S[rows], lambda rows: np.full((N, C), np.nan)[rows]],
    ids=["another shape", "no probabilities", "NaN"],
)
def test_blocks_that_cannot_be_measured(score):
    with pytest.raises(ManyLabelError, match="StreamedScores"):
        metrics.precision_at_k(StreamedScores(score, (N, C)), Y)


def test_what_streamed_scores_are_not_for():
    with pytest.raises(ManyLabelError, match="at least one row"):
        StreamedScores(lambda rows: S[rows], (0, C))
    with pytest.raises(ManyLabelError, match="counted"):
        metrics.average_precision(STREAMED, Y, counted=np.ones(S.shape, dtype=bool))
    with pytest.raises(ManyLabelError, match="top_k"):
        metrics.top_k(STREAMED, 3)


class TestTopScores:
    top = TopScores.of(STREAMED, 50)

    def test_holds_the_highest_of_each_row_in_order(self):
        whole = TopScores.of(S, 50)
        order = np.lexsort((np.broadcast_to(np.arange(C), S.shape), -S), axis=1)[:, :50]
        np.testing.assert_array_equal(self.top.labels, order)
        np.testing.assert_array_equal(whole.labels, order)
        np.testing.assert_array_equal(self.top.values, np.take_along_axis(S, order, 1))

    @pytest.mark.parametrize("k", [1, 5, 50])
    def test_metrics_at_k_are_those_of_all_scores(self, k):
        for metric in (metrics.precision_at_k, metrics.recall_at_k):
            assert metric(self.top, Y, k) == metric(S, Y, k)

    def test_sets_above_the_bound_are_those_of_all_scores(self):
        assert self.top.bound == np.sort(S, axis=1)[:, -50].max()
        grid = [float(self.top.bound) + 0.001, 0.999]
        kept, whole = Counts.sweep(self.top, Y, grid), Counts.sweep(S, Y, grid)
        for metric in (Counts.macro_f1, Counts.micro_f1, Counts.example_f1, Counts.subset_accuracy):
            np.testing.assert_array_equal(metric(kept), metric(whole))

    def test_all_scores_decide_every_threshold(self):
        few = TopScores.of(S[:, :9], 20)
        assert few.k == 9
        kept, whole = Counts.sweep(few, Y[:, :9], [0.0, 0.5]), Counts.sweep(S[:, :9], Y[:, :9], [0.0, 0.5])
        np.testing.assert_array_equal(kept.labels.hits, whole.labels.hits)
        np.testing.assert_array_equal(kept.rows.predicted, whole.rows.predicted)

    def test_what_they_cannot_tell_is_refused(self):
        with pytest.raises(ManyLabelError, match="thresholds above"):
            Counts.sweep(self.top, Y, [self.top.bound])
        with pytest.raises(ManyLabelError, match="number of scores kept of each row, 50"):
            metrics.precision_at_k(self.top, Y, 51)
        for metric in (metrics.average_precision, metrics.lrap, metrics.ranking_loss, metrics.brier_score):
            with pytest.raises(ManyLabelError, match="the 50 highest of each row"):
                metric(self.top, Y)


OF_TOP = {
    "ndcg": lambda S, Y: [metrics.ndcg_at_k(S, Y, k) for k in (1, 3, 5)],
    "precision": lambda S, Y: [metrics.precision_at_k(S, Y, k) for k in (1, 5)],
    "recall": lambda S, Y: metrics.recall_at_k(S, Y, 5),
    "propensity_scored": lambda S, Y: [
        metrics.propensity_scored_precision_at_k(S, Y, np.linspace(0.1, 1, S.shape[1]), k) for k in (1, 5)
    ],
    "thresholds": lambda S, Y: [
        [t.value for t in metrics.learn_thresholds(S, Y, rule=rule, grid=(0.96, 0.97, 0.98)).values()]
        for rule in ("shared", "per_label", "per_metric")
    ],
    "top_k": lambda S, Y: [t.value for t in metrics.learn_thresholds(S, Y, rule="top_k").values()],
    "evaluate": lambda S, Y: [
        metrics.evaluate(S, Y, "oracle", metrics=WITHOUT_MAP, rule=rule, grid=(0.96, 0.97, 0.98)).values
        for rule in ("shared", "per_label", "top_k")
    ],
}
WITHOUT_MAP = ("precision_at_1", "ndcg_at_3", "macro_f1", "micro_f1", "example_f1", "hamming_accuracy")


@pytest.mark.parametrize("unknown", [False, True], ids=["all known", "some unknown"])
@pytest.mark.parametrize("name", OF_TOP)
def test_the_highest_scores_give_what_all_give(name, unknown):
    rng = np.random.default_rng(2)
    scores = rng.permuted(np.linspace(0, 1, 200 * 60, dtype=np.float32)).reshape(200, 60)
    scores[:, :20] *= 0.9
    truth = (rng.random((200, 60)) < 0.05 + 0.5 * (scores > 0.97)).astype(np.float32)
    if unknown:
        truth[rng.random((200, 60)) < 0.02] = np.nan
    labels = as_labels(truth)
    top = TopScores.of(scores, 25)
    assert top.bound < 0.96
    found, wanted = OF_TOP[name](top, labels), OF_TOP[name](scores, labels)
    assert repr(found) == repr(wanted) or np.allclose(found, wanted, rtol=1e-12, atol=0)


def test_of_equal_scores_the_lowest_label_goes_first_whatever_block_it_is_in():
    scores = np.round(np.random.default_rng(3).random((50, 40)), 1).astype(np.float32)
    top = TopScores.of(scores, 7)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :7]
    np.testing.assert_array_equal(top.labels, order)
    np.testing.assert_array_equal(top.values, np.take_along_axis(scores, order, 1))


def test_what_the_highest_scores_cannot_tell():
    top = TopScores.of(S, 5)
    with pytest.raises(ManyLabelError, match="scores of every label for map"):
        metrics.evaluate(top, Y, "oracle")
    with pytest.raises(ManyLabelError, match="others may share"):
        metrics.ndcg_at_k(top, Y, 5)
    with pytest.raises(ManyLabelError, match="may reach"):
        metrics.evaluate(top, Y, "fixed", metrics=("micro_f1",))
    with pytest.raises(ManyLabelError, match="may reach"):
        metrics.learn_thresholds(top, Y)
    with pytest.raises(ManyLabelError, match="beside `weights`"):
        metrics.learn_thresholds(top, Y, weights=np.ones(N))
    with pytest.raises(ManyLabelError, match="from 1 to the number of scores kept"):
        metrics.ndcg_at_k(top, Y, 6)


@pytest.mark.parametrize("k", [0, -1, 2.0, True, None])
def test_other_numbers_of_highest_scores_are_refused(k) -> None:
    with pytest.raises(ManyLabelError, match="`k` as an integer of at least 1"):
        metrics.TopScores.of(np.zeros((2, 3)), k)
