"""Means, spreads, paired differences, and the sentence that sums them up."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy import stats

from manylabel.study.analysis.results import Results
from manylabel.study.analysis.statistics import Difference, Summary, WinTieLoss, holm, lead
from manylabel.study.analysis.verdict import verdict
from manylabel.study.records import RunRecord


def results(
    protocol: str = "tuned", baselines: tuple[str, ...] = (), **scores: list[tuple[float, float]]
) -> Results[str]:
    """Runs with the given (mAP, macro-F1), one per seed."""
    runs = {
        method: [
            RunRecord(
                method=method,
                recipe={"family": "sklearn_baseline"} if method in baselines else {},
                seed=seed,
                digest="",
                threads=1,
                versions={},
                status="done",
                seconds=10.0 + seed,
                evaluations={
                    protocol: {
                        "values": {"map": ap, "macro_f1": f1},
                        "per_label": {"f1": [f1, None], "ap": [ap, None]},
                    }
                },
            )
            for seed, (ap, f1) in enumerate(values)
        ]
        for method, values in scores.items()
    }
    return Results(runs, protocol)


def test_summary_is_mean_and_sample_standard_deviation() -> None:
    values = [0.1, 0.4, 0.7, 0.75]
    summary = Summary.of(values)
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.spread == pytest.approx(np.std(values, ddof=1))
    assert str(summary) == "0.487 ± 0.301"


def test_one_seed_has_no_spread() -> None:
    summary = Summary.of([0.25])
    assert math.isnan(summary.spread)
    assert str(summary) == "0.250"


def test_difference_has_the_interval_of_a_paired_t_test() -> None:
    a, b = [0.5, 0.7, 0.4, 0.9], [0.45, 0.7, 0.45, 0.7]
    difference = Difference.of(a, b)
    low, high = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (difference.low, difference.high) == pytest.approx((low, high))
    assert difference.mean == pytest.approx(0.05)
    assert (difference.wins, difference.ties, difference.losses) == (2, 1, 1)


def test_difference_pairs_common_seeds_only() -> None:
    shown = results(a=[(0.5, 0.5), (0.6, 0.5)], b=[(0.4, 0.5)])
    difference = shown.difference("a", "b", "map")
    assert difference is not None
    assert difference.mean == pytest.approx(0.1)
    assert math.isnan(difference.low)


def test_per_label_values_are_undefined_where_a_seed_has_none() -> None:
    mean, spread = results(a=[(0.5, 0.2), (0.5, 0.4)]).per_label("a", "f1")
    assert mean[0] == pytest.approx(0.3)
    assert spread[0] == pytest.approx(np.std([0.2, 0.4], ddof=1))
    assert np.isnan(mean[1])


def test_verdict_tells_a_clear_win() -> None:
    sentence = verdict(results(bce=[(0.5, 0.4), (0.52, 0.4)], mulsupcon=[(0.7, 0.6), (0.7, 0.62)]), "digits")
    assert sentence == (
        "On digits, mulsupcon won on mAP by 0.190 over bce (0.700 against 0.510, more than the spread of "
        "0.014 over 2 seeds) and on macro-F1 by 0.210 (0.610 against 0.400, more than the spread of 0.014 "
        "over 2 seeds)."
    )


def test_verdict_says_when_the_spread_is_larger() -> None:
    sentence = verdict(results(bce=[(0.4, 0.4), (0.6, 0.4)], mulsupcon=[(0.45, 0.5), (0.58, 0.5)]), "digits")
    assert sentence == (
        "On digits, bce and mulsupcon tied on mAP (0.500 against 0.515, within the spread of 0.141 over 2 seeds) and "
        "mulsupcon won on macro-F1 by 0.100 over bce (0.500 against 0.400, more than the spread of 0.000 over 2 seeds)."
    )


def test_a_wide_spread_far_behind_ties_with_nobody() -> None:
    shown = results(a=[(0.7, 0), (0.71, 0)], b=[(0.6, 0), (0.61, 0)], c=[(0.2, 0), (0.8, 0)])
    assert "a won on mAP by 0.100 over b" in verdict(shown, "digits")


def test_a_baseline_that_wins_is_said_first() -> None:
    scores = {
        "bce": [(0.5, 0.4), (0.5, 0.4)],
        "trees": [(0.7, 0.3), (0.7, 0.3)],
        "svm": [(0.6, 0.2), (0.6, 0.2)],
    }
    sentence = verdict(results(baselines=("trees", "svm"), **scores), "digits")
    assert sentence.startswith(
        "A baseline is ahead: trees on mAP. On digits, trees won on mAP by 0.100 over svm"
    )
    scores["svm"] = [(0.6, 0.5), (0.6, 0.5)]
    sentence = verdict(results(baselines=("trees", "svm"), **scores), "digits")
    assert sentence.startswith("A baseline is ahead: trees on mAP and svm on macro-F1. On digits, ")


def test_a_baseline_that_ties_or_is_alone_with_others_is_not() -> None:
    level = {"bce": [(0.69, 0.4), (0.7, 0.4)], "trees": [(0.7, 0.3), (0.7, 0.3)]}
    assert verdict(results(baselines=("trees",), **level), "digits").startswith(
        "On digits, bce and trees tied"
    )
    apart = {"svm": [(0.5, 0.4)], "trees": [(0.7, 0.3)]}
    assert verdict(results(baselines=("svm", "trees"), **apart), "digits").startswith("On digits, trees won")


def test_verdict_names_the_winner_of_each_metric() -> None:
    sentence = verdict(results(bce=[(0.5, 0.4), (0.5, 0.41)], mulsupcon=[(0.7, 0.3), (0.7, 0.3)]), "digits")
    assert "mulsupcon won on mAP" in sentence
    assert "and bce won on macro-F1 by 0.105 over mulsupcon" in sentence


def test_verdict_compares_the_best_with_the_next_best() -> None:
    sentence = verdict(results(a=[(0.1, 0.1)], b=[(0.3, 0.3)], c=[(0.2, 0.2)]), "digits")
    assert "b won on mAP by 0.100 over c" in sentence


def test_verdict_of_one_seed_admits_that_the_spread_is_unknown() -> None:
    assert "one seed, so the spread is unknown" in verdict(results(a=[(0.1, 0.1)], b=[(0.3, 0.3)]), "digits")


def test_verdict_of_one_seed_beside_several_counts_the_seeds_of_each() -> None:
    sentence = verdict(results(a=[(0.1, 0.1)], b=[(0.3, 0.3), (0.4, 0.4), (0.5, 0.5)]), "digits")
    assert (
        "b won on mAP by 0.300 over a (0.400 against 0.100, 3 and 1 seeds, so one spread is unknown)"
        in sentence
    )


def test_verdict_of_equal_methods_is_a_tie() -> None:
    equal = [(0.5, 0.4), (0.6, 0.5)]
    sentence = verdict(results(a=equal, b=equal), "digits")
    assert sentence == "On digits, a and b tied on mAP (0.550) and on macro-F1 (0.450)."


@pytest.mark.parametrize(
    ("ours", "theirs", "by"),
    [
        (0.5, 0.5, 0.0),
        (0.5004, 0.4996, 0.0),  # look alike
        (0.5006, 0.5004, 0.0),  # 0.501 and 0.500, but 0.0002 apart
        (0.5, 0.4994, 0.0006),
        (0.4994, 0.5, -0.0006),
        (0.501, 0.5, 0.001),
    ],
)
def test_a_lead_is_none_where_three_decimals_show_none(ours: float, theirs: float, by: float) -> None:
    assert lead(ours, theirs) == pytest.approx(by, abs=1e-9)
    assert (lead(ours, theirs) == 0) == (by == 0)
    assert WinTieLoss.of([ours], [theirs]).ties == Difference.of([ours], [theirs]).ties == (by == 0)
    sentence = verdict(results(a=[(ours, 0.1)], b=[(theirs, 0.3)]), "digits")
    assert ("tied on mAP" in sentence) == (by == 0)
    assert "by 0.000" not in sentence


def test_no_verdict_claims_what_it_does_not_show() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        ours, theirs = 0.5 + rng.normal(size=(2, 2, 2)) * 10.0 ** -rng.integers(2, 6)
        sentence = verdict(results(a=[tuple(x) for x in ours], b=[tuple(x) for x in theirs]), "digits")
        for by, first, second in re.findall(r"by (\S+).*?\((\S+) against ([\d.]+),", sentence):
            assert by != "0.000"
            assert float(first) > float(second)


def test_a_verdict_names_all_that_tie_and_repeats_no_one() -> None:
    shown = results(a=[(0.5, 0.3)], b=[(0.4996, 0.5)], c=[(0.5004, 0.2)])
    assert verdict(shown, "digits") == (
        "On digits, a, b and c tied on mAP (0.500) and b won on macro-F1 by 0.200 over a (0.500 against 0.300, one "
        "seed, so the spread is unknown)."
    )
    shown = results(a=[(0.5, 0.3)], b=[(0.5, 0.2)])
    assert " and a won on macro-F1 by 0.100 over b" in verdict(shown, "digits")


def test_a_verdict_weighs_by_what_is_shown() -> None:
    sentence = verdict(results(a=[(0.5, 0.4), (0.52, 0.4)], b=[(0.496, 0.4), (0.4957, 0.4)]), "digits")
    assert "a and b tied on mAP (0.510 against 0.496, within the spread of 0.014 over 2 seeds)" in sentence
    sentence = verdict(results(a=[(0.5, 0.4), (0.52, 0.4)], b=[(0.495, 0.4), (0.4947, 0.4)]), "digits")
    assert "a won on mAP by 0.015 over b (0.510 against 0.495, more than the spread of 0.014" in sentence


def test_metrics_that_are_not_defined_win_nothing() -> None:
    none: list[tuple[float, float]] = [(None, 0.4)]  # type: ignore[list-item]
    assert "mAP is not defined and b won on macro-F1" in verdict(results(a=none, b=[(None, 0.5)]), "digits")
    shown = results(a=none, b=[(0.2, 0.3)])
    assert "mAP is defined for b alone (0.200)" in verdict(shown, "digits")
    assert shown.ranking("map") == ["b", "a"]
    assert shown.difference("b", "a", "map") is None
    assert str(shown.summary("a", "map")) == "n/a"
    assert "a reached mAP n/a and macro-F1 0.400 over 1 seed" in verdict(results(a=none), "digits")


def test_verdict_of_one_method_claims_no_win() -> None:
    sentence = verdict(results(bce=[(0.5, 0.4), (0.6, 0.4)]), "digits")
    assert sentence.startswith(
        "On digits, bce reached mAP 0.550 ± 0.071 and macro-F1 0.400 ± 0.000 over 2 seeds"
    )
    assert "won" not in sentence


def test_verdict_marks_the_oracle() -> None:
    shown = results("oracle", a=[(0.1, 0.1)], b=[(0.3, 0.3)])
    sentence = verdict(shown, "digits")
    assert sentence.startswith("On digits with oracle thresholds (chosen on the test rows), b won on mAP")


def test_win_tie_loss_counts_sets_and_has_the_signed_rank_test_of_scipy() -> None:
    theirs = np.linspace(0.2, 0.8, 12)
    differences = np.array([3, 1, -2, 5, 4, 0.2, 8, 7, -6, 9, 11, 10]) / 1000
    found = WinTieLoss.of(list(theirs + differences), list(theirs))
    assert (found.wins, found.ties, found.losses) == (9, 1, 2)
    assert found.mean == pytest.approx(differences.mean())
    assert found.p_value == pytest.approx(stats.wilcoxon(differences.round(6)).pvalue)


def test_signed_rank_test_has_the_value_of_its_definition() -> None:
    """Five differences of one sign: of the 2 ** 5 ways to sign the ranks, two are as extreme."""
    assert WinTieLoss.of([0.2, 0.3, 0.4, 0.5, 0.6], [0.1, 0.15, 0.21, 0.22, 0.25]).p_value == 2 / 2**5


def test_equal_sets_are_left_out_of_the_test() -> None:
    assert WinTieLoss.of([0.2, 0.3, 0.4, 0.5], [0.2, 0.25, 0.3, 0.35]).p_value == 2 / 2**3
    assert WinTieLoss.of([0.2, 0.3], [0.2, 0.3]) == WinTieLoss(0, 2, 0, 0.0, 1.0)


def test_holm_corrects_step_by_step() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.02]) == pytest.approx([0.6, 0.04])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    rng = np.random.default_rng(0)
    p = rng.random(40) ** 4
    slow = [max(min(1.0, (p >= q).sum() * q) for q in p if q <= own) for own in p]
    assert holm(p) == pytest.approx(slow)
