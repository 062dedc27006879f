"""The recipes of the papers load, and train for an epoch."""

import pytest
from tests.methods.small_vectors import SMALL
from tests.training.small_run import SETTINGS, rows

from manylabel import methods
from manylabel.methods import get

PAPER = [name for name in methods.names() if name.startswith(methods.PAPER)]


def shortened(name):
    recipe = get(name).recipe
    short = {"classify.stage.epochs": 1, "classify.stage.batch": 16}
    if recipe.family == "contrastive":
        return (
            short
            | {k: v for k, v in SETTINGS.items() if k.startswith("vectors")}
            | {
                "pretrain.stage.epochs": 1,
                "pretrain.stage.batch": 16,
                "pretrain.dim": 8,
            }
        )
    if recipe.family in SMALL:
        return SMALL[recipe.family] | short
    return short | {"vectors.encoder.widths": [16, 8]}


@pytest.mark.parametrize("name", PAPER)
def test_trains_for_an_epoch(name):
    scores = get(name, **shortened(name)).fit(rows(100, 0), rows(40, 1)).scores(rows(7, 2).X)
    assert scores.shape == (7, 4)
    assert 0 <= scores.min() <= scores.max() <= 1


def test_recipes_of_the_papers_come_after_the_others():
    assert methods.names()[-len(PAPER) :] == tuple(PAPER)
    assert len(PAPER) >= 20


@pytest.mark.parametrize("name", methods.names())
def test_the_first_sentence_says_what_a_recipe_is(name):
    summary = get(name).recipe.summary
    assert 20 < len(summary) < 200
    assert "\n" not in summary
