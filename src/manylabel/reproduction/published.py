"""Published figures, copied from the papers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, TypeAlias

Figures: TypeAlias = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Data set -> method -> metric -> value."""


def figures(table: str) -> Figures:
    """The figures of "table 1" (statistics of data sets), "tables 2 and 3", "table 5" or "table 8" of Zhang and Wu
    (AAAI 2024), or of "automl 2025"."""
    found: Figures = _document()["tables"][table]
    return found


def source(paper: str) -> str:
    """The paper, "mulsupcon" or "automl", that figures are from, and how they came about."""
    told = _document()["papers"][paper]
    return f"{told['source']}. {told['protocol']}"


@cache
def _document() -> dict[str, Any]:
    text = resources.files("manylabel.reproduction").joinpath("published.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
