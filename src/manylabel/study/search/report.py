"""The report of a search: the best trials as a table, a picture, and the winner as a recipe file."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from manylabel import files, methods
from manylabel.errors import ManyLabelError
from manylabel.printable import count, printable
from manylabel.study.analysis.figures.drawing import (
    FAINT,
    INK,
    PALETTE,
    new_figure,
    require_matplotlib,
    short,
    styled,
    wrapped,
)
from manylabel.study.analysis.tables import Cell, Table
from manylabel.study.parameters import Render, parameters, search_call
from manylabel.study.search.search import Search
from manylabel.study.search.space import Choice
from manylabel.study.search.trials import PARTS, RECIPE
from manylabel.study.search.tune import settings_of, trials_of

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes

SHOWN = 5
COLUMNS = 4
PANEL = 2.6  # inches
FEWEST_FOR_IMPORTANCE = 10


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes
    ----------
    table : Table
        The best trials.
    sentence : str
        The winner, beside the recipe as it was.
    recipe, picture : Path
    """

    table: Table
    sentence: str
    recipe: Path
    picture: Path


def write(search: Search, study: optuna.Study, render: Render = search_call) -> Found:
    """Write ``best.toml`` and ``search.png`` into the folder of a search.

    Parameters
    ----------
    search : Search
    study : optuna.Study
        Its trials.
    render : callable (parameters) -> str
        Says in ``best.toml`` how to search again; by default in Python.

    Raises
    ------
    ManyLabelError
        If no trial has succeeded.
    """
    require_matplotlib()
    trials = trials_of(search, study)
    if not trials:
        raise ManyLabelError(str(search.out), "a search with a trial that succeeded", "none")
    best, first = trials[0], next((t for t in trials if _is_recipe(t)), None)
    recipe, picture = search.out / "best.toml", search.out / "search.png"
    files.write(recipe, _recipe_text(search, best, len(trials), render).encode())
    files.write(picture, _picture(search, study, trials))
    reached = f"{search.objective} {best.value:.4f} in trial {best.number}"
    sentence = f"Best of {count(len(trials), 'trial')}: {reached}{beside_the_recipe(best, first)}."
    return Found(best_table(search, trials), sentence, recipe, picture)


def beside_the_recipe(best: Any, first: Any) -> str:
    """How the best trial compares with the recipe as it was; no better where four decimals show no difference."""
    if first is None:
        return ""
    if first.number == best.number:
        return ", which is the recipe as it was"
    if f"{first.value:.4f}" == f"{best.value:.4f}":
        return ", no better than the recipe as it was"
    return f", against {first.value:.4f} of the recipe as it was"


def best_table(search: Search, trials: Sequence[Any]) -> Table:
    """The best trials and the recipe as it was, side by side: value, its part for each data set, settings."""
    shown = [*trials[:SHOWN], *(trial for trial in trials[SHOWN:] if _is_recipe(trial))]
    rows = [(search.objective, *(f"{trial.value:.4f}" for trial in shown))]
    sets = list(trials[0].user_attrs[PARTS])
    parts = [(f"on {name}", *(f"{trial.user_attrs[PARTS][name]:.4f}" for trial in shown)) for name in sets]
    rows += parts if len(sets) > 1 else []
    settings = [settings_of(search, trial) for trial in shown]
    rows += [(name, *(_shown(found.get(name)) for found in settings)) for name in search.choices]
    headings = ("trial", *(str(trial.number) + " (recipe)" * _is_recipe(trial) for trial in shown))
    cells = tuple(tuple(Cell(text, column == 1) for column, text in enumerate(row)) for row in rows)
    return Table("Best trials", headings, cells, numbers=False)


def importances(study: optuna.Study, trials: Sequence[Any]) -> dict[str, float]:
    """Share of the objective's variance that each setting explains, by a forest; empty for a few trials."""
    if len(trials) < FEWEST_FOR_IMPORTANCE or len({trial.value for trial in trials}) == 1:
        return {}
    import optuna

    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def _is_recipe(trial: Any) -> bool:
    return RECIPE in trial.user_attrs


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else json.dumps(value)


