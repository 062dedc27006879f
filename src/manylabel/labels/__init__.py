"""The label matrix: which rows carry which labels, dense or sparse behind one face.

Everything above this package asks its questions of a :class:`LabelMatrix` (row counts, label counts, label
sums, overlaps, groups of identical rows) and never looks at how the labels are laid out.
"""

from __future__ import annotations

from manylabel.labels.dense import DenseLabels
from manylabel.labels.groups import match_groups
from manylabel.labels.matrix import LabelMatrix, Labels, RowIndex
from manylabel.labels.one_label import OneLabel
from manylabel.labels.packed import PackedLabels
from manylabel.labels.sparse import SparseLabels
from manylabel.labels.summed import SummedLabels

__all__ = [
    "DenseLabels",
    "LabelMatrix",
    "Labels",
    "OneLabel",
    "PackedLabels",
    "RowIndex",
    "SparseLabels",
    "SummedLabels",
    "match_groups",
]
