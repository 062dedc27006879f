"""A small study in a process of its own, killed at a chosen write or moment."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tests import killed_work

from manylabel.errors import ManyLabelError
from manylabel.study import Plan, run, write_report
from manylabel.training import Run

NAMES = ("model/model.json", "model/*.safetensors", "scores.npz", "run.json", "history.jsonl")
SETTINGS = {"classify.stage.epochs": 4, "vectors.encoder.widths": [8], "classify.stage.batch": 40}


def start(data: Path, out: Path, at: int = 0, steps_apart: bool = True, with_report: bool = False) -> int:
    """Fork a process that makes a study of one run; killed at its write number ``at`` below ``out``, never for 0.

    Its exit code is 0 where all runs were made, 2 where one was not, and 3 after another error.
    """
    return killed_work.start(lambda: _make(data, out, steps_apart, with_report), str(out), at)


def _make(data: Path, out: Path, steps_apart: bool, with_report: bool) -> int:
    if steps_apart:  # a checkpoint after every step
        defaults = Run.__init__.__defaults__ or ()
        Run.__init__.__defaults__ = (*defaults[:-1], 0.0)  # type: ignore[misc]
    asked = Plan.grid(str(data), ("bce",), (0,), out, {"bce": SETTINGS}, jobs=1)
    try:
        failed = run(asked, lambda event: None)
    except ManyLabelError as error:
        print(error, file=sys.stderr)
        return 2
    if with_report and not failed:
        write_report(out)
    return 2 if failed else 0


def found(out: Path) -> dict[str, str]:
    """What a study left, without clocks: a digest for each file of its run."""
    folder = out / "bce" / "seed-0"
    return {str(path.relative_to(folder)): _digest(path) for name in NAMES for path in folder.glob(name)}


def _digest(path: Path) -> str:
    return hashlib.sha256(_without_clocks(path)).hexdigest()


def _without_clocks(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return b"".join(arrays[name].tobytes() for name in sorted(arrays))
    if path.suffix == ".safetensors":
        return content
    lines = (
        [json.loads(line) for line in content.splitlines()]
        if path.suffix == ".jsonl"
        else json.loads(content)
    )
    return json.dumps(_cleared(lines), sort_keys=True).encode()


def _cleared(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _cleared(inner) for name, inner in value.items() if name != "seconds"}
    return [_cleared(inner) for inner in value] if isinstance(value, list) else value
