"""The command line: thin commands over data, methods and studies.

Heavy modules are imported inside the commands, so that ``manylabel --help`` answers at once.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from manylabel import __version__
from manylabel.errors import ManyLabelError
from manylabel.option_values import methods as _methods
from manylabel.option_values import names as _names
from manylabel.option_values import numbers as _numbers
from manylabel.option_values import seeds as _seeds
from manylabel.option_values import settings as _settings
from manylabel.option_values import threads as _threads

if TYPE_CHECKING:
    from rich.console import Console

    from manylabel.study.plan import Plan
    from manylabel.study.processes import Failed
    from manylabel.study.report import Report
    from manylabel.study.reproduction import Request
    from manylabel.study.search import Search


class Protocol(StrEnum):
    """How thresholds are chosen."""

    tuned = "tuned"
    fixed = "fixed"
    oracle = "oracle"


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
data_app = typer.Typer(no_args_is_help=True, help="Data sets: list them, fetch them, look into them.")
methods_app = typer.Typer(no_args_is_help=True, help="Methods: list them, see their recipes.")
app.add_typer(data_app, name="data")
app.add_typer(methods_app, name="methods")
bench_app = typer.Typer(no_args_is_help=True, help="Benchmarks: what the losses cost on this machine.")
app.add_typer(bench_app, name="bench")

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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; input that cannot be used ends with a message and exit code 2."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            app(None if arguments is None else list(arguments), prog_name="manylabel")
        except ManyLabelError as error:
            _stop(str(error))
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


@app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel run digits --methods bce,mulsupcon --seeds 3[/]\n\n"
    "[cyan]manylabel run yeast --methods bce,mulsupcon --protocol oracle --out runs/yeast[/]\n\n"
    "[cyan]manylabel run path/to/data.arff --methods bce --seeds 0,7[/]\n\n"
    "[cyan]manylabel run scene -m mulsupcon --set pretrain.temperature=0.2[/]"
)
def run(
    data: Annotated[
        str,
        typer.Argument(
            help="A data set by name (see [cyan]manylabel data list[/]) or by path: ARFF, npz, or a folder."
        ),
    ],
    methods: Annotated[
        str,
        typer.Option(
            "--methods",
            "-m",
            help="Methods to compare, comma between: names (see [cyan]manylabel methods list[/]), recipe files "
            "(.toml), or scikit-learn classifiers by import path (sklearn.svm.LinearSVC). Brackets hold settings that "
            "differ: 'mulsupcon[pretrain.temperature=0.2]'.",
        ),
    ] = "bce,mulsupcon",
    seeds: Annotated[
        str,
        typer.Option(
            "--seeds",
            "-s",
            help="How many seeds (3 means 0, 1 and 2), or the seeds themselves (0,7). A seed drives the "
            "validation split, initialisation, the order of rows and augmentation.",
        ),
    ] = "3",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the study. Runs finished there are kept, unfinished ones are taken up.",
            show_default="runs/DATA",
        ),
    ] = None,
    protocol: Annotated[Protocol, ProtocolOption] = Protocol.tuned,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Replace a setting of the recipes, as NAME=VALUE for all methods or METHOD.NAME=VALUE for "
            "one; may be given several times.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            help="Runs made at the same time; results do not depend on it.",
            show_default="one per core, or 1 on a GPU",
        ),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", help="Threads of each run.")] = 1,
    data_dir: DataDir = None,
    fraction: Annotated[
        float,
        typer.Option(
            "--fraction",
            help="Train on a share of the training rows, stratified by label, validation rows taken out of it; "
            "with one seed, a smaller share lies inside a larger one.",
        ),
    ] = 1.0,
) -> None:
    """Train methods over seeds on one data set, compare them on its test rows, and write a report.

    Ends with a table, the path of the report, and one sentence that says which method won and by how much.
    Ctrl-C is safe: the same command goes on where it stopped.
    """
    from manylabel.study.plan import Plan

    names = _methods(methods)
    plan = Plan(
        data=data,
        methods=names,
        seeds=_seeds(seeds),
        out=out or Path("runs") / Path(data).stem,
        settings=_settings(settings or [], names),
        protocol=protocol.value,
        jobs=jobs,
        threads=threads,
        data_dir=data_dir,
        fraction=fraction,
    )
    _run(plan)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The --out folder of a run.")],
    protocol: Annotated[Protocol | None, ProtocolOption] = None,
    temperature: Annotated[
        float, typer.Option(help="Of the class heat map; lower values show smaller differences.")
    ] = 1.0,
) -> None:
    """Write the report of a study again, from what its finished runs left in the folder."""
    from manylabel.study import report

    _show(report.write(folder, None if protocol is None else protocol.value, temperature))


@app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel tune yeast --method mulsupcon --trials 40[/]\n\n"
    "[cyan]manylabel tune yeast scene --method bce --trials 60 --metric macro_f1,micro_f1 --seeds 2[/]\n\n"
    "[cyan]manylabel run yeast --methods runs/tune-bce/best.toml,bce[/]"
)
def tune(
    data: Annotated[
        list[str], typer.Argument(help="Data sets by name or path; one set of hyperparameters for all.")
    ],
    method: Annotated[
        str, typer.Option("--method", "-m", help="A name, a recipe file or an import path.")
    ] = "mulsupcon",
    trials: Annotated[
        int, typer.Option("--trials", "-n", help="Trials in all; a later call with more goes on.")
    ] = 30,
    metric: Annotated[
        str, typer.Option("--metric", help="What to raise on development rows; the mean of several.")
    ] = "macro_f1",
    protocol: Annotated[Protocol, ProtocolOption] = Protocol.tuned,
    seeds: Annotated[str, typer.Option("--seeds", "-s", help="Seeds of training in each trial.")] = "1",
    splits: Annotated[int, typer.Option("--splits", help="Draws of development rows in each trial.")] = 1,
    space: Annotated[
        Path | None,
        typer.Option(
            "--space", help="TOML file of what to search.", show_default="that of the method's family"
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Replace a setting in every trial, NAME=VALUE.", show_default=False),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            help="URL of an Optuna storage that several machines share.",
            show_default="SQLite in the folder",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder.", show_default="runs/tune-METHOD")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", help="Threads of training.")] = 1,
    data_dir: DataDir = None,
) -> None:
    """Search hyperparameters on rows of the training part; test rows are never looked at.

    A fifth of the training rows is held out to measure on; the rest is split into training and validation rows
    as in a run. Ends with the best trials, a picture, and the winner as a recipe file. Ctrl-C is safe, and the
    same command at the same time in several terminals shares the work.
    """
    from manylabel import methods
    from manylabel.study.search import Search

    if splits < 1:
        raise ManyLabelError("--splits", "at least 1", str(splits))
    search = Search(
        data=tuple(data),
        method=method,
        trials=trials,
        out=out or Path("runs") / f"tune-{methods.short_name(method)}",
        settings=_settings(settings or [], [method]).get(method, {}),
        metrics=tuple(part.strip() for part in metric.split(",")),
        protocol=protocol.value,
        seeds=_seeds(seeds),
        splits=tuple(range(splits)),
        space=space,
        storage=storage,
        threads=threads,
        data_dir=data_dir,
    )
    _tune(search)


@app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel reproduce[/]  what there is, and what it costs\n\n"
    "[cyan]manylabel reproduce mulsupcon-table-2-3 --sets yeast --seeds 1[/]\n\n"
    "[cyan]manylabel reproduce low-data --methods bce,mulsupcon --at 0.01,0.1,1[/]\n\n"
    "[cyan]manylabel reproduce win-tie-loss --methods mulsupcon,reg[/]"
)
def reproduce(
    name: Annotated[str | None, typer.Argument(help="What to reproduce; without it, all are listed.")] = None,
    sets: Annotated[str | None, typer.Option("--sets", help="Data sets in place of the usual ones.")] = None,
    methods: Annotated[
        str | None,
        typer.Option("--methods", "--method", "-m", help="Methods in place of the usual ones, as in a run."),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", "-s", help="How many, or a list, as in a run.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", help="Values of the axis of curves: shares of the rows, epochs, temperatures."),
    ] = None,
    epochs_scale: Annotated[
        float,
        typer.Option(
            "--epochs-scale",
            help="Multiply the epochs of all trainings, for a quick look; every heading will say so.",
        ),
    ] = 1.0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of all reproductions.")] = Path(
        "runs/reproduce"
    ),
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Runs made at the same time.")] = None,
    threads: Annotated[int, typer.Option("--threads", help="Threads of each run.")] = 1,
    data_dir: DataDir = None,
) -> None:
    """Make published tables and figures again, ours beside the published values.

    Writes README.md, pictures and values.csv into OUT/NAME. Ctrl-C is safe: the same command goes on where it stopped.
    """
    from manylabel.study import reproduction
    from manylabel.study.reproduction import cost

    if name is None:
        _print_rows(cost.HEADINGS, cost.rows())
        return
    request = reproduction.Request(
        name=name,
        out=out,
        sets=None if sets is None else _names("--sets", sets),
        methods=None if methods is None else _methods(methods),
        seeds=None if seeds is None else _seeds(seeds),
        at=None if at is None else _numbers("--at", at),
        epochs_scale=epochs_scale,
        data_dir=data_dir,
        jobs=jobs,
        threads=threads,
    )
    _reproduce(request)


@data_app.command("list")
def data_list(data_dir: DataDir = None) -> None:
    """The data sets that can be named, with their size and where they come from."""
    from manylabel import data
    from manylabel.data import scenes
    from manylabel.data.catalogue import catalogue

    entries = catalogue()
    rows = []
    for name in data.names(data_dir):
        if name == "digits":
            size, side = f"{scenes.N_TRAIN} / {scenes.N_TEST}", scenes.CANVAS
            about = "pictures of one to four handwritten digits, composed in memory"
            rows.append((name, size, f"{side} x {side}", str(scenes.N_DIGITS), about))
        elif name in entries:
            entry = entries[name]
            size = f"{entry.rows[0]} / {entry.rows[1]}"
            rows.append((name, size, str(entry.features), str(entry.labels), entry.about))
        else:
            rows.append((name, "", "", "", f"in {data_dir}"))
    _print_rows(("name", "train / test rows", "features", "labels", "what it is"), rows)


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
    typer.echo(f"{dataset.name}: {len(dataset.train)} training and {len(dataset.test)} test rows")
    typer.echo(dataset.source)


@data_app.command("describe")
def data_describe(
    name: Annotated[str, typer.Argument(help="A data set by name or by path.")], data_dir: DataDir = None
) -> None:
    """A data set in numbers: rows, labels, how frequent they are, split, source, licence."""
    from manylabel import data
    from manylabel.study.records import flattened

    facts = flattened(data.describe(data.load(name, data_dir)))
    remarks = facts.pop("remarks")
    rows = [(fact, str(value)) for fact, value in facts.items()] + [("remark", text) for text in remarks]
    _print_rows(("fact", "value"), rows)


@methods_app.command("list")
def methods_list() -> None:
    """All methods, one a line; then the same as their papers train them."""
    from manylabel import methods

    for heading, of_papers in (("method", False), ("as its paper trains it", True)):
        names = [name for name in methods.names() if name.startswith(methods.PAPER) == of_papers]
        _print_rows((heading, "what it is"), [(name, methods.get(name).recipe.summary) for name in names])


@methods_app.command("describe")
def methods_describe(
    name: Annotated[str, typer.Argument(help="A method of [cyan]manylabel methods list[/].")],
) -> None:
    """The recipe of a method: every setting that --set can replace, and the scores to expect."""
    from rich.markup import escape

    from manylabel import methods
    from manylabel.study.records import flattened
    from manylabel.study.tables import expectation

    recipe = methods.get(name).recipe
    console = _console()
    console.print(f"[bold]{name}[/]  {escape(recipe.about)}\n{escape(recipe.source)}", highlight=False)
    for kind in ("vectors", "images"):
        settings = flattened(getattr(recipe, kind).model_dump(mode="json"))
        if settings:
            rows = [(key, json.dumps(value)) for key, value in settings.items()]
            _print_rows((f"setting for {kind}", "value"), rows)
        else:
            console.print(f"It is not defined for {kind}.", highlight=False)
    for expected in recipe.expected:
        console.print(expectation(expected), highlight=False)


@bench_app.command("losses")
def bench_losses(
    cases: Annotated[
        list[str] | None,
        typer.Argument(help="Cases by name; all of them take some minutes.", show_default="all"),
    ] = None,
    threads: Annotated[
        str, typer.Option("--threads", help="Numbers of threads to measure with, comma between.")
    ] = "1",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
) -> None:
    """Time, memory and error of the losses beside their goals, as ratios measured in one run.

    Times are compared with textbook forms and with bare matrix products of the same size, in turn.
    """
    from manylabel.benchmarking import losses, table

    rows = losses.rows(cases or (), _threads(threads))
    if markdown:
        for line in table.markdown(rows):
            typer.echo(line)
    else:
        table.show(rows, _console())


def _run(plan: Plan) -> None:
    from manylabel.study import execution, plots, report
    from manylabel.study.display import Display

    plots.require_matplotlib()
    try:
        with Display(_console(stderr=True), plan.weights, plan.protocol) as display:
            failed = execution.run(plan, display)
        if plan.folder.study_file.exists() and plan.folder.finished_runs():
            with _console(stderr=True).status("writing the report"):
                written = report.write(plan.out, plan.protocol)
            _show(written)
    except KeyboardInterrupt:
        typer.echo(f"\nStopped. Go on where it stopped with:\n  {plan.command}", err=True)
        raise typer.Exit(130) from None
    if failed:
        _report_failures(failed)


def _tune(search: Search) -> None:
    from manylabel.study import tune, tune_report
    from manylabel.study.plots import require_matplotlib

    require_matplotlib()
    try:
        study = tune.run(search, lambda line: typer.echo(line, err=True))
    except KeyboardInterrupt:
        typer.echo(f"\nStopped. Go on where it stopped with:\n  {search.command}", err=True)
        raise typer.Exit(130) from None
    found, console = tune_report.write(search, study), _console()
    console.print(found.table.rich(console.width))
    for line in (found.sentence, f"recipe: {found.recipe}", f"picture: {found.picture}", found.command):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _reproduce(request: Request) -> None:
    from manylabel.study import plots, reproduction

    plots.require_matplotlib()
    try:
        failed = reproduction.carry_out(request, _console(stderr=True))
    except KeyboardInterrupt:
        typer.echo(f"\nStopped. Go on where it stopped with:\n  {request.command}", err=True)
        raise typer.Exit(130) from None
    if failed and request.findings.is_empty:
        _report_failures(failed)
    page, console = reproduction.write(request), _console()
    for section in page.sections:
        for table in section.tables:
            console.print(table.rich(console.width))
        for sentence in section.sentences:
            console.print(f"{sentence}\n", highlight=False, soft_wrap=True, markup=False)
    console.print(f"page: {page.path}", highlight=False, soft_wrap=True, markup=False)
    if failed:
        _report_failures(failed)


def _show(written: Report) -> None:
    console = _console()
    console.print(written.table.rich(console.width))
    console.print(f"report: {written.path}", highlight=False, soft_wrap=True, markup=False)
    console.print(written.verdict, highlight=False, soft_wrap=True, markup=False)


def _report_failures(failed: Sequence[Failed]) -> NoReturn:
    """Say each distinct error once; exit code 2 if the input or the machine is to blame, else 1."""
    by_message: dict[str, list[str]] = {}
    for failure in failed:
        by_message.setdefault(failure.message, []).append(str(failure.key))
    for message, keys in by_message.items():
        typer.echo(f"failed: {', '.join(keys)}\n  {message}", err=True)
    raise typer.Exit(2 if all(failure.by_input for failure in failed) else 1)


def _console(stderr: bool = False) -> Console:
    """A console; wide where nobody's window limits it."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=160)


def _print_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from manylabel.study.tables import Cell, Table

    cells = tuple(tuple(Cell(text) for text in row) for row in rows)
    console = _console()
    console.print(Table("", tuple(headings), cells, numbers=False).rich(console.width))


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, UserWarning):
        typer.echo(f"warning: {message}", err=True)


def _stop(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    sys.exit(2)
