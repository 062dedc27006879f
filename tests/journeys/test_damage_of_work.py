"""Damaged files of a fit, an embedding and a search: refused or made anew; never other numbers in silence."""

from __future__ import annotations

import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.files.test_digests import damaged
from tests.journeys.small_works import WORKS, go, left
from tests.training.stops import killed_after

from manylabel import MultiLabelClassifier
from manylabel.errors import ManyLabelError
from manylabel.training import Run

pytestmark = [pytest.mark.usefixtures("without_pauses")]
PARTS = {  # what is damaged, of what, and how often
    "checkpoint": ("fit", "training/**/checkpoint.safetensors", 100),
    "model.json": ("fit", "model/model.json", 100),
    "tensors": ("fit", "model/*.safetensors", 100),
    "cached rows": ("embed", "cache/arrays/*/rows.npy", 100),
    "cached lines": ("embed", "cache/arrays/*/blocks.jsonl", 100),
    "trials": ("search", "trials.db", 60),
}


@pytest.fixture(scope="module")
def made(given: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder in which a work was done; a fit also was stopped half-way, as its last checkpoint tells."""
    places: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in places:
            places[name] = tmp_path_factory.mktemp(name) / "out"
            assert go(name, given, places[name]) == 0
            if name == "fit":
                shutil.rmtree(places[name] / "training")
                with killed_after(9):
                    WORKS["fit"](given, places[name])
        return places[name]

    return of


def used(part: str, given: Path, out: Path, patch: pytest.MonkeyPatch) -> object:
    """What becomes of a work that reads its damaged file."""
    name = PARTS[part][0]
    if part in ("model.json", "tensors"):
        X = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)
        return MultiLabelClassifier.load(out / "model").predict_proba(X).tobytes()
    if part == "checkpoint":
        shutil.rmtree(out / "model")
    with patch.context() as inner:
        inner.setenv("MANYLABEL_CACHE", str(out / "cache"))
        inner.setattr(Run.__init__, "__defaults__", Run.__init__.__defaults__)  # the work sets it
        WORKS[name](given, out)
    found = left(out)
    if name == "embed":
        return found["vectors.npz"]
    return found["trials"] if name == "search" else {k: v for k, v in found.items() if k.startswith("model")}


def check(part: str, given: Path, base: Path, times: int, patch: pytest.MonkeyPatch) -> None:
    """Whatever the damage, the same result or our own error."""
    out, at, met = base.parent / f"damaged {part}", random.Random(part), 0
    wanted = None
    for i in range(times + 1):
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(base, out)
        if i == 0:
            wanted = used(part, given, out, patch)
            continue
        path = at.choice(sorted(out.glob(PARTS[part][1])))
        path.write_bytes(damaged(path.read_bytes(), at))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                assert used(part, given, out, patch) == wanted, f"damage {i}"
            except ManyLabelError:
                met += 1
                continue
        met += any("is computed again" in str(w.message) for w in told)
    assert wanted
    least = (
        0 if part in ("trials", "cached lines") else times
    )  # pages without trials; lines are only left out
    assert met >= least, f"{met} of {times} were told"


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_file_of_work_is_refused_or_made_anew(
    part: str, given: Path, made: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(part, given, made(PARTS[part][0]), 3, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", PARTS)
def test_500_damaged_files_of_work_are_refused_or_made_anew(
    part: str, given: Path, made: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(part, given, made(PARTS[part][0]), PARTS[part][2], monkeypatch)


def test_500_damages_are_tried() -> None:
    assert sum(times for *_, times in PARTS.values()) >= 500
