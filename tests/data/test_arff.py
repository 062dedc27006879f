"""Mulan's ARFF files: what is read from them, and how each kind of broken file is refused."""

import numpy as np
import pytest
import scipy.sparse as sp

from manylabel.data.assembly import About
from manylabel.data.formats.arff import read_arff, read_label_names
from manylabel.data.formats.mulan import read_mulan
from manylabel.errors import ManyLabelError


@pytest.mark.parametrize("labels_first", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_table_is_read_as_written(write, forms, small, sparse, labels_first):
    X, Y = small
    path = write("small.arff", forms["arff"](X, Y, sparse, labels_first))
    table = read_arff(path, write("small.xml", forms["xml"]("cab")))
    assert sp.issparse(table.part.X) == sparse
    np.testing.assert_array_equal(table.part.X.toarray() if sparse else table.part.X, X)
    np.testing.assert_array_equal(table.part.Y, Y)  # columns in the order of the table, whatever the XML's
    assert table.label_names == ("a", "b", "c")
    assert table.feature_names == ("f0", "f1", "f2", "f3")


@pytest.mark.parametrize("sparse", [False, True])
def test_agrees_with_liac_arff(write, forms, small, sparse):
    arff = pytest.importorskip("arff")
    X, Y = small
    text = forms["arff"](X, Y, sparse)
    table = read_arff(write("small.arff", text), write("small.xml", forms["xml"]("abc")))
    rows = arff.loads(text, return_type=arff.LOD if sparse else arff.DENSE)["data"]
    expected = np.array(
        [[float(row.get(j, 0)) for j in range(7)] if sparse else list(map(float, row)) for row in rows]
    )
    X_read = table.part.X.toarray() if sparse else table.part.X
    np.testing.assert_array_equal(np.hstack([X_read, table.part.Y]), expected.astype(np.float32))


def test_spellings_that_files_in_use_have(write):
    text = (
        "\ufeff% a comment\n@RELATION 'a name: -C 2'\n"
        "@ATTRIBUTE\t'with space'\tREAL\n@attribute \"it's\" integer\n"
        "@attribute n-0_x numeric\n@attribute 'l\\'1' { 0, 1 }\n\n"
        "@DATA\n% more\n 0.5 , 1.5,2 ,'1'\r\n\n1e-3,2,3,0\n"
    )
    table = read_arff(write("t.arff", text), write("t.xml", '<labels><label name="l\'1"/></labels>'))
    np.testing.assert_allclose(
        table.part.X, [[0.5, 1.5, 2], [1e-3, 2, 3]]
    )  # an integer column is not rounded
    assert table.part.Y.tolist() == [[1], [0]]
    assert table.feature_names == ("with space", "it's", "n-0_x")


def test_labels_of_a_hierarchy_are_flattened(write):
    path = write("t.xml", '<labels><label name="a"><label name="b"/></label><label name="c"/></labels>')
    assert read_label_names(path) == ("a", "b", "c")


HEADER = "@relation t\n@attribute f numeric\n@attribute g numeric\n@attribute a {0,1}\n@data\n"
BROKEN = {
    "no @data": ("@relation t\n@attribute f numeric\n", "line 2", "@data"),
    "empty file": ("", "line 0", "@data"),
    "no attribute": ("@relation t\n@data\n1\n", "line 2", "@attribute"),
    "no type": ("@relation t\n@attribute f\n@data\n", "line 2", "@attribute NAME TYPE"),
    "twice the attribute": (HEADER.replace(" g ", " f "), "line 3", "'f' a second time"),
    "text attribute": (HEADER.replace("g numeric", "g string"), "line 3", "'g' to be numeric"),
    "nominal attribute": (HEADER.replace("g numeric", "g {red,blue}"), "line 3", "'{red,blue}'"),
    "stray header line": ("@relation t\nattribute f numeric\n", "line 2", "attribute f numeric"),
    "no rows": (HEADER, "t.arff", "rows after @data, but got none"),
    "only comments": (HEADER + "% nothing\n\n", "t.arff", "rows after @data"),
    "short row": (HEADER + "1,2,0\n1,2\n1,2,0\n", "line 7", "3 values, but got 2"),
    "cut off": (HEADER + "1,2,0\n1,2", "line 7", "cut off"),
    "long row": (HEADER + "1,2,0,1\n", "line 6", "3 values, but got 4"),
    "not a number": (HEADER + "1,2,0\n1,two,0\n", "line 7", "a number for 'g', but got 'two'"),
    "missing value": (HEADER + "1,2,0\n%\n?,2,0\n", "line 8", "a finite number for 'f'"),
    "NaN": (HEADER + "1,nan,0\n", "line 6", "a finite number for 'g'"),
    "infinite": (HEADER + "1,2,0\n1,-inf,0\n", "line 7", "a finite number for 'g'"),
    "beyond float32": (HEADER + "1,2,0\n1e300,2,0\n", "line 7", "a finite number for 'f', but got 1e+300"),
    "sparse beyond float32": (HEADER + "{1 1e300}\n", "line 6", "a finite number for 'g', but got 1e+300"),
    "missing label": (HEADER + "1,2,?\n", "line 6", "a finite number for 'a'"),
    "label 2": (HEADER + "1,2,0\n1,2,2\n", "line 7", "label 'a' to be 0 or 1, but got 2"),
    "label one half": (HEADER + "1,2,0.5\n", "line 6", "got 0.5"),
    "not UTF-8": (HEADER.encode() + b"1,2,0\n1,\xe9,0\n", "line 7", "UTF-8 text, but got byte 0xe9"),
    "sparse row not closed": (HEADER + "{0 1}\n{0 1, 1 2\n", "line 7", "cut off"),
    "dense row among sparse ones": (HEADER + "{0 1}\n1,2,0\n", "line 7", "a sparse row"),
    "sparse row among dense ones": (HEADER + "1,2,0\n{0 1,1 2,2 1}\n", "line 7", "a number for 'f'"),
    "column out of range": (HEADER + "{0 1,3 1}\n", "line 6", "a column from 0 to 2, but got '3'"),
    "column not a number": (HEADER + "{f 1}\n", "line 6", "got 'f'"),
    "column twice": (HEADER + "{0 1,0 2}\n", "line 6", "column 0 twice"),
    "no sparse value": (HEADER + "{0}\n", "line 6", "a number for 'f', but got ''"),
    "sparse missing value": (HEADER + "{0 ?}\n", "line 6", "a finite number for 'f'"),
    "sparse label 2": (HEADER + "{2 1}\n{0 1,2 2}\n", "line 7", "label 'a' to be 0 or 1, but got 2"),
    "left-out value is not 0": (
        HEADER.replace("{0,1}", "{1,0}") + "{0 1}\n",
        "line 4",
        "'a' to list 0 first",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_table_is_refused_by_file_and_line(write, kind):
    content, place, told = BROKEN[kind]
    path = write("t.arff", content)
    with pytest.raises(ManyLabelError) as error:
        read_arff(path, write("t.xml", '<labels><label name="a"/></labels>'))
    assert "t.arff" in str(error.value)
    assert place in str(error.value)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        (None, "XML file that names the label columns"),
        ("<labels><label name='a'></labels>", "line 1: expected well-formed XML"),
        ("<labels></labels>", "got 0 labels"),
        ("<labels><label/></labels>", "some without a name"),
        (
            "<labels><label name='a'/><label name='z'/><label name='y'/></labels>",
            "no attribute 'z' (nor 1 others)",
        ),
        (
            "<labels><label name='a'/><label name='f'/><label name='g'/></labels>",
            "features beside the labels",
        ),
        ("<labels><label name='a'/><label name='a'/></labels>", "'a' twice"),
    ],
)
def test_broken_label_list_is_refused(write, xml, told):
    path = write("t.arff", HEADER + "1,2,0\n")
    xml_path = path.with_name("t.xml") if xml is None else write("t.xml", xml)
    with pytest.raises(ManyLabelError) as error:
        read_arff(path, xml_path)
    assert told in str(error.value)
    assert "t.xml" in str(error.value)


def test_file_that_is_not_there_is_refused(tmp_path, write):
    with pytest.raises(ManyLabelError, match=r"nothing\.arff: expected a readable ARFF file"):
        read_arff(tmp_path / "nothing.arff", write("t.xml", "<labels><label name='a'/></labels>"))


@pytest.mark.parametrize("given", ["folder", "training file"])
def test_training_file_brings_its_test_file(write, forms, small, given):
    X, Y = small
    train = write("s/small-train.arff", forms["arff"](X[:8], Y[:8]))
    write("s/small-test.arff", forms["arff"](X[8:], Y[8:]))
    write("s/small.xml", forms["xml"]("abc"))
    dataset = read_mulan(train.parent if given == "folder" else train, About("small"), validation_rows=[1, 5])
    assert (len(dataset.train), len(dataset.test)) == (8, 4)
    np.testing.assert_array_equal(dataset.test.X, X[8:])
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
