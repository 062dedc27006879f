"""How the package is built: floors, files, and the words that each may use."""

from __future__ import annotations

import re
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "manylabel"


def test_options_are_known_to_the_command_line_alone() -> None:
    below = [path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] != "cli"]
    found = {str(path): re.findall(r"--[a-z][a-z-]*", path.read_text("utf-8")) for path in below}
    assert {path: options for path, options in found.items() if options} == {}
