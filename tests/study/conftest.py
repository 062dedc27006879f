"""A small data set on disk, and a finished study of it that several files look into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.study.dask_cluster import Cluster
from tests.study.small_study import Told, plan, write_rows

from manylabel.study import StudyFolder, run


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("data") / "tiny.npz")


@pytest.fixture(scope="session")
def study(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """Two methods, two seeds, finished; not to be changed."""
    asked = plan(tiny_data, tmp_path_factory.mktemp("study") / "out")
    assert run(asked, Told()) == []
    return asked.folder


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed", reason="needs dask[distributed], the extra cluster")
    folder = tmp_path / "cluster"
    folder.mkdir()
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.stop()
