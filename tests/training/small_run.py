"""A two-stage run on made rows, as a script: its arguments are a folder, and how often to write a checkpoint."""

import sys
from pathlib import Path

import torch

from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import get
from manylabel.training import joined

SETTINGS = {
    "vectors.encoder.widths": [16, 8],
    "pretrain.stage.epochs": 6,
    "pretrain.stage.batch": 16,
    "pretrain.stage.monitor_every": 2,
    "pretrain.queue": 40,
    "pretrain.dim": 8,
    "classify.stage.epochs": 8,
    "classify.stage.batch": 16,
    "classify.stage.ema": 0.9,
    "classify.stage.clip": 1.0,
    "classify.stage.select": "macro_f1",
}


def rows(n, seed):
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n, 10, generator=generator)
    Y = (X @ torch.randn(10, 4, generator=torch.Generator().manual_seed(9)) > 0.5).to(torch.uint8)
    return Rows(X, as_labels(Y))


def fit(folder=None, method="mulsupcon", progress=None, seed=3, **overrides):
    settings = {k: v for k, v in SETTINGS.items() if method != "bce" or "pretrain" not in k}
    if method == "mulsupcon":  # with a key network and a queue, which a checkpoint has to hold too
        settings["pretrain.candidates"] = "momentum"
    made = get(method, **(settings | overrides))
    return made.fit(rows(100, 0), rows(40, 1), seed=seed, folder=folder, progress=progress)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with joined() as ranks:
        fit(folder).save(folder / f"model-{ranks.rank}")
