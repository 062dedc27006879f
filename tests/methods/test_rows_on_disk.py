"""Rows that stay on disk: what they are, and that training on them is training on the same rows in memory."""

from __future__ import annotations

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tests.training.small_run import SETTINGS
from tests.training.small_run import rows as small_rows

from manylabel import ManyLabelError, metrics
from manylabel.data import Rows, VectorParts, open_parts, split_validation
from manylabel.data.dataset import DataSet
from manylabel.data.rows import NpyPart, Vectors, parts
from manylabel.methods import block_rows, get
from manylabel.methods.block_rows import BlockRows
from manylabel.methods.rows import DeviceRows
from manylabel.models import fit_preprocessor

N = 1000


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Rows in memory, and the same in three files read 40 rows at a time."""
    monkeypatch.setattr(parts, "BLOCK_BYTES", 40 * 10 * 4)
    memory = small_rows(N, 0)
    cuts = [0, 333, 350, N]
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", memory.X.values[cuts[i] : cuts[i + 1]].numpy())
    disk = open_parts(*(tmp_path / f"{i}.npy" for i in range(3)))
    return memory, Rows(disk, memory.Y), tmp_path


def test_rows_of_files_are_those_in_memory(saved) -> None:
    memory, disk, _ = saved
    X, rows = disk.X, np.array([999, 0, 340, 340, 12, 500])
    assert (X.shape, X.form, X.dtype, X.block) == (memory.X.shape, memory.X.form, torch.float32, 40)
    assert torch.equal(X.values, memory.X.values)
    assert torch.equal(X.take(rows).values, memory.X.values[rows])
    assert torch.equal(X.take(slice(330, 360)).values, memory.X.values[330:360])
    assert torch.equal(X.take(rows).concat(X.take(slice(0, 2))).values[-2:], memory.X.values[:2])
    assert torch.equal(X.take(rows).concat(memory.X).values[:6], memory.X.values[rows])
    assert list(X.row_keys()) == list(memory.X.row_keys())
    assert b"".join(map(bytes, X.content())) == b"".join(map(bytes, memory.X.content()))
    for one, other in zip(X.moments(torch.float32), memory.X.moments(torch.float32), strict=True):
        torch.testing.assert_close(one, other)
    data = DataSet("made", disk, disk.take(slice(0, 10)), ("a", "b", "c", "d"))
    train, validation = split_validation(data, 0)
    assert isinstance(train.X, VectorParts)
    assert len(train) + len(validation) == N


def resident(rows: Rows, monkeypatch) -> BlockRows:
    monkeypatch.setattr(DeviceRows, "dense_bytes", 0)
    found = DeviceRows.of(rows, fit_preprocessor(rows.X)).X
    assert isinstance(found, BlockRows)
    return found


def test_an_epoch_reads_every_block_once_in_an_order_of_its_own(saved, monkeypatch) -> None:
    memory, disk, _ = saved
    part = np.random.default_rng(0).permutation(N)[:800]  # as a split leaves them, in any order
    X = resident(disk.take(part), monkeypatch)
    wanted = fit_preprocessor(disk.take(part).X)(memory.X.values[part])
    orders = [torch.cat(X.windows(torch.Generator().manual_seed(seed))) for seed in (0, 0, 1)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert orders[0].sort().values.tolist() == list(range(800))
    read: list[int] = []
    batch = VectorParts.batch
    monkeypatch.setattr(VectorParts, "batch", lambda X, rows: read.append(len(X)) or batch(X, rows))
    for rows in orders[0].split(37):
        torch.testing.assert_close(X[rows], wanted[rows])
    assert sum(read) == 800  # each row once
    assert len(X.kept) <= 2 * block_rows.WINDOW
    near = torch.tensor(part)[orders[0][:100]] // 40
    assert len(near.unique()) > 4  # rows of several blocks are mixed


def test_steps_whose_labels_have_carriers_read_every_block_once_too(saved, monkeypatch) -> None:
    memory, disk, _ = saved
    monkeypatch.setattr(DeviceRows, "dense_bytes", 0)
    read: list[int] = []
    of_block = BlockRows._read
    monkeypatch.setattr(BlockRows, "_read", lambda X, part: read.append(len(part)) or of_block(X, part))
    settings = {"encoder.widths": [8], "classify.stage.batch": 16, "classify.stage.carriers": 3}
    for epochs in (1, 3):
        get("bce", **settings, **{"classify.stage.epochs": epochs}).fit(
            disk, memory.take(slice(0, 50)), seed=0
        )
    assert N <= sum(read) <= (1 + 3) * N  # a block that is still kept is not read again


@pytest.mark.parametrize("method", ["bce", "mulsupcon", "rbcc"])
def test_training_on_disk_learns_what_training_in_memory_does(method, saved, monkeypatch) -> None:
    memory, disk, _ = saved
    settings = {k: v for k, v in SETTINGS.items() if method == "mulsupcon" or "pretrain" not in k}
    if method == "rbcc":
        settings = {"classify.stage.epochs": 4, "errors.stage.epochs": 2}
    test, right = small_rows(400, 2), []
    for rows, most in ((memory, 2**28), (disk, 0)):
        monkeypatch.setattr(DeviceRows, "dense_bytes", most)
        model = get(method, **settings).fit(rows, small_rows(100, 1), seed=0)
        ranked = metrics.mean_average_precision(model.scores(test.X), test.Y)
        right.append(ranked)
    by_chance = float(test.Y.label_counts().mean() / len(test))
    assert right[1] > right[0] - 0.05 > by_chance
    np.testing.assert_array_equal(model.scores(disk.X), model.scores(Vectors(disk.X.values)))


def test_files_that_hold_no_rows_are_refused(tmp_path, saved) -> None:
    folder = saved[2]
    bad = tmp_path / "bad.npy"
    for array, told in (
        (np.zeros(3), r"of shape \(3,\)"),
        (np.asfortranarray(np.zeros((3, 2))), "column by column"),
        (np.array([["a"]]), "<U1"),
        (np.zeros((0, 4)), r"\(0, 4\)"),
    ):
        np.save(bad, array)
        with pytest.raises(ManyLabelError, match=told):
            NpyPart.open(bad)
    np.save(bad, np.zeros((5, 10), dtype=np.float32))
    bad.write_bytes(bad.read_bytes()[:-3])
    with pytest.raises(ManyLabelError, match="as its header says"):
        NpyPart.open(bad)
    bad.write_bytes(b"PK")
    with pytest.raises(ManyLabelError, match=r"bad\.npy: expected an npy file"):
        NpyPart.open(bad)
    np.save(bad, np.zeros((5, 10)))
    with pytest.raises(ManyLabelError, match="10 columns of float32"):
        open_parts(folder / "0.npy", bad)
    with pytest.raises(ManyLabelError, match="at least one file"):
        open_parts()
    with pytest.raises(ManyLabelError, match=r"no\.npy"):
        open_parts(tmp_path / "no.npy")


def test_a_file_that_is_cut_or_holds_nan_stops_training_before_it_is_used(saved, tmp_path) -> None:
    _, disk, folder = saved
    values = np.zeros((10, 10), dtype=np.float32)
    values[3, 7] = np.nan
    np.save(tmp_path / "nan.npy", values)
    with pytest.raises(ManyLabelError, match=r"nan\.npy: expected finite numbers.*row 3, column 7"):
        get("bce").fit(Rows(open_parts(tmp_path / "nan.npy"), disk.Y.take(slice(0, 10))), disk)
    cut = folder / "0.npy"
    cut.write_bytes(cut.read_bytes()[:-400])
    with pytest.raises(ManyLabelError, match=r"0\.npy: expected rows .* It was cut meanwhile"):
        get("bce").fit(disk, disk)


@pytest.mark.parametrize("ending", [".h5", ".parquet"])
def test_hdf5_and_parquet_are_read_by_rows_too(ending, saved, tmp_path) -> None:
    memory, path = saved[0], tmp_path / f"X{ending}"
    values = memory.X.values.numpy()
    if ending == ".h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("X", data=values, chunks=(64, 10), compression="gzip")
    else:
        table = pa.table({f"c{i}": values[:, i] for i in range(10)})
        pq.write_table(table, path, row_group_size=170)
    X = open_parts(path)
    assert (X.shape, X.dtype) == (memory.X.shape, torch.float32)
    assert torch.equal(X.values, memory.X.values)
    assert torch.equal(X.take(slice(160, 350)).values, memory.X.values[160:350])
    assert torch.equal(X.take(np.array([999, 3])).values, memory.X.values[[999, 3]])


def test_other_files_and_columns_are_refused(tmp_path) -> None:
    with pytest.raises(ManyLabelError, match="paths of files, but got 5"):
        open_parts(5)
    with pytest.raises(ManyLabelError, match=r"ends in \.npy, \.h5, \.hdf5, \.parquet"):
        open_parts(tmp_path / "X.csv")
    pq.write_table(pa.table({"a": [1.0], "b": ["x"]}), tmp_path / "X.parquet")
    with pytest.raises(ManyLabelError, match=r"X\.parquet, column b: expected a column of numbers"):
        open_parts(tmp_path / "X.parquet")
    with h5py.File(tmp_path / "X.h5", "w") as file:
        file["Z"] = np.zeros((2, 2))
    with pytest.raises(ManyLabelError, match="a data set X, but got Z"):
        open_parts(tmp_path / "X.h5")
    with h5py.File(tmp_path / "Y.h5", "w") as file:
        file["X"] = h5py.ExternalLink("X.h5", "Z")
    with pytest.raises(ManyLabelError, match="a link to somewhere else"):
        open_parts(tmp_path / "Y.h5")
    for path in (tmp_path / "bad.h5", tmp_path / "bad.parquet"):
        path.write_bytes(b"no such thing")
        with pytest.raises(ManyLabelError, match=path.name):
            open_parts(path)
    pq.write_table(pa.table({"a": [1.0, None]}), tmp_path / "gap.parquet")
    with pytest.raises(ManyLabelError, match=r"gap\.parquet: expected finite numbers, but got NaN in row 1"):
        _ = open_parts(tmp_path / "gap.parquet").values
    pq.write_table(pa.table({"a": pa.array([1, None, 3]), "b": [1, 2, 3]}), tmp_path / "hole.parquet")
    with pytest.raises(
        ManyLabelError, match=r"hole\.parquet, column a: expected a number in every row, but got 1"
    ):
        _ = open_parts(tmp_path / "hole.parquet").values
    for dtype in (">f4", "longdouble", "complex64"):
        np.save(tmp_path / "odd.npy", np.ones((3, 2), dtype=dtype))
        with pytest.raises(ManyLabelError, match=r"odd\.npy: expected an npy file of rows of numbers"):
            open_parts(tmp_path / "odd.npy")


def test_numbers_of_another_byte_order_are_those_numbers(tmp_path) -> None:
    with h5py.File(tmp_path / "X.h5", "w") as file:
        file["X"] = np.arange(6, dtype=">f4").reshape(3, 2)
    X = open_parts(tmp_path / "X.h5")
    assert (X.dtype, X.values.tolist()) == (torch.float32, [[0, 1], [2, 3], [4, 5]])


def test_a_file_that_was_written_again_is_read_again(tmp_path) -> None:
    path = tmp_path / "X.parquet"
    for value in (9.0, 1.0):
        pq.write_table(pa.table({"a": [value] * 4}), path)
        assert open_parts(path).values.tolist() == [[value]] * 4
