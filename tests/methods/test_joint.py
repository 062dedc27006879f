"""Joint training: both losses, their balance, and the same end after an interruption."""

import math

import pytest
import torch
from tests.training.small_run import SETTINGS, rows
from tests.training.stops import killed_after
from torch import nn

from manylabel import ManyLabelError, losses, metrics
from manylabel.methods import get, names
from manylabel.methods.classifier_stage import build_criterion
from manylabel.methods.contrastive_term import build_term
from manylabel.methods.joint import Balance, JointContrast, JointTraining
from manylabel.methods.recipe import ClassifySettings
from manylabel.methods.rows import DeviceRows
from manylabel.models.inputs import VectorPreprocessor
from manylabel.training import LastStage, Run, Stage

SHORT = {k: v for k, v in SETTINGS.items() if "pretrain" not in k}
JOINT = [name for name in names() if name.startswith("joint_")]
BALANCES = ("fixed", "linear", "cosine", "learnt")


def fit(method, folder=None, **overrides):
    return get(method, **(SHORT | {"contrast.dim": 8} | overrides)).fit(
        rows(100, 0), rows(40, 1), folder=folder
    )


@pytest.mark.parametrize("candidates", ["batch", "views"])
@pytest.mark.parametrize("method", JOINT)
def test_learns(method, candidates):
    changed = {"classify.stage.epochs": 40, "classify.stage.lr": 0.01, "contrast.candidates": candidates}
    new = rows(200, 2)
    assert (
        metrics.mean_average_precision(fit(method, **changed).scores(new.X.values), new.Y) > 0.75
    )  # chance is 0.33


@pytest.mark.parametrize("method", JOINT)
def test_only_the_contrast_tells_a_recipe_from_that_of_bce(method):
    ours, bce = get(method).recipe, get("bce").recipe
    for kind in ("vectors", "images"):
        assert ours.resolve(kind).encoder == bce.resolve(kind).encoder
        own, its = (recipe.resolve(kind).classify.model_dump() for recipe in (ours, bce))
        for settings in (own, its):
            del settings["loss"]
        assert own == its | {"grid": None}


def task(balance, loss="reg", **settings):
    encoder, classifier, inputs = nn.Linear(10, 6), nn.Linear(6, 4), VectorPreprocessor((10,))
    part, stage = (
        DeviceRows(rows(64, 0).X.values, rows(64, 0).Y),
        LastStage(epochs=2, batch=16),
    )
    contrast = JointContrast(candidates="batch", head="plain", dim=8, **settings)
    term = build_term(loss, inputs, encoder, part.Y, contrast, 16)
    classify, criterion = ClassifySettings(stage=stage), build_criterion("bce", {})
    return JointTraining(inputs, encoder, classifier, part, part, classify, criterion, term, balance)


def test_the_loss_is_that_of_the_classifier_and_the_weighted_contrast():
    made, index = task(Balance(0.3, "fixed", 8)), torch.arange(16)
    X, Y = made.rows.train.X[index], made.rows.train.Y.take(index)
    h = made.encoder(X)
    contrast = losses.get("reg", temperature=0.1)(made.term.query[1](h), Y, made.term.prototypes)
    torch.testing.assert_close(made.loss(index), losses.get("bce")(made.classifier(h), Y) + 0.3 * contrast)


def test_every_parameter_is_trained_once():
    made = task(Balance(0.3, "learnt", 8))
    grouped = [id(p) for group in made.groups for p in group.parameters.parameters]
    assert sorted(grouped) == sorted({id(p) for p in made.module.parameters()})
    before = [p.detach().clone() for p in made.module.parameters()]
    Run(("train",), seed=0).train("train", made, Stage(epochs=2, batch=16, lr=0.01))
    for old, new in zip(before, made.module.parameters(), strict=True):
        assert not torch.equal(old, new)


def test_a_pretraining_may_come_first():
    settings = {k: v for k, v in SETTINGS.items() if k != "pretrain.queue"}
    made = get("mulsupcon", **settings, **{"contrast.weight": 0.2, "contrast.dim": 8})
    told = []
    made.fit(rows(100, 0), rows(40, 1), progress=lambda progress: told.append(progress.stage))
    assert list(dict.fromkeys(told)) == ["pretrain", "finetune"]


def test_a_weight_stays_or_falls_to_nothing():
    one = torch.tensor(1.0)
    values = {}
    for kind in ("fixed", "linear", "cosine"):
        balance = Balance(0.4, kind, 4)
        values[kind] = [round(float(balance(0 * one, one)), 6) for _ in range(4)]
    assert values["fixed"] == [0.4] * 4
    assert values["linear"] == [0.4, 0.3, 0.2, 0.1]
    assert values["cosine"] == [round(0.2 * (1 + math.cos(math.pi * t / 4)), 6) for t in range(4)]


def test_learnt_weights_become_the_inverses_of_the_losses():
    balance = Balance(0.1, "learnt", 1)
    classifier, contrast = torch.tensor(0.25), torch.tensor(4.0)
    assert balance(classifier, contrast).item() == pytest.approx(0.25 + 0.4 - math.log(0.1) / 2)
    optimiser = torch.optim.Adam(balance.parameters(), lr=0.05)
    for _ in range(600):
        optimiser.zero_grad()
        balance(classifier, contrast).backward()
        optimiser.step()
    weights = torch.exp(-balance.log_variances.detach())
    torch.testing.assert_close(weights, torch.tensor([1 / 0.5, 1 / 8]), rtol=1e-3, atol=0)  # 1 / (2 L)


@pytest.mark.parametrize("balance", BALANCES)
def test_a_run_stopped_ends_as_if_never_stopped(balance, tmp_path, monkeypatch):
    settings = {"contrast.balance": balance, "contrast.candidates": "momentum", "contrast.queue": 20}
    with killed_after(23):
        fit("joint_mulsupcon", tmp_path, **settings)
    resumed, whole = (fit("joint_mulsupcon", folder, **settings) for folder in (tmp_path, None))
    for name, tensor in whole.scorer.module.state_dict().items():
        assert torch.equal(resumed.scorer.module.state_dict()[name], tensor), name


def test_what_cannot_be_trained_jointly_is_refused():
    with pytest.raises(
        ManyLabelError, match=r"classify\.encoder_rate 1 where losses are joined, but got 0\.0"
    ):
        get("joint_reg", **{"classify.encoder_rate": 0.0})
    with pytest.raises(ManyLabelError, match="candidates of the batch itself, but got momentum"):
        get("joint_reg", **{"contrast.candidates": "momentum"})
    with pytest.raises(ManyLabelError, match="settings of pretrain or contrast, but got none"):
        get("joint_reg", contrast=None)
    with pytest.raises(ManyLabelError, match=r"classify\.encoder_rate 1 where losses are joined"):
        get("mulsupcon", **{"contrast.weight": 0.1, "classify.encoder_rate": 0.3})
    with pytest.raises(ManyLabelError, match=r"no grid where losses are joined, but got classify\.grid"):
        get("joint_reg", **{"classify.grid": {}, "classify.encoder_rate": 0.0})
    with pytest.raises(
        ManyLabelError, match="BCE: expected settings among reduction, group, but got 'gamma'"
    ):
        get("joint_reg", **{"classify.loss.gamma": 1.0})
