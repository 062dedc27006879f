"""Every stored value of the published evaluation code and of scikit-learn."""

import json
from pathlib import Path

import numpy as np
import pytest

from manylabel import metrics
from manylabel.metrics import Counts

FOLDER = Path(__file__).parents[1] / "reference_values"
CASES = [case["case"] for case in json.loads((FOLDER / "metrics.json").read_text())["cases"]]
STORED = dict(np.load(FOLDER / "metrics.npz"))
K = (1, 3, 5)

SETS = {
    "ACC": Counts.subset_accuracy,
    "HA": Counts.hamming_accuracy,
    "ebF1": Counts.example_f1,
    "miF1": Counts.micro_f1,
    "maF1": Counts.macro_f1,
}
ORACLE = {
    "HA": "hamming_accuracy",
    "ebF1": "example_f1",
    "miF1": "micro_f1",
    "maF1": "macro_f1",
}


def close(value, stored, tolerance=1e-12):
    np.testing.assert_allclose(value, STORED[stored], rtol=0, atol=tolerance)


def inputs(case):
    return STORED[f"{case}__scores"], STORED[f"{case}__Y"]


def tied_at(case, k):
    """Whether in some row the k-th score equals the next, so that the first k hang on the rule for ties."""
    ordered = np.sort(STORED[f"{case}__scores"], axis=1)[:, ::-1]
    return (ordered[:, k - 1] == ordered[:, k]).any()


UNTIED = [(case, k) for case in CASES for k in K if not tied_at(case, k)]


@pytest.mark.parametrize("case", CASES)
def test_sets_at_five_thresholds(case):
    S, Y = inputs(case)
    grid = [0.1, 0.3, 0.5, 0.7, 0.9]
    swept = Counts.sweep(S, Y, grid)
    for i, t in enumerate(grid):
        alone = Counts.of(t <= S, Y)
        for name, metric in SETS.items():
            close(metric(alone), f"{case}__at{t}__{name}", 1e-6)
            close(metric(swept)[i], f"{case}__at{t}__{name}", 1e-6)


@pytest.mark.parametrize("case", CASES)
def test_scikit_learn_f1(case):
    S, Y = inputs(case)
    counts = Counts.of(S >= 0.5, Y)
    close(counts.macro_f1(), f"{case}__sk_f1_macro_zd0")
    close(counts.micro_f1(), f"{case}__sk_f1_micro")
    close(counts.example_f1(), f"{case}__sk_f1_samples_zdnan")
    close(counts.example_f1(0), f"{case}__sk_f1_samples_zd0")
    close(counts.example_f1(1), f"{case}__sk_f1_samples_zd1")


@pytest.mark.parametrize("case", CASES)
def test_oracle(case):
    found = metrics.evaluate(*inputs(case), protocol="oracle")
    for stored, metric in ORACLE.items():
        close(found.values[metric], f"{case}__oracle__{stored}", 1e-6)
    if not tied_at(case, 1):
        close(found.values["precision_at_1"], f"{case}__oracle__p_at_1")


@pytest.mark.parametrize("case", CASES)
def test_ranking(case):
    S, Y = inputs(case)
    ap = metrics.average_precision(S, Y)
    np.testing.assert_array_equal(np.isnan(ap), ~Y.any(0))
    close(np.nan_to_num(ap), f"{case}__ap_per_label")
    close(metrics.mean_average_precision(S, Y), f"{case}__map_labels_with_positives")
    close(metrics.mean_average_precision(S, Y, absent="zero"), f"{case}__map_all_labels")
    close(metrics.coverage_error(S, Y), f"{case}__coverage")
    close(metrics.ranking_loss(S, Y), f"{case}__ranking_loss")
    close(metrics.lrap(S, Y), f"{case}__lrap")
    for k in K:
        close(metrics.ndcg_at_k(S, Y, k, empty="zero"), f"{case}__ndcg_at_{k}")


@pytest.mark.parametrize(("case", "k"), UNTIED)
def test_precision_at_k_without_ties(case, k):
    close(metrics.precision_at_k(*inputs(case), k), f"{case}__p_at_{k}_untied_only")


def test_the_stored_cases_hold_ties_and_rows_without():
    assert {case for case, _ in UNTIED} == {"c0", "c1"}
