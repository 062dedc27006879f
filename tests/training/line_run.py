"""Train a linear layer without randomness, as a script: each rank writes its weights into the given folder."""

import sys
from pathlib import Path

import torch
from torch import nn

from manylabel.models import FlatParameters
from manylabel.training import Group, Ranks, Run, Stage, Task, checkpoint, joined


class Linear(Task):
    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.X, self.y = torch.randn(41, 6, generator=generator), torch.randn(41, 1, generator=generator)
        self.module = nn.Linear(6, 1, bias=False)
        nn.init.ones_(self.module.weight)
        self.groups, self.n_rows = [Group(FlatParameters(self.module.parameters()))], 41

    def loss(self, rows):
        return Ranks.current().weigh((self.module(self.X[rows]) - self.y[rows]).square().mean(), len(rows))

    def monitor(self):
        return {}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    with joined() as ranks:
        task = Linear()
        Run(("train",), seed=0).train("train", task, Stage(epochs=5, batch=10, lr=0.05, clip=0.5))
        checkpoint.save(folder / f"line-{ranks.rank}.safetensors", task.module.state_dict(), {})
