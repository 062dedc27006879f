"""Pages of code: that on other libraries runs as a script of its own, as those libraries warn of each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs" / "ecosystem").glob("*.md")), ROOT / "docs" / "unknown.md"]
OFFLINE = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT / "src")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_code_of_the_page_runs_as_a_script(page: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    assert blocks
    script = tmp_path / "page.py"
    script.write_text("\n\n".join(blocks), "utf-8")
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, env=os.environ | OFFLINE, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
