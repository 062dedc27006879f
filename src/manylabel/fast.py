"""Compiled code, where the extra ``fast`` (Numba) is installed."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from functools import lru_cache
from types import ModuleType


@lru_cache
def compiled(module: str) -> ModuleType | None:
    """A module of compiled functions; None where Numba is missing or broken, or cannot keep compiled code."""
    if _numba() is None:
        return None
    try:
        return importlib.import_module(module)
    except RuntimeError:  # from Numba, where nothing can be written
        return None
    except (Exception, SystemExit) as error:  # whatever a half-installed package may raise
        _warn(f"{type(error).__name__}: {error}")
        return None


def numba_version() -> str | None:
    """The version of the Numba that compiles; None where there is none, or none that can be imported."""
    numba = _numba()
    return None if numba is None else str(getattr(numba, "__version__", "unknown"))


@lru_cache
def _numba() -> ModuleType | None:
    try:
        if importlib.util.find_spec("numba") is None:
            return None
        return importlib.import_module("numba")
    except (Exception, SystemExit) as error:
        _warn(f"{type(error).__name__}: {error}")
        return None


@lru_cache(maxsize=1)
def _warned() -> list[str]:
    """What was warned of; one warning is enough."""
    return []


def _warn(reason: str) -> None:
    if not _warned():
        _warned().append(reason)
        text = (
            f"Numba is installed but cannot be imported ({reason.splitlines()[0]}): going on without, slower."
        )
        warnings.warn(f"{text} Uninstall it and install it anew.", stacklevel=3)
