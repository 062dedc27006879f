"""Commands that use a model on new files: predict, evaluate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from manylabel.cli import commandline
from manylabel.cli.data_facts import read_options
from manylabel.cli.options import ReaderSettings
from manylabel.cli.output import make_console, no_empty_folders, print_rows, print_table, say, say_path
from manylabel.cli.table_options import Delimiter, Encoding, label_option
from manylabel.errors import ManyLabelError
from manylabel.printable import count

if TYPE_CHECKING:
    from manylabel.data.own_rows import OwnRows
    from manylabel.data.rows import Features
    from manylabel.data.tables import Schema
    from manylabel.estimator import MultiLabelClassifier
    from manylabel.methods import Predictor
    from manylabel.study.report.model_page import Evaluated

models_app = typer.Typer()

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a model, as fit writes it.")]
RowsFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="Rows like the training rows, without labels or with them; of pictures a folder."
    ),
]
Identifier = Annotated[
    str | None, typer.Option("--id", help="Column that names the rows; it is kept in the output.")
]


MovedEncoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="Where the frozen encoder is now that the model was trained with.",
        show_default="where it was",
    ),
]


@models_app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel predict model new.csv --out predictions.csv --id film[/]\n\n"
    "[cyan]manylabel predict model new.parquet --out predictions.parquet --probabilities --top 3[/]\n\n"
    "[cyan]manylabel predict model photos/ --out predictions.csv[/]  pictures, named in a column `file`"
)
def predict(
    model: ModelArgument,
    file: RowsFile,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="File to write; ends in .csv, .jsonl or .parquet.")
    ] = Path("predictions.csv"),
    identifier: Identifier = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Of all labels, not only of those predicted.")
    ] = False,
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="The representation of each row as well.")
    ] = False,
    top: Annotated[
        int | None, typer.Option("--top", help="So many labels of the highest probability as well.")
    ] = None,
    separator: Annotated[
        str | None,
        typer.Option(
            "--separator", help="Between labels in a cell of CSV.", show_default="that of the training file"
        ),
    ] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    read: ReaderSettings = None,
    encoder: MovedEncoder = None,
) -> None:
    """Predict labels and their probabilities for the rows of a file, in their order.

    Any number of rows: a table is read and written block by block. OUT appears when all rows are done.
    """
    from manylabel.methods.prediction_files import Wanted, check_ending, write_predictions

    check_ending(out)
    check_place(out, file)
    loaded, schema = load_model(model, encoder)
    wanted = Wanted(identifier, probabilities, embeddings, top, separator or _usual(schema, loaded))
    reading = {"delimiter": delimiter, "encoding": encoding}
    blocks = model_blocks(loaded, file, schema, identifier, reading, read_options(read))
    written = write_predictions(loaded, blocks, out, wanted)
    shown = [(name, _probabilities(of)) for name, of in written.first]
    print_rows((written.identifier or "row", "labels and their probabilities"), shown)
    mean = written.labels / max(1, written.rows)
    if embeddings:
        say_what_is_embedded(loaded)
    say_path("predictions", out)
    say(f"{count(written.rows, 'row')}, {mean:.2f} labels a row, {count(written.without, 'row')} without one")


@models_app.command(epilog="Example:\n\n[cyan]manylabel evaluate model test.csv --out report[/]")
def evaluate(
    model: ModelArgument,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Rows with labels that the model has never seen.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report.")] = Path("report"),
    train: Annotated[
        str | None,
        typer.Option(
            "--train",
            help="The training file, for the model of a study: others know which labels are rare, and which label sets "
            "were seen.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            help="Label columns of FILE (and of --train), as fit takes them, for a model that was trained in Python on "
            "labels apart, or a file in which they have other names.",
            show_default="those of the training file",
        ),
    ] = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    read: ReaderSettings = None,
    encoder: MovedEncoder = None,
) -> None:
    """Measure a model on rows with labels, and write a page: metrics, every label, slices, reliability.

    Decisions are those of the model; nothing is chosen on these rows.
    """
    from manylabel.study.report.model_page import report_folder, write_model_report

    reading = {"delimiter": delimiter, "encoding": encoding}
    options = read_options(read)
    of_rows = {"data": [str(model), file], "train": train, "labels": labels, **reading, "read": options}
    asked = of_rows | {"encoder": encoder}
    given = {name: value for name, value in asked.items() if value is not None} | {"out": str(out)}
    with no_empty_folders(out):
        report_folder(out)
        found = _evaluated(model, file, train, labels, reading, options, encoder)
        written = write_model_report(found, out, commandline.command_line("evaluate", given))
    print_table(written.overall)
    for sentence in written.absent:
        say(f"note: {sentence}")
    say_path("report", written.path)


def _probabilities(of: dict[str, float]) -> str:
    told = [f"{name} {p:.2f}" if p >= 0.005 else f"{name} {p:.1g}" for name, p in of.items()]
    return ", ".join(told) or "none"


def load_model(folder: Path, encoder: str | None = None) -> tuple[Predictor, Schema | None]:
    """The model of a folder, and what the columns of its training table meant.

    ``encoder`` is where its frozen encoder is now, if not where it was.

    Raises
    ------
    ManyLabelError
        If there is none, or it is damaged.
    """
    from manylabel.estimator import MultiLabelClassifier

    loaded = MultiLabelClassifier.load(folder, encoder=encoder)
    return loaded.predictor_, _schema(loaded)


def _schema(loaded: MultiLabelClassifier) -> Schema | None:
    return getattr(loaded, "schema_", None)


def check_place(out: Path, file: str) -> None:
    """Refuse to write over the rows that are read."""
    if out.exists() and Path(file).exists() and out.samefile(file):
        raise ManyLabelError(
            "--out", "another file than that of the rows", str(out), "The rows would be lost."
        )


def _usual(schema: Schema | None, model: Predictor) -> str | None:
    """The separator of the training file, if it can part the names of the labels."""
    sign = schema.labels.separator if schema is not None and schema.labels is not None else None
    if not sign or sign == "list" or any(sign in name for name in model.label_names):
        return None
    return sign


def say_what_is_embedded(model: Predictor) -> None:
    """A note where the embeddings of a model are no more than the features of rows."""
    if model.scorer.embeds_features:
        say(
            "note: this method learns no representation, so that its embeddings are the features as it sees them"
        )


def model_blocks(
    model: Predictor,
    file: str,
    schema: Schema | None,
    identifier: str | None,
    reading: dict[str, Any],
    options: dict[str, Any],
) -> Iterator[tuple[Features, list[str] | None]]:
    """Rows of a file block by block, told on a terminal."""
    from manylabel.data.own_rows import blocks_of_rows

    found = None if schema else _of_columns(model, file, options, reading)
    if found:
        schema, options = found, {}
    of_table = reading if schema else {}
    like = replace(model.schema.like, label_names=model.label_names, unlabelled=True)
    return _told(
        blocks_of_rows(file, schema, identifier, options=options, like=like, tell=say_note, **of_table)
    )


def _of_columns(
    model: Predictor, source: str, options: dict[str, Any], reading: dict[str, Any]
) -> Schema | None:
    """What the columns of a table mean to a model that was trained on none."""
    from manylabel.data.own_rows import schema_of_columns

    return schema_of_columns(source, model.schema.kind, model.schema.feature_names, options, **reading)


def say_note(sentence: str) -> None:
    """What to know of how rows were read."""
    say(f"note: {sentence}")


def _told(blocks: Iterable[tuple[Features, list[str] | None]]) -> Iterator[tuple[Features, list[str] | None]]:
    done = 0
    with make_console(stderr=True).status("reading") as status:
        for X, names in blocks:
            yield X, names
            done += len(X)
            status.update(f"{done} rows done")


def _evaluated(
    folder: Path,
    file: str,
    train: str | None,
    labels: str | None,
    reading: dict[str, Any],
    options: dict[str, Any],
    encoder: str | None,
) -> Evaluated:
    from manylabel.data.own_rows import read_test_rows
    from manylabel.estimator import MultiLabelClassifier
    from manylabel.study.report.model_page import Evaluated

    loaded = MultiLabelClassifier.load(folder, encoder=encoder)
    model, own_schema = loaded.predictor_, _schema(loaded)

    def read(source: str) -> OwnRows:
        found = None if own_schema else _of_columns(model, source, options, reading)
        schema = own_schema or found
        named = labels if labels is None or schema is None else label_option(labels, source)
        as_asked = {"options": {} if found else options, **(reading if schema else {})}
        like = model.schema.like
        return read_test_rows(source, schema, model.label_names, labels=named, like=like, **as_asked)

    rows = read(file)
    given = None if train is None else read(train).Y
    for sentence in rows.told:
        say(f"note: {sentence}")
    S, P, predicted = _made(model, rows.X)
    return Evaluated(
        model=str(folder),
        data=rows.where,
        method=str(model.recipe.get("name", "unknown")),
        label_names=model.label_names,
        scores=S,
        probabilities=P,
        predictions=predicted,
        Y=rows.Y,
        decision=model.decision,
        note=model.note,
        Y_train=loaded.training_labels_ if given is None else given,
        groups=_group_names(rows),
        calibrated=model.calibration is not None,
        evidence=model.evidence,
        X=rows.X,
    )


def _made(model: Predictor, X: Features) -> tuple[Any, Any, Any]:
    """Scores, probabilities and predictions, made by the block where they would be large."""
    from manylabel import metrics

    if 4 * len(X) * len(model.label_names) > metrics.WHOLE_UP_TO:
        return model.streamed(X)
    S = model.scores(X)
    return S, model.probabilities(S), model.decided(S)


def _group_names(rows: OwnRows) -> list[str] | None:
    if rows.table is None or rows.table.groups is None:
        return None
    names = (*rows.table.group_names, "none")
    return [names[code] for code in rows.table.groups.tolist()]
