"""Search spaces of hyperparameters, as data."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from manylabel import methods
from manylabel.data.rows.registry import KINDS
from manylabel.errors import ManyLabelError
from manylabel.files.settings import read_toml
from manylabel.study.records import flattened

if TYPE_CHECKING:
    import optuna


class Choice(BaseModel):
    """The values of one setting.

    Attributes
    ----------
    low, high : int or float, optional
        Ends of a range, both included; whole numbers if both are.
    log : bool, default False
        Search the range by orders of magnitude.
    step : int or float, optional
        Of the range.
    choices : tuple, optional
        In place of a range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float | None = None
    choices: tuple[bool | int | float | str | list[int] | list[float], ...] | None = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.choices is not None:
            if not self.choices or (self.low, self.high) != (None, None):
                raise ValueError("choices that are not empty, without low and high")
        elif self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("choices, or low below high")
        elif self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log with low above 0 and without step")
        return self

    @property
    def ends(self) -> tuple[Any, ...]:
        """The choices, or both ends of the range."""
        return (self.low, self.high) if self.choices is None else self.choices

    def suggest(self, name: str, trial: optuna.Trial) -> Any:
        """A value for a trial."""
        if self.choices is not None:  # lists are no categories to every storage, their text is
            return json.loads(trial.suggest_categorical(name, [json.dumps(c) for c in self.choices]))
        assert self.low is not None
        assert self.high is not None
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def encoded(self, value: Any) -> Any:
        """A value of a setting as a trial keeps it; None where it is not among the choices."""
        if self.choices is not None:
            return json.dumps(value) if value in self.choices else None
        assert self.low is not None
        assert self.high is not None
        inside = isinstance(value, int | float) and self.low <= value <= self.high
        return value if inside and self.step is None else None


Space: TypeAlias = dict[str, Choice]


def default_space(method: str, kinds: set[str], settings: Mapping[str, Any]) -> Space:
    """The space of a recipe for data of some kinds: what every recipe, its family and it alone have to set.

    Parameters
    ----------
    method : str
    kinds : set of str
    settings : mapping
        Replaces settings of the recipe, and is not searched.

    Raises
    ------
    ManyLabelError
        If none is known.
    """
    source = resources.files("manylabel.study.search").joinpath("spaces.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(source)
    recipe = methods.get(method, **settings).recipe
    named: dict[str, Any] = {}
    for table in ("every recipe", recipe.family, method):
        named |= tables.get(table, {})
    space = {
        name: choice
        for name, choice in _checked("spaces.toml", named).items()
        if name not in settings and _fits(name, choice, method, kinds, settings)
    }
    if not space:
        hint = "Say what to search with a TOML file, `space`."
        raise ManyLabelError("manylabel tune", "a method with a search space", method, hint)
    return space


def read_space(path: Path, method: str, settings: Mapping[str, Any]) -> Space:
    """The space of a TOML file, such as ``"classify.stage.lr" = { low = 1e-4, high = 1e-2, log = true }``.

    Raises
    ------
    ManyLabelError
        If the file cannot be read, or names a setting or a value that the method does not take.
    """
    space = _checked(str(path), read_toml(path, str(path), "a search space"))
    if not space:
        raise ManyLabelError(str(path), "at least one setting", "none")
    for name, choice in space.items():
        for value in choice.ends:
            methods.get(method, **{**settings, name: value})
    return space


def recipe_values(space: Space, recipe: Mapping[str, Any], kinds: set[str]) -> dict[str, Any] | None:
    """The recipe's own values as a trial keeps them; None where the space or the kinds do not agree on one."""
    flat, values = flattened(recipe), {}
    for name, choice in space.items():
        section = name.partition(".")[0]
        having = [kind for kind in sorted(kinds) if recipe.get(kind, {}).get(section) is not None]
        found = [_value(flat, recipe, place) for place in ([f"{kind}.{name}" for kind in having] or [name])]
        value = choice.encoded(found[0])
        if value is None or any(other != found[0] for other in found):
            return None
        values[name] = value
    return values


def _value(flat: Mapping[str, Any], recipe: Mapping[str, Any], place: str) -> Any:
    """The value of a setting of a kind; of a learner of a stack, that of its own recipe where the stack names none."""
    kind, inside, rest = place.partition(".learners.")
    name, own, setting = rest.partition(".settings.")
    learner = recipe[kind]["learners"].get(name) if inside else None
    if place in flat or not own or learner is None:
        return flat.get(place)
    settings = methods.get(learner["method"], **flattened(learner["settings"])).recipe.resolve(kind)
    return flattened(settings.model_dump(mode="json")).get(setting)


def decoded(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings from what a trial keeps."""
    return {
        name: value if space[name].choices is None else json.loads(value) for name, value in values.items()
    }


def _checked(who: str, table: Mapping[str, Any]) -> Space:
    space = {}
    for name, entry in table.items():
        try:
            space[name] = Choice.model_validate(entry)
        except ValidationError as error:
            expected = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
            expected = expected if isinstance(entry, Mapping | Choice) else "a table of values to search"
            hint = "Write it like { low = 1e-4, high = 1e-2, log = true }, or { choices = [64, 128] }."
            raise ManyLabelError(f"{who}, {name}", expected, repr(entry), hint) from None
    return space


def _fits(name: str, choice: Choice, method: str, kinds: set[str], settings: Mapping[str, Any]) -> bool:
    """Whether a recipe has the section of a setting for data of one of these kinds, and takes all values."""
    head, _, rest = name.partition(".")
    prefixed = head in KINDS
    section = rest.partition(".")[0] if prefixed else head
    try:
        recipe = methods.get(method, **settings).recipe
        places = [recipe.resolve(kind) for kind in kinds if not prefixed or head in KINDS[kind]]
        if all(getattr(own, section, None) is None for own in places):
            return False
        for value in choice.ends:
            changed = methods.get(method, **{**settings, name: value}).recipe
            for kind in kinds:
                changed.resolve(kind)
    except ManyLabelError:
        return False
    return True
