"""Measured figures beside their goals, as a table on the screen or in Markdown."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from manylabel.benchmarking.losses import Row

HEADINGS = ("case", "threads", "what", "measured", "goal", "met", "of which")


def markdown(rows: Iterable[Row]) -> Iterator[str]:
    """The same table for a document, line by line."""
    yield from (machine(), "", "| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS))
    for row in rows:
        yield "| " + " | ".join(cells(row)) + " |"


def cells(row: Row) -> tuple[str, ...]:
    """One row as text."""
    goal = f"{'≥' if row.at_least else '≤'} {row.goal:.3g}"
    met = "yes" if row.met else "no"
    return row.case, str(row.threads), row.what, f"{row.measured:.3g}", goal, met, row.detail


def machine() -> str:
    """Processor, versions and date."""
    today = datetime.date.today().isoformat()
    return f"{_processor()}, Python {platform.python_version()}, torch {torch.__version__}, {today}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    names = [
        line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
    ]
    vector = (
        "AVX-512" if "avx512f" in info.read_text() else "AVX2" if "avx2" in info.read_text() else "no AVX2"
    )
    return f"{len(names)} x {names[0]} ({vector})" if names else platform.machine()
