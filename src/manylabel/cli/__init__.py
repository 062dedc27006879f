"""The command line: thin commands over data, methods and studies.

Heavy modules are imported inside the commands, so that ``manylabel --help`` answers at once.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from manylabel import __version__
from manylabel.cli import bench, lookup, studies
from manylabel.cli.interrupts import INTERRUPTED, interrupts
from manylabel.cli.streams import flush, forgiving_streams
from manylabel.errors import ManyLabelError

PIPE_CLOSED = 141  # as a shell tells of a program whose reader went away

app = typer.Typer(
    name="manylabel",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Contrastive learning for data in which every row carries several labels.",
    epilog="First steps:\n\n"
    "[cyan]manylabel run digits --methods bce,mulsupcon --seeds 3[/]  train, compare, report\n\n"
    "[cyan]manylabel data list[/]  the data sets that can be named\n\n"
    "[cyan]manylabel run yeast --help[/]  everything a run can be asked for",
)
app.add_typer(studies.studies_app)
app.add_typer(lookup.data_app, name="data")
app.add_typer(lookup.methods_app, name="methods")
app.add_typer(bench.bench_app, name="bench")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Input that cannot be used ends with a message and exit code 2, Ctrl-C with code 130. A reader of the output that
    goes away, and a terminal that lacks some characters, stop nothing.
    """
    try:
        with interrupts() as heard, forgiving_streams():
            try:
                _run(arguments)
            except SystemExit:
                if heard.seen:
                    sys.exit(INTERRUPTED)
                raise
            finally:
                flush()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run(arguments: Sequence[str] | None) -> None:
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            app(None if arguments is None else list(arguments), prog_name="manylabel")
        except ManyLabelError as error:
            _stop(str(error))
        except BrokenPipeError:
            sys.exit(PIPE_CLOSED)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            hint = "Check that the place exists, can be read and written, and has room."
            _stop(f"{where}{error.strerror or error}. {hint}")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"manylabel {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options of the program itself."""


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):
        typer.echo(f"warning: {message}", err=True)


def _stop(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    sys.exit(2)
