"""The way of a label matrix through the package: ``python -m benchmarks.label_path [data] [method]``.

Runs one cell of a study (one seed, one epoch of some 22 batches) on made ARFF files, or on the data named, under a
profiler. Counted are the calls of functions of the package that take a label matrix, ``self`` included, or return one:
the distinct functions, and the distinct changes of floor, that is pairs of a function and its caller on another floor
(study, methods, training, models, losses, metrics, data, labels, kernels). What torch calls counts for the function of
the package that called torch.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType
from typing import Any

import numpy as np

from manylabel import data
from manylabel.labels import LabelMatrix
from manylabel.study import Cell
from manylabel.study.run_cell import Job, run_cell

PACKAGE = str(Path(data.__file__).parents[1])
FEATURES, LABELS = 103, 14
SETTINGS = {"classify.stage.epochs": 1, "classify.stage.batch": 64, "vectors.encoder.widths": [16]}


def floor(code: CodeType) -> str:
    """The floor of a function, by its file."""
    return Path(code.co_filename).relative_to(PACKAGE).parts[0].removesuffix(".py")


class Way:
    """Functions that labels pass through, and the calls between floors that carry them."""

    def __init__(self) -> None:
        self.functions: set[CodeType] = set()
        self.changes: set[tuple[CodeType, CodeType]] = set()
        self.calls = self.crossings = 0

    def __call__(self, frame: FrameType, event: str, given: Any) -> None:
        code = frame.f_code
        if event != "return" or not code.co_filename.startswith(PACKAGE):
            return
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        held = [given, *(frame.f_locals.get(name) for name in arguments)]
        if any(isinstance(each, LabelMatrix) for each in held):
            self._note(frame, code)

    def _note(self, frame: FrameType, code: CodeType) -> None:
        self.functions.add(code)
        self.calls += 1
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(PACKAGE):
            caller = caller.f_back
        if caller is not None and floor(caller.f_code) != floor(code):
            self.changes.add((caller.f_code, code))
            self.crossings += 1


def write_arff(folder: Path) -> Path:
    """Rows of the shape of yeast, as Mulan writes them."""
    rng = np.random.default_rng(0)
    names = [f"label{c}" for c in range(LABELS)]
    header = ["@relation made"]
    header += [f"@attribute feature{j} numeric" for j in range(FEATURES)]
    header += [f"@attribute {name} {{0,1}}" for name in names]
    for part, n in (("train", 1500), ("test", 917)):
        X, Y = rng.normal(size=(n, FEATURES)).round(4), rng.integers(0, 4, size=(n, LABELS)) == 0
        rows = [",".join([*map(str, x), *map(str, y)]) for x, y in zip(X, Y.astype(int), strict=True)]
        (folder / f"made-{part}.arff").write_text("\n".join([*header, "@data", *rows, ""]))
    tags = "".join(f'<label name="{name}"/>' for name in names)
    xml = f'<labels xmlns="http://mulan.sourceforge.net/labels">{tags}</labels>'
    (folder / "made.xml").write_text(xml)
    return folder


def traced(name: str | None, method: str) -> Way:
    """The way of the labels from the file to the record of one run."""
    found = Way()
    with TemporaryDirectory() as made:
        name = name or str(write_arff(Path(made)))
        cell = Cell(name, method, 0, SETTINGS)
        sys.setprofile(found)
        try:
            run_cell(Job(cell, Path(made) / "run", 1), data.load(name), lambda _: None)
        finally:
            sys.setprofile(None)
    return found


if __name__ == "__main__":
    found = traced(sys.argv[1] if sys.argv[1:] else None, sys.argv[2] if sys.argv[2:] else "bce")
    print(f"{len(found.functions)} functions, {len(found.changes)} changes of floor between two of them")
    print(f"{found.calls} calls, {found.crossings} of them across floors")
    for where, n in Counter(floor(code) for code in found.functions).most_common():
        print(f"  {n:4} functions in {where}")
    between = Counter((floor(a), floor(b)) for a, b in found.changes)
    for (a, b), n in between.most_common():
        print(f"  {n:4} changes from {a} to {b}")
