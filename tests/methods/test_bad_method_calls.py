"""Calls of the methods that cannot be meant are refused by name, with what to do, and lose nothing."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.training.small_run import SETTINGS, rows
from torch import nn

from manylabel import LabelMatrix, ManyLabelError
from manylabel.data import Rows
from manylabel.methods import Predictor, get

NAN, INF = float("nan"), float("inf")
SHORT = {"classify.stage.epochs": 1, "classify.stage.batch": 16, "vectors.encoder.widths": [4]}
TRAIN, VALIDATION = rows(40, 0), rows(20, 1)
X, Y = TRAIN.X.values, TRAIN.Y
NO_LABELS = Rows(X, LabelMatrix.of(torch.zeros(40, 0)))
PICTURES = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8)


def fit(name="bce", train=TRAIN, validation=VALIDATION, encoder=None, settings=SHORT, **call):
    return get(name, encoder=encoder, **settings).fit(train, validation, **call)


def both(features):
    return {"train": Rows(features, Y), "validation": Rows(features, Y)}


def scorer():
    return fit()


class Unlike(nn.Module):
    """A network that returns something else than (B, H)."""

    def __init__(self, returns):
        super().__init__()
        self.layer, self.returns = nn.Linear(10, 4), returns

    def forward(self, x):
        return self.returns(self.layer(x))


def sparse(indices=None, indptr=None, data=None):
    """A CSR matrix of the size of ``X``, some of its arrays replaced behind SciPy's back."""
    matrix = sp.csr_matrix(np.ones((40, 10), np.float32))
    for name, values in (("indices", indices), ("indptr", indptr), ("data", data)):
        if values is not None:
            getattr(matrix, name)[: len(values)] = values
    return matrix


def coo(row):
    matrix = sp.coo_matrix(np.ones((40, 10), np.float32))
    matrix.coords[0][:1] = row
    return matrix


class Fails:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no numbers today")


FEATURES = {
    "one axis": X[:, 0],
    "three axes": X[:, None],
    "five axes": X[None, None, None],
    "no axis": torch.tensor(1.0),
    "None": None,
    "a number": 5,
    "a text": "rows",
    "a dict": {"X": X},
    "no columns": X[:, :0],
    "fewer rows": X[:30],
    "more rows": torch.cat([X, X]),
    "rows of unlike lengths": [[1.0, 2.0]] * 39 + [[1.0]],
    "numbers and texts": ["a"] * 39 + [5],
    "words in columns": [["a", "b"]] * 40,
    "NaN": torch.where(X > 2, NAN, X),
    "infinity": X * INF,
    "beyond float32": X.double() * 1e300,
    "NaN in half precision": (X * NAN).half(),
    "complex": X.to(torch.complex64),
    "objects": np.array([[object()] * 10] * 40, dtype=object),
    "dates": np.full((40, 10), "2020-01-01", dtype="datetime64[D]"),
    "a mask that hides": np.ma.masked_greater(X.numpy(), 1.0),
    "without data": X.to("meta"),
    "a sparse tensor of three axes": torch.ones(40, 2, 5).to_sparse(),
    "an array that fails": Fails(),
    "CSR, column too large": sparse(indices=[10**7]),
    "CSR, column just past the end": sparse(indices=[10]),
    "CSR, negative column": sparse(indices=[-1]),
    "CSR, offsets that fall": sparse(indptr=[0, 30, 20]),
    "CSR, offsets that start late": sparse(indptr=[5]),
    "CSR, offsets past the end": sparse(indptr=[10**6] * 41),
    "CSC, row too large": (lambda m: (m.indices.__setitem__(0, 40), m)[1])(sp.csc_matrix(np.ones((40, 10)))),
    "BSR, column too large": (lambda m: (m.indices.__setitem__(0, 99), m)[1])(
        sp.bsr_matrix(np.ones((40, 10)))
    ),
    "COO, row too large": coo(40),
    "COO, negative row": coo(-1),
    "sparse NaN": sparse(data=[NAN]),
    "sparse complex": sp.csr_matrix(np.ones((40, 10)) * 1j),
}

