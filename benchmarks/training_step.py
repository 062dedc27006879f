"""CPU time of a MulSupCon pretraining step: resident tensors against a DataLoader that prepares row by row.

Run with ``python -m benchmarks.training_step``. Both loops train the network of the paper's vector data (103 features,
256-512-256, head 256-256) at batch 64 with a queue of 256 keys, on one thread; the data are random numbers of the shape
of yeast (1500 x 103, 14 labels), since values do not change the cost. The time of the matrix products of a step, run
bare, is the floor.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from manylabel import LabelMatrix
from manylabel.methods.contrastive import Pretraining, PretrainSettings
from manylabel.methods.recipe import ViewSettings
from manylabel.methods.rows import DeviceRows
from manylabel.models import MLP, fit_preprocessor
from manylabel.training import Loop, Ranks, Stage

ROWS, FEATURES, LABELS, BATCH, QUEUE, TAU = 1500, 103, 14, 64, 256, 0.1
STEPS, REPEATS = 60, 5


def made_rows() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(ROWS, FEATURES, generator=generator)
    return X, (torch.rand(ROWS, LABELS, generator=generator) < 0.3).to(torch.uint8)


def resident_loop(X: Tensor, Y: Tensor) -> Callable[[int], None]:
    """The library's own loop, a call of which runs some steps."""
    inputs = fit_preprocessor(X)
    rows = DeviceRows(inputs(X), LabelMatrix.of(Y))
    stage = Stage(epochs=10_000, batch=BATCH, monitor_every=10_000)
    settings = PretrainSettings(stage=stage, views=ViewSettings(mask=0.5), temperature=TAU, queue=QUEUE)
    task = Pretraining("mulsupcon", inputs, MLP(FEATURES), rows, rows, settings)
    task.module.train()
    steps = Loop("pretrain", task, stage, 0, Ranks()).run()

    def run(n: int) -> None:
        for _ in range(n):
            next(steps)

    return run


class ScaleAndMask:
    """One row to one view: standardise, then set half of the features to 0."""

    def __init__(self, X: np.ndarray) -> None:
        self.scaler = StandardScaler().fit(X)

    def __call__(self, row: np.ndarray) -> Tensor:
        x = torch.from_numpy(self.scaler.transform(row[None])[0]).float()
        return x * (torch.rand(len(x)) > 0.5)


class TwoViews(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Two views of one row at a time, each made when asked for."""

    def __init__(self, X: Tensor, Y: Tensor) -> None:
        self.X, self.Y, self.view = X.numpy(), Y.float(), ScaleAndMask(X.numpy())

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, Tensor]:
        return self.view(self.X[i]), self.view(self.X[i]), self.Y[i]


def vector_network() -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((FEATURES, 256), (256, 512), (512, 256)):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(0.2)]
    head = [nn.Linear(256, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, 256)]
    return nn.Sequential(*layers, *head)


def textbook_mulsupcon(z: Tensor, Y: Tensor, keys: Tensor, Y_keys: Tensor) -> Tensor:
    """One row per (anchor, label): a log-softmax over the candidates, the mean over those that carry the label."""
    anchors, labels = Y.nonzero(as_tuple=True)
    log_p = torch.log_softmax(z[anchors] @ keys.T / TAU, 1)
    positive = Y_keys.T[labels]
    return -((log_p * positive).sum(1) / positive.sum(1)).mean()


def loader_loop(X: Tensor, Y: Tensor) -> Callable[[int], None]:
    """The loop one would write first, a call of which runs some steps."""
    query = vector_network()
    key = copy.deepcopy(query).requires_grad_(False)
    optimiser = torch.optim.Adam(query.parameters(), lr=4e-4)
    queue = F.normalize(torch.randn(QUEUE, 256)), torch.zeros(QUEUE, LABELS)
    loader = DataLoader(TwoViews(X, Y), BATCH, shuffle=True, drop_last=True)

    def step(first: Tensor, second: Tensor, labels: Tensor, position: int) -> None:
        with torch.no_grad():
            for p, q in zip(key.parameters(), query.parameters(), strict=True):
                p.data = 0.999 * p.data + 0.001 * q.data
            k = F.normalize(key(second))
        candidates = torch.cat([k, queue[0].clone()]), torch.cat([labels, queue[1].clone()])
        queue[0][position : position + BATCH], queue[1][position : position + BATCH] = k, labels
        loss = textbook_mulsupcon(F.normalize(query(first)), labels, *candidates)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def run(n: int) -> None:
        done = 0
        while done < n:
            for batch in loader:
                step(*batch, position=done * BATCH % QUEUE)
                done += 1
                if done == n:
                    return

    return run


def matrix_products() -> Callable[[int], None]:
    """The matrix products of a step and nothing else: two forward passes, one backward pass, the loss."""
    shapes = [(FEATURES, 256), (256, 512), (512, 256), (256, 256), (256, 256)]
    layers = [(torch.randn(BATCH, i), torch.randn(i, o), torch.randn(BATCH, o)) for i, o in shapes]
    z, k, p = torch.randn(BATCH, 256), torch.randn(BATCH + QUEUE, 256), torch.randn(BATCH, BATCH + QUEUE)

    def run(n: int) -> None:
        for _ in range(n):
            for x, W, g in layers:
                x @ W, x @ W, x.T @ g, g @ W.T
            z @ k.T, p @ k

    return run


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    X, Y = made_rows()
    loops = {
        "resident": resident_loop(X, Y),
        "loader": loader_loop(X, Y),
        "matrix products": matrix_products(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for run in loops.values():
        run(10)
    for _ in range(REPEATS):  # in turn, so that a busy machine disturbs all alike
        for name, run in loops.items():
            began = time.process_time()
            run(STEPS)
            seconds[name].append((time.process_time() - began) / STEPS)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in median.items():
        print(f"{name:<16} {1000 * value:6.2f} ms of CPU a step")
    print(f"resident / loader           1/{median['loader'] / median['resident']:.1f}   (goal: at most 1/5)")
    print(f"resident / matrix products  {median['resident'] / median['matrix products']:.2f}")


if __name__ == "__main__":
    main()
