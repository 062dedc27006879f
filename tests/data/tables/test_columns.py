"""What a column is taken for, over all of its rows; what can be said against it; and new files of the same columns."""

import json

import numpy as np
import pytest

from manylabel import ManyLabelError
from manylabel.data import Schema, read_table

N = 40
ROLES = {
    "numbers": ([str(i * 0.5) for i in range(N)], "number"),
    "numbers with gaps": (["", "NA", "n/a", "-"] + [str(i) for i in range(N - 4)], "number"),
    "exponents and blanks": ([" 1e3 ", "-2.5E-2", "+7"] + ["1"] * (N - 3), "number"),
    "decimal commas with gaps": (["NA", "", "-"] + [f"{i},5" for i in range(N - 3)], "number"),
    "decimal commas": ([f"{i},5" for i in range(N)], "number"),
    "German amounts": ([f"{i}.{i % 7}50,{i:02d}" for i in range(1, N + 1)], "number"),
    "German thousands": ([f"{i}.000.250" for i in range(1, N + 1)], "number"),
    "dollars": ([f"${i},000.50" if i % 3 else f"${i}" for i in range(1, N + 1)], "number"),
    "thousands": ([f"{i},250" for i in range(1, N + 1)], "number"),
    "per cent": ([f"{i}%" for i in range(N)], "number"),
    "dollars and pounds": (["$5.00", "£5.00"] * (N // 2), "category"),
    "two decimal signs": (["1,50", "1.50"] * (N // 2), "category"),
    "zip codes and one number": (["00501", "1.5"] * (N // 2), "category"),
    "zip codes": ([f"{i % 9:05d}" for i in range(N)], "category"),
    "digits of another script": (["٣"] * 3 + ["4"] * (N - 3), "category"),
    "underscores": (["1_0", "2_0"] * (N // 2), "category"),
    "huge integers": ([f"9007199254740{i % 10}93" for i in range(N)], "category"),
    "words": (["red", "green"] * (N // 2), "category"),
    "NA among words": (["NA", "EU"] * (N // 2), "category"),
    "mixed": (["1", "two"] * (N // 2), "category"),
    "formulas": (["=1+1", "@SUM(A1)"] * (N // 2), "category"),
    "yes and no": (["Yes", "no", ""] * 12 + ["yes"] * 4, "boolean"),
    "true and false": (["TRUE", "FALSE"] * (N // 2), "boolean"),
    "yes, no and NA": (["yes", "no", "NA", "-"] * (N // 4), "boolean"),
    "x": (["x", ""] * (N // 2), "boolean"),
    "dates": ([f"2024-02-{i % 28 + 1:02d}" for i in range(N)], "date"),
    "times": ([f"2024-02-03T04:{i:02d}:00" for i in range(N)], "date"),
    "German dates": ([f"{i % 28 + 1}.2.2024" for i in range(N)], "date"),
    "American dates": ([f"2/{i % 28 + 1}/2024" for i in range(N)], "date"),
    "dates with dashes": ([f"{i % 28 + 1}-02-2024" for i in range(N)], "date"),
    "American times": ([f"2/{i % 28 + 1}/2024 {i % 12 + 1}:05 PM" for i in range(N)], "date"),
    "months with names": ([f"{i % 28 + 1} Feb 2024" for i in range(N)], "date"),
    "months before days": ([f"February {i % 28 + 1}, 2024" for i in range(N)], "date"),
    "no months": ([f"{i % 28 + 1} Foo 2024" for i in range(N)], "text"),
    "no hours": ([f"{i % 28 + 1}.2.2024 25:{i:02d}" for i in range(N)], "text"),
    "no dates": ([f"2024-13-{i % 28 + 1:02d}" for i in range(N)], "category"),
    "compact digits": ([f"202401{i % 28 + 1:02d}" for i in range(N)], "number"),
    "free text": ([f"a text with {i} and several more words" for i in range(N)], "text"),
    "names": ([f"Ann Miller {i}" for i in range(N)], "text"),
    "row numbers": ([str(i) for i in range(N)], "skip"),
    "keys": ([f"tt{i:07d}" for i in range(N)], "skip"),
    "keys, one of them twice": (["tt0000001"] + [f"tt{i:07d}" for i in range(N - 1)], "skip"),
    "tags": ([["sea", "sea, wind", "rock, sea", ""][i % 4] for i in range(N)], "tags"),
    "tags, each set once": (["|".join("abcdefgh"[i % 8 : i % 8 + 1 + i // 8]) for i in range(N)], "tags"),
    "people, most of them in one row": (
        [f"Ann {i}; Bo Li; {'Cy Day; ' * (i % 2)}Di" for i in range(N)],
        "tags",
    ),
    "tags and N/A": ([["sea", "sea; wind", "N/A"][i % 3] for i in range(N)], "tags"),
    "lists": ([["a", "b"][: i % 3] for i in range(N)], "tags"),
    "lists as text": ([str(["a", "b"][: 1 + i % 2]) for i in range(N)], "tags"),
    "vectors": ([[0.5 * i, 1.5] for i in range(N)], "skip"),
    "vectors as numpy writes them": ([f"[{0.5 * i} 1.5]" for i in range(N)], "skip"),
    "lists of numbers": ([[0.5 * i] * (1 + i % 2) for i in range(N)], "text"),
    "cities and their states": (
        [["Mobile, AL", "Butte, MT", "Troy, AL"][i % 3] for i in range(N)],
        "category",
    ),
    "N/A among words": (["N/A", "EU"] * (N // 2), "category"),
    "titles with commas": ([f"Good, Bad {i}, Ugly" if i % 9 == 0 else f"Life {i}" for i in range(N)], "text"),
    "sentences of phrases": (
        [
            ", ".join(["open all the year", "near the old bridge", "boats to hire"][: 1 + i % 3])
            for i in range(N)
        ],
        "text",
    ),
    "paths": ([f"pictures/{'old/' * (i % 2)}{i}.png" for i in range(N)], "skip"),
    "constant": (["same"] * N, "skip"),
    "constant number": (["3.5"] * N, "skip"),
    "empty": ([""] * N, "skip"),
}


@pytest.mark.parametrize("name", ROLES)
def test_a_column_is_taken_for(name):
    cells, role = ROLES[name]
    table = read_table({"column": cells, "other": list(np.arange(N) % 3 + 0.5)})
    (column,) = [column for column in table.schema.columns if column.name == "column"]
    assert (column.role, column.missing) == (role, pytest.approx(np.mean([is_empty(c, role) for c in cells])))
    assert column.why
    assert "NA or" not in column.why


def is_empty(cell, role):
    return cell == "" or (role in ("number", "date", "boolean") and cell in ("NA", "n/a", "-"))


def test_an_identifier_is_known_by_name_and_values():
    rng = np.random.default_rng(0)
    keys, price = rng.permutation(N) + 100, rng.permutation(N) + 100
    table = read_table({"film_id": keys, "price": price})
    assert {c.name: c.role for c in table.schema.columns} == {"film_id": "skip", "price": "number"}


def test_values_are_what_the_cells_say(write):
    text = (
        "n,comma,flag,x,day,kind\n"
        '-1.5,"1.234,5",yes,x,2024-02-29,a\n'
        'NA,"2,5",no,,2024-03-01,b\n'
        '1e3,"-3,25",,X,,a\n'
    )
    table = read_table(write("t.csv", text.replace("1.234,5", "1234,5")))
    found = table.X.values
    assert np.array_equal(found["n"].values, [-1.5, np.nan, 1000], equal_nan=True)
    assert found["comma"].values.tolist() == [1234.5, 2.5, -3.25]
    assert np.array_equal(found["flag"].values, [1, 0, np.nan], equal_nan=True)
    assert found["x"].values.tolist() == [1, 0, 1]
    day = 86_400.0
    assert np.array_equal(found["day"].values, [19782 * day, 19783 * day, np.nan], equal_nan=True)
    assert [*found["kind"].cells()] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["$2,425.50", "-$3", "$ 68.00", "NA"], [2425.5, -3, 68, np.nan]),
        (["1.122,13 €", "95 €", "-7,5€", ""], [1122.13, 95, -7.5, np.nan]),
        (["8.583,93", "1.234", "12", "0,5"], [8583.93, 1234, 12, 0.5]),
        (["1,234", "567", "12,345", "0"], [1234, 567, 12345, 0]),
        (["€1.234", "€567", "€12.345", "€0"], [1234, 567, 12345, 0]),
        (["12%", "7.5 %", "0%"], [12, 7.5, 0]),
        (["0,234", "1,567", "12,345", "0"], [0.234, 1.567, 12.345, 0]),
    ],
)
def test_amounts_are_read_as_they_are_written(cells, numbers, write):
    rows = [f'"{cell}",{i % 3}.5' for i, cell in enumerate(cells * 10)]
    schema = read_table(write("t.csv", "\n".join(["amount,other", *rows]) + "\n")).schema
    for cell, number in zip(
        cells, numbers, strict=True
    ):  # one at a time: no other cell says how it is written
        found = schema.apply(write("new.csv", f'amount,other\n"{cell}",0.5\n')).X.values["amount"].values
        assert np.array_equal(found, [number], equal_nan=True)


def test_numbers_of_a_typed_source_are_numbers_where_the_training_file_had_decimal_commas():
    cells = {"amount": [f"{i},5" for i in range(N)], "other": [0.5 * (i % 3) for i in range(N)]}
    schema = read_table(cells).schema
    assert schema.apply({"amount": [1.234], "other": [0.5]}).X.values["amount"].values.tolist() == [1.234]
    with pytest.raises(ManyLabelError, match=r"'amount': expected a finite number with a decimal comma"):
        schema.apply({"amount": ["1.5"], "other": [0.5]})


def test_roles_can_be_corrected():
    cells = {
        "zip": [10, 20, 30] * 10,
        "year": ["1999", "2001", "2003"] * 10,
        "key": [f"k{i}" for i in range(30)],
    }
    table = read_table(
        cells | {"who": list("abc") * 10, "w": [0.5] * 30},
        columns={"zip": "category", "key": "category", "who": "group", "w": "weight", "year": "number"},
    )
    assert table.X.columns["zip"].role == "category"
    assert table.X.values["zip"].values == ("10", "20", "30")
    assert table.X.columns["key"].why == "as you said"
    assert table.groups.tolist() == [0, 1, 2] * 10
    assert table.weights.tolist() == [0.5] * 30
    assert set(table.X.values) == {"zip", "key", "year"}


def test_rows_carry_the_weights_of_their_column():
    cells = {"x": [0.5 * (i % 7) for i in range(30)], "w": [0.5, 2.0] * 15, "tag": list("abc") * 10}
    rows = read_table(cells, labels="tag", columns={"w": "weight"}).rows
    assert rows.weights.tolist() == [0.5, 2.0] * 15
    with pytest.raises(ManyLabelError, match="weights of finite numbers of at least 0, but got nan"):
        _ = read_table(cells | {"w": [0.5, None] * 15}, labels="tag", columns={"w": "weight"}).rows


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"zap": "category"}, "`columns`: expected one of the columns n, s, tags, but got 'zap'"),
        (
            {"n": "categori"},
            "`columns`, 'n': expected one of number, .*, but got 'categori'. Did you mean 'category'",
        ),
        ({"s": "number"}, "line 2, column 's': expected a finite number, but got 'a'"),
        ({"s": "date"}, "column 's': expected dates written as year-month-day, .*, but got 'a'"),
        ({"s": "boolean"}, "line 2, column 's': expected yes or no, .*, but got 'a'"),
        ({"tags": "text"}, "`columns`: expected columns that hold no labels, but got 'tags'"),
    ],
)
def test_a_role_that_does_not_fit_is_refused(write, columns, message):
    path = write("t.csv", "n,s,tags\n1,a,p\n2,b,q\n")
    with pytest.raises(ManyLabelError, match=message):
        read_table(path, labels="tags", columns=columns)


@pytest.fixture
def films(write):
    lines = [
        f"{1950 + i},{'ab'[i % 2]},2001-02-{i % 28 + 1:02d},{i % 5}.5,{'p|q' if i % 3 else 'p'}"
        for i in range(60)
    ]
    return write("films.csv", "year,kind,seen,score,tags\n" + "\n".join(lines) + "\n")


def test_a_schema_is_kept_as_json_and_applied_in_any_order(films, write):
    table = read_table(films, labels="tags")
    schema = Schema.from_json(json.loads(json.dumps(table.schema.to_json())))
    assert schema == table.schema
    text = "extra;score;seen;kind;year;tags\n7;1.5;2002-03-04;new;2020;q|new\n8;;;a;NA;\n"
    new = schema.apply(write("new.csv", text))
    assert new.X.form == table.X.form
    assert np.array_equal(new.X.values["year"].values, [2020, np.nan], equal_nan=True)
    assert [*new.X.values["kind"].cells()] == ["new", "a"]
    assert new.Y.dense().tolist() == [[0, 1], [0, 0]]
    told = " ".join(new.told)
    assert "does not know are ignored: extra" in told
    assert "Tags that are no label of the model are left out: 'new'." in told


def test_a_new_file_needs_no_labels_but_every_feature(films, write):
    schema = read_table(films, labels="tags").schema
    new = schema.apply(write("new.csv", "year,kind,seen,score\n1999,a,2001-01-01,2\n"))
    assert new.labels is None
    with pytest.raises(ManyLabelError, match="expected label columns, but got none"):
        _ = new.Y
    with pytest.raises(
        ManyLabelError, match="expected a column 'seen', but got the columns year, kind, score"
    ):
        schema.apply(write("new.csv", "year,kind,score\n1999,a,2\n"))
    with pytest.raises(
        ManyLabelError, match=r"line 4, column 'score': expected a finite number, but got 'good'"
    ):
        schema.apply(write("new.csv", "year,kind,seen,score\n1999,a,,2\n1999,a,,2\n1999,a,,good\n"))
    with pytest.raises(
        ManyLabelError, match=r"line 2, column 'seen': expected a date as year-month-day, but got"
    ):
        schema.apply(write("new.csv", "year,kind,seen,score\n1999,a,4.5.2001,2\n"))


def test_blocks_of_rows_are_the_rows(films):
    table = read_table(films, labels="tags")
    blocks = [*table.schema.blocks(films, rows=7)]
    assert [len(block) for block in blocks] == [7] * 8 + [4]
    for name in table.X.values:
        assert [c for b in blocks for c in b.X.values[name].cells()] == [*table.X.values[name].cells()]
    assert np.array_equal(np.concatenate([b.Y.dense().numpy() for b in blocks]), table.Y.dense().numpy())


def test_a_block_names_the_line_of_the_file(films, write):
    schema = read_table(films, labels="tags").schema
    path = write("new.csv", films.read_text() + "2000,a,2001-01-01,bad,p\n")
    with pytest.raises(ManyLabelError, match="line 62, column 'score'"):
        [*schema.blocks(path, rows=10)]


def test_equal_rows_have_equal_keys_and_one_digest():
    cells = {
        "n": [1.0, 2.0, 1.0, np.nan],
        "s": ["a", "b", "a", None],
        "t": [f"{w} four words here" for w in "aeao"],
    }
    rows = read_table(cells, columns={"t": "text", "s": "category"}).X
    keys = [*rows.row_keys()]
    assert keys[0] == keys[2]
    assert len(set(keys)) == 3
    taken = rows.take(np.array([3, 1, 0, 2])).take(np.array([2, 1, 3, 0]))
    assert [bytes(part) for part in taken.content()] == [bytes(part) for part in rows.content()]
    assert [bytes(part) for part in rows.take(np.array([0, 1])).content()] != [
        bytes(part) for part in rows.take(np.array([1, 0])).content()
    ]


def test_tags_are_the_same_however_they_are_written():
    sets = [["sea"], ["wind", "sea"], [], ["rock", "wind", "sea"]] * 10
    by = {
        "comma": [", ".join(tags) for tags in sets],
        "bar": ["|".join(tags) for tags in sets],
        "lists": sets,
        "json": [json.dumps(tags) for tags in sets],
    }
    n = [0.5 * i for i in range(40)]
    tables = [read_table({"t": cells, "n": n}) for cells in by.values()]
    assert [table.schema.columns[0].form for table in tables] == [",", "|", "list", "list"]
    assert len({tuple(table.X.row_keys()) for table in tables}) == 1
    assert "several of 3 values, separated by the bar" in tables[1].schema.columns[0].why
    assert tables[0].X.describe() == "1 column of tags, 1 number"


@pytest.mark.parametrize("cells", [["a, b", "b", "a"], [["a", "b"], ["b"], ["a"]]])
def test_lists_of_new_rows_are_tags_whatever_separated_those_of_the_training_rows(cells):
    schema = read_table({"t": cells * 9}, columns={"t": "tags"}).schema
    new = schema.apply({"t": [["b", "a"], [], None, ["c, d"]]}).X.values["t"].cells()
    assert [cell.split("\x1f") for cell in new] == [["b", "a"], [""], [""], ["c, d"]]


def test_texts_where_the_training_rows_had_lists_are_refused():
    schema = read_table({"t": [["a", "b"], ["b"], ["a"]] * 9}, columns={"t": "tags"}).schema
    with pytest.raises(ManyLabelError, match=r"row 1.*, column 't': expected a list.*, but got 'a\|b'"):
        schema.apply({"t": ["['a', 'b']", "a|b"]})


def test_tags_can_be_corrected_and_are_kept_with_the_schema(write):
    cells = {
        "who": [f"Ann {i}, Bo {i}" for i in range(30)],
        "k": ["x y", "y", "z"] * 10,
        "n": [0.5, 1.5, 2] * 10,
    }
    assert {c.role for c in read_table(cells).schema.columns} == {"text", "category", "number"}
    table = read_table(cells, columns={"who": "tags", "k": "tags", "n": "tags"})
    assert [(c.role, c.form, c.why) for c in table.schema.columns] == [
        ("tags", ",", "as you said"),
        ("tags", "", "as you said"),
        ("tags", "", "as you said"),
    ]
    assert next(table.X.values["who"].cells()).split("\x1f") == ["Ann 0", "Bo 0"]
    schema = Schema.from_json(json.loads(json.dumps(table.schema.to_json())))
    new = schema.apply(write("new.csv", 'k,who,n\nz,"Bo 3 ,Ann 1",\n,,2\n'))
    assert [cell.split("\x1f") for cell in new.X.values["who"].cells()] == [["Bo 3", "Ann 1"], [""]]
    back = read_table({"t": ["a, b", "b", "a"] * 9}, columns={"t": "category"})
    assert back.X.columns["t"].role == "category"


@pytest.mark.parametrize(
    ("role", "cells", "read"),
    [
        ("date", ["1.2.2024", "", "28.2.1912"], ["2024-02-01", None, "1912-02-28"]),
        ("date", ["1 Jan 2020", "03-Sept-2020", "7. May 2020"], ["2020-01-01", "2020-09-03", "2020-05-07"]),
        ("date", ["Jan 1, 2020 13:05", "march 31 2020"], ["2020-01-01 13:05:00", "2020-03-31"]),
        ("date", ["13/2/2024 12:00 am", "1/3/2024 12:30:01 P.M."], ["2024-02-13", "2024-03-01 12:30:01"]),
        ("date", ["12-31-2020", "1-2-2020"], ["2020-12-31", "2020-01-02"]),
        ("date", ["2024-02-03T04:05:06", "2024-02-03"], ["2024-02-03 04:05:06", "2024-02-03"]),
        ("date", ["0912-02-03", "1969-12-31"], ["0912-02-03", "1969-12-31"]),
        ("tags", ["a|b c", "", "d"], ["a, b c", "", "d"]),
        ("number", ["3", "0.25", ""], ["3", "0.25", None]),
    ],
)
def test_cells_are_written_as_a_person_reads_them(role, cells, read) -> None:
    table = read_table({"c": cells, "x": [*range(len(cells))]}, columns={"c": role})
    assert [*table.X.columns["c"].written(table.X.values["c"])] == read
