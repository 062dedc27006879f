"""Methods whose loss compares rows, trained without randomness, as a script: each rank keeps its scorers' weights."""

import sys
from pathlib import Path

import scipy.sparse as sp
import torch
from tests.training.small_run import rows

from manylabel.data import Rows
from manylabel.methods import get
from manylabel.methods.rows import DeviceRows
from manylabel.training import joined

STAGE = {
    "classify.stage.epochs": 2,
    "classify.stage.batch": 20,
    "classify.views.mask": 0.0,
    "classify.stage.lr": 0.01,
    "classify.stage.optimiser": "sgd",
}
PLAIN = STAGE | {"vectors.encoder.widths": [16, 8], "vectors.encoder.dropout": 0.0}
PRETRAIN = {
    "pretrain.stage.epochs": 2,
    "pretrain.stage.batch": 20,
    "pretrain.stage.lr": 0.01,
    "pretrain.stage.optimiser": "sgd",
    "pretrain.views.mask": 0.0,
    "pretrain.head": "plain",
    "pretrain.dim": 8,
}
MOMENTUM = {"pretrain.candidates": "momentum", "pretrain.queue": 33}  # no multiple of a batch
RUNS = {
    "bce": PLAIN,
    "asl": PLAIN | {"classify.loss.reduction": "sum", "classify.stage.lr": 1e-4},
    "twoway": PLAIN,
    "mulsupcon": PLAIN | PRETRAIN | MOMENTUM,
    "mulsupcon_weighted": PLAIN | PRETRAIN | MOMENTUM,
    "kmcl": PLAIN,
    "reg": PLAIN | PRETRAIN,
    "base": PLAIN | PRETRAIN,
    "msc": PLAIN | PRETRAIN | MOMENTUM,
    "joint_reg": PLAIN | {"contrast.head": "plain", "contrast.dim": 8},
    "all": PLAIN | PRETRAIN | MOMENTUM | {"contrast.head": "plain", "contrast.dim": 8, "contrast.queue": 33},
    "mulsupcon-of-entries": PLAIN | PRETRAIN | MOMENTUM | {"vectors.inputs.scaling": "one"},
}


def entries(n, seed):
    """Sparse rows, of which batches are lists of entries while ``DeviceRows.dense_bytes`` is 0."""
    made = rows(n, seed)
    return Rows(sp.csr_matrix(made.X.values * (made.X.values > 0)), made.Y)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    with joined() as ranks:
        for name, settings in RUNS.items():
            method, _, of_entries = name.partition("-")
            DeviceRows.dense_bytes, made = (0, entries) if of_entries else (2**28, rows)
            scorer = get(method, **settings).fit(made(101, 0), made(40, 1))
            scorer.save(folder / f"{name}-{ranks.rank}")