ROWS = {
    "labels as a tensor": lambda: Rows(X, Y.dense()),
    "labels as an array": lambda: Rows(X, Y.dense().numpy()),
    "labels as tuples": lambda: Rows(X, [(0, 1)] * 40),
    "labels as names": lambda: Rows(X, ["sea"] * 40),
    "no labels": lambda: Rows(X, None),
    "take a row that is not there": lambda: TRAIN.take([40]),
    "take a row before the first": lambda: TRAIN.take([-41]),
    "take a mask of another length": lambda: TRAIN.take(np.ones(39, bool)),
    "take parts of rows": lambda: TRAIN.take([0.5]),
    "take by name": lambda: TRAIN.take(["a"]),
    "take rows of rows": lambda: TRAIN.take([[0], [1]]),
}

CALLS = {
    "training rows as a pair": lambda: fit(train=(X, Y)),
    "training rows as features": lambda: fit(train=X),
    "validation rows None": lambda: fit(validation=None),
    "no training rows": lambda: fit(train=rows(0, 0)),
    "no validation rows": lambda: fit(validation=rows(0, 0)),
    "no training rows for a scikit-learn baseline": lambda: fit(
        "logistic_regression", train=rows(0, 0), settings={}
    ),
    "no labels": lambda: fit(train=NO_LABELS, validation=NO_LABELS),
    "validation of other features": lambda: fit(validation=Rows(X[:, :9], Y)),
    "validation of other labels": lambda: fit(validation=Rows(X, LabelMatrix.of(torch.ones(40, 5)))),
    "validation of texts": lambda: fit(validation=Rows(["a"] * 40, Y)),
    "texts without a word": lambda: fit(**both(["a"] * 40)),
    "pictures from 0 to 1": lambda: fit(**both(PICTURES / 255)),
    "pictures beyond a byte": lambda: fit(**both(PICTURES * 2.0)),
    "images for a method of vectors": lambda: fit("mpvae", **both(PICTURES), settings={}),
    "seed -1": lambda: fit(seed=-1),
    "seed 2**63": lambda: fit(seed=2**63),
    "seed 2**70": lambda: fit(seed=2**70),
    "seed 0.5": lambda: fit(seed=0.5),
    "seed None": lambda: fit(seed=None),
    "seed True": lambda: fit(seed=True),
    "seed as text": lambda: fit(seed="0"),
    "seed -1 of a scikit-learn baseline": lambda: fit("logistic_regression", settings={}, seed=-1),
    "seed of an ensemble": lambda: fit(settings=SHORT | {"members": 2}, seed=2**40),
    "widths of 400 TB": lambda: fit(settings=SHORT | {"vectors.encoder.widths": [10**7, 10**7]}),
    "widths beyond any machine": lambda: fit(settings=SHORT | {"vectors.encoder.widths": [2**62, 2**62]}),
    "a network of 400 TB": lambda: fit("mpvae", settings={"network.widths": [10**7, 10**7]}),
    "a queue of 400 TB": lambda: fit(
        "mulsupcon", settings=SETTINGS | {"pretrain.candidates": "momentum", "pretrain.queue": 10**14}
    ),
    "a classifier of 400 TB": lambda: fit(
        "rbcc", settings={"network.hidden": 10**7, "errors.stage.epochs": 1, "errors.stage.batch": 8}
    ),
    "an encoder that is a function": lambda: fit(encoder=lambda x: x),
    "an encoder that is a class": lambda: fit(encoder=nn.Linear),
    "an encoder that is a text": lambda: fit(encoder="mlp"),
    "an encoder without weights yet": lambda: fit(encoder=nn.LazyLinear(3)),
    "an encoder for other rows": lambda: fit(encoder=nn.Linear(99, 3)),
    "an encoder in double precision": lambda: fit(encoder=nn.Linear(10, 3).double()),
    "an encoder of three axes": lambda: fit(encoder=Unlike(lambda x: x[None])),
    "an encoder of no numbers": lambda: fit(encoder=Unlike(lambda x: x[:, :0])),
    "an encoder of pairs": lambda: fit(encoder=Unlike(lambda x: (x, x))),
    "an encoder of None": lambda: fit(encoder=Unlike(lambda x: None)),
    "an encoder of integers": lambda: fit(encoder=Unlike(lambda x: x.long())),
    "an encoder that fails": lambda: fit(encoder=Unlike(lambda x: 1 / 0)),
    "an encoder for KMCL": lambda: fit("kmcl", encoder=nn.Linear(99, 3)),
    "an encoder for a contrast": lambda: fit(
        "mulsupcon", encoder=nn.Linear(99, 3), settings={"classify.stage.batch": 8, "pretrain.stage.batch": 8}
    ),
    "an encoder of a scikit-learn baseline": lambda: get("logistic_regression", encoder=nn.Linear(10, 3)),
    "an encoder of a method of vectors": lambda: get("mpvae", encoder=nn.Linear(10, 3)),
    "folder is a number": lambda: fit(folder=5),
    "folder without a name": lambda: fit(folder=""),
    "folder with a NUL": lambda: fit(folder="a\0b"),
    "folder of bytes": lambda: fit(folder=b"here"),
    "folder is a file": lambda: fit(folder=Path(__file__)),
    "folder within a file": lambda: fit(folder=Path(__file__) / "inner"),
    "folder of an ensemble is a file": lambda: fit(settings=SHORT | {"members": 2}, folder=Path(__file__)),
    "folder of a scikit-learn baseline is a file": lambda: fit(
        "logistic_regression", settings={}, folder=Path(__file__)
    ),
    "save to a number": lambda: scorer().save(5),
    "save within a file": lambda: scorer().save(Path(__file__) / "model"),
    "save to a file": lambda: scorer().save(Path(__file__)),
    "save to a folder of other files": lambda: scorer().save(Path(__file__).parent),
    "save a scikit-learn baseline within a file": lambda: fit("logistic_regression", settings={}).save(
        Path(__file__) / "model"
    ),
    "load no path": lambda: Predictor.load(None),
    "load no folder": lambda: Predictor.load("nothing"),
    "load no file": lambda: Predictor.load("nothing.safetensors"),
    "load no scikit-learn baseline": lambda: Predictor.load("nothing.joblib"),
    "load a file": lambda: Predictor.load(Path(__file__)),
    "load with a function": lambda: Predictor.load("nothing", encoder=lambda x: x),
    "load a folder of other files": lambda: Predictor.load(Path(__file__).parent),
    "label names as a text": lambda: fit(label_names="abcd"),
    "label names that are numbers": lambda: fit(label_names=range(4)),
    "too few label names": lambda: fit(label_names=["a", "b", "c"]),
    "equal label names": lambda: fit(label_names=["a", "b", "c", "a"]),
}

