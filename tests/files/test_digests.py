"""Damage to a file that is read back is told; what was written is read, also after a kill between two writes."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import pytest

from manylabel import files
from manylabel.files import Damaged, digests, read_checked, write_checked


@pytest.fixture(autouse=True)
def _at_once(request: pytest.FixtureRequest) -> None:
    if "meanwhile" not in request.node.name:
        request.getfixturevalue("without_pauses")


def read(path: Path) -> bytes:
    return read_checked(path, "a file", "Write it again.")


def damaged(content: bytes, at: random.Random) -> bytes:
    """A flipped bit, a cut or a run of zeros; never the same content."""
    changed, i = bytearray(content), at.randrange(len(content))
    kind = at.choice(("flip", "cut", "zero"))
    if kind == "flip":
        changed[i] ^= 1 << at.randrange(8)
    elif kind == "cut":
        del changed[i:]
    else:
        changed[i : i + 64] = bytes(len(changed[i : i + 64]))
    return bytes(changed) if bytes(changed) != content else content[:-1]


def test_contents_are_read_as_they_were_written(tmp_path: Path) -> None:
    for content in (b"one", b"two", b"", b"two"):
        write_checked(tmp_path / "x", content)
        write_checked(tmp_path / "y", content * 2)
        assert (read(tmp_path / "x"), read(tmp_path / "y")) == (content, content * 2)


def test_every_damage_is_told(tmp_path: Path) -> None:
    at, content = random.Random(0), json.dumps({"value": 0.5, "more": list(range(20))}).encode()
    for _ in range(60):
        write_checked(tmp_path / "x", content)
        (tmp_path / "x").write_bytes(damaged(content, at))
        with pytest.raises(Damaged, match=r"x: expected a file, but got a damaged file.*Write it again"):
            read(tmp_path / "x")


def test_damaged_digests_vouch_for_nothing(tmp_path: Path) -> None:
    at = random.Random(0)
    write_checked(tmp_path / "x", b"content")
    listed = (tmp_path / "digests.json").read_bytes()
    for _ in range(40):
        (tmp_path / "digests.json").write_bytes(damaged(listed, at))
        try:
            assert read(tmp_path / "x") == b"content"  # blanks may change
        except Damaged:
            continue
    (tmp_path / "digests.json").write_bytes(b"")
    with pytest.raises(Damaged, match=r"digests\.json: expected a list of digests"):
        write_checked(tmp_path / "x", b"other")


@pytest.mark.parametrize("kept", [("digests.json",), ("digests.json", "x")])
def test_a_kill_between_digest_and_file_leaves_a_known_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: tuple[str, ...]
) -> None:
    write_checked(tmp_path / "x", b"first")
    for content in (b"second", b"third"):  # killed twice at the same place
        with monkeypatch.context() as patch:
            written = dict.fromkeys(kept, files.write)
            patch.setattr(
                digests, "write", lambda path, c, w=written: w.get(path.name, lambda *_: None)(path, c)
            )
            write_checked(tmp_path / "x", content)
        assert read(tmp_path / "x") == (content if "x" in kept else b"first")
    write_checked(tmp_path / "x", b"last")
    assert read(tmp_path / "x") == b"last"


def test_a_file_that_is_written_meanwhile_is_read(tmp_path: Path) -> None:
    write_checked(tmp_path / "x", b"0")
    done = threading.Event()

    def write() -> None:
        for i in range(40):
            write_checked(tmp_path / "x", str(i).encode())
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert 0 <= int(read(tmp_path / "x")) < 40
    writer.join()


def test_files_of_earlier_versions_are_read_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    with pytest.warns(UserWarning, match=r"no digests\.json, as earlier versions left none"):
        assert read(tmp_path / "x") == b"old"
    write_checked(tmp_path / "y", b"new")
    with pytest.raises(Damaged, match=r"none that digests\.json lists"):
        read(tmp_path / "x")
