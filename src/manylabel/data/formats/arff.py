"""ARFF tables of Mulan, MEKA and KEEL: label columns named by an XML file, by ``-C n`` or by ``@outputs``.

Read here rather than by a general ARFF library, because every refusal must name the file and the line, rows
without a single stored value must not vanish, and `INTEGER` columns must not be rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from manylabel.data.build import Like, Part
from manylabel.data.formats.arff_columns import plan_columns
from manylabel.data.formats.arff_header import Header, read_header, refusal
from manylabel.data.formats.arff_rows import ArffRows, read_rows
from manylabel.data.formats.border import border, open_text
from manylabel.data.formats.label_xml import read_label_names

__all__ = ["ArffTable", "read_arff", "read_label_names"]


@dataclass(frozen=True)
class ArffTable:
    """One ARFF file: its rows split into features and labels, both in the order of its columns.

    Attributes
    ----------
    part : Part
    feature_names, label_names : tuple of str
        A nominal column of categories has one name ``attribute=value`` for each.
    ones : tuple of str or None, one a label
        The word that the file writes for 1, where labels are words.
    remarks : tuple of str
        What a reader of results should know of how the table was read.
    """

    part: Part
    feature_names: tuple[str, ...]
    label_names: tuple[str, ...]
    ones: tuple[str | None, ...] = ()
    remarks: tuple[str, ...] = ()


def read_arff(path: Path, xml: Path, xml_is_a_guess: bool = False, like: Like | None = None) -> ArffTable:
    """Read a dense or sparse ARFF file.

    Parameters
    ----------
    path : Path
        The table, unpacked where its name ends in ``.gz``. Its columns are numeric, nominal or strings. Values stand
        between commas, tabs or blanks; ``%`` starts a comment.
    xml : Path
        Mulan's list of label names, whose order is ignored. Where there is no such file, the header names the labels:
        ``-C n`` in ``@relation`` for the first n columns, or the last -n where n is negative (MEKA), or ``@outputs``
        (KEEL).
    xml_is_a_guess : bool, default False
        The XML file has another name than the table; a header that names labels goes before one that does not fit.
    like : Like, optional
        Rows to be predicted may be features alone, or have ``?`` as labels: where neither their header nor an XML file
        names a label, these are the columns with the names of a model's labels.

    Returns
    -------
    ArffTable
        Features as an array, or CSR where the rows are sparse; labels as a uint8 array (CSR for many).

    Raises
    ------
    ManyLabelError
        Naming the file, line and column of anything that is not as it should be.

    Notes
    -----
    A label of two words is 1 for the affirmative one (``yes``, ``true``, ``present``, ``on``, ``positive``; or the
    one beside ``no``, ``none``, ``neg`` and the like), else for the second of the list. A label of numbers is what
    the number says, in whatever order they are listed.

    A nominal feature is one 0/1 column for each of its values, named ``attribute=value``, also where the values are
    numbers (a site, a class); a list of two numbers stays one column of them. Where categories would make more than
    67 million numbers, the features are sparse. Where all features are strings, rows are texts (several strings one
    below the other); beside other features, strings are left out and told. Instance weights are told and ignored.
    """
    like = like or Like()
    with border(path, "a readable ARFF file"):
        lines = _lines(path)
        header = read_header(path, lines)
        labels, source = _labels(header, xml, xml_is_a_guess, like)
        columns = plan_columns(path, header, labels, source)
        told = ((n, line) for n, line in lines if line and not line.startswith("%"))
        rows = ArffRows(columns, told, unlabelled=like.unlabelled)
        X, Y = read_rows(rows)
        return ArffTable(
            Part(columns.finished(X), Y, str(path)),
            columns.feature_names,
            columns.label_names,
            tuple(c.one for c in columns.columns if c.is_label),
            tuple(_remarks(header, rows)),
        )


def _labels(header: Header, xml: Path, guess: bool, like: Like) -> tuple[tuple[str, ...] | None, str]:
    """The label names of the XML file, or None where the header has to say them; and where they stand."""
    told = header.meka_labels is not None or bool(header.outputs)
    if told and not xml.exists():
        return None, "the header"
    known = tuple(name for name in header.attributes if name in like.label_names)
    if like.unlabelled and not told and not xml.exists():
        return known, "the model"
    names = read_label_names(xml)
    if like.unlabelled and not told and header.attributes.keys().isdisjoint(names):
        return known, "the model"
    if told and guess and not set(names) <= set(header.attributes):
        return None, "the header"
    return names, xml.name


def _remarks(header: Header, rows: ArffRows) -> Iterator[str]:
    yield from rows.columns.remarks()
    if rows.weights:
        yield f"{rows.weights} rows carry an instance weight, which is ignored."
    if "-split-" in header.relation:
        yield f"The split that {header.relation} asks for is not followed."


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without surrounding blanks."""
    number = 0
    with border(path, "a readable ARFF file"), open_text(path) as file:
        try:
            for number, line in enumerate(file, start=1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            got = f"byte {error.object[error.start]:#04x}"
            raise refusal(path, number, "UTF-8 text", got, "Convert the file to UTF-8.") from None
