"""Methods: fit gives a predictor that can be kept, with any encoder, and that never saw a test row."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.training.small_run import SETTINGS, fit, rows
from torch import nn

from manylabel import LabelMatrix, ManyLabelError, metrics
from manylabel.data import Rows
from manylabel.methods import PAPER, Predictor, get, names
from manylabel.methods.contrastive import Pretraining, PretrainSettings
from manylabel.methods.rows import DeviceRows
from manylabel.models import fit_preprocessor
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
    if "vectors" in (recipe := get(name).recipe).kinds
    and getattr(recipe.resolve("vectors"), "pretrain", None) is not None
    and recipe.members == 1
    and not name.startswith(PAPER)
]


@pytest.mark.parametrize("method", ["bce", *CONTRASTIVE])
def test_a_scorer_learns_and_can_be_kept(method, tmp_path):
    scorer = fit(method=method, **{"classify.stage.epochs": 40, "classify.stage.lr": 0.01})
    new = rows(200, 2)
    scores = scorer.scores(new.X.values)
    assert scores.shape == (200, 4)
    assert scores.dtype == np.float32
    assert metrics.mean_average_precision(scores, new.Y) > 0.65  # chance is 0.33
    assert scorer.embed(new.X.values).shape == (200, 8)
    scorer.save(tmp_path / "model")
    again = Predictor.load(tmp_path / "model")
    assert type(again.scorer) is type(scorer.scorer)
    assert np.array_equal(again.scores(new.X.values), scores)


@pytest.mark.parametrize("method", ["bce", "mulsupcon"])
def test_pictures_train_with_every_view(method):
    X = torch.randint(0, 256, (48, 3, 16, 16), dtype=torch.uint8)
    Y = LabelMatrix.of(torch.rand(48, 3) < 0.4)
    settings = IMAGES | (PRETRAIN if method == "mulsupcon" else {})
    parts = Rows(X[:32], Y.take(slice(0, 32))), Rows(X[32:], Y.take(slice(32, 48)))
    scorer = get(method, **settings).fit(*parts)
    assert scorer.scores(X).shape == (48, 3)


def test_sparse_features_are_taken():
    train, validation = rows(100, 0), rows(40, 1)
    sparse = [Rows(sp.csr_matrix(part.X.values.numpy()), part.Y) for part in (train, validation)]
    settings = {k: v for k, v in SETTINGS.items() if "pretrain" not in k}
    dense_scorer = get("bce", **settings).fit(train, validation)
    sparse_scorer = get("bce", **settings).fit(*sparse)
    assert np.array_equal(dense_scorer.scores(train.X.values), sparse_scorer.scores(sparse[0].X.values))


def test_an_encoder_of_ones_own_is_copied_and_needed_again(tmp_path):
    network = nn.Sequential(nn.Linear(10, 12), nn.Tanh())
    before = network[0].weight.clone()
    settings = {k: v for k, v in SETTINGS.items() if "pretrain" not in k and "encoder" not in k}
    scorer = get("bce", encoder=network, **settings).fit(rows(100, 0), rows(40, 1))
    assert torch.equal(network[0].weight, before)
    assert scorer.embed(rows(3, 2).X.values).shape == (3, 12)
    scorer.save(tmp_path / "model")
    with pytest.raises(
        ManyLabelError, match=r"encoder: expected the network that the model .*, but got none"
    ):
        Predictor.load(tmp_path / "model")
    again = Predictor.load(tmp_path / "model", encoder=network)
    assert torch.equal(network[0].weight, before)
    assert np.array_equal(again.scores(rows(3, 2).X.values), scorer.scores(rows(3, 2).X.values))


def test_a_probe_leaves_the_encoder_as_pretraining_made_it():
    frozen = fit(**{"classify.encoder_rate": 0.0}).scorer
    moved = fit(**{"classify.encoder_rate": 0.0, "classify.stage.epochs": 1, "classify.stage.lr": 0.1}).scorer
    for a, b in zip(frozen.encoder.parameters(), moved.encoder.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(frozen.classifier.weight, moved.classifier.weight)


def test_an_encoder_of_the_wrong_shape_is_refused():
    with pytest.raises(ManyLabelError, match=r"encoder: expected rows of shape \(2, 10\) to become \(2, H\)"):
        get("bce", encoder=nn.Unflatten(1, (2, 5))).fit(rows(100, 0), rows(40, 1))


def short(method):
    """Settings of one epoch for every stage of a method."""
    recipe = get(method).recipe.resolve("vectors")
    sections = [
        name for name in ("pretrain", "classify", "errors") if getattr(recipe, name, None) is not None
    ]
    return {f"vectors.{section}.stage.epochs": 1 for section in sections}


FEW = ["bce", "mulsupcon", "proto", "joint_mulsupcon", "kmcl", "mpvae", "rbcc", "cgmvae"]


ALONE = ["mulsupcon", "proto", "joint_mulsupcon", "rbcc"]  # methods that compare rows, or part them


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("method", FEW)
def test_fewer_rows_than_a_batch_shrink_it_and_say_so(method, n):
    made, train = get(method, **short(method)), rows(n, 0)
    train = Rows(train.X.values, LabelMatrix.of(torch.ones(n, 4)))
    if n == 1 and method in ALONE:
        with pytest.raises(ManyLabelError, match="at least 2"):
            made.fit(train, rows(10, 1))
        return
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        scorer = made.fit(train, rows(10, 1))
    assert any(f"{n} training rows are fewer than a batch" in str(warning.message) for warning in seen)
    assert np.isfinite(scorer.scores(rows(3, 2).X.values)).all()
    for given in (torch.zeros(0, 10), np.zeros((0, 10)), sp.csr_matrix((0, 10))):
        assert scorer.scores(given).shape == (0, 4)
        assert scorer.embed(given).shape == (0, scorer.embed(rows(3, 2).X.values).shape[1])


FORMS = {
    "uint8": lambda X: X.to(torch.uint8),
    "bool": lambda X: X,
    "int64": lambda X: X.long(),
    "float16": lambda X: X.half(),
    "float64": lambda X: X.double(),
    "bfloat16": lambda X: X.bfloat16(),
    "graph": lambda X: X.float().requires_grad_(),
    "array": lambda X: X.numpy(),
    "lists": lambda X: X.tolist(),
    "swapped bytes": lambda X: X.numpy().astype(">i4"),
    "csr": lambda X: sp.csr_matrix(X.numpy()),
    "coo": lambda X: sp.coo_matrix(X.numpy().astype("f4")),
    "torch COO": lambda X: X.float().to_sparse(),
}


@pytest.mark.parametrize("method", ["bce", "logistic_regression", "neighbours"])
@pytest.mark.parametrize("trained", ["uint8", "int64", "csr", "float"])
def test_a_number_means_the_same_in_every_type(method, trained):
    X = rows(60, 0).X.values > 0
    own = {"classify.stage.epochs": 1, "classify.stage.batch": 16, "vectors.encoder.widths": [16]}
    made = {
        "bce": lambda: get("bce", **own),
        "neighbours": lambda: get("bce", **(own | {"neighbours.k": 3})),
        "logistic_regression": lambda: get("logistic_regression"),
    }[method]()
    part = Rows(FORMS.get(trained, lambda X: X.float())(X), rows(60, 0).Y)
    scorer = made.fit(part, part)
    own = scorer.scores(X.float())
    for name, form in FORMS.items():
        np.testing.assert_allclose(scorer.scores(form(X)), own, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("method", "layout"),
    [("bce", torch.clone), ("bce", lambda X: sp.csr_matrix(X.numpy())), ("logistic_regression", torch.clone)],
    ids=["dense", "sparse", "sklearn_baseline"],
)
def test_an_offset_such_as_a_time_costs_nothing(method, layout, tmp_path):
    train, new = rows(100, 0), rows(100, 2)
    settings = {
        "classify.stage.batch": 16,
        "classify.stage.epochs": 8,
        "classify.stage.lr": 0.01,
        "vectors.encoder.widths": [16],
    }
    scores = []
    for offset in (0.0, 1.7e9):
        part = Rows(layout(train.X.values.double() + offset), train.Y)
        scorer = get(method, **(settings if method == "bce" else {})).fit(part, part)
        scores.append(scorer.scores(layout(new.X.values.double() + offset)))
    np.testing.assert_allclose(*scores, atol=0.02)  # float64 keeps 2e-7 of 1.7e9, which training amplifies
    if method == "bce":
        scorer.save(tmp_path / "model")
        again = Predictor.load(str(tmp_path / "model"))
        assert np.array_equal(again.scores(layout(new.X.values.double() + 1.7e9)), scores[1])


def test_columns_that_float32_blurs_are_told_where_nothing_is_subtracted():
    train = rows(40, 0)
    X = train.X.values.double().clone()
    X[:, 4] = 1.7e9 + torch.arange(40, dtype=torch.float64)
    part = Rows(X, train.Y)
    with pytest.warns(UserWarning, match=r"columns lose .* float32: 4 \(40 distinct values, 1 as float32\)"):
        get("mpvae", standardise=False).trainers["vectors"].inputs(part)
    wide = sp.csr_matrix(torch.cat([X, torch.zeros(40, 10_000)], dim=1).numpy())
    with pytest.warns(UserWarning, match=r"columns lose .* float32: 4 \(40 distinct values"):
        fit_preprocessor(wide)


def test_pictures_go_from_0_to_255_in_every_type():
    X = torch.randint(0, 256, (32, 3, 8, 8), dtype=torch.uint8)
    part = Rows(X, rows(32, 0).Y)
    scorer = get("bce", **IMAGES).fit(part, part)
    own, floats = scorer.scores(X), X.float()
    for given in (floats, X.double(), X.long(), X.numpy(), X.half()):
        np.testing.assert_allclose(scorer.scores(given), own, atol=1e-5)
    assert torch.equal(floats, X.float())  # the caller's pictures stay as they are
    as_floats = Rows(floats, part.Y)
    np.testing.assert_allclose(get("bce", **IMAGES).fit(as_floats, as_floats).scores(X), own, atol=1e-5)
    with pytest.raises(ManyLabelError, match="Multiply pictures that go from 0 to 1 by 255"):
        get("bce", **IMAGES).fit(Rows(floats / 255, part.Y), part)


def test_no_validation_rows_are_refused():
    with pytest.raises(
        ManyLabelError, match=r"method bce: expected validation rows, but got none\. Keep some"
    ):
        get("bce").fit(rows(100, 0), rows(0, 1))


def test_the_candidates_are_the_keys_of_the_step_and_then_the_queue():
    train = rows(64, 0)
    inputs = fit_preprocessor(train.X)
    resident = DeviceRows.of(train, inputs)
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
