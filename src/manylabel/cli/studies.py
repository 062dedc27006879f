"""Commands that train: run, study, tune, reproduce; and the report of what a run left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manylabel.cli import commandline, option_values
from manylabel.cli.data_facts import read_options
from manylabel.cli.options import (
    COMPARED,
    DataDir,
    Encoder,
    Fraction,
    Jobs,
    Methods,
    OneMethod,
    Protocol,
    ProtocolOption,
    RandomSplit,
    ReaderSettings,
    Scheduler,
    Seeds,
    Settings,
    Start,
    Threads,
    Track,
    WrongLabels,
)
from manylabel.cli.output import (
    make_console,
    print_rows,
    print_table,
    report_failures,
    say,
    say_path,
    show_report,
)
from manylabel.cli.search_options import (
    AtOnce,
    RaisedMetric,
    SearchedData,
    SearchFolder,
    SearchProtocol,
    SearchProtocolOption,
    SpaceFile,
    Splits,
    StorageUrl,
    Trials,
)
from manylabel.cli.table_options import LabelColumns, label_names
from manylabel.errors import ManyLabelError

if TYPE_CHECKING:
    from manylabel.reproduction import Request
    from manylabel.study.executors.base import Executor, Failed
    from manylabel.study.plan import Plan
    from manylabel.study.search.search import Search

studies_app = typer.Typer()
OneDataSet = Annotated[
    str,
    typer.Argument(
        help="A data set by name (see [cyan]manylabel data list[/]) or by path ([cyan]manylabel data formats[/]); "
        "a table by path, with [cyan]--labels[/]."
    ),
]


@studies_app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel run digits[/]  what to pick: the recommended method beside others\n\n"
    "[cyan]manylabel run digits --methods bce,mulsupcon --seeds 3[/]\n\n"
    "[cyan]manylabel run yeast --methods bce,mulsupcon --protocol oracle --out runs/yeast[/]\n\n"
    "[cyan]manylabel run path/to/data.arff --methods bce --seeds 0,7[/]\n\n"
    "[cyan]manylabel run films.csv --labels genres --methods best,bce[/]\n\n"
    "[cyan]manylabel run scene -m mulsupcon --set pretrain.temperature=0.2[/]"
)
def run(
    data: OneDataSet,
    labels: LabelColumns = None,
    methods: Methods = COMPARED,
    seeds: Seeds = "3",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the study. Runs finished there are kept, unfinished ones are taken up.",
            show_default="runs/DATA",
        ),
    ] = None,
    protocol: Annotated[Protocol, ProtocolOption] = Protocol.learnt,
    encoder: Encoder = None,
    settings: Settings = None,
    jobs: Jobs = None,
    threads: Threads = 1,
    data_dir: DataDir = None,
    fraction: Fraction = 1.0,
    wrong_labels: WrongLabels = 0.0,
    split: RandomSplit = None,
    start: Start = None,
    read: ReaderSettings = None,
    track: Track = None,
) -> None:
    """Train methods over seeds on one data set, compare them on its test rows, and write a report.

    Data without a published split, such as a table, keep a label-stratified quarter of their rows for testing.

    Ends with a table, the path of the report, and one sentence that says which method won and by how much.
    Ctrl-C is safe: the same command goes on where it stopped.
    """
    from manylabel.study.folder_names import name_of_data
    from manylabel.study.plan import Plan

    names = option_values.methods(methods)
    plan = Plan.grid(
        data=data,
        methods=names,
        seeds=option_values.seeds(seeds),
        out=out or Path("runs") / name_of_data(data),
        settings=option_values.settings(settings or [], names, encoder),
        protocol=protocol.value,
        jobs=jobs,
        threads=threads,
        data_dir=data_dir,
        fraction=fraction,
        wrong_labels=wrong_labels,
        split=split,
        start="" if start is None else str(start),
        read=read_options(read),
        labels=label_names(labels, data),
        track=() if track is None else option_values.names("--track", track),
    )
    run_plan(plan)


@studies_app.command(
    epilog="A study file:\n\n"
    '[cyan]data = \\["yeast", "scene"][/]\n\n'
    '[cyan]methods = \\["bce", "mulsupcon"][/]\n\n'
    "[cyan]seeds = 3[/]  0, 1 and 2; or a list\n\n"
    "[cyan]fractions = \\[0.1, 1.0][/]  shares of the training rows\n\n"
    "[cyan]\\[settings][/]  replace those of all recipes\n\n"
    '[cyan]"classify.stage.epochs" = 50[/]\n\n'
    "[cyan]\\[grid.mulsupcon][/]  values that one method is trained with in turn\n\n"
    '[cyan]"pretrain.temperature" = \\[0.1, 0.2][/]\n\n'
    "Examples:\n\n"
    "[cyan]manylabel study losses.toml[/]\n\n"
    "[cyan]manylabel study losses.toml --retry[/]  what failed is tried again\n\n"
    "[cyan]manylabel report runs/losses/yeast[/]"
)
def study(
    file: Annotated[Path, typer.Argument(help="What to run, in TOML.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the study, one inside it for each data set and fraction. Finished cells are kept.",
            show_default="runs/FILE",
        ),
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try cells again that failed in an earlier call.")
    ] = False,
    scheduler: Scheduler = None,
    jobs: Jobs = None,
    data_dir: DataDir = None,
) -> None:
    """Train methods x seeds x fractions x settings on several data sets, as a file asks, and compare them.

    Ends with a table, a report and a sentence for each data set, as [cyan]manylabel run[/] does. The same command goes
    on where it stopped: cells done are not done again, failed ones are reported and tried again with --retry.
    """
    from manylabel.study.plan import Plan

    plan = Plan.of_file(file, out, jobs=jobs, data_dir=data_dir)
    asked = {"data": str(file), "out": str(plan.out)} | (
        {} if data_dir is None else {"data_dir": str(data_dir)}
    )
    asked |= {} if scheduler is None else {"scheduler": scheduler}
    run_plan(plan, commandline.study(asked), retry, scheduler)


@studies_app.command(
    epilog="Examples:\n\n[cyan]manylabel rerun runs/yeast/mulsupcon/seed-0[/]  0 if the numbers came back, else 1"
)
def rerun(
    cell: Annotated[Path, typer.Argument(help="Folder of a finished cell: OUT/METHOD/seed-S.")],
    data_dir: DataDir = None,
) -> None:
    """Train a finished cell again and say whether its numbers came back, and where they differ.

    The folder stays as it is. Ends with exit code 0 where every number came back to the bit, else with 1.
    """
    from manylabel.study.progress import state_of
    from manylabel.study.rerun import rerun as run_again

    with make_console(stderr=True).status("training again") as status:
        found = run_again(cell, data_dir, lambda told: status.update(state_of(told)))
    if found.came_back:
        say("Every number came back to the bit.")
        return
    rows = [(each.place, str(each.then), str(each.now)) for each in found.differences]
    rows += [(f"{name}, largest gap", "", f"{gap:.3g}") for name, gap in found.farthest.items() if gap]
    print_rows(("number", "then", "now"), rows)
    other = [f"{each.place} {each.then} instead of {each.now}" for each in found.versions]
    say(f"{len(found.differences)} numbers differ. Versions then: {', '.join(other) or 'the same'}.")
    raise typer.Exit(1)


@studies_app.command(epilog="Example:\n\n[cyan]manylabel report runs/digits --examples[/]")
def report(
    folder: Annotated[Path, typer.Argument(help="The --out folder of a run or of a study.")],
    protocol: Annotated[Protocol | None, ProtocolOption] = None,
    temperature: Annotated[
        float,
        typer.Option(help="Of the class heat map of one data set; lower values show smaller differences."),
    ] = 1.0,
    examples: Annotated[
        bool,
        typer.Option("--examples", help="A page of nearest rows and of mistakes as well, examples.html."),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Write the report of a study again, from what its finished runs left in the folder.

    Tables, tests and pictures in HTML, Markdown, LaTeX and CSV; for a study of several data sets, ranks over them. With
    --examples also a page of rows as pictures or text: some test rows with their nearest ones in the embedding of each
    method, and the mistakes that each was surest of. It reads the data set again.
    """
    from manylabel.study.report import any_study, examples_page

    wanted = None if protocol is None else protocol.value
    options = {"--examples": examples, "--temperature": temperature != 1}
    any_study.check_options(folder, [name for name, given in options.items() if given])
    show_report(any_study.write(folder, wanted, temperature, commandline.run))
    if examples:
        say_path("examples", examples_page.write(folder, data_dir, commandline.run))


