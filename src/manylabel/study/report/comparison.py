"""The report of a study of several data sets: one page, the same in Markdown and LaTeX, every value as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from manylabel import files
from manylabel.metrics import DISPLAY_NAMES
from manylabel.printable import count, printable
from manylabel.study.analysis.comparison import (
    Comparison,
    overall_table,
    pairs_table,
    quality_table,
    rank_sentence,
    read_comparisons,
    studies_in,
)
from manylabel.study.analysis.figures.critical_difference import critical_difference_diagram
from manylabel.study.analysis.figures.curves import curves
from manylabel.study.analysis.figures.drawing import Picture, colours, require_matplotlib
from manylabel.study.analysis.figures.over_sets import Cost, Gains, cost_against_quality, label_gains
from manylabel.study.analysis.results import Results, every_value
from manylabel.study.analysis.statistics import Summary
from manylabel.study.analysis.tables import MEANING, data_table
from manylabel.study.folder import StudyFolder
from manylabel.study.folder_names import PICTURE, file_name
from manylabel.study.parameters import Render, plan_call
from manylabel.study.report.html import render_page
from manylabel.study.report.sections import BESIDE, Report, Section, Text, save_beside

OVER_ROWS = ("macro_f1", "map")  # shown against the share of the training rows

NOTE = (
    "The best of a row is bold; underlined is what it does not beat significantly (paired t-tests over seeds, Holm's "
    "correction, 0.05), and in average ranks what lies within Nemenyi's critical difference."
)


def write(out: Path, protocol: str | None = None, render: Render = plan_call) -> Report:
    """Write ``report.html``, ``report.md``, ``report.tex``, ``values.csv`` and pictures into the folder of a study.

    Parameters
    ----------
    out : Path
        Folder of the study, in which each data set has one of its own.
    protocol : {"learnt", "tuned", "fixed", "oracle"}, optional
        The one the study asked for by default.
    render : callable (parameters) -> str
        Says how to make the runs of a data set again; by default in Python.

    Raises
    ------
    ManyLabelError
        If none of its runs is finished, or a record is damaged or lacks the protocol.
    """
    require_matplotlib()
    compared = read_comparisons(out, protocol)
    sections = [section for each in compared for section in _of_part(each)]
    sections += _over_rows(compared)
    folders = studies_in(out)
    sections.append(Section("Data sets", tables=[data_table(folders)]))
    text = Text(
        title=f"{_and(compared[0].methods)} on {_and(list(compared[0].sets))}",
        verdict=" ".join(rank_sentence(compared[0], metric) for metric in compared[0].metrics[:1]),
        missing=_missing(folders),
        protocol=compared[0].protocol,
        note=NOTE,
        repeat=[printable(folder.record().repeated(render)) for folder in folders],
    )
    page = render_page(
        "comparison.html.jinja",
        sections=sections,
        meaning=MEANING[compared[0].protocol],
        links=_links(folders),
        beside=BESIDE,
        **vars(text),
    )
    path = out / "report.html"
    files.write(path, page.encode())
    beside = save_beside(path, text, sections, _values(compared))
    return Report(path, overall_table(compared[0]), text.verdict, beside)


def _of_part(compared: Comparison) -> Iterator[Section]:
    """Everything about one share of the training rows."""
    part = f" {compared.part}" if compared.part else ""
    yield Section(f"Overall{part}", _about(compared), [overall_table(compared)])
    for metric in compared.metrics:
        tables = [
            table for table in (quality_table(compared, metric), pairs_table(compared, metric)) if table
        ]
        name = DISPLAY_NAMES[metric]
        yield Section(
            f"{name}{part}", [rank_sentence(compared, metric)], tables, dict(_ranked(compared, metric, part))
        )
    pictures = dict(_pictures(compared, part))
    if pictures:
        yield Section(f"Labels, cost, training{part}", pictures=pictures)


def _about(compared: Comparison) -> list[str]:
    told = [
        f"{count(len(compared.methods), 'method')} on {count(len(compared.sets), 'data set')}. Means are over the data "
        "sets on which every method has a value, and so are the ranks."
    ]
    for metric in compared.metrics:
        left_out = [name for name in compared.sets if name not in compared.complete(metric)[0]]
        if left_out:
            told.append(
                f"{DISPLAY_NAMES[metric]}: without {', '.join(left_out)}, as some method has no value there."
            )
    return told


def _ranked(compared: Comparison, metric: str, part: str) -> Iterator[tuple[str, Picture]]:
    ranks = compared.ranks(metric)
    if ranks is not None:
        title = f"Average ranks on {DISPLAY_NAMES[metric]}{part}"
        yield _file(f"ranks-{metric}", compared), critical_difference_diagram(ranks, compared.methods, title)


def _file(name: str, compared: Comparison) -> str:
    return file_name(f"{PICTURE}{name} {compared.part.replace('%', 'percent')}")


def _pictures(compared: Comparison, part: str) -> Iterator[tuple[str, Picture]]:
    baseline, *others = compared.methods
    ink = colours(compared.methods)
    gains = {method: found for method in others if len((found := _gains(compared, baseline, method)).shares)}
    if gains:
        title = f"Gains per label over {baseline}{part}"
        yield _file("gains", compared), label_gains(gains, baseline, ink, title)
    costs = {DISPLAY_NAMES[metric]: _costs(compared, metric) for metric in compared.metrics}
    costs = {metric: found for metric, found in costs.items() if found}
    if costs:
        title = f"Cost against quality{part}"
        yield _file("cost", compared), cost_against_quality(costs, compared.methods, title)
    trained = {name: _training(compared.folders[name], results) for name, results in compared.sets.items()}
    trained = {name: found for name, found in trained.items() if found}
    if trained:
        title = f"Learning curves: mAP on validation rows, last stage{part}"
        yield _file("training", compared), curves(trained, compared.methods, "epoch", title)


def _gains(compared: Comparison, baseline: str, method: str) -> Gains:
    """F1 of a method less that of the baseline, of every label of every data set where both are defined."""
    shares, gains = [np.empty(0)], [np.empty(0)]
    for name, results in compared.sets.items():
        if baseline not in results.groups or method not in results.groups:
            continue
        labels = compared.folders[name].test_labels()
        share = labels.label_counts().double().numpy() / max(len(labels), 1)
        gain = results.per_label(method, "f1")[0] - results.per_label(baseline, "f1")[0]
        known = (share > 0) & ~np.isnan(gain)
        shares.append(share[known])
        gains.append(gain[known])
    return Gains(np.concatenate(shares), np.concatenate(gains))


def _costs(compared: Comparison, metric: str) -> dict[str, Cost]:
    names, values = compared.complete(metric)
    if not names:
        return {}
    means = values.mean(axis=0).tolist()
    return {m: Cost(compared.seconds(m), mean) for m, mean in zip(compared.methods, means, strict=True)}


def _training(folder: StudyFolder, results: Results[str]) -> dict[str, dict[float, Summary]]:
    """Method -> epoch of its last stage -> mAP on validation rows over seeds."""
    found = {}
    for method in results.groups:
        by_epoch: dict[float, list[float]] = {}
        for run in results.of(method):
            entries = [e for e in folder.history(method, run.seed) if e["monitor"].get("map") is not None]
            for entry in entries:
                if entry["stage"] == entries[-1]["stage"]:
                    by_epoch.setdefault(entry["epoch"], []).append(entry["monitor"]["map"])
        if by_epoch:
            found[method] = {epoch: Summary.of(values) for epoch, values in by_epoch.items()}
    return found


def _over_rows(compared: Sequence[Comparison]) -> list[Section]:
    """Metrics against the share of the training rows, where several were asked for."""
    if len({each.fraction for each in compared}) < 2:
        return []
    methods = tuple(dict.fromkeys(method for each in compared for method in each.methods))
    pictures = {}
    for metric in OVER_ROWS:
        panels: dict[str, dict[str, dict[float, Summary]]] = {}
        for each in compared:
            for name, results in each.sets.items():
                for method in results.groups if metric in results.metrics else ():
                    summary = results.summary(method, metric)
                    if not math.isnan(summary.mean):
                        panels.setdefault(name, {}).setdefault(method, {})[each.fraction] = summary
        if panels:
            title = f"Learning curves: {DISPLAY_NAMES[metric]} against the share of the training rows"
            pictures[f"{PICTURE}rows-{metric}"] = curves(
                panels, methods, "share of the training rows", title, True
            )
    return [Section("Learning curves", pictures=pictures)] if pictures else []


def _links(folders: Sequence[StudyFolder]) -> dict[str, str]:
    """Name -> page of each data set that has one."""
    there = [folder for folder in folders if folder.report_file.exists()]
    return {each.path.name: f"{quote(each.path.name)}/{each.report_file.name}" for each in there}


def _missing(folders: Sequence[StudyFolder]) -> list[str]:
    """Cells that are not finished."""
    told = []
    for folder in folders:
        record = folder.record()
        done = {(run.method, run.seed) for run in folder.finished_runs()}
        asked = [(method, seed) for method in record.methods for seed in record.seeds]
        told += [f"{folder.path.name}: {m} seed {seed}" for m, seed in asked if (m, seed) not in done]
    return told


def _values(compared: Sequence[Comparison]) -> str:
    """Every value of every run."""
    runs = {
        (each.folders[name].path.name, each.fraction, method): results.of(method)
        for each in compared
        for name, results in each.sets.items()
        for method in results.groups
    }
    return every_value(runs)


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
