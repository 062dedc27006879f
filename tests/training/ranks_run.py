"""Methods whose loss compares rows, trained without randomness, as a script: each rank keeps its scorers' weights."""

import sys
from pathlib import Path

import torch
from tests.training.small_run import rows

from manylabel.methods import get
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
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    with joined() as ranks:
        for name, settings in RUNS.items():
            scorer = get(name, **settings).fit(rows(101, 0), rows(40, 1))
            scorer.save(folder / f"{name}-{ranks.rank}")
