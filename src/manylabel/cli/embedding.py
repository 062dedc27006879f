"""The command that writes what an encoder makes of rows: embed, by a model or by a frozen encoder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from manylabel.cli import option_values
from manylabel.cli.data_facts import read_options
from manylabel.cli.models import (
    Identifier,
    check_place,
    load_model,
    model_blocks,
    say_note,
    say_what_is_embedded,
)
from manylabel.cli.option_groups import roles_of
from manylabel.cli.options import DataDir, ReaderSettings
from manylabel.cli.output import say, say_path
from manylabel.cli.table_options import (
    ColumnRoles,
    Delimiter,
    Encoding,
    LabelColumns,
    TextColumns,
    label_names,
)
from manylabel.errors import ManyLabelError
from manylabel.printable import count

if TYPE_CHECKING:
    from manylabel.data.rows import Features
    from manylabel.models.frozen import FrozenEncoder

embedding_app = typer.Typer()
FrozenEncoderName = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="Frozen encoder in place of a model: the folder of a Hugging Face encoder or of static embeddings, a "
        "name on the hub, [bold]wordllama[/] or [bold]minilm[/]; of pictures a name such as resnet50.",
    ),
]
EncoderSettings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Setting of the encoder: weights=FILE, pooling=first, length=TOKENS or pixels=SIDE; may be given "
        "several times.",
        show_default=False,
    ),
]


@embedding_app.command(
    epilog="Examples:\n\n"
    "[cyan]manylabel embed model new.csv --out embeddings.npy[/]  then numpy.load('embeddings.npy', mmap_mode='r')\n\n"
    "[cyan]manylabel embed reuters21578 --encoder wordllama --out vectors.npz[/]  then manylabel run vectors.npz\n\n"
    "[cyan]manylabel embed films.csv --text plot --encoder path/to/roberta-base --set length=256 --out plots.npy[/]"
)
def embed(
    source: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|DATA",
            help="Folder of a model, as fit writes it; or with [cyan]--encoder[/] the data: a set by name or path, "
            "or a table.",
        ),
    ],
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]", help="Of a model: rows like the training rows, without labels or with them."
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="File to write; ends in .npy, .npz or .parquet."),
    ] = Path("embeddings.npy"),
    encoder: FrozenEncoderName = None,
    settings: EncoderSettings = None,
    labels: LabelColumns = None,
    column: ColumnRoles = None,
    text: TextColumns = None,
    identifier: Identifier = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    read: ReaderSettings = None,
    data_dir: DataDir = None,
) -> None:
    """Write the representation of each row as one array, in their order.

    By a model, of the rows of FILE. By a frozen encoder, of the rows of DATA: they are computed once and kept in the
    cache, so that the same rows are read the next time. A data set with labels becomes one of vectors, as .npz,
    on which every command runs.
    """
    from manylabel.data.formats.options import refuse_options
    from manylabel.data.own_rows import are_new_pictures
    from manylabel.methods.embedding_files import check_embedding_file

    check_embedding_file(out, identifier)
    reading, options = {"delimiter": delimiter, "encoding": encoding}, read_options(read)
    if encoder is None:
        _refuse_settings_of_encoders(
            {"--labels": labels, "--column": column, "--text": text, "--set": settings}
        )
        _by_model(source, file, out, identifier, reading, options)
        return
    if file is not None:
        raise ManyLabelError("embed", "one source of rows beside `encoder`", f"{source} and {file}")
    check_place(out, source)
    chosen = option_values.settings(settings or [], ["embed"]).get("embed", {})
    asked = {"encoder": encoder, **chosen}
    if labels is None and Path(source).exists() and _is_table(source):
        refuse_options(options, source)
        _of_table(source, out, identifier, asked, {**reading, "columns": roles_of(column, text, None)})
    elif labels is None and are_new_pictures(source):
        _of_pictures(source, out, identifier, asked, options)
    else:
        _of_dataset(source, labels, out, asked, data_dir, options)


def _refuse_settings_of_encoders(options: dict[str, Any]) -> None:
    if given := [option for option, value in options.items() if value]:
        hint = "A model knows what columns mean; one of texts is told their column with --read text=COLUMN."
        raise ManyLabelError("embed", "no settings of an encoder beside a model", ", ".join(given), hint)


def _by_model(
    source: str,
    file: str | None,
    out: Path,
    identifier: str | None,
    reading: dict[str, Any],
    options: dict[str, Any],
) -> None:
    from manylabel.methods.embedding_files import write_embeddings

    if file is None:
        hint = "Name the file as well, or a frozen encoder with `encoder`."
        raise ManyLabelError("embed", "a model and a file", f"{source!r} alone", hint)
    check_place(out, file)
    loaded, schema = load_model(Path(source))
    blocks = model_blocks(loaded, file, schema, identifier, reading, options)
    written = write_embeddings(loaded.embed, blocks, out, identifier)
    say_what_is_embedded(loaded)
    _told(out, *written)


def _of_table(
    source: str, out: Path, identifier: str | None, asked: dict[str, Any], reading: dict[str, Any]
) -> None:
    """Rows of a table without labels."""
    from manylabel.data import read_table
    from manylabel.data.own_rows import blocks_of_rows
    from manylabel.methods.embedding_files import write_embeddings

    table = read_table(source, **reading)
    vectors = _opened(asked, table.X).kept_vectors(table.X)
    of_file = {name: reading[name] for name in ("delimiter", "encoding")}
    blocks = blocks_of_rows(source, table.schema, identifier, **of_file)
    _told(out, *write_embeddings(lambda part: part.values, _slices(vectors, blocks), out, identifier))


def _of_pictures(
    source: str, out: Path, identifier: str | None, asked: dict[str, Any], options: dict[str, Any]
) -> None:
    """Pictures without labels."""
    from manylabel import data
    from manylabel.data.own_rows import blocks_of_rows
    from manylabel.methods.embedding_files import write_embeddings

    like = data.Like(unlabelled=True)
    X = data.load(Path(source), undivided=True, options=options, like=like).test.X
    vectors = _opened(asked, X).kept_vectors(X)
    blocks = blocks_of_rows(source, None, identifier, options=options, like=like, tell=say_note)
    _told(out, *write_embeddings(lambda part: part.values, _slices(vectors, blocks), out, identifier))


def _slices(vectors: Any, blocks: Iterator[Any]) -> Iterator[Any]:
    """The vectors of the rows of each block, with the names of the rows."""
    from manylabel.data.rows import Vectors

    start = 0
    for X, names in blocks:
        yield Vectors(vectors[start : start + len(X)]), names
        start += len(X)


def _of_dataset(
    source: str,
    labels: str | None,
    out: Path,
    asked: dict[str, Any],
    data_dir: Path | None,
    options: dict[str, Any],
) -> None:
    """A data set with labels, as one of vectors."""
    from manylabel import data
    from manylabel.methods.embedding import embed_dataset, write_dataset

    if out.suffix != ".npz":
        hint = "Such a file holds the labels and the split as well, and every command reads it."
        raise ManyLabelError("`out`", "a file of a data set, which ends in .npz", str(out), hint)
    dataset = data.load(source, data_dir, labels=label_names(labels, source) or None, options=options)
    vectors = embed_dataset(dataset, _opened(asked, dataset.train.X))
    write_dataset(vectors, out)
    _told(out, len(vectors.train) + len(vectors.test), vectors.train.X.shape[1])


def _opened(asked: dict[str, Any], X: Features) -> FrozenEncoder:
    from manylabel.methods.embedding import opened_encoder

    return opened_encoder(kind=X.kind, **asked)


def _is_table(source: str) -> bool:
    from manylabel.data.own_rows import is_plain_table

    return is_plain_table(source)


def _told(out: Path, rows: int, width: int) -> None:
    say_path("embeddings", out)
    say(f"{count(rows, 'row')} of {width} numbers")
