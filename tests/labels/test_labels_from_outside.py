"""Labels from outside: any container of numbers, never changed, and never followed out of their arrays."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from manylabel import losses
from manylabel.errors import ManyLabelError
from manylabel.labels import DenseLabels, PackedLabels, SingleLabel, SparseLabels, as_labels

VALUES = [[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]]
Y = np.array(VALUES)
KINDS = ("?", "u1", "u2", "u4", "u8", "i1", "i2", ">i4", "i8", "f2", ">f4", "f8", "g")


class Frame:
    def __array__(self, dtype=None, copy=None):
        return Y.astype(object)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def frozen(matrix):
    for part in (matrix.data, matrix.indices, matrix.indptr):
        part.flags.writeable = False
    return matrix


def torch_sparse(layout, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.tensor(VALUES).to_sparse(layout=layout, **more)


def old_matrix(values):
    """NumPy's matrix, which it advises against and people still have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asmatrix(values)


GIVEN = {
    "lists": VALUES,
    "tuples": tuple(map(tuple, VALUES)),
    "a frame": Frame(),
    "objects": Y.astype(object),
    "reversed": Y[::-1].copy()[::-1],
    "read-only": read_only(Y),
    "by columns": np.asfortranarray(Y),
    "a mask that hides nothing": np.ma.masked_array(Y, mask=False),
    "a matrix": old_matrix(Y),
    "part of a graph": torch.tensor(VALUES, dtype=torch.float32, requires_grad=True),
    "a sparse part of a graph": torch.tensor(VALUES, dtype=torch.float32).to_sparse().requires_grad_(),
    "a frozen CSR": frozen(sp.csr_matrix(Y)),
    **{kind: Y.astype(kind) for kind in KINDS},
    **{f"CSR of {kind}": sp.csr_matrix(Y.astype(kind)) for kind in ("?", "u2", "u8", "i1", "f4", "f8", "g")},
    **{form: getattr(sp, f"{form}_matrix")(Y) for form in ("csc", "coo", "lil", "dok", "dia", "bsr")},
    **{
        f"torch {layout}": torch_sparse(getattr(torch, f"sparse_{layout}"))
        for layout in ("coo", "csr", "csc")
    },
    "torch bsr": torch_sparse(torch.sparse_bsr, blocksize=(2, 1)),
    "torch uint16": torch.tensor(VALUES).to(torch.uint16),
    "bfloat16": torch.tensor(VALUES).bfloat16(),
}


@pytest.mark.parametrize("what", GIVEN)
def test_numbers_in_any_container(what):
    assert as_labels(GIVEN[what]).dense().tolist() == VALUES
    z = torch.randn(4, 5)
    with torch.no_grad():
        assert torch.equal(losses.get("any")(z, GIVEN[what]), losses.get("any")(z, VALUES))
        assert torch.equal(losses.get("mulsupcon")(z, GIVEN[what]), losses.get("mulsupcon")(z, VALUES))


@pytest.mark.parametrize("kind", ["u2", ">i8", "i1", "O"])
def test_class_numbers_of_any_type(kind):
    z, ids = torch.randn(4, 3), np.array([0, 1, 1, 0])
    want = losses.get("supcon")(z, torch.from_numpy(ids))
    for given in (ids.astype(kind), ids.astype(kind)[::-1], read_only(ids.astype(kind)), ids.tolist()):
        assert torch.equal(losses.get("supcon")(z, given), want)


def unordered():
    """Rows whose numbers fall, and one that holds a label in two halves."""
    return sp.csr_matrix((np.array([1.0, 1.0, 0.5, 0.5]), [2, 0, 1, 1], [0, 2, 4]), shape=(2, 3))


def test_the_matrices_of_the_caller_stay_as_they_are():
    matrix = unordered()
    before = copy.deepcopy((matrix.data, matrix.indices, matrix.indptr))
    assert as_labels(matrix).dense().tolist() == [[1, 0, 1], [0, 1, 0]]
    assert all(
        np.array_equal(a, b)
        for a, b in zip(before, (matrix.data, matrix.indices, matrix.indptr), strict=True)
    )
    assert not matrix.has_sorted_indices


