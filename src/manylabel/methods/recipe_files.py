"""Recipe files: found by name and read, with those that they are like."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import resources
from pathlib import Path
from typing import Any

from manylabel.data.rows.registry import KINDS
from manylabel.errors import ManyLabelError, did_you_mean
from manylabel.files.settings import read_toml
from manylabel.methods.resolve import Layers, merged_table, removed
from manylabel.methods.setting_paths import whole

_MOST_LIKE = 16  # recipes that are like one another

_OF_THE_RECIPE = ("name", "family", "about", "source", "expected")  # what cannot be taken away

PAPER = "paper-"  # how the names of recipes begin that follow the papers


_tables: ContextVar[dict[str, dict[str, Any]] | None] = ContextVar("tables of recipe files", default=None)


@contextmanager
def kept(tables: Mapping[str, dict[str, Any]]) -> Iterator[dict[str, dict[str, Any]]]:
    """Within, recipe files are read once: those of these tables are not read at all.

    So a process elsewhere, which may not see the files, gets what they hold.

    Parameters
    ----------
    tables : mapping of path, as it was given, to table

    Yields
    ------
    dict
        All of them in the end, also those that were read within.
    """
    known = dict(tables)
    before = _tables.set(known)
    try:
        yield known
    finally:
        _tables.reset(before)


def names() -> tuple[str, ...]:
    """The recipes that ship with the library, alphabetically; those of the papers, ``paper-...``, after the others."""
    files = resources.files("manylabel.methods").joinpath("recipes").iterdir()
    found = [file.name[:-5] for file in files if file.name.endswith(".toml")]
    return tuple(sorted(found, key=lambda name: (name.startswith(PAPER), name)))


def short_name(name: str) -> str:
    """What a method is called in tables and folders: the name of a recipe file without its folder and ending."""
    return Path(name).stem if name.endswith(".toml") else name


def read(name: str) -> Layers:
    """The layers of a recipe, its own last: one that ships, one of a file, or one for an import path.

    A file that says ``like = "bce"`` holds only what differs from that recipe; with another loss of the classifier, all
    settings of that loss. Paths in a file are seen from its folder.

    Sections such as ``[encoder]`` hold for every kind of data; an overlay such as ``[images.encoder]`` changes them for
    one kind. ``without = ["pretrain"]`` takes settings of that recipe away, and in an overlay those of one kind.

    Parameters
    ----------
    name : str
        One of :func:`names`; a path that ends in ``.toml``; or a dotted import path of a classifier, which becomes a
        recipe of the family "sklearn_baseline".

    Raises
    ------
    ManyLabelError
        For an unknown recipe, or a file that cannot be read.
    """
    return _read(name, ())


def _read(name: Any, above: tuple[str, ...]) -> Layers:
    """The layers of a recipe that those ``above`` it are like."""
    _check_name(name, above)
    if name.endswith(".toml"):
        table = _of_file(name)
    elif "." in name:
        table = _of_import_path(name)
    elif name in names():
        file = resources.files("manylabel.methods").joinpath("recipes", f"{name}.toml")
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    else:
        otherwise = (
            "Or give the path of a recipe file (.toml), or the import path of a scikit-learn classifier."
        )
        hint = did_you_mean(name, names(), otherwise)
        raise ManyLabelError("`method`", f"one of {', '.join(names())}", repr(name), hint)
    _check_sections(name, table)
    own = table | {"name": short_name(name)}
    parent = own.pop("like", None)
    layers = () if parent is None else _read(parent, (*above, name))
    _check_without(name, layers, own)
    return (*layers, own)


def _of_file(name: str) -> dict[str, Any]:
    known = _tables.get()
    if known is not None and name in known:
        return known[name]
    table = whole(read_toml(Path(name), f"`method`, {name}", "a recipe"), Path(name).parent)
    if known is not None:
        known[name] = table
    return table


def _check_name(name: Any, above: tuple[str, ...]) -> None:
    who = f"method {above[-1]}, like" if above else "`method`"
    if not isinstance(name, str):
        raise ManyLabelError(who, "the name of a recipe, as text", f"{name!r:.60}", "Such as 'mulsupcon'.")
    if not name.isprintable() or short_name(name) in ("", ".", ".."):
        raise ManyLabelError(who, "a name of printable characters", repr(name), "Such as 'mulsupcon'.")
    if name in above or len(above) >= _MOST_LIKE:
        got = " like ".join((*above, name)[-4:])
        raise ManyLabelError(who, "a recipe that is not like itself", got, "Name another recipe.")


def _check_sections(name: str, table: dict[str, Any]) -> None:
    """Refuse what is no table where the settings of a kind of data belong."""
    for kind in KINDS:
        if not isinstance(table.get(kind, {}), dict):
            hint = f"Write its settings under [{kind}]."
            raise ManyLabelError(
                f"method {name}, {kind}", "a table of settings", f"{table[kind]!r:.60}", hint
            )


def _of_import_path(path: str) -> dict[str, Any]:
    about = f"{path} with its default parameters, under the same splits and thresholds as the other methods."
    source = f"The package {path.split('.')[0]}."
    settings = {"estimator": path, "parameters": {}}
    return {"family": "sklearn_baseline", "about": about, "source": source} | settings


def _check_without(name: str, layers: Layers, table: Mapping[str, Any]) -> None:
    """Refuse to take away what no kind of data has."""
    _check_list(f"method {name}, without", table.get("without", []))
    if table.get("without") and not layers:
        raise ManyLabelError(f"method {name}, without", "like, the recipe to take them from", "none")
    for setting in table.get("without", []):
        head, _, rest = setting.partition(".")
        overlay, path = (head, rest) if head in KINDS and rest else (None, setting)
        kinds = [kind for kind in KINDS if overlay is None or overlay in KINDS[kind]]
        if path in _OF_THE_RECIPE or not any(removed(merged_table(layers, kind), path) for kind in kinds):
            expected = "settings of the recipe that it is like"
            raise ManyLabelError(f"method {name}, without", expected, repr(setting))
    for overlay in KINDS:
        settings = table.get(overlay, {}).get("without", [])
        _check_list(f"method {name}, {overlay}.without", settings)
        bare = {key: value for key, value in table.items() if key not in KINDS}
        for setting in settings:
            if not removed(merged_table((*layers, bare), overlay), setting):
                who = f"method {name}, {overlay}.without"
                raise ManyLabelError(who, "settings that the recipe has before", repr(setting))


def _check_list(who: str, settings: Any) -> None:
    if not isinstance(settings, list) or not all(isinstance(setting, str) for setting in settings):
        raise ManyLabelError(who, 'a list such as ["pretrain"]', repr(settings))
