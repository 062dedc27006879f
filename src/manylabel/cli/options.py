"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Protocol(StrEnum):
    """How thresholds are chosen."""

    tuned = "tuned"
    fixed = "fixed"
    oracle = "oracle"


DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", envvar="MANYLABEL_DATA", help="Folder with local copies of data sets, one folder a set."
    ),
]
ProtocolOption = typer.Option(
    "--protocol",
    help="How thresholds are chosen: [bold]tuned[/] on validation rows; [bold]fixed[/] at 0.5; "
    "[bold]oracle[/] on the test rows themselves, only to compare with published tables that did so.",
)
