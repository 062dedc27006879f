"""npz files, folders and texts: what is read, and what is refused."""

import gzip
import json

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from manylabel import data
from manylabel.data.build import About, Part, assemble
from manylabel.errors import ManyLabelError


def csr_parts(name, matrix):
    return {
        f"{name}_data": matrix.data,
        f"{name}_indices": matrix.indices,
        f"{name}_indptr": matrix.indptr,
        f"{name}_shape": np.array(matrix.shape),
    }


def gzipped(rows):
    return gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())


def test_split_npz(tmp_path, small):
    X, Y = small
    names = np.array(["x", "y", "z"])
    np.savez(tmp_path / "d.npz", X_train=X[:8], y_train=Y[:8], X_test=X[8:], y_test=Y[8:], label_names=names)
    dataset = data.load(tmp_path / "d.npz")
    assert (dataset.name, dataset.kind, dataset.label_names) == ("d", "vectors", ("x", "y", "z"))
    torch.testing.assert_close(dataset.train.X.values, torch.from_numpy(X[:8]), rtol=0, atol=0)
    assert dataset.test.Y.dense().tolist() == Y[8:].tolist()
    assert dataset.validation_rows is None
    assert dataset.source == str(tmp_path / "d.npz")


def test_arrays_that_no_part_is_made_of_are_named(tmp_path, small):
    X, Y = small
    parts = csr_parts("X", sp.csr_matrix(X))
    np.savez(
        tmp_path / "whole.npz", **parts, Y=Y, label_names=list("abc"), groups=np.arange(len(X)), val_rows=[0]
    )
    assert "Arrays that are not read: groups, val_rows." in data.load(tmp_path / "whole.npz").remarks
    np.savez(tmp_path / "split.npz", X_train=X, y_train=Y, X_test=X, y_test=Y, val_rows=[0], X=X)
    assert "Arrays that are not read: X." in data.load(tmp_path / "split.npz").remarks


def test_npz_without_split_gets_a_test_part_of_its_rows(tmp_path, small):
    X, Y = small
    np.savez(tmp_path / "d.npz", X=X.astype(np.float64), y=Y.astype(bool))
    dataset = data.load(str(tmp_path / "d.npz"))
    assert (len(dataset.train), len(dataset.test)) == (9, 3)
    assert dataset.train.X.dtype == torch.float32
    both = torch.cat([dataset.train.X.values, dataset.test.X.values]).numpy()
    assert sorted(map(tuple, both)) == sorted(map(tuple, X))
    assert dataset.label_names == ("label 0", "label 1", "label 2")


def test_sparse_npz_equals_the_dense_one(tmp_path, small):
    X, Y = small
    parts = [
        csr_parts(f"X_{part}", sp.csr_matrix(X[rows]))
        for part, rows in (("train", slice(8)), ("test", slice(8, 12)))
    ]
    labels = csr_parts("y_train", sp.csr_matrix(Y[:8]))
    np.savez(tmp_path / "d.npz", **parts[0], **parts[1], **labels, y_test=Y[8:])
    dataset = data.load(tmp_path / "d.npz")
    assert sp.issparse(dataset.train.X.values)
    np.testing.assert_array_equal(dataset.train.X.values.toarray(), X[:8])
    assert dataset.train.Y.dense().tolist() == Y[:8].tolist()
    assert len(dataset.test) == 4  # the last row, without a stored value, is still there


def test_published_validation_rows_follow_the_training_rows(tmp_path, small):
    X, Y = small
    arrays = {
        "X_train": X[:5],
        "y_train": Y[:5],
        "X_val": X[5:8],
        "y_val": Y[5:8],
        "X_test": X[8:],
        "y_test": Y[8:],
    }
    np.savez(tmp_path / "d.npz", **arrays)
    train, validation = data.split_validation(data.load(tmp_path / "d.npz"), seed=0)
    np.testing.assert_array_equal(train.X.values, X[:5])
    np.testing.assert_array_equal(validation.X.values, X[5:8])
    np.testing.assert_array_equal(validation.Y.dense(), Y[5:8])


