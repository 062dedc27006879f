"""Sparse text that stays on disk: the same data set as in memory, in bounded memory, and the same training."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from manylabel import ManyLabelError, data, metrics
from manylabel.data import DataSet
from manylabel.data.formats import sparse_lines
from manylabel.data.rows import SparseParts, SparseVectors, parts
from manylabel.methods import get
from manylabel.methods.block_rows import SparseBlockRows
from manylabel.methods.rows import DeviceRows
from manylabel.methods.sparse_rows import SparseRows
from manylabel.models import fit_preprocessor

ON_DISK = {"on_disk": True}
N, WIDTH, LABELS = 400, 60, 5


def lines(n: int = N, width: int = WIDTH, seed: int = 0, first: int = 0) -> list[bytes]:
    """Rows of sparse text: label c where feature c is there; some without labels, some without anything."""
    rng, made = np.random.default_rng(seed), []
    for i in range(n):
        columns = rng.choice(width, 0 if i % 50 == 7 else rng.integers(1, 9), replace=False)
        labels = ",".join(str(c) for c in sorted(columns) if c < LABELS)
        pairs = " ".join(f"{c + first}:{rng.integers(1, 2000) / 1000:g}" for c in columns)
        made.append(f"{labels} {pairs}\n".encode())
    return made


def write_svm(folder: Path, seed: int = 0) -> Path:
    """A training and a test file, counted from 1, with comments and blank lines between the rows."""
    for part, n, own in (("train", N, seed), ("test", 80, seed + 1)):
        rows = lines(n, seed=own, first=1)
        rows[5:5] = [b"# a comment alone\n"]
        rows[40:40] = [b"\n", b"  # another\n", b"1 qid:3 2:1 # why\n"]
        (folder / f"t-{part}.svm").write_bytes(b"".join(rows))
    return folder / "t-train.svm"


def write_xmc(folder: Path, seed: int = 0) -> Path:
    for part, n, own in (("train", N, seed), ("test", 80, seed + 1)):
        head = f"{n} {WIDTH} {LABELS}\n".encode()
        (folder / f"{part}.txt").write_bytes(head + b"".join(lines(n, seed=own)) + b"\n\n")
    return folder / "train.txt"


def write_pair(folder: Path, seed: int = 0) -> Path:
    """Features in one file, labels in another."""
    rows = lines(seed=seed)
    features = [line.partition(b" ")[2] for line in rows]
    labels = [b" ".join(c + b":1" for c in line.partition(b" ")[0].split(b",") if c) + b"\n" for line in rows]
    (folder / "trn_X_Xf.txt").write_bytes(f"{N} {WIDTH}\n".encode() + b"".join(features))
    (folder / "trn_X_Y.txt").write_bytes(f"{N} {LABELS}\n".encode() + b"".join(labels))
    return folder / "trn_X_Xf.txt"


WRITERS = {"svmlight": write_svm, "xmc": write_xmc, "pair": write_pair}


@pytest.fixture(params=list(WRITERS))
def sets(request, tmp_path, monkeypatch) -> tuple[DataSet, DataSet]:
    """A data set in memory, and the same decoded some 40 rows at a time."""
    monkeypatch.setattr(parts, "BLOCK_BYTES", 40 * 4 * 8)
    monkeypatch.setattr(sparse_lines, "_LINES", 64)
    path = WRITERS[request.param](tmp_path)
    return data.load(path), data.load(path, options=ON_DISK)


def equal(one: sp.csr_matrix, other: sp.csr_matrix) -> bool:
    arrays = ("indptr", "indices", "data")
    same = (getattr(one, name).tolist() == getattr(other, name).tolist() for name in arrays)
    return one.shape == other.shape and one.dtype == other.dtype and all(same)


def test_the_data_set_is_that_in_memory(sets) -> None:
    memory, disk = sets
    assert disk.digest == memory.digest
    assert (disk.remarks, disk.label_names, disk.split) == (memory.remarks, memory.label_names, memory.split)
    for one, other in ((disk.train, memory.train), (disk.test, memory.test)):
        assert isinstance(one.X, SparseParts)
        assert equal(one.X.values, other.X.values)
        assert torch.equal(one.Y.dense(), other.Y.dense())
        assert (one.X.shape, one.X.form, one.X.dtype) == (other.X.shape, other.X.form, other.X.dtype)
        assert list(one.X.row_keys()) == list(other.X.row_keys())
        np.testing.assert_array_equal(one.X, other.X)
        assert one.X.describe().startswith(other.X.describe())


def test_rows_and_columns_are_those_in_memory_wherever_they_are_asked_for(sets) -> None:
    one, other = (part.train.X for part in sets[::-1])
    rows = np.array([299, 0, 17, 17, 30, 200])
    assert 10 < one.block < 100
    for taken in (rows, slice(20, 90), slice(0, 0), np.array([5])):
        assert equal(one.take(taken).values, other.take(taken).values)
    joined = one.take(rows).concat(one.take(slice(0, 3)))
    assert isinstance(joined, SparseParts)
    assert equal(joined.values, sp.vstack([other.values[rows], other.values[:3]], "csr"))
    assert equal(one.take(rows).concat(other).values[6:], other.values)
    columns = torch.tensor([3, 4, 10, 50])
    kept, wanted = one.select(columns), other.select(columns)
    assert equal(kept.values, wanted.values)
    assert equal(kept.select(torch.tensor([1, 3])).values, other.select(columns[[1, 3]]).values)
    assert kept.describe().startswith(wanted.describe())
    for X, Z in ((one, other), (kept, wanted), (one.take(rows), other.take(rows))):
        assert X.column_counts().tolist() == Z.column_counts().tolist()
        assert X.square_sum(torch.float32) == pytest.approx(Z.square_sum(torch.float32), rel=1e-12)
        for found, expected in zip(X.moments(torch.float32), Z.moments(torch.float32), strict=True):
            torch.testing.assert_close(found, expected)
    for scaling in ("auto", "columns"):
        found, wanted = (fit_preprocessor(X, scaling, most_features=20).state_dict() for X in (one, other))
        torch.testing.assert_close(found, wanted)


def resident(rows, monkeypatch, entries: bool = False):
    monkeypatch.setattr(DeviceRows, "dense_bytes", 0)
    return DeviceRows.of(rows, fit_preprocessor(rows.X, "one"), entries).X


@pytest.mark.parametrize("entries", [False, True])
def test_an_epoch_decodes_every_block_once(sets, entries, monkeypatch) -> None:
    memory, disk = (part.train.take(np.random.default_rng(1).permutation(300)) for part in sets)
    X, wanted = resident(disk, monkeypatch, entries), resident(memory, monkeypatch, entries)
    assert isinstance(X, SparseBlockRows)
    assert isinstance(wanted, SparseRows)
    order = torch.cat(X.windows(torch.Generator().manual_seed(0)))
    assert order.sort().values.tolist() == list(range(300))
    read: list[int] = []
    csr_of = SparseParts.csr_of
    monkeypatch.setattr(
        SparseParts, "csr_of", lambda X, rows: read.append(len(X.rows[rows])) or csr_of(X, rows)
    )
    for rows in order.split(37):
        found, expected = X[rows], wanted[rows]
        if entries:
            assert torch.equal(found.offsets, expected.offsets)
            assert torch.equal(found.columns, expected.columns)
            torch.testing.assert_close(found.values, expected.values)
        else:
            torch.testing.assert_close(found, expected)
    assert sum(read) == 300
    few = [resident(rows, monkeypatch).take(order[:7])[torch.arange(7)] for rows in (disk, memory)]
    torch.testing.assert_close(*few)


def test_training_on_disk_learns_what_training_in_memory_does(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(parts, "BLOCK_BYTES", 40 * 4 * 8)
    path, found = write_xmc(tmp_path), []
    settings = {"encoder.widths": [16], "classify.stage.epochs": 8, "classify.stage.batch": 16}
    for options, most in (({}, 2**28), (ON_DISK, 0)):
        monkeypatch.setattr(DeviceRows, "dense_bytes", most)
        dataset = data.load(path, options=options)
        train, validation = data.split_validation(dataset, 0)
        model = get("bce", **settings).fit(train, validation, seed=0)
        found.append(metrics.mean_average_precision(model.scores(dataset.test.X), dataset.test.Y))
    by_chance = float(dataset.test.Y.label_counts().mean() / len(dataset.test))
    assert found[1] > found[0] - 0.05 > by_chance
    np.testing.assert_array_equal(
        model.scores(dataset.test.X), model.scores(SparseVectors(dataset.test.X.values))
    )


def test_memory_does_not_grow_with_the_entries(tmp_path, monkeypatch) -> None:
    """A file of 4 MB whose matrix takes 3.6 MB is opened, scaled and read through within a fraction of that."""
    monkeypatch.setattr(parts, "BLOCK_BYTES", 1 << 16)
    monkeypatch.setattr(sparse_lines, "_LINES", 128)
    path = tmp_path / "train.txt"
    with path.open("wb") as file:
        file.write(b"3000 400 5\n")
        row = b" ".join(b"%d:%d.5" % (c, c) for c in range(0, 400, 4))
        for i in range(3000):
            file.write(b"%d %s\n" % (i % 5, row))
    data.load(write_svm(tmp_path), options=ON_DISK)  # imports what it needs
    peaks = []
    for options in ({}, ON_DISK):
        tracemalloc.start()
        dataset = data.load(path, undivided=True, options=options)
        fit_preprocessor(dataset.train.X, "one")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert dataset.train.X.values.nnz == 300_000
    assert peaks[1] < 1.5e6 < 3e6 < peaks[0]


@pytest.mark.parametrize("ending", ["svm", "txt"])
def test_a_damaged_line_is_named_with_its_file(tmp_path, ending, monkeypatch) -> None:
    monkeypatch.setattr(sparse_lines, "_LINES", 16)
    rows = lines(40)
    rows[23] = b"1 4:x\n"
    head = [f"40 {WIDTH} {LABELS}\n".encode()] if ending == "txt" else [b"# a comment\n"]
    path = tmp_path / f"t.{ending}"
    path.write_bytes(b"".join(head + rows))
    told = rf"t\.{ending}, line 25: expected INDEX:VALUE, both numbers, but got '4:x'"
    with pytest.raises(ManyLabelError, match=told):
        data.load(path, options=ON_DISK)
    path.write_bytes(b"".join([*head, *rows[:23]])[:-2])
    if ending == "txt":
        with pytest.raises(ManyLabelError, match=r"t\.txt: expected 40 rows, as line 1 says, but got 23"):
            data.load(path, options=ON_DISK)


@pytest.mark.parametrize("form", ["svmlight", "xmc"])
def test_what_is_read_or_refused_in_memory_is_so_on_disk(form, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sparse_lines, "_LINES", 7)
    path = tmp_path / ("t.svm" if form == "svmlight" else "t.txt")
    head = b"" if form == "svmlight" else f"30 {WIDTH} {LABELS}\n".encode()
    whole, rng, outcomes = head + b"".join(lines(30)), np.random.default_rng(0), []
    for _ in range(150):
        content = bytearray(whole)
        for at in rng.integers(len(whole), size=2).tolist():
            content[at : at + 1] = rng.choice([b"#", b":", b" ", b"\n", b",", b"7", b"-", b"", b"0\r"])
        path.write_bytes(bytes(content))
        found = []
        for options in ({}, ON_DISK):
            try:
                dataset = data.load(path, undivided=True, options=options)
                found.append((dataset.digest, dataset.remarks))
            except ManyLabelError as error:
                found.append(str(error))
        assert found[0] == found[1]
        outcomes.append(isinstance(found[0], str))
    assert 20 < sum(outcomes) < 147  # some are refused, some still are data sets


def test_a_file_that_changes_is_refused(tmp_path) -> None:
    path = write_svm(tmp_path)
    dataset = data.load(path, options=ON_DISK)
    content = path.read_bytes()
    path.write_bytes(content[:-3] + b"9:1")
    os.utime(path, (1, 1))
    with pytest.raises(ManyLabelError, match=r"t-train\.svm: expected the file as it was when it was opened"):
        _ = dataset.train.X.values
    with pytest.raises(ManyLabelError, match="one that has changed"):
        get("bce").fit(dataset.train, dataset.test)
    path.unlink()
    with pytest.raises(ManyLabelError, match=r"t-train\.svm: expected rows 0 to .*No such file"):
        _ = dataset.train.X.values


def test_packed_files_and_other_settings_are_refused(tmp_path) -> None:
    path = tmp_path / "t.svm.gz"
    path.write_bytes(gzip.compress(b"".join(lines())))
    with pytest.raises(ManyLabelError, match=r"an unpacked file.*gunzip"):
        data.load(path, options=ON_DISK)
    with pytest.raises(
        ManyLabelError, match="expected a setting such as on_disk, features, first, but got 'on_disc'"
    ):
        data.load(write_svm(tmp_path), options={"on_disc": True})
    with pytest.raises(ManyLabelError, match="'on_disk': expected true or false, but got 'maybe'"):
        data.load(write_svm(tmp_path), options={"on_disk": "maybe"})
    np.savez(tmp_path / "t.npz", X=np.ones((8, 2)), y=np.eye(8, 2))
    with pytest.raises(ManyLabelError, match="no settings of the reader"):
        data.load(tmp_path / "t.npz", options=ON_DISK)


def test_a_column_that_float32_blurs_stays_float64(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sparse_lines, "_LINES", 4)
    path = tmp_path / "t.svm"
    path.write_bytes(b"".join(b"%d 1:%d 2:0.1\n" % (i % 2, 1_700_000_000 + 60 * i) for i in range(40)))
    memory, disk = (data.load(path, options=options).train.X for options in ({}, ON_DISK))
    assert memory.dtype == torch.float64
    assert disk.dtype == np.float64
    assert disk.values.toarray().tolist() == memory.values.tolist()
