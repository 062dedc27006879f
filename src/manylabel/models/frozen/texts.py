"""The texts of rows: of a column of texts, or of the text columns of a table."""

from __future__ import annotations

from manylabel.data.rows import Features, TableRows, Texts
from manylabel.errors import ManyLabelError


def texts_of(X: Features, who: str) -> list[str]:
    """One text a row: of a table the cells of its text columns, each in a line of its own.

    Raises
    ------
    ManyLabelError
        For rows without texts.
    """
    if isinstance(X, Texts):
        return X.values
    if not isinstance(X, TableRows):
        raise ManyLabelError(who, "rows of texts", X.kind, "Name an encoder of such rows.")
    columns = [X.values[name].cells() for name, column in X.columns.items() if column.role == "text"]
    if not columns:
        got = f"columns of {', '.join(dict.fromkeys(c.role for c in X.columns.values()))}"
        raise ManyLabelError(who, "a table with a column of texts", got, "Say which column holds text.")
    return ["\n".join(cell for cell in cells if cell) for cells in zip(*columns, strict=True)]
