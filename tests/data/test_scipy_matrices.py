"""Matrices of ``scipy.sparse.save_npz``: features and labels in two files, in every layout that SciPy saves."""

import gzip

import numpy as np
import pytest
import scipy.sparse as sp

from manylabel import data
from manylabel.errors import ManyLabelError

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(30, 6)) * (RNG.random((30, 6)) < 0.4)).astype(np.float32)
Y = (RNG.random((30, 4)) < 0.4).astype(np.uint8)


def save(folder, name, matrix, form="csr"):
    folder.mkdir(exist_ok=True)
    sp.save_npz(folder / name, sp.csr_matrix(matrix).asformat(form))
    return folder / name


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("array", [False, True])
def test_every_layout_is_read(tmp_path, form, array):
    for name, matrix in (("X_train", X), ("Y_train", Y), ("X_test", X[:9]), ("Y_test", Y[:9])):
        built = (sp.csr_array if array else sp.csr_matrix)(matrix)
        sp.save_npz(tmp_path / f"{name}.npz", built.asformat(form))
    dataset = data.load(tmp_path / "X_train.npz")
    np.testing.assert_array_equal(dataset.train.X, X)
    np.testing.assert_array_equal(dataset.test.X, X[:9])
    np.testing.assert_array_equal(dataset.test.Y.dense(), Y[:9])
    assert data.load(tmp_path).digest == dataset.digest
    for name in ("Y_test", "X_test", "Y_train"):
        assert data.load(tmp_path / f"{name}.npz").digest == dataset.digest


NAMES = [("X.npz", "Y.npz"), ("X.npz", "y.npz"), ("X.all.npz", "Y.all.npz"), ("features.npz", "labels.npz")]


@pytest.mark.parametrize(("features", "labels"), NAMES)
def test_names_that_belong_together(tmp_path, features, labels):
    save(tmp_path, features, X)
    save(tmp_path, labels, Y)
    for name in (features, labels, ""):
        dataset = data.load(tmp_path / name)
        assert (len(dataset.train), len(dataset.test)) == (22, 8)


def test_packed_ones_are_read(tmp_path):
    for name, matrix in (("X", X), ("Y", Y)):
        path = save(tmp_path, f"{name}.npz", matrix)
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert len(data.load(tmp_path / "X.npz.gz").train) == 22


def rewritten(path, **changed):
    with np.load(path) as arrays:
        np.savez(path, **(dict(arrays) | changed))


WRONG = {
    "columns out of range": ({"indices": np.full(int(Y.sum()), 9)}, "from 0 to 3"),
    "columns below 0": ({"indices": np.full(int(Y.sum()), -1)}, "from 0 to 3"),
    "fractions as columns": ({"indices": np.zeros(int(Y.sum()))}, "whole numbers as positions"),
    "offsets that go back": ({"indptr": np.arange(31)[::-1]}, "Y.npz: expected"),
    "too many labels": ({"shape": np.array([30, 10**9])}, "rows and 4194304 columns"),
    "more rows": ({"shape": np.array([10**12, 4])}, "from 1 to 1048576 rows"),
    "fewer rows": ({"shape": np.array([29, 4])}, "Y.npz: expected"),
    "another layout": ({"format": np.array(b"dia")}, "one of the layouts csr, csc, coo, but got 'dia'"),
    "labels that are numbers": ({"data": np.full(int(Y.sum()), 3)}, "every label to be 0 or 1"),
    "objects": ({"data": np.array([{}] * int(Y.sum()))}, "object array"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_refused(tmp_path, kind):
    save(tmp_path, "X.npz", X)
    changed, told = WRONG[kind]
    rewritten(save(tmp_path, "Y.npz", Y), **changed)
    with pytest.raises(ManyLabelError) as error:
        data.load(tmp_path / "X.npz")
    assert told in str(error.value)
    assert "Y.npz" in str(error.value)


def test_a_matrix_alone_is_refused(tmp_path):
    with pytest.raises(
        ManyLabelError, match=r"a matrix of labels beside this one, but got none.*X\.npz and Y\.npz"
    ):
        data.load(save(tmp_path, "s.npz", X))
    save(tmp_path, "X.npz", X)
    save(tmp_path, "Y.npz", Y[:29])
    with pytest.raises(ManyLabelError, match="one label row for each of 30 rows, but got 29 label rows"):
        data.load(tmp_path / "X.npz")
