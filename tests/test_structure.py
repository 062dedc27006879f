"""How the package is built: floors that import only those below, files without cycles, options in one place."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"


def modules() -> dict[str, Path]:
    """Name -> file of every module."""
    paths = (SOURCE / "manylabel").rglob("*.py")
    parts = {path: path.relative_to(SOURCE).with_suffix("").parts for path in paths}
    return {".".join(of).removesuffix(".__init__"): path for path, of in parts.items()}


def imported(path: Path, known: set[str]) -> Iterator[str]:
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in names)


def a_cycle(graph: dict[str, set[str]]) -> list[str]:
    """Some modules that import each other in a circle, if there are any."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_import_each_other_in_a_circle() -> None:
    paths = modules()
    del paths["manylabel"]  # knows the floors by name alone, and imports them when asked for one
    graph = {name: {*imported(path, set(paths))} - {name} for name, path in paths.items()}
    assert len(graph) > 100
    assert "manylabel.study.cell" in graph["manylabel.study.plan"]
    assert a_cycle(graph) == []
    assert a_cycle(graph | {"manylabel.errors": {"manylabel.cli"}})


def test_every_floor_imports_only_those_below() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_options_are_known_to_the_command_line_alone() -> None:
    below = [path for name, path in modules().items() if not name.startswith("manylabel.cli")]
    found = {str(path): re.findall(r"--[a-z][a-z-]*", path.read_text("utf-8")) for path in below}
    assert {path: options for path, options in found.items() if options} == {}
