"""TF-IDF of several words, or characters, in a row."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from manylabel import ManyLabelError, methods
from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import Predictor
from manylabel.models import fit_preprocessor, preprocessor_like
from manylabel.models.inputs import WordSettings

TEXTS = ["the red cat sat", "the red dog ran", "a cat ran home", "red cat, red cat", "the dog sat home"] * 4


@pytest.mark.parametrize(
    ("ngrams", "characters", "most"), [((1, 2), False, 10_000), ((2, 4), True, 10_000), ((1, 3), False, 7)]
)
def test_words_in_a_row_are_weighed_as_scikit_learn_weighs_them(ngrams, characters, most):
    settings = WordSettings(ngrams=ngrams, characters=characters, most_words=most)
    inputs = fit_preprocessor(TEXTS, words=settings)
    analyzer = "char_wb" if characters else "word"
    known = TfidfVectorizer(
        sublinear_tf=True,
        strip_accents="unicode",
        min_df=2,
        max_features=most,
        analyzer=analyzer,
        ngram_range=ngrams,
    ).fit(TEXTS)
    expected = known.transform([*TEXTS, "red dog"]).toarray()
    np.testing.assert_allclose(inputs.csr([*TEXTS, "red dog"]).toarray(), expected, atol=1e-6)
    again = preprocessor_like(json.loads(json.dumps(inputs.meta())))
    again.load_state_dict(inputs.state_dict())
    assert np.array_equal(again.csr(TEXTS).toarray(), inputs.csr(TEXTS).toarray())


def test_a_method_of_texts_takes_pairs_of_words(tmp_path):
    Y = as_labels(np.array([["red cat" in text, "dog" in text] for text in TEXTS]))
    rows = Rows(TEXTS, Y)
    chosen = {"inputs.ngrams": [1, 2], "inputs.most_words": 9}
    for name, short in (
        ("logistic_regression", {}),
        ("bce", {"classify.stage.epochs": 2, "classify.stage.batch": 5}),
    ):
        model = methods.get(name, **chosen, **short).fit(rows, rows)
        model.save(tmp_path / name)
        assert np.array_equal(Predictor.load(tmp_path / name).scores(TEXTS), model.scores(TEXTS))
        assert any(" " in word for word in model.scorer.inputs.words.vocabulary)
        assert len(model.scorer.inputs.words.vocabulary) == 9


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("inputs.ngrams", [2, 1], "inputs.ngrams: expected the fewest and then the most"),
        ("inputs.ngrams", [0, 1], "inputs.ngrams"),
        ("inputs.most_words", 0, "inputs.most_words"),
    ],
)
def test_settings_that_make_no_words_are_refused(setting, value, message):
    with pytest.raises(ManyLabelError, match=message):
        methods.get("bce", **{setting: value})


def test_words_are_no_setting_of_other_rows():
    recipe = methods.get("bce", **{"inputs.characters": True}).recipe
    assert recipe.resolve("text").inputs.characters
    with pytest.raises(ManyLabelError, match=r"inputs.characters: expected texts as TF-IDF, but got vectors"):
        recipe.resolve("vectors")
