"""Mulan's ARFF files: what is read from them, and how each kind of broken file is refused."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from manylabel.data import load
from manylabel.data.formats.arff import read_arff, read_label_names
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
    "date attribute": (HEADER.replace("g numeric", "g date 'yyyy'"), "line 3", "Write it as a number"),
    "relational attribute": (HEADER.replace("g numeric", "g relational"), "line 3", "'g' to be numeric"),
    "nominal attribute not closed": (HEADER.replace("g numeric", "g {red,blue"), "line 3", "values of 'g'"),
    "nominal value missing": (HEADER.replace("g numeric", "g {red,,blue}"), "line 3", "an empty one"),
    "no nominal values": (HEADER.replace("g numeric", "g {}"), "line 3", "an empty one"),
    "nominal value twice": (HEADER.replace("g numeric", "g {a,b,a}"), "line 3", "every value of 'g' once"),
    "nominal number twice": (HEADER.replace("g numeric", "g {1,2,1.0}"), "line 3", "every value of 'g' once"),
    "word outside its list": (
        HEADER.replace("g numeric", "g {red,blue}") + "1,red,0\n1,rose,0\n",
        "line 7, column 2",
        "one of the values '{red,blue}' of 'g', but got 'rose'",
    ),
    "number outside its list": (
        HEADER.replace("g numeric", "g {3,7,12}") + "1,3,0\n1,4,0\n",
        "line 7, column 2",
        "one of the values '{3,7,12}' of 'g', but got 4",
    ),
    "sparse number outside its list": (
        HEADER.replace("g numeric", "g {3,7,12}") + "{0 1}\n{0 1,1 4}\n",
        "line 7, column 2",
        "but got 4",
    ),
    "2 in a list of 0 and 1": (
        HEADER.replace("g numeric", "g {0,1}") + "1,2,0\n",
        "column 2",
        "'{0,1}' of 'g'",
    ),
    "0 in a list of 1": (
        HEADER.replace("g numeric", "g {1}") + "1,0,0\n",
        "column 2",
        "'{1}' of 'g', but got 0",
    ),
    "1 in a label's list of 0": (
        HEADER.replace("{0,1}", "{0}") + "1,2,1\n",
        "column 3",
        "'{0}' of 'a', but got 1",
    ),
    "label of 2 and 3": (
        HEADER.replace("{0,1}", "{2,3}") + "1,2,2\n",
        "column 3",
        "'a' to be 0 or 1, but got 2",
    ),
    "missing word": (
        HEADER.replace("g numeric", "g {a,b}") + "1,?,0\n",
        "line 6, column 2",
        "a missing value",
    ),
    "label of three words": (
        HEADER.replace("{0,1}", "{a,b,c}"),
        "line 4, column 3",
        "'a' to have two values",
    ),
    "label of one word": (HEADER.replace("{0,1}", "{a}"), "line 4, column 3", "'a' to have two values"),
    "sparse label whose first word is 1": (
        HEADER.replace("{0,1}", "{yes,no}") + "{0 1}\n",
        "line 4, column 3",
        "'a' to list 0 first",
    ),
    "underscore in a number": (HEADER + "1_0,2,0\n", "line 6, column 1", "a number for 'f', but got '1_0'"),
    "underscore beside words": (
        HEADER.replace("g numeric", "g {by_chance,x}") + "1_0,by_chance,0\n",
        "column 1",
        "'1_0'",
    ),
    "digits of another script": (
        HEADER + "1,\u0663,0\n",
        "line 6, column 2",
        "a number for 'g', but got '\u0663'",
    ),
    "full-width digits": (HEADER + "1,\uff11,0\n", "line 6, column 2", "a number for 'g'"),
    "hexadecimal number": (HEADER + "0x10,2,0\n", "line 6, column 1", "a number for 'f', but got '0x10'"),
    "half an exponent": (HEADER + "1e,2,0\n", "line 6, column 1", "a number for 'f', but got '1e'"),
    "sparse underscore": (HEADER + "{0 1_0}\n", "line 6, column 1", "a number for 'f', but got '1_0'"),
    "sparse digits of another script": (
        HEADER + "{\u0660 1}\n",
        "line 6",
        "a column from 0 to 2, but got '\u0660'",
    ),
    "sparse column of 5000 digits": (HEADER + "{" + "9" * 5000 + " 1}\n", "line 6", "a column from 0 to 2"),
    "sparse column below 0": (HEADER + "{-1 1}\n", "line 6", "a column from 0 to 2, but got '-1'"),
    "column twice, spelt otherwise": (HEADER + "{0 1,00 2}\n", "line 6", "column 0 twice"),
    "sparse comma missing": (HEADER + "{0 1 1 2}\n", "line 6, column 1", "a number for 'f', but got '1 1 2'"),
    "weight that is no number": (HEADER + "1,2,0,{x}\n", "line 6", "an instance weight {number}"),
    "empty value": (HEADER + "1,,0\n", "line 6, column 2", "a number for 'g', but got ''"),
    "semicolons": (HEADER + "1;2;0\n", "line 6", "between commas, tabs or blanks"),
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


def test_only_too_few_values_hint_at_a_cut_off_file(write):
    xml = write("t.xml", '<labels><label name="a"/></labels>')
    for rows in ("1,2,0,1\n", "1,2\n1,2,0\n", "1,2,x\n", "{0 1}\n{0 1,1 x}\n", "{0 1}\n1,2,0\n"):
        with pytest.raises(ManyLabelError) as error:
            read_arff(write("t.arff", HEADER + rows), xml)
        assert "cut off" not in str(error.value)
    for rows in ("1,2,0\n1,2", "{0 1}\n{0 1,"):
        with pytest.raises(ManyLabelError, match=r"line 7.*cut off"):
            read_arff(write("t.arff", HEADER + rows), xml)


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        (None, "XML file that names the label columns"),
        ("<labels><label name='a'></labels>", "line 1: expected well-formed XML"),
        ("<labels></labels>", "got 0 labels"),
        ("<labels><label/></labels>", "some without a name"),
        (
            "<labels><label name='a'/><label name='z'/><label name='y'/></labels>",
            "no attribute 'z' (nor 1 other)",
        ),
        (
            "<labels><label name='a'/><label name='f'/><label name='g'/></labels>",
            "features beside the labels",
        ),
        ('<?xml version="1.0" encoding="klingon"?><labels><label name="a"/></labels>', "well-formed XML"),
        ('<?xml version="1.0" encoding="shift_jis"?><labels><label name="a"/></labels>', "Write it in UTF-8"),
        (
            '<!DOCTYPE l [<!ENTITY x "a"><!ENTITY y "&x;&x;">]><labels><label name="&y;"/></labels>',
            "without entities, but got the entity 'x'",
        ),
        ("<labels>" * 100_000, "line 1: expected well-formed XML"),
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


@pytest.mark.parametrize("sparse", [False, True])
def test_times_in_seconds_keep_what_tells_them_apart(tmp_path, sparse):
    times = [1.7e9 + 60.0 * i + 0.5 for i in range(40)]
    rows = [
        f"{{0 {t!r},{1 + i % 2} 1}}" if sparse else f"{t!r},{1 - i % 2},{i % 2}" for i, t in enumerate(times)
    ]
    path = tmp_path / "times.arff"
    head = (
        "@relation 'times: -C -2'\n@attribute time numeric\n@attribute a {0,1}\n@attribute b {0,1}\n@data\n"
    )
    path.write_text(head + "\n".join(rows) + "\n")
    found = load(path)
    X = [part.X.dense(torch.float64).numpy() for part in (found.train, found.test)]
    assert sorted(np.concatenate(X)[:, 0].tolist()) == times
