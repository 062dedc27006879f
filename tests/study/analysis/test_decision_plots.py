"""Pictures of probabilities and decisions show what was measured and learnt."""

from __future__ import annotations

import numpy as np
import pytest

from manylabel.metrics import Calibration, Counts, f1_curves, learn_decision, reliability
from manylabel.study.analysis.figures.decision_plots import f1_over_threshold, reliability_diagram
from manylabel.study.analysis.figures.label_quality import f1_by_frequency


def draw(n: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    Y = rng.random((n, 4)) < (0.5, 0.3, 0.1, 0.0)
    return np.clip(rng.normal(0.3 + 0.3 * Y, 0.2), 0, 1).astype(np.float32), Y, np.arange(n) % 5


def test_a_reliability_diagram_has_a_line_of_shares_for_each_name() -> None:
    S, Y, folds = draw()
    found = {"scores": reliability(S, Y), "calibrated": reliability(Calibration.fit(S, Y, folds)(S), Y)}
    picture = reliability_diagram(found)
    top, bottom = picture.figure.axes
    for line, of in zip(top.lines[1:], found.values(), strict=True):
        pooled = of.pooled()
        filled = pooled.counts[0] > 0
        np.testing.assert_allclose(line.get_xdata(), pooled.score[0, filled])
        np.testing.assert_allclose(line.get_ydata(), pooled.share[0, filled])
    assert len(bottom.patches) == 2
    shown = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert shown[0] == f"scores (error {found['scores'].pooled().error()[0]:.3f})"


def test_an_f1_curve_is_that_of_every_threshold_and_marks_the_one_learnt() -> None:
    S, Y, folds = draw()
    learnt = learn_decision("per_label", S, Y, folds).report()  # type: ignore[attr-defined]
    picture = f1_over_threshold(f1_curves(S, Y), learnt, ["a", "b", "c", "d"])
    assert len(picture.figure.axes) == 4
    for label, axes in enumerate(picture.figure.axes):
        curve, chosen = axes.lines
        assert chosen.get_xdata()[0] == learnt[label].value
        x, y = curve.get_xdata(), curve.get_ydata()
        assert (x[0], x[-1], y[-1]) == (0, 1, 0)
        for t, there in list(zip(x, y, strict=True))[:-1:20]:
            expected = float(Counts.of(np.float32(t) <= S[:, [label]], Y[:, [label]]).macro_f1())
            assert there == pytest.approx(expected)
    assert picture.figure.axes[3].get_title(loc="left") == "d (0, shared)"


def test_names_of_labels_cover_no_point_and_no_other_name() -> None:
    rng = np.random.default_rng(0)
    crowded, apart = (rng.integers(50, 60, 30), rng.random(30) * 0.1), ([10, 20, 90], [0.3, 0.5, 0.9])
    for (positives, f1), fewest in ((crowded, 3), (apart, 3)):
        positives, f1 = np.asarray(positives), np.asarray(f1)
        picture = f1_by_frequency(positives, f1, [f"label number {c}" for c in range(len(f1))])
        (axes,) = picture.figure.axes
        picture.figure.draw_without_rendering()
        rooms = [name.get_window_extent() for name in axes.texts]
        points = axes.transData.transform(axes.lines[0].get_xydata())
        assert len(rooms) >= fewest
        assert not any(room.count_contains(points) for room in rooms)
        assert all(room.count_overlaps(rooms) == 1 for room in rooms)  # itself
