"""The page of a transfer: a table like Table 7 of MulSupCon, differences between encoders, and every value as CSV."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from manylabel import files
from manylabel.errors import ManyLabelError
from manylabel.methods.versions import versions
from manylabel.printable import count, printable
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.statistics import lead
from manylabel.study.analysis.tables import MEANING, Cell, Table, heading, in_markdown, signed
from manylabel.study.transfer import SCRATCH, Place, Transfer

METRICS = ("map", "hamming_accuracy", "example_f1", "macro_f1", "micro_f1", "precision_at_1")
PAGE, VALUES = "README.md", "values.csv"
ABOUT = (
    "An encoder is trained on one data set and taken to another: frozen, below a logistic regression whose penalty is "
    "chosen by cross-validation (probe; of vectors and tables, below a linear layer), or trained on with the recipe "
    "bce at a tenth of the rate (finetune). Beside them stands the same network from scratch on the target. The "
    "question is that of Table 7 of Zhang and Wu (AAAI 2024), who pretrain on MS-COCO and NUS-WIDE and probe on PASCAL "
    "and MIRFLICKR."
)


@dataclass(frozen=True)
class TransferPage:
    """What was found, and the file that shows it."""

    path: Path
    tables: tuple[Table, ...]


def write(asked: Transfer, repeat: str) -> TransferPage:
    """Write ``README.md`` and ``values.csv`` into the folder of a transfer, from the runs that are finished.

    Parameters
    ----------
    asked : Transfer
    repeat : str
        The command that does it again.

    Raises
    ------
    ManyLabelError
        If no run is finished.
    """
    found = asked.results
    if found.is_empty:
        raise ManyLabelError(str(asked.out), "finished runs", "none", f"Make them with: {repeat}")
    tables = tuple(filter(None, (reached(asked, found), differences(asked, found))))
    columns = {name: lambda place, name=name: getattr(place, name) for name in Place._fields}
    files.write(asked.out / VALUES, found.csv(columns).encode())
    text = "\n".join(_lines(asked, found, tables, repeat))
    files.write(asked.out / PAGE, text.encode())
    return TransferPage(asked.out / PAGE, tables)


def reached(asked: Transfer, found: Results[Place]) -> Table:
    """Every metric of every encoder on every target; bold is the best of those that were taken there in one way."""
    rows = []
    for _, group in itertools.groupby(
        found.groups, key=lambda place: (place.source, place.target, place.way)
    ):
        places = list(group)
        for place in places:
            names = (place.source if place.way else "-", place.target, place.method, place.way or "-")
            cells = [_cell(found, place, places, metric) for metric in METRICS]
            rows.append((*map(Cell, names), *cells))
    title = f"{count(len(asked.seeds), 'seed')}, {found.protocol} protocol"
    headings = ("encoder from", "target", "trained by", "taken by")
    shown = (heading(metric, found.protocol) for metric in METRICS)
    return Table(title, (*headings, *shown), tuple(rows), names=4)


def differences(asked: Transfer, found: Results[Place]) -> Table | None:
    """The last method less each other one, seed by seed; None for a single method."""
    *others, ours = asked.methods
    rows = []
    for place in found.groups:
        if place.method == SCRATCH or place.method not in others:
            continue
        of = {m: found.difference(place._replace(method=ours), place, m) for m in METRICS}
        if all(of.values()):
            name = f"{place.source} to {place.target}, {place.way}: {ours} less {place.method}"
            values = [Cell(signed(each.mean), each.low > 0) for each in of.values() if each is not None]
            rows.append((Cell(name), *values))
    shown = (heading(metric, found.protocol) for metric in METRICS)
    title = "Differences, seed by seed; bold where the 95 % interval is above 0"
    return Table(title, ("pair", *shown), tuple(rows)) if rows else None


def _cell(found: Results[Place], place: Place, places: list[Place], metric: str) -> Cell:
    ours = found.summary(place, metric)
    best = max((found.summary(other, metric).mean for other in places), default=ours.mean)
    return Cell(str(ours), len(places) > 1 and lead(ours.mean, best) == 0)


def _lines(asked: Transfer, found: Results[Place], tables: tuple[Table, ...], repeat: str) -> Iterator[str]:
    yield "# Transfer\n"
    yield f"{ABOUT}\n"
    if found.missing:
        yield f"**{count(len(found.missing), 'run')} not finished: the command below goes on with what is missing.**\n"
    for table in tables:
        yield f"**{in_markdown(table.title)}**\n"
        yield f"{table.markdown()}\n"
    yield "## Protocol\n"
    yield f"- {found.protocol}: {MEANING[found.protocol]}."
    if asked.rows is not None:
        yield f"- Training parts of more than {asked.rows} rows: a share of about so many, stratified by label and"
        yield "  drawn by the seed, for encoders and on targets alike. All test rows are scored."
    yield "- Test rows choose nothing. Settings that differ from the recipes stand in the command.\n"
    yield "## Repeat it\n"
    yield f"```sh\n{printable(repeat)}\n```\n"
    yield f"Every value of every run is in `{VALUES}`; the studies and models lie beside it.\n"
    yield from (f"- {name} {version}" for name, version in versions().items())
    yield ""
