"""Parameters of plans, searches and requests, as records keep them and as calls show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Render: TypeAlias = Callable[[Mapping[str, Any]], str]
"""Parameters -> what asks for the same again."""


def parameters(asked: DataclassInstance) -> dict[str, Any]:
    """Name -> value, as JSON holds it, of the fields that differ from their defaults.

    ``jobs`` is left out, as results do not depend on it.
    """
    given = {}
    for field in fields(asked):
        value = getattr(asked, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name != "jobs" and value != default:
            given[field.name] = _plain(value)
    return given


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def as_call(name: str, given: Mapping[str, Any]) -> str:
    """Parameters as a call in Python."""
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in given.items())})"


plan_call = partial(as_call, "Plan.grid")
search_call = partial(as_call, "Search")
request_call = partial(as_call, "Request")
