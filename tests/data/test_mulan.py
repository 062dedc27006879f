"""Folders and pairs of ARFF files: which files make a data set."""

import gzip

import numpy as np
import pytest
import scipy.sparse as sp

from manylabel import data
from manylabel.data.build import About
from manylabel.data.formats import arff_columns
from manylabel.data.formats.mulan import read_mulan
from manylabel.errors import ManyLabelError


@pytest.mark.parametrize("given", ["folder", "training file", "test file"])
def test_training_file_brings_its_test_file(write, forms, small, given):
    X, Y = small
    train = write("s/small-train.arff", forms["arff"](X[:8], Y[:8]))
    test = write("s/small-test.arff", forms["arff"](X[8:], Y[8:]))
    write("s/small.xml", forms["xml"]("abc"))
    path = {"folder": train.parent, "training file": train, "test file": test}[given]
    dataset = read_mulan(path, About("small"), validation_rows=[1, 5])
    assert (len(dataset.train), len(dataset.test)) == (8, 4)
    np.testing.assert_array_equal(dataset.test.X.values, X[8:])
    np.testing.assert_array_equal(dataset.test.Y.dense(), Y[8:])
    assert dataset.validation_rows.tolist() == [1, 5]


def test_file_without_a_split_gets_a_test_part(write, forms, small):
    X, Y = small
    path = write("small.arff", forms["arff"](X, Y))
    write("small.xml", forms["xml"]("abc"))
    dataset = read_mulan(path, About("small"))
    assert (len(dataset.train), len(dataset.test)) == (9, 3)
    assert "25% of the rows" in dataset.split


def test_test_file_with_other_columns_is_refused(write, forms, small):
    X, Y = small
    path = write("small-train.arff", forms["arff"](X, Y))
    write("small-test.arff", forms["arff"](X, Y, labels_first=True).replace("@attribute f0", "@attribute h0"))
    write("small.xml", forms["xml"]("abc"))
    with pytest.raises(
        ManyLabelError, match=r"small-test\.arff: expected the attributes of small-train\.arff"
    ):
        read_mulan(path, About("small"))


def test_folder_with_several_tables_is_refused(write, tmp_path):
    write("one.arff", "")
    write("two.arff", "")
    with pytest.raises(ManyLabelError, match=r"but got one\.arff, two\.arff"):
        read_mulan(tmp_path, About("two"))


def test_folder_with_several_tables_says_which_path_to_give(write, tmp_path):
    for name in ("a-train.arff", "a-test.arff", "b-train.arff", "b-test.arff"):
        write(name, "")
    with pytest.raises(ManyLabelError, match=r"Give the path of one of them, for example .*a-train\.arff"):
        read_mulan(tmp_path, About("two"))


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("s-train.arff", "s-test.arff"),
        ("S_TRAIN.ARFF", "S_TEST.ARFF"),
        ("sTrain-1.arff", "sTest-1.arff"),
        ("s-train.arff.gz", "s-test.arff.gz"),
        ("s-train.arff", "s-test.arff.gz"),
        ("training-train.arff", "training-test.arff"),
    ],
)
def test_pairs_are_found_from_either_file(write, forms, small, train, test):
    X, Y = small
    for name, rows in ((train, slice(8)), (test, slice(8, 12))):
        text = forms["arff"](X[rows], Y[rows]).encode()
        write(f"s/{name}", gzip.compress(text) if name.endswith("gz") else text)
    folder = write("s/s.xml", forms["xml"]("abc")).parent
    for path in (folder, folder / train, folder / test):
        dataset = data.load(path)
        np.testing.assert_array_equal(dataset.train.X.values, X[:8])
        np.testing.assert_array_equal(dataset.test.X.values, X[8:])


@pytest.mark.parametrize("name", ["toy.ARFF", "TOY.ARFF", "toy.arff.gz", "Toy.Arff.GZ"])
@pytest.mark.parametrize("given", ["folder", "file"])
def test_endings_in_capitals_and_packed_files_are_read(write, forms, small, name, given):
    text = forms["arff"](*small).encode()
    path = write(f"s/{name}", gzip.compress(text) if name.lower().endswith("gz") else text)
    write("s/toy.XML", forms["xml"]("abc"))
    dataset = data.load(path if given == "file" else path.parent)
    assert (len(dataset.train), len(dataset.test)) == (9, 3)
    assert dataset.name == (path.name[:3] if given == "file" else "s")


@pytest.mark.parametrize(
    ("name", "told"), [("s-train", "a train file, but no test"), ("s-test", "a test file, but no")]
)
def test_one_part_alone_says_so(write, forms, small, name, told):
    path = write(f"{name}.arff", forms["arff"](*small))
    write("s.xml", forms["xml"]("abc"))
    assert any(told in remark for remark in data.load(path).remarks)


@pytest.mark.parametrize("name", ["latest", "contest", "trains", "stress-testing"])
def test_other_names_are_no_parts(write, forms, small, name):
    path = write(f"{name}.arff", forms["arff"](*small))
    write(f"{name}.xml", forms["xml"]("abc"))
    assert not any("is named a" in remark for remark in data.load(path).remarks)


HEAD = "@relation t\n@attribute f numeric\n@attribute c {red,green}\n@attribute a {left,right}\n@data\n"
XML = '<labels><label name="a"/></labels>'
ROWS = "1,red,left\n2,green,right\n3,red,right\n4,red,left\n"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("{left,right}", "{right,left}"), "word for 1 of label 1: 'right'"),
        (("{red,green}", "{green,red}"), "feature 2: 'c=red'"),
        (("@attribute f ", "@attribute g "), "feature 1: 'f'"),
    ],
)
def test_pairs_whose_columns_mean_other_things_are_refused(write, change, told):
    path = write("t-train.arff", HEAD + ROWS)
    write("t-test.arff", HEAD.replace(*change) + ROWS)
    write("t.xml", XML)
    with pytest.raises(ManyLabelError) as error:
        data.load(path)
    assert "t-test.arff" in str(error.value)
    assert told in str(error.value)


def test_parts_of_a_pair_have_one_layout(write, monkeypatch):
    monkeypatch.setattr(arff_columns, "WIDE", 20)  # numbers: the training part has more, the test part fewer
    path = write("t-train.arff", HEAD + ROWS * 2)
    write("t-test.arff", HEAD + ROWS)
    write("t.xml", XML)
    dataset = data.load(path)
    assert sp.issparse(dataset.train.X.values)
    assert sp.issparse(dataset.test.X.values)
    assert dataset.test.X.values.toarray().tolist() == [[1, 1, 0], [2, 0, 1], [3, 1, 0], [4, 1, 0]]


def test_header_goes_before_an_xml_file_of_another_table(write):
    head = HEAD.replace("@relation t", "@relation 't: -C -1'")
    path = write("t.arff", head + ROWS)
    write("other.xml", '<labels><label name="z"/></labels>')
    assert data.load(path).label_names == ("a",)
    write("t.xml", '<labels><label name="z"/></labels>')
    with pytest.raises(ManyLabelError, match=r"an attribute for every label of t\.xml"):
        data.load(path)
