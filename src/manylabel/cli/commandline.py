"""Options and parameters: the one renderer of command lines, and errors in the words of the command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from manylabel.errors import ManyLabelError

OPTIONS = {
    "sets": "--sets",
    "method": "--method",
    "methods": "--methods",
    "trials": "--trials",
    "metrics": "--metric",
    "seeds": "--seeds",
    "splits": "--splits",
    "at": "--at",
    "epochs_scale": "--epochs-scale",
    "settings": "--set",
    "protocol": "--protocol",
    "fraction": "--fraction",
    "wrong_labels": "--wrong-labels",
    "split": "--split",
    "start": "--start",
    "ways": "--ways",
    "space": "--space",
    "storage": "--storage",
    "at_once": "--at-once",
    "scheduler": "--scheduler",
    "jobs": "--jobs",
    "threads": "--threads",
    "data_dir": "--data-dir",
    "labels": "--labels",
    "read": "--read",
    "columns": "--column",
    "text": "--text",
    "groups": "--groups",
    "separator": "--separator",
    "delimiter": "--delimiter",
    "encoding": "--encoding",
    "track": "--track",
    "seed": "--seed",
    "encoder": "--encoder",
    "rows": "--rows",
    "validation": "--validation",
    "thresholds": "--thresholds",
    "train": "--train",
    "identifier": "--id",
    "top": "--top",
    "out": "--out",
    "overwrite": "--overwrite",
}
"""Parameter -> option, in the order of a command line."""

_OF_COMMANDS = {
    "run": {"method": "--methods"},
    "reproduce": {"method": "--methods"},
    "methods": {"method": "NAME"},
    "transfer": {"data": "SOURCE TARGET"},
    "study": {
        name: name
        for name in (
            "method",
            "methods",
            "seeds",
            "settings",
            "fraction",
            "protocol",
            "threads",
            "labels",
            "track",
        )
    },
}
"""Where the library's word for a parameter is another option, or an argument."""


def command_line(command: str, parameters: Mapping[str, Any]) -> str:
    """What a shell takes to ask for something again.

    Parameters
    ----------
    command : {"run", "study", "tune", "reproduce", "transfer", "fit", "predict", "evaluate"}
    parameters : mapping
        As :func:`manylabel.study.parameters.parameters` gives them; of the last four and of a study, their own.
    """
    words = ["manylabel", command]
    for name in ("name", "data"):
        given = parameters.get(name, [])
        words += [given] if isinstance(given, str) else given
    for parameter, option in OPTIONS.items():
        if parameter == "settings":
            texts = _assignments(parameters.get(parameter, {}), by_method=command in ("run", "transfer"))
            words += (word for text in texts for word in (option, text))
        elif parameter == "columns":
            roles = parameters.get(parameter, {})
            words += (word for name, role in roles.items() for word in (option, f"{name}={role}"))
        elif parameter == "read":
            texts = _assignments(parameters.get(parameter, {}), by_method=False)
            words += (word for text in texts for word in (option, text))
        elif parameters.get(parameter) is True:
            words.append(option)
        elif parameter in parameters:
            words += (option, _text(parameter, parameters[parameter]))
    return shlex.join(words)


run = partial(command_line, "run")
tune = partial(command_line, "tune")
study = partial(command_line, "study")
reproduce = partial(command_line, "reproduce")
transfer = partial(command_line, "transfer")


def in_options(text: str, command: str = "") -> str:
    """A text with the option in place of each parameter in backquotes."""
    options = OPTIONS | {"options": OPTIONS["read"]} | _OF_COMMANDS.get(command, {})
    return re.sub(r"`(\w+)`", lambda found: options.get(found[1], found[0]), text)


def explained(error: ManyLabelError, command: str = "") -> str:
    """The message of an error, with the options of a command in place of parameters."""
    who, expected, hint = (in_options(text, command) for text in (error.who, error.expected, error.hint))
    return str(ManyLabelError(who, expected, error.got, hint))


def _assignments(settings: Mapping[str, Any], by_method: bool) -> Iterator[str]:
    """NAME=VALUE of each setting, or METHOD.NAME=VALUE."""
    from manylabel.study.variants import text_of

    for name, value in settings.items():
        if by_method:
            yield from (f"{name}.{text}" for text in _assignments(value, by_method=False))
        else:
            yield f"{name}={text_of(value)}"


def _text(parameter: str, value: Any) -> str:
    if parameter == "seeds":
        return _seeds(value)
    if parameter == "splits":
        return str(len(value))
    return ",".join(map(_shown, value)) if isinstance(value, list) else _shown(value)


def _shown(value: Any) -> str:
    """A text as it is; a number as short as it reads back the same."""
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)


def _seeds(seeds: Sequence[int]) -> str:
    """How many, or a list, which for a single seed ends with a comma."""
    if list(seeds) == list(range(len(seeds))):
        return str(len(seeds))
    return ",".join(map(str, seeds)) + "," * (len(seeds) == 1)
