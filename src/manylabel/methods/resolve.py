"""From the layers of a recipe to the flat settings of one kind of data: overlays merged, settings changed, checked."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from manylabel.data.rows import Vectors
from manylabel.data.rows.registry import KINDS
from manylabel.errors import ManyLabelError, did_you_mean
from manylabel.methods.recipe import ENCODED, AnySettings, Expected, NeighbourSettings
from manylabel.models.frozen import FrozenSettings

Layers = Sequence[Mapping[str, Any]]
"""The tables of a recipe and of those that it is like, the first one farthest."""

_FIXED = ("name", "family", "about", "source", "expected")  # no settings by themselves
_OF_THE_METHOD = (*_FIXED, "loss", "classifier", "members")
_MOST_TOLD = 30  # settings in a message


class NotForThisKind(ManyLabelError):
    """Settings that cannot be used on data of one kind, but may on another."""


@dataclass(frozen=True)
class Recipe:
    """A method as data: what it is, and its settings for each kind of data.

    Attributes
    ----------
    name, family, about, source : str
    expected : tuple of Expected
        What it reached when it was last measured.
    kinds : tuple of str
        The kinds of data that it can be trained on.
    """

    name: str
    family: str
    about: str
    source: str
    expected: tuple[Expected, ...]
    kinds: tuple[str, ...]
    _found: Mapping[str, AnySettings | NotForThisKind] = field(repr=False)

    def resolve(self, kind: str) -> AnySettings:
        """The settings for data of one kind.

        Raises
        ------
        ManyLabelError
            If the method is not defined for this kind, or its settings cannot be used there.
        """
        found = self._found.get(kind)
        if found is None:
            hint = f"Use a method for {kind}, such as bce or mulsupcon."
            raise ManyLabelError(
                f"method {self.name}", " or ".join((", ".join(self.kinds[:-1]), self.kinds[-1])), kind, hint
            )
        if isinstance(found, NotForThisKind):
            raise found
        return found

    @property
    def settings(self) -> dict[str, AnySettings]:
        """The settings of every kind that can be trained on."""
        return {kind: found for kind, found in self._found.items() if isinstance(found, AnySettings)}

    @property
    def own_settings(self) -> dict[str, AnySettings]:
        """Those of the kinds that do not just share another kind's, as texts share those of vectors."""
        found = self.settings
        return {
            kind: own
            for kind, own in found.items()
            if kind == KINDS[kind][0] or own != found.get(KINDS[kind][0])
        }

    def table(self, *, defaults: bool = True) -> dict[str, Any]:
        """The settings as a recipe file that stands for itself: what the kinds share, and an overlay of each.

        Parameters
        ----------
        defaults : bool, default True
            Settings that are none are among them.
        """
        dumps = {
            kind: own.model_dump(mode="json", exclude={"name", "expected"}, exclude_none=not defaults)
            for kind, own in self.own_settings.items()
        }
        first = next(iter(dumps.values()))
        shared = {
            key: value
            for key, value in first.items()
            if all(key in own and own[key] == value for own in dumps.values())
        }
        overlays = {
            kind: {key: value for key, value in own.items() if key not in shared}
            for kind, own in dumps.items()
        }
        return shared | {kind: own for kind, own in overlays.items() if own}

    @property
    def members(self) -> int:
        """How many are trained, from different seeds; their probabilities are averaged."""
        return max(settings.members for settings in self.settings.values())

    @property
    def summary(self) -> str:
        """The first sentence of ``about``."""
        return self.about.partition(". ")[0].removesuffix(".")


def resolve_recipe(
    name: str, layers: Layers, schema: type[AnySettings], overrides: Mapping[str, Any]
) -> Recipe:
    """Merge the layers for every kind of data, change some settings, and check them.

    Parameters
    ----------
    name : str
    layers : Layers
    schema : type of AnySettings
        Of the recipe's family.
    overrides : dict
        Dotted setting to value, such as ``{"classify.stage.epochs": 5}``; with the name of a kind in front it changes
        that kind alone (``"vectors.pretrain.temperature"``).

    Raises
    ------
    ManyLabelError
        For an unknown setting, a value that a setting does not take, or settings that no kind of data can be trained
        with. What cannot be used on one kind alone is refused by :meth:`Recipe.resolve`.
    """
    tables = {kind: _table(layers, kind, like) for kind, like in _seen_as(layers, schema, overrides).items()}
    _refuse_unknown(name, tables, schema, overrides)
    sections = {kind: _sections(table, schema) for kind, table in tables.items()}
    found: dict[str, AnySettings | NotForThisKind] = {}
    for kind, table in tables.items():
        try:
            _change(name, kind, table, overrides, sections)
            found[kind] = _validated(name, kind, table, schema, overrides, sections[kind])
        except NotForThisKind as error:
            found[kind] = error
    if not any(isinstance(each, AnySettings) for each in found.values()):
        raise next(error for error in found.values() if isinstance(error, NotForThisKind))
    some = next(each for each in found.values() if isinstance(each, AnySettings))
    kinds = tuple(kind for kind, each in found.items() if isinstance(each, AnySettings))
    return Recipe(name, some.family, some.about, some.source, some.expected, kinds, found)


