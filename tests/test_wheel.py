"""The wheel and the sdist: complete, and of use in an environment that has never seen this folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import manylabel

ROOT = Path(__file__).parents[1]
READS = """
import manylabel, importlib.resources as resources
from manylabel import data, methods, losses
from manylabel.study.analysis.figures import drawing
print(manylabel.__file__)
assert "yeast" in data.names() and len(methods.names()) > 20
assert all(methods.get(name) for name in methods.names())
assert resources.files("manylabel.study.report").joinpath("page.html.jinja").read_text()
assert resources.files("manylabel").joinpath("py.typed").is_file()
"""


def shell(*command: str | Path, **environment: str) -> str:
    """What a command prints; it runs outside of the repository, without its source folder."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [str(word) for word in command]
    done = subprocess.run(words, env=inherited | environment, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel, made from the sdist, and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    here = ["--no-isolation"] if find_spec("hatchling") else []  # else pip fetches what the build needs
    shell(sys.executable, "-m", "build", *here, "--outdir", folder, ROOT)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def environment(folder: Path, *options: str) -> tuple[Path, Path]:
    """A fresh virtual environment: its Python, and its folder of packages."""
    shell(sys.executable, "-m", "venv", *options, folder)
    python = folder / "bin" / "python"
    return python, Path(shell(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())


def test_the_wheel_has_every_file_of_the_package(built: tuple[Path, Path]) -> None:
    package = ROOT / "src" / "manylabel"
    there = {path for path in package.rglob("*.*") if path.parent.name != "__pycache__" and path.is_file()}
    wanted = {f"manylabel/{path.relative_to(package).as_posix()}" for path in there}
    with zipfile.ZipFile(built[0]) as wheel:
        held = {name for name in wheel.namelist() if not name.partition("/")[0].endswith(".dist-info")}
    assert held == wanted
    assert {
        "manylabel/py.typed",
        "manylabel/data/catalogue.toml",
        "manylabel/methods/recipes/bce.toml",
    } < held


def test_the_sdist_has_what_its_readme_speaks_of(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    told = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "constraints.txt"}
    assert told | {"pyproject.toml", "mkdocs.yml", "tests/reference.py", "docs/losses/mulsupcon.md"} <= held
    assert not any(name.endswith(".pyc") or name.startswith("runs/") for name in held)


def test_the_wheel_works_beside_the_libraries_of_this_environment(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    python, packages = environment(tmp_path / "venv", "--without-pip")
    shell(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--no-compile",
        built[0],
    )
    theirs = [path for path in sys.path if path.endswith("site-packages")]
    assert sysconfig.get_path("purelib") in theirs
    (packages / "libraries.pth").write_text("\n".join(theirs))
    assert shell(python, "-c", READS).strip() == str(packages / "manylabel" / "__init__.py")
    assert "mulsupcon" in shell(python.with_name("manylabel"), "methods", "list")
    assert manylabel.__version__ in shell(python.with_name("manylabel"), "--version")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_pip_installs_the_wheel_with_extras(built: tuple[Path, Path], tmp_path: Path) -> None:
    python, packages = environment(tmp_path / "venv")
    extras, constraints = f"{built[0]}[data,fast,track,vision]", ROOT / "constraints.txt"
    shell(python, "-m", "pip", "install", "-q", "-c", constraints, extras)
    shell(python, "-m", "pip", "check")
    assert shell(python, "-c", READS).strip() == str(packages / "manylabel" / "__init__.py")
    command = ["run", "digits", "-m", "bce", "-s", "1", "--set", "classify.stage.epochs=2"]
    told = shell(
        python.with_name("manylabel"),
        *command,
        "--fraction",
        "0.1",
        "--out",
        tmp_path / "runs",
        OMP_NUM_THREADS="1",
    )
    assert "bce" in told
    assert (tmp_path / "runs" / "report.html").exists()
