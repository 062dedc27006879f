"""Files of other formats are refused with the way to one that is read, and that way works."""

import numpy as np
import pytest

from manylabel import data
from manylabel.errors import ManyLabelError


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.csv", "a,b,l\n1,2,0\n", "manylabel.data.read_table(PATH, labels=COLUMN)"),
        ("t.csv.gz", b"\x1f\x8b\x08", "manylabel.data.read_table(PATH, labels=COLUMN)"),
        ("t.parquet", b"PAR1", "manylabel.data.read_table(PATH, labels=COLUMN)"),
        ("t.json", "[]", "manylabel.data.read_table(PATH, labels=COLUMN)"),
        ("t.npy", b"\x93NUMPY", "numpy.savez_compressed('NAME.npz', X"),
        ("t.mat", b"\0\1\2", "numpy.savez_compressed('NAME.npz', X"),
        ("t", b"", "numpy.savez_compressed('NAME.npz', X"),
        ("t", b"1" * 100_000 + b"x", "numpy.savez_compressed('NAME.npz', X"),
    ],
)
def test_foreign_file_is_refused_with_the_way(write, name, content, told):
    with pytest.raises(ManyLabelError, match=r"ends in \.npz, \.arff, .*, or a folder") as error:
        data.load(write(name, content))
    assert told in str(error.value)


def test_array_of_numpy_is_refused_with_the_way(tmp_path):
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
    write("csv/train.csv", "a,b\n")
    with pytest.raises(ManyLabelError, match="read_table"):
        data.load(tmp_path / "csv")


def test_what_is_no_file_is_refused(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.arff")  # opening it would wait for ever
    with pytest.raises(ManyLabelError, match="a device, socket or pipe"):
        data.load(tmp_path / "pipe.arff")
    with pytest.raises(ManyLabelError):
        data.load(tmp_path / ("a" * 5000))
