"""Paths from callers: text or Path, and places that are tried before work."""

from pathlib import Path

import pytest

from manylabel import ManyLabelError
from manylabel.files import as_path, usable_folder


def test_text_and_paths_are_one():
    assert as_path("a/b", "test") == as_path(Path("a/b"), "test") == Path("a/b")


def test_a_folder_is_made_with_its_parents_and_left_empty(tmp_path):
    folder = usable_folder(str(tmp_path / "a" / "b"), "test")
    assert folder.is_dir()
    assert not list(folder.iterdir())


@pytest.mark.parametrize("value", [None, 5, b"a", "", "a\0b", ["a"]])
def test_what_is_no_path_is_refused(value):
    with pytest.raises(ManyLabelError, match="test: expected"):
        as_path(value, "test")


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ManyLabelError, match="a folder that can be written to"):
        usable_folder(tmp_path / "file" / "inner", "test")
