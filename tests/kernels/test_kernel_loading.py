"""A Numba that is missing or broken costs speed, never a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import manylabel
from manylabel.kernels import loading

BROKEN = {
    "ImportError": "raise ImportError('Numba needs NumPy 1.26 or less')",
    "SystemError": "raise SystemError('initialization of _internal failed')",
    "an exit": "raise SystemExit(3)",
    "a syntax error": "def",
    "nothing inside": "",
}
PROGRAM = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import torch
    from manylabel import losses
    from manylabel.kernels.loading import numba_version
    torch.manual_seed(0)
    z, Y = torch.randn(96, 8, requires_grad=True), torch.rand(96, 5) < 0.4
    for name in ("mulsupcon", "any", "reg"):
        losses.get(name)(z, Y, *([torch.randn(5, 8)] if name == "reg" else [])).backward()
    version = numba_version()
print(len([w for w in caught if "Numba is installed" in str(w.message)]), version)
"""


@pytest.mark.parametrize(
    "how",
    ["ImportError", *(pytest.param(how, marks=pytest.mark.slow) for how in BROKEN if how != "ImportError")],
)
def test_a_broken_numba_is_gone_on_without_after_one_warning(how, tmp_path):
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "__init__.py").write_text(BROKEN[how])
    path = os.pathsep.join([str(tmp_path), str(Path(manylabel.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    version = "unknown" if how == "nothing inside" else "None"
    assert done.stdout.split() == ["1", version]


def test_the_version_is_that_of_the_package():
    numba = pytest.importorskip("numba", reason="the version of Numba needs the extra 'fast'")
    assert loading.numba_version() == numba.__version__