def _seen_as(layers: Layers, schema: type[AnySettings], overrides: Mapping[str, Any]) -> dict[str, str]:
    """The kinds that can be trained on, and whose overlays hold: vectors' where a frozen encoder makes such of rows."""
    seen = {kind: kind for kind in schema.kinds}
    if Vectors.kind in schema.kinds and not schema.keeps_rows:
        seen |= {kind: Vectors.kind for kind in ENCODED if _names_encoder(layers, kind, overrides)}
    return seen


def _table(layers: Layers, kind: str, like: str) -> dict[str, Any]:
    """The settings for data of one kind that is seen as another, with the frozen encoder that its own overlay names."""
    table = merged_table(layers, like)
    own = merged_table(layers, kind).get("inputs") if like != kind else None
    if isinstance(own, Mapping):
        encoder = {name: own[name] for name in FrozenSettings.model_fields if name in own}
        table["inputs"] = merged(table.get("inputs"), encoder)
    return table


def _names_encoder(layers: Layers, kind: str, overrides: Mapping[str, Any]) -> bool:
    """Whether the settings name a frozen encoder for rows of a kind."""
    table = merged_table(layers, kind)
    for setting, value in overrides.items():
        asked, path = _split(setting)
        if path in ("inputs", "inputs.encoder") and (asked is None or asked in KINDS[kind]):
            table["inputs"] = value if path == "inputs" else {"encoder": value}
    found = table.get("inputs")
    return isinstance(found, Mapping) and found.get("encoder") is not None


def merged_table(layers: Layers, kind: str) -> dict[str, Any]:
    """The settings of all layers for data of one kind: of each layer the plain ones, then its overlays of the kind."""
    table: dict[str, Any] = {}
    for layer in copy.deepcopy(layers):
        plain = {key: value for key, value in layer.items() if key not in (*KINDS, "without")}
        for setting in layer.get("without", ()):
            head, _, rest = setting.partition(".")
            if head not in KINDS or not rest:
                removed(table, setting)
            elif head in KINDS[kind]:
                removed(table, rest)
        if _loss_of_classifier(table | plain) != _loss_of_classifier(table):
            removed(table, "classify.loss")
        table = merged(table | {"expected": ()}, plain)
        for overlay in (layer.get(name, {}) for name in KINDS[kind]):
            for setting in overlay.get("without", ()):
                removed(table, setting)
            table = merged(table, {key: value for key, value in overlay.items() if key != "without"})
    return table


def removed(table: Any, setting: str) -> bool:
    """Whether there was something at a dotted setting, which is gone now."""
    *parents, last = setting.split(".")
    for part in parents:
        table = table.get(part) if isinstance(table, dict) else None
    return isinstance(table, dict) and table.pop(last, None) is not None


def _loss_of_classifier(table: Mapping[str, Any]) -> Any:
    return table.get("classifier", "bce") if table.get("family") == "contrastive" else table.get("loss")


