"""Slices of a report: each is what the metrics say of that part alone."""

import json

import numpy as np
import pytest

from manylabel.labels import as_labels
from manylabel.metrics import Counts, TrainingLabels, mean_average_precision, slices


def draw():
    rng = np.random.default_rng(0)
    shares = (0.5, 0.05, 0.3, 0.1, 0.2, 0.02, 0.4)
    Y_train, Y = (rng.random((n, 7)) < shares for n in (80, 150))
    S = np.clip(rng.normal(0.3 + 0.3 * Y, 0.2), 0, 1)
    return S, S >= 0.5, Y, Y_train


def named(*arguments):
    return {of.name: of for of in slices(*arguments)}


def test_thirds_of_labels():
    S, P, Y, Y_train = draw()
    found, order = named(S, P, Y, Y_train), np.argsort(Y_train.sum(0), kind="stable")
    names = ("rare labels", "medium labels", "frequent labels")
    for name, part in zip(names, (order[:3], order[3:5], order[5:]), strict=True):
        of, counts = found[name], Counts.of(P[:, part], Y[:, part])
        assert (of.rows, of.labels, of.positives) == (150, len(part), Y[:, part].sum())
        assert of.values["macro_f1"] == pytest.approx(float(counts.macro_f1()))
        assert of.values["micro_f1"] == pytest.approx(float(counts.micro_f1()))
        assert of.values["map"] == pytest.approx(mean_average_precision(S[:, part], Y[:, part]))


def test_rows_whose_label_set_was_never_seen():
    S, P, Y, Y_train = draw()
    found, known = named(S, P, Y, Y_train), {tuple(y) for y in Y_train}
    unseen = np.array([tuple(y) not in known for y in Y])
    assert 0 < unseen.sum() < 150
    for name, rows in (("unseen label sets", unseen), ("seen label sets", ~unseen)):
        of, counts = found[name], Counts.of(P[rows], Y[rows])
        assert (of.rows, of.labels, of.positives) == (rows.sum(), 7, Y[rows].sum())
        for metric in ("micro_f1", "example_f1", "subset_accuracy"):
            assert of.values[metric] == pytest.approx(float(getattr(counts, metric)()))


def test_groups():
    S, P, Y, Y_train = draw()
    groups = np.array(["b", "a", "c"])[np.arange(150) % 3]
    found = slices(S, P, Y, Y_train, groups)
    assert [of.name for of in found[-3:]] == ["group b", "group a", "group c"]
    assert found[-2].values["micro_f1"] == pytest.approx(float(Counts.of(P[1::3], Y[1::3]).micro_f1()))


def test_layouts_and_json():
    S, P, Y, Y_train = draw()
    one, other = named(S, P, Y, Y_train), named(S, P, as_labels(Y).sparse(), as_labels(Y_train).sparse())
    assert one == other
    for of in slices(S, np.zeros_like(P), np.zeros_like(Y), Y_train):
        json.dumps(of.to_dict(), allow_nan=False)


def test_slices_without_rows_or_labels_are_left_out():
    S, P, Y, _ = draw()
    assert "unseen label sets" not in named(S, P, Y, Y)
    assert "medium labels" not in named(S[:, :1], P[:, :1], Y[:, :1], Y[:, :1])


def test_what_does_not_fit_is_refused():
    S, P, Y, Y_train = draw()
    with pytest.raises(ValueError, match="`Y_train` of 7 labels"):
        slices(S, P, Y, Y_train[:, :3])
    with pytest.raises(ValueError, match="`groups` of 150 rows, but got 3"):
        slices(S, P, Y, Y_train, ["a", "b", "c"])
    with pytest.raises(ValueError, match="predictions that are 0 or 1"):
        slices(S, S, Y, Y_train)


def test_what_is_kept_of_training_labels_slices_as_the_labels_do():
    S, P, Y, Y_train = draw()
    hidden = Y_train.astype(float)
    hidden[::7, 2] = np.nan
    for labels in (Y_train, as_labels(Y_train).sparse(), hidden):
        kept = TrainingLabels.of(labels)
        assert [of.to_dict() for of in slices(S, P, Y, kept)] == [
            of.to_dict() for of in slices(S, P, Y, labels)
        ]
    known = {tuple(row) for row in hidden if not np.isnan(row).any()}
    assert len(TrainingLabels.of(hidden).sets) == len(known)
    assert TrainingLabels.of(hidden).counts.tolist() == np.nansum(hidden, axis=0).tolist()


def test_kept_training_labels_grow_with_rows_and_labels():
    _, _, Y, Y_train = draw()
    wide = np.column_stack([Y, Y[:, :1]])
    found = TrainingLabels.of(Y_train).joined(as_labels(wide))
    both = TrainingLabels.of(np.vstack([np.pad(Y_train, ((0, 0), (0, 1))), wide]))
    assert found.counts.tolist() == both.counts.tolist()
    assert found.sets.tolist() == both.sets.tolist()
