"""Compiled code, where the extra ``fast`` (Numba) is installed."""

from __future__ import annotations

import importlib
import importlib.util
from functools import lru_cache
from types import ModuleType


@lru_cache
def compiled(module: str) -> ModuleType | None:
    """A module of compiled functions by its name; None without Numba, or with no folder to keep compiled code in."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        return importlib.import_module(module)
    except RuntimeError:  # from Numba, where nothing can be written
        return None
