"""The label matrix: which rows carry which labels, dense or sparse behind one face.

Everything above this package asks its questions of a :class:`LabelMatrix` (row counts, label counts, label
sums, overlaps, groups of identical rows) and never looks at how the labels are laid out.
"""

from __future__ import annotations

from manylabel.labels.base import LabelLists, LabelMatrix, Labels, RowIndex
from manylabel.labels.convert import as_labels
from manylabel.labels.dense import DenseLabels
from manylabel.labels.hashing import match_groups
from manylabel.labels.packed import PackedLabels
from manylabel.labels.single_label import SingleLabel
from manylabel.labels.sparse import SparseLabels

__all__ = [
    "DenseLabels",
    "LabelLists",
    "LabelMatrix",
    "Labels",
    "PackedLabels",
    "RowIndex",
    "SingleLabel",
    "SparseLabels",
    "as_labels",
    "match_groups",
]
