"""Settings files in TOML, as people write them: recipes, study files, search spaces; read within bounds."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from manylabel.errors import ManyLabelError

MOST_BYTES = 2**20
MOST_NESTED = 16  # tables and lists within one another
MOST_DOTS = 2000  # in a line: the time that tomllib takes for a key grows with the square of its parts


def read_toml(path: Path, who: str, what: str) -> dict[str, Any]:
    """The tables of a TOML file.

    Parameters
    ----------
    path : Path
        A regular file in UTF-8 of at most 1 MiB.
    who, what : str
        Whose file it is and what it is, such as "a study", for messages.

    Raises
    ------
    ManyLabelError
        If it cannot be read, is no TOML, or is larger or nested deeper than any such file has to be.
    """
    expected, hint = f"{what} in TOML", "Look at it in an editor."
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ManyLabelError(who, expected, "a pipe or a device", "Name a file.")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ManyLabelError(who, f"{expected} of at most {MOST_BYTES} bytes", "a larger file")
        dots = max(line.count(b".") for line in content.split(b"\n"))
        if dots > MOST_DOTS:
            hint = "Write keys of a few parts, and long lists on several lines."
            raise ManyLabelError(
                who, f"{expected} of at most {MOST_DOTS} dots in a line", f"one of {dots}", hint
            )
        table = tomllib.loads(content.decode("utf-8-sig"))
    except ManyLabelError:
        raise
    except RecursionError:
        hint = "Write tables up to a few levels deep."
        raise ManyLabelError(who, expected, "one that is nested too deeply", hint) from None
    except (OSError, ValueError) as error:
        got = getattr(error, "strerror", None) or str(error)
        raise ManyLabelError(who, expected, got, hint) from None
    if _depth(table) > MOST_NESTED:
        raise ManyLabelError(who, f"tables up to {MOST_NESTED} deep", "deeper ones")
    return table


def _depth(node: Any) -> int:
    """How deep tables and lists are nested, without recursion."""
    depth, level = 0, [node]
    while level:
        depth += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if depth > MOST_NESTED:
            break
    return depth
