"""Variants of methods: ``METHOD[setting=value,...]``, a method with settings that differ from its recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from manylabel.errors import ManyLabelError
from manylabel.methods import short_name

MOST_CHARACTERS = 220  # a variant names a folder, and file systems allow 255 bytes


@dataclass(frozen=True)
class Variant:
    """A method and the settings in its brackets.

    Attributes
    ----------
    method : str
        Name of a recipe, a recipe file or an import path.
    settings : mapping of dotted setting to value
    """

    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Read ``METHOD`` or ``METHOD[setting=value,...]``; values are JSON, or else strings.

        Raises
        ------
        ManyLabelError
            If brackets or an equals sign are missing, or the text cannot name a folder.
        """
        method, bracket, inside = text.strip().partition("[")
        pairs = [part.partition("=") for part in split(inside.removesuffix("]"))]
        if not method or (bracket and not (inside.endswith("]") and pairs)) or not all(v for *_, v in pairs):
            raise ManyLabelError("`method`", "METHOD or METHOD[setting=value,...]", repr(text))
        if len(inside) > MOST_CHARACTERS or set(inside) & set("/\\"):
            expected = (
                f"brackets of at most {MOST_CHARACTERS} characters without a slash, as they name a folder"
            )
            hint = "Use `settings` instead, or a recipe file for each value of a grid."
            raise ManyLabelError("`method`", expected, repr(text), hint)
        return cls(method, {name.strip(): value_of(value) for name, _, value in pairs})

    @property
    def name(self) -> str:
        """What it is called in tables and folders; of a recipe file, without its folder and ending."""
        return str(Variant(short_name(self.method), self.settings))

    def __str__(self) -> str:
        inside = ",".join(f"{name}={text_of(value)}" for name, value in self.settings.items())
        return f"{self.method}[{inside}]" if inside else self.method


def split(text: str) -> list[str]:
    """The parts between commas; a comma inside brackets does not part."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def value_of(text: str) -> Any:
    """A value as JSON, or else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def text_of(value: Any) -> str:
    """What :func:`value_of` reads as this value."""
    plain = isinstance(value, str) and value_of(value) == value
    return value if plain else json.dumps(value, separators=(",", ":"))
