"""Calibration maps: what they mend, what they rest on, and what they leave as it is."""

import json

import numpy as np
import pytest
from scipy.special import expit, logit

from manylabel.labels import as_labels
from manylabel.metrics import calibration_error
from manylabel.metrics.calibration_maps import KINDS, fit_map, log_loss
from manylabel.metrics.held_out import Column
from manylabel.metrics.learnt_calibration import Calibration, LabelCalibration
from manylabel.metrics.shrunk_maps import Prior, shrunk_line


def draw(n=3000, distort=lambda x: 3 * x + 1, shares=(0.4, 0.2, 0.05), seed=0):
    """Scores whose log-odds are a distortion of the true ones; labels, folds, true probabilities."""
    rng = np.random.default_rng(seed)
    x = rng.normal(logit(shares), 1.0, size=(n, len(shares)))
    S = expit(distort(x)).astype(np.float32)
    return S, rng.random(x.shape) < expit(x), np.arange(n) % 5, expit(x)


def column(s, y):
    return Column(np.asarray(s), np.asarray(y, dtype=bool), np.zeros(len(s), dtype=int))


def mean_log_loss(P, Y):
    return float(-np.log(np.where(Y, P, 1 - P.astype(float)).clip(1e-12)).mean())


@pytest.mark.parametrize(
    ("distort", "kind"),
    [
        (lambda x: 3 * x, "temperature"),
        (lambda x: 0.5 * x - 1, "platt"),
        (lambda x: np.where(x > -1, x + 3, x - 3), "isotonic"),
    ],
)
def test_the_kind_that_undoes_the_distortion_is_chosen(distort, kind):
    S, Y, folds, truth = draw(8000, distort, shares=(0.3,) * 3)
    calibration = Calibration.fit(S, Y, folds)
    chosen = [of.kind for of in calibration.report()]
    assert chosen.count(kind) >= 2
    assert np.abs(calibration(S) - truth).mean() < 0.02


def test_probabilities_stay_as_they_are():
    S, Y, folds, truth = draw(8000, lambda x: x)
    assert np.abs(Calibration.fit(S, Y, folds)(S) - truth).mean() < 0.01


def test_new_rows_have_probabilities_that_can_be_believed():
    calibration = Calibration.fit(*draw()[:3])
    S, Y, _, _ = draw(seed=1)
    P = calibration(S)
    assert P.dtype == np.float32
    assert (calibration_error(P, Y) < 0.5 * calibration_error(S, Y)).all()
    assert mean_log_loss(P, Y) < mean_log_loss(S, Y)


@pytest.mark.parametrize("distort", [lambda x: 3 * x + 1, lambda x: np.where(x > -1, x + 3, x - 3)])
def test_a_higher_score_never_has_a_lower_probability(distort):
    calibration = Calibration.fit(*draw(distort=distort)[:3])
    rising = np.repeat(np.r_[0, 1e-30, np.linspace(1e-6, 1, 999)].astype(np.float32)[:, None], 3, axis=1)
    P = calibration(rising)
    assert (np.diff(P, axis=0) >= 0).all()
    assert (P >= 0).all()
    assert (P <= 1).all()


def test_rare_labels_take_the_pooled_map():
    S, Y, folds, _ = draw(shares=(0.4, 0.3, 0.2, 0.004))
    calibration = Calibration.fit(S, Y, folds)
    assert calibration.report()[3] == LabelCalibration(calibration.kinds[0], True, int(Y[:, 3].sum()))
    assert calibration.map_of[3] == 0
    np.testing.assert_allclose(calibration(S)[:, 3], calibration.maps[0](S[:, 3]), rtol=1e-6)


def test_labels_of_one_side_and_no_labels_at_all():
    S, Y, folds, _ = draw(500)
    Y[:, 1], Y[:, 2] = False, True
    assert [of.pooled for of in Calibration.fit(S, Y, folds).report()[1:]] == [True, True]
    nothing = Calibration.fit(S, np.zeros_like(Y), folds)
    assert {of.kind for of in nothing.report()} == {"identity"}
    np.testing.assert_allclose(nothing(S), S, rtol=1e-6)


