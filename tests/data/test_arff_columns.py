"""What ARFF files in use hold beside numbers: labels named by the header, words, categories, weights, comments."""

import numpy as np
import pytest
import scipy.sparse as sp

from manylabel.data.formats.arff import read_arff
from manylabel.errors import ManyLabelError

HEAD = ("@attribute a numeric", "@attribute b numeric", "@attribute l1 {0,1}", "@attribute l2 {0,1}")
ROWS = ("1,2,0,1", "3,4,1,0", "5,6,1,1", "7,8,0,0")
SPARSE = ("{0 1,1 2,3 1}", "{0 3,1 4,2 1}", "{0 5,1 6,2 1,3 1}", "{0 7,1 8}")
X = np.array([[1, 2], [3, 4], [5, 6], [7, 8]], np.float32)
Y = np.array([[0, 1], [1, 0], [1, 1], [0, 0]], np.uint8)
XML = '<labels><label name="l1"/><label name="l2"/></labels>'


@pytest.fixture
def read(write):
    """``read(head, rows)`` as a table; ``xml=None`` leaves the labels to the header."""

    def table(head=HEAD, rows=ROWS, relation="toy", xml=XML):
        path = write("toy.arff", "\n".join([f"@relation {relation}", *head, "@data", *rows]) + "\n")
        return read_arff(path, path.with_suffix(".xml") if xml is None else write("toy.xml", xml))

    return table


def dense(X):
    return X.toarray() if sp.issparse(X) else X


def swapped(lines, i, line):
    return [line if j == i else other for j, other in enumerate(lines)]


def assert_plain(table, X=X, Y=Y):
    np.testing.assert_array_equal(dense(table.part.X), X)
    np.testing.assert_array_equal(table.part.Y, Y)
    assert table.label_names == ("l1", "l2")


@pytest.mark.parametrize(
    "relation", ["'toy: -C -2'", "toy:-C -2", '"toy: -split-percentage 60 -C -2"', "'a: -C -2 -V'"]
)
def test_meka_names_the_last_columns(read, relation):
    table = read(relation=relation, xml=None)
    assert_plain(table)
    assert any("-split-" in remark for remark in table.remarks) == ("-split-" in relation)


def test_meka_names_the_first_columns(read):
    rows = [f"{row[4:]},{row[:3]}" for row in ROWS]
    assert_plain(read(HEAD[2:] + HEAD[:2], rows, "'toy: -C 2'", xml=None))


@pytest.mark.parametrize("n", ["0", "4", "-4", "99999999999999999999", "-" + "9" * 5000])
def test_meka_numbers_beyond_the_columns_are_refused(read, n):
    with pytest.raises(ManyLabelError, match="from 1 to 3 labels in @relation"):
        read(relation=f"'toy: -C {n}'", xml=None)


@pytest.mark.parametrize("relation", ["toy", "'toy-C 2'", "'toy: -C x'", "'toy: -C 2.5'"])
def test_header_that_names_no_labels_needs_an_xml_file(read, relation):
    with pytest.raises(ManyLabelError, match=r"toy\.xml: expected a readable XML file.*-C and their number"):
        read(relation=relation, xml=None)


def test_xml_file_goes_before_the_header(read):
    assert_plain(read(relation="'toy: -C 1'"))


def test_keel_names_ranges_inputs_and_outputs(read):
    head = [
        "@attribute a real [0.0, 9.0]",
        "@attribute b integer[0,9]",
        *HEAD[2:],
        "@inputs a, b",
        "@outputs l1, l2",
    ]
    assert_plain(read(head, xml=None))


