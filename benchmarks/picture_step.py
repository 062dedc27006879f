"""CPU time of a MulSupCon pretraining step on pictures, in units of forward and backward of one view.

Run with ``python -m benchmarks.picture_step``. The library's own loop trains a ResNet-18 on pictures of 64 x 64 pixels:
batch 64, two views of SimCLR's kind, a momentum encoder and a queue of 1024 keys, on one thread. The unit is forward
and backward of the bare network on one view; both are timed in turn, and so are the parts of a step. The pictures are
random numbers, since values do not change the cost. The goal: a step takes at most 2.6 units, and the loss below 3 % of
it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from manylabel import LabelMatrix
from manylabel.data import Rows
from manylabel.methods.contrastive import Pretraining, PretrainSettings
from manylabel.methods.contrastive_term import MomentumTerm
from manylabel.methods.recipe import ViewSettings
from manylabel.methods.rows import DeviceRows
from manylabel.models import fit_preprocessor, picture_encoder
from manylabel.training import Loop, Ranks, Stage

ROWS, LABELS, QUEUE = 512, 20, 1024
VIEWS = ViewSettings(crop=0.08, flip=True, jitter=0.4, greyscale=0.2)


def pretraining(encoder: str, pixels: int, batch: int) -> Pretraining:
    """The task that the library trains."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randint(0, 256, (ROWS, 3, pixels, pixels), dtype=torch.uint8, generator=generator)
    Y = LabelMatrix.of((torch.rand(ROWS, LABELS, generator=generator) < 0.15).to(torch.uint8))
    inputs = fit_preprocessor(X)
    rows = DeviceRows.of(Rows(X, Y), inputs)
    stage = Stage(epochs=10_000, batch=batch, drop_last=True, optimiser="sgd", lr=1e-3, monitor_every=10_000)
    settings = PretrainSettings(stage=stage, views=VIEWS, temperature=0.1, queue=QUEUE)
    return Pretraining("mulsupcon", inputs, picture_encoder(encoder), rows, rows, settings)


def parts(task: Pretraining, batch: int) -> dict[str, Callable[[], object]]:
    """A step of the loop, the unit, and what a step consists of, each by itself."""
    steps = Loop("pretrain", task, task.settings.stage, 0, Ranks()).run()
    rows, term = torch.arange(batch), task.term
    assert isinstance(term, MomentumTerm)
    X, Y = task.train.X[rows], task.train.Y.take(rows)
    view = task.inputs.finished(X)
    z = F.normalize(torch.randn(batch, term.queue.keys.shape[1])).requires_grad_()
    keys = F.normalize(torch.randn(batch, z.shape[1]))

    def loss() -> None:
        term._compare(z, Y, None, *term.queue.candidates(keys, term.queue.storable(Y))).backward()

    return {
        "step": lambda: next(steps),
        "unit": lambda: task.encoder(view).square().mean().backward(),
        "two views": lambda: term.views(X, task.view),
        "keys": lambda: term.key(view),
        "loss": loss,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    task = pretraining(options.encoder, options.pixels, options.batch)
    task.module.train()
    timed = parts(task, options.batch)
    for run in timed.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(options.repeats):  # in turn, so that a busy machine disturbs all alike
        for name, run in timed.items():
            began = time.process_time()
            run()
            seconds[name].append(time.process_time() - began)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in median.items():
        print(f"{name:<10} {1000 * value:8.1f} ms of CPU   {value / median['unit']:.3f} units")
    print(f"step / unit   {median['step'] / median['unit']:.2f}   (goal: at most 2.6)")
    print(f"loss / step   {median['loss'] / median['step']:.4f}   (goal: below 0.03)")


if __name__ == "__main__":
    main()
