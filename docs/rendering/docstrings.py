"""Docstrings as the site shows them: references as links, equations as maths, other ``::`` blocks as text."""

from __future__ import annotations

import re
from typing import Any

import griffe
from equations import BLOCK

ROLE = re.compile(r":(?:class|func|meth|mod|attr|data):`(~?)([\w.]+)`")


class DocstringsAsMarkdown(griffe.Extension):
    """Turns what the docstrings write for a terminal into Markdown, before it is read in sections."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring:
            fence = "maths" if obj.path.startswith(("manylabel.losses", "manylabel.models")) else "text"
            text = BLOCK.sub(lambda found: fenced(found, fence), obj.docstring.value + "\n")
            obj.docstring.value = ROLE.sub(lambda found: reference(obj, found), text).rstrip("\n")


def fenced(block: re.Match[str], fence: str) -> str:
    """The same block between fences."""
    indent, words, source = block.groups()
    lines = [line[4:] if line.strip() else line for line in source.rstrip("\n").splitlines()]
    before = [f"{indent}{words}", ""] if words else []
    return "\n".join([*before, f"{indent}```{fence}", *lines, f"{indent}```", "", ""])


def reference(obj: griffe.Object, role: re.Match[str]) -> str:
    """A link to the object where some page documents it, and its name alone elsewhere."""
    short, name = role.groups()
    try:
        path = name if name.startswith("manylabel.") else obj.resolve(name)
    except griffe.NameResolutionError:
        path = name
    shown = name.rpartition(".")[2] if short else name
    return f'<autoref identifier="{path}" optional><code>{shown}</code></autoref>'