@studies_app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel tune yeast --method mulsupcon --trials 40[/]\n\n"
    "[cyan]manylabel tune films.csv --labels genres --method bce[/]\n\n"
    "[cyan]manylabel tune yeast scene --method bce --trials 60 --metric macro_f1,micro_f1 --seeds 2[/]\n\n"
    "[cyan]manylabel run yeast --methods runs/tune-bce/best.toml,bce[/]"
)
def tune(
    data: SearchedData,
    labels: LabelColumns = None,
    method: OneMethod = "mulsupcon",
    trials: Trials = 30,
    metric: RaisedMetric = "macro_f1",
    protocol: SearchProtocolOption = SearchProtocol.tuned,
    seeds: Annotated[str, typer.Option("--seeds", "-s", help="Seeds of training in each trial.")] = "1",
    splits: Splits = 1,
    space: SpaceFile = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Replace a setting in every trial, NAME=VALUE.", show_default=False),
    ] = None,
    storage: StorageUrl = None,
    out: SearchFolder = None,
    at_once: AtOnce = 1,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    threads: Annotated[int, typer.Option("--threads", help="Threads of training.")] = 1,
    data_dir: DataDir = None,
    read: ReaderSettings = None,
) -> None:
    """Search hyperparameters on rows of the training part; test rows are never looked at.

    A fifth of the training rows is held out to measure on; the rest is split into training and validation rows
    as in a run. Ends with the best trials, a picture, and the winner as a recipe file. Ctrl-C is safe, and the
    same command at the same time in several terminals shares the work. Data sets, splits, seeds and trials drawn
    together run side by side; what is found does not depend on where.
    """
    from manylabel import methods
    from manylabel.study.plan import MOST_SEEDS, check_number
    from manylabel.study.search.search import Search

    check_number("splits", splits, MOST_SEEDS)
    search = Search(
        data=tuple(data),
        method=method,
        trials=trials,
        out=out or Path("runs") / f"tune-{methods.short_name(method)}",
        settings=option_values.settings(settings or [], [method]).get(method, {}),
        metrics=tuple(part.strip() for part in metric.split(",")),
        protocol=protocol.value,
        seeds=option_values.seeds(seeds),
        splits=tuple(range(splits)),
        space=space,
        storage=storage,
        threads=threads,
        data_dir=data_dir,
        labels=label_names(labels, data[0]),
        read=read_options(read),
        at_once=at_once,
    )
    run_search(search, jobs, scheduler)


