"""Files of other formats are refused with the way to one that is read, and that way works."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_svmlight_file
from sklearn.preprocessing import MultiLabelBinarizer

from manylabel import data
from manylabel.errors import ManyLabelError

SVM = "0,2 1:0.5\n1 2:1\n 1:2\n0 1:1\n"
XMC = "4 3 3\n0,2 0:0.5 2:1\n1 1:2\n0:1\n0 2:3\n"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.svm", SVM, "load_svmlight_file(PATH, multilabel=True)"),
        ("t.libsvm", SVM, "load_svmlight_file(PATH, multilabel=True)"),
        ("t.txt", SVM, "load_svmlight_file(PATH, multilabel=True)"),
        ("t", SVM, "load_svmlight_file(PATH, multilabel=True)"),
        ("t.txt", XMC, "Cut off its first line"),
        ("trn_X_Y.txt", "30938 101938\n", "numpy.savez"),
        ("t.csv", "a,b,l\n1,2,0\n", "pandas"),
        ("t.csv.gz", b"\x1f\x8b\x08", "pandas"),
        ("t.parquet", b"PAR1", "pandas"),
        ("t.json", "[]", "pandas"),
        ("t.npy", b"\x93NUMPY", "numpy.savez"),
        ("t.mat", b"\0\1\2", "numpy.savez"),
        ("t", b"", "numpy.savez"),
        ("t", b"1" * 100_000 + b"x", "numpy.savez"),
    ],
)
def test_foreign_file_is_refused_with_the_way(write, name, content, told):
    with pytest.raises(ManyLabelError, match=r"ends in \.npz or \.arff, or a folder") as error:
        data.load(write(name, content))
    assert told in str(error.value)
    assert "numpy.savez_compressed('NAME.npz', X" in str(error.value)


def test_the_ways_work(write, tmp_path):
    for n_features, path in ((None, write("t.svm", SVM)), (3, write("t.txt", XMC.split("\n", 1)[1]))):
        settings = {"multilabel": True, "n_features": n_features, "zero_based": n_features is not None}
        X, labels = load_svmlight_file(str(path), **settings)
        Y = MultiLabelBinarizer(classes=range(3)).fit_transform(labels)
        parts = {"X_data": X.data, "X_indices": X.indices, "X_indptr": X.indptr, "X_shape": X.shape}
        np.savez_compressed(tmp_path / "t.npz", **parts, y=Y)
        dataset = data.load(tmp_path / "t.npz")
        assert len(dataset.train) + len(dataset.test) == 4
        assert len(dataset.label_names) == 3


def test_matrix_of_scipy_and_array_of_numpy_are_refused_with_the_way(tmp_path):
    sp.save_npz(tmp_path / "s.npz", sp.eye_array(4, format="csr"))
    with pytest.raises(
        ManyLabelError, match=r"scipy\.sparse\.load_npz and write numpy\.savez_compressed.*X_data"
    ):
        data.load(tmp_path / "s.npz")
    np.save(tmp_path / "x.npy", np.eye(4))
    (tmp_path / "x.npy").rename(tmp_path / "x.npz")
    with pytest.raises(ManyLabelError, match=r"an npy file by another name.*numpy\.savez_compressed"):
        data.load(tmp_path / "x.npz")
    np.savez(tmp_path / "z.npz", Z=np.eye(4))
    with pytest.raises(ManyLabelError, match=r"but got Z\. Write it with numpy\.savez_compressed"):
        data.load(tmp_path / "z.npz")


def test_folders_say_which_path_to_give(write, tmp_path):
    write("npz/a.npz", "")
    write("npz/b.npz", "")
    with pytest.raises(ManyLabelError, match=r"for example .*a\.npz, or name it data\.npz"):
        data.load(tmp_path / "npz")
    write("sets/one/data.npz", "")
    with pytest.raises(ManyLabelError, match=r"one folder in it, for example .*one\."):
        data.load(tmp_path / "sets")
    write("svm/train.txt", SVM)
    with pytest.raises(ManyLabelError, match="load_svmlight_file"):
        data.load(tmp_path / "svm")


def test_what_is_no_file_is_refused(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.arff")  # opening it would wait for ever
    with pytest.raises(ManyLabelError, match="a device, socket or pipe"):
        data.load(tmp_path / "pipe.arff")
    with pytest.raises(ManyLabelError):
        data.load(tmp_path / ("a" * 5000))
