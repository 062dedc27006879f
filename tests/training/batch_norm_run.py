"""Pictures through batch norms over the rows of all ranks, as a script: each rank keeps the weights of its scorers."""

import sys
from pathlib import Path

import torch

from manylabel import LabelMatrix
from manylabel.data import Rows
from manylabel.methods import get
from manylabel.training import joined

STAGE = {"epochs": 2, "batch": 8, "lr": 0.01, "optimiser": "sgd", "sync_batch_norm": True}
PLAIN = {"crop": 1.0, "jitter": 0.0}
CLASSIFY = {f"images.classify.stage.{k}": v for k, v in STAGE.items()} | {
    f"images.classify.views.{k}": v for k, v in PLAIN.items()
}
PRETRAIN = {f"images.pretrain.stage.{k}": v for k, v in STAGE.items()} | {
    f"images.pretrain.views.{k}": v for k, v in PLAIN.items()
}
SMALL = {"images.encoder.widths": [4, 8]}
RUNS = {
    "bce": SMALL | CLASSIFY,
    "mulsupcon_weighted": SMALL
    | CLASSIFY
    | PRETRAIN
    | {"images.pretrain.queue": 16, "images.pretrain.dim": 8, "images.pretrain.head": "plain"},
}


def pictures(n, seed):
    generator = torch.Generator().manual_seed(seed)
    X = torch.randint(0, 256, (n, 3, 16, 16), dtype=torch.uint8, generator=generator)
    return Rows(X, LabelMatrix.of(torch.rand(n, 3, generator=generator) < 0.4))


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    with joined() as ranks:
        for name, settings in RUNS.items():
            scorer = get(name, **settings).fit(pictures(32, 0), pictures(16, 1))
            scorer.save(folder / f"{name}-{ranks.rank}")
