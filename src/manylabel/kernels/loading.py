"""Loading compiled code, where the extra ``fast`` (Numba) is installed."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType

_switched_off: list[bool] = []


def compiled() -> ModuleType | None:
    """The compiled kernels; None where Numba is missing or broken, or cannot keep compiled code."""
    return None if _switched_off else _kernels()


@contextmanager
def without_compiled() -> Iterator[None]:
    """Leave all to torch's operators meanwhile, in every thread: for tests and benchmarks that compare the two."""
    _switched_off.append(True)
    try:
        yield
    finally:
        _switched_off.pop()


def numba_version() -> str | None:
    """The version of the Numba that compiles; None where there is none, or none that can be imported."""
    numba = _numba()
    return None if numba is None else str(getattr(numba, "__version__", "unknown"))


@lru_cache
def _kernels() -> ModuleType | None:
    if _numba() is None:
        return None
    try:
        return importlib.import_module("manylabel.kernels.numba_cpu")
    except RuntimeError:  # from Numba, where nothing can be written
        return None
    except (Exception, SystemExit) as error:  # whatever a half-installed package may raise
        _warn(f"{type(error).__name__}: {error}")
        return None


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
