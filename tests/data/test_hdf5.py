"""HDF5 files: dense and sparse arrays, names in attributes, and nothing that leads out of the file or unfolds."""

import gzip

import numpy as np
import pytest
import scipy.sparse as sp

from manylabel import data
from manylabel.errors import ManyLabelError

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(30, 6)) * (RNG.random((30, 6)) < 0.4)).astype(np.float32)
Y = (RNG.random((30, 4)) < 0.4).astype(np.uint8)


def put_sparse(file, name, matrix, shape="data set"):
    group, table = file.create_group(name), sp.csr_matrix(matrix)
    for part in ("data", "indices", "indptr"):
        group[part] = getattr(table, part)
    if shape == "data set":
        group["shape"] = table.shape
    else:
        group.attrs["shape"] = table.shape
    return group


@pytest.fixture
def made(tmp_path):
    """``made(fill)`` lets ``fill(file)`` write into a new file."""

    def make(fill, name="d.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            fill(file)
        return tmp_path / name

    return make


def flat(file):
    for part, rows in (("train", slice(None)), ("test", slice(9))):
        file[f"X_{part}"], file[f"y_{part}"] = X[rows], Y[rows]
    file["label_names"] = list("abcd")


def grouped(file):
    for part, rows in (("train", slice(None)), ("test", slice(9))):
        group = file.create_group(part)
        group.create_dataset(
            "X", data=X[rows], compression="gzip", shuffle=True, chunks=(4, 3), fletcher32=True
        )
        group.create_dataset("Y", data=Y[rows], compression="lzf")
    file.attrs["label_names"] = list("abcd")


def sparse(file):
    for part, rows in (("train", slice(None)), ("test", slice(9))):
        put_sparse(file, f"X_{part}", X[rows], "attribute")
        put_sparse(file, f"y_{part}", Y[rows])
    file["label_names"] = np.array([b"a", b"b", b"c", b"d"])


def sparse_groups(file):
    for part, rows in (("train", slice(None)), ("test", slice(9))):
        group = file.create_group(part)
        put_sparse(group, "X", X[rows])
        put_sparse(group, "Y", Y[rows])
    file.attrs["label_names"] = list("abcd")


@pytest.mark.parametrize("fill", [flat, grouped, sparse, sparse_groups])
@pytest.mark.parametrize("name", ["d.h5", "d.HDF5", "d.h5.gz"])
def test_every_form_is_read(made, fill, name):
    path = made(fill, name)
    if name.endswith("gz"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    dataset = data.load(path)
    assert dataset.name == "d"
    assert dataset.label_names == tuple("abcd")
    np.testing.assert_array_equal(dataset.train.X, X)
    np.testing.assert_array_equal(dataset.train.Y.dense(), Y)
    np.testing.assert_array_equal(dataset.test.X, X[:9])
    np.testing.assert_array_equal(dataset.test.Y.dense(), Y[:9])


def test_one_part_and_names_beside_the_labels(made):
    def fill(file):
        file["X"], file["Y"] = X, Y
        file["Y"].attrs["label_names"] = list("abcd")
        file["X"].attrs["feature_names"] = list("uvwxyz")

    dataset = data.load(made(fill).parent)
    assert (len(dataset.train), len(dataset.test)) == (22, 8)
    assert (dataset.label_names, dataset.feature_names) == (tuple("abcd"), tuple("uvwxyz"))


def test_pictures_are_read(made):
    def fill(file):
        file["X"], file["y"] = RNG.integers(0, 256, (30, 5, 5, 3), dtype=np.uint8), Y

    assert data.load(made(fill)).kind == "images"


def with_labels(**found):
    def fill(file):
        file["y"] = Y
        for name, value in found.items():
            file[name] = value

    return fill


def external_storage(file):
    file["y"] = Y
    file.create_dataset("X", shape=X.shape, dtype="f4", external=[("other.raw", 0, X.nbytes)])


def virtual(file):
    file["y"] = Y
    layout = h5py.VirtualLayout(shape=X.shape, dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "X", shape=X.shape)
    file.create_virtual_dataset("X", layout)


def unwritten(file):
    file["y"] = Y
    file.create_dataset("X", shape=(10**6, 10**6), dtype="f4", chunks=(100, 100))


def never_ending(file):
    file["y"] = Y
    file.create_dataset("X", shape=(30, 10**8), dtype="u1", chunks=(1, 10**6), compression="gzip")[
        :, : 10**6
    ] = 0


def foreign_filter(file):
    file["y"] = Y
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((30, 6))
    made.set_filter(32004, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple(X.shape)
    h5py.h5d.create(file.id, b"X", h5py.h5t.IEEE_F32LE, space, made)
    file["X"][:] = X


def ragged(file):
    file["y"] = Y
    file.create_dataset("X", 30, h5py.vlen_dtype("f4"))


def broken_sparse(**changed):
    def fill(file):
        file["X"] = X
        group = put_sparse(file, "y", Y)
        for name, value in changed.items():
            del group[name]
            group[name] = value

    return fill


WRONG = {
    "external link": (with_labels(X=h5py.ExternalLink("other.h5", "/X")), "X: expected an HDF5 file of plain arrays"),
    "soft link": (with_labels(X=h5py.SoftLink("/elsewhere/X")), "a link to somewhere else"),
    "storage in another file": (external_storage, "an array that lies in other files"),
    "virtual array": (virtual, "an array that lies in other files"),
    "shape without content": (unwritten, "an array that was written as a whole"),
    "mostly without content": (never_ending, "an array that was written as a whole"),
    "filter from elsewhere": (foreign_filter, "a filter that comes with HDF5, but got filter 32004"),
    "rows of different lengths": (ragged, "references or rows of different"),
    "text": (with_labels(X=np.array(["a"] * 30, dtype=object)), "features: expected numbers"),
    "no features": (with_labels(), "labels without features"),
    "other arrays": (lambda file: file.__setitem__("Z", X), "but got Z. Write it with numpy.savez_compressed"),
    "a row too few": (with_labels(X=X[:29]), "one label row for each of 29 rows, but got 30"),
    "no number": (with_labels(X=np.where(X[0, 0] == X, np.nan, X)), "finite numbers, but got nan in row 0"),
    "a part lacking": (broken_sparse(shape=h5py.SoftLink("/nowhere")), "a link to somewhere else"),
    "columns out of range": (broken_sparse(indices=np.full(int(Y.sum()), 4)), "the CSR parts of y"),
    "too many labels": (broken_sparse(shape=[30, 10**9]), "of at most 4194304 columns"),
    "names too few": (with_labels(X=X, label_names=list("abc")), "4 label names, one a column, but got 3"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_refused(made, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("other.h5", "w") as other:  # it is there, and yet not read
        other["X"] = X
    (tmp_path / "other.raw").write_bytes(X.tobytes())
    fill, told = WRONG[kind]
    with pytest.raises(ManyLabelError) as error:
        data.load(made(fill))
    assert told in str(error.value)
    assert "d.h5" in str(error.value)


def test_a_file_that_is_none_is_refused(write):
    for content in (b"", b"hello", b"\x89HDF\r\n\x1a\n" + b"\0" * 500):
        with pytest.raises(ManyLabelError, match=r"d\.h5: expected an HDF5 file of plain arrays"):
            data.load(write("d.h5", content))
