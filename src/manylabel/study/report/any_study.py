"""The report of any study: of one data set, or of several that each have a folder inside its own."""

from __future__ import annotations

from pathlib import Path

from manylabel.study.analysis.comparison import studies_in
from manylabel.study.folder import StudyFolder
from manylabel.study.parameters import Render, plan_call
from manylabel.study.report import comparison, page
from manylabel.study.report.page import Report


def write(
    out: Path, protocol: str | None = None, temperature: float = 1.0, render: Render = plan_call
) -> Report:
    """Write the report of a study into its folder; see :mod:`.page` and :mod:`.comparison`.

    Parameters
    ----------
    out : Path
        Folder of a study of one data set, or of one whose data sets have a folder each.
    protocol : {"learnt", "tuned", "fixed", "oracle"}, optional
        The one the study asked for by default.
    temperature : float, default 1
        Of the class heat map of one data set.
    render : callable (parameters) -> str
        Says how to make the runs again; by default in Python.

    Raises
    ------
    ManyLabelError
        If the folder is not that of a study, or none of its runs is finished.
    """
    if not StudyFolder(out).study_file.exists() and studies_in(out):
        return comparison.write(out, protocol, render)
    return page.write(out, protocol, temperature, render)
