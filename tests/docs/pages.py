"""The pages of the project, and their blocks of code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import typer
from tests.test_cli import call

from manylabel.cli import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
MARKS = ("", "slow", "no-run")
_BLOCK = re.compile(r"^```(python|sh)(?: ([\w-]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A block of code and what is said behind its language: "slow" (minutes), "no-run" (hours, or needs a network)."""

    language: str
    mark: str
    source: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The Python and the shell of a page, in order; those of a page that a command wrote are not run."""
    found = [Block(*parts) for parts in _BLOCK.findall(page.read_text("utf-8"))]
    return [block._replace(mark="no-run") for block in found] if page.parent.name == "results" else found


def run(page: Path, marks: tuple[str, ...]) -> None:
    """Run the blocks of a page that have one of these marks, in order, in the folder of now."""
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page):
        if block.mark not in marks:
            continue
        if block.language == "python":
            exec(compile(block.source, str(page), "exec"), names)
        else:
            for line in commands(block.source):
                run_command(line)


def run_as_script(page: Path, folder: Path, environment: dict[str, str]) -> None:
    """Run the Python of a page as one script: what it imports warns of what other pages import."""
    script = folder / "page.py"
    script.write_text("\n\n".join(block.source for block in blocks(page)), "utf-8")
    command = [sys.executable, script.name]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def commands(source: str) -> list[list[str]]:
    """The command lines of a block as words, without comments."""
    lines = re.sub(r"(^|\s)#.*", "", source.replace("\\\n", " "), flags=re.MULTILINE).splitlines()
    return [words for words in map(shlex.split, lines) if words]


def run_command(words: list[str]) -> None:
    if words[0] == "manylabel":
        assert call(*words[1:]) == 0, words
    else:
        subprocess.run(words, check=True, capture_output=True)


def read_command(words: list[str]) -> str:
    """The name of the command that a command line asks for; an error where its words or options are unknown."""
    command, rest = typer.main.get_command(app), words[1:]
    context = command.make_context("manylabel", rest)
    while hasattr(command, "resolve_command"):
        name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(name, rest, parent=context)
    return context.command_path
