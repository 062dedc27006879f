"""The audit finds planted errors, with evidence that never saw the row's own labels."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from manylabel import LabelMatrix, ManyLabelError, methods
from manylabel.data import Rows, read_table
from manylabel.estimator import Audit, audit
from manylabel.estimator.audit_evidence import Marks, cross_fitted_scores, neighbour_shares, pair_evidence
from manylabel.estimator.fitting import Fitting
from manylabel.labels import as_labels

CHEAP = {"method": "logistic_regression"}


def true_rows(n=300, seed=0, n_features=8):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_features)).astype(np.float32)
    Y = X @ np.random.default_rng(9).normal(size=(n_features, 4)) > 1.5
    return X, Y


def planted(Y, share=0.05, seed=1):
    flip = np.random.default_rng(seed).random(Y.shape) < share
    return (Y ^ flip).astype(np.uint8), flip


def test_planted_errors_rank_first():
    X, Y = true_rows()
    N, flip = planted(Y)
    found = audit(X, N, **CHEAP)
    assert average_precision_score(flip.ravel(), found.suspicion.ravel()) > 0.7
    first = found.findings(15)
    wrong = [flip[f.row, int(f.label.removeprefix("label "))] for f in first]
    assert np.mean(wrong) > 0.8
    assert [f.suspicion for f in first] == sorted((f.suspicion for f in first), reverse=True)
    for f in first:
        label = int(f.label.removeprefix("label "))
        assert f.kind == ("carried but unlikely" if N[f.row, label] else "missing but likely")
        assert (f.probability >= f.threshold) == (f.kind == "missing but likely")


def test_a_model_that_learns_rows_by_heart_finds_twice_as_much_cross_fitted():
    X, Y = true_rows(n_features=60)
    N, flip = planted(Y)
    rows = Rows(X, as_labels(N))
    tree = "sklearn.tree.DecisionTreeClassifier"
    own = np.abs(N - methods.get(tree).fit(rows, rows, seed=0).scores(rows.X))
    found = audit(rows, method=tree)
    baseline, ours = (average_precision_score(flip.ravel(), s.ravel()) for s in (own, found.suspicion))
    assert ours > 2 * baseline


def test_an_entry_is_no_evidence_of_itself():
    """Another label of a row changes nothing that its models, its neighbours and its other labels say of that label."""
    X, Y = true_rows(100)
    changed = Y.copy()
    changed[7, 1] = ~Y[7, 1]
    folds = np.arange(100) % 5
    shares = [neighbour_shares(Rows(X, as_labels(labels)), 5) for labels in (Y, changed)]
    pairs = [pair_evidence(as_labels(labels), folds) for labels in (Y, changed)]
    np.testing.assert_array_equal(shares[0][7], shares[1][7])
    assert (shares[0] != shares[1]).any()
    assert pairs[0][7, 1] == pairs[1][7, 1]
    assert (pairs[0][7, [0, 2, 3]] != pairs[1][7, [0, 2, 3]]).all()
    fitting = Fitting(methods.get("logistic_regression"), 0, ("a", "b", "c", "d"))
    model = [cross_fitted_scores(fitting, Rows(X, as_labels(labels)), None, folds) for labels in (Y, changed)]
    np.testing.assert_array_equal(model[0][folds == 2], model[1][folds == 2])
    assert (model[0][folds != 2, 1] != model[1][folds != 2, 1]).any()


def test_other_labels_speak_by_naive_bayes():
    Y = np.random.default_rng(0).random((60, 3)) < [0.3, 0.5, 0.6]
    Y[:, 2] |= Y[:, 0]
    hidden = Y.astype(float)
    hidden[5, 2] = np.nan
    folds = np.arange(60) % 2
    found = pair_evidence(as_labels(hidden), folds)
    for row, label in ((4, 0), (5, 0), (5, 2), (31, 1)):
        train = hidden[folds != folds[row]]
        total = 0.0
        for k in {0, 1, 2} - {label}:
            if np.isnan(hidden[row, k]):
                continue
            known = train[~np.isnan(train[:, k])]
            base = (known[:, k].sum() + 0.5) / (len(known) + 1)
            given = [((train[:, label] == y) & (train[:, k] == 1)).sum() + base for y in (1, 0)] / np.array(
                [(known[:, label] == y).sum() + 1 for y in (1, 0)]
            )
            given = given if hidden[row, k] else 1 - given
            total += np.log(given[0] / given[1])
        assert found[row, label] == pytest.approx(total, abs=1e-4)


def test_votes_of_neighbours_by_hand():
    X = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], dtype=np.float32)
    Y = np.array([[1, 0], [1, np.nan], [0, 1], [1, 1]])
    shares = neighbour_shares(Rows(X, as_labels(Y)), 1)
    assert shares[:, 0].tolist() == [1, 1, 1, 0]
    assert np.isnan(shares[0, 1])
    assert shares[1:, 1].tolist() == [0, 1, 1]


def test_the_label_that_speaks_most_against_an_entry():
    Y = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 0, 1], [1, 0, 0]])
    marks = Marks.of(as_labels(Y))
    assert marks.beside(0, 1) == (0, 0.0)  # none of the three other rows with label 0 carries label 1
    assert marks.beside(2, 0) == (1, 1.0)  # the other row with label 1 carries label 0
    assert marks.beside(4, 0)[0] is None
    assert marks.beside(4, 2) == (0, pytest.approx(2 / 3))


def test_unknown_entries_are_told_where_they_are_likely():
    X, Y = true_rows()
    hidden = Y.astype(float)
    hidden[:40, 0] = np.nan
    found = audit(X, hidden, **CHEAP)
    unknown = found.findings(None, "unknown but likely")
    assert {f.label for f in unknown} == {"label 0"}
    assert np.mean([Y[f.row, 0] for f in unknown]) > 0.6
    assert found.per_label()[0].unknown == 40
    assert found.per_label()[0].carried + found.per_label()[0].missing == 260


def test_summaries_of_labels_tell_where_errors_are():
    X, Y = true_rows(600)
    N = Y.astype(np.uint8)
    flip = np.random.default_rng(3).random(600) < 0.15
    N[flip, 2] ^= 1
    found = audit(X, N, **CHEAP)
    shares = [label.error_share for label in found.per_label()]
    assert shares[2] > 2 * max(shares[:2] + shares[3:])
    one = found.per_label()[2]
    assert one.unlikely == len(
        [f for f in found.findings(None, "carried but unlikely") if f.label == one.label]
    )
    assert one.likely == len([f for f in found.findings(None, "missing but likely") if f.label == one.label])


def of_formulas(X, Y, folder):
    """The lines of a file about labels that a spreadsheet would take for formulas."""
    found = audit(X, planted(Y)[0], class_names=[f"={i}+1" for i in range(4)], **CHEAP)
    found.to_csv(folder / "formulas.csv", 4)
    with (folder / "formulas.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_findings_as_a_file_and_for_a_person(tmp_path):
    X, Y = true_rows()
    found = audit(X, planted(Y)[0], class_names=["sea", "sky, blue", "tree", "fox"], **CHEAP)
    found.to_csv(tmp_path / "found.csv", 12)
    with (tmp_path / "found.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 12
    assert [int(line["row"]) for line in lines] == [f.row for f in found.findings(12)]
    assert {line["label"] for line in lines} <= {"sea", "sky, blue", "tree", "fox"}
    assert float(lines[0]["suspicion"]) == pytest.approx(found.findings(1)[0].suspicion, abs=1e-5)
    assert all(line["label"].startswith("'=") for line in of_formulas(X, Y, tmp_path))
    told = str(found).splitlines()
    assert len(told) == 21
    assert "of the nearest rows carry it" in told[1]
    found.to_csv(tmp_path / "all.csv")
    assert len((tmp_path / "all.csv").read_text().splitlines()) == int(found.suspected.sum()) + 1


def test_tables_texts_and_label_sets():
    words = {"sea": "wave beach sail", "wood": "tree leaf fox"}
    rng = np.random.default_rng(0)
    tags = [["sea"], ["wood"], ["sea", "wood"]]
    sets = [tags[i % 3] for i in range(60)]
    texts = [" ".join(rng.permutation(" ".join(words[t] for t in tag).split())) for tag in sets]
    wrong = [*sets[:5], ["sea"], *sets[6:]]  # row 5 is of both
    of_texts = audit(texts, wrong, **CHEAP)
    assert of_texts.label_names == ("sea", "wood")
    assert of_texts.findings(1)[0][:3] == (5, "wood", "missing but likely")
    table = read_table(
        {"text": texts, "tags": ["|".join(w) for w in wrong]}, labels="tags", columns={"text": "text"}
    )
    of_table = audit(table, **CHEAP)
    np.testing.assert_allclose(of_table.probability, of_texts.probability, atol=1e-5)


@pytest.mark.filterwarnings("ignore:stage .* fewer than a batch")
def test_networks_audit_too_and_tell_of_their_progress():
    X, Y = true_rows(80)
    told = []
    settings = {"classify.stage.epochs": 2, "encoder.widths": [8]}
    found = audit(X, Y, method="bce", settings=settings, folds=2, progress=told.append)
    assert found.probability.shape == (80, 4)
    assert {p.stage.split()[0] for p in told} == {"fold-0", "fold-1"}


def test_groups_stay_in_one_fold_and_a_seed_is_a_result():
    X, Y = true_rows(120)
    groups = np.arange(120) // 2
    one, two = (audit(X, Y, groups=groups, **CHEAP) for _ in range(2))
    np.testing.assert_array_equal(one.probability, two.probability)
    assert isinstance(one, Audit)
    assert np.abs(one.probability - audit(X, Y, **CHEAP).probability).max() > 1e-4


def test_rows_of_a_table_without_a_group_are_each_one():
    X, Y = true_rows(60)
    columns = {f"x{j}": X[:, j].tolist() for j in range(8)} | {
        "of": ["a", "a", "b", "b"] + [None] * 56,
        "tags": ["|".join(f"t{j}" for j in np.flatnonzero(row)) for row in Y],
    }
    table = read_table(columns, labels="tags", columns={"of": "group"})
    assert (table.groups == -1).sum() == 56
    assert audit(table, **CHEAP).probability.shape == (60, 4)  # three groups would be too few for 5 folds


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"folds": 1}, "`folds`: expected a whole number of at least 2"),
        ({"folds": 50}, "at least 50 rows"),
        ({"neighbours": 0}, "`neighbours`: expected a whole number of at least 1"),
        ({"y": None}, "audit: expected labels, but got none"),
        ({"y": np.zeros((30, 4))}, "none that is carried"),
        ({"y": np.ones((30, 4))}, "carried ones alone"),
        ({"method": "bcee"}, "bce"),
        ({"groups": [1]}, "`groups`"),
    ],
)
def test_bad_calls(change, told):
    X, Y = true_rows(30)
    with pytest.raises(ManyLabelError, match=told):
        audit(X, **({"y": Y} | CHEAP | change))


def test_few_rows_are_audited():
    rng = np.random.default_rng(0)
    for n in (6, 8, 13):
        X, Y = rng.normal(size=(n, 3)).astype(np.float32), np.c_[np.eye(n)[:, :4], np.arange(n) % 2]
        found = audit(X, Y, method="logistic_regression")
        assert np.isfinite(found.probability).all()
        assert found.probability.shape == Y.shape


def test_bad_questions_and_soft_labels():
    X, Y = true_rows(60)
    found = audit(X, Y, folds=2, **CHEAP)
    with pytest.raises(ManyLabelError, match="`k`: expected a whole number"):
        found.findings(-1)
    with pytest.raises(ManyLabelError, match="`kind`: expected one of carried but unlikely"):
        found.findings(3, "wrong")
    with pytest.raises(ManyLabelError, match="soft labels"):
        audit(Rows(X, LabelMatrix.of(torch.from_numpy(Y * 0.5))), **CHEAP)
