"""Stacks of learners: nothing leaks between folds, a killed fit goes on, what cannot be used is left out by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.methods.stacking.small_stack import CHEAP, LINEAR, fit, labels, vectors

from manylabel import ManyLabelError, metrics
from manylabel.data import Rows, read_table
from manylabel.methods import Predictor, get
from manylabel.methods.part import Opened
from manylabel.methods.stacking import cross_fit
from manylabel.methods.stacking.scorer import StackScorer
from manylabel.methods.stacking.weights import Stack

TRAIN, NEW = vectors(160, 0), vectors(200, 1)
TREE = "sklearn.tree.DecisionTreeClassifier"


@pytest.fixture(scope="module")
def model() -> Predictor:
    return fit(TRAIN.take(slice(0, 130)), TRAIN.take(slice(130, None)))


def test_out_of_fold_scores_of_all_rows_are_kept_in_their_order(model: Predictor) -> None:
    held = model.held_out
    assert held is not None
    assert (held.scores.shape, held.how) == ((160, 4), "cross-fitting over 3 folds")
    np.testing.assert_array_equal(held.Y.dense().numpy(), TRAIN.Y.dense().numpy())
    np.testing.assert_array_equal(held.rows, np.arange(160))
    assert sorted(np.bincount(held.folds)) == [53, 53, 54]
    assert metrics.evaluate(held.scores, held.Y, protocol="fixed", metrics=["map"]).values["map"] > 0.6
    assert Predictor.of_pieces(*model.pieces()).held_out is None


def test_a_stack_is_ahead_of_the_share_of_labels_and_says_what_its_learners_are_worth(
    model: Predictor,
) -> None:
    found = metrics.evaluate(model.scores(NEW.X), NEW.Y, protocol="fixed", metrics=["map", "micro_f1"]).values
    assert found["map"] > 0.65
    evidence = model.evidence
    assert evidence is not None
    assert list(evidence.learners) == ["network", "linear", "neighbours", "trees"]
    kept = {name: one for name, one in evidence.learners.items() if not one.left_out}
    assert sum(one.share for one in kept.values()) == pytest.approx(1, abs=1e-6)
    assert kept["linear"].settings.keys() >= {"parameters.C"}
    assert kept["linear"].without["log_loss"] > 0
    sentence = evidence.sentence()
    assert sentence.startswith("best: ")
    assert "without linear out-of-fold mAP would fall by 0." in sentence


def test_it_is_deterministic_and_saved_whole(model: Predictor, tmp_path: Any) -> None:
    again = fit(TRAIN.take(slice(0, 130)), TRAIN.take(slice(130, None)))
    np.testing.assert_array_equal(again.scores(NEW.X), model.scores(NEW.X))
    model.save(tmp_path / "model")
    loaded = Predictor.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.scores(NEW.X), model.scores(NEW.X))
    np.testing.assert_array_equal(loaded.embed(NEW.X), model.embed(NEW.X))
    np.testing.assert_array_equal(loaded.predict(NEW.X), model.predict(NEW.X))
    assert loaded.evidence == model.evidence
    other = fit(TRAIN, seed=4)
    assert (other.scores(NEW.X) != model.scores(NEW.X)).any()


def test_embeddings_are_those_of_the_networks_of_all_folds() -> None:
    settings = CHEAP | {"learners.linear": None, "learners.trees": None, "learners.neighbours": None}
    model = fit(TRAIN, settings=settings)
    assert model.embed(NEW.X).shape == (200, 3 * 16)
    assert fit(TRAIN, settings=LINEAR).embed(NEW.X).shape == (200, 10)  # without a network the features


def test_a_learner_that_knows_its_rows_by_heart_gains_nothing_by_it() -> None:
    noise = np.random.default_rng(0).normal(size=(160, 6)).astype(np.float32)
    settings = LINEAR | {"learners.heart": {"method": TREE}, "learners.neighbours": None}
    model = fit(Rows(noise, TRAIN.Y), settings=settings)
    held, evidence = model.held_out, model.evidence
    assert held is not None
    assert evidence is not None

    def mean_precision(scores: Any) -> float:
        return metrics.evaluate(scores, TRAIN.Y, protocol="fixed", metrics=["map"]).values["map"]

    by_chance = float(TRAIN.Y.dense().mean())
    assert mean_precision(held.scores) < by_chance + 0.1
    assert evidence.learners["heart"].share < 0.3
    tree = get(TREE).fit(Rows(noise, TRAIN.Y), Rows(noise, TRAIN.Y))
    assert mean_precision(tree.scores(noise)) == 1  # what it would show of its own rows


def test_rows_of_one_group_stay_in_one_fold() -> None:
    groups = np.repeat(np.arange(20), 8)
    held = fit(TRAIN, settings=LINEAR, groups=groups).held_out
    assert held is not None
    assert all(len(set(held.folds[groups == group])) == 1 for group in range(20))
    alone = fit(TRAIN, settings=LINEAR, groups=np.zeros(160, dtype=int))
    assert alone.held_out is None
    assert "too few rows or groups" in alone.note
    with pytest.raises(ManyLabelError, match=r"groups: expected one for each of 160 rows"):
        fit(TRAIN, settings=LINEAR, groups=groups[:5])


class Killed(Exception):
    pass


def test_a_killed_fit_goes_on_to_the_same_bits(model: Predictor, tmp_path: Any, monkeypatch: Any) -> None:
    parts = TRAIN.take(slice(0, 130)), TRAIN.take(slice(130, None))

    def kill(progress: Any) -> None:
        if progress.stage == "network fold 3/3" and progress.step > 5:
            raise Killed

    with pytest.raises(Killed):
        fit(*parts, folder=tmp_path, progress=kill)
    done = sorted(path.parent.name for path in tmp_path.rglob("scores-checkpoint.safetensors"))
    assert len(done) > 4
    assert "fold-2" not in [path.parent.name for path in (tmp_path / "network").rglob("scores-*")]
    trained = []
    once = cross_fit.CrossFit.trained
    monkeypatch.setattr(
        cross_fit.CrossFit, "trained", lambda self, *a: trained.append(a[-1]) or once(self, *a)
    )
    again = fit(*parts, folder=tmp_path)
    np.testing.assert_array_equal(again.scores(NEW.X), model.scores(NEW.X))
    assert not any(
        stage.startswith("trees fold") and not stage.startswith("trees fold 1") for stage in trained[:1]
    )
    assert "linear fold 1/3" not in trained
    with pytest.raises(ManyLabelError, match="scores of this recipe and data set"):
        fit(*parts, folder=tmp_path, seed=4)


def test_a_folder_of_another_training_or_damage_ends_the_fit_and_leaves_no_learner_out(tmp_path: Any) -> None:
    def kill(progress: Any) -> None:
        if progress.stage == "linear fold 2/3":
            raise Killed

    with pytest.raises(Killed):
        fit(TRAIN, settings=LINEAR, folder=tmp_path, progress=kill)
    other = Rows(np.asarray(TRAIN.X.values) + 1, TRAIN.Y)
    with pytest.raises(ManyLabelError, match="scores of this recipe and data set"):
        fit(other, settings=LINEAR, folder=tmp_path)
    kept = next(tmp_path.rglob("scores-checkpoint.safetensors"))
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(ManyLabelError, match="checkpoint written by manylabel"):
        fit(TRAIN, settings=LINEAR, folder=tmp_path)


def test_progress_names_learner_and_fold() -> None:
    seen = []
    fit(TRAIN, progress=lambda progress: seen.append((progress.stage, progress.stages)))
    stages = dict.fromkeys(stage for stage, _ in seen)
    assert {"network fold 1/3", "linear fold 2/3", "linear all rows"} <= stages.keys()
    assert all(stage in planned for stage, planned in seen)


def test_a_learner_that_refuses_is_left_out_by_name() -> None:
    soft = Rows(TRAIN.X, labels(TRAIN.Y.dense().numpy() * 0.7))
    evidence = fit(soft).evidence
    assert evidence is not None
    assert "soft labels" in evidence.learners["trees"].left_out
    assert "soft labels" in evidence.learners["linear"].left_out
    assert evidence.learners["network"].share + evidence.learners["neighbours"].share == pytest.approx(1)
    only = {"learners.network": None, "learners.neighbours": None}
    with pytest.raises(ManyLabelError, match="soft labels"):  # the first of them all
        fit(soft, settings=CHEAP | only)


def test_unknown_entries_teach_nothing() -> None:
    Y = TRAIN.Y.dense().numpy().astype(np.float32)
    hidden = np.random.default_rng(2).random(Y.shape) < 0.2
    one, other = (fit(Rows(TRAIN.X, labels(np.where(hidden, np.nan, Y))), settings=LINEAR) for _ in range(2))
    np.testing.assert_array_equal(one.scores(NEW.X), other.scores(NEW.X))
    assert np.isfinite(one.scores(NEW.X)).all()


def test_what_needs_all_entries_is_left_out_where_some_are_unknown() -> None:
    Y = TRAIN.Y.dense().numpy().astype(np.float32)
    some = Rows(TRAIN.X, labels(np.where(np.random.default_rng(2).random(Y.shape) < 0.2, np.nan, Y)))
    for labels_of_trees, is_refused in (("together", True), ("auto", False)):
        evidence = fit(some, settings=CHEAP | {"learners.trees.settings.labels": labels_of_trees}).evidence
        assert evidence is not None
        assert ("all known" in evidence.learners["trees"].left_out) == is_refused
        assert not evidence.learners["linear"].left_out


def test_weights_reach_the_learners_that_take_them() -> None:
    weights = np.where(np.arange(160) < 80, 1.0, 0.25).astype(np.float32)
    plain, weighted = (fit(Rows(TRAIN.X, TRAIN.Y, w), settings=LINEAR) for w in (None, weights))
    assert (plain.scores(NEW.X) != weighted.scores(NEW.X)).any()
    of_entries = Rows(TRAIN.X, TRAIN.Y, np.full((160, 4), 0.5, np.float32))
    for labels_of_trees, is_refused in (("together", True), ("auto", False)):
        evidence = fit(
            of_entries, settings=CHEAP | {"learners.trees.settings.labels": labels_of_trees}
        ).evidence
        assert evidence is not None
        assert ("weights of shape" in evidence.learners["trees"].left_out) == is_refused
        assert not evidence.learners["network"].left_out
        assert not evidence.learners["linear"].left_out


def test_weights_of_entries_are_not_those_of_rows() -> None:
    W = np.ones((160, 4), np.float32)
    W[::2, 1] = 0.1
    plain, own = (fit(Rows(TRAIN.X, TRAIN.Y, w), settings=LINEAR).scores(NEW.X) for w in (None, W))
    change = np.abs(plain - own).max(axis=0)
    assert change[1] == change.max() > 0.01


def test_entries_that_count_nothing_decide_nothing() -> None:
    """Labels of rows of weight 0 may be anything: they reach neither learners, weights of the stack nor thresholds."""
    W = np.where(np.arange(160) % 4 == 0, 0.0, 0.5)
    Y = TRAIN.Y.dense().numpy()
    turned = np.where(W[:, None] > 0, Y, 1 - Y)
    linear = LINEAR | {"learners.neighbours": None}  # which does not look at weights
    folds = np.arange(160) % 3  # the same whatever the labels are
    one, other = (fit(Rows(TRAIN.X, labels(y), W), settings=linear, groups=folds) for y in (Y, turned))
    np.testing.assert_allclose(one.scores(NEW.X), other.scores(NEW.X), atol=1e-6)
    assert one.decision == other.decision
    np.testing.assert_allclose(one.held_out.scores, other.held_out.scores, atol=1e-6)


@pytest.mark.parametrize("n_rows", [1, 3, 8])
def test_tiny_data_are_learnt(n_rows: int) -> None:
    Y = np.zeros((n_rows, 2))
    Y[: n_rows // 2, 0] = 1  # the second label has no row
    model = fit(Rows(np.asarray(TRAIN.X)[:n_rows], labels(Y)))
    assert model.scores(NEW.X).shape == (200, 2)
    assert np.isfinite(model.scores(NEW.X)).all()
    assert (model.held_out is None) == (n_rows < 4)
    assert ("nothing was held out" in model.note) == (n_rows < 4)


def test_one_label_is_enough() -> None:
    model = fit(Rows(TRAIN.X, labels(TRAIN.Y.dense().numpy()[:, :1])), settings=LINEAR)
    assert model.scores(NEW.X).shape == (200, 1)


def test_sparse_rows_take_other_settings_and_dense_rows_of_zeros_are_sparse() -> None:
    rng = np.random.default_rng(0)
    X = (rng.random((160, 60)) < 0.05) * rng.integers(1, 5, (160, 60)).astype(np.float32)
    Y = labels((X[:, :20].reshape(160, 4, 5).sum(2) > 0).astype(int))
    sparse, dense = (fit(Rows(form(X), Y), settings=LINEAR) for form in (sp.csr_matrix, np.asarray))
    np.testing.assert_array_equal(sparse.scores(X), dense.scores(X))
    evidence = sparse.evidence
    assert evidence is not None
    assert evidence.learners["linear"].settings["parameters.C"] >= 0.3
    assert metrics.evaluate(sparse.scores(X), Y, protocol="fixed", metrics=["map"]).values["map"] > 0.8


def test_sparse_rows_with_negative_numbers_have_a_linear_learner_in_the_form_that_takes_them() -> None:
    rng = np.random.default_rng(0)
    X = (rng.random((160, 60)) < 0.05) * rng.normal(size=(160, 60)).astype(np.float32)
    Y = labels((X[:, :20].reshape(160, 4, 5).sum(2) > 0).astype(int))
    evidence = fit(Rows(sp.csr_matrix(X), Y), settings=LINEAR).evidence
    assert evidence is not None
    linear = evidence.learners["linear"]
    assert linear.left_out == ""
    assert linear.settings["inputs.scaling"] == "auto"
    assert linear.rivals == {}


def test_settings_of_a_learner_hold_on_sparse_rows_as_well() -> None:
    X = sp.csr_matrix((np.random.default_rng(0).random((160, 60)) < 0.05).astype(np.float32))
    Y = labels((X.toarray()[:, :20].reshape(160, 4, 5).sum(2) > 0).astype(int))
    asked: dict[str, Any] = {"learners.linear.grid.values": [0.7], "learners.linear.rivals": {}}
    evidence = fit(Rows(X, Y), settings=LINEAR | asked).evidence
    assert evidence is not None
    assert evidence.learners["linear"].settings == {"parameters.C": 0.7}
    assert evidence.learners["linear"].rivals == {}
    evidence = fit(Rows(X, Y), settings=LINEAR | {"learners.linear.grid": None}).evidence
    assert evidence is not None
    assert "parameters.C" not in evidence.learners["linear"].settings
    of_sparse = {"learners.linear.sparse.grid.values": [0.9], "learners.linear.rivals": {}}
    evidence = fit(Rows(X, Y), settings=LINEAR | of_sparse).evidence
    assert evidence is not None
    assert evidence.learners["linear"].settings == {"parameters.C": 0.9}


def test_support_vectors_stand_beside_the_linear_model_of_sparse_rows_and_texts() -> None:
    X = sp.csr_matrix((np.random.default_rng(0).random((160, 60)) < 0.05).astype(np.float32))
    Y = labels((X.toarray()[:, :20].reshape(160, 4, 5).sum(2) > 0).astype(int))
    texts = [" ".join(f"word{c}" for c in row.indices) for row in X]
    dense = np.random.default_rng(1).normal(size=(160, 5)).astype(np.float32)
    for rows, among in ((X, True), (texts, True), (dense, False)):
        model = fit(Rows(rows, Y), settings=LINEAR)
        assert model.evidence is not None
        assert ("margin" in model.evidence.learners) == among
        if among:
            without = fit(Rows(rows, Y), settings=LINEAR | {"learners.margin.use": False})
            assert without.evidence is not None
            assert "margin" not in without.evidence.learners
            found = model.evidence.learners["margin"]
            assert (found.method, found.left_out) == ("sklearn.svm.LinearSVC", "")
            assert found.share > 0


def test_few_rows_of_words_have_a_shallow_network(tmp_path: Path) -> None:
    X = sp.csr_matrix((np.random.default_rng(0).random((160, 60)) < 0.05).astype(np.float32))
    Y = labels((X.toarray()[:, :20].reshape(160, 4, 5).sum(2) > 0).astype(int))
    texts = [" ".join(f"word{c}" for c in row.indices) for row in X]
    others = {name: value for name, value in LINEAR.items() if name != "learners.shallow_network"}
    quick = others | {"learners.shallow_network.settings.classify.stage.epochs": 20}
    table = read_table({"plot": texts, "size": np.arange(160.0)}, columns={"plot": "text"}).X
    for kind, rows in (("sparse", X), ("texts", texts), ("table", table)):
        model = fit(Rows(rows, Y), settings=quick | {"learners.linear": None, "learners.margin": None})
        assert model.evidence is not None
        assert model.evidence.learners["shallow_network"].method == "bce"
        assert model.evidence.learners["shallow_network"].share > 0
        assert model.embed(rows).shape == (160, 3 * 512)
        model.save(tmp_path / kind)
        np.testing.assert_array_equal(Predictor.load(tmp_path / kind).scores(rows), model.scores(rows))
        evidence = fit(Rows(rows, Y), settings=quick | {"learners.shallow_network.most_rows": 159}).evidence
        assert (
            evidence.learners["shallow_network"].left_out
            == "learner shallow_network: expected at most 159 rows, but got 160."
        )
    dense = np.random.default_rng(1).normal(size=(160, 5)).astype(np.float32)
    for rows in (dense, read_table({"size": np.arange(160.0), "kind": ["a", "b"] * 80}).X):
        evidence = fit(Rows(rows, Y), settings=quick).evidence
        assert evidence.learners.keys().isdisjoint({"shallow_network", "margin"})


def test_margins_are_standardised_by_their_spread_over_held_out_rows(tmp_path: Path) -> None:
    X = sp.csr_matrix((np.random.default_rng(0).random((160, 60)) < 0.05).astype(np.float32))
    Y = labels((X.toarray()[:, :20].reshape(160, 4, 5).sum(2) > 0).astype(int))
    two = LINEAR | {"learners.neighbours": None}
    found = fit(Rows(X, Y), settings=two)
    stack, frequency = found.scorer.stack, found.scorer.frequency
    z = {name: frequency.logits(learner.scores(X)) for name, learner in found.scorer.learners.items()}
    none, spread = stack.spreads
    assert (none.mean == 0).all()
    assert (spread.deviation != 1).all()
    z["margin"] = (z["margin"] - spread.mean) / spread.deviation
    expected = Stack(stack.coefficients).probabilities([z["linear"], z["margin"]], frequency)
    np.testing.assert_allclose(found.scores(X), expected, atol=1e-5)
    found.save(tmp_path / "model")
    np.testing.assert_array_equal(Predictor.load(tmp_path / "model").scores(X), found.scores(X))
    assert fit(Rows(X, Y), settings=two | {"learners.margin.standardised": False}).scorer.stack.spreads == ()
    part = found.scorer.part()
    scorers = {f"learner-{m}": one for m, one in enumerate(found.scorer.learners.values())}
    for name, bad in (
        ("means", torch.full((2, 4), torch.nan)),
        ("deviations", torch.zeros(2, 4)),
        ("means", torch.ones(2, 3)),
    ):
        opened = Opened(part.meta, {**part.tensors, name: bad.double()}, scorers)
        with pytest.raises(ValueError, match="spreads of other learners or labels"):
            StackScorer.restore(opened)


def test_texts_tables_and_pictures() -> None:
    words = ["sea", "sand", "wood", "leaf", "road", "car"]
    rng = np.random.default_rng(0)
    picked = rng.integers(0, 6, (90, 3))
    Y = labels(np.stack([(picked == j).any(1) for j in (0, 2, 4)], axis=1))
    texts = [" ".join(words[i] for i in row) for row in picked]
    model = fit(Rows(texts, Y), settings=LINEAR)
    assert metrics.evaluate(model.scores(texts), Y, protocol="fixed", metrics=["map"]).values["map"] > 0.95
    table = read_table({"first": [words[i] for i in picked[:, 0]], "size": picked.sum(1).tolist()})
    found = fit(Rows(table.X, Y), Rows(table.X.take(slice(0, 9)), Y.take(slice(0, 9))), settings=LINEAR)
    assert (found.scores(table.X).shape, len(found.held_out.folds)) == ((90, 3), 99)  # type: ignore[union-attr]
    pictures = torch.randint(0, 256, (24, 1, 8, 8), dtype=torch.uint8, generator=torch.manual_seed(0))
    quick = {"encoder": {"widths": [4, 4]}, "classify": {"stage": {"epochs": 1, "batch": 8}}}
    settings = {"folds": 2}
    for name in ("network", "network_without_contrast"):
        settings[f"images.learners.{name}.settings"] = quick
    made = fit(Rows(pictures, Y.take(slice(0, 24))), settings=settings)
    assert made.embed(pictures).shape[0] == 24
    assert made.scores(pictures).shape == (24, 3)


def test_the_budget_keeps_the_cheapest_learners() -> None:
    evidence = fit(TRAIN, settings=CHEAP | {"budget": 1e-6}).evidence
    assert evidence is not None
    assert any("budget" in one.left_out for one in evidence.learners.values())
    assert sum(not one.left_out for one in evidence.learners.values()) == 1


def test_a_rival_is_taken_where_it_is_better() -> None:
    worse = {"method": "logistic_regression", "settings": {"parameters": {"C": 1e-5}}}
    rivals = {
        "strong": {"settings": {"parameters": {"C": 0.3}}},
        "broken": {"method": TREE, "settings": {"rare": "?"}},
    }
    settings = LINEAR | {
        "learners.neighbours": None,
        "learners.linear": worse | {"rivals": {"strong": rivals["strong"]}},
    }
    evidence = fit(TRAIN, settings=settings).evidence
    assert evidence is not None
    assert evidence.learners["linear"].settings == {"parameters.C": 0.3}
    assert evidence.learners["linear"].rivals["strong"].keys() == {"map", "macro_f1", "micro_f1"}
    settings["learners.linear"] = worse | {"rivals": {"broken": rivals["broken"]}}
    with pytest.raises(ManyLabelError, match="rare"):  # settings that no recipe takes are told at once
        get("best", **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"members": 3},
            r"members: expected no such setting of a stack.*learners\.network\.settings\.members",
        ),
        ({"neighbours.k": 3}, "neighbours: expected no such setting of a stack"),
        ({"learners": {}}, "learners: expected at least one"),
        ({"learners.network.method": "best"}, "a family, one of"),
        ({"learners.network.method": "mulsupconn"}, "mulsupcon"),
        ({"learners.tres.bound.most": 3}, r"learners\.tres\.method: expected a value"),
        (
            {"learners.linear.sparse.foo": 1},
            r"learners\.linear\.sparse\.foo: expected a setting of a learner",
        ),
        ({"learners.linear.grid.setting": "nope"}, "method logistic_regression: expected a setting"),
        (
            {"learners.linear.rivals.scaling.settings.foo": 1},
            "method logistic_regression: expected a setting",
        ),
        ({"learners.../x.method": "bce"}, "learners"),
        ({"learners": {"../x": {"method": "bce"}}}, r"names of letters, digits, _ and -, but got '../x'"),
        ({"folds": 1}, "folds: expected greater than or equal to 2"),
        ({"budget": 0}, "budget: expected greater than 0"),
    ],
)
def test_what_no_stack_can_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ManyLabelError, match=message):
        fit(TRAIN, settings=settings)


def test_a_stack_becomes_an_onnx_file_that_decides_the_same(model: Predictor, tmp_path: Any) -> None:
    import onnxruntime

    model.to_onnx(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    X = np.asarray(NEW.X.values, dtype=np.float32)
    probabilities, decided = session.run(["probabilities", "labels"], {"X": X})
    np.testing.assert_allclose(probabilities, model.predict_proba(NEW.X), atol=1e-5)
    np.testing.assert_array_equal(decided, model.predict(NEW.X))


def test_an_encoder_without_a_network_is_refused() -> None:
    with pytest.raises(ManyLabelError, match="features as they are"):
        get("best", encoder=torch.nn.Linear(10, 4), **LINEAR)


def test_an_encoder_of_ones_own_is_that_of_the_networks(tmp_path: Any) -> None:
    encoder = torch.nn.Linear(10, 6)
    settings = CHEAP | {"learners.linear": None, "learners.trees": None, "learners.neighbours": None}
    settings["learners.network.settings"] = {
        "classify": {"stage": {"epochs": 2}},
        "pretrain": {"stage": {"epochs": 1}},
    }
    made = get("best", encoder=encoder, **settings).fit(TRAIN, None)
    made.save(tmp_path / "own")
    loaded = Predictor.load(tmp_path / "own", encoder)
    np.testing.assert_array_equal(loaded.scores(NEW.X), made.scores(NEW.X))


def test_an_encoder_of_ones_own_takes_pictures_and_leaves_the_shallow_network_its_width(
    tmp_path: Path,
) -> None:
    class Own(torch.nn.Module):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(n, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x.flatten(1))

    rng = np.random.default_rng(0)
    Y = labels((rng.random((60, 3)) < 0.4).astype(int))
    one_epoch = {"classify": {"stage": {"epochs": 1}}}
    only = {"folds": 2, "learners.network_without_contrast": None, "learners.network.settings": one_epoch}
    pictures = (rng.random((60, 3, 8, 8)) * 255).astype(np.uint8)
    assert get("best", encoder=Own(192), **only).fit(Rows(pictures, Y), None).embed(pictures).shape == (
        60,
        2 * 6,
    )

    sparse = sp.random(60, 30, density=0.1, random_state=0, format="csr", dtype=np.float32)
    own = Own(30)
    short = {"method": "bce", "settings": {"encoder": {"widths": [16]}, "classify": {"stage": {"epochs": 1}}}}
    both = LINEAR | {
        "learners.network": {"method": "bce", "settings": one_epoch},
        "learners.shallow_network": short,
    }
    both |= {"learners.linear": None, "learners.margin": None, "learners.neighbours": None}
    model = get("best", encoder=own, **both).fit(Rows(sparse, Y), None)
    assert not any(one.left_out.startswith("expected") for one in model.evidence.learners.values())
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(
        Predictor.load(tmp_path / "model", own).scores(sparse), model.scores(sparse)
    )


def test_networks_of_several_members_take_any_seed_of_a_stack() -> None:
    settings = CHEAP | {"learners.network.settings": CHEAP["learners.network.settings"] | {"members": 2}}
    evidence = fit(TRAIN, settings=settings, seed=2**31 - 1).evidence
    assert evidence is not None
    assert "seed" not in evidence.learners["network"].left_out


def test_methods_that_do_not_cross_fit_want_validation_rows() -> None:
    with pytest.raises(ManyLabelError, match="validation: expected Rows"):
        get("logistic_regression").fit(TRAIN, None)
