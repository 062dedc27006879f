"""Studies: several methods on one data set over several seeds, recorded, compared and reported.

:func:`run` trains what a :class:`Plan` asks for, :class:`StudyFolder` reads a study back, and
:func:`write_report` makes its one-page report.
"""

from manylabel.study.plan import Plan
from manylabel.study.records import StudyFolder
from manylabel.study.report import Report
from manylabel.study.report import write as write_report
from manylabel.study.runner import run

__all__ = ["Plan", "Report", "StudyFolder", "run", "write_report"]