@pytest.mark.parametrize("layout", ["grey", "last", "first"])
def test_pictures_are_kept_as_bytes_with_channels_first(tmp_path, layout):
    pictures = np.random.default_rng(0).integers(0, 256, (6, 3, 5, 7), dtype=np.uint8)
    X = {"grey": pictures[:, 0], "last": pictures.transpose(0, 2, 3, 1), "first": pictures}[layout]
    np.savez(tmp_path / "d.npz", X=X, y=np.eye(6, 2, dtype=np.uint8))
    dataset = data.load(tmp_path / "d.npz")
    assert (dataset.kind, dataset.train.X.dtype) == ("images", torch.uint8)
    read = torch.cat([dataset.train.X.values, dataset.test.X.values])
    expected = pictures[:, :1] if layout == "grey" else pictures
    assert sorted(row.numpy().tobytes() for row in read) == sorted(row.tobytes() for row in expected)


def test_validation_rows_with_other_columns_are_refused(tmp_path, small):
    X, Y = small
    arrays = {"X_train": X, "y_train": Y, "X_val": X[:, :2], "y_val": Y, "X_test": X, "y_test": Y}
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(ManyLabelError, match="X_val and y_val: expected the columns of"):
        data.load(tmp_path / "d.npz")


GOOD = {"X_train": np.eye(4), "y_train": np.eye(4), "X_test": np.eye(4), "y_test": np.eye(4)}


def changed(name, position, value):
    array = GOOD[name].copy()
    array[position] = value
    return {name: array}


BAD_ARRAYS = {
    "labels not 0/1": (
        changed("y_train", (2, 3), 2),
        "X_train and y_train, labels: expected every label to be 0 or 1, but got 2 in row 2, column 3",
    ),
    "half a label": (
        changed("y_test", (0, 1), 0.5),
        "X_test and y_test, labels: expected every label to be 0 or 1, but got 0.5 in row 0, column 1",
    ),
    "infinite label": (changed("y_train", (1, 1), np.inf), "but got inf in row 1, column 1"),
    "labels that are all NaN": ({"y_train": np.full((4, 4), np.nan)}, "labels some of which are known"),
    "NaN feature": (
        changed("X_test", (3, 0), np.nan),
        "features: expected finite numbers, but got nan in row 3, column 0",
    ),
    "infinite feature": (changed("X_train", (0, 2), -np.inf), "-inf in row 0, column 2"),
    "feature beyond float32": (changed("X_train", (0, 2), 1e300), "1e+300 in row 0, column 2"),
    "fewer labels than rows": (
        {"y_train": np.eye(4)[:3]},
        "one label row for each of 4 rows, but got 3 label rows",
    ),
    "no rows": ({"X_train": np.empty((0, 4)), "y_train": np.empty((0, 4))}, "at least one row, but got none"),
    "no features": ({"X_train": np.empty((4, 0))}, "at least one feature"),
    "flat labels": (
        {"y_train": np.array([0, 1, 2, 3])},
        "labels of shape (n_rows, n_labels), but got shape (4,)",
    ),
    "no array but a number": ({"X_train": np.array(3)}, "at least one row"),
    "text features": ({"X_train": np.full((4, 4), "a")}, "numbers, but got entries of type <U1"),
    "text labels": ({"y_train": np.full((4, 4), "a")}, "0/1 labels, but got entries of type <U1"),
    "float pictures": (
        {"X_train": np.zeros((4, 3, 3))},
        "vectors or uint8 pictures, but got float64 of shape (4, 3, 3)",
    ),
    "pictures of two channels": (
        {"X_train": np.zeros((4, 5, 5, 2), np.uint8)},
        "pictures with 1 or 3 channels",
    ),
    "other features in test": ({"X_test": np.eye(4)[:, :3]}, "the features of"),
    "other labels in test": ({"y_test": np.eye(4)[:, :3]}, "the labels of"),
    "too few names": ({"label_names": np.array(["a", "b"])}, "4 label names, one a column, but got 2"),
    "a name twice": (
        {"label_names": np.array(["a", "b", "a", "c"])},
        "distinct, non-empty label names, but got 'a' more than once",
    ),
    "an empty name": ({"label_names": np.array(["a", "", "b", "c"])}, "an empty name"),
    "feature names": ({"feature_names": np.array(["a"])}, "4 feature names"),
    "validation row out of range": (
        {"val_rows": np.array([0, 4])},
        "validation rows from 0 to 3, but got 0 to 4",
    ),
    "validation row twice": ({"val_rows": np.array([1, 1])}, "distinct validation rows"),
    "all rows for validation": (
        {"val_rows": np.arange(4)},
        "from 1 to 3 distinct validation rows, but got 4",
    ),
    "validation mask": ({"val_rows": np.eye(4)[0] > 0}, "validation rows as a list of positions"),
    "object array": ({"X_train": np.array([[{}] * 4] * 4, dtype=object)}, "an npz file of plain arrays"),
}


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_bad_arrays_are_refused_by_name_and_place(tmp_path, kind):
    arrays, told = BAD_ARRAYS[kind]
    np.savez(tmp_path / "d.npz", **(GOOD | arrays))
    with pytest.raises(ManyLabelError) as error:
        data.load(tmp_path / "d.npz")
    assert told in str(error.value)
    assert "d.npz" in str(error.value)


