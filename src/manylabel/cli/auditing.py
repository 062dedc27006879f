"""The command that finds labels which look wrong or missing: audit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from manylabel.cli import commandline, option_values
from manylabel.cli.fitting import read_rows, show_rows
from manylabel.cli.option_groups import LabelledRows, grouped
from manylabel.cli.options import OneMethod, OneSeed, Settings
from manylabel.cli.output import make_console, print_rows, say, say_path
from manylabel.cli.training_progress import TrainingDisplay
from manylabel.errors import ManyLabelError

if TYPE_CHECKING:
    from manylabel.data.own_rows import OwnRows
    from manylabel.estimator.audit import Audit, Finding

auditing_app = typer.Typer()
ENDINGS = (".csv", ".html")
_SAYS = {
    "carried but unlikely": "carried",
    "missing but likely": "not carried",
    "unknown but likely": "unknown",
}


@auditing_app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel audit films.csv --labels genres --id title[/]\n\n"
    "[cyan]manylabel audit films.csv --labels genres --top 200 --out suspects.csv[/]"
)
@grouped
def audit(
    file: Annotated[str, typer.Argument(help="A table or any other file that fit takes.")],
    rows: LabelledRows,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write as well; ends in .csv or .html.")
    ] = None,
    top: Annotated[int, typer.Option("--top", help="So many entries, the most suspicious first.")] = 20,
    identifier: Annotated[str | None, typer.Option("--id", help="Column that names the rows.")] = None,
    method: OneMethod = "best",
    seed: OneSeed = 0,
    settings: Settings = None,
    groups: Annotated[
        str | None, typer.Option("--groups", help="Column of what stays together in a fold.")
    ] = None,
) -> None:
    """Rank label entries that look wrong or missing, with the evidence; nothing in the file is changed.

    Every entry is judged by models that saw neither its row nor its labels, and by the rows nearest to it.
    """
    from manylabel.estimator.audit import audit as audit_labels

    _check_out(out)
    asked = rows.asked(file, groups)
    judged = read_rows(asked)
    show_rows(judged)
    chosen = option_values.settings(settings or [], [method]).get(method, {})
    names = _names_of_rows(file, judged, identifier, asked)
    with TrainingDisplay(make_console(stderr=True)) as display:
        found = audit_labels(
            judged.X if judged.table is None else judged.table,
            judged.Y,
            method=method,
            settings=chosen,
            class_names=judged.label_names,
            random_state=seed,
            progress=display,
        )
    told = {"method": method, "settings": chosen, "seed": seed, "identifier": identifier, "top": top}
    given = {name: value for name, value in (asked | told).items() if value}
    given |= {} if out is None else {"out": str(out)}
    _show(found, names, top, out, commandline.command_line("audit", given))


def _check_out(out: Path | None) -> None:
    if out is not None and out.suffix not in ENDINGS:
        raise ManyLabelError(
            "`out`", f"a file that ends in {' or '.join(ENDINGS)}", out.suffix or "no ending"
        )


def _names_of_rows(file: str, rows: OwnRows, identifier: str | None, asked: dict[str, Any]) -> list[str]:
    from manylabel.data.own_rows import blocks_of_rows

    if identifier is None:
        return [f"row {i + 1}" for i in range(len(rows))]
    schema = None if rows.table is None else rows.table.schema
    reading = {name: asked[name] for name in ("delimiter", "encoding")}
    return [name for _, names in blocks_of_rows(file, schema, identifier, **reading) for name in names or ()]


def _show(found: Audit, names: list[str], top: int, out: Path | None, repeat: str) -> None:
    from manylabel import files
    from manylabel.files.spreadsheet import csv_text

    findings = found.findings(top)
    headings = ("row", "label", "the file says", "suspicion", "evidence")
    told = [(names[f.row], f.label, _SAYS[f.kind], f"{f.suspicion:.3f}", evidence(f)) for f in findings]
    print_rows(headings, told)
    n = int(found.suspected.sum())
    noun = "entry lies" if n == 1 else "entries lie"
    say(f"{n} {noun} on the other side of the threshold of the label, hard rows included")
    if out is None:
        return
    if out.suffix == ".csv":
        columns = ("row", "name", *findings_columns())
        lines = ((f.row + 1, names[f.row], *_plain(f)) for f in findings)
        files.write(out, csv_text([columns, *lines]).encode())
    else:
        files.write(out, _page(found, headings, told, repeat).encode())
    say_path("audit", out)


def findings_columns() -> tuple[str, ...]:
    """Columns of the CSV file behind the number and the name of a row."""
    from manylabel.estimator.audit import Finding

    return Finding._fields[1:]


def evidence(finding: Finding) -> str:
    """What speaks for and against an entry, in words."""
    parts = [f"probability {finding.probability:.2f}, threshold {finding.threshold:.2f}"]
    parts.append(f"model {finding.model:.2f}")
    if finding.neighbours == finding.neighbours:
        parts.append(f"{finding.neighbours:.0%} of the nearest rows carry it")
    if finding.beside and finding.beside_share == finding.beside_share:
        parts.append(f"{finding.beside_share:.0%} of the other rows with {finding.beside} do")
    return "; ".join(parts)


def _plain(finding: Finding) -> Iterator[object]:
    for value in finding[1:]:
        undefined = isinstance(value, float) and value != value
        yield None if undefined else round(value, 6) if isinstance(value, float) else value


def _page(found: Audit, headings: tuple[str, ...], told: list[Any], repeat: str) -> str:
    from manylabel.study.analysis.tables import Cell, Table
    from manylabel.study.report.html import render_page

    entries = Table("", headings, tuple(tuple(map(Cell, row)) for row in told), numbers=False)
    of_labels = (
        "label",
        "carried",
        "not carried",
        "unknown",
        "carried but unlikely",
        "missing but likely",
        "share",
    )
    labels = tuple(
        tuple(map(Cell, (of.label, *map(str, of[1:-1]), f"{of.error_share:.3f}"))) for of in found.per_label()
    )
    return render_page(
        "audit_page.html.jinja",
        n_rows=len(found.Y),
        entries=entries,
        labels=Table("", of_labels, labels),
        repeat=repeat,
    )
