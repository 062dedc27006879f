"""Rows of a table as vectors: what each column becomes, missing and unseen cells, and what is kept of it."""

import json

import numpy as np
import pytest
import torch

from manylabel import LabelMatrix, ManyLabelError, methods
from manylabel.data import Rows, read_table
from manylabel.models import fit_preprocessor, preprocessor_like

N = 160
TRAIN = 130
CELLS = {
    "n": [None if i % 10 == 3 else float(i) ** 2 for i in range(N)],
    "kind": [None if i == 5 else ["a", "b", "c", f"rare{i}"][i % 4] for i in range(N)],
    "day": [f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d}" for i in range(N)],
    "flag": ["yes" if i % 2 else "no" for i in range(N)],
    "text": [f"the word {'sea' if i % 2 else 'sky'} and number {i} in a line" for i in range(N)],
}


def table(cells=CELLS, **settings):
    return read_table(cells, columns={"kind": "category", "text": "text"}, **settings)


def block(inputs, name):
    """The columns of one column of the table."""
    widths = [encoder.width for encoder in inputs.encoders]
    at = list(inputs.roles).index(name)
    start = sum(widths[:at])
    return slice(start, start + widths[at])


def test_every_column_is_encoded_by_its_role():
    X = table().X
    inputs = fit_preprocessor(X)
    rows = inputs.dense(X).numpy()
    numbers = np.array([np.nan if v is None else v for v in CELLS["n"]])
    filled = np.where(np.isnan(numbers), np.nanmedian(numbers), numbers)
    n = rows[:, block(inputs, "n")]
    np.testing.assert_allclose(n[:, 0], (filled - filled.mean()) / filled.std(), rtol=1e-5, atol=1e-6)
    assert n[:, 1].tolist() == np.isnan(numbers).tolist()
    kind = rows[:, block(inputs, "kind")]
    assert inputs.encoders[1].values == ("a", "b", "c")
    assert kind.shape == (N, 5)
    assert kind.sum(axis=1).tolist() == [1] * N
    assert kind[:, 3].tolist() == [i % 4 == 3 for i in range(N)]
    assert np.flatnonzero(kind[:, 4]).tolist() == [5]
    day = rows[:, block(inputs, "day")]
    assert day.shape == (N, 7)
    assert not day[:, 5:].any()  # no time of day
    assert day[:, :5].std(axis=0) == pytest.approx(1, abs=1e-4)
    assert set(rows[:, block(inputs, "flag")][:, 0].round(4)) == {-1.0, 1.0}


def test_every_column_has_an_equal_share():
    X = table().X
    inputs = fit_preprocessor(X)
    squares = inputs(inputs.dense(X)).square().mean(0)
    shares = [float(squares[block(inputs, name)].sum()) for name in inputs.roles]
    assert shares == pytest.approx([inputs.shape[0] / len(shares)] * len(shares), rel=1e-4)


def test_new_rows_may_lack_cells_and_hold_new_values():
    whole = {name: [cell or ("1" if name == "n" else "a") for cell in cells] for name, cells in CELLS.items()}
    read = table(whole)
    inputs = fit_preprocessor(read.X)
    new = {"n": [None, 7.0], "kind": ["new", None], "day": [None, "1850-01-01"], "flag": [None, "no"]}
    rows = inputs.dense(read.schema.apply(new | {"text": ["unseen", None]}).X)
    assert torch.isfinite(inputs(rows)).all()
    assert not rows[:, block(inputs, "text")].any()
    kind = rows[:, block(inputs, "kind")]
    assert kind[:, -2:].tolist() == [[1, 0], [0, 1]]


def test_what_was_learnt_is_told_by_meta_and_state():
    X = table().X
    inputs = fit_preprocessor(X)
    again = preprocessor_like(json.loads(json.dumps(inputs.meta())))
    again.load_state_dict(inputs.state_dict())
    assert torch.equal(again(again.dense(X)), inputs(inputs.dense(X)))
    sparse = inputs.matrix(X, True)
    length = (len(inputs.roles) / inputs.shape[0]) ** 0.5  # of a row in the mean: one a column
    np.testing.assert_allclose(sparse.toarray(), length * inputs(inputs.dense(X)).numpy(), rtol=1e-5)
    for name in inputs.roles:
        assert sparse[:, block(inputs, name)].power(2).sum() / N == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(sparse.toarray(), inputs.matrix(X, False))


