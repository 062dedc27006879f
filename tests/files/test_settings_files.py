"""Recipes, study files and search spaces that mean harm, by harmless stand-ins: each refused, with its reason."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from manylabel import methods
from manylabel.errors import ManyLabelError
from manylabel.files.settings import MOST_BYTES
from manylabel.study import Plan
from manylabel.study.search.space import read_space

READERS: dict[str, Callable[[Path], object]] = {
    "a recipe": lambda path: methods.get(str(path)),
    "a study": Plan.of_file,
    "a search space": lambda path: read_space(path, "bce", {}),
}
TEXTS = {
    "too large": ("x = 1\n" + "# \n" * MOST_BYTES, r"of at most 1048576 bytes, but got a larger file"),
    "nested without an end": ("x = " + "[" * 100_000, r"nested too deeply|Invalid|Unclosed"),
    "tables without an end": (
        "[" + "a." * 500_000 + "a]\nb = 1",
        r"of at most 2000 dots in a line, but got one of 500000",
    ),
    "many deep tables": (("[" + "a." * 1_900 + "a]\n") * 250, r"in TOML, but got Cannot declare"),
    "not text": ("\udcff\udcfe", r"codec can't decode"),
    "no TOML": ("hello", r"in TOML, but got"),
    "the same key twice": ('like = "bce"\nlike = "bce"', r"in TOML, but got Cannot overwrite"),
    "a number of a million digits": ("x = " + "9" * 1_000_000, r"in TOML, but got"),
    "code": ("__import__('os').system('true')", r"in TOML, but got"),
    "a tag of another language": ("x = !!python/object/apply:os.system ['true']", r"in TOML, but got"),
}


@pytest.mark.parametrize("what", READERS)
@pytest.mark.parametrize("kind", TEXTS)
def test_a_file_that_means_harm_is_refused_soon_and_in_little_memory(
    what: str, kind: str, tmp_path: Path
) -> None:
    text, told = TEXTS[kind]
    path = tmp_path / "file.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    began = time.process_time()
    tracemalloc.start()
    with pytest.raises(ManyLabelError, match=told) as refused:
        READERS[what](path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(path) in str(refused.value)
    assert time.process_time() - began < 5
    assert peak < 160 * MOST_BYTES  # numbers of a million digits take the most
    assert os.listdir(tmp_path) == ["file.toml"]


@pytest.mark.parametrize("what", READERS)
def test_a_pipe_is_not_waited_for(what: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file.toml")
    with pytest.raises(ManyLabelError, match=rf"{what} in TOML, but got a pipe or a device\. Name a file\."):
        READERS[what](tmp_path / "file.toml")


@pytest.mark.parametrize("what", READERS)
def test_a_folder_is_no_file(what: str, tmp_path: Path) -> None:
    (tmp_path / "file.toml").mkdir()
    with pytest.raises(ManyLabelError, match=rf"{what} in TOML, but got Is a directory"):
        READERS[what](tmp_path / "file.toml")


OUTSIDE = {
    "recipes in a circle": ('like = "{here}/other.toml"', "a recipe that is not like itself"),
    "a classifier that is a function of the system": (
        'estimator = "os.system"\nlike = "linear_svm"',
        r"expected a class|an import path",
    ),
    "a classifier of code": (
        'estimator = "builtins.exec"\nlike = "linear_svm"',
        r"expected a class|an import path",
    ),
    "a family that is a module": ('family = "os"', r"family"),
}


@pytest.mark.parametrize("kind", OUTSIDE)
def test_a_recipe_reaches_nothing_outside(kind: str, tmp_path: Path) -> None:
    text, told = OUTSIDE[kind]
    path = tmp_path / "file.toml"
    path.write_text(text.format(here=tmp_path))
    (tmp_path / "other.toml").write_text(f'like = "{path}"')
    with pytest.raises(ManyLabelError, match=told):
        methods.get(str(path))
