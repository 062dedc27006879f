"""The report of a study of one data set: a self-contained page, its tables in Markdown and LaTeX, values as CSV."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from manylabel import files
from manylabel.data.rows.registry import KINDS
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix
from manylabel.methods.stacking.evidence import MEANS
from manylabel.printable import printable
from manylabel.study.analysis.figures import embedding_plots, plots
from manylabel.study.analysis.figures.drawing import Picture, colours, require_matplotlib
from manylabel.study.analysis.figures.heat_map import class_heat_map, mean_heat_map
from manylabel.study.analysis.results import Results, every_value, read_study
from manylabel.study.analysis.tables import (
    MEANING,
    Table,
    comparison_table,
    data_table,
    evidence_table,
    results_table,
)
from manylabel.study.analysis.verdict import verdict
from manylabel.study.folder import StudyFolder
from manylabel.study.folder_names import PICTURE, file_name
from manylabel.study.parameters import Render, plan_call
from manylabel.study.records import RunRecord, StudyRecord, flattened
from manylabel.study.report.embedding_map import map_data
from manylabel.study.report.html import render_page
from manylabel.study.report.sections import BESIDE, Report, Section, Text, save_beside
from manylabel.study.run_cell import PROTOCOLS

_BARE = ("sklearn_baseline", "neighbour_votes")  # families that embed rows as the features that they are
_ONE_LOSS = ("logit", "contrastive")  # families whose validation loss is the training loss on other rows


NOTE = (
    "Mean ± standard deviation over seeds; the best mean of a column is bold, underlined is what it does not beat "
    "significantly (paired t-tests over seeds, Holm's correction, 0.05)."
)


def write(
    out: Path, protocol: str | None = None, temperature: float = 1.0, render: Render = plan_call
) -> Report:
    """Write ``report.html``, ``report.md``, ``report.tex``, ``values.csv`` and pictures into the folder of a study.

    They show what the finished runs left there.

    Parameters
    ----------
    out : Path
        Folder of the study.
    protocol : {"learnt", "tuned", "fixed", "oracle"}, optional
        The one the study asked for by default.
    temperature : float, default 1
        Of the class heat map.
    render : callable (parameters) -> str
        Says how to make the runs again; by default in Python.

    Raises
    ------
    ManyLabelError
        If the folder is not that of a study, or none of its runs is finished.
    """
    require_matplotlib()
    folder = StudyFolder(out)
    record, results = folder.record(), read_study(folder, protocol)
    repeat = record.repeated(render)
    if results.protocol not in PROTOCOLS:
        raise ManyLabelError("`protocol`", "one of " + ", ".join(PROTOCOLS), repr(protocol))
    if results.is_empty:
        hint = f"Finish them with: {repeat}"
        raise ManyLabelError(str(out), "a study with finished runs", "none", hint)
    results.check_protocol(str(out))
    title = printable(record.title)
    table, sentence = results_table(results, title), " ".join([verdict(results, title), *_learners(results)])
    pictures, data = _shown(folder, record, results, temperature)
    text = Text(
        title=f"{_and(results.groups)} on {title}",
        verdict=sentence,
        missing=[f"{method} seed {seed}" for method, seed in results.missing],
        protocol=results.protocol,
        note=NOTE,
        repeat=[printable(repeat)],
    )
    page = _page(record, results, table, text, pictures, data)
    files.write(folder.report_file, page.encode())
    runs = {(record.card.name, record.fraction, method): results.of(method) for method in results.groups}
    sections = _sections(folder, results, table, pictures)
    beside = save_beside(folder.report_file, text, sections, every_value(runs))
    return Report(folder.report_file, table, sentence, beside)


def _sections(
    folder: StudyFolder, results: Results[str], table: Table, pictures: Sequence[Picture]
) -> list[Section]:
    """What stands in Markdown and LaTeX."""
    differences = comparison_table(results)
    sections = [Section("Results on the test rows", tables=[table])]
    if differences is not None and differences.rows:
        sections.append(Section("Differences", tables=[differences]))
    sections += [Section("Learners", [MEANS], [each]) for each in _learner_tables(results)]
    named = {f"{PICTURE}{file_name(picture.title.lower())}": picture for picture in pictures}
    sections += [Section(picture.title, pictures={name: picture}) for name, picture in named.items()]
    return [*sections, Section("Data", tables=[data_table([folder])])]


def _shown(
    folder: StudyFolder, record: StudyRecord, results: Results[str], temperature: float
) -> tuple[list[Picture], dict[str, Any] | None]:
    """The pictures, and what the interactive map shows; None where no method embeds rows."""
    names, labels = record.card.label_names, folder.test_labels()
    histories = {m: {run.seed: _history(folder, run) for run in results.of(m)} for m in results.groups}
    positives = labels.label_counts().int().tolist()
    pictures = []
    if any(any(runs.values()) for runs in histories.values()):
        pictures.append(plots.learning_curves(histories, _mean_share(labels)))
    if any(positives):
        pictures.append(plots.label_scores(results, names, positives, len(labels)))
    represented = [m for m in results.groups if results.of(m)[0].recipe.get("family") not in _BARE]
    if not represented:
        return pictures, None
    arrays = {m: [folder.scores(run.method, run.seed) for run in results.of(m)] for m in represented}
    embeddings = {m: [each["test_embedding"] for each in runs] for m, runs in arrays.items()}
    first = {method: each[0] for method, each in embeddings.items()}
    layout, ink = embedding_plots.Layout.of(first), colours(results.groups)
    pictures.append(embedding_plots.embedding_maps(first, labels, names, ink, layout))
    pictures += _heat_maps(embeddings, labels, names, temperature, ink)
    data = map_data(layout, first, {m: runs[0] for m, runs in arrays.items()}, labels, names, ink)
    return pictures, data | {"seed": results.of(represented[0])[0].seed}


def _heat_maps(
    embeddings: Mapping[str, Sequence[Any]],
    labels: LabelMatrix,
    names: Sequence[str],
    temperature: float,
    ink: Mapping[str, str],
) -> Iterator[Picture]:
    """The heat map where classes can be told apart."""
    heat = {
        m: mean_heat_map([class_heat_map(e, labels, temperature) for e in each])
        for m, each in embeddings.items()
    }
    if len(next(iter(heat.values())).classes) > 1:
        yield embedding_plots.heat_maps(heat, names, temperature, ink)


def _history(folder: StudyFolder, run: RunRecord) -> list[dict[str, Any]]:
    """What a run wrote; without validation losses of another function than the training loss."""
    entries = folder.history(run.method, run.seed)
    if run.recipe.get("family") in _ONE_LOSS and not run.recipe.get("contrast"):
        return entries
    return [
        entry | {"monitor": {name: value for name, value in entry["monitor"].items() if name != "loss"}}
        for entry in entries
    ]


def _mean_share(labels: LabelMatrix) -> float:
    """Mean share of rows that carry a label, over labels that some row carries; NaN without any."""
    counts = labels.label_counts()
    return float(counts[counts > 0].double().mean()) / len(labels) if counts.any() else math.nan


def _learners(results: Results[str]) -> list[str]:
    """What each stack says of its learners, with its first seed."""
    return [told for method in results.groups if (told := results.of(method)[0].learners)]


def _learner_tables(results: Results[str]) -> list[Table]:
    """What the stacks say of their learners, with the first seed each."""
    first = [(method, results.of(method)[0].evidence) for method in results.groups]
    return [replace(evidence_table(found), title=method) for method, found in first if found is not None]


def _page(
    record: StudyRecord,
    results: Results[str],
    table: Table,
    text: Text,
    pictures: list[Picture],
    data: dict[str, Any] | None,
) -> str:
    return render_page(
        "page.html.jinja",
        record=record,
        compared=results.groups,
        card=record.card,
        runs=results.runs,
        meaning=MEANING[results.protocol],
        table=table,
        differences=comparison_table(results),
        learners=_learner_tables(results),
        means=MEANS,
        pictures=pictures,
        map=data,
        has_heat_map=any(picture.title == embedding_plots.HEAT_MAP for picture in pictures),
        has_maps=any(picture.title == embedding_plots.MAPS for picture in pictures),
        recipes=_recipes(record, results),
        without_positives=_named(record, results, "left_out"),
        not_known=_named(record, results, "not_known"),
        beside=BESIDE,
        **vars(text),
    )


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _recipes(record: StudyRecord, results: Results[str]) -> dict[str, dict[str, Any]]:
    """Method -> what describes it, and its settings for this kind of data."""
    return {method: _for_kind(results.of(method)[0].recipe, record.card.kind) for method in results.groups}


def _for_kind(recipe: dict[str, Any], kind: str) -> dict[str, Any]:
    """The settings of a record; of one that holds a section for each kind of data, those of this kind."""
    own = {name: value for name, value in recipe.items() if name != "name" and name not in KINDS}
    return flattened(own | recipe.get(KINDS[kind][0], {}))


def _named(record: StudyRecord, results: Results[str], numbers: str) -> list[str]:
    """Names of labels that an evaluation lists; records of older versions lack some of the lists."""
    listed = results.runs[0].evaluations[results.protocol].get(numbers, [])
    return [record.card.label_names[c] for c in listed]
