"""Starts from a model and at centroids on rows of every kind, as a script: each rank keeps its scorers."""

import sys
from pathlib import Path

import torch
from tests.methods.starting_rows import kinds

from manylabel.data.rows import parts
from manylabel.methods import get, start_from
from manylabel.methods.rows import DeviceRows
from manylabel.training import joined

RUNS = ("pictures", "words", "tokens", "npy", "svmlight")

if __name__ == "__main__":
    torch.set_num_threads(1)
    DeviceRows.dense_bytes = 0
    parts.BLOCK_BYTES = 20 * 12 * 4
    folder = Path(sys.argv[1])
    with joined() as ranks:
        own = folder / f"own-{ranks.rank}"
        own.mkdir(parents=True)
        if ranks.first:  # what saves a pretrained network writes on the first rank alone
            kinds(folder)
        if ranks.world > 1:
            torch.distributed.barrier()
        for name, kind in kinds(folder).items():
            if name not in RUNS:
                continue
            train, validation = (kind.rows(own, n, seed) for n, seed in ((61, 0), (30, 1)))
            settings = kind.settings | {"classify.start": "centroids"}
            get(kind.method, **settings).fit(train, validation).save(folder / f"{name}-first-{ranks.rank}")
            views = {key: value for key, value in kind.settings.items() if "encoder" not in key}
            start = start_from(folder / f"{name}-first-{ranks.rank}")
            again = get("bce", **start, **(views | {"classify.encoder_rate": 0.1}))
            again.fit(train, validation).save(folder / f"{name}-second-{ranks.rank}")
