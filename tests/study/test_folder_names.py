"""Names that become folders and files."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.study.small_study import Told, plan

from manylabel.errors import ManyLabelError
from manylabel.study import run
from manylabel.study.folder_names import check_folder_names, file_name, name_of_data


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "...",
            " ",
            "a/b",
            "..\\b",
            "/a",
            ".hidden",
            "a.",
            "a ",
            "a\x00b",
            "a\nb",
            "\x1b[31m",
        ),
        *(
            "\u202ea",
            "x" * 241,
            "日" * 81,
            "study.json",
            "Report.HTML",
            "report.md",
            "Values.csv",
            "report-maps.svg",
            "con",
            "NUL.txt",
            "lpt1",
        ),
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(ManyLabelError, match="methods whose names can name a folder"):
        check_folder_names("`methods`", [name])


@pytest.mark.parametrize(
    ("one", "other"), [("bce", "BCE"), ("caf\u00e9", "cafe\u0301"), ("stra\u00dfe", "STRASSE")]
)
def test_names_that_some_file_system_takes_for_one_are_refused(one: str, other: str) -> None:
    with pytest.raises(ManyLabelError, match="more than upper and lower case"):
        check_folder_names("`methods`", [one, other])


def test_usual_names_are_taken() -> None:
    names = [
        "bce",
        "mulsupcon[pretrain.temperature=0.2]",
        "sklearn.svm.LinearSVC",
        "mine v1.2",
        "日本語",
        "_x",
    ]
    check_folder_names("`methods`", names)


@pytest.mark.parametrize("file", ["...toml", "..toml", "con.toml", "study.json.toml"])
def test_a_recipe_file_cannot_write_beside_the_study(file: str, tiny_data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / file
    recipe.write_text('like = "bce"\n')
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(ManyLabelError):
        run(plan(tiny_data, inside / "out", methods=(str(recipe),), settings={}), Told())
    assert list(inside.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "name"),
    [("yeast", "yeast"), ("a/b.npz", "b"), ("a/b/", "b"), ("..", "top"), (".", "low"), ("/", "data")],
)
def test_data_name_a_folder_below_runs(
    data: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "top" / "low").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "top" / "low")
    assert name_of_data(data) == name


def test_files_of_pictures_have_names_of_their_own() -> None:
    assert file_name("bce[lr=1] against bce") == "bce-lr-1-against-bce"
    assert file_name("bce[lr=-1] against bce", ["bce-lr-1-against-bce"]) == "bce-lr-1-against-bce-2"
    assert file_name("BCE", ["bce", "bce-2"]) == "BCE-3"
    assert file_name("../..") == "picture"
    assert len(file_name("x" * 500)) == 80
