"""Files that ask for more than they hold: refused before the memory is asked for, and within the limits stated."""

import gzip
import io
import struct
import time
import zipfile

import numpy as np
import pytest

from manylabel import data
from manylabel.data.formats import arrays, border
from manylabel.errors import ManyLabelError

X, Y = np.random.default_rng(0).normal(size=(40, 4)).astype("f4"), np.eye(40, 3, dtype="u1")
Y[3:] = Y[np.arange(37) % 3]


def header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (64 - (len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.fixture
def packed(tmp_path):
    """``packed(name=array or bytes)``, as an npz file."""

    def write(**members):
        with zipfile.ZipFile(tmp_path / "d.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, value in members.items():
                buffer = io.BytesIO()
                if not isinstance(value, bytes):
                    np.lib.format.write_array(buffer, np.asarray(value))
                archive.writestr(f"{name}.npy", value if isinstance(value, bytes) else buffer.getvalue())
        return tmp_path / "d.npz"

    return write


CSR = {"X_data": np.ones(40, "f4"), "X_indices": np.zeros(40, "i8"), "X_indptr": np.arange(41), "y": Y}
LABELS = {"y_data": np.ones(40, "u1"), "y_indices": np.arange(40) % 3, "y_indptr": np.arange(41), "X": X}
ARRAYS = {
    "15 TB": ({"X": header((10**12, 4)), "y": Y}, "array X: expected as many bytes as its header declares"),
    "past 64 bits": ({"X": header((10**30, 4)), "y": Y}, "as many bytes as its header declares"),
    "negative": ({"X": header((-4, -10)) + b"\0" * 160, "y": Y}, "the shape (-4, -10)"),
    "a row too many": ({"X": header((41, 4)) + X.tobytes(), "y": Y}, "as many bytes as its header declares"),
    "no literal": ({"X": header((40, 4)).replace(b"}", b"("), "y": Y}, "array X: expected an npz file"),
    "no array": ({"X": b"hello", "y": Y}, "array X: expected an npz file"),
    "empty": ({"X": b"", "y": Y}, "array X: expected an npz file"),
    "objects": ({"X": header((40, 4), "|O") + b"\0" * 1280, "y": Y}, "an object array"),
    "no type": ({"X": header((40, 4), "<q9"), "y": Y}, "array X: expected an npz file"),
    "infinite CSR": ({**CSR, "X_shape": np.array([40, np.inf])}, "the CSR parts of X"),
    "CSR of half a column": ({**CSR, "X_shape": np.array([40, 4.5])}, "the CSR parts of X"),
    "CSR of more rows": ({**CSR, "X_shape": np.array([10**12, 4])}, "the CSR parts of X"),
    "CSR without columns": ({**CSR, "X_shape": np.array([40, -4])}, "the CSR parts of X"),
    "CSR of one number": ({**CSR, "X_shape": np.array(40)}, "X_shape of shape ()"),
    "CSR of text": ({**CSR, "X_data": np.full(40, "a"), "X_shape": np.array([40, 4])}, "types <U1"),
    "CSR with fractions as columns": (
        {**CSR, "X_indices": np.zeros(40), "X_shape": np.array([40, 4])},
        "types float32, float64",
    ),
    "CSR that goes back": (
        {**CSR, "X_indptr": np.arange(41)[::-1], "X_shape": np.array([40, 4])},
        "the CSR parts of X",
    ),
    "columns below 0": (
        {**CSR, "X_indices": np.full(40, -1), "X_shape": np.array([40, 4])},
        "the CSR parts of X",
    ),
    "1e12 labels": ({**LABELS, "y_shape": np.array([40, 10**12])}, "of at most 4194304 columns"),
    "scalar": (
        {"X_train": np.float32(3), "y_train": Y, "X_test": X, "y_test": Y, "X_val": X, "y_val": Y},
        "array X_train",
    ),
    "scalar names": ({"X": X, "y": Y, "label_names": np.array("abc")}, "label names as a list"),
    "table of names": ({"X": X, "y": Y, "label_names": np.array([["a", "b", "c"]])}, "label names as a list"),
    "names not UTF-8": (
        {"X": X, "y": Y, "label_names": np.array([b"\xff", b"b", b"c"])},
        "label names in Unicode",
    ),
    "lone surrogate": ({"X": X, "y": Y, "feature_names": np.array(["a", "b", "c", "\ud800"])}, "as name 3"),
    "scalar validation rows": (
        {"X_train": X, "y_train": Y, "X_test": X, "y_test": Y, "val_rows": np.array(3)},
        "validation rows as a list",
    ),
    "no pixels": ({"X": np.zeros((40, 0, 0, 3), "u1"), "y": Y}, "at least one pixel"),
    "no height": ({"X": np.zeros((40, 0, 5), "u1"), "y": Y}, "at least one pixel"),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_hostile_arrays_are_refused(packed, kind):
    members, told = ARRAYS[kind]
    with pytest.raises(ManyLabelError) as error:
        data.load(packed(**members))
    assert told in str(error.value)
    assert "d.npz" in str(error.value)


@pytest.mark.parametrize(
    ("at", "value", "told"),
    [
        ((8, 10), b"\x63\x00", "compression"),  # an unknown method
        ((6, 8), b"\x01\x00", "encrypted"),
        ((18, 20), b"\xff\xff\xff\x7f", ""),  # packed into 2 GB
        ((22, 24), b"\xff\xff\xff\x7f", ""),  # unfolds to 2 GB
        ((14, 16), b"\0\0\0\0", "CRC"),
    ],
)
def test_hostile_archives_are_refused(packed, at, value, told):
    content = bytearray(packed(X=X, y=Y).read_bytes())
    for start, offset in zip((content.find(b"PK\x03\x04"), content.find(b"PK\x01\x02")), at, strict=True):
        content[start + offset : start + offset + len(value)] = value
    path = packed(X=X, y=Y)
    path.write_bytes(content)
    with pytest.raises(ManyLabelError, match=rf"d\.npz.*{told}"):
        data.load(path)


def test_arrays_that_unfold_beyond_the_limit_are_refused(packed, monkeypatch):
    path = packed(X=np.zeros((40, 10_000), "f4"), y=Y)  # 1.6 MB of zeros in 2 kB
    assert len(data.load(path).train) > 0
    monkeypatch.setattr(arrays, "UNFOLDED_BYTES", 1 << 20)
    with pytest.raises(
        ManyLabelError, match=r"at most 1 MiB or 200 times .*numpy\.savez, which does not pack"
    ):
        data.load(path)
    np.savez(path, X=np.zeros((40, 10_000), "f4"), y=Y)
    assert len(data.load(path).train) > 0


HEAD = "@relation r\n@attribute f numeric\n@attribute l {0,1}\n@data\n"
XML = '<labels><label name="l"/></labels>'


def test_text_that_unfolds_beyond_the_limit_is_refused(write, monkeypatch):
    rows = b"1,0\n2,1\n" * 100_000
    path = write("t.arff.gz", gzip.compress(HEAD.encode() + rows))
    write("t.xml", XML)
    assert len(data.load(path).train) == 150_000
    monkeypatch.setattr(border, "UNFOLDED_BYTES", 1 << 16)
    with pytest.raises(
        ManyLabelError, match=r"t\.arff\.gz: .*100 times the packed size.*unpack it \(gunzip\)"
    ):
        data.load(path)
    line = b'{"text": "", "labels": ["a"]}\n'
    for content in (line * 100_000, b" " * 1_000_000):  # many lines, or one
        write("f/train.jsonl.gz", gzip.compress(content))
        write("f/test.jsonl.gz", gzip.compress(line))
        folder = write("f/labels.txt", "a\n").parent
        with pytest.raises(ManyLabelError, match=r"train\.jsonl\.gz: .*more when unpacked"):
            data.load(folder)


LONG = 200_000
SLOW = {  # each would take minutes in quadratic time
    "a name without a type": f"@relation r\n@attribute {'a' * LONG} b c\n@data\n",
    "an open quote": f"@relation r\n@attribute '{'a' * LONG}\n@data\n",
    "quotes in a name": f"@relation r\n@attribute {chr(39) * LONG} x\n@data\n",
    "blanks in a header": f"@relation r\n@attribute f{' ' * LONG}x y\n@data\n",
    "values of a list": f"@relation r\n@attribute f {{{'a' * LONG}\n@data\n",
    "open quotes in a list": "@relation r\n@attribute f {" + "',\"" * LONG + "\n@data\n",
    "an empty list": "@relation r\n@attribute f {" + "," * LONG + "}\n@data\n",
    "blanks in a row": HEAD + "1" + " " * LONG + "x 0\n",
    "quotes in a row": HEAD + "'\"" * LONG + "\n",
    "backslashes in a row": HEAD + "'" + "\\" * LONG + "\n",
    "comments in a row": HEAD + "1,0" + " ' %" * LONG + "\n",
    "braces in a row": HEAD + "1,0" + "{" * LONG + "}\n",
    "braces in a sparse row": HEAD + "{0 1" + "}" * LONG + "\n",
    "quotes in a sparse row": HEAD + "{0 1," + "'\"" * LONG + "}\n",
    "a sparse row of commas": HEAD + "{" + "," * LONG + "}\n",
    "a long relation": "@relation " + "-C " * LONG + "\n@data\n",
    "minus signs in a relation": "@relation -C " + "-" * LONG + "\n@data\n",
    "rows that are short of many columns": "@relation r\n"
    + "".join(f"@attribute a{i} numeric\n" for i in range(20_000))
    + "@attribute l {0,1}\n@data\n"
    + "1\n" * LONG,
}


@pytest.mark.parametrize("kind", SLOW)
def test_hostile_text_is_refused_soon(write, kind):
    path = write("t.arff", SLOW[kind])
    write("t.xml", XML)
    start = time.process_time()
    with pytest.raises(ManyLabelError) as error:
        data.load(path)
    assert time.process_time() - start < 3
    assert len(str(error.value)) < 1000


def test_reader_never_asks_for_rows_times_columns_at_once(write):
    import tracemalloc

    n = 2_000
    head = (
        "@relation r\n"
        + "".join(f"@attribute a{i} numeric\n" for i in range(n))
        + "@attribute l {0,1}\n@data\n"
    )
    path = write("t.arff", head + (",".join("0" * n) + ",1\n") * 500 + "1\n" * 20_000)  # 320 MB in float64
    write("t.xml", XML)
    tracemalloc.start()
    try:
        with pytest.raises(ManyLabelError, match="2001 values, but got 1"):
            data.load(path)
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()
