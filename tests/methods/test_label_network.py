"""LaMP, MPVAE, RBCC, C-GMVAE: fit gives a scorer that learnt, can be kept, and does not depend on interruptions."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.methods.small_vectors import SMALL, STAGE, fit
from tests.training.small_run import rows
from tests.training.stops import killed_after
from torch import nn

from manylabel import LabelMatrix, ManyLabelError, metrics
from manylabel.data import Rows
from manylabel.methods import NetworkScorer, Predictor, get
from manylabel.methods.rbcc import HalvesTraining
from manylabel.methods.rows import DeviceRows
from manylabel.models.lamp import LaMP

NEW = rows(200, 2)
PICTURES = Rows(torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8), rows(40, 0).Y)
SHORT = {"classify.stage.epochs": 2}


@pytest.mark.parametrize("method", SMALL)
def test_a_scorer_learns_and_can_be_kept(method, tmp_path):
    scorer = fit(method)
    scores = scorer.scores(NEW.X.values)
    assert scores.shape == (200, 4)
    assert scores.dtype == np.float32
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert metrics.mean_average_precision(scores, NEW.Y) > 0.75  # chance is 0.33
    embedding = scorer.embed(NEW.X.values)
    assert embedding.ndim == 2
    assert len(embedding) == 200
    scorer.save(tmp_path / "model")
    again = Predictor.load(tmp_path / "model")
    assert np.array_equal(again.scores(NEW.X.values), scores)
    assert np.array_equal(again.embed(NEW.X.values), embedding)


@pytest.mark.parametrize("method", SMALL)
def test_a_seed_decides_everything_and_the_caller_keeps_their_random_state(method):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = fit(method, **SHORT).scores(NEW.X.values)
    assert torch.equal(torch.rand(3), expected)
    assert np.array_equal(fit(method, **SHORT).scores(NEW.X.values), first)
    assert not np.array_equal(fit(method, seed=4, **SHORT).scores(NEW.X.values), first)


@pytest.mark.parametrize("method", SMALL)
def test_scores_do_not_depend_on_how_many_rows_are_scored_at_once(method):
    scorer = fit(method, **SHORT)
    whole = scorer.scores(NEW.X.values)
    scorer.scorer.network.rows_at_once = 7
    np.testing.assert_allclose(scorer.scores(NEW.X.values), whole, atol=1e-6)


def test_a_network_with_many_labels_scores_fewer_rows_at_once():
    assert LaMP(5, 1000, width=512).rows_at_once == 32
    assert LaMP(5, 3, width=8, heads=2).rows_at_once == 1024


@pytest.mark.parametrize(("method", "steps"), [("mpvae", 7), ("rbcc", 9), ("rbcc", 60), ("rbcc", 70)])
def test_a_run_stopped_at_any_step_ends_as_if_never_stopped(method, steps, tmp_path, monkeypatch):
    with killed_after(steps):
        fit(method, tmp_path, **SHORT)
    torch.rand(7)
    resumed, whole = fit(method, tmp_path, **SHORT), fit(method, **SHORT)
    assert np.array_equal(resumed.scores(NEW.X.values), whole.scores(NEW.X.values))
    for name, tensor in whole.scorer.module.state_dict().items():
        assert torch.equal(resumed.scorer.module.state_dict()[name], tensor), name


@pytest.mark.parametrize("method", SMALL)
def test_rows_without_labels_do_not_disturb(method):
    train = rows(200, 0)
    Y = train.Y.dense(torch.uint8).clone()
    Y[::3] = 0
    made = get(method, **(STAGE | SMALL[method] | SHORT))
    scorer = made.fit(Rows(train.X.values, LabelMatrix.of(Y)), rows(40, 1))
    assert np.isfinite(scorer.scores(NEW.X.values)).all()


@pytest.mark.parametrize("method", SMALL)
def test_what_a_method_is_not_defined_for_is_refused(method):
    made = get(method, **SMALL[method])
    with pytest.raises(ManyLabelError, match=r"vectors, text or table, but got images\. Use a method for"):
        made.fit(PICTURES, PICTURES)
    with pytest.raises(ManyLabelError, match="its own network, but got an encoder"):
        get(method, encoder=nn.Linear(10, 3))
    soft = Rows(rows(100, 0).X.values, LabelMatrix.of(torch.rand(100, 4)))
    with pytest.raises(ManyLabelError, match="labels that are 0 or 1, but got soft labels"):
        made.fit(soft, rows(40, 1))


def test_sparse_rows_are_taken_and_words_are_not_standardised():
    X = (torch.rand(120, 10) < 0.3).float()
    Y = LabelMatrix.of((X[:, :4] > 0).to(torch.uint8))
    settings = STAGE | SMALL["lamp"] | {"network.inputs": "words", "network.encoder_attention": True}
    sparse = Rows(sp.csr_matrix(X.numpy()), Y)
    scorer = get("lamp", **settings).fit(sparse.take(range(80)), sparse.take(range(80, 120)))
    assert torch.equal(scorer.scorer.inputs.scale, torch.ones(10))
    assert metrics.mean_average_precision(scorer.scores(sparse.X), Y) > 0.75


@pytest.mark.parametrize("method", SMALL)
def test_features_can_be_taken_as_they_are(method):
    scorer = fit(method, standardise=False, **SHORT)
    assert torch.equal(scorer.scorer.inputs(NEW.X.values), NEW.X.values)
    assert not torch.equal(fit(method, **SHORT).scorer.inputs(NEW.X.values), NEW.X.values)


def test_the_graph_of_lamp_comes_from_training_labels_only():
    X = torch.randn(40, 10)
    apart = LabelMatrix.of(torch.eye(4, dtype=torch.uint8).repeat(10, 1))
    together = LabelMatrix.of(torch.ones(40, 4, dtype=torch.uint8))
    scorer = get("lamp", **(STAGE | SMALL["lamp"] | SHORT)).fit(Rows(X, apart), Rows(X, together))
    assert torch.equal(scorer.scorer.network.neighbours, torch.eye(4, dtype=torch.bool))


def test_each_half_predicts_the_other_for_the_errors():
    part = rows(31, 0)
    resident = DeviceRows(part.X.values, part.Y)
    task = HalvesTraining(resident, resident, hidden=3)
    assert sorted(len(half) for half in task.halves) == [15, 16]
    assert task.n_rows == 16
    errors = task.errors()
    for network, half in zip(task.networks, reversed(task.halves), strict=True):
        wanted = resident.Y.take(half).dense(torch.int32) - (network(part.X.values[half]) > 0).int()
        assert np.array_equal(errors[half.numpy()], wanted.numpy())
    value = task.loss(torch.arange(16))
    assert value.item() == pytest.approx(2 * 4 * np.log(2), rel=0.3)  # of two halves and four labels


def test_rbcc_finds_that_one_error_tells_of_another():
    """Two labels share a part that the features do not show, so that their errors come together."""
    generator = torch.Generator().manual_seed(0)
    X, hidden = torch.randn(600, 3, generator=generator), torch.rand(600, generator=generator) < 0.5
    Y = torch.stack([hidden, hidden, X[:, 0] > 0], 1).to(torch.uint8)
    part = Rows(X, LabelMatrix.of(Y))
    scorer = get("rbcc", **(STAGE | SMALL["rbcc"] | SHORT)).fit(part, part)
    graph = scorer.scorer.network.graph > 0
    assert graph[0, 1] or graph[1, 0]
    assert not graph[2].any()


def test_a_part_of_no_known_type_is_refused_and_networks_are_read_too(tmp_path):
    settings = {"classify.stage.epochs": 1, "classify.stage.batch": 16}
    scorer = get("bce", **settings).fit(rows(40, 0), rows(20, 1))
    scorer.save(tmp_path / "bce")
    assert isinstance(Predictor.load(tmp_path / "bce").scorer, NetworkScorer)
    scorer.scorer.part_type = "a queue"
    scorer.save(tmp_path / "other")
    with pytest.raises(
        ManyLabelError, match=r"type of a part: expected one of network, .* but got 'a queue'"
    ):
        Predictor.load(tmp_path / "other")
