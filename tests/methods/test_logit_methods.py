"""End to end on every loss of the logits."""

import pytest
import torch
from tests.training.small_run import SETTINGS, rows
from torch import nn

from manylabel import ManyLabelError, losses, methods, metrics
from manylabel.methods import get
from manylabel.methods.classifier_stage import Classification

LOGIT = [
    name
    for name in methods.names()
    if get(name).recipe.family == "logit" and not name.startswith((methods.PAPER, "text_"))
]
SHORT = {k: v for k, v in SETTINGS.items() if "pretrain" not in k}


def test_every_loss_of_logits_has_a_recipe():
    assert sorted(LOGIT) == ["asl", "bce", "focal", "twoway", "zlpr"]
    assert {get(name).recipe.resolve("vectors").loss for name in LOGIT} <= set(losses.names())


@pytest.mark.parametrize("method", LOGIT)
def test_learns(method):
    made = get(method, **(SHORT | {"classify.stage.epochs": 40, "classify.stage.lr": 0.01}))
    new = rows(200, 2)
    scores = made.fit(rows(100, 0), rows(40, 1)).scores(new.X.values)
    assert metrics.mean_average_precision(scores, new.Y) > 0.75  # chance is 0.33


@pytest.mark.parametrize("method", LOGIT)
def test_only_the_loss_tells_a_recipe_from_that_of_bce(method):
    recipe, bce = get(method).recipe, get("bce").recipe
    for kind in ("vectors", "images"):
        ours, theirs = (r.resolve(kind).model_dump() for r in (recipe, bce))
        for settings in (ours, theirs):
            for own in ("name", "about", "source", "loss", "expected"):
                del settings[own]
            del settings["classify"]["loss"], settings["classify"]["stage"]["l2_per_row"]
        assert ours == theirs


def test_settings_of_a_loss_reach_it(monkeypatch):
    seen, original = [], Classification.__init__

    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        seen.append(self.criterion)

    monkeypatch.setattr(Classification, "__init__", init)
    changed = {"classify.loss.gamma_neg": 2.0, "vectors.classify.loss.log_space": True}
    get("asl", **(SHORT | changed)).fit(rows(40, 0), rows(20, 1))
    assert isinstance(seen[0], losses.ASL)
    assert seen[0].gamma_neg == 2.0
    assert seen[0].log_space is True
    assert seen[0].clip == 0.05


def test_an_unknown_setting_of_a_loss_is_refused():
    with pytest.raises(ManyLabelError, match=r"ASL: expected settings among gamma_neg, .*, but got 'gamma'"):
        get("asl", **{"classify.loss.gamma": 2.0})
    with pytest.raises(
        ManyLabelError, match=r"BCE: expected settings among reduction, group, but got 'gamma'"
    ):
        get("bce", **{"classify.loss.gamma": 2.0})


RESIDUAL = {"vectors.encoder.name": "resmlp", "vectors.encoder.widths": [8, 16, 16]}


NUMERIC = {"vectors.encoder.name": "numeric_mlp", "encoder.sigma": 0.2}


@pytest.mark.parametrize("method", ["bce", "mulsupcon"])
@pytest.mark.parametrize("network", [RESIDUAL, NUMERIC], ids=["residual", "numeric"])
def test_another_network_learns_and_is_kept(method, network, tmp_path):
    settings = {k: v for k, v in SETTINGS.items() if method == "mulsupcon" or "pretrain" not in k}
    made = get(method, **(settings | network | {"classify.stage.epochs": 40, "classify.stage.lr": 0.01}))
    new, predictor = rows(200, 2), made.fit(rows(100, 0), rows(40, 1))
    scores = predictor.scores(new.X.values)
    assert metrics.mean_average_precision(scores, new.Y) > 0.75  # chance is 0.33
    predictor.save(tmp_path / "model")
    assert (methods.Predictor.load(tmp_path / "model").scores(new.X.values) == scores).all()


def test_a_batch_norm_over_a_single_row_is_refused_before_training():
    made = get("bce", **(SHORT | RESIDUAL | {"classify.stage.batch": 1}))
    with pytest.raises(ManyLabelError, match="batch norm: expected at least 2 rows of a step"):
        made.fit(rows(20, 0), rows(10, 1))


@pytest.mark.parametrize("method", ["bce", "mulsupcon", "logistic_regression"])
@pytest.mark.parametrize("scaling", ["one", "rank_normal", "lsa"])
def test_a_method_learns_from_rows_scaled_in_another_way_and_is_kept(method, scaling, tmp_path):
    short = {k: v for k, v in SETTINGS.items() if method == "mulsupcon" or "pretrain" not in k}
    settings = {} if method == "logistic_regression" else short
    new = rows(100, 2)
    usual, scaled = (
        get(method, **(settings | own)).fit(rows(100, 0), rows(40, 1))
        for own in ({}, {"inputs.scaling": scaling})
    )
    scores = scaled.scores(new.X.values)
    assert not (scores == usual.scores(new.X.values)).all()
    scaled.save(tmp_path / "model")
    assert (methods.Predictor.load(tmp_path / "model").scores(new.X.values) == scores).all()


def test_only_vectors_are_scaled_in_another_way():
    recipe = get("bce", **{"inputs.scaling": "rank_normal"}).recipe
    assert recipe.resolve("vectors").inputs.scaling == "rank_normal"
    with pytest.raises(ManyLabelError, match=r"inputs\.scaling: expected 'auto', but got 'rank_normal'"):
        recipe.resolve("images")
    assert get("bce", **{"vectors.inputs.scaling": "one"}).recipe.resolve("images").inputs.scaling == "auto"


class Wide(nn.Module):
    """Computes in float64, tells in float32."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(10, 8, dtype=torch.float64)

    def forward(self, x):
        return torch.relu(self.layer(x.double())).float()


def test_an_encoder_of_another_type_than_the_classifier_is_trained_along():
    encoder, new = Wide(), rows(200, 2)
    made = get("bce", encoder=encoder, **{"classify.stage.epochs": 40, "classify.stage.lr": 0.01})
    predictor = made.fit(rows(100, 0), rows(40, 1))
    assert metrics.mean_average_precision(predictor.scores(new.X.values), new.Y) > 0.75  # chance is 0.33
    trained = predictor.scorer.encoder.layer.weight
    assert trained.dtype == torch.float64
    assert not torch.equal(trained, encoder.layer.weight)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"encoder.sigma": 0.2}, r"encoder\.sigma: expected the network numeric_mlp, but got mlp"),
        ({"encoder.name": "resmlp", "encoder.sigma": 0.2}, r"encoder\.sigma: .* but got resmlp"),
        (
            {"encoder.name": "numeric_mlp", "encoder.weights": "w.pth"},
            r"encoder\.weights: .* but got numeric_mlp",
        ),
    ],
)
def test_settings_of_another_network_are_refused(settings, told):
    with pytest.raises(ManyLabelError, match=told):
        get("bce", **settings).fit(rows(40, 0), rows(20, 1))