WORDS = {
    "{no,yes}": ("yes", "no"),
    "{YES,NO}": ("YES", "NO"),
    "{FALSE,TRUE}": ("TRUE", "FALSE"),
    "{TRUE, FALSE}": ("TRUE", "FALSE"),
    "{f,t}": ("t", "f"),
    "{y,n}": ("y", "n"),
    "{present,absent}": ("present", "absent"),
    "{K,NEG}": ("K", "NEG"),
    "{none,some}": ("some", "none"),
    "{positive,other}": ("positive", "other"),
    "{red,green}": ("green", "red"),
    "{green,red}": ("red", "green"),
    "{M,F}": ("F", "M"),
    "{'not given','given'}": ("given", "'not given'"),
}


@pytest.mark.parametrize("values", WORDS)
def test_labels_of_two_words(read, values):
    yes, no = WORDS[values]
    rows = [f"{row[:4]}{yes if row[4] == '1' else no},{row[6]}" for row in ROWS]
    table = read(swapped(HEAD, 2, f"@attribute l1 {values}"), rows)
    assert_plain(table)
    assert table.ones == (yes, None)
    assert any(
        "1 label column lists" in remark and f"{yes!r} is read as 1" in remark for remark in table.remarks
    )


@pytest.mark.parametrize("values", ["{1,0}", "{ 0, 1 }", "{0 1}", "{'0','1'}", "{0,1,2}", "{0.0,1.0}"])
def test_labels_of_numbers_mean_their_numbers(read, values):
    table = read(swapped(HEAD, 2, f"@attribute l1 {values}"))
    assert_plain(table)
    assert table.remarks == ()


def test_sparse_labels_of_words(read):
    rows = [row.replace("2 1", "2 yes") for row in SPARSE]
    assert_plain(read(swapped(HEAD, 2, "@attribute l1 {no,yes}"), rows))


STRINGS = ["'it\\'s calm, blue', 'a % b'", '"two words",?', "plain,'{x}'", "'',\"a 'b'\""]
SPARSE_STRINGS = ["{0 'it\\'s calm, blue',1 'a % b'", '{0 "two words"', "{0 plain,1 '{x}'", "{1 \"a 'b'\""]
TEXTS = ["it's calm, blue\na % b", "two words\n", "plain\n{x}", "\na 'b'"]


def test_rows_of_strings_alone_are_texts(read):
    head = ["@attribute title string", "@ATTRIBUTE text STRING", *HEAD[2:]]
    table = read(head, [f"{text},{row[4:]}" for text, row in zip(STRINGS, ROWS, strict=True)])
    labels = (",3 1}", ",2 1}", ",2 1,3 1}", "}")
    sparse = [text + behind for text, behind in zip(SPARSE_STRINGS, labels, strict=True)]
    for found in (table, read(head, sparse)):
        assert found.part.X == TEXTS
        np.testing.assert_array_equal(dense(found.part.Y), Y)
        assert found.feature_names == ()


def test_strings_beside_other_columns_are_left_out_and_told(read):
    head = ["@attribute name string", *HEAD]
    table = read(head, [f"'n {i}',{row}" for i, row in enumerate(ROWS)])
    assert_plain(table)
    assert table.feature_names == ("a", "b")
    assert table.remarks == ("String columns are left out: 'name'.",)
    rows = ["{0 'n 1',1 1,2 2,4 1}", "{1 3,2 4,3 1}", "{0 x,1 5,2 6,3 1,4 1}", "{1 7,2 8}"]
    assert_plain(read(head, rows))


def test_a_label_of_strings_is_refused(read):
    with pytest.raises(
        ManyLabelError, match=r"line 4, column 3: expected label 'l1' to be numeric or nominal"
    ):
        read(swapped(HEAD, 2, "@attribute l1 string"))


