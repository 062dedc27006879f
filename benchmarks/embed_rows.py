"""What ``embed`` takes beside the bare encoder at the same batch, timed in turn; and what a second call takes.

Run with ``python -m benchmarks.embed_rows --data FOLDER --encoder minilm``. The bare encoder tokenises texts sorted by
length with its own tokenizer, fills each batch up to its longest text, and takes the mean over tokens; of pictures it
takes batches that are brought to its size and standardised. ``embed`` writes into a fresh cache each time. Seconds are
CPU seconds of one thread, of the second call those of the clock.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from manylabel import data, embed
from manylabel.models import picture_encoder
from manylabel.models.frozen.network import BATCH as TEXTS
from manylabel.models.frozen.pictures import BATCH as PICTURES
from manylabel.models.frozen.places import folder_of


def bare_texts(folder: Path, texts: list[str], length: int) -> Callable[[], int]:
    """The encoder of a folder as its package gives it; the work returns the tokens that it computed with."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder).eval()

    @torch.no_grad()
    def work() -> int:
        tokens = 0
        ordered = sorted(texts, key=len, reverse=True)
        for start in range(0, len(ordered), TEXTS):
            batch = tokenizer(
                ordered[start : start + TEXTS],
                padding=True,
                truncation=True,
                max_length=length,
                return_tensors="pt",
            )
            h, known = network(**batch).last_hidden_state, batch["attention_mask"][..., None]
            ((h * known).sum(1) / known.sum(1)).numpy()
            tokens += batch["input_ids"].numel()
        return tokens

    return work


def bare_pictures(name: str, weights: str, pictures: torch.Tensor, pixels: int) -> Callable[[], int]:
    """The network of pictures in one call a batch."""
    network = picture_encoder(name, weights).eval()
    mean, std = (torch.tensor(of).view(1, -1, 1, 1) for of in (network.mean, network.std))

    @torch.no_grad()
    def work() -> int:
        for part in torch.split(pictures, PICTURES):
            x = F.interpolate(part.float() / 255, (pixels, pixels), mode="bicubic", antialias=True)
            network((x.clamp(0, 1) - mean) / std).numpy()
        return 0

    return work


def measured(
    bare: Callable[[], int], ours: Callable[[], Any], repeats: int
) -> list[tuple[float, float, float]]:
    """CPU seconds of the bare encoder and of a first call, and the seconds of a second one, ``repeats`` times."""
    found = []
    for _ in range(repeats):
        started = time.process_time()
        bare()
        alone = time.process_time() - started
        with tempfile.TemporaryDirectory() as cache:
            os.environ["MANYLABEL_CACHE"] = cache
            started = time.process_time()
            Z = np.asarray(ours())
            first = time.process_time() - started
            again = time.perf_counter()
            assert np.array_equal(ours(), Z)
            found.append((alone, first, time.perf_counter() - again))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="Folder of the data sets.")
    parser.add_argument("--set", default="goemotions")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--weights", default="package", help="Of an encoder of pictures.")
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--pixels", type=int, default=128)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    X = data.load(asked.set, asked.data).train.X
    X = X.take(slice(0, asked.rows))
    if X.kind == "images":
        chosen = {"weights": asked.weights, "pixels": asked.pixels}
        bare = bare_pictures(asked.encoder, asked.weights, X.values, asked.pixels)
    else:
        chosen = {"length": asked.length}
        bare = bare_texts(folder_of(asked.encoder), X.values, asked.length)
    embed(X.take(slice(0, 2)), asked.encoder, **chosen)  # what is read once is read by now
    found = measured(bare, lambda: embed(X, asked.encoder, **chosen), asked.repeats)
    ratio = float(np.median([alone / first for alone, first, _ in found]))
    alone, first, second = (min(times) for times in zip(*found, strict=True))
    print(
        f"{len(X)} rows of {asked.set} through {asked.encoder}: bare encoder {len(X) / alone:.0f} rows a second, "
        f"embed {len(X) / first:.0f}, median ratio {ratio:.2f} (goal 0.9); a second call {second:.2f} s (goal 2)"
    )


if __name__ == "__main__":
    main()
