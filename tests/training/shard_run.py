"""Methods whose encoder is a small transformer in parts, trained without randomness, as a script."""

import shutil
import sys
from pathlib import Path
from unittest import mock

import torch
from tests.training.ranks_run import entries
from tests.training.small_run import rows
from tests.training.stops import killed_after
from torch import nn

from manylabel.errors import ManyLabelError
from manylabel.methods import get
from manylabel.methods.rows import DeviceRows
from manylabel.training import joined

STAGE = {"epochs": 3, "batch": 20, "lr": 0.02, "optimiser": "sgd", "clip": 0.5, "ema": 0.9, "shard": True}
STAGE |= {"select": "map", "monitor_every": 1}
PRETRAIN = {name: value for name, value in STAGE.items() if name != "select"} | {"ema": None}
CLASSIFY = {f"classify.stage.{name}": value for name, value in STAGE.items()} | {"classify.views.mask": 0.0}
RUNS = {
    "bce": CLASSIFY,
    "reg": CLASSIFY
    | {"classify.encoder_rate": 0.1}
    | {f"pretrain.stage.{name}": value for name, value in PRETRAIN.items()}
    | {"pretrain.views.mask": 0.0, "pretrain.head": "plain", "pretrain.dim": 8},
}
ENTRIES = {"vectors.inputs.scaling": "one", "vectors.encoder.widths": [15, 7], "vectors.encoder.dropout": 0.0}
REFUSED = {
    "momentum": ("mulsupcon", {"pretrain.stage.shard": True, "pretrain.candidates": "momentum"}),
    "joint": ("joint_reg", {"classify.stage.shard": True}),
    "mixture": ("kmcl", {"classify.stage.shard": True}),
    "frozen": ("bce", {"classify.stage.shard": True, "classify.encoder_rate": 0}),
    "network": ("lamp", {"classify.stage.shard": True}),
    "compile": ("bce", {"classify.stage.shard": True, "classify.stage.compile": True}),
    "float16": ("bce", {"classify.stage.shard": True, "classify.stage.precision": "float16"}),
}


class Transformer(nn.Module):
    """(B, 10) -> (B, 15): two tokens of five features; some sizes do not divide by the number of ranks."""

    def __init__(self):
        super().__init__()
        self.token = nn.Linear(5, 20)
        # without a bias of the keys, whose gradient is rounding alone
        sizes = {"dropout": 0.0, "batch_first": True, "bias": False}
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(20, 4, 33, **sizes) for _ in range(2))
        self.scale = nn.Parameter(torch.ones(1))  # in whole on the first rank
        self.last = nn.Linear(20, 15)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        h = self.token(x.reshape(len(x), 2, 5))
        for layer in self.layers:
            h = layer(h)
        if self.training:
            self.seen += 1
        return self.scale * self.last(h).mean(1)


def fit(name, folder, settings):
    torch.manual_seed(0)
    return get(name, encoder=Transformer(), **settings).fit(rows(101, 0), rows(40, 1), folder=folder)


def main(folder):
    torch.set_num_threads(1)
    folder.mkdir(exist_ok=True)
    with joined() as ranks:
        for name, settings in RUNS.items():
            fit(name, folder / f"run-{name}", settings).save(folder / f"{name}-{ranks.rank}")
        with mock.patch.object(DeviceRows, "dense_bytes", 0):
            scorer = get("bce", **CLASSIFY, **ENTRIES).fit(entries(101, 0), entries(40, 1))
        scorer.save(folder / f"entries-{ranks.rank}")
        for name, shard in (("parts", True), ("whole", False)):
            adam = CLASSIFY | {"classify.stage.optimiser": "adamw", "classify.stage.shard": shard}
            fit("bce", folder / f"run-{name}", adam).save(folder / f"{name}-{ranks.rank}")
            with killed_after(8):  # of 18 steps
                fit("bce", folder / f"killed-{name}", adam)
            ranks.agree(True)  # the first rank has written the checkpoint by now
            if ranks.first:
                written = folder / f"killed-{name}" / "checkpoint.safetensors"
                shutil.copy(written, folder / f"{name}.safetensors")
            ranks.agree(True)
            fit("bce", folder / f"killed-{name}", adam).save(folder / f"{name}-resumed-{ranks.rank}")
        for name, (method, settings) in REFUSED.items() if ranks.world > 1 else ():
            try:
                get(method, **settings).fit(rows(101, 0), rows(40, 1))
            except ManyLabelError as error:
                (folder / f"refused-{name}-{ranks.rank}.txt").write_text(str(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
