"""Fine-tuning a pretrained encoder of texts: it learns, is saved without its folder, and says what it cannot use."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from manylabel import ManyLabelError, MultiLabelClassifier, methods
from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import Predictor
from manylabel.methods.networks import build_encoder, token_inputs
from manylabel.methods.recipe import EncoderSettings
from text_encoders import bert_folder, themed_texts

FAST = {"classify.stage.lr": 2e-2, "classify.encoder_rate": 0.3, "classify.stage.epochs": 8}
PRETRAINED = {"pretrain.stage.lr": 3e-3, "pretrain.stage.epochs": 2, "pretrain.dim": 8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(bert_folder(tmp_path_factory.mktemp("bert") / "bert"))


def rows(n: int = 200, seed: int = 0) -> Rows:
    texts, Y = themed_texts(n, seed)
    return Rows(texts, as_labels(Y))


def fitted(name: str, folder: str, **settings) -> Predictor:
    return methods.get(name, **{"encoder.weights": folder, **FAST, **settings}).fit(rows(), rows(40, 1))


def ranked(model: Predictor, new: Rows) -> float:
    """How often a row with a label scores above one without it."""
    S, Y = model.scores(new.X), new.Y.dense().numpy().astype(bool)
    pairs = [(S[Y[:, c], c][:, None] > S[~Y[:, c], c]).mean() for c in range(Y.shape[1])]
    return float(np.mean(pairs))


@pytest.mark.parametrize("name", ["text_bce", "text_mulsupcon"])
def test_words_are_learnt_and_a_model_needs_its_folder_no_more(name, folder, tmp_path):
    moved = shutil.copytree(folder, tmp_path / "bert")
    more = PRETRAINED if name == "text_mulsupcon" else {}
    model, new = fitted(name, str(moved), **more), rows(60, 2)
    assert ranked(model, new) > 0.9
    model.save(tmp_path / "model")
    shutil.rmtree(moved)
    again = Predictor.load(tmp_path / "model")
    assert np.array_equal(again.scores(new.X), model.scores(new.X))
    assert np.array_equal(again.embed(new.X), model.embed(new.X))
    assert model.embed(new.X).shape == (60, 16)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("text_mulsupcon", {"pretrain.candidates": "momentum", "pretrain.queue": 32}),
        ("text_mulsupcon", {"pretrain.loss": {}, "classify.encoder_rate": 0}),
        ("joint_mulsupcon", {"classify.encoder_rate": 1.0}),
        ("kmcl", {}),
        ("asl", {}),
    ],
)
def test_other_methods_train_the_same_encoder(name, settings, folder):
    short = {"classify.stage.epochs": 1, "classify.stage.batch": 16, "classify.views.mask": 0.1}
    if name == "text_mulsupcon":
        short |= PRETRAINED | {"pretrain.stage.epochs": 1}
    own = {"encoder.name": "huggingface", "encoder.weights": folder, "encoder.length": 8}
    kept = {f"text.{key}": value for key, value in {**own, **short, **settings}.items()}
    model = methods.get(name, **kept).fit(rows(48), rows(16, 1))
    assert model.scores(rows(5, 2).X).shape == (5, 4)
    assert np.isfinite(model.scores(rows(5, 2).X)).all()


def test_the_encoder_learns_at_a_rate_of_its_own_and_stays_with_a_rate_of_0(folder):
    settings = EncoderSettings(name="huggingface", weights=folder)
    before = build_encoder(settings, token_inputs(settings)).state_dict()
    frozen = fitted("text_bce", folder, **{"classify.encoder_rate": 0, "classify.stage.epochs": 2})
    trained = fitted("text_bce", folder, **{"classify.stage.epochs": 2})
    for model, same in ((frozen, True), (trained, False)):
        after = model.scorer.encoder.state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before) == same


def test_layers_that_are_computed_again_give_the_same_gradient(folder):
    settings = EncoderSettings(name="huggingface", weights=folder)
    inputs = token_inputs(settings)
    x = inputs.dense(themed_texts(12)[0])
    gradients = []
    for checkpointing in (False, True):
        encoder = build_encoder(settings.model_copy(update={"checkpointing": checkpointing}), inputs)
        assert (
            any(getattr(part, "gradient_checkpointing", False) for part in encoder.modules()) == checkpointing
        )
        torch.manual_seed(0)
        encoder.train()(x).square().sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None]))
    torch.testing.assert_close(*gradients)


def test_two_passes_in_training_are_two_views_and_in_use_one(folder):
    settings = EncoderSettings(name="huggingface", weights=folder)
    inputs = token_inputs(settings)
    encoder, x = build_encoder(settings, inputs), inputs.dense(["cat dog sun"])
    assert not torch.equal(encoder.train()(x), encoder(x))
    assert torch.equal(encoder.eval()(x), encoder(x))


def test_the_same_seed_trains_the_same_model_and_a_stopped_one_goes_on(folder, tmp_path):
    settings = {"encoder.weights": folder, **FAST, "classify.stage.epochs": 2}
    method = methods.get("text_bce", **settings)
    first = method.fit(rows(64), rows(20, 1), seed=3, folder=tmp_path / "run")
    new = rows(10, 2).X
    for again in (
        method.fit(rows(64), rows(20, 1), seed=3, folder=tmp_path / "run"),
        method.fit(rows(64), rows(20, 1), seed=3),
    ):
        assert np.array_equal(again.scores(new), first.scores(new))


def test_an_estimator_fine_tunes_texts(folder):
    texts, Y = themed_texts(80)
    settings = {"encoder.weights": folder, **FAST, "classify.stage.epochs": 1}
    model = MultiLabelClassifier("text_bce", settings=settings, validation=0.25, random_state=0).fit(texts, Y)
    assert model.predict_proba(texts[:3]).shape == (3, 4)


def test_what_cannot_be_fine_tuned_is_told_before_training(folder, tmp_path):
    with pytest.raises(ManyLabelError, match=r"encoder.weights: expected a pretrained encoder of texts"):
        methods.get("text_bce").fit(rows(20), rows(10))
    with pytest.raises(ManyLabelError, match=r"encoder.weights: expected the folder of an encoder"):
        fitted("text_bce", str(tmp_path / "none" / "such" / "one"))
    with pytest.raises(ManyLabelError, match=r"encoder.name huggingface: expected texts, but got vectors"):
        methods.get("text_bce").recipe.resolve("vectors")
    with pytest.raises(
        ManyLabelError, match=r"huggingface: expected texts as they are, but got inputs.encoder"
    ):
        methods.get("text_bce", encoder=folder)
    with pytest.raises(ManyLabelError, match=r"inputs.pooling: expected inputs.encoder beside it"):
        methods.get("bce", **{"inputs.pooling": "first"})
    with pytest.raises(ManyLabelError, match=r"`encoder\.length`: expected at most 32 tokens"):
        fitted("text_bce", folder, **{"encoder.length": 100})
