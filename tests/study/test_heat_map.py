"""The class heat map against its definition, written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from manylabel.errors import ManyLabelError
from manylabel.labels import as_labels
from manylabel.study.heat_map import class_heat_map, mean_heat_map, only_label

Y = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 1, 1], [0, 1, 0]])


def slow_map(Z: np.ndarray, classes: list[int], temperature: float) -> list[list[float]]:
    means = {}
    for c in classes:
        rows = [z for z, y in zip(Z, Y, strict=True) if y.sum() == 1 and y[c] == 1]
        means[c] = [sum(z[d] for z in rows) / len(rows) for d in range(Z.shape[1])]

    def cos(a: list[float], b: list[float]) -> float:
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(x * x for x in b))

    out = []
    for i in classes:
        weights = [math.exp(cos(means[i], means[j]) / temperature) for j in classes]
        out.append([w / sum(weights) for w in weights])
    return out


@pytest.mark.parametrize("temperature", [0.05, 1.0, 3.0])
def test_heat_map_is_its_definition(temperature: float) -> None:
    Z = np.random.default_rng(0).normal(size=(len(Y), 5))
    heat = class_heat_map(Z, as_labels(Y), temperature)
    assert heat.classes == (0, 1)
    assert heat.dropped == (2,)
    expected = np.array(slow_map(Z, [0, 1], temperature))
    np.testing.assert_allclose(heat.map, expected, rtol=1e-12)
    assert heat.diagonal == pytest.approx(np.mean(np.diag(expected)))


def test_heat_map_does_not_overflow_at_low_temperature() -> None:
    heat = class_heat_map(np.eye(7), as_labels(Y), 1e-4)
    np.testing.assert_allclose(heat.map, np.eye(2), atol=1e-12)


def test_heat_map_without_single_label_rows_is_empty() -> None:
    heat = class_heat_map(np.ones((2, 3)), as_labels(np.array([[1, 1], [0, 0]])))
    assert heat.classes == ()
    assert heat.map.shape == (0, 0)


def test_mean_heat_map_averages_seeds() -> None:
    rng = np.random.default_rng(1)
    maps = [class_heat_map(rng.normal(size=(len(Y), 4)), as_labels(Y)) for _ in range(3)]
    np.testing.assert_allclose(mean_heat_map(maps).map, sum(m.map for m in maps) / 3)


def test_only_label_marks_rows_with_exactly_one() -> None:
    assert only_label(as_labels(Y)).tolist() == [0, 0, 1, -1, -1, -1, 1]
    assert only_label(as_labels(Y).sparse()).tolist() == [0, 0, 1, -1, -1, -1, 1]


def test_heat_map_refuses_a_temperature_of_zero() -> None:
    with pytest.raises(ManyLabelError, match="a temperature above 0, but got 0"):
        class_heat_map(np.ones((7, 2)), as_labels(Y), 0.0)
