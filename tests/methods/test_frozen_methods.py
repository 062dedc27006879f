"""A frozen encoder as an input of any method: what it sees, what it saves, and settings that make no sense."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from manylabel import ManyLabelError, methods
from manylabel.data import Rows
from manylabel.data.rows import EncodedRows, Vectors
from manylabel.labels import as_labels
from manylabel.methods import Predictor
from manylabel.models.frozen import base
from text_encoders import bert_folder, static_folder, themed_texts

SHORT = {"classify.stage.epochs": 3, "encoder.widths": [8]}
FAST = {
    "bce": SHORT,
    "mulsupcon": {**SHORT, "pretrain.stage.epochs": 2},
    "kmcl": {**SHORT, "classify.stage.batch": 16},
    "lamp": {"classify.stage.epochs": 1},
    "logistic_regression": {},
    "neighbour_votes": {},
    "extra_trees": {"parameters.n_estimators": 5},
}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def static(tmp_path_factory) -> str:
    return str(static_folder(tmp_path_factory.mktemp("encoders") / "static"))


def rows(n: int = 120, seed: int = 0) -> Rows:
    texts, Y = themed_texts(n, seed)
    return Rows(texts, as_labels(Y))


def fitted(name: str, encoder: str, **settings) -> Predictor:
    train, validation = rows(), rows(30, 1)
    return methods.get(name, encoder=encoder, **settings).fit(train, validation)


@pytest.mark.parametrize("name", FAST)
@pytest.mark.filterwarnings("ignore:.*fewer than a batch")
def test_a_method_learns_from_the_vectors_as_if_these_were_its_rows(name, static, tmp_path):
    model, new = fitted(name, static, **FAST[name]), rows(20, 2)
    encoder = model.encoder
    vectors = [Rows(encoder.encoded(part.X).vectors, part.Y) for part in (rows(), rows(30, 1), new)]
    plain = methods.get(name, **FAST[name]).fit(*vectors[:2])
    assert np.array_equal(model.scores(new.X), plain.scores(vectors[2].X))
    assert np.array_equal(model.embed(new.X), plain.embed(vectors[2].X))
    assert np.array_equal(model.predict(encoder.encoded(new.X)), model.predict(new.X.values))
    model.save(tmp_path / "model")
    again = Predictor.load(tmp_path / "model")
    assert np.array_equal(again.scores(new.X), model.scores(new.X))
    assert again.schema.kind == "text"


def test_rows_are_encoded_once_for_all_trainings_of_a_method(static, monkeypatch):
    asked: list[int] = []
    encode = base.FrozenEncoder.kept_vectors

    def counted(self, X):
        asked.append(len(X))
        return encode(self, X)

    monkeypatch.setattr(base.FrozenEncoder, "kept_vectors", counted)
    method = methods.get("logistic_regression", encoder=static)
    given = method.encoded(rows())
    assert isinstance(given.X, EncodedRows)
    for fold in range(3):
        held = np.arange(len(given)) % 3 == fold
        method.fit(given.take(~held), given.take(held))
    assert asked == [120]


def test_a_network_that_changed_or_is_gone_is_told_when_a_model_is_loaded(tmp_path):
    folder = bert_folder(tmp_path / "bert")
    model, new = fitted("logistic_regression", str(folder)), rows(5, 2)
    model.save(tmp_path / "model")
    assert not [*(tmp_path / "model").glob("encoder*")]
    assert np.array_equal(Predictor.load(tmp_path / "model").scores(new.X), model.scores(new.X))
    shutil.move(folder, tmp_path / "moved")
    with pytest.raises(ManyLabelError, match=r"the encoder .*bert.*Put its files back, or name where"):
        Predictor.load(tmp_path / "model")
    found = Predictor.load(tmp_path / "model", str(tmp_path / "moved"))
    assert np.array_equal(found.scores(new.X), model.scores(new.X))
    bert_folder(folder, seed=5)
    with pytest.raises(ManyLabelError, match="another one in its place"):
        Predictor.load(tmp_path / "model")


def test_settings_of_vectors_hold_behind_an_encoder_and_those_of_texts_as_well(static):
    plain, behind = (
        methods.get(
            "bce", **({} if encoder is None else {"encoder": encoder}), **{"text.classify.stage.epochs": 4}
        )
        for encoder in (None, static)
    )
    as_vectors = methods.get("bce").recipe.resolve("vectors")
    found = behind.recipe.resolve("text")
    assert found.encoder == as_vectors.encoder
    assert found.classify.stage.epochs == plain.recipe.resolve("text").classify.stage.epochs == 4
    scaled = methods.get("logistic_regression", encoder=static, **{"text.inputs.scaling": "rank_normal"})
    assert scaled.recipe.resolve("text").inputs.scaling == "rank_normal"
    assert methods.get("lamp", **{"images.inputs.encoder": "resnet18"}).recipe.resolve("images")


def test_a_recipe_file_names_an_encoder_for_all_kinds_or_for_texts_alone(static, tmp_path):
    file = tmp_path / "encoded.toml"
    found = []
    for section in ("inputs", "text.inputs"):
        file.write_text(f"like = 'bce'\n[{section}]\nencoder = '{static}'\n")
        recipe = methods.get(str(file)).recipe
        found.append(recipe.resolve("text"))
    assert found[0].inputs == found[1].inputs
    assert found[1].inputs.encoder is not None
    assert recipe.resolve("images").inputs.encoder is None


def test_an_encoder_is_none_for_vectors(static):
    method = methods.get("bce", encoder=static)
    vectors = Rows(Vectors(np.zeros((4, 3))), as_labels(np.eye(4)))
    with pytest.raises(ManyLabelError, match=r"inputs.encoder: expected rows of texts or pictures"):
        method.fit(vectors, vectors)


def test_what_is_fitted_without_an_encoder_takes_encoded_rows_as_they_are(static):
    given = methods.get("bce", encoder=static).encoded(rows())
    train, validation = given.take(slice(0, 90)), given.take(slice(90, None))
    plain = methods.get("logistic_regression").fit(train, validation)
    texts = plain.scores(validation.X.raw)
    assert plain.encoder is None
    assert np.array_equal(plain.scores(validation.X), texts)


def test_a_frozen_encoder_is_none_for_onnx_but_its_vectors_are(static, tmp_path):
    model = fitted("bce", static, **SHORT)
    with pytest.raises(ManyLabelError, match="a model without a frozen encoder"):
        model.to_onnx(tmp_path / "model.onnx")
    vectors = model.vectors(rows(5, 2).X)
    assert np.array_equal(vectors, model.encoder.vectors(rows(5, 2).X))
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.to_onnx(tmp_path / "model.onnx", vectors=True)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    found = session.run(["probabilities"], {"X": vectors})[0]
    np.testing.assert_allclose(found, model.predict_proba(rows(5, 2).X), atol=1e-5)


def test_a_damaged_part_of_an_encoder_is_told(static, tmp_path):
    contents, parts = fitted("logistic_regression", static).pieces()
    parts["encoder"].meta.pop("digest")
    with pytest.raises(ManyLabelError, match="a frozen encoder of this version"):
        Predictor.of_pieces(contents, parts)
