"""Arrays that are computed once: written in blocks, read back mapped, resumed after a kill, shared by processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from manylabel.data import cache
from manylabel.data.cache import cached_array, key_of
from manylabel.errors import ManyLabelError

N, WIDTH = 40, 6
WANTED = np.arange(N * WIDTH, dtype=np.float32).reshape(N, WIDTH)
KEY = key_of("numbers", "1")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
# Writes four rows a block, says so, and waits before each until a file of its number is there.
SLOW = """
import pathlib, sys, time
import numpy as np
from manylabel.data.cache import cached_array, key_of
folder, n = pathlib.Path(sys.argv[1]), 40
wanted = np.arange(n * 6, dtype=np.float32).reshape(n, 6)
def compute(start):
    print("computes from", start, flush=True)
    for i in range(start, n, 4):
        while not (folder / f"go{i}").exists():
            time.sleep(0.01)
        yield wanted[i : i + 4]
        print("block", i, flush=True)
found = cached_array(key_of("numbers", "1"), (n, 6), np.float32, compute, folder=folder)
print("equal", (found == wanted).all(), flush=True)
"""


class Rows:
    """Computes the wanted rows, three a block, and remembers where it was asked to start."""

    def __init__(self, most: int = N) -> None:
        self.starts: list[int] = []
        self.most = most

    def __call__(self, start: int):
        self.starts.append(start)
        for i in range(start, N, 3):
            if i >= self.most:
                raise KeyboardInterrupt
            yield WANTED[i : i + 3]


def read(folder: Path, rows: Rows) -> np.ndarray:
    return cached_array(KEY, WANTED.shape, np.float32, rows, folder=folder)


def the_folder(folder: Path) -> Path:
    (only,) = (folder / "arrays").iterdir()
    return only


def test_an_array_is_computed_once_and_mapped(tmp_path):
    rows = Rows()
    for _ in range(3):
        found = read(tmp_path, rows)
        assert isinstance(found, np.memmap)
        assert np.array_equal(found, WANTED)
    assert rows.starts == [0]
    assert np.array_equal(np.load(the_folder(tmp_path) / "rows.npy"), WANTED)
    assert sorted(os.listdir(the_folder(tmp_path))) == ["blocks.jsonl", "rows.npy"]


def test_what_a_caller_writes_stays_with_that_caller(tmp_path):
    torch.from_numpy(read(tmp_path, Rows()))[:] = 0
    assert np.array_equal(read(tmp_path, Rows()), WANTED)


@pytest.mark.parametrize("dtype", ["u1", "f2", "i8", "?", [("a", "u1", (2, 3)), ("b", "i4")]])
def test_every_type_of_fixed_size_comes_back(tmp_path, dtype):
    wanted = np.zeros(5, dtype)
    found = cached_array(KEY, (5,), dtype, lambda start: [wanted[start:]], folder=tmp_path)
    assert found.dtype == wanted.dtype
    assert np.array_equal(found, wanted)


def test_no_rows_need_no_file(tmp_path):
    assert cached_array(KEY, (0, 3), np.uint8, Rows(), folder=tmp_path).shape == (0, 3)
    assert os.listdir(tmp_path) == []


def test_other_keys_shapes_and_types_are_other_arrays(tmp_path):
    for key, shape, dtype in [
        (KEY, (2, 3), "f4"),
        (KEY, (3, 2), "f4"),
        (KEY, (2, 3), "f8"),
        ("b", (2, 3), "f4"),
    ]:
        filled = np.full(shape, len(list(tmp_path.glob("arrays/*"))), dtype)
        found = cached_array(key, shape, dtype, lambda start, filled=filled: [filled], folder=tmp_path)
        assert np.array_equal(found, filled)
    assert len(list(tmp_path.glob("arrays/*"))) == 4


def test_keys_keep_their_parts_apart():
    assert len({key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of(b"abc", "")}) == 4


def test_the_folder_is_that_of_the_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "deep" / "cache"))
    cached_array(KEY, WANTED.shape, np.float32, Rows())
    assert the_folder(tmp_path / "deep" / "cache").is_dir()


@pytest.mark.parametrize("after", [0, 3, 21, 39])
def test_an_interrupted_array_goes_on_where_it_stopped(tmp_path, after):
    with pytest.raises(KeyboardInterrupt):
        read(tmp_path, Rows(after))
    rows = Rows()
    assert np.array_equal(read(tmp_path, rows), WANTED)
    assert rows.starts == [after]


def started(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SLOW, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)


def go(folder: Path, *blocks: int) -> None:
    for block in blocks:
        (folder / f"go{block}").touch()


def test_a_killed_process_loses_no_whole_block(tmp_path):
    go(tmp_path, 0, 4, 8)
    with started(tmp_path) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGKILL)
    assert lines == ["computes from 0\n", "block 0\n", "block 4\n", "block 8\n"]
    go(tmp_path, *range(12, N, 4))
    with started(tmp_path) as process:
        told = process.stdout.read().splitlines()
    assert told[0] == "computes from 12"
    assert told[-1] == "equal True"


def test_a_second_process_waits_and_reads(tmp_path):
    with started(tmp_path) as first:
        assert first.stdout.readline() == "computes from 0\n"
        with started(tmp_path) as second:
            time.sleep(0.3)
            go(tmp_path, *range(0, N, 4))
            assert second.stdout.read().splitlines() == ["equal True"]  # and computed nothing
        assert first.stdout.read().splitlines()[-1] == "equal True"


def test_a_process_that_stands_still_is_not_waited_for_forever(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_STANDSTILL", 0.2)
    with started(tmp_path) as first:
        assert first.stdout.readline() == "computes from 0\n"
        with pytest.raises(ManyLabelError, match=f"in use by process {first.pid}"):
            read(tmp_path, Rows())
        first.kill()


TORN = {
    "rows without a line": (None, lambda lines: [*lines[:-2], b""], 39),
    "half a line": (None, lambda lines: [*lines[:4], lines[4][:20]], 12),
    "a line of nonsense": (None, lambda lines: [*lines[:4], b'{"stop": 15}', *lines[5:]], 12),
    "lines that go back": (None, lambda lines: [*lines[:4], lines[0], *lines[4:]], 12),
    "lines without rows": (190, lambda lines: lines, 0),
    "a short file": (128 + 4 * WIDTH * 20, lambda lines: lines, 18),
}  # fmt: skip


@pytest.mark.parametrize("what", TORN)
@pytest.mark.filterwarnings("ignore:.*is damaged")
def test_what_a_loss_of_power_leaves_is_never_taken_as_whole(tmp_path, what):
    size, edit, start = TORN[what]
    read(tmp_path, Rows())
    place = the_folder(tmp_path)
    lines = (place / "blocks.jsonl").read_bytes().split(b"\n")
    (place / "blocks.jsonl").write_bytes(b"\n".join(edit(lines)))
    if size is not None:
        os.truncate(place / "rows.npy", size)
    rows = Rows()
    assert np.array_equal(read(tmp_path, rows), WANTED)
    assert rows.starts == [start]


def checked_before(place):
    """Let the digests be of a time before the array: clocks of file systems tick every few milliseconds."""
    of = (place / "rows.npy").stat().st_mtime_ns - 1_000_000_000
    os.utime(place / "blocks.jsonl", ns=(of, of))


@pytest.mark.parametrize("always_checked", [0, 1 << 20])
def test_damage_is_told_and_mended(tmp_path, monkeypatch, always_checked):
    monkeypatch.setattr(cache, "ALWAYS_CHECKED", always_checked)
    read(tmp_path, Rows())
    with (the_folder(tmp_path) / "rows.npy").open("r+b") as file:
        file.seek(128 + 4 * WIDTH * 20)
        file.write(b"\xff")
    checked_before(the_folder(tmp_path))
    rows = Rows()
    with pytest.warns(UserWarning, match=r"rows\.npy is damaged: it is computed again"):
        assert np.array_equal(read(tmp_path, rows), WANTED)
    assert rows.starts == [18]
    assert np.array_equal(read(tmp_path, rows), WANTED)
    assert rows.starts == [18]


def test_a_large_array_is_digested_again_only_when_its_file_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "ALWAYS_CHECKED", 0)
    digested = []
    digest = cache._digest
    monkeypatch.setattr(cache, "_digest", lambda *given: digested.append(1) or digest(*given))
    read(tmp_path, Rows())
    read(tmp_path, Rows())
    assert not digested
    checked_before(the_folder(tmp_path))
    read(tmp_path, Rows())
    assert len(digested) == 14
    read(tmp_path, Rows())
    assert len(digested) == 14


def test_a_cache_that_may_only_be_read_is_read(tmp_path):
    read(tmp_path, Rows())
    place = the_folder(tmp_path)
    os.chmod(place / "blocks.jsonl", 0o444)
    os.chmod(place, 0o555)
    try:
        assert np.array_equal(read(tmp_path, Rows(0)), WANTED)
    finally:
        os.chmod(place, 0o755)


WRONG = {
    "too few rows": (lambda start: [WANTED[:30]], "expected 40 rows, but got 30"),
    "too many rows": (lambda start: [WANTED, WANTED[:1]], r"expected up to 0 rows of float32 \(6,\), but got 1 of"),
    "another type": (lambda start: [WANTED.astype("f8")], r"rows of float32 \(6,\), but got 40 of float64 \(6,\)"),
    "another width": (lambda start: [WANTED[:, :5]], r"rows of float32 \(6,\), but got 40 of float32 \(5,\)"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_blocks_of_another_form_are_refused(tmp_path, what):
    compute, told = WRONG[what]
    with pytest.raises(ManyLabelError, match=told):
        cached_array(KEY, WANTED.shape, np.float32, compute, folder=tmp_path)


def test_a_disk_without_room_is_told_before_anything_is_computed(tmp_path):
    rows = Rows()
    with pytest.raises(ManyLabelError, match=r"MiB of room in .*, but got \d+ MiB\. Make room"):
        cached_array(KEY, (1 << 50, 6), np.float32, rows, folder=tmp_path)
    assert rows.starts == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ManyLabelError, match="a folder that can be written to"):
        read(tmp_path / "file", Rows())