def test_words_become_one_column_each(read):
    head = swapped(HEAD, 0, "@attribute colour {red, 'deep blue', by_chance}")
    rows = ["red,2,0,1", "'deep blue',4,1,0", "by_chance,6,1,1", '"red",8,0,0']
    table = read(head, rows)
    assert table.feature_names == ("colour=red", "colour=deep blue", "colour=by_chance", "b")
    assert_plain(table, np.array([[1, 0, 0, 2], [0, 1, 0, 4], [0, 0, 1, 6], [1, 0, 0, 8]]))
    assert table.remarks == (
        "Nominal column 'colour' holds categories, read as 3 0/1 columns, one for each.",
    )
    rows = ["{1 2,3 1}", "{0 'deep blue',1 4,2 1}", "{0 by_chance,1 6,2 1,3 1}", "{1 8}"]
    sparse = read(head, rows)  # a sparse row leaves out the first value, red
    np.testing.assert_array_equal(sparse.part.X.toarray(), table.part.X)
    assert sparse.feature_names == table.feature_names


def test_numbers_of_a_list_are_categories(read):
    head = swapped(HEAD, 0, "@attribute site {7,3,12}")
    table = read(head, ["7,2,0,1", "3,4,1,0", "12.0,6,1,1", "7,8,0,0"])
    assert table.feature_names == ("site=7", "site=3", "site=12", "b")
    assert_plain(table, np.array([[1, 0, 0, 2], [0, 1, 0, 4], [0, 0, 1, 6], [1, 0, 0, 8]]))
    assert "categories" in table.remarks[0]
    sparse = read(head, ["{1 2,3 1}", "{0 3,1 4,2 1}", "{0 12,1 6,2 1,3 1}", "{0 7,1 8}"])
    np.testing.assert_array_equal(sparse.part.X.toarray(), table.part.X)


def test_many_columns_with_lists_of_their_own(read):
    random = np.random.default_rng(0)
    lists = [random.permutation(9)[: random.integers(1, 6)].tolist() for _ in range(12)]
    values = np.array([[row[random.integers(len(row))] for row in lists] for _ in range(30)])
    head = [f"@attribute f{j} {{{','.join(map(str, row))}}}" for j, row in enumerate(lists)]
    dense_rows = [",".join(map(str, row)) + ",0,1" for row in values.tolist()]
    table = read([*head, *HEAD[2:]], dense_rows)
    expected = [
        (values[:, j, None] == np.array(row)).astype(float) if len(row) > 2 else values[:, j, None]
        for j, row in enumerate(lists)
    ]
    np.testing.assert_array_equal(table.part.X, np.hstack(expected))
    chosen = [
        j for j, row in enumerate(lists) if len(row) > 2 or row[0] == 0
    ]  # what sparse rows may leave out
    rows = [
        "{"
        + "".join(f"{i} {row[j]}," for i, j in enumerate(chosen) if row[j] != lists[j][0])
        + f"{len(chosen) + 1} 1}}"
        for row in values.tolist()
    ]
    sparse = read([*(head[j] for j in chosen), *HEAD[2:]], rows)
    np.testing.assert_array_equal(sparse.part.X.toarray(), np.hstack([expected[j] for j in chosen]))
    assert sparse.part.Y.tolist() == [[0, 1]] * 30


@pytest.mark.parametrize("values", ["{0,1}", "{1,0}", "{1,2}", "{0}", "{3,7}"])
def test_two_numbers_stay_one_column(read, values):
    listed = [float(value) for value in values.strip("{}").split(",")]
    rows = [f"{listed[i % len(listed)]:g}{row[1:]}" for i, row in enumerate(ROWS)]
    table = read(swapped(HEAD, 0, f"@attribute a {values}"), rows)
    assert table.feature_names == ("a", "b")
    assert table.part.X[:, 0].tolist() == [listed[i % len(listed)] for i in range(4)]
    assert table.remarks == ()


def test_many_categories_make_a_sparse_table(read, monkeypatch):
    head = swapped(HEAD, 0, "@attribute a {x,y,z}")
    rows = [f"{'xyz'[i % 3]}{row[1:]}" for i, row in enumerate(ROWS)]
    expected = read(head, rows).part.X
    monkeypatch.setattr("manylabel.data.formats.arff_columns.WIDE", 8)
    table = read(head, rows)
    assert sp.issparse(table.part.X)
    np.testing.assert_array_equal(table.part.X.toarray(), expected)
    monkeypatch.setattr("manylabel.data.formats.arff_columns.WIDE", 0)
    with pytest.raises(ManyLabelError, match="categories in sparse rows"):
        read(head, ["{1 2}", "{0 y,1 4}"])


