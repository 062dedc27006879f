"""Label columns: tags with any separator, lists, one column a label, unknown entries, and what is refused."""

import numpy as np
import pytest

from manylabel import ManyLabelError
from manylabel.data import read_table

X = [0.5, 1.5, 2.5, 3.5]


def labelled(tags, **settings):
    return read_table({"n": X[: len(tags)], "tags": tags}, labels="tags", **settings)


@pytest.mark.parametrize("separator", ["|", ";", ",", "\t", "/", "\n"])
def test_the_separator_is_found_out(separator):
    table = labelled([f"a b{separator}c", f"c {separator} a b", "c", ""])
    assert table.label_names == ("a b", "c")
    assert table.Y.dense().tolist() == [[1, 1], [1, 1], [0, 1], [0, 0]]
    assert "which 2 of 3 rows hold" in table.told[0]


def test_the_first_separator_wins_and_can_be_named():
    assert labelled(["Arts, Crafts|War", "War"]).label_names == ("Arts, Crafts", "War")
    assert labelled(["a|b,c", "c"], separator=",").label_names == ("a|b", "c")
    assert labelled(["a, b", "b"], separator="").label_names == ("a, b", "b")


def test_a_separator_of_an_exception_does_not_part_the_others():
    parted = ["sea, sky", "sky", "fox, sky", "sea", "sea, fox", "fox"] * 5
    table = read_table({"n": np.arange(31) / 7, "tags": [*parted, "AC|DC"]}, labels="tags")
    assert table.label_names == ("AC|DC", "fox", "sea", "sky")
    assert "by the comma, which 15 of 31 rows hold" in table.told[0]


@pytest.mark.parametrize("sign", ["+", "&", "-", ">"])
def test_a_sign_between_blanks_is_no_tag(sign):
    rng = np.random.default_rng(0)
    cells = [f" {sign} ".join(rng.choice(["a", "b", "c", "d", "e f"], 3, replace=False)) for _ in range(60)]
    table = read_table({"n": np.arange(60) / 7, "tags": cells}, labels="tags")
    assert table.label_names == ("a", "b", "c", "d", "e f")
    assert f"separated by {sign} between blanks" in table.told[0]


@pytest.mark.parametrize("separator", ["\u3001", "\uff0c", "\uff1b", "\uff5c"])
def test_wide_signs_separate_tags(separator):
    assert labelled([f"海{separator}空", "空"]).label_names == ("海", "空")


def test_cells_that_are_no_lists_stay_as_they_are():
    assert labelled(["(a) b", "(c)", "[d] e"]).label_names == ("(a) b", "(c)", "[d] e")


def test_single_tags_and_tags_between_blanks():
    assert labelled(["Science Fiction", "War", "Science Fiction", "Drama"]).label_names == (
        "Drama",
        "Science Fiction",
        "War",
    )
    rng = np.random.default_rng(0)
    cells = [" ".join(rng.choice(["a", "b", "c", "d", "e"], 3, replace=False)) for _ in range(60)]
    table = read_table({"n": np.arange(60) / 7, "tags": cells}, labels="tags")
    assert table.label_names == ("a", "b", "c", "d", "e")
    assert "separated by blanks" in table.told[0]


@pytest.mark.parametrize(
    "cells",
    [
        [["a", "b"], ["b"], []],
        [("a", "b"), ("b",), ()],
        [np.array(["a", "b"]), np.array(["b"]), np.array([])],
        ['["a", "b"]', '["b"]', "[]"],
        ["['a', 'b']", "['b']", "[]"],
        ["[a, b]", "[b]", "[]"],
        ["{'a', 'b'}", "{'b'}", "set()"],
        ["('a', 'b')", "('b',)", "()"],
        ["frozenset({'b', 'a'})", "frozenset({'b'})", "frozenset()"],
        ['{a,"b"}', "{b}", "{}"],
        ["['a', nan, 'b']", "['b', None]", "[nan]"],
        ['["a", "b"]', "b", "[]"],
        ["a|b", "['b']", "[]"],
    ],
)
def test_lists_of_tags(cells):
    table = labelled(cells)
    assert table.label_names == ("a", "b")
    assert table.Y.dense().tolist() == [[1, 1], [0, 1], [0, 0]]


def test_letters_of_a_tag_never_fall_apart():
    assert labelled([["Drama"], ["War"], ["Drama", "War"]]).label_names == ("Drama", "War")


