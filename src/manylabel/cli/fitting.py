"""The command that makes a model of a file: fit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from manylabel.cli import commandline, option_values
from manylabel.cli.option_groups import LabelledRows, TrainingOptions, grouped
from manylabel.cli.options import Encoder, OneMethod
from manylabel.cli.output import make_console, no_empty_folders, print_table, say, say_path
from manylabel.cli.table_options import label_option
from manylabel.cli.training_progress import TrainingDisplay
from manylabel.errors import ManyLabelError
from manylabel.printable import count

if TYPE_CHECKING:
    from manylabel.data.build import Like
    from manylabel.data.own_rows import OwnRows
    from manylabel.data.tables import Schema
    from manylabel.estimator import MultiLabelClassifier

fitting_app = typer.Typer()
TRAINING = ".training"
"""Ending of the folder beside a model in which its training is kept until it has ended."""
_MOST_NAMES = 8
_NEW = {"images": "NEW_PICTURES/", "text": "NEW.csv"}

ModelFolder = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of the model, made where it is missing.")
]
Validation = Annotated[
    str | None,
    typer.Option(
        "--validation",
        help="Rows that epochs and decisions are chosen on: a file like FILE, or a share of its rows (0.2).",
        show_default="a part of the rows, or each fold in turn",
    ),
]


@fitting_app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel fit films.csv --labels genres --out model[/]\n\n"
    "[cyan]manylabel fit films.parquet --labels 'is_*' --column zip=category --groups director --out model[/]\n\n"
    "[cyan]manylabel fit yeast.arff --method mulsupcon --out model[/]\n\n"
    "[cyan]manylabel fit photos/ --read side=224 --encoder resnet50 --out model[/]"
)
@grouped
def fit(
    file: Annotated[
        str,
        typer.Argument(
            help="A table (CSV, TSV, JSON lines, parquet, Arrow, Excel, SQLite), or any file or folder of "
            "[cyan]manylabel data formats[/]."
        ),
    ],
    rows: LabelledRows,
    training: TrainingOptions,
    out: ModelFolder = Path("model"),
    method: OneMethod = "best",
    encoder: Encoder = None,
    groups: Annotated[
        str | None, typer.Option("--groups", help="Column of what stays together when rows are held out.")
    ] = None,
    validation: Validation = None,
    thresholds: Annotated[
        str,
        typer.Option(
            "--thresholds",
            help="How labels are decided: [bold]tuned[/] per label, [bold]shared[/], [bold]fixed[/] at 0.5, "
            "[bold]top_k[/], [bold]expected_f1[/], [bold]seen_sets[/], or a number.",
        ),
    ] = "tuned",
) -> None:
    """Train a model on a file with labels, and write it into a folder that can be handed on.

    Says what every column was taken for, and how good the decisions are on rows held out. Ctrl-C is safe: the same
    command goes on where it stopped.
    """
    settings = option_values.settings(training.settings or [], [method], encoder).get(method, {})
    asked = {"settings": settings, "validation": validation, "thresholds": thresholds}
    run_fit(rows.asked(file, groups) | asked, training, method, out)


def run_fit(given: Mapping[str, Any], training: TrainingOptions, method: str, out: Path) -> None:
    """Read, train, save, and say what was found; of the processes of ``torchrun`` the first saves and says it."""
    from manylabel.methods import model_folder
    from manylabel.methods.start import like_of_encoder
    from manylabel.training import joined

    of_training = {"seed": training.seed, "overwrite": training.overwrite or None}
    asked = {**given, "method": method, "out": str(out), **of_training}
    _keep_model(out, asked["overwrite"])
    rows = read_rows(asked, like_of_encoder(asked["settings"]))
    model_folder.usable_place(out)
    folder = out.with_name(out.name + TRAINING)
    with joined() as ranks, _resumable(asked), no_empty_folders(folder, out):
        if ranks.world > 1:
            _check_method(asked["method"])
        if ranks.first:
            show_rows(rows)
        model = _train(rows, asked, folder, quiet=not ranks.first)
    if not ranks.first:
        return
    model.predictor_.keep_origin(rows.feature_names, rows.reading)
    model.save(out)
    shutil.rmtree(folder, ignore_errors=True)
    _show_quality(model)
    say_path("model", out)
    example = "NEW.csv" if rows.table is not None else _NEW.get(rows.X.kind, "NEW_FILE")
    known = model.predictor_.schema.like.settled  # the model reads new rows so by itself
    read = {name: value for name, value in (asked.get("read") or {}).items() if name not in known}
    again = commandline.command_line(
        "predict", {"data": [str(out), example], "read": read, "out": "predictions.csv"}
    )
    say(f"Predict for new rows with:\n  {again}")


def _check_method(name: str) -> None:
    """Refuse methods whose learners several processes cannot train together."""
    from manylabel.methods import get

    if get(name).cross_fits:
        hint = "Take bce, mulsupcon or another network, or leave out torchrun."
        raise ManyLabelError("`method`", "a method of one network over several processes", name, hint)


def _keep_model(out: Path, overwrite: bool | None) -> None:
    """Refuse a folder with a model, unless it may be replaced."""
    from manylabel.methods import model_folder

    if not overwrite and model_folder.holds_model(out):
        hint = "Name another folder, or replace it with `overwrite`."
        raise ManyLabelError("`out`", "a folder without a model", f"{out}, which holds one", hint)


def read_rows(asked: Mapping[str, Any], like: Like | None = None) -> OwnRows:
    """The rows that options name."""
    from manylabel.data.own_rows import read_training_rows

    file, labels = asked["data"], asked["labels"]
    if labels is None:
        _refuse_table_options(asked)
        return read_training_rows(file, options=asked["read"], like=like)
    return read_training_rows(
        file,
        labels=label_option(labels, file),
        options=asked["read"],
        columns=asked["columns"],
        separator=asked["separator"],
        delimiter=asked["delimiter"],
        encoding=asked["encoding"],
    )


def _refuse_table_options(asked: Mapping[str, Any]) -> None:
    given = [name for name in ("columns", "separator", "delimiter", "encoding") if asked[name]]
    if given:
        hint = "Name the label columns of a table; files of other formats say themselves what is what."
        raise ManyLabelError("`labels`", f"the label columns, beside `{given[0]}`", "none", hint)


def show_rows(rows: OwnRows) -> None:
    """Say what was read, in a few lines."""
    from manylabel.data.quality import remarks_on_constant_labels

    entries = float(rows.Y.row_counts().sum())
    about = (
        f"{count(len(rows), 'row')}, {count(len(rows.label_names), 'label')}, {entries / len(rows):.2f} a row"
    )
    say(f"{rows.where}: {about}")
    if rows.table is not None:
        for what, names in _by_role(rows.table.schema):
            say(f"  {what:<11} {names}")
    for sentence in (*rows.told, *remarks_on_constant_labels(rows.Y, rows.label_names)):
        say(f"  note: {sentence}")
    if rows.Y.n_unknown:
        say(f"  note: {rows.Y.n_unknown} label entries are unknown: they are neither positive nor negative.")


def _by_role(schema: Schema) -> Iterator[tuple[str, str]]:
    """What columns were taken for, those left out with the reason."""
    by_role: dict[str, list[str]] = {}
    for column in schema.columns:
        name = f"{column.name} ({column.why})" if column.role == "skip" else column.name
        by_role.setdefault(column.role, []).append(name)
    names = {
        "category": "categories",
        "tags": "tags",
        "skip": "left out",
        "group": "groups",
        "weight": "weights",
    }
    for role, columns in by_role.items():
        more = f" and {len(columns) - _MOST_NAMES} more" if len(columns) > _MOST_NAMES else ""
        yield names.get(role, f"{role}s"), ", ".join(columns[:_MOST_NAMES]) + more


@contextmanager
def _resumable(asked: Mapping[str, Any]) -> Iterator[None]:
    """Say after Ctrl-C which command goes on."""
    try:
        yield
    except KeyboardInterrupt:
        given = {name: value for name, value in asked.items() if value is not None}
        say(f"\nStopped. Go on where it stopped with:\n  {commandline.command_line('fit', given)}", err=True)
        raise typer.Exit(130) from None


def _train(
    rows: OwnRows, asked: Mapping[str, Any], folder: Path, quiet: bool = False
) -> MultiLabelClassifier:
    from manylabel.estimator import MultiLabelClassifier

    model = MultiLabelClassifier(
        asked["method"],
        settings=asked["settings"],
        thresholds=_number(asked["thresholds"]),
        validation=_validation(rows, asked),
        class_names=rows.label_names,
        random_state=asked["seed"],
    )
    X = rows.X if rows.table is None else rows.table
    if quiet:
        return model.fit(X, rows.Y, folder=folder)
    with TrainingDisplay(make_console(stderr=True)) as display:
        return model.fit(X, rows.Y, folder=folder, progress=display)


def _number(text: str) -> Any:
    """A number where it is one; the library refuses other texts than its own."""
    try:
        return float(text)
    except ValueError:
        return text


def _validation(rows: OwnRows, asked: Mapping[str, Any]) -> Any:
    """None, a share, or features and labels of a file."""
    from manylabel.data.own_rows import read_test_rows
    from manylabel.methods import model_folder

    given = asked["validation"]
    if given is None or not Path(given).exists():
        share = None if given is None else _number(given)
        if isinstance(share, str):
            raise ManyLabelError("`validation`", "an existing file, or a share between 0 and 1", repr(given))
        return share
    schema = None if rows.table is None else rows.table.schema
    reading = {name: asked[name] for name in ("delimiter", "encoding")} if schema else {}
    own = model_folder.Schema(
        kind=rows.X.kind, form=rows.X.form, feature_names=rows.feature_names, reading=dict(rows.reading)
    )
    held_out = read_test_rows(
        given, schema, rows.label_names, options=asked["read"], like=own.like, **reading
    )
    return held_out.X, held_out.Y


def _show_quality(model: MultiLabelClassifier) -> None:
    from manylabel.study.report.model_page import values_table

    if model.quality_:
        print_table(values_table(model.quality_, f"on held-out rows ({model.how_})"))
    if model.predictor_.note:
        say(f"note: {model.predictor_.note}")
    if model.predictor_.evidence is not None:
        say(model.predictor_.evidence.sentence())