SCORED = {
    "other features": X[:, :9],
    "one axis": X[:, 0],
    "texts": ["a", "b"],
    "no texts": [],
    "pictures": PICTURES,
    "NaN": X * NAN,
    "infinity": X * INF,
    "None": None,
    "a sparse matrix of other features": sp.csr_matrix(np.ones((3, 11))),
    "a sparse matrix out of range": sparse(indices=[10]),
    "masked": np.ma.masked_greater(X.numpy(), 1.0),
}

SETTINGS_WITHOUT_MEANING = {
    "clip -1": ("bce", {"classify.stage.clip": -1.0}),
    "clip inf": ("bce", {"classify.stage.clip": INF}),
    "lr NaN": ("bce", {"classify.stage.lr": NAN}),
    "lr inf": ("bce", {"classify.stage.lr": INF}),
    "l2_per_row inf": ("bce", {"classify.stage.l2_per_row": INF}),
    "epochs 0": ("bce", {"classify.stage.epochs": 0}),
    "epochs 1.5": ("bce", {"classify.stage.epochs": 1.5}),
    "batch 0": ("bce", {"classify.stage.batch": 0}),
    "members 0": ("bce", {"members": 0}),
    "temperature inf": ("mulsupcon", {"pretrain.temperature": INF}),
    "temperature NaN": ("mulsupcon", {"pretrain.temperature": NAN}),
    "momentum NaN": ("mulsupcon", {"pretrain.momentum": NAN}),
    "queue -1": ("mulsupcon", {"pretrain.queue": -1}),
    "mixture temperature inf": ("kmcl", {"mixture.temperature": INF}),
    "neighbours' temperature inf": ("bce", {"neighbours.temperature": INF}),
    "jitter inf": ("bce", {"images.classify.views.jitter": INF}),
    "widths none": ("bce", {"vectors.encoder.widths": []}),
    "widths 0": ("bce", {"vectors.encoder.widths": [0]}),
    "network weight inf": ("mpvae", {"network.ranking_weight": INF}),
    "the name of a loss": ("bce", {"classify.loss.name": "asl"}),
    "the group of a loss": ("kmcl", {"classify.loss.group": "all"}),
    "the similarity of a loss": ("kmcl", {"classify.loss.similarity": "bc"}),
    "the temperature of a loss": ("mulsupcon", {"pretrain.loss.temperature": 0.1}),
    "a parameter of an estimator that is a table": ("extra_trees", {"parameters.n_estimators": {"a": 1}}),
}

