"""The page of examples of a study: nearest rows and surest mistakes of every method, as pictures or text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from manylabel import files
from manylabel.errors import ManyLabelError
from manylabel.printable import printable
from manylabel.study.analysis.figures.drawing import require_matplotlib
from manylabel.study.executors.base import loaded_as_asked
from manylabel.study.folder import StudyFolder
from manylabel.study.parameters import Render, plan_call
from manylabel.study.report.examples import (
    Array,
    RowGallery,
    Shown,
    drawn_queries,
    mistakes_of,
    nearest_rows,
)
from manylabel.study.report.html import render_page

QUERIES, NEAREST = 8, 5


@dataclass(frozen=True)
class Query:
    """A row, and the rows nearest to it by the embedding of each method."""

    row: Shown
    nearest: dict[str, list[Shown]]


def write(out: Path, data_dir: Path | None = None, render: Render = plan_call) -> Path:
    """Write ``examples.html`` into the folder of a study, from its first seed and the rows of its data set.

    Parameters
    ----------
    out : Path
        Folder of the study.
    data_dir : Path, optional
        Folder with local copies of data sets; by default that of the study.
    render : callable (parameters) -> str
        Says how to make the runs again; by default in Python.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    ManyLabelError
        If the folder is not that of a study, none of its runs is finished, or its data are other ones now.
    """
    require_matplotlib()  # it brings what writes pictures
    folder = StudyFolder(out)
    record = folder.record()
    runs = {run.method: run for run in reversed(folder.finished_runs())}  # the first seed of each
    methods = [method for method in record.methods if method in runs]
    if not methods:
        hint = f"Finish them with: {record.repeated(render)}"
        raise ManyLabelError(str(out), "a study with finished runs", "none", hint)
    dataset = loaded_as_asked(record.asked, folder.seen_from(record), record.card.digest, data_dir, str(out))
    gallery = RowGallery(dataset.test.X, dataset.test.Y, dataset.label_names)
    arrays = {method: folder.scores(method, runs[method].seed) for method in methods}
    page = render_page(
        "examples_page.html.jinja",
        title=printable(record.title),
        methods=methods,
        queries=_queries(gallery, {m: of["test_embedding"] for m, of in arrays.items()}),
        mistakes={m: mistakes_of(gallery, of.get("test_scores")) for m, of in arrays.items()},
        nearest=NEAREST,
    )
    files.write(folder.examples_file, page.encode())
    return folder.examples_file


def _queries(gallery: RowGallery, embeddings: dict[str, Array]) -> list[Query]:
    rows = drawn_queries(gallery.Y, QUERIES)
    found = {method: nearest_rows(Z, rows, NEAREST) for method, Z in embeddings.items()}
    queries = []
    for i, row in enumerate(rows.tolist()):
        own = gallery.labels(row)
        nearest = {
            method: [
                gallery.shown(int(n), own, f"cosine {c:.2f}") for n, c in zip(near[i], by[i], strict=True)
            ]
            for method, (near, by) in found.items()
        }
        queries.append(Query(gallery.shown(row, own), nearest))
    return queries