@studies_app.command(
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
    jobs: Jobs = None,
    threads: Threads = 1,
    data_dir: DataDir = None,
) -> None:
    """Make published tables and figures again, ours beside the published values.

    Writes README.md, pictures and values.csv into OUT/NAME. Ctrl-C is safe: the same command goes on where it stopped.
    """
    from manylabel import reproduction
    from manylabel.reproduction import runtime

    if name is None:
        if sets or methods or seeds or at or epochs_scale != 1:
            hint = "The list without options tells what there is."
            raise ManyLabelError("manylabel reproduce", "the name of a reproduction", "options alone", hint)
        print_rows(runtime.HEADINGS, runtime.rows())
        return
    request = reproduction.Request(
        name=name,
        out=out,
        sets=None if sets is None else option_values.names("--sets", sets),
        methods=None if methods is None else option_values.methods(methods),
        seeds=None if seeds is None else option_values.seeds(seeds),
        at=None if at is None else option_values.numbers("--at", at),
        epochs_scale=epochs_scale,
        data_dir=data_dir,
        jobs=jobs,
        threads=threads,
    )
    run_request(request)


@contextmanager
def resumable(command: str) -> Iterator[None]:
    """Say after Ctrl-C which command goes on."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"\nStopped. Go on where it stopped with:\n  {command}", err=True)
        raise typer.Exit(130) from None


def run_plan(plan: Plan, study: str = "", retry: bool = True, scheduler: str | None = None) -> None:
    """Run the cells of a plan and print what was found in each of its studies; ``study`` is the command, if not run."""
    from manylabel.study.report import comparison, page

    with resumable(study or commandline.run(plan.asked)):
        failed = execute(plan, retry, scheduler)
        for each in plan.studies:
            if each.folder.study_file.exists() and each.folder.finished_runs():
                with make_console(stderr=True).status("writing the report"):
                    written = page.write(each.out, plan.protocol, render=commandline.run)
                show_report(written)
        if len(plan.studies) > 1 and any(each.folder.study_file.exists() for each in plan.studies):
            show_report(comparison.write(plan.out, plan.protocol, commandline.run))
    if failed and study:
        say(f"\nTry failed cells again with:\n  {study} --retry", err=True)
    if failed:
        report_failures(failed)


def execute(plan: Plan, retry: bool = True, scheduler: str | None = None) -> list[Failed]:
    """Run the cells of a plan and show how far they are."""
    from manylabel.study import runner
    from manylabel.study.analysis.figures.drawing import require_matplotlib
    from manylabel.study.progress import Display

    require_matplotlib()
    with Display(make_console(stderr=True), plan.weights, plan.protocol) as display:
        return runner.run(plan, display, _executor(plan.jobs, scheduler), retry)


def _executor(jobs: int | None, scheduler: str | None) -> Executor:
    """Processes of this machine, or the workers of a cluster."""
    from manylabel.study.executors.dask import Dask
    from manylabel.study.executors.local import Local
    from manylabel.study.plan import MOST_THREADS, check_number

    check_number("jobs", 1 if jobs is None else jobs, MOST_THREADS)
    return Local(jobs) if scheduler is None else Dask(scheduler)


def run_search(search: Search, jobs: int | None = None, scheduler: str | None = None) -> None:
    """Carry out a search and print what it found."""
    from manylabel.study.analysis.figures.drawing import require_matplotlib
    from manylabel.study.parameters import parameters
    from manylabel.study.search import report, tune

    require_matplotlib()
    asked = parameters(search) | ({} if scheduler is None else {"scheduler": scheduler})
    with resumable(commandline.tune(asked)):
        executor = _executor(jobs, scheduler)
        study = tune.run(search, lambda line: say(commandline.in_options(line), err=True), executor)
    found = report.write(search, study, commandline.tune)
    print_table(found.table)
    say(found.sentence)
    say_path("recipe", found.recipe)
    say_path("picture", found.picture)
    compared = {"data": search.data[0], "methods": [str(found.recipe), search.method]}
    compared |= {name: asked[name] for name in ("data_dir", "labels", "read") if name in asked}
    say(f"Compare it with the recipe as it was on the test rows:\n  {commandline.run(compared)}")


def run_request(request: Request) -> None:
    """Run a reproduction and print its page."""
    from manylabel import reproduction
    from manylabel.study.parameters import parameters

    with resumable(commandline.reproduce(parameters(request))):
        failed = execute(request.plan)
    if failed and request.results.is_empty:
        report_failures(failed)
    page = reproduction.write(request, commandline.reproduce)
    for section in page.sections:
        for table in section.tables:
            print_table(table)
        for sentence in section.sentences:
            say(f"{sentence}\n")
    say_path("page", page.path)
    if failed:
        report_failures(failed)
