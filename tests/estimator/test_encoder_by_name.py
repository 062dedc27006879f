"""An estimator whose texts go through a frozen encoder: named by text, encoded once, saved and loaded."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from manylabel import ManyLabelError, MultiLabelClassifier, MultiLabelEmbedder
from manylabel.data import read_table
from manylabel.models.frozen import base
from text_encoders import bert_folder, static_folder, themed_texts

TEXTS, Y = themed_texts(160)
NEW = themed_texts(30, 1)[0]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("make", [static_folder, bert_folder])
def test_texts_go_through_the_encoder_once_in_a_fit(make, tmp_path, monkeypatch):
    folder, asked = make(tmp_path / "encoder"), []
    kept = base.FrozenEncoder.kept_vectors

    def counted(self, X):
        asked.append(len(X))
        return kept(self, X)

    monkeypatch.setattr(base.FrozenEncoder, "kept_vectors", counted)
    model = MultiLabelClassifier("logistic_regression", encoder=str(folder), random_state=0).fit(TEXTS, Y)
    assert asked == [160]
    assert model.how_ == "cross-fitting over 5 folds"
    scores = model.predict_proba(NEW)
    model.save(tmp_path / "model")
    again = MultiLabelClassifier.load(tmp_path / "model")
    assert again.encoder == str(folder)
    assert np.array_equal(again.predict_proba(NEW), scores)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(NEW), scores)
    assert clone(model).encoder == str(folder)
    assert len(model.explain_label(0).nearest) == 5


def test_validation_rows_and_an_embedder_take_an_encoder_too(tmp_path):
    folder = str(static_folder(tmp_path / "encoder"))
    short = {"classify.stage.epochs": 2, "encoder.widths": [8]}
    model = MultiLabelEmbedder("bce", encoder=folder, settings=short, validation=(NEW, Y[:30]))
    assert model.fit_transform(TEXTS, Y).shape == (160, 8)


def test_columns_that_an_encoder_would_leave_unread_are_refused(tmp_path):
    folder = str(static_folder(tmp_path / "encoder"))
    given = {"plot": TEXTS, "year": [1950.0 + i for i in range(160)]}
    model = MultiLabelClassifier("logistic_regression", encoder=folder, random_state=0)
    with pytest.raises(ManyLabelError, match=r"no columns beside those of text, but got 'year'.*\"skip\""):
        model.fit(read_table(given, columns={"plot": "text"}), Y)
    table = read_table(given, columns={"plot": "text", "year": "skip"})
    plain = MultiLabelClassifier("logistic_regression", encoder=folder, random_state=0).fit(TEXTS, Y)
    found = model.fit(table, Y).predict_proba(table)
    np.testing.assert_allclose(found.mean(0), plain.predict_proba(TEXTS).mean(0), atol=0.05)


def test_an_encoder_that_is_not_there_is_told_before_anything_is_trained(tmp_path):
    model = MultiLabelClassifier("best", encoder=str(tmp_path / "none" / "such" / "one"))
    with pytest.raises(ManyLabelError, match=r"`inputs.encoder`: expected the folder of an encoder"):
        model.fit(TEXTS, Y)
    with pytest.raises(ManyLabelError, match="rows of texts or pictures"):
        MultiLabelClassifier("bce", encoder="wordllama").fit(np.ones((20, 3)), Y[:20])
