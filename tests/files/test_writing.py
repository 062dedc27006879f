"""Files are replaced whole or left as they were; what dead writers left is removed."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from manylabel import files
from manylabel.errors import ManyLabelError
from manylabel.files.writing import not_written

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}


def dead_process() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_a_file_is_replaced_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    for content in (b"old", b"", b"new"):
        files.write(str(tmp_path / "file"), content)
        assert (tmp_path / "file").read_bytes() == content
    assert os.listdir(tmp_path) == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    files.write(tmp_path / "file", b"old")
    with pytest.raises(TypeError):
        files.write(tmp_path / "file", "text is not bytes")  # type: ignore[arg-type]
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_disk_without_room_leaves_the_old_file(tmp_path: Path) -> None:
    files.write(tmp_path / "file", b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(
            ManyLabelError, match=r"file: expected a file that can be written, but got File too"
        ):
            files.write(tmp_path / "file", bytes(10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_is_gone_or_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "gone" / "x", tmp_path / "file" / "x", tmp_path):
        with pytest.raises(ManyLabelError, match="expected a file that can be written"):
            files.write(place, b"content")
    assert os.listdir(tmp_path) == ["file"]


def test_a_place_where_one_may_not_write_is_told_as_such() -> None:
    told = str(not_written(Path("out.csv"), PermissionError(13, "Permission denied")))
    assert told == (
        "out.csv: expected a file that can be written, but got Permission denied. Name a place where you may write."
    )


def test_only_what_dead_writers_left_is_removed(tmp_path: Path) -> None:
    ours = files.host()
    dead = [f".a.{ours}_{dead_process()}.partial", f".b.{ours}_{os.getpid()}.partial"]
    living = [f".a.{ours}_{os.getppid()}.partial", f".a.elsewhere_{dead_process()}.partial", "notes.partial"]
    for name in dead + living:
        (tmp_path / name).write_text("")
    files.write(tmp_path / "a", b"content")
    assert sorted(os.listdir(tmp_path)) == sorted([*living, "a"])
    yesterday = time.time() - 2 * 24 * 3600
    os.utime(tmp_path / living[1], (yesterday, yesterday))
    files.remove_leftovers(tmp_path)
    assert living[1] not in os.listdir(tmp_path)


def test_what_a_killed_writer_left_is_known_for_its_own() -> None:
    assert all(files.is_own(name) for name in (".lock", "digests.json", f".x.{files.host()}_12.partial"))
    assert not any(files.is_own(name) for name in ("thesis.tex", ".partial", "x.partial", ".git"))


def test_a_file_written_piece_by_piece_takes_the_old_ones_place_at_the_end(tmp_path: Path) -> None:
    files.write(tmp_path / "file", b"old")
    with files.writing(tmp_path / "file") as file:
        file.write(b"?? and more")
        assert (tmp_path / "file").read_bytes() == b"old"
        file.seek(0)
        file.write(b"it")
    assert (tmp_path / "file").read_bytes() == b"it and more"
    with pytest.raises(TypeError), files.writing(tmp_path / "file") as file:
        file.writelines([b"half", "a text"])  # type: ignore[list-item]
    assert (tmp_path / "file").read_bytes() == b"it and more"
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_cannot_be_read_meanwhile_is_told_as_such(
    tmp_path: Path,
) -> None:
    with pytest.raises(FileNotFoundError, match=r"rows\.csv"), files.writing(tmp_path / "out.csv") as file:
        file.write((tmp_path / "rows.csv").read_bytes())
    assert list(tmp_path.iterdir()) == []