def test_what_was_checked_stays_what_it_was():
    matrix = sp.csr_matrix(Y)
    labels, lists = as_labels(matrix), torch.tensor([0, 2], dtype=torch.int32)
    by_hand = SparseLabels(torch.tensor([0, 1, 2], dtype=torch.int32), lists, None, 3)
    matrix.indices[:] = 10**7
    lists[:] = -(10**7)
    assert labels.label_sums(torch.ones(4, 1)).flatten().tolist() == Y.sum(0).tolist()
    assert by_hand.label_sums(torch.ones(2, 1)).flatten().tolist() == [1, 0, 1]


def scipy_matrix(form, **parts):
    matrix = getattr(sp, f"{form}_matrix")(Y)
    for name, value in parts.items():
        setattr(matrix, name, np.array(value, dtype=np.int32))
    return matrix


def torch_csr(offsets, columns, layout=torch.sparse_csr):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.sparse_compressed_tensor(
            torch.tensor(offsets), torch.tensor(columns), torch.ones(len(columns)), (4, 3), layout=layout,
            check_invariants=False,
        )  # fmt: skip


def torch_coo(rows, columns):
    return torch.sparse_coo_tensor(
        torch.tensor([rows, columns]), torch.ones(len(rows)), (4, 3), check_invariants=False
    )


FAR = 10**7
WILD = {
    "csr, a column too far": lambda: scipy_matrix("csr", indices=[0, FAR, 1, 0, 1]),
    "csr, a column past the end": lambda: scipy_matrix("csr", indices=[0, 3, 1, 0, 1]),
    "csr, a negative column": lambda: scipy_matrix("csr", indices=[0, -FAR, 1, 0, 1]),
    "csr, offsets past the end": lambda: scipy_matrix("csr", indptr=[0, 2, 3, 5, FAR]),
    "csr, falling offsets": lambda: scipy_matrix("csr", indptr=[0, FAR, 3, 5, 5]),
    "csr, offsets below 0": lambda: scipy_matrix("csr", indptr=[0, -2, 3, 5, 5]),
    "csr, offsets from 2": lambda: scipy_matrix("csr", indptr=[2, 2, 3, 5, 5]),
    "csr, fewer offsets": lambda: scipy_matrix("csr", indptr=[0, 2, 5]),
    "csr, all offsets negative": lambda: scipy_matrix("csr", indptr=[0, -1, -1, -1, -1]),
    "csc, a row too far": lambda: scipy_matrix("csc", indices=[0, FAR, 1, 2, 0]),
    "csc, falling offsets": lambda: scipy_matrix("csc", indptr=[0, FAR, 4, 5]),
    "bsr, a block too far": lambda: scipy_matrix("bsr", indices=[FAR] * 5),
    "coo, a row too far": lambda: scipy_matrix("coo", row=[0, 0, 1, 2, FAR]),
    "coo, a negative column": lambda: scipy_matrix("coo", col=[0, -FAR, 1, 0, 1]),
    "torch csr, a column too far": lambda: torch_csr([0, 1, 2, 2, 2], [1, FAR]),
    "torch csr, offsets past the end": lambda: torch_csr([0, 1, 2, 2, FAR], [1, 2]),
    "torch csr, falling offsets": lambda: torch_csr([0, 2, 1, 2, 2], [1, 2]),
    "torch csc, a row too far": lambda: torch_csr([0, 1, 2, 2], [1, FAR], torch.sparse_csc),
    "torch coo, a column too far": lambda: torch_coo([0, 1], [1, 3]),
    "torch coo, a negative row": lambda: torch_coo([-FAR, 1], [1, 2]),
    "hybrid": lambda: torch.ones(4, 3).to_sparse(1),
    "sparse on meta": lambda: torch.ones(4, 3).to_sparse().to("meta"),
    "complex entries": lambda: (torch.ones(4, 3) * 1j).to_sparse(),
    "NaN alone in a csr": lambda: sp.csr_matrix(Y * np.nan),
    "objects in a csr": lambda: torch.ones(4, 3).to_sparse().double() * 2,
}


@pytest.mark.parametrize("what", WILD)
def test_places_outside_a_matrix_are_refused(what):
    given = WILD[what]()
    for call in (lambda: as_labels(given), lambda: losses.get("mulsupcon")(torch.randn(4, 5), given)):
        with pytest.raises(ManyLabelError, match=r"expected .* but got"):
            call()


