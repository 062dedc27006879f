"""best with a frozen encoder: learners on its vectors join those on rows as they are, by held-out evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_stack import fit

from manylabel import ManyLabelError, methods
from manylabel.data import Rows, read_table
from manylabel.labels import as_labels
from manylabel.methods import Predictor
from manylabel.models.frozen import base
from text_encoders import static_folder, themed_texts

FEW: dict[str, Any] = {
    "folds": 3,
    "learners.network": None,
    "learners.shallow_network": None,
    "learners.trees": None,
    "learners.boosted": None,
    "learners.encoded_network.rivals": {},
    "learners.encoded_network.settings": {
        "encoder": {"widths": [16]},
        "pretrain": {"stage": {"epochs": 2, "batch": 16}, "dim": 8},
        "classify": {"stage": {"epochs": 6, "batch": 16, "lr": 0.02}},
    },
}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def encoder(tmp_path: Path) -> str:
    return str(static_folder(tmp_path / "static"))


def rows(n: int = 200, seed: int = 0) -> Rows:
    texts, Y = themed_texts(n, seed)
    return Rows(texts, as_labels(Y))


def test_learners_on_the_vectors_stand_beside_those_on_the_words(encoder, tmp_path, monkeypatch):
    asked: list[int] = []
    kept = base.FrozenEncoder.kept_vectors

    def counted(self, X):
        asked.append(len(X))
        return kept(self, X)

    monkeypatch.setattr(base.FrozenEncoder, "kept_vectors", counted)
    train, new = rows(), rows(40, 1)
    model = fit(train, settings=FEW | {"inputs.encoder": encoder})
    assert asked == [200]
    learners = model.evidence.learners
    assert set(learners) == {
        "linear",
        "margin",
        "neighbours",
        "encoded_linear",
        "encoded_network",
        "encoded_neighbours",
    }
    assert sum(one.share or 0 for one in learners.values()) == pytest.approx(1)
    S = model.scores(new.X)
    assert np.array_equal(model.scores(model.encoder.encoded(new.X)), S)
    model.save(tmp_path / "model")
    assert len([*(tmp_path / "model").glob("encoder*")]) == 1
    assert np.array_equal(Predictor.load(tmp_path / "model").scores(new.X), S)
    assert model.embed(new.X).shape[0] == 40


def test_labels_that_only_the_encoder_tells_are_learnt_from_it(encoder):
    """Labels follow the vectors: words alone tell little, and the weights say so."""
    train, new = rows(400), rows(200, 1)
    vectors = methods.get("bce", encoder=encoder).encoded(train).X.vectors
    other = methods.get("bce", encoder=encoder).encoded(new).X.vectors
    middle = np.median(np.asarray(vectors), axis=0)[:4]
    made, told = (as_labels(np.asarray(Z)[:, :4] > middle) for Z in (vectors, other))
    settings = FEW | {"inputs.encoder": encoder, "learners.encoded_network": None}
    model = fit(Rows(train.X, made), settings=settings)
    learners = model.evidence.learners
    assert learners["encoded_linear"].share > 0.5
    right = (model.scores(new.X) > 0.5) == told.dense().numpy().astype(bool)
    assert right.mean() > 0.95


def test_without_an_encoder_there_are_no_such_learners(encoder):
    model = fit(rows(), settings=FEW)
    assert set(model.evidence.learners) == {"linear", "margin", "neighbours"}
    assert model.encoder is None
    alone = FEW | dict.fromkeys(["learners.linear", "learners.margin", "learners.neighbours"])
    with pytest.raises(ManyLabelError, match="learners: expected at least one"):
        fit(rows(), settings=alone)
    assert fit(rows(), settings=alone | {"inputs.encoder": encoder}).evidence.learners


def test_other_columns_of_a_table_are_learnt_from_beside_its_texts(encoder):
    texts, Y = themed_texts(160)
    carried = np.random.default_rng(0).random(160) > 0.5
    table = read_table({"plot": texts, "year": 1950 + 40.0 * carried}, columns={"plot": "text"})
    train = Rows(table.X, as_labels(np.column_stack([Y, carried])))
    model = fit(train, settings=FEW | {"inputs.encoder": encoder})
    assert {"linear", "encoded_linear"} <= {n for n, one in model.evidence.learners.items() if one.share}
    assert ((model.scores(table.X)[:, 4] > 0.5) == carried).mean() > 0.95


def test_a_fit_that_was_stopped_takes_up_what_is_done_behind_an_encoder(encoder, tmp_path):
    settings = FEW | {"inputs.encoder": encoder, "learners.encoded_network": None}
    first = fit(rows(), settings=settings, folder=tmp_path / "run")
    again = fit(rows(), settings=settings, folder=tmp_path / "run")
    assert np.array_equal(first.scores(rows(20, 2).X), again.scores(rows(20, 2).X))


def test_few_rows_and_pictures_take_an_encoder_too(encoder):
    model = fit(rows(3), settings=FEW | {"inputs.encoder": encoder, "learners.encoded_network": None})
    assert model.scores(rows(5, 1).X).shape == (5, 4)
    images = methods.get("best", **{"inputs.encoder": "resnet18"}).recipe.resolve("images")
    assert {"encoded_linear", "encoded_network", "encoded_neighbours"} == set(images.chosen("dense"))
    assert set(methods.get("best").recipe.resolve("images").chosen("dense")) == {
        "network",
        "network_without_contrast",
    }


def test_a_learner_with_an_encoder_of_its_own_is_refused(encoder):
    with pytest.raises(ManyLabelError, match='give the learner on = "encoder"'):
        methods.get("best", **{"learners.linear.settings": {"inputs": {"encoder": encoder}}})