def test_huge_and_constant_numbers_are_no_trouble():
    cells = {
        "huge": [1e308, -1e308, 1e307, 0.0] * 5,
        "still": [7.0, 7.0, 7.0, None] * 5,
        "n": [1.5, 2.5, 0.5, 9] * 5,
    }
    X = read_table(cells).X
    inputs = fit_preprocessor(X)
    assert torch.isfinite(inputs(inputs.dense(X))).all()


def test_other_columns_than_in_training_are_refused():
    inputs = fit_preprocessor(table().X)
    other = read_table({"n": [0.5, 1.5], "m": [2.5, 3.5]}).X
    with pytest.raises(
        ManyLabelError, match=r"a table of n \(number\), kind \(category\).*but got a table of n"
    ):
        inputs.dense(other)


@pytest.mark.parametrize("name", ["bce", "mulsupcon_knn", "lamp", "logistic_regression"])
def test_methods_train_on_tables(name):
    tags = ["|".join(filter(None, ["sea" * (i % 2), "flag" * (i % 3 == 0)])) for i in range(N)]
    read = table(CELLS | {"tags": tags}, labels="tags")
    rows = Rows(read.X, LabelMatrix.of(read.labels.known))
    changes = (
        {} if name == "logistic_regression" else {"classify.stage.epochs": 12, "classify.stage.batch": 32}
    )
    changes |= {"pretrain.stage.epochs": 2, "pretrain.stage.batch": 32} if name == "mulsupcon_knn" else {}
    scorer = methods.get(name, **changes).fit(
        rows.take(np.arange(TRAIN)), rows.take(np.arange(TRAIN, N)), seed=0
    )
    scores = np.asarray(scorer.scores(rows.take(np.arange(TRAIN)).X))
    assert scores.shape == (TRAIN, 2)
    sea = read.label_names.index("sea")
    odd = np.arange(TRAIN) % 2 == 1
    above = scores[odd, sea][:, None] > scores[~odd, sea]  # pairs of a row with the label and one without
    assert above.mean() > 0.95


def test_tags_are_multi_hot_with_the_number_of_others():
    spoken = [["English"], ["English", "French"], ["French", f"rare{1}", "rare2"], []] * 10
    spoken[2] = ["Latin"]
    cells = {"spoken": [", ".join(values) for values in spoken], "n": [0.5 * i for i in range(40)]}
    read = read_table(cells)
    assert read.X.columns["spoken"].role == "tags"
    inputs = fit_preprocessor(read.X)
    assert inputs.encoders[0].values == ("English", "French", "rare1", "rare2")  # Latin stands in one row
    rows = inputs.dense(read.X).numpy()[:, block(inputs, "spoken")]
    assert rows[:4].tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, pytest.approx(np.log(2)), 0],
        [0, 0, 0, 0, 0, 1],
    ]
    new = read.schema.apply({"spoken": ["French,English,French, Thai, Urdu", None], "n": [1, 2]})
    rows = inputs.dense(new.X).numpy()[:, block(inputs, "spoken")]
    assert rows.tolist() == [[1, 1, 0, 0, pytest.approx(np.log(3)), 0], [0, 0, 0, 0, 0, 1]]
    again = preprocessor_like(json.loads(json.dumps(inputs.meta())))
    again.load_state_dict(inputs.state_dict())
    assert torch.equal(again.dense(new.X), inputs.dense(new.X))


def test_of_more_tags_than_there_is_room_for_the_frequent_have_a_feature(monkeypatch):
    monkeypatch.setattr("manylabel.models.inputs.vectors.MOST_FEATURES", 3)
    cells = [f"{'a|' * (i % 2)}{'b|' * (i % 3 < 2)}c{i % 9}|d" for i in range(90)]
    read = read_table({"t": cells, "n": [0.5 * i for i in range(90)]})
    inputs = fit_preprocessor(read.X)
    assert inputs.encoders[0].values == ("a", "b", "d")
    others = inputs.dense(read.X).numpy()[:, 3]
    assert others == pytest.approx(np.log(2))  # c0 to c8
