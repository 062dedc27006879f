"""Unknown label entries: read from every container, kept by every layout, and 0 in every count and sum."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.labels.test_label_matrix import QUESTIONS

from manylabel.errors import ManyLabelError
from manylabel.labels import DenseLabels, LabelMatrix, PackedLabels, SparseLabels, as_labels

NAN = float("nan")
VALUES = [[1, 0, NAN], [NAN, 1, 0], [NAN, NAN, NAN], [0, 0, 1]]
KNOWN = np.nan_to_num(np.array(VALUES)).tolist()
UNKNOWN = np.isnan(np.array(VALUES))
OF_WHOLE = np.where(UNKNOWN, -1, KNOWN).astype(int)


def stored(matrix: np.ndarray) -> sp.csr_matrix:
    """A sparse matrix that stores what is not 0, NaN included."""
    return sp.csr_matrix(matrix)


def nullable() -> object:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(
        {c: pandas.array(column, dtype="boolean") for c, column in zip("abc", columns(), strict=True)}
    )


def columns() -> list[list[bool | None]]:
    return [[None if v != v else bool(v) for v in column] for column in np.array(VALUES).T]


GIVEN = {
    "tensor": lambda: (torch.tensor(VALUES), None),
    "half precision": lambda: (torch.tensor(VALUES).half(), None),
    "array": lambda: (np.array(VALUES), None),
    "lists": lambda: (VALUES, None),
    "None in lists": lambda: (list(map(list, zip(*columns(), strict=True))), None),
    "masked integers": lambda: (np.ma.masked_array(OF_WHOLE, UNKNOWN), None),
    "masked booleans": lambda: (np.ma.masked_array(np.array(KNOWN, bool), UNKNOWN), None),
    "a frame with NA": lambda: (nullable(), None),
    "a frame with NaN": lambda: (pytest.importorskip("pandas").DataFrame(VALUES), None),
    "a frame with null": lambda: (
        pytest.importorskip("polars").DataFrame(dict(zip("abc", columns(), strict=True))),
        None,
    ),
    "a table with null": lambda: (
        pytest.importorskip("pyarrow").table(dict(zip("abc", columns(), strict=True))).to_pandas(),
        None,
    ),
    "stored in a SciPy matrix": lambda: (stored(np.array(VALUES)), None),
    "stored in a sparse tensor": lambda: (torch.tensor(VALUES).to_sparse(), None),
    "-1": lambda: (OF_WHOLE, -1),
    "-1 in a tensor of bytes": lambda: (torch.tensor(OF_WHOLE, dtype=torch.int8), -1),
    "-1 in a SciPy matrix": lambda: (stored(OF_WHOLE), -1),
    "-1 beside NaN": lambda: (np.where(np.eye(4, 3) * UNKNOWN > 0, -1, np.array(VALUES)), -1),
    "9": lambda: (np.where(UNKNOWN, 9, OF_WHOLE).astype(np.uint8), 9),
    "a mask": lambda: (OF_WHOLE, UNKNOWN),
    "a mask over labels": lambda: (np.where(UNKNOWN, 1, OF_WHOLE), torch.tensor(UNKNOWN)),
    "a sparse mask of sparse labels": lambda: (stored(np.where(UNKNOWN, 1, OF_WHOLE)), stored(UNKNOWN)),
    "a mask beside NaN": lambda: (np.array(VALUES), np.eye(4, 3) * UNKNOWN > 0),
    "a sparse mask beside NaN": lambda: (stored(np.array(VALUES)), np.eye(4, 3) * UNKNOWN > 0),
    "packed labels and a mask": lambda: (PackedLabels.pack(np.array(KNOWN)), UNKNOWN),
}


@pytest.mark.parametrize("what", GIVEN)
def test_unknown_entries_from_any_container(what):
    Y, unknown = GIVEN[what]()
    labels = LabelMatrix.of(Y, unknown=unknown, binary=True)
    assert labels.dense().tolist() == KNOWN
    assert labels.has_unknown
    assert labels.unknown.dense(torch.bool).tolist() == UNKNOWN.tolist()
    assert labels.unknown.shape == labels.shape
    assert labels.n_unknown == 5
    assert repr(labels).endswith("(4 rows, 3 labels, 5 unknown)")
    assert labels.binary


def test_what_was_given_stays_as_it_was():
    Y = torch.tensor(VALUES)
    before = Y.clone()
    labels = as_labels(Y)
    as_labels(DenseLabels(torch.tensor(OF_WHOLE)), unknown=-1)
    assert torch.equal(Y, before) or torch.equal(Y.isnan(), before.isnan())
    assert torch.equal(Y.nan_to_num(7), before.nan_to_num(7))
    assert as_labels(labels) is labels


def test_labels_that_are_all_known_say_so_and_list_none():
    for labels in (as_labels(KNOWN), as_labels(stored(np.array(KNOWN))), PackedLabels.pack(KNOWN)):
        assert not labels.has_unknown
        assert labels.known() is None
        assert labels.n_unknown == 0
        assert labels.unknown.shape == labels.shape
        assert not labels.unknown.dense().any()
        assert "unknown" not in repr(labels)


@pytest.mark.parametrize(
    ("Y", "unknown", "message"),
    [
        (OF_WHOLE, None, "values from -1 to 1"),
        (OF_WHOLE, 0, "`unknown` as a number outside of .0, 1., but got 0"),
        (OF_WHOLE, 1.0, "`unknown` as a number outside of .0, 1., but got 1"),
        (OF_WHOLE, UNKNOWN[:2], r"`unknown` of shape \(4, 3\), but got \(2, 3\)"),
        (OF_WHOLE, 2 * UNKNOWN, "who, unknown: expected labels in"),
        (np.full((2, 3), -1), -1, "labels some of which are known"),
        (np.full((2, 3), NAN), None, "labels some of which are known, but got NaN or missing ones alone"),
        (np.ma.masked_array(OF_WHOLE, True), None, "labels some of which are known"),
        (np.ma.masked_array(np.full((2, 2), "a"), [[0, 1], [0, 0]]), None, "who: expected labels"),
    ],
)
def test_refusals(Y, unknown, message):
    with pytest.raises(ManyLabelError, match=message):
        as_labels(Y, unknown=unknown, who="who")


def layouts(n: int = 23, c: int = 7) -> list[LabelMatrix]:
    values = (torch.rand(n, c) < 0.3).float()
    values[torch.rand(n, c) < 0.3] = NAN
    dense = as_labels(values)
    return [dense, dense.sparse(), PackedLabels.pack(dense), dense.sparse().with_unknown(dense.unknown)]


KEPT = {
    "take": lambda m: m.take(torch.tensor([3, 3, 0])),
    "take a slice": lambda m: m.take(slice(2, 9)),
    "take all": lambda m: m.take(slice(0, 23)),
    "to": lambda m: m.to("cpu"),
    "compact": lambda m: m.compact(),
    "sparse": lambda m: m.sparse(),
    "transposed": lambda m: m.transposed,
    "transposed twice": lambda m: m.transposed.transposed,
    "pack": PackedLabels.pack,
    "concat": lambda m: m.concat(m.take(slice(4))),
    "concat with known rows": lambda m: m.concat(DenseLabels(torch.eye(7))),
    "known rows first": lambda m: DenseLabels(torch.eye(7)).concat(m),
    "packed known rows first": lambda m: PackedLabels.pack(torch.eye(7)).concat(m),
    "with_identity": lambda m: m.with_identity(),
    "select_labels": lambda m: m.sparse().select_labels(torch.tensor([5, 1])),
    "with_entries": lambda m: m.with_entries(torch.ones_like(m.pick(torch.ones(7, 23)))),
    "with_sums": lambda m: m.with_sums(torch.ones(23, 2), m.label_counts(), m.label_sums(torch.ones(23, 2))),
}


@pytest.mark.parametrize("what", KEPT)
def test_every_layout_keeps_them(what):
    dense, *others = layouts()
    want = KEPT[what](dense)
    assert want.has_unknown
    for layout in others:
        got = KEPT[what](layout)
        assert torch.equal(got.unknown.dense(), want.unknown.dense())
        if what != "with_entries":
            assert torch.equal(got.dense(), want.dense())
            assert not (got.dense() * got.unknown.dense()).any()


@pytest.mark.parametrize(
    "question", [q for q in QUESTIONS if q not in ("pick", "spread_rows", "spread_labels")]
)
def test_they_are_0_in_every_answer(question):
    for layout in layouts():
        known = DenseLabels(layout.dense())
        torch.testing.assert_close(QUESTIONS[question](layout), QUESTIONS[question](known), check_dtype=False)


def test_a_large_matrix_is_listed_with_its_unknown_entries():
    Y = torch.zeros(600, 400)
    Y[torch.arange(600), torch.arange(600) % 400] = NAN
    Y[torch.arange(600), (torch.arange(600) + 1) % 400] = 1
    labels = as_labels(Y)
    listed = labels.compact()
    assert isinstance(listed, SparseLabels)
    assert isinstance(listed.unknown, SparseLabels)
    assert torch.equal(listed.unknown.dense(), Y.isnan().float())


def test_rows_with_an_unknown_entry_are_in_no_group():
    Y = as_labels(torch.tensor([[1.0, 0], [1, NAN], [1, 0], [0, NAN], [0, 0]]))
    for m in (Y, Y.sparse(), PackedLabels.pack(Y)):
        ids, same = m.groups()
        assert torch.equal(ids, same)
        assert ids[0] == ids[2] < 5
        assert ids[4] < 5
        assert ids[[1, 3]].tolist() == [5, 5]
        known = as_labels(torch.tensor([[1.0, 0], [0, 1]]))
        assert m.groups(known)[1].tolist() == [int(ids[0]), 5]
        assert known.groups(m)[1].tolist() == [int(known.groups()[0][0]), 2, int(known.groups()[0][0]), 2, 2]


def test_soft_labels_with_a_gradient_keep_it():
    Y = torch.tensor([[0.5, NAN], [1.0, 0.25]], requires_grad=True)
    labels = as_labels(Y)
    labels.label_counts().sum().backward()
    assert Y.grad.tolist() == [[1, 0], [1, 1]]
