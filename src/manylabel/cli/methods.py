"""Commands that list methods and describe their recipes."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from manylabel.cli.output import print_rows, say

methods_app = typer.Typer(no_args_is_help=True, help="Methods: list them, see their recipes.")


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
