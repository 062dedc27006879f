"""Every layout of the label matrix answers like the dense one, and refuses what is not a label matrix."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from manylabel.errors import ManyLabelError
from manylabel.labels import (
    DenseLabels,
    LabelMatrix,
    PackedLabels,
    SingleLabel,
    SparseLabels,
    as_labels,
    match_groups,
    packed,
)


def matrices(soft: bool = False, one: bool = False, n: int = 23, c: int = 7) -> list[LabelMatrix]:
    """The same labels, rows without labels among them, in every layout that can hold them."""
    Y = torch.rand(n, c) < 0.25
    if one:
        Y &= Y.cumsum(1) == 1
    values = Y * (torch.rand(n, c).double() if soft else 1)
    layouts = [DenseLabels(values), as_labels(values.double().to_sparse())]
    if not soft:
        layouts.append(PackedLabels.pack(values))
    keys = torch.zeros(n, 1)
    layouts.append(layouts[-1].with_sums(keys, layouts[0].label_counts(), layouts[0].label_sums(keys)))
    if one:
        layouts.append(SingleLabel(torch.where(Y.any(1), Y.int().argmax(1), c), c))
    return layouts


QUESTIONS = {
    "dense": lambda m: m.dense(),
    "sparse": lambda m: m.sparse().dense(),
    "columns_first": lambda m: m.columns_first().T,
    "row_counts": lambda m: m.row_counts(),
    "label_counts": lambda m: m.label_counts(torch.float64),
    "take_slice": lambda m: m.take(slice(3, 11)).dense(),
    "take_nothing": lambda m: m.take(slice(5, 5)).dense(),
    "take_strided": lambda m: m.take(slice(1, 20, 3)).dense(),
    "take_positions": lambda m: m.take(np.array([4, 4, 0, 22])).dense(),
    "take_mask": lambda m: m.take(torch.arange(23) % 2 == 0).dense(),
    "row_sums": lambda m: m.row_sums(torch.arange(2.0 * m.n_labels).view(-1, 2)),
    "label_sums": lambda m: m.label_sums(torch.arange(46.0).view(23, 2)),
    "label_sums_with_factors": lambda m: m.label_sums(torch.ones(23, 2), torch.arange(23.0)),
    "compact": lambda m: m.compact().dense(),
    "concat": lambda m: m.concat(m.take(slice(4))).dense(),
    "with_identity": lambda m: m.with_identity().dense(),
    "row_hashes": lambda m: m.row_hashes(),
    "pick": lambda m: spread(m, m.pick(torch.arange(23.0 * m.n_labels).view(m.n_labels, 23))),
    "spread_rows": lambda m: spread(m, m.spread_rows(torch.arange(23.0))),
    "spread_labels": lambda m: spread(m, m.spread_labels(torch.arange(float(m.n_labels)))),
}


def spread(m: LabelMatrix, values: torch.Tensor) -> torch.Tensor:
    """Values on the entries of a matrix, as a dense matrix."""
    ones = torch.ones_like(values) if m.entries() is None else m.entries()
    return m.with_entries(values * ones).dense()


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("kind", ["binary", "soft", "one"])
@pytest.mark.parametrize("n_labels", [1, 7, 8, 9, 65])
def test_every_layout_answers_alike(question, kind, n_labels):
    dense, *others = matrices(soft=kind == "soft", one=kind == "one", c=n_labels)
    for other in others:
        torch.testing.assert_close(QUESTIONS[question](other), QUESTIONS[question](dense), check_dtype=False)


@pytest.mark.parametrize("kind", ["binary", "soft", "one"])
@pytest.mark.parametrize("product", ["label_sums", "row_sums"])
def test_products_and_their_gradients(kind, product):
    layouts = matrices(soft=kind == "soft", one=kind == "one")
    Y = layouts[0].dense(torch.float64)
    A = Y.T if product == "label_sums" else Y
    M = torch.randn(A.shape[1], 4, dtype=torch.float64, requires_grad=True)
    for layout in layouts:
        torch.testing.assert_close(getattr(layout, product)(M), A @ M)
        assert torch.autograd.gradcheck(getattr(layout, product), (M,))
        assert torch.autograd.gradgradcheck(getattr(layout, product), (M,))


@pytest.mark.parametrize("one", [False, True])
def test_groups_are_rows_with_equal_sets(one):
    layouts, others = matrices(one=one), matrices(one=one, n=40)
    rows, other_rows = layouts[0].dense().tolist(), others[0].dense().tolist()
    for layout, other in zip(layouts, others, strict=True):
        ids, other_ids = layout.groups(other)
        for i in range(23):
            assert [bool(ids[i] == ids[a]) for a in range(23)] == [rows[i] == row for row in rows]
            assert [bool(ids[i] == a) for a in other_ids] == [rows[i] == row for row in other_rows]
        assert int(ids.max()) < 23
        strangers = [row not in rows for row in other_rows]
        assert [bool(a == 23) for a in other_ids] == strangers
        assert torch.equal(layout.groups()[0], layout.groups()[1])


def test_groups_of_layouts_match_each_other():
    dense, *others = matrices()
    for layout in others:
        ids, other = dense.groups(layout)
        assert torch.equal(ids, other)


def test_match_groups_counts_nothing_twice():
    ids, other = match_groups(torch.tensor([5, -2, 5]), torch.tensor([7, 5, -3]))
    assert ids[0] == ids[2] != ids[1]
    assert other.tolist() == [3, int(ids[0]), 3]


def test_compact_lists_large_and_mostly_empty_matrices():
    Y = torch.zeros(600, 400, dtype=torch.bool)
    Y[torch.arange(600), torch.arange(600) % 400] = True
    assert isinstance(as_labels(Y).compact(), SparseLabels)
    torch.testing.assert_close(as_labels(Y).compact().dense(), Y.float())
    assert isinstance(as_labels(Y[:20]).compact(), DenseLabels)
    assert isinstance(as_labels(~Y).compact(), DenseLabels)


@pytest.mark.parametrize("shape", [(0, 9), (5, 0), (1, 1), (40, 30)])
def test_packed_labels_are_those_of_numpy(shape):
    Y = torch.rand(*shape) < 0.3
    layout = PackedLabels.pack(Y)
    assert np.array_equal(layout.bits.numpy(), np.packbits(Y.numpy(), axis=1))
    assert torch.equal(layout.dense(torch.bool), Y)
    assert torch.equal(layout.sparse().dense(torch.bool), Y)
    assert torch.equal(packed._packed_by_words(Y.to(torch.uint8)), layout.bits)
    assert torch.equal(packed._unpacked_by_words(layout.bits)[:, : shape[1]], layout.dense(torch.uint8))


@pytest.mark.parametrize("density", [0.05, 0.5])
def test_packed_labels_a_block_at_a_time(density, monkeypatch):
    monkeypatch.setattr(packed, "_BLOCK", 100)
    dense = DenseLabels(torch.rand(50, 9) < density)
    layout = PackedLabels.pack(dense)
    Z, M = torch.randn(50, 4), torch.randn(9, 4)
    torch.testing.assert_close(layout.label_sums(Z), dense.label_sums(Z))
    torch.testing.assert_close(layout.row_sums(M), dense.row_sums(M))
    assert isinstance(layout.compact(), SparseLabels if density < 0.1 else PackedLabels)


def test_only_0_and_1_can_be_packed():
    with pytest.raises(ManyLabelError, match="who: expected labels that are 0 or 1"):
        PackedLabels.pack(torch.tensor([[0.5, 1.0]]), who="who")


def test_only_label():
    for layout in matrices(one=True):
        Y = layout.dense()
        assert layout.class_numbers("x").tolist() == [int(y.argmax()) if y.any() else -1 for y in Y]
    with pytest.raises(ManyLabelError, match="x: expected one label per row, but got up to 2"):
        as_labels([[1, 1], [0, 1]]).class_numbers("x")


def test_binary():
    assert all(m.binary for m in matrices())
    assert not any(m.binary for m in matrices(soft=True))


def test_sizes_and_device():
    for layout in matrices(one=True):
        assert layout.shape == (23, 7)
        assert len(layout) == 23
        assert layout.device.type == "cpu"
        assert repr(layout) == f"{type(layout).__name__}(23 rows, 7 labels)"
        torch.testing.assert_close(layout.to("cpu").dense(), layout.dense())


def test_scipy_input_with_repeated_and_stored_zero_entries():
    coo = sp.coo_array(([1, 0, 1], ([0, 1, 2], [1, 0, 2])), shape=(3, 4))
    assert as_labels(coo).dense().tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    repeated = sp.coo_array(([1, 1], ([0, 0], [1, 1])), shape=(3, 4))
    with pytest.raises(ManyLabelError, match=r"labels in \[0, 1\], but got values from 2 to 2"):
        as_labels(repeated)


@pytest.mark.parametrize(
    ("labels", "binary", "message"),
    [
        (torch.ones(3), False, r"labels of shape \(n_rows, n_labels\), but got shape \(3,\)"),
        (np.ones((2, 2, 2)), False, r"but got shape \(2, 2, 2\)"),
        (torch.tensor([[float("nan"), float("nan")]]), False, "labels some of which are known"),
        (torch.tensor([[2.0, float("nan")]]), False, "values from 0 to 2"),
        (torch.tensor([[0, -1]]), False, r"values from -1 to 0"),
        (torch.tensor([[0.0, 0.5]]), True, "labels that are 0 or 1, but got values in between"),
        (torch.tensor([[0.0, 0.5]]).to_sparse(), True, "labels that are 0 or 1"),
        (np.array([["a"]]), False, "entries of type"),
    ],
)
def test_refusals(labels, binary, message):
    with pytest.raises(ManyLabelError, match="who: expected .*" + message):
        as_labels(labels, binary=binary, who="who")


def test_a_checked_matrix_is_checked_again_only_when_more_is_asked():
    soft = as_labels(torch.tensor([[0.0, 0.5]]))
    assert as_labels(soft) is soft
    with pytest.raises(ManyLabelError, match="0 or 1"):
        as_labels(soft, binary=True)


def test_label_sums_by_blocks_are_those_of_all_rows(monkeypatch):
    Y = (torch.rand(50, 3) < 0.4).double()
    Z, factors = torch.randn(50, 4).double(), torch.rand(50).double()
    labels = as_labels(Y).sparse()
    monkeypatch.setattr("manylabel.labels.sparse._BLOCK", 5)
    torch.testing.assert_close(labels.label_sums(Z), Y.T @ Z)
    torch.testing.assert_close(labels.label_sums(Z, factors), (Y.T * factors) @ Z)


def test_some_labels_only():
    Y = torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 1]])
    labels = as_labels(Y).sparse()
    assert labels.occurring().tolist() == [0, 2, 3]
    assert torch.equal(labels.select_labels(torch.tensor([3, 0])).dense(torch.int64), Y[:, [3, 0]])


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (1, 1), (6, 5), (300, 130)], ids=str)
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32], ids=str)
def test_lists_of_a_dense_matrix(shape, dtype):
    Y = torch.rand(shape) < 0.2
    Y[-1:] = False
    lists = DenseLabels(Y.to(dtype)).sparse()
    assert lists.offsets.tolist() == [0, *Y.sum(1).cumsum(0).tolist()]
    assert lists.columns.tolist() == Y.nonzero()[:, 1].tolist()
    assert lists.weights is None


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_label_numbers_out_of_range_are_refused():
    wild = torch.sparse_csr_tensor([0, 1, 2], [1, 9], [1.0, 1.0], (2, 4), check_invariants=False)
    with pytest.raises(ManyLabelError, match="label numbers from 0 to 3, but got numbers from 1 to 9"):
        as_labels(wild)
