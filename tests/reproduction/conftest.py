"""A small data set on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.study.small_study import write_rows


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("data") / "tiny.npz")
