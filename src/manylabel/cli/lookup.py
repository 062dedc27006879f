"""Commands that list and describe data sets and methods."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from manylabel.cli.options import DataDir
from manylabel.cli.output import print_rows, say
from manylabel.printable import count

data_app = typer.Typer(no_args_is_help=True, help="Data sets: list them, fetch them, look into them.")
methods_app = typer.Typer(no_args_is_help=True, help="Methods: list them, see their recipes.")


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
            size = f"{entry.rows[0]} / {entry.rows[1]}"
            rows.append((name, size, str(entry.features), str(entry.labels), entry.about))
        else:
            rows.append((name, "", "", "", f"in {data_dir}"))
    print_rows(("name", "train / test rows", "features", "labels", "what it is"), rows)


@data_app.command("formats")
def data_formats() -> None:
    """The formats of files and folders that are read, each of them packed with gzip as well."""
    from manylabel.data.formats.registry import FORMATS

    rows = [(format.title, " ".join(format.endings) or "a folder", format.about) for format in FORMATS]
    print_rows(("format", "endings", "what it holds"), rows)


@data_app.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="A data set of [cyan]manylabel data list[/].")],
    data_dir: DataDir = None,
) -> None:
    """Fetch a data set of the catalogue and verify it; into --data-dir, or else into the cache."""
    from manylabel import data
    from manylabel.data.catalogue import cache_folder, catalogue, download

    entry = catalogue().get(name)
    if entry is not None and not (data_dir and (data_dir / name).is_dir()):
        download(entry, data_dir or cache_folder())
    dataset = data.load(name, data_dir)
    say(f"{dataset.name}: {len(dataset.train)} training and {count(len(dataset.test), 'test row')}")
    say(dataset.source)


@data_app.command("describe")
def data_describe(
    name: Annotated[str, typer.Argument(help="A data set by name or by path.")], data_dir: DataDir = None
) -> None:
    """A data set in numbers: rows, labels, how frequent they are, split, source, licence."""
    from manylabel import data

    print_rows(("fact", "value"), list(_facts(data.describe(data.load(name, data_dir)))))


def _facts(described: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and value of each fact, in words."""
    for name, value in described.items():
        fact = name.replace("_", " ")
        if name in ("most_frequent", "least_frequent"):
            yield from (
                (f"{fact} label", f"{label}: {count(n, 'training row')}") for label, n in value.items()
            )
        elif isinstance(value, Mapping):
            yield from ((f"{fact}: {part.replace('_', ' ')}", str(number)) for part, number in value.items())
        elif isinstance(value, list):
            yield from ((fact.removesuffix("s"), text) for text in value)
        else:
            yield fact, "n/a" if value is None else str(value)


@methods_app.command("list")
def methods_list() -> None:
    """All methods, one a line; then the same as their papers train them."""
    from manylabel import methods

    for heading, of_papers in (("method", False), ("as its paper trains it", True)):
        names = [name for name in methods.names() if name.startswith(methods.PAPER) == of_papers]
        print_rows((heading, "what it is"), [(name, methods.get(name).recipe.summary) for name in names])


@methods_app.command("describe")
def methods_describe(
    name: Annotated[str, typer.Argument(help="A method of [cyan]manylabel methods list[/].")],
) -> None:
    """The recipe of a method: every setting that --set can replace, and the scores to expect."""
    from manylabel import methods
    from manylabel.data.rows.registry import KINDS
    from manylabel.study.analysis.tables import expectation
    from manylabel.study.records import flattened

    recipe = methods.get(name).recipe
    say(f"{recipe.name}: {recipe.about}\n{recipe.source}\n")
    table = recipe.table()
    overlays = {kind: table.pop(kind, {}) for kind in KINDS}
    for heading, settings in {
        "setting": table,
        **{f"setting for {kind}": overlays[kind] for kind in KINDS},
    }.items():
        own = flattened(
            {key: value for key, value in settings.items() if key not in ("family", "about", "source")}
        )
        if own:
            print_rows((heading, "value"), [(key, json.dumps(value)) for key, value in own.items()])
    for kind in KINDS:
        if kind not in recipe.kinds:
            say(f"It is not defined for {kind}.")
    for expected in recipe.expected:
        say(f"Expect on {expectation(expected)}.")
