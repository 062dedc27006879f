"""Pictures on disk: what the first epoch takes beside the later ones, which find them decoded, and in how much memory.

Run with ``python -m benchmarks.picture_cache --pictures 100000``: JPEG files of 500 x 375 pixels with a CSV file of
tags are generated, then brought to 224 x 224. The first epoch loads the data set, which decodes it, and reads every
picture in shuffled batches of 64; the later ones read. Then the data set is loaded again, as a second run does. Memory
is what the process cannot give back (anonymous pages, at their highest); the system may drop pages of the mapped file.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from manylabel import data
from manylabel.data.rows import MappedImages

BATCH = 64
MEBI = 1 << 20


def generate(folder: Path, n: int) -> None:
    """Write n pictures of coloured noise over a gradient, about 40 KiB each, and their tags."""
    from PIL import Image

    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 160, 500, dtype=np.float32)[None, :, None]
    lines = ["file,tags"]
    for i in range(n):
        rough = rng.integers(0, 95, (47, 63, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)[:375, :500]
        picture = Image.fromarray((ramp + rough).astype(np.uint8))
        picture.save(folder / f"p{i:06}.jpg", quality=90)
        lines.append(f"p{i:06}.jpg,{'|'.join(f'tag{j}' for j in range(8) if rng.random() < 0.3)}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    (folder / "test.csv").write_text("\n".join(lines[:65]) + "\n")


@contextmanager
def highest_memory() -> Iterator[list[int]]:
    """Bytes of anonymous memory of this process, at their highest while the block runs; looked at every 20 ms."""
    found, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            status = Path("/proc/self/status").read_text()
            found[0] = max(found[0], int(status.split("RssAnon:")[1].split()[0]) * 1024)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def load(album: Path, side: int) -> tuple[MappedImages, float]:
    """The pictures, and the seconds that loading them took."""
    started = time.perf_counter()
    rows = data.load(album, options={"side": side}).train.X
    assert isinstance(rows, MappedImages), "too few pictures for the disk"
    return rows, time.perf_counter() - started


def read(rows: MappedImages, seed: int) -> float:
    """Seconds to read all of the pictures in shuffled batches."""
    started = time.perf_counter()
    order = np.random.default_rng(seed).permutation(len(rows))
    total = sum(int(rows.batch(order[i : i + BATCH])[:, :, 0, 0].sum()) for i in range(0, len(order), BATCH))
    assert total > 0
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--folder", help="where pictures and cache are written; default: a temporary folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder, highest_memory() as memory:
        os.environ["MANYLABEL_CACHE"] = str(Path(folder) / "cache")
        album = Path(folder) / "album"
        album.mkdir()
        generate(album, asked.pictures)
        rows, loading = load(album, asked.side)
        epochs = [read(rows, number) for number in range(asked.epochs)]
        first, later = loading + epochs[0], epochs[1:]
        _, again = load(album, asked.side)
        rates = ", ".join(f"{asked.pictures / seconds:.0f}" for seconds in (first, *later))
        print(f"pictures a second, epoch by epoch: {rates}")
        print(f"first / second epoch {first / later[0]:.1f} (goal 5)")
        print(f"slowest / fastest of the later epochs {max(later) / min(later):.2f}")
        print(
            f"first / second loading {loading / again:.1f}, the second {1000 * again / asked.pictures:.2f} ms a picture"
        )
        print(f"memory at its highest {memory[0] / MEBI:.0f} MiB (goal 2048)")


if __name__ == "__main__":
    main()
