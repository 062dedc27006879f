"""Mulan's XML file: the names of the label columns of an ARFF table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from manylabel.data.formats.border import border, shown
from manylabel.errors import ManyLabelError


def read_label_names(xml: Path) -> tuple[str, ...]:
    """The label names of a Mulan XML file; those of a hierarchy are flattened.

    Raises
    ------
    ManyLabelError
        For a file that is not there, not well-formed, in an encoding that cannot be read, that defines entities
        (they can unfold without end), or that names no label, or one of them twice.
    """
    try:
        content = xml.read_bytes()
    except OSError as error:
        hint = (
            "Mulan data need an XML file that names the label columns, beside the ARFF file; "
            "a MEKA file says -C and their number in its @relation."
        )
        raise ManyLabelError(str(xml), "a readable XML file", error.strerror or str(error), hint) from None
    with border(xml, "well-formed XML", "Write it in UTF-8, as Mulan does."):
        names = _parse(xml, content)
    if not names or "" in names:
        got = f"{len(names)} labels" + (", some without a name" if names else "")
        raise ManyLabelError(str(xml), '<label name="..."/> elements', got)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ManyLabelError(str(xml), "every label once", f"{shown(twice[0])} twice")
    return names


def _parse(xml: Path, content: bytes) -> tuple[str, ...]:
    """An event for each element and no tree: depth and size cost nothing."""
    from xml.parsers import expat

    names: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition("}")[2] == "label":
            names.append(attributes.get("name", ""))

    def entity(name: str, *_: Any) -> None:
        hint = "Write the label names out."
        raise ManyLabelError(str(xml), "label names without entities", f"the entity {shown(name)}", hint)

    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler, parser.EntityDeclHandler = start, entity
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        hint = "Write it in UTF-8, as Mulan does." if "encoding" in str(error) else ""
        raise ManyLabelError(f"{xml}, line {error.lineno}", "well-formed XML", str(error), hint) from None
    return tuple(names)
