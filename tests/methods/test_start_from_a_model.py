"""A model to start from: its encoder goes on learning, or stays and is probed, on other labels and other rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from manylabel import ManyLabelError, methods
from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import Predictor
from text_encoders import bert_folder, themed_texts

SHORT = {"classify.stage.epochs": 6, "classify.stage.batch": 16}
PROBE, FINETUNE = {"classify.encoder_rate": 0}, {"classify.encoder_rate": 0.1}


def texts(n: int = 160, seed: int = 0, of: slice = slice(0, 2)) -> Rows:
    found, Y = themed_texts(n, seed)
    return Rows(found, as_labels(Y[:, of]))


def vectors(n: int, seed: int) -> Rows:
    x = np.random.default_rng(seed).normal(size=(n, 6))
    return Rows(x, as_labels((x[:, :3] > 0).astype(np.uint8)))


def pictures(n: int, seed: int, shape: tuple[int, int, int]) -> Rows:
    """Pictures of which labels tell how bright they are."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.rand(n, 1, 1, 1, generator=generator)
    X = (255 * (0.7 * level + 0.3 * torch.rand(n, *shape, generator=generator))).to(torch.uint8)
    return Rows(X, as_labels(np.column_stack([level.flatten() > 0.5, level.flatten() > 0.8])))


def of_model(folder, **settings):
    return {"encoder.name": "model", "encoder.weights": str(folder), **SHORT, **settings}


def weights(model: Predictor) -> torch.Tensor:
    return torch.cat([p.flatten() for p in model.scorer.encoder.parameters()])


@pytest.fixture
def pretrained(tmp_path):
    """Of texts, contrasted alone: the classifier on top of it is a linear probe."""
    settings = {"encoder.widths": [16, 12], "pretrain.stage.epochs": 3, **SHORT, **PROBE}
    model = methods.get("mulsupcon", **settings).fit(texts(), texts(40, 1))
    model.save(tmp_path / "pretrained")
    return model


def test_a_probe_keeps_the_encoder_and_fine_tuning_goes_on_from_it(pretrained, tmp_path):
    place, target, held = tmp_path / "pretrained", texts(160, 2, slice(2, 4)), texts(40, 3, slice(2, 4))
    probe = methods.get("bce", **of_model(place, **PROBE)).fit(target, held)
    assert torch.equal(weights(probe), weights(pretrained))
    assert np.array_equal(probe.embed(held.X), pretrained.embed(held.X))
    tuned = methods.get("bce", **of_model(place, **FINETUNE)).fit(target, held)
    scratch = methods.get("bce", **{"encoder.widths": [16, 12], **SHORT}).fit(target, held)
    apart, fresh = ((weights(model) - weights(pretrained)).norm() for model in (tuned, scratch))
    assert 0 < apart < 0.3 * fresh


@pytest.mark.parametrize("name", ["bce", "mulsupcon", "joint_mulsupcon", "kmcl"])
def test_any_method_of_an_encoder_goes_on_and_its_model_needs_the_first_no_more(name, pretrained, tmp_path):
    place = tmp_path / "pretrained"
    more = {"pretrain.stage.epochs": 1} if name == "mulsupcon" else {}
    settings = {f"text.{key}": value for key, value in of_model(place, **more).items()}
    model, new = methods.get(name, **settings).fit(texts(64), texts(20, 1)), texts(9, 5).X
    model.save(tmp_path / "second")
    place.rename(tmp_path / "elsewhere")
    again = Predictor.load(tmp_path / "second")
    assert np.array_equal(again.scores(new), model.scores(new))
    third = methods.get("bce", **of_model(tmp_path / "second", **PROBE)).fit(texts(64), texts(20, 1))
    assert np.array_equal(third.embed(new), model.embed(new))


@pytest.mark.parametrize(("one", "other"), [((1, 16, 16), (3, 20, 24)), ((3, 20, 24), (1, 16, 16))])
@pytest.mark.parametrize("rate", [0, 0.1])
def test_pictures_of_another_size_and_colour_go_through_it(one, other, rate, tmp_path):
    plain = {"images.encoder.widths": [8, 16], **SHORT, "images.classify.views.jitter": 0}
    source, target, new = pictures(80, 0, one), pictures(80, 1, other), pictures(60, 2, other)
    methods.get("bce", **plain).fit(source, source.take(slice(0, 30))).save(tmp_path / "model")
    settings = {"classify.encoder_rate": rate, "classify.stage.lr": 3e-2, "classify.stage.epochs": 20}
    model = methods.get("bce", **of_model(tmp_path / "model", **settings)).fit(
        target, target.take(slice(0, 30))
    )
    assert model.scorer.inputs.shape == one
    assert ((model.scores(new.X) > 0.5) == new.Y.dense().numpy().astype(bool)).mean() > 0.8
    model.save(tmp_path / "second")
    assert np.array_equal(Predictor.load(tmp_path / "second").scores(new.X), model.scores(new.X))


