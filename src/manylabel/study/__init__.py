"""Studies: several methods on one data set over several seeds, recorded, compared and reported.

``execution.run`` trains what a :class:`~manylabel.study.execution.Plan` asks for, ``records.StudyFolder``
reads a study back, and ``report.write`` makes its one-page report.
"""