def test_scores_that_run_against_the_truth():
    rng = np.random.default_rng(0)
    s = rng.random(400)
    against = column(s, rng.random(400) < 0.6 * (1 - s))
    platt, temperature = fit_map("platt", against), fit_map("temperature", against)
    assert platt.slope == temperature.slope == 0
    assert platt(s[:2]) == pytest.approx(against.true.mean(), abs=0.01)
    assert temperature(s[:2]) == pytest.approx(0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_classes_that_scores_split_leave_probabilities_off_0_and_1(kind):
    s = np.r_[np.linspace(0.1, 0.2, 30), np.linspace(0.7, 0.9, 30)]
    split = column(s, s > 0.5)
    p = fit_map(kind, split)(np.array([0.0, 0.05, 0.95]))
    assert np.isfinite(p).all()
    assert kind == "identity" or (0 < p[1] < 0.5 < p[2] < 1)
    assert np.isfinite(log_loss(fit_map(kind, split), split))


def test_fitted_maps_are_no_worse_than_none_on_their_own_rows():
    S, Y, _, _ = draw()
    for label in range(3):
        own = column(S[:, label], Y[:, label])
        losses = {kind: log_loss(fit_map(kind, own), own) for kind in KINDS}
        assert losses["isotonic"] < losses["platt"] < losses["temperature"] < losses["identity"]


def test_unknown_entries_teach_nothing():
    S, Y, folds, _ = draw()
    known = np.random.default_rng(1).random(Y.shape) < 0.5
    calibration = Calibration.fit(S, np.where(known, Y, np.nan), folds)
    other = Calibration.fit(S, as_labels(Y ^ ~known, unknown=~known), folds)
    np.testing.assert_array_equal(calibration(S), other(S))
    np.testing.assert_array_equal(calibration.positives, (Y & known).sum(0))


def test_labels_without_a_known_entry():
    S, Y, folds, _ = draw()
    Y = np.where([True, False, True], Y, np.nan)
    assert Calibration.fit(S, Y, folds).report()[1][1:] == (True, 0)


def test_state_and_layouts():
    for distort in (lambda x: 3 * x + 1, lambda x: np.where(x > -1, x + 3, x - 3)):
        S, Y, folds, _ = draw(distort=distort)
        calibration = Calibration.fit(S, Y, folds)
        plain, arrays = calibration.state()
        back = Calibration.from_state(json.loads(json.dumps(plain, allow_nan=False)), arrays)
        np.testing.assert_array_equal(back(S), calibration(S))
        assert back.report() == calibration.report()
        np.testing.assert_array_equal(Calibration.fit(S, as_labels(Y).sparse(), folds)(S), calibration(S))


def test_what_does_not_fit_is_refused():
    S, Y, folds, _ = draw(100)
    with pytest.raises(ValueError, match="scores of 3 labels"):
        Calibration.fit(S, Y, folds)(S[:, :2])
    with pytest.raises(ValueError, match=r"scores in \[0, 1\]"):
        Calibration.fit(5 * S, Y, folds)
    with pytest.raises(ValueError, match=r"scores in \[0, 1\]"):
        Calibration.fit(S, Y, folds)(5 * S)
    with pytest.raises(ValueError, match="at least two folds"):
        Calibration.fit(S, Y, np.zeros(100, int))


def distorted(n, slopes, shares, seed):
    """Scores with log-odds that are the true ones times a slope of each label, plus one half; labels; the truth."""
    rng = np.random.default_rng(seed)
    x = rng.normal(logit(shares), 1.0, size=(n, len(shares)))
    return expit(x * slopes + 0.5).astype(np.float32), rng.random(x.shape) < expit(x), expit(x)


def test_a_prior_knows_how_much_lines_of_labels_differ():
    shares = np.full(12, 0.3)
    alike, Y, _ = distorted(4000, np.full(12, 2.0), shares, 0)
    unlike, _, _ = distorted(4000, np.linspace(0.7, 4, 12), shares, 0)
    of = {
        name: Prior.of([column(S[:, c], Y[:, c]) for c in range(12)])
        for name, S in {"alike": alike, "unlike": unlike}.items()
    }
    assert of["alike"].centre == pytest.approx([0.5, -0.25], abs=0.05)  # undoes 2 x + 1/2
    assert of["alike"].precision[0] > 20 * of["unlike"].precision[0]
    assert Prior.of([column(alike[:, c], Y[:, c]) for c in range(4)]) is None


def test_a_shrunk_line_lies_between_its_own_and_that_of_all():
    S, Y, _ = distorted(400, np.array([3.0]), np.array([0.3]), 1)
    own = fit_map("platt", column(S[:, 0], Y[:, 0]))
    centre = np.array([own.slope + 1, own.intercept + 1])
    slopes = [
        shrunk_line(column(S[:, 0], Y[:, 0]), Prior(centre, np.full(2, precision))).slope
        for precision in (1e-6, 10.0, 100.0, 1e6)
    ]
    assert slopes[0] == pytest.approx(own.slope, abs=0.02)
    assert slopes == sorted(slopes)
    assert slopes[-1] == pytest.approx(own.slope + 1, abs=1e-3)


def test_a_shrunk_line_of_a_label_without_a_positive_is_finite_and_never_falls():
    nothing = column(np.linspace(0.01, 0.99, 60), np.zeros(60))
    against = column(np.linspace(0.01, 0.99, 600), np.linspace(0, 1, 600) < 0.5)
    prior = Prior(np.array([1.0, 0.0]), np.array([0.1, 0.1]))
    for of in (nothing, against):
        line = shrunk_line(of, prior)
        p = line(np.array([0.0, 0.3, 1.0]))
        assert line.slope >= 0
        assert np.isfinite(p).all()
        assert (np.diff(p) >= 0).all()
    assert shrunk_line(nothing, prior)(np.array([0.5])) < 0.2


def test_rare_labels_with_lines_of_one_kind_are_drawn_towards_it():
    shares = np.r_[np.full(8, 0.3), np.full(8, 0.006)]
    S, Y, _ = distorted(
        1500, np.r_[np.full(8, 2.0), np.full(8, 2.0)] + 0.3 * np.resize([-1, 1], 16), shares, 3
    )
    calibration = Calibration.fit(S, Y, np.arange(1500) % 5)
    kinds = [of.kind for of in calibration.report()]
    assert kinds.count("shrunk") >= 8
    assert (
        len({(of.kind, of.pooled) for of, n in zip(calibration.report(), Y.sum(0), strict=True) if n < 20})
        == 1
    )
    fresh, Y, truth = distorted(
        4000, np.r_[np.full(8, 2.0), np.full(8, 2.0)] + 0.3 * np.resize([-1, 1], 16), shares, 4
    )
    P = calibration(fresh)
    assert np.abs(P - truth).mean() < 0.35 * np.abs(fresh - truth).mean()
    plain, arrays = calibration.state()
    again = Calibration.from_state(json.loads(json.dumps(plain)), arrays)
    np.testing.assert_array_equal(again(fresh), P)
