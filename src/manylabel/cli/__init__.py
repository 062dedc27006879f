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
from manylabel.cli import (
    auditing,
    bench,
    data,
    embedding,
    fitting,
    methods,
    models,
    stages,
    studies,
    transferring,
)
from manylabel.cli.commandline import explained
from manylabel.cli.interrupts import INTERRUPTED, interrupts
from manylabel.cli.output import say
from manylabel.cli.streams import flush, forgiving_streams
from manylabel.errors import ManyLabelError

# click's, or the copy of it that typer brings along
UsageError: type[Exception] = typer.BadParameter.__mro__[1]
PIPE_CLOSED = 141  # as a shell tells of a program whose reader went away

app = typer.Typer(
    name="manylabel",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Contrastive learning for data in which every row carries several labels.",
    epilog="First steps:\n\n"
    "[cyan]manylabel fit films.csv --labels genres --out model[/]  a model of your own file\n\n"
    "[cyan]manylabel predict model new.csv --out predictions.csv[/]  its labels for new rows\n\n"
    "[cyan]manylabel run digits --methods bce,mulsupcon --seeds 3[/]  train, compare, report\n\n"
    "[cyan]manylabel data list[/]  the data sets that can be named\n\n"
    "[cyan]manylabel run yeast --help[/]  everything a run can be asked for",
)
app.add_typer(fitting.fitting_app)
app.add_typer(models.models_app)
app.add_typer(embedding.embedding_app)
app.add_typer(stages.stages_app)
app.add_typer(transferring.transferring_app)
app.add_typer(auditing.auditing_app)
app.add_typer(studies.studies_app)
app.add_typer(data.data_app, name="data")
app.add_typer(methods.methods_app, name="methods")
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
            words = list(sys.argv[1:] if arguments is None else arguments)
            _check_encoding(words)
            code = app(words, prog_name="manylabel", standalone_mode=False)
        except ManyLabelError as error:
            _stop(explained(error, words[0] if words else ""))
        except BrokenPipeError:
            sys.exit(PIPE_CLOSED)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            hint = "Check that the place exists, can be read and written, and has room."
            _stop(f"{where}{error.strerror or error}. {hint}")
        except UsageError as error:
            _stop_at(error)
        except typer.Abort:
            code = 1
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"manylabel {__version__}")
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
        say(f"warning: {message}", err=True)


def _check_encoding(words: Sequence[str]) -> None:
    """Refuse words that no record and no page could hold."""
    for word in words:
        if any("\ud800" <= character <= "\udfff" for character in word):
            hint = "Rename the file, or set a locale of UTF-8."
            raise ManyLabelError("manylabel", "arguments in the encoding of the system", repr(word), hint)


def _stop_at(error: Any) -> NoReturn:
    """Say which word of a command line cannot be used; a command without its words has shown its help by now."""
    if type(error).__name__ != "NoArgsIsHelpError":
        command = error.ctx.command_path if error.ctx else "manylabel"
        message = error.format_message().replace("Value error, ", "").replace("Input should be", "expected")
        say(f"error: {message.removesuffix('.')}. See: {command} --help", err=True)
    sys.exit(error.exit_code)


def _stop(message: str) -> NoReturn:
    say(f"error: {message}", err=True)
    sys.exit(2)
