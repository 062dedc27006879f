"""Options of the search of hyperparameters."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class SearchProtocol(StrEnum):
    """How thresholds are chosen in a search."""

    tuned = "tuned"
    fixed = "fixed"
    oracle = "oracle"


SearchedData = Annotated[
    list[str],
    typer.Argument(
        help="Data sets by name or path, a table with [cyan]--labels[/]; one set of hyperparameters for all."
    ),
]
Trials = Annotated[int, typer.Option("--trials", "-n", help="Trials in all; a later call with more goes on.")]
AtOnce = Annotated[
    int,
    typer.Option(
        "--at-once",
        help="Trials drawn together, before any of them is known: more of them run side by side, each knows less.",
    ),
]
SpaceFile = Annotated[
    Path | None,
    typer.Option(
        "--space",
        help="TOML file of what to search, with lines such as "
        "'\"classify.stage.lr\" = { low = 1e-4, high = 1e-2, log = true }'.",
        show_default="that of the method's family",
    ),
]
RaisedMetric = Annotated[
    str,
    typer.Option(
        "--metric", help="Metric to maximise on the rows held out, or several, comma-separated: their mean."
    ),
]
SearchProtocolOption = Annotated[
    SearchProtocol,
    typer.Option(
        "--protocol",
        help="How thresholds are chosen: [bold]tuned[/] on validation rows; [bold]fixed[/] at 0.5; "
        "[bold]oracle[/] on the rows held out themselves, as published tables take the best ones on test rows.",
    ),
]
Splits = Annotated[
    int, typer.Option("--splits", help="How often in each trial other rows are held out; the mean counts.")
]
SearchFolder = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder of the search and its winner.", show_default="runs/tune-METHOD"),
]
StorageUrl = Annotated[
    str | None,
    typer.Option(
        "--storage",
        help="URL of an Optuna storage that several machines share.",
        show_default="SQLite in the folder",
    ),
]
