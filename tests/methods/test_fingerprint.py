"""A folder answers for one training alone: everything that decides what is learnt is in its fingerprint."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.methods.small_vectors import SMALL, STAGE
from tests.training.small_run import SETTINGS, rows
from torch import nn

import manylabel.methods.fingerprint as module
from manylabel import LabelMatrix, ManyLabelError
from manylabel.data import Rows
from manylabel.methods import get
from manylabel.methods.fingerprint import fingerprint

TRAIN, VALIDATION = rows(40, 0), rows(20, 1)
QUICK = {"classify.stage.epochs": 1, "classify.stage.batch": 16, "vectors.encoder.widths": [4]}
CONTRAST = SETTINGS | {"pretrain.stage.epochs": 1, "classify.stage.epochs": 1, "classify.stage.select": None}
FAMILIES = {
    "logit": ("bce", QUICK),
    "contrastive": ("mulsupcon", CONTRAST),
    "linear evaluation grid": (
        "mulsupcon",
        CONTRAST | {"classify.encoder_rate": 0.0, "vectors.classify.grid": {"heads": 1}},
    ),
    "joint": ("joint_mulsupcon", QUICK),
    "kmcl": ("kmcl", QUICK),
    "ensemble": ("bce", QUICK | {"members": 2}),
    "neighbours": ("bce", QUICK | {"neighbours.k": 3}),
    **{name: (name, STAGE | own | {"classify.stage.epochs": 1}) for name, own in SMALL.items()},
}


def changed(part, x=0.0, y=False):
    """The same rows with one number or one label changed."""
    X, Y = part.X.values.clone(), part.Y.dense(torch.uint8).clone()
    X[7, 3] += x
    Y[5, 2] = 1 - Y[5, 2] if y else Y[5, 2]
    return Rows(X, LabelMatrix.of(Y))


OTHER = {
    "training features": (changed(TRAIN, x=1e-3), VALIDATION, {}),
    "training labels": (changed(TRAIN, y=True), VALIDATION, {}),
    "validation features": (TRAIN, changed(VALIDATION, x=1e-3), {}),
    "validation labels": (TRAIN, changed(VALIDATION, y=True), {}),
    "order": (TRAIN.take(np.arange(40)[::-1]), VALIDATION, {}),
    "seed": (TRAIN, VALIDATION, {"seed": 1}),
}


@pytest.mark.filterwarnings("ignore:stage .* fewer than a batch")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_is_refused_to_another_training(family, tmp_path):
    method, settings = FAMILIES[family]
    made = get(method, **settings)
    first = made.fit(TRAIN, VALIDATION, folder=tmp_path / "new" / "run")
    again = made.fit(changed(TRAIN), changed(VALIDATION), folder=str(tmp_path / "new" / "run"))
    assert np.array_equal(first.scores(TRAIN.X.values), again.scores(TRAIN.X.values))
    for train, validation, call in OTHER.values():
        with pytest.raises(ManyLabelError, match="a checkpoint of this recipe and data set"):
            made.fit(train, validation, folder=tmp_path / "new" / "run", **call)


def of_rows(X, Y=TRAIN.Y):
    return fingerprint("", None, Rows(X, Y))


def test_layouts_of_labels_do_not_count_and_their_values_do():
    soft = TRAIN.Y.dense() * 0.5
    assert of_rows(TRAIN.X.values) == of_rows(
        TRAIN.X.values.clone(), LabelMatrix.of(TRAIN.Y.dense()).sparse()
    )
    found = {
        of_rows(TRAIN.X.values),
        of_rows(TRAIN.X.values, LabelMatrix.of(soft)),
        of_rows(TRAIN.X.values, LabelMatrix.of(soft / 2)),
    }
    assert len(found) == 3


def test_every_kind_of_features_counts_as_a_whole():
    X = np.arange(6, dtype=np.float32).reshape(2, 3)
    moved = X.copy()
    moved[1, 2] = 0
    pictures = torch.zeros(2, 1, 2, 3, dtype=torch.uint8)
    Y = LabelMatrix.of(np.eye(2))
    given = [
        X,
        moved,
        X.astype("f8"),
        sp.csr_matrix(X),
        sp.csr_matrix(moved),
        sp.csr_matrix(X.reshape(2, 3) * 2),
    ]
    given += [
        ["a", "b"],
        ["ab", ""],
        ["a", "B"],
        ["a\ud800", "b"],
        pictures,
        pictures + 1,
        torch.ones(2, 3).bfloat16(),
    ]
    assert len({of_rows(x, Y) for x in given}) == len(given)


class Power(nn.Module):
    def __init__(self, power):
        super().__init__()
        self.power = power

    def forward(self, x):
        return x**self.power


class Square(nn.Module):
    def forward(self, x):
        return x * x


class Cube(nn.Module):
    def forward(self, x):
        return x * x * x


def network(*layers, seed=0, bias=True):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(10, 4, bias=bias), *layers)


def frozen(made):
    made[0].weight.requires_grad_(False)
    return made


NETWORKS = {
    "plain": lambda: network(),
    "other weights": lambda: network(seed=1),
    "no bias": lambda: network(bias=False),
    "frozen": lambda: frozen(network()),
    "tanh": lambda: network(nn.Tanh()),
    "relu": lambda: network(nn.ReLU()),
    "batch norm": lambda: network(nn.BatchNorm1d(4)),
    "slow batch norm": lambda: network(nn.BatchNorm1d(4, momentum=0.01)),
    "squares": lambda: network(Square()),
    "cubes": lambda: network(Cube()),
    "power 2": lambda: network(Power(2)),
    "power 3": lambda: network(Power(3)),
}


def test_networks_of_ones_own_differ_in_structure_weights_and_code():
    found = {name: fingerprint("", make(), TRAIN) for name, make in NETWORKS.items()}
    assert len(set(found.values())) == len(NETWORKS)
    assert found == {name: fingerprint("", make(), TRAIN) for name, make in NETWORKS.items()}
    assert fingerprint("", network().eval(), TRAIN) == found["plain"]


@pytest.mark.parametrize("method", ["bce", "kmcl", "mulsupcon"])
def test_a_folder_is_refused_to_another_network(method, tmp_path):
    settings = {"classify.stage.epochs": 1, "classify.stage.batch": 16}
    if method == "mulsupcon":
        settings |= {"pretrain.stage.epochs": 1, "pretrain.stage.batch": 16}
    get(method, encoder=network(), **settings).fit(TRAIN, VALIDATION, folder=tmp_path)
    get(method, encoder=network(), **settings).fit(TRAIN, VALIDATION, folder=tmp_path)
    for other in (network(seed=1), network(nn.Tanh()), None):
        with pytest.raises(ManyLabelError, match="but got one of another"):
            get(method, encoder=other, **settings).fit(TRAIN, VALIDATION, folder=tmp_path)


def test_versions_and_settings_count(monkeypatch):
    found = [fingerprint("a", None, TRAIN), fingerprint("b", None, TRAIN)]
    monkeypatch.setattr(module, "__version__", "99")
    found.append(fingerprint("a", None, TRAIN))
    assert len(set(found)) == 3
