"""The command that takes encoders from one data set to another: transfer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manylabel.cli import commandline, option_values
from manylabel.cli.options import DataDir, Jobs, Protocol, ProtocolOption, Seeds, Settings, Threads
from manylabel.cli.output import print_table, report_failures, say_path
from manylabel.cli.studies import execute, resumable
from manylabel.errors import ManyLabelError
from manylabel.printable import count

if TYPE_CHECKING:
    from manylabel.study.transfer import Transfer

transferring_app = typer.Typer()
Pairs = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE TARGET",
        help="Two data sets of rows of one kind, by name or path; or more such pairs.",
    ),
]
Encoders = Annotated[
    str,
    typer.Option(
        "--methods",
        "-m",
        help="What trains the encoders, comma-separated; of one that pretrains, the contrastive stage alone.",
    ),
]
Ways = Annotated[
    str,
    typer.Option(
        "--ways", help="What happens on TARGET, comma-separated: [bold]probe[/] or [bold]finetune[/]."
    ),
]
MostRows = Annotated[
    int | None,
    typer.Option(
        "--rows", help="Of larger training parts, a share of about so many rows.", show_default="all"
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of all runs; finished ones are kept.")]


@transferring_app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel transfer miml_scenes digits[/]\n\n"
    "[cyan]manylabel transfer miml_scenes digits --back --ways probe,finetune --seeds 3[/]\n\n"
    "[cyan]manylabel transfer goemotions hallmarks_of_cancer --methods bce,mulsupcon,reg --rows 2000[/]"
)
def transfer(
    data: Pairs,
    back: Annotated[bool, typer.Option("--back", help="From TARGET to SOURCE as well.")] = False,
    methods: Encoders = "bce,mulsupcon",
    ways: Ways = "probe",
    seeds: Seeds = "3",
    rows: MostRows = None,
    out: Out = Path("runs/transfer"),
    protocol: Annotated[Protocol, ProtocolOption] = Protocol.learnt,
    settings: Settings = None,
    jobs: Jobs = None,
    threads: Threads = 1,
    data_dir: DataDir = None,
) -> None:
    """Train encoders on one data set, take them to another, and compare them there on its test rows.

    A linear probe on the frozen encoder, or fine-tuning, beside the same network from scratch: a table like Table 7 of
    MulSupCon, as README.md in OUT. Ctrl-C is safe: the same command goes on where it stopped.
    """
    from manylabel.study.transfer import CLASSIFIER, Transfer

    pairs, names = _pairs(data), option_values.methods(methods)
    asked = Transfer(
        pairs=(*pairs, *((target, source) for source, target in pairs if back)),
        out=out,
        methods=names,
        ways=option_values.names("--ways", ways),
        seeds=option_values.seeds(seeds),
        settings=option_values.settings(settings or [], tuple(dict.fromkeys((*names, CLASSIFIER)))),
        rows=rows,
        protocol=protocol.value,
        jobs=jobs,
        threads=threads,
        data_dir=data_dir,
    )
    run_transfer(asked)


def run_transfer(asked: Transfer) -> None:
    """Run a transfer and print its tables."""
    from manylabel.study.parameters import parameters
    from manylabel.study.report import transfer_page

    named = [name for pair in asked.pairs for name in pair]
    repeat = commandline.transfer(parameters(asked) | {"data": named})
    with resumable(repeat):
        failed = execute(asked.plan)
    if not asked.results.is_empty:
        written = transfer_page.write(asked, repeat)
        for table in written.tables:
            print_table(table)
        say_path("page", written.path)
    if failed:
        report_failures(failed)


def _pairs(data: list[str]) -> tuple[tuple[str, str], ...]:
    if len(data) % 2:
        raise ManyLabelError(
            "`data`", "pairs of SOURCE and TARGET", count(len(data), "data set"), "Name two."
        )
    return tuple(zip(data[::2], data[1::2], strict=True))
