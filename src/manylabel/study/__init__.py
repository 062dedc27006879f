"""Studies: cells (data, method, settings, seed, fraction) run, recorded, compared and reported.

:func:`run` runs the cells of a :class:`Plan`, :class:`StudyFolder` reads a study back,
:func:`write_report` makes its report, and :func:`rerun` trains a finished cell again. A :class:`Transfer` is a
plan of encoders that are trained on one data set and taken to another.
"""

from manylabel.study.cell import Cell
from manylabel.study.folder import StudyFolder
from manylabel.study.plan import Plan
from manylabel.study.report.any_study import write as write_report
from manylabel.study.report.sections import Report
from manylabel.study.rerun import Rerun, rerun
from manylabel.study.runner import run
from manylabel.study.transfer import Transfer

__all__ = ["Cell", "Plan", "Report", "Rerun", "StudyFolder", "Transfer", "rerun", "run", "write_report"]