NAMES = [
    *(
        5,
        None,
        b"bce",
        ["bce"],
        "",
        ".",
        "..",
        "./.",
        ".toml",
        "..toml",
        "a\0b.toml",
        "a\nb.toml",
        "\x1b[31mbce",
    ),
    *(
        ".foo.bar",
        "foo..bar",
        "os.",
        "os.path",
        "json.loads",
        "no_such_module.Classifier",
        "a b.C",
        "bces",
        "MULSUPCON",
    ),
    *(
        "sklearn.nothing",
        "sklearn.linear_model.Nothing",
        "sklearn.linear_model.LinearRegression",
        "numpy.ndarray",
    ),
]


def refusal(call):
    with pytest.raises(ManyLabelError) as caught:
        call()
    error = caught.value
    assert error.who
    assert error.expected
    assert error.got
    return str(error)


@pytest.mark.parametrize("name", FEATURES)
def test_features_that_cannot_be_trained_on(name):
    assert refusal(lambda: Rows(FEATURES[name], Y)).startswith("Rows")


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_do_not_fit(name):
    refusal(ROWS[name])


@pytest.mark.parametrize("name", CALLS)
def test_calls_that_cannot_be_meant(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refusal(CALLS[name])
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


@pytest.mark.parametrize("name", SCORED)
@pytest.mark.parametrize("method", ["bce", "logistic_regression"])
def test_rows_that_cannot_be_scored(name, method):
    trained = fit(method, settings=SHORT if method == "bce" else {})
    refusal(lambda: trained.scores(SCORED[name]))
    refusal(lambda: trained.embed(SCORED[name]))


@pytest.mark.parametrize("name", SETTINGS_WITHOUT_MEANING)
def test_settings_without_meaning(name):
    method, settings = SETTINGS_WITHOUT_MEANING[name]
    refusal(lambda: get(method, **settings))


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_names_that_are_no_methods(name):
    refusal(lambda: get(name))


def test_a_module_that_raises_or_exits_when_it_is_imported(tmp_path, monkeypatch):
    (tmp_path / "exits_on_import.py").write_text("raise SystemExit(7)\n")
    (tmp_path / "fails_on_import.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("exits_on_import", "fails_on_import"):
        assert "an import path of a class" in refusal(lambda module=module: get(f"{module}.Classifier"))