def test_arrays_that_are_absent_are_named(tmp_path):
    np.savez(tmp_path / "d.npz", **{name: array for name, array in GOOD.items() if name != "y_test"})
    with pytest.raises(ManyLabelError, match="no array y_test"):
        data.load(tmp_path / "d.npz")
    np.savez(tmp_path / "d.npz", Z=np.eye(3))
    with pytest.raises(ManyLabelError, match=r"expected arrays X_train, y_train.* but got Z"):
        data.load(tmp_path / "d.npz")
    np.savez(tmp_path / "d.npz", y_train=np.eye(3), y_test=np.eye(3))
    with pytest.raises(ManyLabelError, match="labels without features"):
        data.load(tmp_path / "d.npz")


def test_broken_csr_parts_are_refused(tmp_path, small):
    X, Y = small
    parts = csr_parts("X", sp.csr_matrix(X))
    np.savez(tmp_path / "d.npz", **(parts | {"X_indices": parts["X_indices"] + 9}), y=Y)
    with pytest.raises(ManyLabelError, match="the CSR parts of X"):
        data.load(tmp_path / "d.npz")
    parts.pop("X_indptr")
    np.savez(tmp_path / "d.npz", **parts, y=Y)
    with pytest.raises(ManyLabelError, match="the CSR parts of X"):
        data.load(tmp_path / "d.npz")


@pytest.mark.parametrize("content", [b"", b"not an archive", None])
def test_file_that_is_no_npz_is_refused(tmp_path, write, small, content):
    if content is None:  # cut off half-way
        np.savez(tmp_path / "d.npz", X=small[0], y=small[1])
        content = (tmp_path / "d.npz").read_bytes()[:300]
    with pytest.raises(ManyLabelError, match=r"d\.npz: expected an npz file of plain arrays"):
        data.load(write("d.npz", content))


def test_folder_tells_its_origin(tmp_path, write, small):
    X, Y = small
    card = {
        "name": "mine",
        "origin": "http://example.org",
        "license": "CC0",
        "split": "by hand",
        "quirks": "Odd.",
    }
    folder = write("mine/card.json", json.dumps(card)).parent
    np.savez(folder / "data.npz", X_train=X[:8], y_train=Y[:8], X_test=X[8:], y_test=Y[8:])
    dataset = data.load(folder)
    assert (dataset.name, dataset.licence, dataset.split) == ("mine", "CC0", "by hand")
    assert dataset.source == f"http://example.org, read from {folder}"
    assert "Odd." in dataset.remarks


def test_folder_without_data_or_with_a_broken_card_is_refused(tmp_path, write):
    write("d/readme.txt", "nothing here")
    with pytest.raises(ManyLabelError, match=r"but got readme\.txt"):
        data.load(tmp_path / "d")
    write("d/card.json", "{")
    with pytest.raises(ManyLabelError, match=r"card\.json: expected a JSON object"):
        data.load(tmp_path / "d")


ROWS = [{"text": f"text {i}", "labels": ["no", "yes"][: i % 3]} for i in range(9)]


