"""Finished runs on disk with values of one's choice, for what reads reproductions back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from manylabel.reproduction.experiment import Point, Reproduction
from manylabel.reproduction.findings import Findings, study_folder
from manylabel.study.records import RunRecord

METRICS = ("map", "precision_at_1", "macro_f1", "micro_f1", "example_f1", "hamming_accuracy")


def reproduction(points: Sequence[Point], sets: Sequence[str], **changes: object) -> Reproduction:
    asked = {
        "name": "small",
        "about": "A small one.",
        "protocol": "None.",
        "sets": tuple(sets),
        "seeds": 2,
        "points": tuple(points),
        "show": lambda found: [],
    }
    return Reproduction(**(asked | changes))  # type: ignore[arg-type]


def write_run(folder: Path, data: str, point: Point, seed: int, values: Mapping[str, float]) -> None:
    """A finished run; metrics without a value are 0.5."""
    path = study_folder(folder, data, point.fraction).run_folder(point.method, seed)
    path.mkdir(parents=True)
    evaluation = {"values": dict.fromkeys(METRICS, 0.5) | dict(values)}
    RunRecord(
        method=point.method,
        recipe={},
        seed=seed,
        digest="",
        threads=1,
        versions={},
        status="done",
        seconds=60.0 * (seed + 1),
        evaluations=dict.fromkeys(("tuned", "fixed", "oracle"), evaluation),
    ).write(path / "run.json")


def findings(folder: Path, asked: Reproduction, budget: str = "") -> Findings:
    return Findings(asked, folder, asked.sets, range(asked.seeds), budget)