@pytest.mark.parametrize(
    "rows",
    [
        [row.replace(",", "\t") for row in ROWS],
        [row.replace(",", " ") for row in ROWS],
        [row.replace(",", " , ") for row in ROWS],
        [row.replace(",", ", ", 1).replace(",0", "\t0") for row in ROWS],
        [row + " % a comment, with a comma" for row in ROWS],
        ["'1', \"2\" ,'0',1", *ROWS[1:]],
        ["'1' \"2\"\t'0' 1", *ROWS[1:]],
        [row + "\r" for row in ROWS],
        [row.replace(" ", "\t").replace(",", " , ") for row in SPARSE],
        [row + " % a comment" for row in SPARSE],
        ["{ 0 1 , 1 2, 3 1 }", "{2 1, 0 3, 1 4}", *SPARSE[2:]],
        ["{0 '1',1 \"2\",3 '1'}", *SPARSE[1:]],
    ],
)
def test_separators_and_comments(read, rows):
    assert_plain(read(rows=rows))


@pytest.mark.parametrize(
    "head",
    [
        [
            "@attribute a numeric % grams",
            "@attribute b real % {x, y}",
            "@attribute l1 {0,1} % no, yes",
            HEAD[3],
        ],
        ["@attribute 'a' numeric", '@ATTRIBUTE "b" REAL', "@attribute l1{0,1}", "@attribute\tl2\t{ 0,1 }"],
        ["% {", "@attribute a real [0,9] % range", "", *HEAD[1:]],
    ],
)
def test_headers_with_comments_and_other_spellings(read, head):
    assert_plain(read(head))


@pytest.mark.parametrize(
    ("rows", "n"),
    [
        ([row + ",{5}" for row in ROWS], 4),
        ([row.replace(",", " ") + " {0.5}" for row in ROWS], 4),
        ([SPARSE[0] + ",{5}", SPARSE[1] + " {2} % twice", *SPARSE[2:]], 2),
    ],
)
def test_instance_weights_are_told_and_ignored(read, rows, n):
    table = read(rows=rows)
    assert_plain(table)
    assert table.remarks == (f"{n} rows carry an instance weight, which is ignored.",)


@pytest.mark.parametrize("written", ["m\\'usica", "'m\\'usica'", '"m\'usica"', "m'usica"])
@pytest.mark.parametrize("listed", ["m'usica", "m\\'usica"])
def test_label_names_that_differ_in_escapes_are_the_same(read, written, listed):
    table = read(swapped(HEAD, 2, f"@attribute {written} {{0,1}}"), xml=XML.replace("l1", listed))
    assert table.label_names[1:] == ("l2",)
    assert table.label_names[0].replace("\\", "") == "m'usica"
    np.testing.assert_array_equal(table.part.Y, Y)


def test_values_with_quotes_percent_signs_and_commas(read):
    head = swapped(HEAD, 0, "@attribute a {it\\'s,'50%','a, b',plain}")
    rows = ["it\\'s,2,0,1", "'50%',4,1,0 % half", '"a, b",6,1,1', "'it\\'s',8,0,0"]
    table = read(head, rows)
    assert table.feature_names == ("a=it's", "a=50%", "a=a, b", "a=plain", "b")
    assert table.part.X[:, :4].argmax(1).tolist() == [0, 1, 2, 0]


def test_many_sparse_labels_stay_sparse(read, monkeypatch):
    monkeypatch.setattr("manylabel.data.formats.arff_rows._MANY_LABELS", 1)
    table = read(rows=SPARSE)
    assert sp.issparse(table.part.Y)
    np.testing.assert_array_equal(table.part.Y.toarray(), Y)
