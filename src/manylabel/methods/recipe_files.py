"""Recipe files: found by name, read, changed by settings, checked."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from manylabel.errors import ManyLabelError, did_you_mean
from manylabel.methods.recipe import KINDS, AnyRecipe, NeighbourSettings

_MOST_LIKE, _MOST_NESTED = 16, 16  # recipes that are like one another, and tables within tables

PAPER = "paper-"  # how the names of recipes begin that follow the papers


def names() -> tuple[str, ...]:
    """The recipes that ship with the library, alphabetically; those of the papers, ``paper-...``, after the others."""
    files = resources.files("manylabel.methods").joinpath("recipes").iterdir()
    found = [file.name[:-5] for file in files if file.name.endswith(".toml")]
    return tuple(sorted(found, key=lambda name: (name.startswith(PAPER), name)))


def short_name(name: str) -> str:
    """What a method is called in tables and folders: the name of a recipe file without its folder and ending."""
    return Path(name).stem if name.endswith(".toml") else name


def read(name: str) -> dict[str, Any]:
    """The table of a recipe: one that ships, one of a file, or one for an import path.

    A file that says ``like = "bce"`` holds only what differs from that recipe; with another loss of the classifier, all
    settings of that loss. ``without = ["images.pretrain"]`` takes settings of that recipe away.

    Parameters
    ----------
    name : str
        One of :func:`names`; a path that ends in ``.toml``; or a dotted import path of a classifier, which becomes a
        recipe of the family "comparator".

    Raises
    ------
    ManyLabelError
        For an unknown recipe, or a file that cannot be read.
    """
    return _read(name, ())


def _read(name: Any, above: tuple[str, ...]) -> dict[str, Any]:
    """The table of a recipe that those ``above`` it are like."""
    _check_name(name, above)
    if name.endswith(".toml"):
        table = _parsed(Path(name))
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
        raise ManyLabelError("method", f"one of {', '.join(names())}", repr(name), hint)
    _check_sections(name, table)
    without = table.pop("without", [])
    if "like" in table:
        parent = _without(_read(table.pop("like"), (*above, name)), without, name)
        table = _merged(_inherited(parent, table), table)
    elif without:
        raise ManyLabelError(f"method {name}, without", "like, the recipe to take them from", "none")
    return table | {"name": short_name(name)}


def _check_name(name: Any, above: tuple[str, ...]) -> None:
    who = f"method {above[-1]}, like" if above else "method"
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
    if _depth(table) > _MOST_NESTED:
        raise ManyLabelError(f"method {name}", f"tables up to {_MOST_NESTED} deep", "deeper ones")


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
        if depth > _MOST_NESTED:
            break
    return depth


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        got = getattr(error, "strerror", None) or str(error)
        hint = "Look at it in an editor."
        if isinstance(error, RecursionError):
            got, hint = "one that is nested too deeply", "Write tables up to a few levels deep."
        raise ManyLabelError(str(path), "a recipe in TOML", got, hint) from None


def _of_import_path(path: str) -> dict[str, Any]:
    about = f"{path} with its default parameters, under the same splits and thresholds as the other methods."
    settings = {"estimator": path, "parameters": {}}
    kinds = {kind: copy.deepcopy(settings) for kind in ("vectors", "images")}
    return {"family": "comparator", "about": about, "source": f"The package {path.split('.')[0]}."} | kinds


def _without(parent: dict[str, Any], settings: Any, name: str) -> dict[str, Any]:
    """A recipe less some settings of one kind of data or, without its name in front, of both."""
    who = f"method {name}, without"
    if not isinstance(settings, list) or not all(isinstance(setting, str) for setting in settings):
        raise ManyLabelError(who, 'a list such as ["images.pretrain"]', repr(settings))
    for setting in settings:
        head, _, rest = setting.partition(".")
        kinds, path = ([head], rest) if head in KINDS and rest else (KINDS, setting)
        if sum(_removed(parent.get(kind, {}), path.split(".")) for kind in kinds) == 0:
            raise ManyLabelError(who, "settings of the recipe that it is like", repr(setting))
    return parent


def _removed(node: Any, path: list[str]) -> bool:
    """Whether there was something at a path, which is gone now."""
    for part in path[:-1]:
        node = node.get(part) if isinstance(node, dict) else None
    return isinstance(node, dict) and node.pop(path[-1], None) is not None


def _inherited(parent: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """What a recipe takes over: not the scores, and not the settings of the classifier's loss if it has another."""
    if _loss_of_classifier(parent | changes) != _loss_of_classifier(parent):
        for kind in KINDS:
            _removed(parent.get(kind, {}), ["classify", "loss"])
    return parent | {"expected": ()}


def _loss_of_classifier(table: dict[str, Any]) -> Any:
    return table.get("classifier", "bce") if table.get("family") == "contrastive" else table.get("loss")


def _merged(table: Any, changes: dict[str, Any]) -> dict[str, Any]:
    """A table with changes; a table within it is changed, anything else is replaced."""
    known = table if isinstance(table, dict) else {}
    inner = {key: _merged(known.get(key), value) for key, value in changes.items() if isinstance(value, dict)}
    return known | changes | inner


