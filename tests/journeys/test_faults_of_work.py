"""A disk that is full or read-only ends a work with a message; once it is mended, the work goes on to the same bits."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.small_works import WORKS, go, left

ERRORS = {"full": errno.ENOSPC, "read-only": errno.EROFS}
SOME = {"fit": (1, 30), "embed": (7,), "search": (1, 3), "study": (40,)}
BYTES = (0, 10, 100, 1000, 10_000)


def check(name: str, given: Path, out: Path, whole: dict[str, Any], **fault: int) -> bool:
    """Refuse some changes and start again; False where the work did not meet the fault."""
    code = go(name, given, out, **fault)
    if code == 0:
        assert left(out) == whole, fault
        return False
    assert code == 2, fault  # an error of ours
    assert go(name, given, out) == 0, fault
    assert left(out) == whole, fault
    return True


@pytest.mark.parametrize("kind", ["full", pytest.param("read-only", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "at"), [(name, at) for name, places in SOME.items() for at in places])
def test_a_refused_write_is_told_and_made_up_for(
    name: str, at: int, kind: str, given: Path, tmp_path: Path, whole: Callable[[str], dict[str, Any]]
) -> None:
    assert check(name, given, tmp_path / "out", whole(name), at=at, error=ERRORS[kind])


@pytest.mark.parametrize("name", WORKS)
@pytest.mark.parametrize(
    "most", [1000, *(pytest.param(n, marks=pytest.mark.slow) for n in BYTES if n != 1000)]
)
def test_files_that_cannot_grow_are_told_and_made_up_for(
    name: str, most: int, given: Path, tmp_path: Path, whole: Callable[[str], dict[str, Any]]
) -> None:
    met = check(name, given, tmp_path / "out", whole(name), most_bytes=most)
    assert met or most == max(BYTES)  # below which some works keep all their files


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("name", WORKS)
def test_a_refusal_at_any_write_is_told_and_made_up_for(
    name: str, kind: str, given: Path, tmp_path: Path, whole: Callable[[str], dict[str, Any]]
) -> None:
    at, out = 1, tmp_path / "out"
    while check(name, given, out, whole(name), at=at, error=ERRORS[kind]):
        shutil.rmtree(out)
        at += 1
    assert at > max(SOME[name])
