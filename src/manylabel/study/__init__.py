"""Studies: cells (data, method, settings, seed, fraction) run, recorded, compared and reported.

:func:`run` runs the cells of a :class:`Plan`, :class:`StudyFolder` reads a study back, and
:func:`write_report` makes its one-page report.
"""

from manylabel.study.cell import Cell
from manylabel.study.folder import StudyFolder
from manylabel.study.plan import Plan
from manylabel.study.report.page import Report
from manylabel.study.report.page import write as write_report
from manylabel.study.runner import run

__all__ = ["Cell", "Plan", "Report", "StudyFolder", "run", "write_report"]
