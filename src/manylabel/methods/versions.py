"""Versions of what a result or a model depends on."""

from __future__ import annotations

import platform
from importlib import metadata

import numpy as np
import torch

from manylabel import __version__
from manylabel.kernels.loading import numba_version


def versions() -> dict[str, str]:
    """Name -> version, of this package, the packages that it computes with, Python and the machine.

    ``processor`` are the widest instructions that torch uses on it, on which the last bits of a result depend.
    """
    return {
        "manylabel": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "scikit-learn": metadata.version("scikit-learn"),
        "numba": numba_version() or "not usable",
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "machine": platform.machine(),
        "processor": torch.backends.cpu.get_cpu_capability(),
    }
