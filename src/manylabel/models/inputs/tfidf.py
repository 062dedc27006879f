"""Texts as vectors: TF-IDF over the words of the training texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor, nn

from manylabel.data.rows import Texts, as_features
from manylabel.errors import ManyLabelError
from manylabel.models.inputs import vectors
from manylabel.models.inputs.vectors import OfFeatures

if TYPE_CHECKING:
    import scipy.sparse as sp


class Words(nn.Module):
    """TF-IDF of texts.

    Parameters
    ----------
    vocabulary : sequence of n_words str

    Attributes
    ----------
    idf : (n_words,) buffer
        Weight of each word, learnt by :meth:`fit`.

    Notes
    -----
    Word w of text i becomes (1 + ln tf_iw) idf_w with idf_w = ln((1 + n) / (1 + df_w)) + 1, where tf counts w in i,
    df the texts with w, and n the texts; then each row is divided by its Euclidean norm. A text without a known word
    is a row of zeros. Words are runs of two or more letters or digits, in lower case and without accents.
    """

    idf: Tensor

    def __init__(self, vocabulary: Sequence[str]) -> None:
        super().__init__()
        self.vocabulary = tuple(vocabulary)
        self.register_buffer("idf", torch.ones(len(self.vocabulary)))
        self._vectoriser: Any = None

    @classmethod
    def fit(cls, texts: Sequence[str], most: int, fewest_texts: int = 2) -> Words:
        """Learn vocabulary and weights.

        Parameters
        ----------
        texts : sequence of str
            The training texts.
        most : int
            So many words are kept, those with the most occurrences.
        fewest_texts : int, default 2
            Words of fewer texts are left out.

        Raises
        ------
        ManyLabelError
            If no word is left.
        """
        vectoriser = _vectoriser(min_df=min(fewest_texts, len(texts)), max_features=most)
        try:
            vectoriser.fit(texts)
        except ValueError:
            got = f"none in {len(texts)} texts"
            raise ManyLabelError("texts", f"a word that {fewest_texts} texts share", got) from None
        words = cls(vectoriser.get_feature_names_out().tolist())
        words.idf.copy_(torch.as_tensor(vectoriser.idf_))
        return words

    def rows(self, texts: Sequence[str]) -> sp.csr_matrix:
        """The vectors of texts, (n, n_words) float32."""
        import numpy as np
        import scipy.sparse as sp

        if not len(texts):
            return sp.csr_matrix((0, len(self.vocabulary)), dtype=np.float32)
        if self._vectoriser is None:
            self._vectoriser = _vectoriser(vocabulary=self.vocabulary)
        self._vectoriser.idf_ = self.idf.cpu().numpy().astype(np.float64)
        return self._vectoriser.transform(texts)


class TextPreprocessor(OfFeatures):
    """Texts as TF-IDF vectors of the words of the training texts, divided by one number.

    Parameters
    ----------
    vocabulary : sequence of n_words str

    Attributes
    ----------
    words : Words
    """

    name: ClassVar[str] = "text"

    def __init__(self, vocabulary: Sequence[str]) -> None:
        super().__init__((len(vocabulary),), (len(vocabulary),))
        self.words = Words(vocabulary)

    @classmethod
    def fit(cls, X: Texts) -> Self:
        """Learn vocabulary, weights and scale.

        Raises
        ------
        ManyLabelError
            If no two texts share a word.
        """
        words = Words.fit(X.values, vectors.MOST_FEATURES)
        made = cls(words.vocabulary)
        made.words = words
        made.scale_by_one_number(made.csr(X))
        return made

    @property
    def form(self) -> str:
        return "texts"

    @property
    def expected(self) -> str:
        return "a list of texts, as in training"

    def meta(self) -> dict[str, Any]:
        return super().meta() | {"vocabulary": self.words.vocabulary}

    @classmethod
    def like(cls, meta: dict[str, Any]) -> Self:
        return cls(meta["vocabulary"])

    def dense(self, X: Any) -> Tensor:
        return torch.from_numpy(self.csr(X).toarray())

    def csr(self, X: Any) -> Any:
        rows = as_features(X)
        self.check(rows)
        return self.words.rows(rows.values)

    def matrix(self, X: Any, sparse: bool) -> Any:
        return self.csr(X)


def _vectoriser(**settings: Any) -> Any:
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, strip_accents="unicode", dtype=np.float32, **settings)
