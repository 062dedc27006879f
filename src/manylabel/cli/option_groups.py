"""Groups of options that several commands take: each is defined once, as a dataclass among a command's parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import wraps
from typing import Annotated, Any

import typer

from manylabel.cli import option_values
from manylabel.cli.data_facts import read_options
from manylabel.cli.options import OneSeed, ReaderSettings, Settings
from manylabel.cli.table_options import (
    ColumnRoles,
    Delimiter,
    Encoding,
    LabelColumns,
    Separator,
    TextColumns,
    column_roles,
)


@dataclass(frozen=True)
class LabelledRows:
    """How a file of rows with labels is read."""

    labels: LabelColumns = None
    column: ColumnRoles = None
    text: TextColumns = None
    separator: Separator = None
    delimiter: Delimiter = None
    encoding: Encoding = None
    read: ReaderSettings = None

    def asked(self, file: str, groups: str | None = None) -> dict[str, Any]:
        """As parameters; ``groups`` is the column of what stays together."""
        return {
            "data": file,
            "labels": self.labels,
            "read": read_options(self.read),
            "columns": roles_of(self.column, self.text, groups),
            "separator": self.separator,
            "delimiter": self.delimiter,
            "encoding": self.encoding,
        }


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained, whatever the method."""

    seed: OneSeed = 0
    settings: Settings = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model that OUT holds.")] = False


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """A command as typer takes it: in place of each parameter that is a group stand the options of the group."""
    parameters = inspect.signature(command, eval_str=True).parameters
    kinds = {
        n: p.annotation
        for n, p in parameters.items()
        if isinstance(p.annotation, type) and is_dataclass(p.annotation)
    }
    groups = {name: inspect.signature(kind, eval_str=True).parameters for name, kind in kinds.items()}
    spread = [each for name, p in parameters.items() for each in groups.get(name, {name: p}).values()]

    @wraps(command)
    def called(**given: Any) -> None:
        made = {
            name: kinds[name](**{option: given.pop(option) for option in options})
            for name, options in groups.items()
        }
        command(**given, **made)

    by_name = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in spread]
    called.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in spread}
    return called


def roles_of(column: list[str] | None, text: str | None, groups: str | None) -> dict[str, str]:
    """Column -> role, of all three options."""
    roles = column_roles(column)
    if text is not None:
        roles |= dict.fromkeys(option_values.names("--text", text), "text")
    return roles if groups is None else roles | {groups: "group"}
