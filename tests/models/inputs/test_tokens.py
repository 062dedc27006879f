"""Texts as tokens: cut, filled up, masked, and the same after a model was saved."""

from __future__ import annotations

import copy
import json

import pytest
import torch

from manylabel import ManyLabelError
from manylabel.data.rows import as_features
from manylabel.models import preprocessor_like
from manylabel.models.inputs import TokenPreprocessor, ViewSettings
from text_encoders import WORDS, bert_folder

TEXTS = ["cat dog", "sun unheard red sea blue", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return bert_folder(tmp_path_factory.mktemp("bert") / "bert")


def test_texts_are_cut_and_filled_up_to_the_longest(folder):
    inputs = TokenPreprocessor.of_folder(folder, 5, "encoder")
    number = {word: 5 + i for i, word in enumerate(WORDS)}
    expected = [
        [2, number["cat"], number["dog"], 3, 0],
        [2, number["sun"], 1, number["red"], 3],
        [2, 3, 0, 0, 0],
    ]
    assert inputs.dense(TEXTS).tolist() == expected
    assert inputs.shape == (5,)
    assert inputs(inputs.dense(["cat", ""])).shape == (2, 3)
    assert TokenPreprocessor.of_folder(folder, None, "encoder").shape == (32,)


def test_tokens_are_the_same_after_saving_and_copying(folder):
    inputs = TokenPreprocessor.of_folder(folder, 6, "encoder")
    again = preprocessor_like(json.loads(json.dumps(inputs.meta())))
    again.load_state_dict(inputs.state_dict())
    for other in (again, copy.deepcopy(inputs)):
        assert torch.equal(other.dense(TEXTS), inputs.dense(TEXTS))
        assert (other.pad, other.mask, other.special) == (0, 4, inputs.special)


def test_words_are_masked_and_what_stands_around_them_is_not(folder):
    inputs = TokenPreprocessor.of_folder(folder, None, "encoder")
    view = inputs.augmentation(ViewSettings(mask=0.3))
    x = inputs.dense([" ".join(WORDS)] * 300 + ["cat"])
    seen = view(x)
    words = (x >= 5) & (x != 1)
    assert torch.equal(seen[~words], x[~words])
    changed = (seen != x)[words]
    assert 0.25 < changed.float().mean() < 0.35
    assert set(seen[seen != x].tolist()) == {4}
    assert inputs.augmentation(ViewSettings()) is None


def test_other_rows_and_lengths_are_refused(folder):
    inputs = TokenPreprocessor.of_folder(folder, None, "encoder")
    with pytest.raises(ManyLabelError, match="a list of texts, as in training"):
        inputs.dense(as_features(torch.zeros(2, 3)))
    with pytest.raises(ManyLabelError, match="at most 32 tokens"):
        TokenPreprocessor.of_folder(folder, 40, "encoder")
    inputs.mask = None
    with pytest.raises(ManyLabelError, match="a token for masked ones"):
        inputs.augmentation(ViewSettings(mask=0.1))
