"""What a user has at hand: a shell, and a file of places to stay with tags."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.small_works import go, left, write_given

from manylabel.cli import main
from manylabel.data.example import write_example

QUICK = {
    "classify.stage.epochs": 4,
    "pretrain.stage.epochs": 2,
    "vectors.encoder.widths": [16],
}
Shell = Callable[..., tuple[int, str, str]]


def quick(**changes: object) -> list[str]:
    """Options of a training of seconds."""
    settings = (QUICK | changes).items()
    words = [word for name, value in settings for word in ("--set", f"{name}={json.dumps(value)}")]
    return ["--method", "mulsupcon_knn", *words]


def exit_code(*words: str | Path) -> int:
    """Of a command line."""
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Runs a command line: exit code, output, errors."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words: str | Path) -> tuple[int, str, str]:
        return (exit_code(*words), *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``places.csv`` and ``test.csv``."""
    folder = tmp_path_factory.mktemp("places")
    write_example(folder / "places.csv", rows=150)
    write_example(folder / "test.csv", rows=60, seed=1)
    return folder


@pytest.fixture(scope="session")
def model(places: Path) -> Path:
    """The folder of a model of the places, made by the command."""
    words = ("fit", places / "places.csv", "--labels", "tags", "--out", places / "model")
    assert exit_code(*words, *quick()) == 0
    return places / "model"


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the small works start from."""
    return write_given(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="session")
def whole(given: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """What a small work leaves where nothing was killed."""
    found: dict[str, dict[str, Any]] = {}

    def of(name: str) -> dict[str, Any]:
        if name not in found:
            out = tmp_path_factory.mktemp(name) / "out"
            assert go(name, given, out) == 0
            found[name] = left(out)
            assert found[name]
        return found[name]

    return of