def test_texts(write):
    write("t/train.jsonl.gz", gzipped(ROWS[:4]))
    write("t/valid.jsonl.gz", gzipped(ROWS[4:6]))
    write("t/test.jsonl.gz", gzipped(ROWS[6:]))
    folder = write("t/labels.txt", "yes\nno\n").parent
    dataset = data.load(folder)
    assert (dataset.kind, dataset.label_names) == ("text", ("yes", "no"))
    assert [row["text"] for row in ROWS[:6]] == dataset.train.X.values
    assert dataset.train.Y.dense().tolist() == [["yes" in r["labels"], "no" in r["labels"]] for r in ROWS[:6]]
    assert dataset.validation_rows.tolist() == [4, 5]
    assert dataset.test.take([2, 0]).X.values == ["text 8", "text 6"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{", "line 2: expected"),
        (b'{"text": "a"}', "line 2: expected"),
        (b'{"text": 1, "labels": []}', "line 2: expected"),
        (b'{"text": "a", "labels": ["maybe"]}', "line 2: expected labels of labels.txt, but got 'maybe'"),
        (b'{"text": "\xe9", "labels": []}', "line 2: expected"),
    ],
)
def test_broken_line_of_text_is_refused(write, line, told):
    write("t/train.jsonl.gz", gzip.compress(b'{"text": "a", "labels": ["yes"]}\n' + line + b"\n"))
    write("t/test.jsonl.gz", gzipped(ROWS))
    folder = write("t/labels.txt", "yes\nno\n").parent
    with pytest.raises(ManyLabelError) as error:
        data.load(folder)
    assert "train.jsonl.gz" in str(error.value)
    assert told in str(error.value)


def test_text_file_that_is_cut_off_or_absent_is_refused(write):
    write("t/train.jsonl.gz", gzipped(ROWS)[:-20])
    folder = write("t/labels.txt", "yes\nno\n").parent
    with pytest.raises(ManyLabelError, match=r"train\.jsonl\.gz: expected a whole gzip file"):
        data.load(folder)
    write("t/train.jsonl.gz", gzipped(ROWS))
    with pytest.raises(ManyLabelError, match=r"expected a file test\.jsonl or test\.jsonl\.gz, but got none"):
        data.load(folder)


TEXT = b'{"text": "a", "labels": ["yes"]}\n'


def texts_folder(write, names="yes\nno\n", line=b"", part=TEXT):
    write("t/train.jsonl.gz", gzip.compress(part + line))
    write("t/test.jsonl.gz", gzip.compress(part))
    return write("t/labels.txt", names).parent


@pytest.mark.parametrize(
    "names", ["yes\nno", "\ufeffyes\nno\n", "yes\r\nno\r\n", "yes\nno\n\n\n", "\ufeffyes\r\nno\r\n \r\n"]
)
def test_label_file_may_start_with_a_byte_order_mark_and_end_with_empty_lines(write, names):
    assert data.load(texts_folder(write, names)).label_names == ("yes", "no")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("yes\n\nno\n", "line 2: expected a label name, but got an empty line"),
        ("yes\nno\nyes\n", "line 3: expected every label once, but got 'yes' a second time"),
        ("\n\n", "label names, one a line, but got none"),
        (b"yes\n\xff\n", "in UTF-8"),
    ],
)
def test_broken_label_file_is_refused_by_line(write, names, told):
    with pytest.raises(ManyLabelError) as error:
        data.load(texts_folder(write, names))
    assert "labels.txt" in str(error.value)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            b'{"text": "x", "labels": [["yes"]]}',
            "line 2: expected labels as a list of names, but got \"['yes']\"",
        ),
        (b'{"text": "x", "labels": [{}]}', "line 2: expected labels as a list of names"),
        (b'{"text": "x", "labels": ["yes", 3]}', "line 2: expected labels as a list of names, but got '3'"),
        (b'{"text": "x", "labels": "yes"}', "line 2: expected {"),
        (b'{"text": "\\ud800", "labels": ["yes"]}', "line 2: expected text of whole characters"),
        (b"[" * 100_000, "line 2: expected {"),
        (b'{"text": "x", "labels": [' + b"1" * 5000 + b"]}", "line 2: expected {"),
    ],
)
def test_odd_line_of_text_is_refused(write, line, told):
    with pytest.raises(ManyLabelError) as error:
        data.load(texts_folder(write, line=line))
    assert told in str(error.value)
    assert len(str(error.value)) < 500