def test_blanks_around_tags_and_doubled_tags_are_nothing():
    table = labelled(["c| c", "c|", " | ", "|d "])
    assert table.label_names == ("c", "d")
    assert table.Y.dense().tolist() == [[1, 0], [1, 0], [0, 0], [0, 1]]


def test_names_with_markup_and_capitals_stay_and_are_told():
    table = labelled(["<b>x</b>|Drama", "drama|[red]", "=1+1"])
    assert table.label_names == ("<b>x</b>", "=1+1", "Drama", "[red]", "drama")
    assert "Tags that differ in capitals alone are different labels: 'Drama' and 'drama'." in table.told


def test_an_empty_cell_has_no_label_and_na_is_unknown(write):
    table = read_table(write("t.csv", "n,tags\n1.5,a|b\n2.5,\n3.5,NA\n4.5,b\n"), labels="tags")
    assert table.label_names == ("a", "b")
    assert table.labels.known.toarray().tolist() == [[1, 1], [0, 0], [0, 0], [0, 1]]
    assert table.labels.unknown.toarray().tolist() == [[0, 0], [0, 0], [1, 1], [0, 0]]
    assert table.Y.has_unknown
    assert table.Y.unknown.dense().tolist() == [[0, 0], [0, 0], [1, 1], [0, 0]]
    assert table.rows.Y.dense().tolist() == [[1, 1], [0, 0], [0, 0], [0, 1]]
    assert "The labels of 1 row are unknown: its cell says NA or null." in table.told


def test_na_among_other_tags_is_a_tag():
    table = labelled(["NA|EU", "NA", "EU", ""])
    assert table.label_names == ("EU", "NA")
    assert not table.labels.unknown.nnz


def test_none_of_a_typed_source_is_unknown():
    table = labelled(["a|b", None, "", "b"])
    assert table.labels.unknown.toarray()[:, 0].tolist() == [0, 1, 0, 0]


def test_a_pattern_that_fits_nothing_is_answered_with_patterns_that_do():
    table = {"has_sea": [1, 0], "has_wind": [0, 1], "x": [3, 4]}
    with pytest.raises(ManyLabelError, match=r"'is_\*'. No column fits; patterns that fit several: has_\*\."):
        read_table(table, labels="is_*")
    with pytest.raises(ManyLabelError, match=r"'is_\*'. No column fits: give the column of the tags"):
        read_table({"x": [1], "y": [2]}, labels="is_*")


def test_one_column_a_label_by_names_and_by_pattern(write):
    text = "n,is_b,x,is_a\n1.5,1,7.5,TRUE\n2.5,0,8.5,false\n3.5,,9.5,yes\n4.5,1.0,7.5,No\n"
    for labels in (["is_a", "is_b"], "is_*", ["is_?"]):
        table = read_table(write("t.csv", text), labels=labels)
        assert table.label_names == ("is_b", "is_a")
        assert list(table.X.values) == ["n", "x"]
        assert table.labels.known.toarray().tolist() == [[1, 1], [0, 0], [0, 1], [1, 0]]
        assert table.labels.unknown.toarray().tolist() == [[0, 0], [0, 0], [1, 0], [0, 0]]


def test_a_column_of_x_and_empty_cells_says_no_where_empty():
    table = read_table({"n": X, "p": ["x", "", "", "X"], "q": ["1", "0", "", "1"]}, labels=["p", "q"])
    assert table.labels.known.toarray().tolist() == [[1, 1], [0, 0], [0, 0], [1, 1]]
    assert table.labels.unknown.toarray().tolist() == [[0, 0], [0, 0], [0, 1], [0, 0]]


def test_one_column_of_yes_and_no_is_one_label():
    table = read_table({"n": X, "p": ["yes", "no", "", "Yes"]}, labels="p")
    assert table.label_names == ("p",)
    assert table.labels.known.toarray()[:, 0].tolist() == [1, 0, 0, 1]
    assert table.labels.unknown.toarray()[:, 0].tolist() == [0, 0, 1, 0]
    assert read_table({"n": X, "p": ["yes", "no", "maybe", "yes|no"]}, labels="p").label_names == (
        "maybe",
        "no",
        "yes",
    )


