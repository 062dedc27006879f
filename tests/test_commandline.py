"""The command line's words for parameters: rendered commands ask for the same, errors name options."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import pytest
from tests.test_cli import call

from manylabel.cli import commandline, studies
from manylabel.data.example import write_example
from manylabel.errors import ManyLabelError
from manylabel.reproduction import Request
from manylabel.study import Plan
from manylabel.study.parameters import parameters, plan_call
from manylabel.study.search.search import Search

ASKED: dict[str, Any] = {
    "data": "my data.npz",
    "methods": ("bce", "mulsupcon"),
    "seeds": (0, 1, 2),
    "out": Path("runs/x"),
    "settings": {"mulsupcon": {"pretrain.temperature": 0.2}},
    "protocol": "oracle",
    "data_dir": Path("here"),
}
SEARCH = Search(("a", "b c"), "bce", 7, Path("out"), {"classify.stage.select": "loss"}, ("map", "macro_f1"))


def plan(**changes: Any) -> Plan:
    return Plan.grid(**(ASKED | changes))


def line(**changes: Any) -> str:
    return commandline.run(plan(**changes).asked)


def test_the_command_of_a_plan_asks_for_it_again() -> None:
    assert line() == (
        "manylabel run 'my data.npz' --methods bce,mulsupcon --seeds 3 "
        "--set mulsupcon.pretrain.temperature=0.2 --protocol oracle --data-dir here --out runs/x"
    )
    assert "--seeds 7, " in line(seeds=(7,))
    assert "--seeds 1,0 " in line(seeds=(1, 0))


def test_a_flag_has_no_value() -> None:
    asked = {"data": "a.csv", "out": "model", "overwrite": True}
    assert commandline.command_line("fit", asked) == "manylabel fit a.csv --out model --overwrite"


@pytest.mark.parametrize(
    "asked",
    [
        plan(),
        plan(seeds=(7,), fraction=0.123456789, threads=2, protocol="tuned"),
        plan(track=("csv", "mlflow")),
        plan(start="runs/a b/bce", read={"side": 32, "fit": "short"}),
        plan(wrong_labels=0.3, split=7),
        plan(data="places.csv", labels=("is_*", "tags")),
        plan(settings={"bce": {"a": "1", "b": "x", "c": [1, None], "d": {"e": 2}}}),
        SEARCH,
        dataclasses.replace(SEARCH, seeds=(0, 1), splits=(0, 1), protocol="fixed", threads=3),
        dataclasses.replace(SEARCH, space=Path("s.toml"), storage="sqlite:///x.db", data_dir=Path("d")),
        Request("low-data", Path("o"), ("yeast", "a b"), ("bce", "asl[a=[1,2]]"), (0, 1), (0.1, 1.0), 0.5),
    ],
)
def test_commands_read_back_as_what_they_were_rendered_from(
    asked: Plan | Search | Request, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    write_example(tmp_path / "places.csv", rows=5)  # whose columns are looked at
    heard: list[object] = []
    names = {Plan: ("run", "plan"), Search: ("tune", "search"), Request: ("reproduce", "request")}
    command, what = names[type(asked)]
    monkeypatch.setattr(studies, f"run_{what}", lambda given, *how: heard.append(given))
    given = asked.asked if isinstance(asked, Plan) else parameters(asked)
    assert call(*shlex.split(commandline.command_line(command, given))[1:]) == 0
    assert heard == [asked]


def test_calls_and_commands_name_what_differs_from_the_defaults() -> None:
    asked = Plan.grid("yeast", ("bce",), (0,), Path("o"), jobs=4).asked
    assert asked == {"data": "yeast", "methods": ["bce"], "seeds": [0], "out": "o"}
    assert plan_call(asked) == "Plan.grid(data='yeast', methods=['bce'], seeds=[0], out='o')"
    assert parameters(Request("low-data", Path("o"), jobs=4)) == {"name": "low-data", "out": "o"}


def test_errors_name_options_in_place_of_parameters() -> None:
    hint = "Choose another `out`, not `absent`."
    error = ManyLabelError("`data_dir` here", "a share as in `fraction` 1", "`out`", hint)
    assert commandline.explained(error) == (
        "--data-dir here: expected a share as in --fraction 1, but got `out`. Choose another --out, not `absent`."
    )
    folder = ManyLabelError("out", "the folder of a study", "none")  # a folder that is called so
    assert commandline.explained(folder) == str(folder)
