"""What a contrastive term compares: the batch, two views of it, or keys and a queue; and its prototypes."""

import pytest
import torch
from tests.training.small_run import fit, rows
from torch import nn

from manylabel import ManyLabelError, losses
from manylabel.labels import LabelMatrix
from manylabel.methods import get
from manylabel.methods.contrastive_term import ContrastSettings, build_contrast, build_term
from manylabel.models import PlainHead
from manylabel.models.inputs import VectorPreprocessor
from manylabel.training import Ranks

INPUTS = VectorPreprocessor((10,))


def term(name, batch=16, **settings):
    Y = rows(64, 0).Y.dense(torch.uint8)
    made = build_term(
        name, INPUTS, nn.Linear(10, 6), LabelMatrix.of(Y), ContrastSettings(dim=8, **settings), batch
    )
    return made, rows(64, 0).X.values, Y


def step(made, X, Y):
    own, others = made.views(X, lambda x: x + torch.rand_like(x))
    return made(made.query[0](own), LabelMatrix.of(Y), others), own, others


@pytest.mark.parametrize(
    ("loss", "settings"), [("base", {}), ("reg", {"alpha": 1.0}), ("msc", {"beta": 0.3}), ("proto", {})]
)
def test_rows_of_the_batch_are_compared_in_one_view(loss, settings):
    made, X, Y = term(loss, candidates="batch", loss=settings, head="plain", temperature=0.2)
    value, own, others = step(made, X[:16], Y[:16])
    assert own.shape == (16, 10)
    assert len(others) == 0
    prototypes = () if loss == "base" else (made.prototypes,)
    expected = losses.get(loss, temperature=0.2, **settings)(made.query(own), Y[:16], *prototypes)
    torch.testing.assert_close(value, expected)
    assert len(made.groups) == 1 + len(prototypes)


def test_two_views_are_compared_with_gradient():
    made, X, Y = term("all", candidates="views", head="plain")
    seen = []
    made.criterion.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs))
    value, own, others = step(made, X[:16], Y[:16])
    assert len(seen) == 2  # no keys
    assert seen[0].shape == (32, 8)
    assert torch.equal(seen[1].dense(Y.dtype), Y[:16].repeat(2, 1))
    assert not torch.equal(own[:16], own[16:])
    assert len(others) == 0
    (gradient,) = torch.autograd.grad(value, seen[0])
    assert gradient.abs().sum(1).min() > 0


@pytest.mark.parametrize("candidates", ["momentum", "views"])
def test_the_other_view_of_a_row_is_where_debiased_looks_for_it(candidates):
    made, X, Y = term("debiased", candidates=candidates)
    seen = []
    made.criterion.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs))
    for start in (0, 16):  # then there is a queue
        seen.clear()
        step(made, X[start : start + 16], Y[start : start + 16])
    z, labels, *keys = seen
    n = 16 if keys else len(z) // 2
    other = keys[1].take(slice(n)) if keys else labels.take(slice(n, None))
    assert torch.equal(other.dense(Y.dtype), Y[16:32])
    assert len(z) == (16 if keys else 32)
    assert not keys or len(keys[0]) == 32


def test_debiased_has_no_momentum_over_several_processes(monkeypatch):
    monkeypatch.setattr(Ranks, "current", lambda: Ranks(0, 2))
    with pytest.raises(ManyLabelError, match="candidates views over several processes, but got momentum"):
        build_contrast("debiased", ContrastSettings())


def test_msc_takes_keys_and_a_queue_beside_the_batch():
    made, X, Y = term("msc", queue=24)
    seen = []
    made.criterion.register_forward_pre_hook(lambda _, inputs: seen.append([len(x) for x in inputs]))
    for start in (0, 16, 32):
        part = slice(start, start + 16)
        step(made, X[part], Y[part])
    assert seen == [[16, 16, 4, 16, 16], [16, 16, 4, 32, 32], [16, 16, 4, 40, 40]]


def test_prototypes_start_xavier_uniform_and_are_trained():
    made, X, Y = term("reg", candidates="batch")
    bound = (6 / (4 + 8)) ** 0.5
    assert bound / 2 < made.prototypes.abs().max() <= bound
    step(made, X, Y)[0].backward()
    assert made.groups[1].parameters.grad.abs().sum() > 0


def test_prototypes_learn_where_their_labels_are():
    """After pretraining on prototypes alone, the nearest prototype of a row is one of its labels."""
    from manylabel.methods.contrastive import Pretraining, PretrainSettings
    from manylabel.methods.rows import DeviceRows
    from manylabel.training import Run, Stage

    settings = PretrainSettings(
        stage=Stage(epochs=60, batch=16, lr=0.01), candidates="batch", head="plain", dim=8
    )
    part, labels = (
        DeviceRows(rows(200, 0).X.values, rows(200, 0).Y),
        rows(200, 2).Y.dense(torch.uint8),
    )
    task = Pretraining("proto", INPUTS, nn.Linear(10, 6), part, part, settings)
    Run(("pretrain",), seed=0).train("pretrain", task, settings.stage)
    z, p = (
        nn.functional.normalize(x) for x in (task.term.query(rows(200, 2).X.values), task.term.prototypes)
    )
    hit = labels.gather(1, (z @ p.T).argmax(1, keepdim=True)).float()[labels.sum(1) > 0]
    assert hit.mean() > 0.9


@pytest.mark.parametrize("loss", ["proto", "reg", "wrg"])
def test_losses_without_keys_refuse_a_momentum_encoder(loss):
    with pytest.raises(ManyLabelError, match=f"loss {loss}: .* but got momentum. Set candidates to batch"):
        get(loss, **{"pretrain.candidates": "momentum"})


def test_settings_that_a_loss_does_not_have_are_refused():
    with pytest.raises(ManyLabelError, match=r"REG: expected settings among alpha, .*, but got 'beta'"):
        get("reg", **{"pretrain.loss.beta": 0.1})
    with pytest.raises(
        ManyLabelError, match=r"but got temperature\. The temperature has a setting of its own"
    ):
        get("reg", **{"pretrain.loss.temperature": 0.1})
    with pytest.raises(ManyLabelError, match="contrast: expected a loss of embeddings, but got kmcl"):
        term("kmcl", candidates="batch")


def test_msc_with_a_queue_can_be_asked_for():
    scorer = fit(method="msc", **{"pretrain.candidates": "momentum"})
    assert scorer.scores(rows(5, 2).X.values).shape == (5, 4)


def test_the_plain_head_is_as_wide_as_the_representation():
    head = PlainHead(6, 8)
    assert [tuple(p.shape) for p in head.parameters()] == [(6, 6), (6,), (8, 6), (8,)]
    assert head[0].weight.abs().max() <= (6 / 12) ** 0.5
    assert head[2].weight.abs().max() <= (6 / 14) ** 0.5
