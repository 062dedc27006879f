"""Frozen encoders of pictures beside methods on their numbers, on the test part of a set.

Run with ``python -m benchmarks.picture_encoders --data FOLDER``; FOLDER holds ``miml_scenes/data.npz``. Pictures go
through the frozen encoder once, and each method learns from its numbers as from any vectors: on four fifths of the
training rows, with the rest held out for thresholds. Test rows choose nothing.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from manylabel import LabelMatrix, metrics
from manylabel.data import Rows
from manylabel.methods import get
from manylabel.models import picture_encoder
from manylabel.models.inputs import Standard, fit_preprocessor


@torch.no_grad()
def represented(X: Tensor, name: str, weights: str, pixels: int) -> Tensor:
    """What a frozen encoder makes of pictures (n, 3, height, width), (n, out_features)."""
    encoder = picture_encoder(name, weights).eval()
    assert encoder.mean is not None
    assert encoder.std is not None
    inputs = fit_preprocessor(X, pixels=pixels, standard=Standard(pixels, encoder.mean, encoder.std))
    return torch.cat([encoder(inputs(inputs.dense(part))) for part in torch.split(X, 64)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", default="efficientnet_lite0")
    parser.add_argument("--weights", default="package")
    parser.add_argument("--pixels", type=int, default=128)
    parser.add_argument("--methods", default="logistic_regression_cv,bce,mulsupcon,best")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    stored = np.load(options.data / "miml_scenes" / "data.npz", allow_pickle=False)
    began, parts = time.process_time(), {}
    for part in ("train", "test"):
        X = torch.from_numpy(stored[f"X_{part}"]).permute(0, 3, 1, 2).contiguous()
        Y = LabelMatrix.of(torch.from_numpy(stored[f"y_{part}"]))
        parts[part] = Rows(represented(X, options.encoder, options.weights, options.pixels), Y)
    print(
        f"{options.encoder} at {options.pixels} pixels: {time.process_time() - began:.0f} s of CPU",
        flush=True,
    )
    for name in options.methods.split(","):
        for seed in range(options.seeds):
            report(name, seed, parts["train"], parts["test"])


def report(name: str, seed: int, train: Rows, test: Rows) -> None:
    """Train one method, and print its scores on the test part."""
    order = np.random.default_rng(seed).permutation(len(train))
    n = len(train) * 4 // 5
    began = time.process_time()
    model = get(name).fit(train.take(order[:n]), train.take(order[n:]), seed=seed)
    seconds = time.process_time() - began
    found = metrics.evaluate(model.scores(test.X), test.Y, "fixed").values
    decided = metrics.evaluate(model.predict(test.X).astype(np.float32), test.Y, "fixed").values["macro_f1"]
    scores = f"map {found['map']:.3f}  macro_f1 {decided:.3f}"
    print(f"{name:<24} seed {seed}  {scores}  {seconds:6.0f} s of CPU", flush=True)


if __name__ == "__main__":
    main()
