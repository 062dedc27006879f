"""Values of options: lists of numbers, names and methods, and settings as NAME=VALUE."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from manylabel.errors import ManyLabelError


def threads(text: str) -> tuple[int, ...]:
    """Numbers of threads, comma-separated."""
    from manylabel.study.plan import MOST_THREADS, check_number

    parts = [part.strip() for part in text.split(",")]
    if not all(map(_is_number, parts)):
        raise ManyLabelError("--threads", "numbers above 0, comma-separated", repr(text))
    for part in parts:
        check_number("threads", int(part), MOST_THREADS)
    return tuple(map(int, parts))


def seeds(text: str) -> tuple[int, ...]:
    """How many seeds from 0 on, or the seeds themselves."""
    from manylabel.study.plan import MOST_SEEDS, check_number, check_seeds

    parts = [part.strip() for part in text.removesuffix(",").split(",")]
    if not all(map(_is_number, parts)) or (list(map(int, parts)) == [0] and "," not in text):
        hint = "Give a number of seeds such as 3, or the seeds themselves such as 0,7."
        raise ManyLabelError("--seeds", "a number above 0, or comma-separated seeds", repr(text), hint)
    given = list(map(int, parts))
    if "," not in text:
        check_number("seeds", given[0], MOST_SEEDS)
        return tuple(range(given[0]))
    found = tuple(dict.fromkeys(given))
    check_seeds("seeds", found)
    return found


def _is_number(text: str) -> bool:
    """Whether a text is a whole number of a reasonable length in plain digits."""
    return re.fullmatch("[0-9]{1,30}", text) is not None


def settings(
    assignments: Sequence[str], methods: Sequence[str], encoder: str | None = None
) -> dict[str, dict[str, Any]]:
    """Method -> setting -> value, from NAME=VALUE and METHOD.NAME=VALUE; a METHOD means all its variants too.

    ``encoder`` is a frozen encoder for all methods.
    """
    from manylabel.study.variants import Variant, value_of

    found: dict[str, dict[str, Any]] = {}
    if encoder is not None:
        found = {method: {"inputs.encoder": encoder} for method in methods}
    for assignment in assignments:
        name, equals, text = assignment.rpartition("=")
        if not name or not equals:
            raise ManyLabelError("--set", "NAME=VALUE or METHOD.NAME=VALUE", repr(assignment))
        heads = [(method, head) for method in methods for head in (Variant.parse(method).method, method)]
        meant = {method: head for method, head in heads if name.startswith(f"{head}.")}
        for method in meant or methods:
            setting = name.removeprefix(f"{meant[method]}.") if meant else name
            found.setdefault(method, {})[setting] = value_of(text)
    return found


def methods(text: str) -> tuple[str, ...]:
    """Methods and variants, in the spelling that names their folders."""
    from manylabel.study.variants import Variant, split

    return tuple(dict.fromkeys(str(Variant.parse(part)) for part in split(text)))


def names(option: str, text: str) -> tuple[str, ...]:
    """At least one name, comma-separated."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not found:
        raise ManyLabelError(option, "names, comma-separated", repr(text))
    return found


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Comma-separated numbers, in ascending order."""
    try:
        found = {float(part) for part in names(option, text)}
    except ValueError:
        found = {math.nan}
    if not all(map(math.isfinite, found)):
        raise ManyLabelError(option, "numbers, comma-separated", repr(text))
    return tuple(sorted(found))
