"""Options of commands that read a table: which columns are labels, and what the others mean."""

from __future__ import annotations

from typing import Annotated

import typer

from manylabel.errors import ManyLabelError

LabelColumns = Annotated[
    str | None,
    typer.Option(
        "--labels",
        help="The column of the tags; or those of 0 and 1: names, comma-separated, or a pattern ('is_*').",
    ),
]
ColumnRoles = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="What a column is, as NAME=ROLE: number, boolean, date, category, tags, text, group, weight or skip; may "
        "be given several times.",
        show_default=False,
    ),
]
TextColumns = Annotated[
    str | None,
    typer.Option("--text", help="Columns of free text, comma-separated.", show_default="found out"),
]
Separator = Annotated[
    str | None, typer.Option("--separator", help="Between the tags of a cell.", show_default="found out")
]
Delimiter = Annotated[
    str | None,
    typer.Option("--delimiter", help="Between the cells of a text file.", show_default="found out"),
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", help="Of a text file, such as latin-1.", show_default="found out")
]


def label_option(labels: str | None, source: str) -> str | list[str]:
    """Label columns as the library takes them: a name that holds commas itself is tried first."""
    from manylabel.data.formats.table_registry import open_table

    if labels is None:
        raise ManyLabelError("`labels`", "the columns of the labels of a table", "none", "Such as: genres.")
    if "," not in labels or labels in open_table(source).names:
        return labels
    return [name.strip() for name in labels.split(",") if name.strip()]


def label_names(labels: str | None, source: str) -> tuple[str, ...]:
    """Label columns and patterns one by one; none where none are given."""
    if labels is None:
        return ()
    found = label_option(labels, source)
    return (found,) if isinstance(found, str) else tuple(found)


def column_roles(given: list[str] | None) -> dict[str, str]:
    """NAME=ROLE of each option."""
    roles = {}
    for text in given or ():
        name, sign, role = text.rpartition("=")
        if not sign or not name:
            raise ManyLabelError("`columns`", "NAME=ROLE, such as zip=category", repr(text))
        roles[name] = role
    return roles
