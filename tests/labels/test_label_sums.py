"""Label sums of listed labels against the product with the dense matrix."""

from __future__ import annotations

import pytest
import torch

from manylabel.errors import ManyLabelError
from manylabel.labels import DenseLabels


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (40, 7), (20_000, 5)], ids=str)
@pytest.mark.parametrize("soft", [False, True], ids=["binary", "soft"])
def test_label_sums(shape, soft):
    """20 000 rows are summed in stretches; rows and labels without entries are among the others."""
    Y = torch.rand(shape) < 0.3
    Y[0], Y[:, 0] = False, False
    labels = DenseLabels(Y * torch.rand(shape) if soft else Y).sparse()
    Z, factors = torch.randn(len(Y), 6), torch.randn(len(Y))
    want = labels.dense(torch.float64).T @ Z.double()
    torch.testing.assert_close(labels.label_sums(Z).double(), want, rtol=1e-5, atol=1e-4)
    want = labels.dense(torch.float64).T @ (factors[:, None] * Z).double()
    torch.testing.assert_close(labels.label_sums(Z, factors).double(), want, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_label_sums_of_rows_that_lie_apart_in_memory_and_want_gradients(dtype):
    labels = DenseLabels(torch.rand(30, 4) < 0.5).sparse()
    Z = torch.randn(6, 30, dtype=dtype, requires_grad=True)
    factors = torch.rand(30, dtype=dtype, requires_grad=True)
    tolerance = {"rtol": 0.02, "atol": 0.1} if dtype.itemsize == 2 else {"rtol": 1e-5, "atol": 1e-5}
    want = labels.dense(torch.float64).T @ Z.T.detach().double()
    torch.testing.assert_close(labels.label_sums(Z.T).double(), want, **tolerance)
    want = (labels.dense(torch.float64).T * factors.detach().double()) @ Z.T.detach().double()
    with torch.no_grad():
        torch.testing.assert_close(labels.label_sums(Z.T, factors).double(), want, **tolerance)


@pytest.mark.parametrize(("rows", "factors"), [(29, None), (31, None), (30, 29)])
def test_rows_of_another_number_are_refused(rows, factors):
    labels = DenseLabels(torch.rand(30, 4) < 0.5).sparse()
    with pytest.raises(ManyLabelError, match="each of 30 label rows"):
        labels.label_sums(torch.randn(rows, 3), None if factors is None else torch.rand(factors))