i = torch.tensor
labels = SparseLabels(i([0, 1, 2]), i([0, 2]), None, 3)
BY_HAND = {
    "a negative label": lambda: SparseLabels(i([0, 1]), i([-(10**8)]), None, 3),
    "a label too far": lambda: SparseLabels(i([0, 1]), i([3]), None, 3),
    "offsets past the end": lambda: SparseLabels(i([0, 10**8]), i([0]), None, 3),
    "falling offsets": lambda: SparseLabels(i([0, 5, 2]), i([0, 1]), None, 3),
    "no offsets": lambda: SparseLabels(i([], dtype=torch.int64), i([0]), None, 3),
    "floating labels": lambda: SparseLabels(i([0, 1]), i([0.0]), None, 3),
    "lists": lambda: SparseLabels([0, 1], [0], None, 3),
    "fewer weights": lambda: SparseLabels(i([0, 1, 2]), i([0, 1]), torch.ones(1), 3),
    "lists on meta": lambda: SparseLabels(i([0]), i([], dtype=torch.int64, device="meta"), None, 3),
    "fewer entries": lambda: labels.with_entries(torch.ones(1)),
    "entries of another shape": lambda: DenseLabels(torch.ones(2, 3)).with_entries(torch.ones(3, 2)),
    "a vector": lambda: DenseLabels(torch.ones(3)),
    "one label too far": lambda: SingleLabel(i([0, 4]), 3),
    "one label below 0": lambda: SingleLabel(i([-1]), 3),
    "one label as a float": lambda: SingleLabel(i([0.0]), 3),
    "bits of another width": lambda: PackedLabels(torch.zeros(2, 2, dtype=torch.uint8), 3),
    "bits as floats": lambda: PackedLabels(torch.zeros(2, 1), 3),
    "bits beyond the last label": lambda: PackedLabels(torch.full((2, 1), 255, dtype=torch.uint8), 3),
    "sums of other labels": lambda: labels.with_sums(torch.ones(2, 4), torch.ones(3), torch.ones(2, 4)),
}


@pytest.mark.parametrize("what", BY_HAND)
def test_layouts_built_by_hand_are_checked(what):
    with pytest.raises(ManyLabelError):
        BY_HAND[what]()


LAYOUTS = {
    "dense": DenseLabels(torch.tensor(VALUES)),
    "sparse": as_labels(sp.csr_matrix(Y)),
    "packed": PackedLabels.pack(Y),
    "one": SingleLabel(i([0, 1, 3, 2]), 3),
}
QUESTIONS = {
    "a row that is not there": lambda m: m.take(i([4])),
    "a row below all": lambda m: m.take(i([-5])),
    "a mask of fewer rows": lambda m: m.take(torch.ones(3, dtype=torch.bool)),
    "rows as floats": lambda m: m.take(i([0.5])),
    "rows as texts": lambda m: m.take(["a"]),
    "one row": lambda m: m.take(i(2)),
    "label sums of other rows": lambda m: m.label_sums(torch.randn(3, 2)),
    "label sums of a vector": lambda m: m.label_sums(torch.randn(4)),
    "label sums of whole numbers": lambda m: m.label_sums(torch.ones(4, 2, dtype=torch.int64)),
    "label sums on meta": lambda m: m.label_sums(torch.ones(4, 2, device="meta")),
    "row sums of other labels": lambda m: m.row_sums(torch.randn(1, 2)),
    "row sums of a list": lambda m: m.row_sums([[1.0]] * 3),
    "followed by other labels": lambda m: m.concat(as_labels(torch.zeros(2, 5))),
    "followed by a tensor": lambda m: m.concat(torch.zeros(2, 3)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_that_do_not_match_are_refused_by_every_layout(layout, question):
    with pytest.raises(ManyLabelError):
        QUESTIONS[question](LAYOUTS[layout])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_in_any_form(layout):
    m = LAYOUTS[layout]
    rows = m.dense().tolist()
    for positions in ([3, 0, 0], np.array([1], np.uint8), i([-1, 2]), np.array([2, 1], ">i4")):
        assert m.take(positions).dense().tolist() == [rows[int(p)] for p in positions]
    assert m.take(slice(None, None, -2)).dense().tolist() == rows[::-2]
    assert m.take([]).shape == (0, 3)
    assert m.take(np.array([True, False, False, True])).dense().tolist() == [rows[0], rows[3]]
