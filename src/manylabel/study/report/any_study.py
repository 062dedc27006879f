"""The report of any study: of one data set, or of several that each have a folder inside its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from manylabel.errors import ManyLabelError
from manylabel.study.analysis.comparison import studies_in
from manylabel.study.folder import StudyFolder
from manylabel.study.folder_names import name_of_study
from manylabel.study.parameters import Render, plan_call
from manylabel.study.report import comparison, page
from manylabel.study.report.sections import Report


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
        If the folder is not that of a study but of a transfer, say, or none of its runs is finished.
    """
    if is_of_several(out):
        return comparison.write(out, protocol, render)
    return page.write(out, protocol, temperature, render)


def check_options(out: Path, options: Sequence[str]) -> None:
    """Refuse options of the report of one data set, by the names that the caller has for them, for several.

    Raises
    ------
    ManyLabelError
        If there are any and the folder is that of several data sets, or if it is that of a transfer.
    """
    if is_of_several(out) and options:
        inner = ", ".join(str(study.path) for study in studies_in(out)[:3])
        hint = f"Ask for the report of a folder in it, such as {inner}."
        raise ManyLabelError(options[0], "the folder of one data set", f"{out}, a study of several", hint)


def is_of_several(out: Path) -> bool:
    """Whether a folder is that of a study of several data sets.

    Raises
    ------
    ManyLabelError
        If it is that of a transfer, whose page is another one.
    """
    if StudyFolder(out).study_file.exists():
        return False
    studies = studies_in(out)
    if any(map(_is_of_transfer, studies)):
        hint = "The same transfer again writes its page, README.md, and trains nothing that is finished."
        raise ManyLabelError(str(out), "the folder of a study", "that of a transfer", hint)
    return bool(studies)


def _is_of_transfer(study: StudyFolder) -> bool:
    """Whether a study starts from another one beside it, by which its folder is called."""
    start = study.record().start
    return bool(start) and study.path.name.endswith(name_of_study("data", start=start).removeprefix("data"))
