"""A step of one row for each rank, as a script: each rank keeps what it was told."""

import sys
from pathlib import Path

import torch
from tests.training.ranks_run import PLAIN, PRETRAIN
from tests.training.small_run import rows

from manylabel import ManyLabelError
from manylabel.methods import get
from manylabel.training import joined

SMALL = PLAIN | PRETRAIN | {"pretrain.stage.batch": 2, "pretrain.head": "normalised"}

if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined() as ranks:
        for candidates in ("momentum", "batch"):
            settings = SMALL | {"pretrain.candidates": candidates}
            try:
                get("mulsupcon", **settings).fit(rows(20, 0), rows(10, 1))
            except ManyLabelError as error:
                Path(sys.argv[1], f"{candidates}-{ranks.rank}.txt").write_text(str(error))
