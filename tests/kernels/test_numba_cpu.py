"""Compiled code against what torch makes of the same labels; KMCL's rows have a file of their own."""

import pytest
import torch

from manylabel import LabelMatrix
from manylabel.kernels import choice
from manylabel.losses.softmax import Overlaps

pytest.importorskip("numba", reason="compiled tiles need the extra 'fast'")


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (64, 130)], ids=str)
def test_rows_that_share_a_label(shape):
    m, n = shape
    Y, T = torch.randn(m, 40) > 1.5, torch.randn(n, 40) > 1.5
    Y[-1] = T[0] = False
    lists, others = LabelMatrix.of(Y).sparse(), LabelMatrix.of(T).sparse()
    tile = choice.shared_labels(
        lists.offsets, lists.columns, choice.label_bits(others.offsets, others.columns, 40), n
    )
    assert torch.equal(tile, (Y.float() @ T.float().T > 0).float())
    overlaps = Overlaps(lists, others)
    rows, columns = slice(m // 2, m), slice(n // 3, n)
    for dtype in (torch.float32, torch.float64):  # by compiled code, and by torch
        assert torch.equal(overlaps.shared(rows, columns, dtype), tile[rows, columns].to(dtype))
    try:
        torch.set_default_dtype(torch.bfloat16)
        assert torch.equal(Overlaps(lists, others).shared(rows, columns, torch.float32), tile[rows, columns])
    finally:
        torch.set_default_dtype(torch.float32)
