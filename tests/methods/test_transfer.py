"""A model as a frozen encoder: trained on one set of labels, probed on another, in the same words for all methods."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from manylabel import ManyLabelError, embed, methods
from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import Predictor
from text_encoders import static_folder, themed_texts

SHORT = {"classify.stage.epochs": 4, "classify.stage.batch": 16}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "cache"))


def pictures(n: int, seed: int, shape: tuple[int, int, int]) -> Rows:
    """Pictures of which labels tell how bright and how wide they are."""
    generator = torch.Generator().manual_seed(seed)
    level = torch.rand(n, 1, 1, 1, generator=generator)
    X = (255 * (0.7 * level + 0.3 * torch.rand(n, *shape, generator=generator))).to(torch.uint8)
    return Rows(X, as_labels(np.column_stack([level.flatten() > 0.5, level.flatten() > 0.8])))


def test_a_model_of_texts_is_probed_on_other_labels(tmp_path):
    texts, Y = themed_texts(160)
    source, target = Rows(texts, as_labels(Y[:, :2])), Rows(texts, as_labels(Y[:, 2:]))
    pretrained = methods.get("bce", **{"encoder.widths": [12], **SHORT}).fit(
        source, source.take(slice(0, 40))
    )
    pretrained.save(tmp_path / "pretrained")
    place = str(tmp_path / "pretrained")
    assert np.array_equal(embed(texts, place), pretrained.embed(texts))
    probe = methods.get("logistic_regression", encoder=place).fit(target, target.take(slice(0, 40)))
    assert probe.scores(texts).shape == (160, 2)
    probe.save(tmp_path / "probe")
    assert np.array_equal(Predictor.load(tmp_path / "probe").scores(texts), probe.scores(texts))
    moved = tmp_path / "moved"
    (tmp_path / "pretrained").rename(moved)
    with pytest.raises(ManyLabelError, match="that the model was trained with"):
        Predictor.load(tmp_path / "probe")
    assert np.array_equal(Predictor.load(tmp_path / "probe", str(moved)).scores(texts), probe.scores(texts))
    pretrained.recipe["about"] = "another"
    pretrained.save(tmp_path / "pretrained")
    with pytest.raises(ManyLabelError, match="another one in its place"):
        Predictor.load(tmp_path / "probe")


@pytest.mark.parametrize(("one", "other"), [((1, 16, 16), (3, 20, 20)), ((3, 20, 20), (1, 16, 16))])
def test_a_model_of_pictures_is_probed_on_pictures_of_another_size_and_colour(one, other, tmp_path):
    source, target, new = pictures(80, 0, one), pictures(80, 1, other), pictures(60, 2, other)
    recipe = methods.get(
        "bce", **{"images.encoder.widths": [8, 16], **SHORT, "images.classify.views.jitter": 0}
    )
    recipe.fit(source, source.take(slice(0, 30))).save(tmp_path / "model")
    place = str(tmp_path / "model")
    probe = methods.get("logistic_regression", encoder=place).fit(target, target.take(slice(0, 30)))
    right = (probe.scores(new.X) > 0.5) == new.Y.dense().numpy().astype(bool)
    assert right.mean() > 0.85


def test_what_is_no_encoder_is_told(tmp_path):
    texts, Y = themed_texts(60)
    rows = Rows(texts, as_labels(Y))
    static = str(static_folder(tmp_path / "static"))
    methods.get("logistic_regression", encoder=static).fit(rows, rows).save(tmp_path / "behind")
    with pytest.raises(
        ManyLabelError, match="a model that represents rows itself, but got one behind an encoder"
    ):
        embed(texts, str(tmp_path / "behind"))
    methods.get("logistic_regression").fit(rows, rows).save(tmp_path / "words")
    with pytest.raises(
        ManyLabelError, match="expected a model of images, like the rows, but got one of text"
    ):
        embed(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), str(tmp_path / "words"))
    with pytest.raises(
        ManyLabelError, match=r"no settings beside it: a model has its own, but got inputs.length"
    ):
        embed(texts, str(tmp_path / "words"), length=4)
