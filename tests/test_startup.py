"""What a start costs, in processor time beside that of Python itself and of the library under the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
BARE = ("-c", "pass")
IMPORT = ("-c", "import manylabel")
TYPER = ("-c", "import typer.rich_utils, rich.traceback")
HELP = ("-m", "manylabel", "--help")


def processor_time(words: Sequence[str], times: int = 5) -> float:
    """The least seconds of a processor that a command takes, whatever else the machine does."""
    return min(_once(words) for _ in range(times))


def _once(words: Sequence[str]) -> float:
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    with subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_utime + used.ru_stime


def test_importing_costs_little_beside_a_bare_start() -> None:
    assert processor_time(IMPORT) <= 2 * processor_time(BARE)  # a bare start takes 10 to 20 ms


def test_help_costs_little_beside_the_library_that_prints_it() -> None:
    assert processor_time(HELP) <= 1.8 * processor_time(TYPER)
