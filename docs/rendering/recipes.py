"""Recipes as tables: what each reached, under which protocol, in how many minutes."""

from __future__ import annotations

from html import escape

from manylabel import methods
from manylabel.metrics import DISPLAY_NAMES

METRICS = ("map", "macro_f1", "micro_f1", "example_f1", "hamming_accuracy")
HEADINGS = ("data", "seeds", "protocol", *(DISPLAY_NAMES[metric] for metric in METRICS), "minutes a seed")


def recipe_table(name: str) -> str:
    """What a recipe is, its source, and a table of the scores that it says to expect."""
    recipe = methods.get(name).recipe
    told = f"<p><code>{name}</code>: {escape(recipe.about)} <em>{escape(recipe.source)}</em></p>"
    if not recipe.expected:
        return told
    rows = "\n".join(_row(_cells(expected)) for expected in recipe.expected)
    return f"{told}\n<table>\n<thead>{_row(HEADINGS, 'th')}</thead>\n<tbody>\n{rows}\n</tbody>\n</table>"


def _cells(expected: methods.recipe.Expected) -> list[str]:
    values = (expected.values.get(metric) for metric in METRICS)
    scores = ("" if value is None else f"{value[0]:.3f} ±\u00a0{value[1]:.3f}" for value in values)
    return [expected.data, str(expected.seeds), expected.protocol, *scores, f"{expected.minutes:g}"]


def _row(cells: list[str] | tuple[str, ...], tag: str = "td") -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
