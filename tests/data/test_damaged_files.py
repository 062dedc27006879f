"""Damaged and hostile files: each ends in a ManyLabelError or in a whole data set, soon, without a warning."""

from __future__ import annotations

import gzip
import io
import json
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from manylabel import data
from manylabel.errors import ManyLabelError

SECONDS = 1.0  # of CPU time, for one file of a few kB
PIECES = (
    b"?", b"'", b'"', b"\\", b"%", b"{", b"}", b",", b"\t", b" ", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"[",
    b"-1", b"2", b"1e400", b"nan", b"inf", b"1_0", b"0x10", "٣".encode(), b"9" * 5000, b"a" * 3000, b"[" * 3000,
    b"@data\n", b"@attribute x string\n", b"@attribute f0 {a,b,c}\n", b"{0 1}", b"{5}", b"-C 99", b"\\ud800",
    b'<!DOCTYPE a [<!ENTITY a "b">]>', b"&a;", b"null", b"true", b"[]", b"\0\0\0\x80", b"\xff" * 7 + b"\x7f",
)  # fmt: skip

Files = dict[str, bytes]


def broken(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with one to three small damages."""
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        at, n = int(rng.integers(len(content) + 1)), int(rng.integers(1, 40))
        piece = PIECES[rng.integers(len(PIECES))]
        kind = rng.integers(7)
        if kind == 0 and content:  # another byte
            at = min(at, len(content) - 1)
            content = content[:at] + bytes([rng.integers(256)]) + content[at + 1 :]
        elif kind == 1:  # cut off
            content = content[:at]
        elif kind == 2:  # a piece lost
            content = content[:at] + content[at + n :]
        elif kind == 3:  # a piece twice
            content = content[: at + n] + content[at:]
        elif kind == 4:  # something else instead
            content = content[:at] + piece + content[at + len(piece) :]
        elif kind == 5:  # something else between
            content = content[:at] + piece + content[at:]
        else:  # one token of a line
            lines = content.split(b"\n")
            row = int(rng.integers(len(lines)))
            tokens = lines[row].split(b",")
            tokens[rng.integers(len(tokens))] = piece
            lines[row] = b",".join(tokens)
            content = b"\n".join(lines)
    return content


RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 4)).astype("f4").round(3), (RNG.random((24, 3)) < 0.4).astype("u1")
XML = b'<?xml version="1.0" encoding="utf-8"?>\n<labels xmlns="http://mulan.sourceforge.net/labels">\n' + b"".join(
    b'<label name="l%d"></label>\n' % i for i in range(3)
) + b"</labels>"  # fmt: skip


def arff(sparse: bool = False, labels: str = "{0,1}", relation: str = "toy") -> bytes:
    """Four features, one of them nominal, and three labels."""
    no, yes = labels.strip("{}").split(",")
    head = [
        f"@relation {relation}",
        *(f"@attribute f{i} numeric" for i in range(3)),
        "@attribute f3 {red,green,'deep blue'}",
    ]
    head += [f"@attribute l{i} {labels}" for i in range(3)]
    rows = []
    for x, y in zip(X.tolist(), Y.tolist(), strict=True):
        cells = [*map(str, x[:3]), "green" if x[3] > 0 else "'deep blue'", *(yes if v else no for v in y)]
        plain = ",".join(f"{j} {cell}" for j, cell in enumerate(cells) if cell != no)
        rows.append("{" + plain + "}" if sparse else ",".join(cells))
    return "\n".join([*head, "", "@data", *rows, ""]).encode()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def csr(name: str, matrix: np.ndarray) -> dict[str, np.ndarray]:
    table = sp.csr_matrix(matrix)
    return {
        f"{name}_{part}": np.asarray(getattr(table, part)) for part in ("data", "indices", "indptr", "shape")
    }


def jsonl() -> bytes:
    rows = ({"text": f"wörds {i}", "labels": ["a", "b"][: i % 3]} for i in range(12))
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


NAMES = {"label_names": np.array(["a", "b", "c"]), "feature_names": np.array(list("wxyz"))}
CARD = json.dumps(
    {"name": "toy", "origin": "here", "license": "CC0", "split": "by hand", "quirks": "Odd."}
).encode()
TEXTS = {"train.jsonl.gz": jsonl(), "test.jsonl.gz": jsonl(), "labels.txt": b"a\nb\n", "card.json": CARD}
FORMATS: dict[str, Files] = {
    "dense ARFF": {"toy.arff": arff(), "toy.xml": XML},
    "sparse ARFF": {"toy.arff": arff(sparse=True), "toy.xml": XML},
    "ARFF of words": {"toy.arff": arff(labels="{no,yes}"), "toy.xml": XML},
    "MEKA": {"toy.arff": arff(relation="'toy: -C -3 -split-number 9'")},
    "packed ARFF": {"toy-train.arff.gz": arff(), "toy-test.arff.gz": arff(), "toy.xml": XML},
    "npz": {"data.npz": npz(X=X, y=Y, **NAMES), "card.json": CARD},
    "npz of parts": {
        "data.npz": npz(X_train=X, y_train=Y, X_test=X, y_test=Y, val_rows=np.array([1, 4])),
        "card.json": CARD,
    },
    "sparse npz": {"data.npz": npz(**csr("X", X * (X > 0)), **csr("y", Y))},
    "pictures": {"data.npz": npz(X=RNG.integers(0, 256, (24, 4, 4, 3), dtype=np.uint8), y=Y)},
    "texts": TEXTS,
}


def rezipped(content: bytes, change: Callable[[bytes], bytes], rng: np.random.Generator) -> bytes:
    """An archive of which one member is changed and its check sum right."""
    source, buffer = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    members = source.namelist()
    chosen = members[rng.integers(len(members))]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for member in members:
            inside = source.read(member)
            target.writestr(member, change(inside) if member == chosen else inside)
    return buffer.getvalue()


def damaged(name: str, content: bytes, rng: np.random.Generator) -> bytes:
    """A file with damage in its bytes, or inside of what it packs."""
    inside = rng.random() < 0.7
    if name.endswith(".npz"):
        return rezipped(content, lambda member: broken(member, rng), rng) if inside else broken(content, rng)
    if name.endswith(".gz"):
        return gzip.compress(broken(content, rng), 1) if inside else broken(gzip.compress(content, 1), rng)
    return broken(content, rng)


def write(folder: Path, files: Files, chosen: str | None, rng: np.random.Generator) -> None:
    for name, content in files.items():
        if name == chosen:
            content = damaged(name, content, rng)
        elif name.endswith(".gz"):
            content = gzip.compress(content, 1)
        (folder / name).write_bytes(content)


def outcome(folder: Path) -> str:
    """``refused`` or ``read``; fails for anything else."""
    start, refused = time.process_time(), None
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            dataset = data.load(folder)
        except ManyLabelError as error:
            refused = str(error)
    assert not told, told[0].message
    assert time.process_time() - start < SECONDS
    if refused is not None:
        assert str(folder) in refused, refused
        assert len(refused) < 2000, "a message that repeats the file"
        return "refused"
    assert min(len(dataset.train), len(dataset.test)) > 0
    json.dumps(data.describe(dataset), ensure_ascii=False).encode()
    return "read"


def try_mutations(tmp_path: Path, n: int, seed: int) -> dict[str, int]:
    counts = {"refused": 0, "read": 0}
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        kind = list(FORMATS)[i % len(FORMATS)]
        files = FORMATS[kind]
        folder = tmp_path / f"{i}"
        folder.mkdir()
        chosen = list(files)[
            int(rng.integers(len(files)) * rng.integers(2))
        ]  # half of the time the first, the table
        write(folder, files, chosen, rng)
        try:
            counts[outcome(folder)] += 1
        except BaseException:
            print(f"mutation {i}: {kind}, {chosen}, in {folder}")
            raise
        for path in folder.iterdir():
            path.unlink()
    return counts


def odd_array(rng: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """An array that a header may well declare and a data set cannot hold; sometimes another form of a sound one."""
    n = int(rng.integers(0, 30))
    odd: list[Callable[[], np.ndarray]] = [
        lambda: np.array(3),
        lambda: np.array("abc"),
        lambda: np.empty(0),
        lambda: np.empty((24, 0)),
        lambda: np.empty((0, 4)),
        lambda: np.zeros((24, 2, 2, 2, 2), "u1"),
        lambda: np.zeros((24, 0, 0, 3), "u1"),
        lambda: np.zeros((24, 3, 3)),
        lambda: np.full((24, 3), "x"),
        lambda: np.zeros((24, 3), "M8[s]"),
        lambda: np.zeros((24, 3), "c16"),
        lambda: np.zeros(24, [("a", "f4"), ("b", "u1")]),
        lambda: np.zeros((24, 3), "V4"),
        lambda: np.zeros((24, 3), "S3"),
        lambda: rng.integers(-(2**62), 2**62, n),
        lambda: rng.integers(-3, 30, n),
        lambda: np.sort(rng.integers(0, 30, 25)),
        lambda: rng.normal(size=n),
        lambda: np.array([24, 2**40]),
        lambda: np.array([2**40, 4]),
        lambda: np.array([-24, 4]),
        lambda: np.array([24.5, 4]),
        lambda: np.array([np.nan, np.inf]),
        lambda: np.array(["\ud800", "b", "c"]),
        lambda: np.array([b"\xff", b"b", b"c"]),
        lambda: np.array(["", "", ""]),
        lambda: np.array([2**64 - 1], "u8"),
        lambda: sound.astype("f2"),
        lambda: sound.astype("g"),
        lambda: sound.astype(sound.dtype.newbyteorder(">")),
        lambda: np.asfortranarray(sound),
        lambda: sound[:-1],
        lambda: sound[..., None],
        lambda: sound.astype(bool),
        lambda: sound.astype("u8"),
        lambda: sound * 1e300,
        lambda: -sound.astype("i8"),
        lambda: np.repeat(sound, 2, axis=0),
    ]
    return odd[rng.integers(len(odd))]()


def try_odd_arrays(tmp_path: Path, n: int, seed: int) -> dict[str, int]:
    whole = {"X_train": X, "y_train": Y, "X_test": X, "y_test": Y, "val_rows": np.array([1, 4]), **NAMES}
    sparse = {**csr("X", X * (X > 0)), **csr("y", Y), **NAMES}
    joined = {**{f"{a}_{p}": v for p in ("train", "val", "test") for a, v in (("X", X), ("y", Y))}}
    counts = {"refused": 0, "read": 0}
    for i in range(n):
        rng = np.random.default_rng([seed, i])
        arrays = dict((whole, sparse, joined, {"X": X, "y": Y})[i % 4])
        for name in rng.choice(list(arrays), int(rng.integers(1, 3))):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the numbers that overflow here
                arrays[name] = odd_array(rng, arrays[name] if arrays[name].dtype.kind in "biuf" else X)
        np.savez(tmp_path / "data.npz", **arrays)
        try:
            counts[outcome(tmp_path)] += 1
        except BaseException:
            print(f"arrays {i}:", {name: (array.dtype, array.shape) for name, array in arrays.items()})
            raise
    return counts


@pytest.mark.parametrize("kind", FORMATS)
def test_whole_files_are_read(tmp_path, kind):
    write(tmp_path, FORMATS[kind], None, RNG)
    assert outcome(tmp_path) == "read"


def test_damaged_files_are_refused_or_read_whole(tmp_path):
    counts = try_mutations(tmp_path, 300, seed=0)
    assert counts["refused"] > 100
    assert counts["read"] > 8  # damage that the formats cannot show, in a comment or a number


def test_odd_arrays_are_refused_or_read_whole(tmp_path):
    counts = try_odd_arrays(tmp_path, 200, seed=0)
    assert counts["refused"] > 80
    assert counts["read"] > 8


@pytest.mark.slow
def test_thousands_of_odd_arrays_are_refused_or_read_whole(tmp_path):
    counts = try_odd_arrays(tmp_path, 3000, seed=1)
    assert counts["refused"] > 1000
    assert counts["read"] > 150


@pytest.mark.slow
def test_thousands_of_damaged_files_are_refused_or_read_whole(tmp_path):
    counts = try_mutations(tmp_path, 4000, seed=1)
    assert counts["refused"] > 1500
    assert counts["read"] > 100
