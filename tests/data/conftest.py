"""Small data sets on disk, in the forms that the readers take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MANYLABEL_DATA", raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """``write(name, text or bytes)`` puts a file into the test's folder."""

    def put(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return put


def arff_text(X: Any, Y: Any, sparse: bool = False, labels_first: bool = False) -> str:
    """An ARFF table with features f0, f1, ... and labels a, b, ... in the style of Mulan's files."""
    features = [f"@attribute f{j} numeric" for j in range(X.shape[1])]
    labels = [f"@attribute {chr(97 + j)} {{0,1}}" for j in range(Y.shape[1])]
    header = labels + features if labels_first else features + labels
    blocks = [Y, X] if labels_first else [X, Y]
    rows = (np.concatenate([block[i].astype(object) for block in blocks]) for i in range(len(X)))
    data = map(_sparse_row if sparse else _dense_row, rows)
    return "\n".join(["@relation MultiLabelData", "", *header, "", "@data", *data]) + "\n"


def _dense_row(row: Iterable[Any]) -> str:
    return ",".join(_number(value) for value in row)


def _sparse_row(row: Iterable[Any]) -> str:
    return "{" + ",".join(f"{j} {_number(value)}" for j, value in enumerate(row) if value) + "}"


def _number(value: Any) -> str:
    return np.format_float_positional(np.float32(value), trim="-") if isinstance(value, float) else str(value)


def xml_text(names: Iterable[str]) -> str:
    labels = "".join(f'<label name="{name}"></label>\n' for name in names)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<labels xmlns="http://mulan.sourceforge.net/labels">\n{labels}</labels>'


@pytest.fixture
def small() -> tuple[np.ndarray, np.ndarray]:
    """Features (12, 4) float32, a third of them 0, and labels (12, 3); the last row is all 0."""
    random = np.random.default_rng(3)
    X = random.standard_normal((12, 4)).astype(np.float32)
    X[random.random(X.shape) < 0.33] = 0
    Y = (random.random((12, 3)) < 0.5).astype(np.uint8)
    X[-1], Y[-1] = 0, 0
    return X, Y


@pytest.fixture
def forms() -> dict[str, Callable[..., str]]:
    return {"arff": arff_text, "xml": xml_text}
