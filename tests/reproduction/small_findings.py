"""Finished runs on disk with values of one's choice, for what reads reproductions back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from manylabel.reproduction.experiment import Place, Point, Reproduction
from manylabel.study.analysis.results import Results
from manylabel.study.folder import StudyFolder
from manylabel.study.folder_names import name_of_study
from manylabel.study.records import RunRecord

METRICS = ("map", "precision_at_1", "macro_f1", "micro_f1", "example_f1", "hamming_accuracy")


def reproduction(points: Sequence[Point], sets: Sequence[str], **changes: object) -> Reproduction:
    asked = {
        "name": "small",
        "about": "A small one.",
        "protocol": "None.",
        "sets": tuple(sets),
        "seeds": (0, 1),
        "points": tuple(points),
        "show": lambda asked, found: [],
    }
    return Reproduction(**(asked | changes))  # type: ignore[arg-type]


def write_run(
    folder: Path,
    data: str,
    point: Point,
    seed: int,
    values: Mapping[str, float],
    measures: Mapping[str, float | None] | None = None,
    n_labels: int = 4,
) -> None:
    """A finished run; metrics without a value are 0.5."""
    path = run_folder(folder, (data, point), seed)
    path.mkdir(parents=True)
    of_labels = {"ap": [0.5] * n_labels}
    evaluation = {"values": dict.fromkeys(METRICS, 0.5) | dict(values), "per_label": of_labels}
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
        measures=dict(measures or {}),
    ).write(path / "run.json")


def run_folder(folder: Path, place: Place, seed: int) -> Path:
    data, point = place
    return StudyFolder(folder / name_of_study(data, point.fraction, point.wrong_labels)).run_folder(
        point.method, seed
    )


def findings(folder: Path, asked: Reproduction, budget: str = "") -> tuple[Reproduction, Results[Place]]:
    """What sections are made of."""
    places = [(data, point) for data in asked.sets for point in asked.points]
    found = {place: {seed: run_folder(folder, place, seed) for seed in asked.seeds} for place in places}
    return replace(asked, budget=budget), Results.read(found)