def load(table: dict[str, Any], schema: type[AnyRecipe], overrides: Mapping[str, Any]) -> AnyRecipe:
    """Change some settings of a recipe and check it.

    Parameters
    ----------
    table : dict
        From :func:`read`; it is changed.
    schema : type of AnyRecipe
        Of the recipe's family.
    overrides : dict
        Dotted setting to value, such as ``{"classify.stage.epochs": 5}``; it changes both ``vectors`` and ``images``,
        or one of them if only that has a section of this name, or if the name starts with it
        (``"vectors.pretrain.temperature"``).

    Raises
    ------
    ManyLabelError
        For an unknown setting, or a value that the setting does not take.
    """
    name, sections = table["name"], _sections(table, schema)
    for setting, value in overrides.items():
        _override(table, schema, setting, value, sections)
    try:
        return schema.model_validate(table)
    except ValidationError as error:
        raise _refusal(name, error.errors()[0], overrides, sections) from None


def check_for(recipe: AnyRecipe, kind: str, settings: Iterable[str]) -> None:
    """Refuse what cannot be trained on data of one kind, and settings of a section that only the other kind has.

    Parameters
    ----------
    recipe : AnyRecipe
        With these settings.
    kind : "vectors", "images" or "text"
    settings : iterable of str
        Dotted names, as in :func:`load`.

    Raises
    ------
    ManyLabelError
        Names the kind of data, what was expected and the setting.
    """
    recipe.check(kind)
    own, other = "images" if kind == "images" else "vectors", "vectors" if kind == "images" else "images"
    for setting in settings:
        section = setting.partition(".")[0]
        here, there = (getattr(getattr(recipe, k), section, None) for k in (own, other))
        if here is None and there is not None:
            hint = f"Write {other}.{setting} where it is meant for {other} alone."
            who = f"method {recipe.name}, {own}"
            raise ManyLabelError(who, f"a setting that it has for {own}", repr(setting), hint)


def _refusal(
    name: str, error: ErrorDetails, overrides: Mapping[str, Any], sections: set[tuple[str, str]]
) -> ManyLabelError:
    """What was expected and what came, of a setting that a recipe does not take."""
    place = [str(part) for part in error["loc"]]
    if error["type"] == "missing":
        section = place[1] if len(place) > 2 else None
        opened = next((setting for setting in overrides if section in setting.split(".")[:2]), None)
        if section is None or opened is None or (place[0], section) in sections:
            return ManyLabelError(f"method {name}, {'.'.join(place)}", "a value", "none")
        needed = ".".join(place[1:])
        hint = f"The recipe has no {section}; take one that has, or give all of its settings."
        return ManyLabelError(f"method {name}, {place[0]}", f"{needed} as well", repr(opened), hint)
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    expected, got = message[:1].lower() + message[1:], repr(error["input"])
    if error["type"] == "extra_forbidden":
        expected = "no setting of this name"
    elif isinstance(error["input"], dict):
        got = "other values"
    return ManyLabelError(f"method {name}, {'.'.join(place)}", expected, got)


_FIXED = ("name", "family", "about", "source", "expected", *KINDS)  # no settings by themselves


def _sections(table: dict[str, Any], schema: type[AnyRecipe]) -> set[tuple[str, str]]:
    """The sections that a recipe has, of each kind of data: all that do not default to none, and those in its file."""
    found: set[tuple[str, str]] = set()
    for kind in KINDS:
        for section, field in getattr(schema.model_fields[kind].annotation, "model_fields", {}).items():
            if kind in table and (field.default is not None or table[kind].get(section) is not None):
                found.add((kind, section))
    return found


def _override(
    table: dict[str, Any],
    schema: type[AnyRecipe],
    setting: str,
    value: Any,
    sections: set[tuple[str, str]],
) -> None:
    head = setting.partition(".")[0]
    kinds = [kind for kind in KINDS if kind in table]
    whole = _declared(schema, setting) and (head != setting if head in kinds else head not in _FIXED)
    inside = "." in setting or isinstance(value, Mapping)
    places = [kind for kind in kinds if inside and (kind, head) in sections] or kinds
    for path in [setting] if whole else [f"{kind}.{setting}" for kind in places]:
        if not _declared(schema, path):
            own = {"neighbours": dict.fromkeys(NeighbourSettings.model_fields)}
            known = [name for kind in kinds for name in _paths(table[kind] | own)]
            expected = f"a setting such as {', '.join(dict.fromkeys(known))}"
            raise ManyLabelError(f"method {table['name']}", expected, repr(setting))
        *parents, last = path.split(".")
        node = table
        for parent in parents:
            if not isinstance(node.get(parent), dict):
                node[parent] = {}
            node = node[parent]
        node[last] = value


def _declared(schema: type[AnyRecipe], path: str) -> bool:
    """Whether a recipe has a field at this dotted path, given in its file or left at its default."""
    model: Any = schema
    for part in path.split("."):
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return get_origin(model) is dict  # of a loss, which checks the names itself
        kinds = getattr(field.annotation, "__args__", ())
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), field.annotation)
    return True


def _paths(settings: dict[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in settings.items():
        found += _paths(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return found
