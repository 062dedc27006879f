"""Linear evaluation over a grid: each classifier trains as it would alone, and labels take their best."""

import itertools

import pytest
import torch
from tests.training.small_run import fit, rows
from torch import nn
from torch.nn import functional as F

from manylabel import ManyLabelError, metrics
from manylabel.methods.classifier_stage import build_criterion
from manylabel.methods.linear_probe import LinearProbeEvaluation, LinearProbeSettings, best_points
from manylabel.methods.rows import DeviceRows
from manylabel.models.inputs import VectorPreprocessor
from manylabel.training import Run, Stage

GRID = {
    "classify.encoder_rate": 0.0,
    "classify.grid.rates": [1.0, 0.1],
    "classify.grid.weight_decays": [0.1, 1e-4],
    "classify.stage.lr": 0.1,
    "classify.stage.optimiser": "adamw",
}
STAGE = Stage(epochs=6, batch=16, lr=0.1, optimiser="adamw", schedule="linear")


def resident(n, seed):
    return DeviceRows(rows(n, seed).X.values, rows(n, seed).Y)


def evaluation(**settings):
    torch.manual_seed(0)
    parts, criterion = (resident(64, 0), resident(40, 1)), build_criterion("bce", {})
    return LinearProbeEvaluation(
        VectorPreprocessor((10,)), nn.Linear(10, 6), *parts, LinearProbeSettings(**settings), criterion
    )


def trained_alone(Z, Y, weight, bias, rate, weight_decay):
    """One classifier in torch's own loop, on the order of rows that the loop takes."""
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    groups = [{"params": [weight], "weight_decay": weight_decay}, {"params": [bias], "weight_decay": 0.0}]
    optimiser, step = torch.optim.AdamW(groups, lr=0.1), itertools.count()
    for epoch in range(6):
        order = torch.randperm(64, generator=torch.Generator().manual_seed(epoch))
        for part in order.split(16):
            for group in optimiser.param_groups:
                group["lr"] = 0.1 * rate * (1 - next_step(step, group is optimiser.param_groups[0]) / 24)
            optimiser.zero_grad()
            F.binary_cross_entropy_with_logits(Z[part] @ weight.T + bias, Y[part].float()).backward()
            optimiser.step()
    return weight.detach(), bias.detach()


def next_step(step, advance):
    next_step.now = next(step) if advance else next_step.now
    return next_step.now


def test_every_classifier_trains_as_it_would_alone():
    task = evaluation(rates=(1.0, 0.1), weight_decays=(0.5, 1e-4), heads=2)
    starts = [(layer.weight.detach().clone(), layer.bias.detach().clone()) for layer in task.layers]
    Run(("grid",), seed=0).train("grid", task, STAGE)
    Z, Y = task.rows.train.X, task.rows.train.Y.dense()
    points = itertools.product((1.0, 0.1), (0.5, 1e-4))
    for layer, (weight, bias), point in zip(task.layers, starts, points, strict=True):
        for head in (slice(0, 4), slice(4, 8)):
            alone = trained_alone(Z, Y, weight[head], bias[head], *point)
            torch.testing.assert_close(layer.weight[head], alone[0], rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(layer.bias[head], alone[1], rtol=1e-3, atol=1e-4)
            assert not torch.allclose(layer.weight[head], weight[head], atol=0.01)  # none is left out


def test_the_classifier_has_the_mean_rows_of_the_points_chosen():
    task = evaluation(rates=(1.0, 0.01), weight_decays=(1e-4,), heads=3)
    Run(("grid",), seed=0).train("grid", task, STAGE)
    means = torch.stack([layer.weight.view(3, 4, 6).mean(0) for layer in task.layers])
    biases = torch.stack([layer.bias.view(3, 4).mean(0) for layer in task.layers])
    validation = task.rows.validation
    scores = torch.sigmoid(torch.einsum("nh,pch->pnc", validation.X, means) + biases[:, None])
    classifier = task.classifier()
    for label in range(4):
        f1 = [metrics.Counts.of(s >= 0.5, validation.Y).labels.f1()[label] for s in scores.detach()]
        chosen = [p for p in range(2) if torch.equal(classifier.weight[label], means[p, label])]
        assert f1[chosen[0]] == max(f1)
        assert classifier.bias[label] == biases[chosen[0], label]


def test_a_label_takes_the_best_f1_then_the_best_average_precision_then_the_first():
    Y = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    good, late = torch.tensor([0.9, 0.8, 0.1, 0.2]), torch.tensor([0.4, 0.3, 0.1, 0.2])
    mixed = torch.tensor([0.4, 0.1, 0.2, 0.3])  # nothing above 0.5 either, and a worse order
    P = torch.stack(
        [torch.stack(columns, 1) for columns in ([late, mixed, good, good], [good, late, good, late])]
    )
    assert best_points(P, Y).tolist() == [1, 1, 0, 0]


def test_a_grid_learns_on_a_frozen_encoder():
    pretraining = {"pretrain.stage.lr": 0.01, "pretrain.views.mask": 0.0}
    scorer = fit(method="reg", **(GRID | pretraining | {"classify.stage.epochs": 40}))
    other = fit(method="reg", **(GRID | pretraining | {"classify.stage.epochs": 1}))
    for a, b in zip(scorer.scorer.encoder.parameters(), other.scorer.encoder.parameters(), strict=True):
        assert torch.equal(a, b)
    new = rows(200, 2)
    assert metrics.mean_average_precision(scorer.scores(new.X.values), new.Y) > 0.6  # chance is 0.33


@pytest.mark.parametrize("kind", ["grid", "probe"])
@pytest.mark.parametrize("steps", [20, 36, 40, 84])
def test_a_frozen_encoder_is_the_pretrained_one_after_an_interruption(kind, steps, tmp_path, monkeypatch):
    settings = GRID if kind == "grid" else {"classify.encoder_rate": 0.0}
    count, original = itertools.count(1), Run._after_step

    class Killed(Exception):
        pass

    def after_step(self, loop, record):
        self.checkpoint_seconds = 0.0
        original(self, loop, record)
        if next(count) == steps:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_after_step", after_step)
        with pytest.raises(Killed):
            fit(tmp_path, method="mulsupcon", **settings)
    resumed, whole = fit(tmp_path, method="mulsupcon", **settings), fit(method="mulsupcon", **settings)
    for name, tensor in whole.scorer.module.state_dict().items():
        assert torch.equal(resumed.scorer.module.state_dict()[name], tensor), name


def test_a_grid_needs_a_frozen_encoder():
    with pytest.raises(ManyLabelError, match=r"classify\.encoder_rate 0 with a grid, but got 1"):
        fit(method="reg", **{"classify.grid.heads": 2})
