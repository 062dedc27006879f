"""Every reader of the registry on damaged files: a ManyLabelError or a whole data set, soon, in bounded memory.

The files come from other libraries where those write the format (scikit-learn, SciPy, h5py, liac-arff, Pillow), and
what they wrote is read back equal.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import arff
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from sklearn.datasets import dump_svmlight_file

from manylabel import data
from manylabel.data.formats.registry import GENERAL
from manylabel.errors import ManyLabelError

SECONDS = 2.0  # of CPU time, for one file of a few kB
TIMES, CONSTANT = 4, 12 << 20  # bytes of memory: so many times the files, and what a few kB may always take

Files = dict[str, bytes]


def made(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def npz(X: np.ndarray, Y: np.ndarray) -> Files:
    return {
        "data.npz": made(lambda file: np.savez_compressed(file, X_train=X, y_train=Y, X_test=X, y_test=Y))
    }


def texts(X: np.ndarray, Y: np.ndarray) -> Files:
    rows = [
        {"text": words(x), "labels": [str(j) for j in np.flatnonzero(y)]} for x, y in zip(X, Y, strict=True)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    names = "".join(f"{j}\n" for j in range(Y.shape[1])).encode()
    return {"train.jsonl": lines, "test.jsonl": lines, "labels.txt": names}


def mulan(X: np.ndarray, Y: np.ndarray) -> Files:
    attributes = [(f"f {j}", "REAL") for j in range(X.shape[1])] + [
        (f"l{j}", ["0", "1"]) for j in range(Y.shape[1])
    ]
    rows = [[*map(float, x), *map(str, y)] for x, y in zip(X, Y, strict=True)]
    table = arff.dumps({"relation": "toy", "attributes": attributes, "data": rows}).encode()
    labels = "".join(f'<label name="l{j}"/>' for j in range(Y.shape[1]))
    return {"d-train.arff": table, "d-test.arff": table, "d.xml": f"<labels>{labels}</labels>".encode()}


def hdf5(X: np.ndarray, Y: np.ndarray) -> Files:
    def write(buffer: io.BytesIO) -> None:
        with h5py.File(buffer, "w") as file:
            for part in ("train", "test"):
                file.create_dataset(f"{part}/X", data=X, compression="gzip", chunks=True)
                table = sp.csr_matrix(Y)
                for name in ("data", "indices", "indptr", "shape"):
                    file[f"{part}/y/{name}"] = getattr(table, name)
            file.attrs["label_names"] = [f"l{j}" for j in range(Y.shape[1])]

    return {"d.h5": made(write)}


def scipy(X: np.ndarray, Y: np.ndarray) -> Files:
    features, labels = (made(lambda file, M=M: sp.save_npz(file, sp.csr_matrix(M))) for M in (X, Y))
    return {
        f"{name}_{part}.npz": content
        for part in ("train", "test")
        for name, content in (("X", features), ("Y", labels))
    }


def svmlight(X: np.ndarray, Y: np.ndarray) -> Files:
    content = made(
        lambda file: dump_svmlight_file(
            X, sp.csr_matrix(Y.astype(int)), file, multilabel=True, comment="made"
        )
    )
    return {"d-train.svm": content, "d-test.svm.gz": gzip.compress(content, 1)}


def xmc(X: np.ndarray, Y: np.ndarray) -> Files:
    rows = made(
        lambda file: dump_svmlight_file(
            X, sp.csr_matrix(Y.astype(int)), file, multilabel=True, zero_based=True
        )
    )
    content = b"%d %d %d\n" % (*X.shape, Y.shape[1]) + rows
    return {"train.txt": content, "test.txt": content}


def pictures(X: np.ndarray, Y: np.ndarray) -> Files:
    pixels = [Image.fromarray(np.resize(x.view(np.uint8), (8, 8, 3))) for x in X]
    files = {f"p{i}.png": made(lambda file, p=p: p.save(file, "PNG")) for i, p in enumerate(pixels)}
    text = io.StringIO()
    csv.writer(text).writerows(
        [
            ["file", *(f"l{j}" for j in range(Y.shape[1]))],
            *([f"p{i}.png", *y] for i, y in enumerate(Y.tolist())),
        ]
    )
    content = text.getvalue().encode()
    return {"train.csv": content, "test.csv": content, **files}


def parquet(X: np.ndarray, Y: np.ndarray) -> Files:
    """Vectors of Spark, every third of them dense, in row groups of two rows; names as Hugging Face's datasets do."""
    rows = [
        {"type": 1, "size": None, "indices": None, "values": x}
        if i % 3 == 1
        else {"type": 0, "size": len(x), "indices": np.flatnonzero(x), "values": x[x != 0]}
        for i, x in enumerate(X)
    ]
    kind = pa.struct(
        [
            ("type", pa.int8()),
            ("size", pa.int32()),
            ("indices", pa.list_(pa.int32())),
            ("values", pa.list_(pa.float64())),
        ]
    )
    names = {"info": {"features": {"labels": [{"names": [f"l{j}" for j in range(Y.shape[1])]}]}}}
    table = pa.table(
        {
            "features": pa.array(rows, kind),
            "labels": pa.array([np.flatnonzero(y) for y in Y], pa.list_(pa.int64())),
        }
    ).replace_schema_metadata({b"huggingface": json.dumps(names).encode()})
    content = made(lambda file: pq.write_table(table, file, row_group_size=2))
    return {"train.parquet": content, "test.parquet": content}


