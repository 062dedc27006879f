"""Shared fixtures: one thread, and the folder of real data sets where a checkout has it."""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from manylabel.files import digests

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets (one folder a set), or a skip that says it is absent."""
    folder = Path(os.environ.get("MANYLABEL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (folder / "yeast" / "data.npz").exists():
        pytest.skip(f"no real data sets in {folder}; name their folder with MANYLABEL_DATA")
    return folder


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged file is looked at several times without a pause: nobody is writing it."""
    monkeypatch.setattr(digests, "_PAUSE", 0.0)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
