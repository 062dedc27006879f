"""Features that know their kind: vectors, sparse vectors, texts, pictures and rows of tables, one kind a file."""

from manylabel.data.rows.base import Features
from manylabel.data.rows.encoded import EncodedRows, raw_rows
from manylabel.data.rows.images import Images
from manylabel.data.rows.mapped import MappedImages
from manylabel.data.rows.parts import NpyPart, RowPart, VectorParts
from manylabel.data.rows.registry import as_features, features_of_file
from manylabel.data.rows.sparse import SparseVectors
from manylabel.data.rows.sparse_parts import SparsePart, SparseParts
from manylabel.data.rows.table import TableRows
from manylabel.data.rows.text import Texts
from manylabel.data.rows.vectors import Vectors

__all__ = [
    "EncodedRows",
    "Features",
    "Images",
    "MappedImages",
    "NpyPart",
    "RowPart",
    "SparsePart",
    "SparseParts",
    "SparseVectors",
    "TableRows",
    "Texts",
    "VectorParts",
    "Vectors",
    "as_features",
    "features_of_file",
    "raw_rows",
]
