"""Numbers in any container become one tensor, or are refused by name."""

import numpy as np
import pytest
import torch

from manylabel.arrays import as_array, as_tensor
from manylabel.errors import ManyLabelError

VALUES = [[1.0, 0.0, 3.0], [2.0, 5.0, 0.0]]


class Frame:
    """What a data frame shows of itself."""

    def __array__(self, dtype=None, copy=None):
        return np.array(VALUES, dtype=object)


GIVEN = {
    "lists": VALUES,
    "tuples": tuple(map(tuple, VALUES)),
    "a frame of objects": Frame(),
    "a mask that hides nothing": np.ma.masked_array(VALUES, False),
    "reversed": np.array(VALUES)[::-1][::-1],
    "negative strides": np.array(VALUES[::-1])[::-1],
    "swapped bytes": np.array(VALUES).astype(np.array(VALUES).dtype.newbyteorder()),
    "read-only": np.broadcast_to(np.array(VALUES), (2, 3)),
    **{kind: np.array(VALUES).astype(kind) for kind in ("u1", "u2", "u4", "u8", "i1", "i8", "f2", "f4", "g")},
    "torch uint16": torch.tensor(VALUES).to(torch.uint16),
    "bfloat16": torch.tensor(VALUES).bfloat16(),
    "part of a graph": torch.tensor(VALUES, requires_grad=True),
}
REFUSED = {
    "rows of unlike lengths": ([[1, 2], [1]], "rectangular"),
    "texts": (["a", "b"], "Encode"),
    "objects": (np.array([[1, None]], dtype=object), "NoneType"),
    "complex": (np.ones((2, 2)) * 1j, "complex"),
    "complex tensor": (torch.ones(2, 2) * 1j, "complex"),
    "masked": (np.ma.masked_array(VALUES, [[0, 0, 1], [0, 0, 0]]), "mask"),
    "too large": (np.array([[2**64 - 1]], dtype="u8"), "int64"),
    "sparse": (torch.eye(3).to_sparse(), "to_dense"),
    "meta": (torch.ones(2, device="meta"), "meta"),
}


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("read", [as_tensor, lambda *a: as_tensor(as_array(*a), a[1])])
def test_numbers_are_read_whatever_holds_them(name, read):
    found = read(GIVEN[name], "test", "numbers")
    assert found.double().tolist() == VALUES


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("read", [as_tensor, as_array])
def test_what_holds_no_numbers_is_refused_by_name(name, read):
    values, word = REFUSED[name]
    with pytest.raises(ManyLabelError, match=word) as caught:
        read(values, "Someone", "labels")
    assert "Someone" in str(caught.value)
    assert "labels" in str(caught.value)


def test_a_tensor_keeps_its_graph_and_its_memory():
    X = torch.ones(2, 2, requires_grad=True)
    assert as_tensor(X, "test") is X
