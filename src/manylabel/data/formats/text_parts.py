"""Parts of a data set of texts, put together: documents with the names of their labels become rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from manylabel.data.build import About, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arrays import joined
from manylabel.data.formats.tag_matrix import tag_matrix
from manylabel.errors import ManyLabelError


@dataclass(frozen=True)
class TextPart:
    """The documents of one part.

    Attributes
    ----------
    texts : list of n str
    labels : list of n sequences of str
        The names of the labels of each.
    where : Path
        The file or folder that they are from.
    """

    texts: list[str]
    labels: list[Sequence[str]]
    where: Path

    def add(self, text: str, labels: Iterable[str]) -> None:
        """Append a document."""
        self.texts.append(text)
        self.labels.append(tuple(labels))

    @classmethod
    def of(cls, where: Path) -> TextPart:
        """A part without documents."""
        return cls([], [], where)


def assemble_texts(
    about: About,
    train: TextPart,
    test: TextPart | None,
    validation: TextPart | None = None,
    label_names: Sequence[str] | None = None,
) -> DataSet:
    """Build the data set of documents.

    Parameters
    ----------
    about : About
    train : TextPart
    test, validation : TextPart, optional
        Published ones; the validation rows join the training rows.
    label_names : sequence of str, optional
        In the order of the columns. Default: all that occur, by name.

    Raises
    ------
    ManyLabelError
        If no document has a label.
    """
    parts = [part for part in (train, validation, test) if part is not None]
    names = list(label_names) if label_names is not None else all_labels(parts)
    if not names:
        raise ManyLabelError(str(train.where), "documents with labels", "none")
    at = {name: j for j, name in enumerate(names)}
    made = {id(part): Part(part.texts, tag_matrix(part.labels, at), str(part.where)) for part in parts}
    rows, kept = made[id(train)], None
    if validation is not None and validation.texts and test is not None:
        rows, kept = joined(rows, made[id(validation)])
    held_out = None if test is None else made[id(test)]
    return assemble(about, rows, held_out, label_names=names, validation_rows=kept)


def all_labels(parts: Iterable[TextPart]) -> list[str]:
    """The names of all labels that occur, sorted."""
    return sorted({name for part in parts for labels in part.labels for name in labels})


def with_remark(about: About, *told: str) -> About:
    """The same with more to tell of how files were read."""
    return dataclasses.replace(about, remarks=(*about.remarks, *told))
