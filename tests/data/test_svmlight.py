"""svmlight files: several labels, one or none a row, counted from 0 or from 1, and what is wrong named by its line."""

import gzip
import io

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from manylabel import data
from manylabel.data.build import About
from manylabel.data.formats.svmlight import read_svmlight
from manylabel.errors import ManyLabelError

ROWS = "0,2 1:0.5 4:-2\n1 2:1\n 1:2\n\n2 qid:7 3:1e-3 # why\n# a comment alone\n10,1 1:1\n"


def whole(dataset):
    """All rows in the order of features that the tests know them by: (X, Y), sorted."""
    X = np.concatenate([np.asarray(dataset.train.X), np.asarray(dataset.test.X)])
    Y = np.concatenate([dataset.train.Y.dense(), dataset.test.Y.dense()])
    order = np.lexsort(np.hstack([Y, X]).T)
    return X[order], Y[order]


def ordered(X, Y):
    order = np.lexsort(np.hstack([Y, X]).T)
    return X[order], Y[order]


def test_every_kind_of_row(write):
    dataset = data.load(write("t.svm", ROWS))
    assert dataset.label_names == ("0", "1", "2", "10")
    X = [[0.5, 0, 0, -2], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1e-3, 0], [1, 0, 0, 0]]
    Y = [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]]
    for read, expected in zip(whole(dataset), ordered(np.float32(X), np.uint8(Y)), strict=True):
        np.testing.assert_array_equal(read, expected)
    told = " ".join(dataset.remarks)
    assert "Features are counted from 1 in the file: no 0 occurs." in told
    assert "1 line of t.svm without labels and features." in told
    assert "1 row of t.svm with a qid, which is ignored." in told


@pytest.mark.parametrize("name", ["t.libsvm", "t.svmlight", "t.txt", "t", "t.dat", "t.svm.gz", "t.txt.gz"])
def test_every_name_of_a_file(write, name):
    content = ROWS.encode()
    dataset = data.load(write(name, gzip.compress(content) if name.endswith("gz") else content))
    assert (dataset.name, len(dataset.train) + len(dataset.test)) == ("t", 6)


def test_a_0_in_either_file_means_that_both_count_from_0(write):
    train = write("t-train.svm", "1 1:1 2:1\n2 2:5\n")
    write("t-test.svm", "3 0:4\n")
    dataset = data.load(train)
    np.testing.assert_array_equal(dataset.train.X, [[0, 1, 1], [0, 0, 5]])
    np.testing.assert_array_equal(dataset.test.X, [[4, 0, 0]])
    np.testing.assert_array_equal(dataset.test.Y.dense(), [[0, 0, 1]])  # a label of the test file alone
    assert "Features are counted from 0 in the file." in dataset.remarks
    assert dataset.digest == data.load(train.with_name("t-test.svm")).digest == data.load(train.parent).digest


def test_one_label_of_minus_and_plus_is_one_label(write):
    dataset = data.load(write("t.svm", "+1 1:1\n-1 1:2\n-1 1:3\n+1 2:4\n"))
    assert dataset.label_names == ("1",)
    assert int(dataset.train.Y.label_counts() + dataset.test.Y.label_counts()) == 2
    several = data.load(write("s.svm", "+1,-1 1:1\n-1 1:2\n-1 1:3\n+1 2:4\n"))
    assert several.label_names == ("-1", "1")


def test_mostly_stored_entries_become_an_array(write):
    dense = data.load(write("d.svm", "".join(f"{i % 3} 1:{i} 2:1 3:2\n" for i in range(9))))
    assert not dense.train.X.is_sparse
    assert data.load(write("s.svm", ROWS)).train.X.is_sparse


def test_hashed_features_cost_nothing(write):
    dataset = data.load(write("t.svm", "".join(f"{i % 3} {2_000_000_000 + i}:{i + 0.1}\n" for i in range(8))))
    assert dataset.train.X.values.shape[1] == 2_000_000_007


@pytest.mark.parametrize("zero_based", [True, False])
def test_what_scikit_learn_writes_is_read(tmp_path, zero_based):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 9)) * (rng.random((60, 9)) < 0.3)
    X[0, 0], X[0, 8] = 1, 1
    Y = (rng.random((60, 4)) < 0.3).astype(int)
    Y[5], Y[0] = 0, 1
    path = tmp_path / "t.svm"
    dump_svmlight_file(sp.csr_matrix(X), sp.csr_matrix(Y), str(path), zero_based=zero_based, multilabel=True)
    read = whole(data.load(path))
    expected = ordered(X.astype(np.float32), Y.astype(np.uint8))
    np.testing.assert_allclose(read[0], expected[0], rtol=1e-6)
    np.testing.assert_array_equal(read[1], expected[1])


def test_rows_that_scikit_learn_loses_are_kept(tmp_path):
    X, Y = (
        np.float64([[1, 2], [0, 0], [0, 3], [4, 0], [5, 0]]),
        np.array([[1, 0], [0, 0], [1, 1], [0, 0], [0, 1]]),
    )
    buffer = io.BytesIO()
    dump_svmlight_file(X, sp.csr_matrix(Y), buffer, multilabel=True)
    path = tmp_path / "t.svm"
    path.write_bytes(buffer.getvalue())
    assert load_svmlight_file(str(path), multilabel=True)[0].shape[0] == 4
    for read, expected in zip(whole(data.load(path)), ordered(X, Y), strict=True):
        np.testing.assert_array_equal(read, expected)


