"""Tiny networks and short trainings of the methods for feature vectors."""

from tests.training.small_run import rows

from manylabel.methods import get

STAGE = {"classify.stage.epochs": 30, "classify.stage.batch": 16, "classify.stage.lr": 0.01}
SMALL = {
    "lamp": {"network.width": 16, "network.inner": 16, "network.layers": 1, "network.heads": 2},
    "mpvae": {
        "network.widths": [16],
        "network.label_widths": [16],
        "network.decoder_widths": [16],
        "network.latent": 4,
        "network.draws": 5,
        "network.dropout": 0.1,
    },
    "rbcc": {
        "network.hidden": 12,
        "errors.hidden": 6,
        "errors.stage.epochs": 10,
        "errors.stage.batch": 16,
        "errors.stage.lr": 0.05,
        "errors.stage.weight_decay": 0.0,
    },
    "cgmvae": {
        "network.widths": [16],
        "network.label_widths": [16],
        "network.embedding": 16,
        "network.decoder_width": 16,
        "network.latent": 4,
        "network.dropout": 0.1,
    },
}


def fit(method, folder=None, seed=3, **overrides):
    made = get(method, **(STAGE | SMALL[method] | overrides))
    return made.fit(rows(200, 0), rows(40, 1), seed=seed, folder=folder)
