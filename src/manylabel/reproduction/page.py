"""The page of a reproduction: README.md with tables and pictures, and values.csv with every value of every run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from manylabel import files
from manylabel.errors import ManyLabelError
from manylabel.methods.versions import versions
from manylabel.printable import clock, printable
from manylabel.reproduction import published
from manylabel.reproduction.experiment import Place, Reproduction
from manylabel.reproduction.request import Request
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.tables import MEANING, Cell, Table
from manylabel.study.parameters import Render, parameters, request_call
from manylabel.study.report.sections import Section, in_markdown, save_pictures


@dataclass(frozen=True)
class Page:
    """What was found, and the file that shows it."""

    path: Path
    sections: tuple[Section, ...]


def write(request: Request, render: Render = request_call) -> Page:
    """Write README.md, values.csv and the pictures, from what the finished runs left in the folder.

    Parameters
    ----------
    request : Request
    render : callable (parameters) -> str
        Says how to reproduce it again; by default in Python.

    Raises
    ------
    ManyLabelError
        If no run is finished.
    """
    asked, found, repeat = request.reproduction, request.results, render(parameters(request))
    if found.is_empty:
        raise ManyLabelError(str(request.folder), "finished runs", "none", f"Make them with: {repeat}")
    sections = (*asked.show(asked, found), Section("Training time", tables=[_times(asked, found)]))
    save_pictures(sections, request.folder, ("png", "svg"))
    files.write(request.folder / "values.csv", _values(asked, found).encode())
    page = request.folder / "README.md"
    files.write(page, "\n".join(_lines(repeat, asked, len(found.missing), sections)).encode())
    return Page(page, sections)


def _lines(repeat: str, asked: Reproduction, missing: int, sections: tuple[Section, ...]) -> Iterator[str]:
    yield f"# {asked.heading(asked.name)}\n"
    yield f"{asked.about}\n"
    if asked.budget:
        yield f"**Trained with {asked.budget}: not the figures of the full reproduction.**\n"
    if missing:
        runs = "1 run is" if missing == 1 else f"{missing} runs are"
        yield f"**{runs} not finished and not part of this page: the command below goes on with what is missing.**\n"
    yield from in_markdown(sections)
    yield "## Protocol\n"
    yield f"{asked.protocol}\n"
    yield from (f"- {protocol}: {MEANING[protocol]}." for protocol in asked.protocols)
    source = "" if asked.paper is None else f" Published figures: {published.source(asked.paper)}"
    yield f"\nSeeds: {', '.join(map(str, asked.seeds))}.{source}\n"
    yield "## Repeat it\n"
    yield f"```sh\n{printable(repeat)}\n```\n"
    yield "Every value of every run is in `values.csv`; `manylabel report` shows each study by itself.\n"
    yield from (f"- {name} {version}" for name, version in versions().items())


def _values(asked: Reproduction, found: Results[Place]) -> str:
    """Every value of every run as CSV."""
    before = {
        "set": lambda place: place[0],
        "line": lambda place: place[1].line,
        "method": lambda place: place[1].method,
        "x": lambda place: place[1].x,
        "fraction": lambda place: place[1].fraction,
        "wrong_labels": lambda place: place[1].wrong_labels,
    }
    return found.csv(before, {"budget": lambda _: asked.budget})


def _times(asked: Reproduction, found: Results[Place]) -> Table:
    """Mean training time of a run, and of all runs together."""
    rows = []
    for line in asked.lines:
        each = [found.seconds(*((data, point) for point in asked.of(line))) for data in asked.sets]
        cells = [Cell(clock(time.mean) if time.n else "-") for time in each]
        whole = sum(time.mean * time.n for time in each if time.n)
        rows.append((Cell(line), *cells, Cell(clock(whole))))
    title = asked.heading("Training time of a run, wall clock")
    return Table(title, ("method", *asked.sets, "all runs together"), tuple(rows))
