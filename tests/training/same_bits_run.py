"""A training of seconds and its predictions, as a script: a file to write, threads, whether compiled code is off."""

import sys
from contextlib import nullcontext

import numpy as np
import torch
from tests.training.small_run import fit, rows

from manylabel.kernels.loading import without_compiled
from manylabel.methods.versions import versions

if __name__ == "__main__":
    place, threads, plain = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "plain"
    torch.set_num_threads(threads)
    with without_compiled() if plain else nullcontext():
        model = fit()
    found = {name: t.numpy() for name, t in model.scorer.module.state_dict().items()}
    P = model.predict_proba(rows(40, 1).X)
    np.savez(place, P=P, processor=versions()["processor"], **found)
