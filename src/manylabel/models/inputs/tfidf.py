"""Texts as vectors: TF-IDF over the words of the training texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn

from manylabel.data.rows import SparseVectors, Texts, as_features
from manylabel.errors import ManyLabelError
from manylabel.models.inputs import vectors
from manylabel.models.inputs.vectors import OfFeatures

if TYPE_CHECKING:
    import scipy.sparse as sp


class WordSettings(BaseModel):
    """What counts as a word of a text.

    Attributes
    ----------
    ngrams : pair of int, default (1, 1)
        The fewest and the most words, or characters, in a row that are one.
    characters : bool, default False
        Take the characters of words in place of words; a pair such as (2, 5) is wanted then.
    most_words : int, default 10 000
        So many are kept, those with the most occurrences.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ngrams: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 1)
    characters: bool = False
    most_words: int = Field(vectors.MOST_FEATURES, ge=1)

    @field_validator("ngrams")
    @classmethod
    def _ascending(cls, ngrams: tuple[int, int]) -> tuple[int, int]:
        if ngrams[0] > ngrams[1]:
            raise ValueError("the fewest and then the most, such as [1, 2]")
        return ngrams


PLAIN = WordSettings()


class Words(nn.Module):
    """TF-IDF of texts.

    Parameters
    ----------
    vocabulary : sequence of n_words str
    settings : WordSettings

    Attributes
    ----------
    idf : (n_words,) buffer
        Weight of each word, learnt by :meth:`fit`.

    Notes
    -----
    Word w of text i becomes (1 + ln tf_iw) idf_w with idf_w = ln((1 + n) / (1 + df_w)) + 1, where tf counts w in i,
    df the texts with w, and n the texts; then each row is divided by its Euclidean norm. A text without a known word
    is a row of zeros. Words are runs of two or more letters or digits, in lower case and without accents; characters in
    a row are those of one word with a blank before and after it.
    """

    idf: Tensor

    def __init__(self, vocabulary: Sequence[str], settings: WordSettings = PLAIN) -> None:
        super().__init__()
        self.vocabulary, self.settings = tuple(vocabulary), settings
        self.register_buffer("idf", torch.ones(len(self.vocabulary)))
        self._vectoriser: Any = None

    @classmethod
    def fit(
        cls, texts: Sequence[str], most: int, fewest_texts: int = 2, settings: WordSettings = PLAIN
    ) -> Words:
        """Learn vocabulary and weights.

        Parameters
        ----------
        texts : sequence of str
            The training texts.
        most : int
            So many words are kept, those with the most occurrences.
        fewest_texts : int, default 2
            Words of fewer texts are left out.
        settings : WordSettings

        Raises
        ------
        ManyLabelError
            If no word is left.
        """
        vectoriser = _vectoriser(settings, min_df=min(fewest_texts, len(texts)), max_features=most)
        try:
            vectoriser.fit(texts)
        except ValueError:
            got = f"none in {len(texts)} texts"
            raise ManyLabelError("texts", f"a word that {fewest_texts} texts share", got) from None
        words = cls(vectoriser.get_feature_names_out().tolist(), settings)
        words.idf.copy_(torch.as_tensor(vectoriser.idf_))
        return words

    def rows(self, texts: Sequence[str]) -> sp.csr_matrix:
        """The vectors of texts, (n, n_words) float32."""
        import numpy as np
        import scipy.sparse as sp

        if not len(texts):
            return sp.csr_matrix((0, len(self.vocabulary)), dtype=np.float32)
        if self._vectoriser is None:
            self._vectoriser = _vectoriser(self.settings, vocabulary=self.vocabulary)
        self._vectoriser.idf_ = self.idf.cpu().numpy().astype(np.float64)
        return self._vectoriser.transform(texts)


class TextPreprocessor(OfFeatures):
    """Texts as TF-IDF vectors of the words of the training texts, divided by one number.

    Parameters
    ----------
    vocabulary : sequence of n_words str
    settings : WordSettings

    Attributes
    ----------
    words : Words
    """

    name: ClassVar[str] = "text"

    def __init__(self, vocabulary: Sequence[str], settings: WordSettings = PLAIN) -> None:
        super().__init__((len(vocabulary),), (len(vocabulary),))
        self.words = Words(vocabulary, settings)

    @classmethod
    def fit(cls, X: Texts, settings: WordSettings = PLAIN) -> Self:
        """Learn vocabulary, weights and scale.

        Raises
        ------
        ManyLabelError
            If no two texts share a word.
        """
        words = Words.fit(X.values, settings.most_words, settings=settings)
        made = cls(words.vocabulary, settings)
        made.words = words
        made.scale_by_one_number(SparseVectors(made.csr(X)))
        return made

    @property
    def form(self) -> str:
        return "texts"

    @property
    def expected(self) -> str:
        return "a list of texts, as in training"

    def meta(self) -> dict[str, Any]:
        told = self.words.settings.model_dump(mode="json", exclude_defaults=True)
        return super().meta() | {"vocabulary": self.words.vocabulary} | ({"words": told} if told else {})

    @classmethod
    def like(cls, meta: dict[str, Any]) -> Self:
        return cls(meta["vocabulary"], WordSettings.model_validate(meta.get("words", {})))

    def dense(self, X: Any) -> Tensor:
        return torch.from_numpy(self.csr(X).toarray())

    def csr(self, X: Any) -> Any:
        rows = as_features(X)
        self.check(rows)
        return self.words.rows(rows.values)

    def matrix(self, X: Any, sparse: bool) -> Any:
        return self.csr(X)


def _vectoriser(words: WordSettings, **settings: Any) -> Any:
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        sublinear_tf=True,
        strip_accents="unicode",
        dtype=np.float32,
        analyzer="char_wb" if words.characters else "word",
        ngram_range=words.ngrams,
        **settings,
    )