def tagged(X: np.ndarray, Y: np.ndarray) -> Files:
    rows = (
        f"{i}\t{' '.join(map(str, np.flatnonzero(y)))}\t{words(x)}\n"
        for i, (x, y) in enumerate(zip(X, Y, strict=True))
    )
    content = "".join(rows).encode()
    return {"train.txt": content, "test.txt.gz": gzip.compress(content, 1)}


def words(x: np.ndarray) -> str:
    return " ".join(map(repr, x.tolist()))


WRITERS: dict[str, Callable[[np.ndarray, np.ndarray], Files]] = {
    "npz": npz, "texts": texts, "arff": mulan, "hdf5": hdf5, "scipy": scipy, "svmlight": svmlight, "xmc": xmc,
    "pictures": pictures, "tagged": tagged, "parquet": parquet,
}  # fmt: skip


def put(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_every_format_of_the_registry_is_tried() -> None:
    assert set(WRITERS) == {format.name for format in GENERAL}


TABLES = st.integers(4, 9).flatmap(
    lambda n: st.tuples(
        hnp.arrays(
            np.float32,
            (n, 3),
            elements=st.floats(-1e6, 1e6, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3),
        ),
        hnp.arrays(np.uint8, (n, 4), elements=st.integers(0, 1)),
    )
)


@pytest.mark.parametrize("kind", WRITERS)
def test_what_another_library_wrote_is_read_equal(
    tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(TABLES)
    def check(table: tuple[np.ndarray, np.ndarray]) -> None:
        X, Y = table
        if kind in ("svmlight", "tagged"):  # files that say by their rows alone how many columns there are
            X[0, [0, -1]], Y[0] = 1, 1
        dataset = data.load(put(tmp_path_factory.mktemp("d"), WRITERS[kind](X, Y)))
        for rows in (dataset.train, dataset.test):
            np.testing.assert_array_equal(rows.Y.dense(), Y)
            if kind in ("texts", "tagged"):
                assert rows.X.values == [words(x) for x in X]
            elif kind == "pictures":
                assert rows.X.shape == (len(X), 3, 64, 64)
            else:
                np.testing.assert_allclose(np.asarray(rows.X), X, rtol=1e-6)

    check()


PIECES = (
    b"", b"?", b"'", b'"', b"\\", b"%", b"#", b"{", b"}", b",", b":", b"|", b"\t", b" ", b"\n", b"\r",
    b"\0", b"\xff", b"-1", b"0", b"3000000000",
    b"1e400", b"nan", b"1_0", "٣".encode(), b"9" * 5000, b"qid:1", b"..", b"/", b"\0\0\0\x80", b"\xff" * 7 + b"\x7f",
)  # fmt: skip


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with one to three small damages: a bit, a cut, a loss, a repetition, a piece, lines swapped."""
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        at, n = int(rng.integers(len(content) + 1)), int(rng.integers(1, 40))
        piece = PIECES[rng.integers(len(PIECES))]
        kind = rng.integers(7)
        if kind == 0 and content:
            at = min(at, len(content) - 1)
            content = content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :]
        elif kind == 1:
            content = content[:at]
        elif kind == 2:
            content = content[:at] + content[at + n :]
        elif kind == 3:
            content = content[: at + n] + content[at:]
        elif kind == 4:
            content = content[:at] + piece + content[at:]
        elif kind == 5:
            content = content[:at] + piece + content[at + len(piece) :]
        else:
            lines = content.split(b"\n")
            i, j = rng.integers(len(lines), size=2)
            lines[i], lines[j] = lines[j], lines[i]
            content = b"\n".join(lines)
    return content


def outcome(folder: Path) -> str:
    """``refused`` or ``read``; fails for anything else, for warnings, and for much time or memory."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    told, start = "", time.process_time()
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            data.load(folder)
    except ManyLabelError as error:
        told = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.process_time() - start < SECONDS
    assert peak < TIMES * size + CONSTANT
    assert not told or (str(folder) in told and len(told) < 2000), told
    return "refused" if told else "read"


def try_mutations(tmp_path: Path, kind: str, n: int) -> dict[str, int]:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(12, 3)) * (rng.random((12, 3)) < 0.6)).astype(np.float32)
    return mutated(tmp_path, kind, WRITERS[kind](X, (rng.random((12, 4)) < 0.4).astype(np.uint8)), n)


def mutated(tmp_path: Path, kind: str, files: Files, n: int) -> dict[str, int]:
    """How many of n mutations of some files, half of them of the first, are refused and how many are read."""
    names, counts = list(files), {"refused": 0, "read": 0}
    outcome(put(tmp_path / "whole", files))  # what is imported is not counted
    for i in range(n):
        own = np.random.default_rng([zlib.crc32(kind.encode()), i])
        chosen = names[
            int(own.integers(len(names)) * own.integers(2))
        ]  # half of the time the first, the table
        content = files[chosen]
        if chosen.endswith(".gz") and own.random() < 0.7:
            content = gzip.compress(damaged(gzip.decompress(content), own), 1)
        else:
            content = damaged(content, own)
        folder = put(tmp_path / "damaged", files | {chosen: content})
        try:
            counts[outcome(folder)] += 1
        except BaseException:
            print(f"{kind}, mutation {i} of {chosen}, in {folder}")
            raise
    return counts


@pytest.mark.parametrize("kind", WRITERS)
def test_damaged_files_are_refused_or_read_whole(tmp_path: Path, kind: str) -> None:
    assert try_mutations(tmp_path, kind, 100)["refused"] > 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
def test_thousands_of_damaged_files_are_refused_or_read_whole(tmp_path: Path, kind: str) -> None:
    assert try_mutations(tmp_path, kind, 2000)["refused"] > 400
