"""Frozen encoders of pictures: what they make of them, at the size and scale that they were trained for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from manylabel import ManyLabelError, methods
from manylabel.data import Rows
from manylabel.data.rows import Images
from manylabel.labels import as_labels
from manylabel.methods import Predictor
from manylabel.models import picture_encoder
from manylabel.models.frozen import FrozenSettings, open_encoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Weights of a small ResNet that nobody trained."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file(picture_encoder("small_resnet").state_dict(), path)
    return path


def pictures(n: int, pixels: int = 16, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(n)
    return torch.randint(0, 256, (n, channels, pixels, pixels), dtype=torch.uint8, generator=generator)


def settings(weights: Path, **changed) -> FrozenSettings:
    return FrozenSettings(encoder="small_resnet", weights=str(weights), **changed)


def test_pictures_are_scaled_and_brought_to_the_size_of_the_encoder(weights):
    x = pictures(70)
    encoder = open_encoder(settings(weights, pixels=24), "images", CPU)
    network = picture_encoder("small_resnet", weights).eval()
    mean, std = (torch.tensor(of).view(1, 3, 1, 1) for of in (network.mean, network.std))
    larger = F.interpolate(x.float() / 255, (24, 24), mode="bicubic", antialias=True).clamp(0, 1)
    with torch.no_grad():
        expected = network((larger - mean) / std)
    np.testing.assert_allclose(encoder.vectors(Images(x)), expected.numpy(), atol=1e-5)
    grey = encoder.vectors(Images(x[:5, :1]))
    coloured = encoder.vectors(Images(x[:5, :1].expand(-1, 3, -1, -1)))
    assert np.array_equal(grey, coloured)


def test_the_digest_follows_weights_and_size(weights, tmp_path):
    digests = {open_encoder(settings(weights, pixels=p), "images", CPU).digest for p in (16, 16, 24)}
    assert len(digests) == 2
    save_file(picture_encoder("small_resnet").state_dict(), tmp_path / "other.safetensors")
    other = open_encoder(settings(tmp_path / "other.safetensors", pixels=16), "images", CPU)
    assert other.digest not in digests


def test_a_method_of_vectors_learns_from_pictures(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "cache"))
    x = pictures(60)
    Y = as_labels((x.float().mean((2, 3)) > 127).numpy())
    rows = Rows(x, Y)
    chosen = {"inputs.encoder": "small_resnet", "inputs.weights": str(weights), "inputs.pixels": 16}
    model = methods.get("logistic_regression", **chosen).fit(
        rows.take(slice(0, 40)), rows.take(slice(40, None))
    )
    model.save(tmp_path / "model")
    assert np.array_equal(Predictor.load(tmp_path / "model").scores(x), model.scores(x))
    weights_of_another = tmp_path / "another.safetensors"
    save_file(picture_encoder("small_resnet").state_dict(), weights_of_another)
    moved = chosen | {"inputs.weights": str(weights_of_another)}
    assert not np.array_equal(
        methods.get("logistic_regression", **moved).fit(rows, rows).scores(x), model.scores(x)
    )


def test_an_encoder_of_pictures_needs_weights_and_pictures(weights):
    with pytest.raises(ManyLabelError, match="a file of weights of resnet18, but got none"):
        open_encoder(FrozenSettings(encoder="resnet18"), "images", CPU)
    with pytest.raises(ManyLabelError, match="small_resnet"):
        open_encoder(FrozenSettings(encoder="big_resnet", weights=str(weights)), "images", CPU)
    encoder = open_encoder(settings(weights, pixels=16), "images", CPU)
    with pytest.raises(ManyLabelError, match="pictures of 3 channels, or grey ones, but got 2 channels"):
        encoder.vectors(Images(pictures(3, channels=2)))
    with pytest.raises(ManyLabelError, match="from 0 to 255"):
        encoder.vectors(Images(torch.randn(3, 3, 16, 16)))
