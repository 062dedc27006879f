"""The header of an ARFF file: its attributes, and what the relation's name says of labels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from manylabel.data.formats.border import shown
from manylabel.errors import ManyLabelError

# Possessive quantifiers throughout: a name of a million letters takes linear time, match or not.
QUOTED = r""" "((?:\\.|[^"\\])*+)" | '((?:\\.|[^'\\])*+)' """
_NAME = re.compile(rf"\s*+(?:{QUOTED}|([^\s{{}}%,]++))", re.X)
_VALUE = re.compile(rf"\s*+(?:(?:{QUOTED})\s*+(?=[,}}]|$)|([^,{{}}]*+))([,}}]|$)", re.X)
_TYPE = re.compile(r"([^\s\[{%]++)\s*+(\[[^\]]*+\])?+")  # KEEL adds a range: real [0.0, 9.0]
_ESCAPED = re.compile(r"\\(.)")
_MEKA = re.compile(r"(?:^|[\s:'\"])-C\s++(-?+[0-9]++)(?![.])")
_NUMERIC = ("numeric", "real", "integer")
_INSTEAD = {
    "date": "Write it as a number (seconds, days), or leave the column out.",
    "relational": "Write its columns out as attributes of their own, or leave it out.",
}


@dataclass(frozen=True)
class Attribute:
    """One column as the header declares it.

    Attributes
    ----------
    name : str
    line : int
    values : tuple of str, or None
        The list of a nominal attribute, as written.
    numbers : tuple of float, or None
        The same list, where all of its values are numbers.
    is_text : bool
        Whether it holds strings.
    """

    name: str
    line: int
    values: tuple[str, ...] | None = None
    numbers: tuple[float, ...] | None = None
    is_text: bool = False


@dataclass
class Header:
    """What stands before ``@data``.

    Attributes
    ----------
    attributes : dict of str to Attribute
        By name, in the order of the columns.
    relation : str
    outputs : tuple of str
        Label columns that KEEL names in ``@outputs``.
    """

    attributes: dict[str, Attribute] = field(default_factory=dict)
    relation: str = ""
    outputs: tuple[str, ...] = ()

    @property
    def meka_labels(self) -> int | None:
        """MEKA's ``-C n`` in the relation's name: the first n columns are labels, or the last -n."""
        found = _MEKA.search(self.relation)
        return int(found[1][:10]) if found else None  # ten digits are too many columns already


def refusal(
    path: Path, line: int, expected: str, got: str, hint: str = "", column: int | None = None
) -> ManyLabelError:
    """An error at a line, and a column counted from 0 (told from 1), of a file."""
    where = f"{path}, line {line}" + ("" if column is None else f", column {column + 1}")
    return ManyLabelError(where, expected, got, hint)


def as_number(token: str) -> float | None:
    """The number that a token writes in ASCII digits; Python would also take ``1_0`` and digits of any script."""
    if "_" in token or not token.isascii():
        return None
    try:
        return float(token)
    except ValueError:
        return None


def unescaped(text: str) -> str:
    """The text without the backslashes that escape quotes and others."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def read_header(path: Path, lines: Iterator[tuple[int, str]]) -> Header:
    """Read up to ``@data``.

    Raises
    ------
    ManyLabelError
        Naming the line of anything that is not as it should be.
    """
    header = Header()
    number = 0
    for number, line in lines:
        word = line.split(None, 1)[0].lower() if line else "%"
        if word == "@data":
            break
        if word == "@attribute":
            _add(header.attributes, _read_attribute(path, number, line), path)
        elif word == "@relation":
            header.relation = line[len(word) :].strip()
        elif word in ("@output", "@outputs"):
            names = line[len(word) :].split(",")
            header.outputs = tuple(unescaped(name.strip(" \t\"'")) for name in names)
        elif not word.startswith("%") and word not in ("@input", "@inputs"):
            raise refusal(path, number, "@relation, @attribute or @data", shown(line))
    else:
        raise refusal(path, number, "a line @data", "the end of the file", "The file may have been cut off.")
    if not header.attributes:
        raise refusal(path, number, "@attribute lines before @data", "none")
    return header


def _add(attributes: dict[str, Attribute], attribute: Attribute, path: Path) -> None:
    first = attributes.setdefault(attribute.name, attribute)
    if first is not attribute:
        got = f"{shown(attribute.name)} a second time (first on line {first.line})"
        raise refusal(path, attribute.line, "every attribute once", got)


def _read_attribute(path: Path, number: int, line: str) -> Attribute:
    found = _NAME.match(line, len("@attribute"))
    kind = line[found.end() :].lstrip() if found else ""
    if found is None or not kind or kind.startswith("%"):
        raise refusal(path, number, "@attribute NAME TYPE", shown(line))
    name = found[3] if found[3] is not None else unescaped(found[1] if found[1] is not None else found[2])
    if kind.startswith("{"):
        return _read_nominal(path, number, name, kind)
    word = _TYPE.match(kind)
    rest = kind[word.end() :].lstrip() if word else kind
    is_text = word is not None and word[1].lower() == "string"
    if word is None or not (is_text or word[1].lower() in _NUMERIC):
        hint = _INSTEAD.get(
            word[1].lower() if word else "", "Its type is numeric, or a list {a,b} of values."
        )
        expected = f"attribute {shown(name)} to be numeric or nominal"
        raise refusal(path, number, expected, shown(kind), hint)
    if rest and not rest.startswith("%"):
        hint = "A name with blanks stands in quotes." if "{" in rest or found[3] is not None else ""
        raise refusal(path, number, "@attribute NAME TYPE", shown(line), hint)
    return Attribute(name, number, is_text=is_text)


def _read_nominal(path: Path, number: int, name: str, kind: str) -> Attribute:
    """``{value, value, ...}``, perhaps with a comment behind."""
    values, at, end = [], 1, ","
    quoted = False
    while end == ",":
        found = _VALUE.match(kind, at)
        if found is None:
            raise refusal(path, number, f"the values of {shown(name)} as {{a,b}}", shown(kind))
        quoted |= found[3] is None
        values.append(unescaped(next(group for group in found.groups() if group is not None)).strip())
        at, end = found.end(), found[4]
    rest = kind[at:].strip()
    if end != "}" or (rest and not rest.startswith("%")):
        raise refusal(path, number, f"the values of {shown(name)} as {{a,b}}", shown(kind))
    if len(values) == 1 and not quoted:
        values = values[0].split()
    values = [value if as_number(value.strip("\"'")) is None else value.strip("\"'") for value in values]
    if not values or "" in values:
        raise refusal(
            path, number, f"the values of {shown(name)} as {{a,b}}", f"an empty one in {shown(kind)}"
        )
    return _nominal(path, number, name, tuple(values))


def _nominal(path: Path, number: int, name: str, values: tuple[str, ...]) -> Attribute:
    read = [as_number(value) for value in values]
    numbers = tuple(v for v in read if v is not None and math.isfinite(v))
    different = len(set(numbers if len(numbers) == len(values) else values))
    if different < len(values):
        raise refusal(path, number, f"every value of {shown(name)} once", shown("{" + ",".join(values) + "}"))
    return Attribute(name, number, values, numbers if len(numbers) == len(values) else None)
