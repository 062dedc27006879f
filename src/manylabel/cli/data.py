"""Commands that list, fetch and describe data sets and tables."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manylabel.cli import commandline
from manylabel.cli.data_facts import facts_in_words, read_options, show_data_set
from manylabel.cli.options import DataDir, ReaderSettings
from manylabel.cli.output import print_rows, say, say_path
from manylabel.cli.table_options import (
    ColumnRoles,
    Delimiter,
    Encoding,
    LabelColumns,
    Separator,
    column_roles,
    label_option,
)
from manylabel.printable import count

if TYPE_CHECKING:
    from manylabel.data.catalogue import Entry
    from manylabel.data.table_description import LabelFacts
    from manylabel.data.tables import Table

_MOST_BARS = 25

data_app = typer.Typer(no_args_is_help=True, help="Data sets: list them, fetch them, look into them.")


@data_app.command("list")
def data_list(data_dir: DataDir = None) -> None:
    """The data sets that can be named, with their size."""
    from manylabel import data
    from manylabel.data import digits
    from manylabel.data.catalogue import catalogue

    entries = catalogue()
    rows = []
    for name in data.names(data_dir):
        if name == "digits":
            size, side = f"{digits.N_TRAIN} / {digits.N_TEST}", digits.CANVAS
            about = "pictures of one to four handwritten digits, composed in memory"
            rows.append((name, size, f"{side} x {side}", str(digits.N_DIGITS), about))
        elif name in entries:
            entry = entries[name]
            rows.append((name, *_size_of(entry), entry.about))
        else:
            rows.append((name, "", "", "", f"in {data_dir}"))
    print_rows(("name", "train / test rows", "features", "labels", "what it is"), rows)


def _size_of(entry: Entry) -> tuple[str, str, str]:
    """Rows of both parts, features and labels, as far as they are known."""
    n_train, n_test = entry.rows or (0, 0)
    rows = f"{n_train} / {n_test}" if n_test else str(n_train) if n_train else ""
    return rows, str(entry.features or ""), str(entry.labels or "")


@data_app.command("formats")
def data_formats() -> None:
    """The formats of files and folders that are read, text packed with gzip as well."""
    from manylabel.data.formats.registry import FORMATS
    from manylabel.data.formats.table_registry import TABLE_FORMATS

    known = [*TABLE_FORMATS, *((format.title, format.endings, format.about) for format in FORMATS)]
    rows = [(title, " ".join(endings) or "a folder", about) for title, endings, about in known]
    print_rows(("format", "endings", "what it holds"), rows)


@data_app.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="A data set of [cyan]manylabel data list[/].")],
    data_dir: DataDir = None,
) -> None:
    """Fetch a data set of the catalogue and verify it; into --data-dir, or else into the cache."""
    from manylabel import data
    from manylabel.data.cache import cache_folder
    from manylabel.data.catalogue import catalogue, download

    entry = catalogue().get(name)
    if entry is not None and not (data_dir and (data_dir / name).is_dir()):
        download(entry, data_dir or cache_folder())
    dataset = data.load(name, data_dir)
    say(f"{dataset.name}: {len(dataset.train)} training and {count(len(dataset.test), 'test row')}")
    say(dataset.source)


@data_app.command("example")
def data_example(
    file: Annotated[Path, typer.Argument(help="CSV file to write.")],
    rows: Annotated[int, typer.Option("--rows", "-n", help="How many places to stay.")] = 600,
    seed: Annotated[int, typer.Option("--seed", "-s", help="Another one gives other rows.")] = 0,
    without_labels: Annotated[
        bool, typer.Option("--without-labels", help="Leave the column of tags out, as in new rows.")
    ] = False,
) -> None:
    """Write a small table to try things on: descriptions, regions and prices of places to stay, with tags."""
    from manylabel.data.example import write_example

    say_path("table", write_example(file, rows, seed, labels=not without_labels))
    if not without_labels:
        say(f"Train on it with:\n  {commandline.command_line('fit', {'data': str(file), 'labels': 'tags'})}")


@data_app.command("describe")
def data_describe(
    name: Annotated[
        str, typer.Argument(help="A data set by name or by path; a table by path, with [cyan]--labels[/].")
    ],
    data_dir: DataDir = None,
    labels: LabelColumns = None,
    column: ColumnRoles = None,
    separator: Separator = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    other: Annotated[
        Path | None,
        typer.Option("--other", help="A second table, such as test rows: repeated rows are counted."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A folder for pictures of label frequencies and co-occurrence."),
    ] = None,
    read: ReaderSettings = None,
) -> None:
    """A data set or table in numbers, beside those of a paper; rows, labels, what columns were taken for."""
    from manylabel import data
    from manylabel.data.own_rows import is_plain_table

    if labels is None and not is_plain_table(name):
        show_data_set(name, data_dir, read_options(read))
        return
    table = data.read_table(
        name,
        labels=label_option(labels, name),
        columns=column_roles(column),
        separator=separator,
        delimiter=delimiter,
        encoding=encoding,
    )
    _show_table(table, None if other is None else table.schema.apply(other), out)


def _show_table(table: Table, other: Table | None, out: Path | None) -> None:
    from manylabel.data.table_description import describe_table, label_facts

    columns = table.schema.columns
    rows = [(c.name, c.role, f"{c.missing:.0%}", c.why, _cut("; ".join(c.examples))) for c in columns]
    print_rows(("column", "taken for", "missing", "because", "such as"), rows)
    print_rows(("fact", "value"), list(facts_in_words(describe_table(table, other))))
    facts = label_facts(table)
    most = max(1, int(facts.counts.max()))
    shown = facts.shown[:_MOST_BARS].tolist()
    bars = [(facts.names[i], str(facts.counts[i]), "█" * ceil(30 * facts.counts[i] / most)) for i in shown]
    print_rows(("label", "rows", ""), bars)
    if len(facts.names) > len(shown):
        say(f"{len(facts.names) - len(shown)} rarer labels are not shown.")
    if out is not None:
        _draw(facts, out)


def _cut(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _draw(facts: LabelFacts, out: Path) -> None:
    from manylabel import files
    from manylabel.study.analysis.figures.drawing import require_matplotlib
    from manylabel.study.analysis.figures.label_plots import draw_frequencies, draw_together

    require_matplotlib()
    folder = files.usable_folder(out, "`out`")
    for name, draw in (("label_frequencies.png", draw_frequencies), ("labels_together.png", draw_together)):
        draw(facts).save(folder / name)
        say_path("picture", folder / name)
