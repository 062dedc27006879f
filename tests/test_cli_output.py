"""What commands print, to any window and any stream, of any name."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress
from tests.study.small_study import TINY, write_rows
from tests.test_cli import call, small

from manylabel.cli import output
from manylabel.cli.streams import forgiving_streams
from manylabel.study.analysis.tables import Cell, Table

ESCAPE = "\x1b]0;title\x07"
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u200b\udc80-\udcff]")


UNECHOED = (f"bce[x={ESCAPE}]", "{data.parent}")  # the setting x is refused, whatever its value


def hostile_rows(folder: Path) -> Path:
    """A folder with a card and labels whose names are meant for a terminal."""
    folder.mkdir()
    with np.load(write_rows(folder / "data.npz")) as file:
        arrays = dict(file)
    arrays["label_names"] = np.array([f"a{ESCAPE}", "[red]b[/red]", "[/]", "c\u202ed\ne"])
    arrays["y_train"][:, 1] = 0  # a remark names it
    np.savez(folder / "data.npz", **arrays)
    card = {"name": f"x{ESCAPE}y\n", "quirks": f"odd{ESCAPE}", "source": "\x9b31m", "licence": "\x1b[1m"}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_rows(tmp_path_factory.mktemp("data") / f"f{ESCAPE}")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["data", "list", "--data-dir", "{data.parent}"], 0),
        (["data", "describe", "{data}"], 0),
        (["data", "get", "{data.name}", "--data-dir", "{data.parent}"], 0),
        (["data", "describe", "{data}" + ESCAPE], 2),
        (["methods", "describe", ESCAPE], 2),
        (["run", ESCAPE], 2),
        (["run", "{data}", "-m", ESCAPE], 2),
        (["run", "{data}", "-m", f"bce[x={ESCAPE}]"], 2),
        (["run", "{data}", "--set", ESCAPE], 2),
        (["run", "{data}", "--set", f"{ESCAPE}=1"], 2),
        (["run", "{data}", "--seeds", ESCAPE], 2),
        (["run", "{data}", "--protocol", ESCAPE], 2),
        (["run", "{data}", f"--{ESCAPE}"], 2),
        (["run", "{data}", ESCAPE], 2),
        (["run", "{data}", "--data-dir", ESCAPE], 2),
        ([ESCAPE], 2),
        (["report", ESCAPE], 2),
        (["tune", ESCAPE], 2),
        (["tune", "{data}", "--metric", ESCAPE], 2),
        (["reproduce", ESCAPE], 2),
        (["bench", "losses", ESCAPE], 2),
        (["run", "\udcff.npz"], 2),
    ],
)
def test_no_name_commands_the_terminal(
    arguments: list[str], code: int, hostile: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    assert (
        call(*(argument.replace("{data}", str(hostile)).format(data=hostile) for argument in arguments))
        == code
    )
    printed = "".join(capfd.readouterr())
    assert not COMMANDS.search(printed)
    assert "Traceback" not in printed
    if arguments[-1] not in UNECHOED:
        assert "\\x1b]0;title\\x07" in printed or "\\udcff" in printed


def test_a_run_on_hostile_names_shows_them(
    hostile: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = ["-m", "bce", "-s", "1", "-j", "1", "-o", tmp_path / f"o{ESCAPE}"]
    assert call("run", hostile, *asked, *small(TINY | {"classify.stage.epochs": 1})) == 0
    printed, progress = capfd.readouterr()
    assert not COMMANDS.search(printed + progress)
    assert "[red]b[/red]" in progress
    assert "\\x1b]0;title\\x07" in printed
    page = (tmp_path / f"o{ESCAPE}" / "report.html").read_text()
    assert not COMMANDS.search(page)


def test_progress_bars_show_names_and_keep_their_own_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    console = output.make_console()
    console.file = stream
    assert isinstance(console, Console)
    with Progress(console=console) as bars:
        bars.add_task(f"run {ESCAPE}", total=1)
    assert "\x1b]0;" not in stream.getvalue()
    assert "run \\x1b]0;" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()


def test_windows_that_are_not_there_are_as_wide_as_columns_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for columns, width in (("60", 60), ("", output.WIDE), ("wide", output.WIDE), ("0", output.WIDE)):
        monkeypatch.setenv("COLUMNS", columns)
        assert output.make_console().width == width


@pytest.mark.parametrize(("encoding", "sign"), [("ascii", "+-"), ("latin-1", "±"), ("utf-8", "±")])
def test_streams_of_any_encoding_take_any_text(
    encoding: str, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [io.BytesIO(), io.BytesIO()]
    for name, stream in zip(("stdout", "stderr"), written, strict=True):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(stream, encoding=encoding, write_through=True))
    with forgiving_streams():
        rows = ((Cell("日本語"), Cell("0.5 ± 0.1")),)
        output.print_table(Table("", ("set", "mAP"), rows))
        output.say("… 日本語 ±", err=True)
    for stream in written:
        text = stream.getvalue().decode(encoding)
        assert sign in text
        assert ("日本語" if encoding == "utf-8" else "\\u65e5\\u672c\\u8a9e") in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "error: Missing argument"),
        (["run", "x", "--jobs", "z"], "See: manylabel run --help"),
        (["nothing"], "error: No such command 'nothing'. See: manylabel --help"),
    ],
)
def test_a_command_line_that_cannot_be_read_names_the_help(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    assert message in capsys.readouterr().err
    assert call("data") == 2
    assert "Usage: manylabel data" in "".join(capsys.readouterr())