def merged(table: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A table with changes; a table within it is changed, anything else is replaced."""
    known = table if isinstance(table, dict) else {}
    inner = {key: merged(known.get(key), value) for key, value in changes.items() if isinstance(value, dict)}
    return known | dict(changes) | inner


def _split(setting: str) -> tuple[str | None, str]:
    """The kind in front of a setting, if there is one, and the rest."""
    head, _, rest = setting.partition(".")
    return (head, rest) if head in KINDS else (None, setting)


def _refuse_unknown(
    name: str,
    tables: Mapping[str, dict[str, Any]],
    schema: type[AnySettings],
    overrides: Mapping[str, Any],
) -> None:
    overlays = {overlay for kind in tables for overlay in KINDS[kind]}
    for setting in _opened(overrides):
        kind, path = _split(setting)
        of_kind = kind is None or kind in overlays
        if of_kind and path and path.partition(".")[0] not in _FIXED and _declared(schema, path):
            continue
        own = {"neighbours": dict.fromkeys(NeighbourSettings.model_fields)}
        known = [place for table in tables.values() for place in _paths(table | own)]
        told = [place for place in dict.fromkeys(known) if place.partition(".")[0] not in _OF_THE_METHOD]
        some = ", ".join(told[:_MOST_TOLD]) + (", ..." if len(told) > _MOST_TOLD else "")
        hint = did_you_mean(setting, told)
        raise ManyLabelError(f"method {name}", f"a setting such as {some}", repr(setting), hint)


def _opened(overrides: Mapping[str, Any]) -> Iterator[str]:
    """Settings, and those in a table that is given for one, by their dotted names."""
    for setting, value in overrides.items():
        inner = _paths(value, f"{setting}.") if isinstance(value, Mapping) else []
        yield from (setting, *inner)


def _sections(table: Mapping[str, Any], schema: type[AnySettings]) -> set[str]:
    """The sections of a table: all that do not default to none, and those that it has; each learner is one."""
    fields = schema.model_fields.items()
    own = {name for name, of in fields if of.default is not None or table.get(name) is not None}
    learners = table.get("learners")  # whatever a file says: the schema judges it later
    return own | {f"learners.{name}" for name in (learners if isinstance(learners, Mapping) else ())}


def _section(path: str) -> str:
    parts = path.split(".")
    return ".".join(parts[: 2 if parts[0] == "learners" else 1])


def _change(
    name: str,
    kind: str,
    table: dict[str, Any],
    overrides: Mapping[str, Any],
    sections: Mapping[str, set[str]],
) -> None:
    """Put the values of settings into the table of one kind."""
    for setting, value in overrides.items():
        asked, path = _split(setting)
        if asked is not None and asked not in KINDS[kind]:
            continue
        section = _section(path)
        inside = path != section or isinstance(value, Mapping)
        others = [other for other, own in sections.items() if section in own]
        if asked is None and inside and section not in sections[kind] and others:
            hint = f"Write {others[0]}.{path} where it is meant for {others[0]} alone."
            who = f"method {name}, {kind}"
            raise NotForThisKind(who, f"a setting that it has for {kind}", repr(setting), hint)
        *parents, last = path.split(".")
        if parents[:1] == ["learners"] and parents[2:3] != ["sparse"]:  # it holds on sparse rows as well
            removed(table, ".".join([*section.split("."), "sparse", *path.split(".")[2:]]))
        node = table
        for parent in parents:
            if not isinstance(node.get(parent), dict):
                node[parent] = {}
            node = node[parent]
        node[last] = value


def _validated(
    name: str,
    kind: str,
    table: Mapping[str, Any],
    schema: type[AnySettings],
    overrides: Mapping[str, Any],
    sections: set[str],
) -> AnySettings:
    try:
        settings = schema.model_validate(table)
    except ValidationError as error:
        raise _refusal(name, kind, error.errors()[0], overrides, sections) from None
    try:
        settings.check(f"method {name}, {kind}")
        settings.check_kind(f"method {name}, {kind}", kind)
    except ManyLabelError as error:
        raise NotForThisKind(error.who, error.expected, error.got, error.hint) from None
    return settings


def _refusal(
    name: str, kind: str, error: ErrorDetails, overrides: Mapping[str, Any], sections: set[str]
) -> ManyLabelError:
    """What was expected and what came, of a setting that a recipe does not take."""
    place = [str(part) for part in error["loc"]]
    if error["type"] == "missing":
        section = place[0] if len(place) > 1 else None
        opened = next((each for each in overrides if _split(each)[1].partition(".")[0] == section), None)
        if section is None or opened is None or section in sections:
            return ManyLabelError(f"method {name}, {'.'.join(place)}", "a value", "none")
        hint = f"The recipe has no {section}; take one that has, or give all of its settings."
        return ManyLabelError(f"method {name}, {kind}", f"{'.'.join(place)} as well", repr(opened), hint)
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    expected, got = message[:1].lower() + message[1:], repr(error["input"])
    if error["type"] == "extra_forbidden":
        expected = "no setting of this name"
    elif isinstance(error["input"], dict):
        got = "other values"
    return ManyLabelError(f"method {name}, {'.'.join(place)}", expected, got)


def _declared(schema: type[AnySettings], path: str) -> bool:
    """Whether the settings have a field at this dotted path, given in a recipe or left at its default."""
    model: Any = schema
    for part in path.split("."):
        found = getattr(model, "model_fields", {}).get(part)
        if found is None:
            return get_origin(model) is dict  # of a loss, or the names of learners, which are checked later
        if get_origin(found.annotation) is dict:
            return True
        kinds = getattr(found.annotation, "__args__", ())
        model = next((kind for kind in kinds if hasattr(kind, "model_fields")), found.annotation)
    return True


def _paths(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in settings.items():
        found += _paths(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return found
