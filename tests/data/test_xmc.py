"""XMC text: the sizes of the header hold, in one file or in a pair of features and labels."""

import gzip

import numpy as np
import pytest

from manylabel import data
from manylabel.errors import ManyLabelError

ROWS = "4 5 6\n0,2 0:0.5 2:1\n1 1:2\n0:1\n5,0 2:3\n"
X = np.float32([[0.5, 0, 1, 0, 0], [0, 2, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 3, 0, 0]])
Y = np.uint8([[1, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0], [0] * 6, [1, 0, 0, 0, 0, 1]])


def test_columns_that_no_row_has_are_kept(write):
    train = write("s/train.txt", ROWS)
    write("s/test.txt", "2 5 6\n1 4:7\n\n\n\n")  # a row without anything, and blank lines behind the rows
    dataset = data.load(train)
    np.testing.assert_array_equal(dataset.train.X, X)
    np.testing.assert_array_equal(dataset.train.Y.dense(), Y)
    np.testing.assert_array_equal(dataset.test.X, [[0, 0, 0, 0, 7], [0] * 5])
    np.testing.assert_array_equal(dataset.test.Y.dense(), [[0, 1, 0, 0, 0, 0], [0] * 6])
    assert dataset.label_names == tuple("012345")
    assert data.load(train.parent).digest == dataset.digest


@pytest.mark.parametrize("name", ["t.txt", "t.xmc", "t_data", "t.txt.gz"])
def test_one_file_is_split(write, name):
    dataset = data.load(write(name, gzip.compress(ROWS.encode()) if name.endswith("gz") else ROWS))
    assert (len(dataset.train), len(dataset.test), dataset.train.X.values.shape[1]) == (3, 1, 5)


PAIRS = {
    "trn_X_Xf.txt": "4 5\n0:0.5 2:1\n1:2\n0:1\n2:3\n",
    "trn_X_Y.txt": "4 6\n0:1 2:1\n1:1\n\n0:1 5:1.0\n",
    "tst_X_Xf.txt": "1 5\n4:7\n",
    "tst_X_Y.txt": "1 6\n3:1\n",
}


@pytest.mark.parametrize("given", [*PAIRS, ""])
def test_features_and_labels_of_two_files(write, tmp_path, given):
    for name, content in PAIRS.items():
        write(f"p/{name}", content)
    dataset = data.load(tmp_path / "p" / given)
    np.testing.assert_array_equal(dataset.train.X, X)
    np.testing.assert_array_equal(dataset.train.Y.dense(), Y)
    np.testing.assert_array_equal(dataset.test.Y.dense(), [[0, 0, 0, 1, 0, 0]])


WRONG = {
    "a row too few": ("5 5 6\n" + ROWS.split("\n", 1)[1], "t.txt: expected 5 rows, as line 1 says, but got 4"),
    "a row too many": ("3 5 6\n" + ROWS.split("\n", 1)[1], "line 5: expected 3 rows, as line 1 says, but got more"),
    "a feature beyond": (ROWS.replace("1:2", "5:2"), "line 3: expected feature numbers from 0 to 4, but got 5"),
    "a label beyond": (ROWS.replace("5,0", "6,0"), "line 5: expected labels from 0 to 5, but got 6"),
    "no rows": ("0 5 6\n", "line 1: expected rows, and from 1 to 2147483647 columns"),
    "endless sizes": ("9" * 5000 + " 5 6\n", "line 1: expected the numbers of rows, features and labels"),
    "more labels than bytes": ("4 5 4000000\n", "from 1 to 65536 labels in a file of this size, but got 4000000"),
    "more features than can be counted": ("4 5000000000 6\n", "line 1: expected rows, and from 1 to"),
    "features alone": ("4 5\n0:1\n", "expected a file of labels beside these features, but got none"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_named(write, kind):
    content, told = WRONG[kind]
    with pytest.raises(ManyLabelError) as error:
        data.load(write("t.txt", content))
    assert told in str(error.value)
    assert len(str(error.value)) < 600


def test_parts_that_do_not_fit_each_other_are_refused(write):
    path = write("train.txt", ROWS)
    write("test.txt", "1 5 7\n1 4:7\n")
    with pytest.raises(
        ManyLabelError,
        match=r"the 5 features and 6 labels of train\.txt, but got 5 and 7",
    ):
        data.load(path)
    path = write("p/trn_X_Xf.txt", PAIRS["trn_X_Xf.txt"])
    write("p/trn_X_Y.txt", "3 6\n0:1\n\n\n")
    with pytest.raises(ManyLabelError, match=r"trn_X_Y\.txt, line 1: expected 4 rows, as trn_X_Xf\.txt has"):
        data.load(path)
