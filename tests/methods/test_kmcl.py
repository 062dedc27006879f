"""KMCL end to end: the mixture head, the three terms, what is kept of them."""

import numpy as np
import pytest
import torch
from tests.training.small_run import SETTINGS, rows
from torch.nn import functional as F

from manylabel import ManyLabelError, metrics
from manylabel.methods import Predictor, get
from manylabel.models.mixture_head import MixtureHead

SHORT = {k: v for k, v in SETTINGS.items() if "pretrain" not in k}
KINDS = {
    "isotropic": {},
    "anisotropic": {"mixture.width": 6},
    "true distance": {"mixture.width": 6, "mixture.scale": "bhattacharyya"},
    "mks": {"mixture.width": 6, "mixture.similarity": "mks"},
    "rbf": {"mixture.similarity": "rbf"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_scorer_learns_and_can_be_kept(kind, tmp_path):
    changed = {"classify.stage.epochs": 40, "classify.stage.lr": 0.01}
    scorer = get("kmcl", **(SHORT | KINDS[kind] | changed)).fit(rows(100, 0), rows(40, 1))
    new = rows(200, 2)
    scores = scorer.scores(new.X.values)
    assert metrics.mean_average_precision(scores, new.Y) > 0.75  # chance is 0.33
    scorer.save(tmp_path / "model")
    assert np.array_equal(Predictor.load(tmp_path / "model").scores(new.X.values), scores)


def test_pictures_train():
    X = torch.randint(0, 256, (48, 3, 16, 16), dtype=torch.uint8)
    part = rows(48, 0)
    settings = {"encoder.widths": [4, 8], "classify.stage.epochs": 1, "classify.stage.batch": 16}
    pictures = type(part)(X, part.Y)
    scorer = get("kmcl", **settings).fit(pictures, pictures)
    assert scorer.scores(X).shape == (48, 4)


@pytest.mark.parametrize(("width", "similarity"), [(None, "bc"), (None, "rbf"), (3, "bc"), (3, "mks")])
def test_the_head_makes_a_logit_and_a_gaussian_per_label(width, similarity):
    head, h = MixtureHead(5, 4, width, similarity), torch.randn(7, 5)
    mixture, f = head.mixture(h), h if width is None else head.reduce(h)
    assert mixture.features is f or torch.equal(mixture.features, f)
    assert torch.equal(mixture.logits, head(h))
    torch.testing.assert_close(head.classifier()(h), head(h))
    n = 4 if width is None else 12
    assert mixture.means.shape == (7, n)
    assert mixture.variances.shape == (7, {"bc": n, "mks": width, "rbf": 1}[similarity])
    sums = f.sum(1, keepdim=True)
    torch.testing.assert_close(mixture.variances, (2 + F.elu(sums)).expand_as(mixture.variances))
    assert 0 <= head.means.weight.min() <= head.means.weight.max() <= 0.1
    assert not head.means.bias.any()


@pytest.mark.parametrize(("width", "similarity"), [(None, "mks"), (3, "rbf")])
def test_variances_that_do_not_fit_the_means_are_refused(width, similarity):
    with pytest.raises(ManyLabelError, match="mks with a width, or rbf without"):
        MixtureHead(5, 4, width, similarity)


def test_an_unknown_setting_of_the_loss_is_refused():
    with pytest.raises(ManyLabelError, match=r"KMCL: expected settings among .*, but got 'gamma'"):
        get("kmcl", **{"classify.loss.gamma": 2.0})