def test_unpacked_texts_byte_order_marks_and_empty_lines_are_read(write):
    write("t/train.jsonl", b"\xef\xbb\xbf" + TEXT + b"\n" + TEXT + b"\r\n")
    write("t/test.jsonl", TEXT)
    dataset = data.load(write("t/labels.txt", "yes\nno\n").parent)
    assert (dataset.train.X.values, dataset.train.Y.dense().tolist()) == (["a", "a"], [[1, 0], [1, 0]])


def test_repeated_label_of_a_text_counts_once(write):
    folder = texts_folder(write, line=b'{"text": "b", "labels": ["no", "yes", "no"]}')
    assert data.load(folder).train.Y.dense().tolist() == [[1, 0], [1, 1]]


def test_many_texts_with_many_label_names_take_little_memory(write):
    names = "".join(f"label {i}\n" for i in range(20_000))
    line = b'{"text": "a", "labels": ["label 7"]}\n'
    dataset = data.load(texts_folder(write, names, part=line * 5_000))  # 100 MB as a dense table of bytes
    assert dataset.train.Y.label_counts()[7] == 5_000


@pytest.mark.parametrize(
    "card", ["[]", "{", '{"name": "\\ud800"}', b"\xff", "[" * 100_000, '{"name": ' + "1" * 5000 + "}"]
)
def test_broken_card_is_refused_and_does_not_hide_the_other_names(write, small, card):
    folder = write("sets/mine/card.json", card).parent
    np.savez(folder / "data.npz", X=small[0], y=small[1])
    with pytest.raises(ManyLabelError, match=r"card\.json: expected a JSON object"):
        data.load(folder)
    assert "mine" in data.names(folder.parent)


def test_card_may_start_with_a_byte_order_mark(write, small):
    folder = write("mine/card.json", b'\xef\xbb\xbf{"name": "other"}').parent
    np.savez(folder / "data.npz", X=small[0], y=small[1])
    assert data.load(folder).name == "other"


def test_remarks_tell_what_a_reader_should_know():
    X = np.arange(12.0).reshape(6, 2)
    Y = np.array([[1, 0, 0], [1, 0, 1], [1, 0, 0], [1, 0, 1]])
    test = Part(X[[0, 4]], np.array([[0, 0, 1], [0, 0, 0]]), "test")
    dataset = assemble(About("odd"), Part(X[:4], Y, "train"), test, label_names="abc")
    assert dataset.remarks == (
        "Label 'b' is never given in training: nothing can be learnt there.",
        "Label 'a' is given to every training row: nothing can be learnt there.",
        "2 labels ('a', 'b') are never given in test: no score is defined there.",
        "1 of 2 test rows carry no label.",
        "1 of 2 test rows have the features of a training row.",
    )
    assert dataset.label_names == ("a", "b", "c")  # warned of, and kept


def test_digest_follows_the_content_alone(small):
    X, Y = small
    first = assemble(About("one", source="here"), Part(X, Y, "a"), Part(X, Y, "b"))
    again = assemble(
        About("two", source="there"), Part(X.astype(float), Y.astype(bool), "c"), Part(X, Y, "d")
    )
    assert first.digest == again.digest
    signed = assemble(About("one"), Part(np.where(X == 0, -0.0, X), Y, "a"), Part(X, Y, "b"))
    assert signed.digest == first.digest  # -0 and 0 are one number
    wide = np.zeros_like(Y)
    others = [
        assemble(About("one"), Part(X + 1, Y, "a"), Part(X, Y, "b")),
        assemble(About("one"), Part(X, 1 - Y, "a"), Part(X, Y, "b")),
        assemble(About("one"), Part(X, wide, "a"), Part(X, Y, "b")),
        assemble(About("one"), Part(X, Y, "a"), Part(X, Y, "b"), label_names="xyz"),
        assemble(About("one"), Part(X, Y, "a"), Part(X, Y, "b"), validation_rows=[0]),
        assemble(About("one"), Part(X[::-1], Y, "a"), Part(X, Y, "b")),
    ]
    assert len({first.digest, *(other.digest for other in others)}) == 7


def test_many_labels_are_kept_as_lists():
    Y = np.eye(8, 300)
    dataset = assemble(About("wide"), Part(np.eye(8), Y, "a"), Part(np.eye(8), sp.csr_matrix(Y), "b"))
    assert type(dataset.train.Y) is type(dataset.train.Y.sparse())
    np.testing.assert_array_equal(dataset.test.Y.dense(), Y)
