"""Relative paths in settings: the same for the process of a worker, from another folder, and after a move."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.study.dask_cluster import Cluster
from tests.study.small_study import Told
from tests.test_cli import call

from manylabel.errors import ManyLabelError
from manylabel.study import Plan, StudyFolder, run
from manylabel.study.executors.dask import Dask
from manylabel.study.rerun import rerun
from text_encoders import bert_folder, static_folder, themed_texts

FAST = {"classify.stage.epochs": 1, "classify.stage.batch": 64}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with texts, encoders and a recipe file, in which commands are typed."""
    home = tmp_path / "shared" / "home"
    write_texts(home / "texts")
    static_folder(home.parent / "encoders" / "table")
    (home / "mine.toml").write_text('like = "logistic_regression"\n[inputs]\nencoder = "../encoders/table"\n')
    (home / "deep").mkdir()
    monkeypatch.chdir(home)
    return home


def write_texts(folder: Path) -> None:
    """A data set of texts, as JSON lines."""
    folder.mkdir(parents=True)
    names = ["cat", "dog", "sea", "sun"]
    (folder / "labels.txt").write_text("\n".join(names) + "\n")
    for seed, (part, n) in enumerate((("train", 90), ("test", 40))):
        texts, Y = themed_texts(n, seed)
        rows = [
            {"text": text, "labels": [names[c] for c in row.nonzero()[0]]}
            for text, row in zip(texts, Y, strict=True)
        ]
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def asked(out: str, **changes: object) -> Plan:
    wanted = {
        "methods": ("logistic_regression", "mine.toml"),
        "settings": {"logistic_regression": {"inputs.encoder": "../encoders/table"}},
        "seeds": (0,),
    }
    return Plan.grid("./texts", out=Path(out), **(wanted | changes))  # type: ignore[arg-type]


def test_a_study_goes_on_from_another_folder_and_after_its_encoder_has_moved(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(asked("runs"), Told()) == []
    monkeypatch.chdir(home / "deep")
    settings = {"logistic_regression": {"inputs.encoder": "../../encoders/table"}}
    there = {"methods": ("logistic_regression", "../mine.toml"), "settings": settings}

    def earlier(encoder: str) -> list[bool]:
        told = Told()
        settings = {"logistic_regression": {"inputs.encoder": encoder}}
        plan = Plan.grid("../texts", out=Path("../runs"), seeds=(0,), **(there | {"settings": settings}))  # type: ignore[arg-type]
        assert run(plan, told) == []
        return [event.earlier for event in told.outcomes()]

    assert earlier("../../encoders/table") == [True, True]
    (home.parent / "encoders" / "new").mkdir()
    os.symlink(home.parent / "encoders" / "table", home.parent / "encoders" / "new" / "link")
    static_folder(home.parent / "encoders" / "new" / "table")  # the same numbers in another place
    assert earlier("../../encoders/new/table") == [True, True]
    assert earlier("../../encoders/new/link") == [True, True]
    static_folder(home.parent / "encoders" / "new" / "table", seed=1)
    with pytest.raises(ManyLabelError, match="there with the model that it starts from as it was before"):
        earlier("../../encoders/new/table")


def test_a_cell_is_run_again_from_any_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(asked("runs"), Told()) == []
    for folder, way in ((home / "deep", "../runs"), (home.parent, "home/runs")):
        monkeypatch.chdir(folder)
        for method in ("logistic_regression", "mine"):
            assert rerun(Path(way) / method / "seed-0").came_back
    assert call("report", "home/runs", "--examples") == 0


def test_paths_in_a_study_file_are_seen_from_its_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
    data = ["texts"]
    methods = ["mine.toml", "logistic_regression"]
    seeds = 1
    [settings.logistic_regression]
    "inputs.encoder" = "../encoders/table"
    """
    (home / "asked.toml").write_text(text)
    here = Plan.of_file("asked.toml", Path("runs"))
    assert (here.data, here.methods[0]) == ("texts", "mine.toml")
    assert run(here, Told()) == []
    monkeypatch.chdir(home.parent)
    there = Plan.of_file("home/asked.toml", Path("home/runs"))
    assert there.names == here.names
    told = Told()
    assert run(there, told) == []
    assert [event.earlier for event in told.outcomes()] == [True, True]


@pytest.mark.slow
def test_processes_beside_this_one_find_the_encoder(home: Path) -> None:
    assert run(asked("runs"), Told()) == run(asked("beside", jobs=2), Told()) == []
    assert_same(StudyFolder(home / "runs"), StudyFolder(home / "beside"))


WEIGHTS = {"inputs.encoder": "../encoders/table"}


@pytest.mark.slow
def test_workers_in_another_folder_train_with_the_same_weights(home: Path, cluster: Cluster) -> None:
    """A frozen table by a setting and by a recipe file, a network that goes on learning, and a start from a model."""
    bert_folder(home.parent / "encoders" / "bert")
    names = ("mine.toml", "logistic_regression", "text_bce")
    net = {"encoder.weights": "../encoders/bert", **FAST}
    wanted = {"methods": names, "settings": {"logistic_regression": WEIGHTS, "text_bce": net}}
    assert run(asked("here", **wanted), Told()) == []
    assert run(asked("there", **wanted), Told(), Dask(cluster.address)) == []
    assert_same(StudyFolder(home / "here"), StudyFolder(home / "there"))
    begin = {"methods": ("bce",), "settings": {"bce": FAST}, "start": "there/text_bce"}
    assert run(asked("on-here", **begin), Told()) == []
    assert run(asked("on-there", **begin), Told(), Dask(cluster.address)) == []
    assert_same(StudyFolder(home / "on-here"), StudyFolder(home / "on-there"))
    told = Told()
    assert run(asked("there", **wanted), told) == []  # nothing is left to train
    assert all(event.earlier for event in told.outcomes())


@pytest.mark.slow
def test_a_search_whose_workers_run_elsewhere_finds_the_same(home: Path, cluster: Cluster) -> None:
    (home / "space.toml").write_text('"parameters.C" = { low = 0.5, high = 2.0 }\n')
    words = ["texts", "--method", "mine.toml", "--trials", "2", "--space", "space.toml"]
    assert call("tune", *words, "--out", "here") == 0
    assert call("tune", *words, "--out", "there", "--scheduler", cluster.address) == 0
    found = [(home / name / "best.toml").read_text().partition("\n")[2] for name in ("here", "there")]
    assert found[0] == found[1]
    assert str(home.parent / "encoders" / "table") in found[0]
    assert len(list((home / "there").rglob("part.json"))) == 2


def assert_same(one: StudyFolder, other: StudyFolder) -> None:
    """The same runs with the same numbers."""
    first, second = one.finished_runs(), other.finished_runs()
    assert [made.method for made in first] == [made.method for made in second] != []
    assert [made.evaluations for made in first] == [made.evaluations for made in second]