def test_label_columns_without_a_no_are_told():
    table = read_table({"n": X, "p": ["1", "", "", "1"], "q": ["1", "0", "", "1"]}, labels=["p", "q"])
    assert table.labels.unknown.toarray().tolist() == [[0, 0], [1, 0], [1, 1], [0, 0]]
    assert "No row says no, only missing cells beside yes: 'p'. Where an empty cell means no" in table.told[1]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([[0, 1, 1], [1, 0, 0], [0, 0, 0]], "expected tags, but got rows of 0 and 1 in its cells, 3 in each"),
        ([[0, 1], [1, 0]], "rows of 0 and 1 in its cells, 2 in each"),
        (["[0.0, 1.0, 1.0]", "[1.0, 0.0, 0.0]", "NA"], "rows of 0 and 1 in its cells, 3 in each"),
        (['{"sea": true}', '{"sea": false}'], "expected tags, but got the object"),
        (['[{"name": "sea"}]', "[]"], "expected tags, but got the object"),
    ],
)
def test_encoded_labels_and_objects_in_a_cell_are_no_tags(cells, message):
    with pytest.raises(ManyLabelError, match=f"column 'tags': .*{message}"):
        labelled(cells)


def test_one_column_of_zeros_and_ones_is_one_label():
    for cells in (["1", "0", "1", "0"], [1, 0, 1, 0], [True, False, True, False]):
        table = read_table({"n": X, "spam": cells}, labels="spam")
        assert table.label_names == ("spam",)
        assert table.Y.dense().tolist() == [[1], [0], [1], [0]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            "genre",
            "`labels`: expected one of the columns n, genres, is_a, is_b, but got 'genre'. Did you mean 'genres'",
        ),
        ("has_*", r"expected one of the columns .*, but got 'has_\*'"),
        ([], "`labels`: expected at least one column, but got none"),
        (
            ["is_a", "is_b"],
            "line 4, column 'is_b': expected 0 or 1, true or false, yes or no, x or empty, but got '2'",
        ),
        (["genres", "is_a"], "line 2, column 'genres': expected 0 or 1"),
    ],
)
def test_label_columns_that_are_none_are_refused(write, labels, message):
    text = "n,genres,is_a,is_b\n1.5,p|q,1,0\n2.5,p,0,1\n3.5,q,1,2\n"
    with pytest.raises(ManyLabelError, match=message):
        read_table(write("t.csv", text), labels=labels)


def test_a_column_without_a_tag_is_refused():
    with pytest.raises(ManyLabelError, match="column 'tags': expected a tag in some row, but got none"):
        labelled(["", "NA", " "])


def test_many_labels_stay_sparse():
    n = 3000
    cells = [f"t{i}|t{(7 * i) % n}" for i in range(n)]
    table = read_table({"n": np.arange(n) / 7, "tags": cells}, labels="tags")
    assert len(table.label_names) == n
    assert table.labels.known.nnz == table.Y.sparse().columns.numel() <= 2 * n


@pytest.mark.parametrize("trained", [["old, big|red", "red", ""], [["old, big", "red"], ["red"], []]])
@pytest.mark.parametrize(
    "new",
    [
        [["old, big"], [], ["red", "old, big"]],
        ["old, big", "", "red|old, big"],
        ["old, big", "", "red;old, big"],
        ["['old, big']", "[]", "['red', 'old, big']"],
    ],
)
def test_tags_of_a_new_file_may_be_written_in_another_way_than_those_of_the_training_file(trained, new):
    schema = labelled(trained).schema
    table = schema.apply({"n": X[:3], "tags": new})
    assert table.Y.dense().tolist() == [[1, 0], [0, 0], [1, 1]]
    assert not any("left out" in sentence for sentence in table.told)


def test_the_separator_of_the_training_file_stays_where_it_parts_as_many_rows():
    schema = labelled(["new york|new", "york", "new york|york"]).schema
    table = schema.apply({"n": X[:2], "tags": ["new york", "york, old"]})
    assert table.Y.dense().tolist() == [[0, 1, 0], [0, 0, 0]]
    assert table.told == ("Tags that are no label of the model are left out: 'york, old'.",)


def test_one_tag_with_a_comma_is_a_label_that_is_known():
    schema = read_table({"n": X}).schema.with_labels({"tags": ["a, b", "c"]}, "tags", ("a, b", "c"))
    assert schema.apply({"n": X[:2], "tags": ["a, b", "c"]}).Y.dense().tolist() == [[1, 0], [0, 1]]
