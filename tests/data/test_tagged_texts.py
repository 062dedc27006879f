"""Texts of LibMultiLabel: id, labels and text between tabs."""

import gzip

import pytest

from manylabel import data
from manylabel.errors import ManyLabelError

ROWS = "a\t10 2 2\tWheat and  oil: \xfc.\nb\t\tNothing at all.\n\nc\tcat 2\tx y\nd\t2\t\n"


@pytest.mark.parametrize("packed", [False, True])
def test_every_row_is_read(write, packed):
    content = ROWS.encode("utf-8-sig")
    train = write(
        "s/train.txt.gz" if packed else "s/train.txt", gzip.compress(content) if packed else content
    )
    write("s/test.txt", "e\t3\tone more\r\n")
    dataset = data.load(train)
    assert dataset.label_names == ("2", "3", "10", "cat")
    assert dataset.train.X.values == ["Wheat and  oil: \xfc.", "Nothing at all.", "x y", ""]
    assert dataset.train.Y.dense().tolist() == [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 1], [1, 0, 0, 0]]
    assert dataset.test.X.values == ["one more"]
    assert "Read as lines of id, labels and text." in dataset.remarks
    assert data.load(train.parent).digest == dataset.digest


WRONG = {
    "a field too many": ("a\tb\tc d\na\tb\tc\td\n", "line 2: expected ID<TAB>LABEL LABEL<TAB>TEXT, but got"),
    "a field too few": ("a\tb\tc d\n\na\tb\n", "line 3: expected ID<TAB>LABEL LABEL<TAB>TEXT"),
    "no UTF-8": (b"a\tb\tc d\na\tb\t\xff\n", "line 2: expected a file of texts in UTF-8"),
    "no labels": ("a\t\tc d\n" * 5, "different labels, but got 0"),
    "two fields": ("the text it is\ta b\n" * 5, "t.txt: expected a file that ends in"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_named_by_its_line(write, kind):
    content, told = WRONG[kind]
    with pytest.raises(ManyLabelError) as error:
        data.load(write("t.txt", content))
    assert told in str(error.value)
    assert "t.txt" in str(error.value)


def test_new_texts_have_the_labels_of_a_model(write):
    like = data.Like(label_names=("sea", "wind", "rock"))
    new = data.load(write("new.txt", "1\tsea fog\tby the sea\n2\t\tnothing\n"), undivided=True, like=like)
    assert new.label_names == like.label_names
    assert new.train.Y.dense().tolist() == [[1, 0, 0], [0, 0, 0]]
    assert "Labels that are none of the model are left out: 'fog'." in new.remarks
    bare = data.load(write("bare.txt", "1\t\tby the sea\n2\t\tnothing\n"), undivided=True, like=like)
    assert bare.train.Y.shape == (2, 3)
    assert not bare.train.Y.dense().any()