def test_a_network_of_texts_is_probed_on_other_labels(tmp_path):
    folder = str(bert_folder(tmp_path / "bert"))
    settings = {"encoder.weights": folder, "classify.stage.epochs": 1}
    methods.get("text_bce", **settings).fit(texts(40), texts(20, 1)).save(tmp_path / "model")
    probe = methods.get("bce", **of_model(tmp_path / "model", **PROBE)).fit(texts(40), texts(20, 1))
    new = texts(7, 4).X
    assert np.array_equal(probe.embed(new), Predictor.load(tmp_path / "model").embed(new))


def test_the_network_beside_neighbours_is_found(tmp_path):
    settings = {"neighbours.weight": 0.4, "encoder.widths": [8], **SHORT}
    model = methods.get("bce", **settings).fit(vectors(80, 0), vectors(30, 1))
    model.save(tmp_path / "model")
    probe = methods.get("bce", **of_model(tmp_path / "model", **PROBE)).fit(vectors(80, 0), vectors(30, 1))
    assert np.array_equal(probe.embed(vectors(5, 2).X), model.embed(vectors(5, 2).X))


def test_a_stopped_training_goes_on_with_the_same_model_alone(tmp_path):
    start = {"encoder.widths": [8], **SHORT}
    model = methods.get("bce", **start).fit(vectors(80, 0), vectors(30, 1))
    model.save(tmp_path / "model")
    method = methods.get("bce", **of_model(tmp_path / "model", **FINETUNE))
    first = method.fit(vectors(60, 2), vectors(30, 1), folder=tmp_path / "run")
    again = methods.get("bce", **of_model(tmp_path / "model", **FINETUNE))
    same = again.fit(vectors(60, 2), vectors(30, 1), folder=tmp_path / "run")
    assert np.array_equal(same.scores(vectors(9, 3).X), first.scores(vectors(9, 3).X))
    methods.get("bce", **start).fit(vectors(80, 0), vectors(30, 1), seed=1).save(tmp_path / "model")
    other = methods.get("bce", **of_model(tmp_path / "model", **FINETUNE))
    with pytest.raises(ManyLabelError, match="checkpoint"):
        other.fit(vectors(60, 2), vectors(30, 1), folder=tmp_path / "run")


def test_what_cannot_be_started_from_is_told_before_training(pretrained, tmp_path):
    place = tmp_path / "pretrained"

    def fails(folder, rows, match, **settings):
        with pytest.raises(ManyLabelError, match=match):
            methods.get("bce", **of_model(folder, **settings)).fit(rows, rows)

    fails(tmp_path / "nowhere", texts(20), "expected a model folder, but got no such folder")
    fails(place, vectors(20, 0), "expected a model of vectors, like the rows, but got one of text")
    methods.get("bce", **{"encoder.widths": [8], **SHORT}).fit(vectors(40, 0), vectors(20, 1)).save(
        tmp_path / "six"
    )
    wide = Rows(np.ones((20, 9)), as_labels(np.ones((20, 2), dtype=np.uint8)))
    fails(tmp_path / "six", wide, r"six, X: expected rows of shape \(6,\), but got shape \(9,\)")
    linear = methods.get("logistic_regression").fit(vectors(40, 0), vectors(20, 1))
    linear.save(tmp_path / "linear")
    fails(tmp_path / "linear", vectors(20, 0), "expected a model of one network, but got one of the type")
    own = torch.nn.Linear(6, 4)
    methods.get("bce", encoder=own, **SHORT).fit(vectors(40, 0), vectors(20, 1)).save(tmp_path / "own")
    fails(tmp_path / "own", vectors(20, 0), "expected an encoder that a recipe names")
    with pytest.raises(
        ManyLabelError, match=r"encoder.weights: expected the folder of a model, but got none"
    ):
        methods.get("bce", **{"encoder.name": "model"}).fit(texts(20), texts(20))
    next(place.glob("*.safetensors")).unlink()
    fails(place, texts(20), "no such file: the model folder is incomplete")
