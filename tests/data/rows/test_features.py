"""Rows from Python: whatever holds the numbers, they are read once, checked, and never changed."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from manylabel import LabelMatrix, ManyLabelError
from manylabel.data import Rows
from manylabel.data.rows import as_features, features_of_file
from manylabel.data.rows.sparse import _blurred as blurred_sparse
from manylabel.data.rows.vectors import _blurred as blurred_dense

VALUES = np.array([[1.0, 0.0, 3.0], [0.0, 5.0, 0.0], [2.0, 0.0, 4.0]])
Y = LabelMatrix.of(np.eye(3))


class Frame:
    """What a data frame shows of itself."""

    def __array__(self, dtype=None, copy=None):
        return VALUES.astype(object)


def unsorted_csr():
    """Columns in no order, one of them twice, and an explicit zero."""
    parts = (np.array([3.0, 0.5, 0.5, 5, 0, 4, 2]), np.array([2, 0, 0, 1, 2, 2, 0]), np.array([0, 3, 5, 7]))
    return sp.csr_matrix(parts, shape=(3, 3))


DENSE = {
    "lists": VALUES.tolist(),
    "tuples": tuple(map(tuple, VALUES.tolist())),
    "a frame": Frame(),
    "a mask that hides nothing": np.ma.masked_array(VALUES, False),
    "columns first": np.asfortranarray(VALUES),
    "negative strides": VALUES[::-1].copy()[::-1],
    "swapped bytes": VALUES.astype(VALUES.dtype.newbyteorder()),
    "read-only": np.broadcast_to(VALUES, VALUES.shape),
    "part of a graph": torch.tensor(VALUES, requires_grad=True) * 1,
    "bfloat16": torch.tensor(VALUES).bfloat16(),
    "torch uint16": torch.tensor(VALUES).to(torch.uint16),
    **{
        kind: VALUES.astype(kind) for kind in ("?", "u1", "u2", "u4", "u8", "i1", "i2", "i8", "f2", "f4", "g")
    },
}
SPARSE = {
    **{
        name: getattr(sp, f"{name}_matrix")(VALUES)
        for name in ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")
    },
    "csr array": sp.csr_array(VALUES),
    "coo array": sp.coo_array(VALUES),
    "unsorted, with repeats": unsorted_csr(),
    "64-bit columns": sp.csr_matrix(
        (np.array([1.0, 3, 5, 2, 4]), np.array([0, 2, 1, 0, 2], "i8"), np.array([0, 2, 3, 5], "i8"))
    ),
    "swapped bytes": sp.csr_matrix((np.array([1.0, 3, 5, 2, 4], ">f8"), [0, 2, 1, 0, 2], [0, 2, 3, 5])),
    "long double": sp.csr_matrix(VALUES.astype("g")),
    "int8": sp.csr_matrix(VALUES.astype("i1")),
    "torch COO": torch.tensor(VALUES).to_sparse(),
    "torch CSR": lambda: torch.tensor(VALUES, dtype=torch.float32).to_sparse_csr(),
    "torch COO, not coalesced": torch.sparse_coo_tensor(
        [[0, 0, 0, 1, 2, 2], [0, 0, 2, 1, 0, 2]],
        [0.5, 0.5, 3.0, 5.0, 2.0, 4.0],
        (3, 3),
        check_invariants=True,
    ),
}


@pytest.mark.parametrize("name", DENSE)
def test_dense_numbers_are_read(name):
    X = Rows(DENSE[name], Y).X.values
    assert isinstance(X, torch.Tensor)
    assert not X.requires_grad
    assert X.double().tolist() == (VALUES != 0 if name == "?" else VALUES).tolist()


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("name", SPARSE)
def test_sparse_numbers_are_read_and_left_as_they_are(name):
    given = SPARSE[name]() if callable(SPARSE[name]) else SPARSE[name]
    before = copy.deepcopy(given) if sp.issparse(given) else None
    X = Rows(given, Y).X.values
    assert isinstance(X, sp.csr_matrix)
    assert X.has_canonical_format
    assert X.dtype in (np.float32, np.float64)
    assert X.toarray().tolist() == VALUES.tolist()
    if sp.issparse(given) and hasattr(given, "indices"):
        for part in ("data", "indices", "indptr"):
            assert np.array_equal(getattr(given, part), getattr(before, part))


@pytest.mark.parametrize(
    "texts", [["a", "b", ""], ("a", "b", ""), np.array(["a", "b", ""]), np.array(["a", "b", ""], object)]
)
def test_texts_are_read(texts):
    assert Rows(texts, Y).X.values == ["a", "b", ""]


def test_pictures_keep_their_bytes():
    pictures = torch.randint(0, 256, (3, 1, 4, 4), dtype=torch.uint8)
    assert Rows(pictures, Y).X is not None
    assert torch.equal(Rows(pictures.numpy(), Y).X.values, pictures)


def test_taking_rows_neither_checks_nor_copies_more_than_them():
    rows = Rows(VALUES, Y)
    assert rows.take([2, 0, 2]).X.values.tolist() == VALUES[[2, 0, 2]].tolist()
    assert rows.take(np.array([True, False, True])).X.values.tolist() == VALUES[[0, 2]].tolist()
    assert len(rows.take([])) == 0
    assert rows.take([-1]).Y.dense().tolist() == [[0, 0, 1]]
    assert rows.take(torch.tensor([1])).X.values.tolist() == VALUES[[1]].tolist()


def test_no_rows_are_rows():
    assert len(Rows(torch.zeros(0, 4), LabelMatrix.of(torch.zeros(0, 2)))) == 0
    assert len(Rows([], LabelMatrix.of(torch.zeros(0, 2)))) == 0


def test_a_refusal_names_the_first_entry():
    X = VALUES.copy()
    X[1, 2] = np.nan
    for given in (X, torch.tensor(X), X.tolist()):
        with pytest.raises(ManyLabelError, match=r"row 1, column 2 \(counted from 0\)"):
            Rows(given, Y)


@pytest.fixture
def clocks():
    """Two columns: times in seconds since 1970 that differ by minutes, and numbers around 0."""
    rng = np.random.default_rng(0)
    return np.stack([1.7e9 + 60 * rng.random(50), rng.normal(size=50)], axis=1)


@pytest.mark.parametrize("layout", [np.asarray, sp.csr_matrix])
def test_a_large_offset_is_kept_where_float32_would_blur_it(layout, clocks):
    blurred = blurred_sparse if layout is sp.csr_matrix else blurred_dense
    assert blurred(layout(clocks)).tolist() == [0]
    kept = features_of_file(layout(clocks), "test").values
    dense = kept.toarray() if sp.issparse(kept) else kept.numpy()
    assert dense.dtype == np.float64
    assert np.array_equal(dense, clocks)
    narrowed = features_of_file(layout(clocks[:, 1:]), "test").values
    assert narrowed.dtype in (np.float32, torch.float32)


def test_seconds_over_years_and_constants_are_not_blurred():
    years = 1.7e9 + 3e7 * np.random.default_rng(0).random((50, 1))
    assert not len(blurred_dense(years))
    assert not len(blurred_dense(np.full((50, 2), 1.7e9)))
    assert not len(blurred_dense(np.zeros((50, 2))))


def test_features_are_shared_where_they_can_be():
    X = torch.randn(3, 4)
    assert as_features(X).values.data_ptr() == X.data_ptr()
