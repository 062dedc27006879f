"""Data sets: loaded, described, split and cut down."""

from manylabel.data.build import Like
from manylabel.data.dataset import DataSet, Rows
from manylabel.data.description import describe
from manylabel.data.formats.row_parts import open_parts
from manylabel.data.loading import load, names
from manylabel.data.random_split import random_split
from manylabel.data.rows import VectorParts
from manylabel.data.splits import split_validation
from manylabel.data.subsample import take_fraction
from manylabel.data.tables import Schema, Table, read_table
from manylabel.data.wrong_labels import with_wrong_labels

__all__ = [
    "DataSet",
    "Like",
    "Rows",
    "Schema",
    "Table",
    "VectorParts",
    "describe",
    "load",
    "names",
    "open_parts",
    "random_split",
    "read_table",
    "split_validation",
    "take_fraction",
    "with_wrong_labels",
]
