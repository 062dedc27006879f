"""What options of the command line hold: lists of numbers, and settings as NAME=VALUE."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from manylabel.errors import ManyLabelError


def threads(text: str) -> tuple[int, ...]:
    """Numbers of threads, comma between."""
    numbers = tuple(int(part) for part in text.split(",") if part.strip().isdecimal())
    if not numbers or min(numbers) < 1:
        raise ManyLabelError("--threads", "numbers above 0 with commas between", repr(text))
    return numbers


def seeds(text: str) -> tuple[int, ...]:
    """How many seeds from 0 on, or the seeds themselves."""
    try:
        numbers = [int(part) for part in text.removesuffix(",").split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0 or numbers == [0]:
        hint = "Give a number of seeds such as 3, or the seeds themselves such as 0,7."
        raise ManyLabelError("--seeds", "a number above 0, or seeds with commas between", repr(text), hint)
    listed = "," in text
    return tuple(dict.fromkeys(numbers)) if listed else tuple(range(numbers[0]))


def settings(assignments: Sequence[str], methods: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Method -> setting -> value, from NAME=VALUE and METHOD.NAME=VALUE."""
    found: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not name or not equals:
            raise ManyLabelError("--set", "NAME=VALUE or METHOD.NAME=VALUE", repr(assignment))
        own = [(m, name.removeprefix(f"{m}.")) for m in methods if name.startswith(f"{m}.")]
        for method, setting in own or [(m, name) for m in methods]:
            found.setdefault(method, {})[setting] = _value(text)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