WRONG = {
    "a word as label": ("1 1:1\ncat 1:1\n", "line 2: expected label numbers, comma-separated, but got 'cat'"),
    "half a label": ("1.5 1:1\n", "line 1: expected label numbers"),
    "a gap between labels": ("1,,2 1:1\n", "line 1: expected label numbers"),
    "a comma at the end": ("1, 1:1\n", "line 1: expected label numbers"),
    "a blank behind a comma": ("1, 2 1:1\n", "line 1: expected label numbers"),
    "a feature without value": ("1 1:1\n1 3\n", "line 2: expected INDEX:VALUE, both numbers, but got '3'"),
    "a value that is no number": ("1 1:1\n1 2:4 3:1e\n", "line 2: expected INDEX:VALUE, both numbers, but got '3:1e'"),
    "nan": ("1 1:nan\n", "line 1: expected INDEX:VALUE"),
    "an endless number": ("1 1:1e999\n", "line 1: expected numbers below 3.4e38, but got inf"),
    "a negative feature": ("1 -1:2\n", "line 1: expected INDEX:VALUE"),
    "a feature beyond what can be counted": ("1 3000000000:1\n", "line 1: expected feature numbers from 0 to"),
    "an endless feature": ("1 " + "9" * 9000 + ":1\n", "line 1: expected INDEX:VALUE"),
    "a feature twice": ("1 1:2 3:1 1:4\n", "line 1: expected every feature once, but got feature 1 twice"),
    "a blank beside a colon": ("1 1:2 3: 4\n", "line 1: expected INDEX:VALUE"),
    "no feature anywhere": ("1 # a\n2\n", "expected a feature in some row, but got none"),
    "no label anywhere": (" 1:1\n 2:1\n", "from 1 to 4194304 different labels, but got 0"),
    "nothing": ("", "t.svm: expected a feature in some row"),
    "three rows": ("1 1:1\n2 1:1\n1 1:2\n", "at least 4 rows"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_named_by_its_line(write, kind):
    content, told = WRONG[kind]
    with pytest.raises(ManyLabelError) as error:
        data.load(write("t.svm", content))
    assert told in str(error.value)
    assert "t.svm" in str(error.value)
    assert len(str(error.value)) < 600


def test_a_packed_file_that_is_cut_off_is_refused(write):
    path = write("t.svm.gz", gzip.compress(ROWS.encode() * 50)[:-20])
    with pytest.raises(ManyLabelError, match=r"t\.svm\.gz: expected a readable svmlight file"):
        read_svmlight(path, About("t"))


LIKE = data.Like(4, ("0", "1", "2", "10"))


@pytest.mark.parametrize("options", [{}, {"on_disk": True}])
def test_new_rows_have_the_features_and_labels_of_a_model(write, options):
    new = data.load(write("new.svm", "2 1:3 4:5\n7,10 2:1\n"), undivided=True, options=options, like=LIKE)
    np.testing.assert_array_equal(np.asarray(new.train.X), [[3, 0, 0, 5], [0, 1, 0, 0]])
    assert new.label_names == LIKE.label_names
    np.testing.assert_array_equal(new.train.Y.dense(), [[0, 0, 1, 0], [0, 0, 0, 1]])
    assert "Labels that are none of the model are left out: '7'." in new.remarks
    unlabelled = data.load(write("none.svm", " 0:3\n 2:1\n"), undivided=True, options=options, like=LIKE)
    np.testing.assert_array_equal(np.asarray(unlabelled.train.X), [[3, 0, 0, 0], [0, 0, 1, 0]])
    assert not unlabelled.train.Y.dense().any()
    of_one = data.load(write("one.svm", "1 1:3\n-1 1:1\n"), undivided=True, like=data.Like(1, ("1",)))
    assert of_one.train.Y.dense().tolist() == [[1], [0]]
    assert not any("left out" in told for told in of_one.remarks)


@pytest.mark.parametrize("options", [{}, {"on_disk": True}])
def test_new_rows_without_any_feature_are_zeros(write, options):
    new = data.load(write("new.svm", "2\n1,10\n"), undivided=True, options=options, like=LIKE)
    assert new.train.X.csr(torch.float32).shape == (2, 4)
    assert not new.train.X.csr(torch.float32).nnz


def test_new_rows_that_do_not_tell_how_features_are_counted_are_refused_until_it_is_said(write):
    narrow = write("narrow.svm", "2 1:3 2:5\n")
    with pytest.raises(
        ManyLabelError, match=r"feature 0 or 4, .* got features from 1 to 2\. Say .*first=0 or first=1"
    ):
        data.load(narrow, undivided=True, like=LIKE)
    for first, row in ((0, [0, 3, 5, 0]), (1, [3, 5, 0, 0])):
        asked = {"first": first, "features": 4}
        for found in (
            data.load(narrow, undivided=True, options={"first": first}, like=LIKE),
            data.load(narrow, undivided=True, options=asked),
        ):
            np.testing.assert_array_equal(np.asarray(found.train.X), [row])
    with pytest.raises(ManyLabelError, match="at most 4 features, but got 5, counted from 1"):
        data.load(write("wide.svm", "2 1:3 5:5\n"), undivided=True, like=LIKE)
    for known in ({"options": {"first": 1}}, {"like": data.Like(4, ("2", "7"), reading={"first": 1})}):
        with pytest.raises(
            ManyLabelError, match=r"features from 1 on, but got 0\. Say first=0 .* or leave it out"
        ):
            data.load(write("zero.svm", "2 0:3 3:5\n"), undivided=True, **known)
        remarks = data.load(narrow, undivided=True, **known).remarks
        assert "Features are counted from 1 in the file." in remarks  # not because no 0 occurs