def _recipe_text(search: Search, best: Any, n_trials: int, render: Render) -> str:
    """The winner as a recipe file that stands for itself."""
    settings = {**search.settings, **settings_of(search, best)}
    recipe = methods.get(search.method, **settings).recipe
    table = recipe.table(defaults=False)
    sets = ", ".join(dict.fromkeys(printable(problem.data) for problem in search.problems))
    table["about"] = (
        f"{methods.short_name(search.method)} with settings found on rows of the training part of {sets}: "
        f"{search.objective} {best.value:.4f} on development rows, the best of {count(n_trials, 'trial')}."
    )
    return f"# Found by: {printable(render(parameters(search)))}\n" + toml(table)


def toml(table: Mapping[str, Any], prefix: str = "") -> str:
    """A nested table of numbers, texts, lists and tables as TOML."""
    plain = {name: value for name, value in table.items() if not isinstance(value, dict)}
    text = "".join(f"{_key(name)} = {_value(value)}\n" for name, value in plain.items())
    for name, value in table.items():
        if isinstance(value, dict):
            place = f"{prefix}{_key(name)}"
            text += f"\n[{place}]\n{toml(value, place + '.')}"
    return text


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: Any) -> str:
    """As JSON, but for what TOML writes in another way: infinity, and signs beyond 16 bits."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _picture(search: Search, study: optuna.Study, trials: Sequence[Any]) -> bytes:
    """The objective trial by trial, and against each setting; the settings that matter most come first."""
    weights = importances(study, trials)
    names = sorted(search.choices, key=lambda name: -weights.get(name, 0.0))
    bands = -(-len(names) // COLUMNS)
    with styled():
        figure = new_figure(PANEL * COLUMNS, 2.6 + 2.3 * bands)
        grid = figure.add_gridspec(1 + bands, COLUMNS, height_ratios=[1.2, *[1.0] * bands])
        _history(figure.add_subplot(grid[0, :]), search, trials)
        for i, name in enumerate(names):
            axes = figure.add_subplot(grid[1 + i // COLUMNS, i % COLUMNS])
            _slice(axes, search, trials, name, weights.get(name))
            if i % COLUMNS == 0:
                axes.set_ylabel(fill(search.objective, 24))
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _history(axes: Axes, search: Search, trials: Sequence[Any]) -> None:
    by_number = sorted(trials, key=lambda trial: trial.number)
    numbers, values = [t.number for t in by_number], [t.value for t in by_number]
    axes.plot(numbers, values, "o", color=PALETTE[4], markersize=4, label="a trial")
    best = np.maximum.accumulate(values)
    axes.plot(numbers, best, color=PALETTE[0], linewidth=1.8, drawstyle="steps-post", label="best so far")
    for trial in filter(_is_recipe, trials):
        axes.axhline(trial.value, color=INK, linewidth=0.8, linestyle="--", label="the recipe as it was")
    title = f"{methods.short_name(search.method)} on {', '.join(search.data)}, development rows"
    axes.set_title(wrapped(title, 0.5 * COLUMNS * PANEL), fontweight="bold")
    axes.set_xlabel("trial")
    axes.set_ylabel(fill(search.objective, 24))
    axes.grid(axis="y", color=FAINT)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3)


def _slice(axes: Axes, search: Search, trials: Sequence[Any], name: str, weight: float | None) -> None:
    choice = search.choices[name]
    values = [trial.params[name] for trial in trials]
    if choice.choices is not None:
        texts = [json.dumps(value) for value in choice.choices]
        values = [texts.index(value) for value in values]
        axes.set_xticks(range(len(texts)), [short(text, 14) for text in texts], rotation=20, ha="right")
    elif choice.log:
        axes.set_xscale("log")
        _label_decades(axes, choice)
    axes.plot(values, [trial.value for trial in trials], "o", color=PALETTE[4], markersize=3.5)
    axes.plot(values[:1], [trials[0].value], "D", color=PALETTE[1], markersize=5.5)
    axes.set_title(short(name, 30) + ("" if weight is None else f" ({weight:.0%})"), fontsize=8)
    axes.grid(axis="y", color=FAINT)


def _label_decades(axes: Axes, choice: Choice) -> None:
    """Numbers at powers of ten, and of a short range at twice and five times them, as settings are written."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    assert choice.low is not None
    assert choice.high is not None
    within = (1.0, 2.0, 5.0) if choice.high <= 20 * choice.low else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=within))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
