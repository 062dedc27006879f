"""Methods on pictures: weights from files, the size of the encoder, frozen, probed, fine-tuned and from scratch."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from manylabel import LabelMatrix, ManyLabelError
from manylabel.data import Rows
from manylabel.methods import Predictor, get
from manylabel.methods.rows import DeviceRows
from manylabel.models import SmallResNet, fit_preprocessor

SHORT = {"images.encoder.widths": [4, 8], "images.classify.stage.epochs": 2, "images.classify.stage.batch": 8}


def parts(channels=3, pixels=16):
    generator = torch.Generator().manual_seed(0)
    X = torch.randint(0, 256, (36, channels, pixels, pixels), dtype=torch.uint8, generator=generator)
    Y = LabelMatrix.of(torch.rand(36, 3, generator=generator) < 0.4)
    return Rows(X[:24], Y.take(slice(0, 24))), Rows(X[24:], Y.take(slice(24, 36)))


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(1)
    network = SmallResNet(3, (4, 8))
    path = tmp_path / "weights.safetensors"
    save_file(network.state_dict() | {"fc.weight": torch.zeros(5, 8)}, path)
    return str(path)


def embedded(predictor, X):
    return predictor.scorer.embed(X)


def test_a_frozen_encoder_with_weights_stays_as_the_file_has_it(weights):
    train, validation = parts()
    settings = SHORT | {
        "images.encoder.weights": weights,
        "images.classify.encoder_rate": 0,
        "inputs.pixels": 32,
    }
    predictor = get("bce", **settings).fit(train, validation)
    network = SmallResNet(3, (4, 8)).eval()
    network.load_state_dict(predictor.scorer.encoder.state_dict())
    pictures = F.interpolate(train.X.values.float() / 255, (32, 32), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected = network((pictures - mean) / std)
    np.testing.assert_allclose(embedded(predictor, train.X), expected, atol=1e-5)


def test_fine_tuning_starts_from_the_weights_and_the_model_needs_no_file(weights, tmp_path):
    train, validation = parts()
    settings = SHORT | {
        "images.encoder.weights": weights,
        "images.classify.stage.lr": 1e-9,
        "inputs.pixels": 16,
    }
    predictor = get("bce", **settings).fit(train, validation)
    torch.manual_seed(1)
    first = SmallResNet(3, (4, 8)).state_dict()["conv1.weight"]
    torch.testing.assert_close(
        predictor.scorer.encoder.state_dict()["conv1.weight"], first, atol=1e-5, rtol=0
    )
    predictor.save(tmp_path / "model")
    (tmp_path / "weights.safetensors").unlink()
    again = Predictor.load(tmp_path / "model")
    assert np.array_equal(again.scores(validation.X), predictor.scores(validation.X))


def test_pictures_are_brought_to_the_size_of_weights_unless_the_settings_give_one(weights):
    train, validation = parts()
    for pixels, side in ((None, 32), (24, 24)):
        settings = SHORT | {"images.encoder.weights": weights, "inputs.pixels": pixels}
        inputs = get("bce", **settings).fit(train, validation).scorer.inputs
        assert inputs.shape == (3, side, side)
        assert inputs.rows == (3, 16, 16)
    assert get("bce", **SHORT).fit(train, validation).scorer.inputs.shape == (3, 16, 16)


def test_grey_pictures_enter_an_encoder_of_coloured_ones_as_three_equal_channels(weights, tmp_path):
    train, validation = parts(channels=1)
    settings = SHORT | {"images.encoder.weights": weights, "images.classify.encoder_rate": 0}
    predictor = get("bce", **settings).fit(train, validation)
    coloured = (
        Rows(train.X.values.repeat(1, 3, 1, 1), train.Y),
        Rows(validation.X.values.repeat(1, 3, 1, 1), validation.Y),
    )
    same = get("bce", **settings).fit(*coloured)
    np.testing.assert_allclose(embedded(predictor, train.X), embedded(same, coloured[0].X), atol=1e-6)
    predictor.save(tmp_path / "model")
    assert np.array_equal(Predictor.load(tmp_path / "model").scores(train.X), predictor.scores(train.X))


@pytest.mark.parametrize("method", ["mulsupcon", "joint_mulsupcon", "kmcl", "logistic_regression"])
def test_every_method_takes_pictures_at_another_size(method):
    train, validation = parts()
    settings = {"images.inputs.pixels": 12}
    if method != "logistic_regression":
        settings |= SHORT
    if method == "mulsupcon":
        settings |= {"images.pretrain.stage.epochs": 1, "images.pretrain.stage.batch": 8}
    predictor = get(method, **settings).fit(train, validation)
    assert predictor.scorer.inputs.shape == (3, 12, 12)
    assert predictor.scores(validation.X).shape == (12, 3)


class TestRefusals:
    """Bad input gets an error before training starts."""

    def refused(self, text, *parts_, **settings):
        started = []
        with pytest.raises(ManyLabelError, match=text):
            get("bce", **(SHORT | settings)).fit(*(parts_ or parts()), progress=started.append)
        assert not started

    def test_a_missing_file_of_weights(self):
        self.refused("none.pt: expected a file of weights", **{"images.encoder.weights": "none.pt"})

    def test_weights_of_another_network(self, tmp_path):
        save_file(SmallResNet(3, (4, 16)).state_dict(), tmp_path / "a.safetensors")
        path = str(tmp_path / "a.safetensors")
        self.refused(r"blocks.1.conv1.weight of shape \(8, 4, 3, 3\)", **{"images.encoder.weights": path})

    def test_coloured_pictures_for_weights_of_grey_ones(self, tmp_path):
        save_file(SmallResNet(1, (4, 8)).state_dict(), tmp_path / "a.safetensors")
        path = str(tmp_path / "a.safetensors")
        self.refused("pictures of 1 channels as the weights, but got 3", **{"images.encoder.weights": path})

    def test_vectors_for_an_encoder_of_pictures(self):
        part = Rows(torch.randn(20, 5), LabelMatrix.of(torch.rand(20, 3) < 0.5))
        settings = {"vectors.encoder.name": "resnet18", "vectors.encoder.widths": None}
        self.refused("a network for vectors, but got resnet18", part, part, **settings)

    def test_weights_of_an_encoder_of_vectors(self, weights):
        part = Rows(torch.randn(20, 5), LabelMatrix.of(torch.rand(20, 3) < 0.5))
        self.refused(
            r"encoder\.weights: expected a network of pictures", part, part, **{"encoder.weights": weights}
        )

    def test_pixels_of_vectors(self):
        part = Rows(torch.randn(20, 5), LabelMatrix.of(torch.rand(20, 3) < 0.5))
        self.refused(r"inputs\.pixels: expected images, but got vectors", part, part, **{"inputs.pixels": 32})

    def test_widths_of_a_network_that_has_none(self):
        self.refused("no `widths`", **{"images.encoder.name": "resnet18"})


def test_pictures_stay_bytes_in_a_mapped_file_until_a_step_asks_for_them(tmp_path):
    train, validation = parts()
    mapped = np.memmap(tmp_path / "pictures.bin", np.uint8, "w+", shape=tuple(train.X.shape))
    mapped[:] = train.X.values.numpy()
    mapped.flush()
    on_disk = torch.from_numpy(np.memmap(tmp_path / "pictures.bin", np.uint8, "c", shape=mapped.shape))
    inputs = fit_preprocessor(on_disk)
    held = DeviceRows.of(Rows(on_disk, train.Y), inputs)
    assert held.X.values.data_ptr() == on_disk.data_ptr()
    rows = torch.tensor([5, 3, 5])
    assert torch.equal(held.X[rows], train.X.values[rows].float() / 255)
    assert torch.equal(held.take(rows).X[torch.tensor([1])], train.X.values[[3]].float() / 255)
    assert torch.equal(torch.cat(list(held.parts(7))), train.X.values.float() / 255)
    same = get("bce", **SHORT).fit(Rows(on_disk, train.Y), validation)
    assert np.array_equal(
        same.scores(validation.X), get("bce", **SHORT).fit(train, validation).scores(validation.X)
    )


def test_statistics_of_pictures_are_those_of_all_their_numbers():
    X = torch.randint(0, 256, (300, 3, 5, 4), dtype=torch.uint8)
    for values in (X, X.float()):
        inputs = fit_preprocessor(values)
        std, mean = torch.std_mean(X.double() / 255, dim=(0, 2, 3), correction=0)
        torch.testing.assert_close(inputs.mean.view(-1).double(), mean, atol=1e-6, rtol=0)
        torch.testing.assert_close(inputs.scale.view(-1).double(), std, atol=1e-6, rtol=0)


@pytest.mark.slow  # compiling
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings(
    "ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"
)  # torch's own
def test_a_compiled_encoder_trains_as_it_is_written():
    train, validation = parts()
    settings = SHORT | {"images.encoder.widths": [4], "images.classify.stage.epochs": 1}
    settings |= {"images.classify.views.jitter": 0}
    plain = get("bce", **settings).fit(train, validation)
    compiled = get("bce", **settings | {"images.classify.stage.compile": True}).fit(train, validation)
    np.testing.assert_allclose(compiled.scores(validation.X), plain.scores(validation.X), atol=1e-4)
    assert compiled.scorer.encoder._compiled_call_impl is None
