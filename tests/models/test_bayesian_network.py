"""Hill climbing on the BIC score, against loops over all moves."""

import itertools

import numpy as np
import pytest

from manylabel import ManyLabelError
from manylabel.models.bayesian_network import learn_parents


def bic(states, child, parents):
    """The score of one variable, by the equation."""
    n, kinds = len(states), [len(set(column)) for column in states.T.tolist()]
    value = 0.0
    for configuration in set(map(tuple, states[:, parents].tolist())):
        rows = states[(states[:, parents] == configuration).all(1), child]
        value += sum(m * np.log(m / len(rows)) for m in np.unique(rows, return_counts=True)[1])
    return value - np.log(n) / 2 * (kinds[child] - 1) * np.prod([kinds[p] for p in parents])


def acyclic(edges):
    left = set(range(len(edges)))
    while left:
        roots = [c for c in left if not any(edges[p, c] for p in left)]
        if not roots:
            return False
        left -= set(roots)
    return True


def climb_slowly(states):
    size = states.shape[1]
    edges = np.zeros((size, size), dtype=bool)

    def score(graph):
        return sum(bic(states, c, np.flatnonzero(graph[:, c]).tolist()) for c in range(size))

    now = score(edges)
    while True:
        moves = []
        for p, c in itertools.permutations(range(size), 2):
            changes = [(False, False), (False, True)] if edges[p, c] else [(True, False)]
            for there, back in changes:
                if edges[c, p] and not edges[p, c]:
                    continue
                graph = edges.copy()
                graph[p, c], graph[c, p] = there, back
                if acyclic(graph):
                    moves.append((score(graph), graph))
        best, graph = max(moves, key=lambda move: move[0])
        if best <= now + 1e-4:
            return edges, now
        edges, now = graph, best


def drawn(seed, n=300):
    """Errors of five labels: 1 follows 0, 3 follows 1 and 2; the last has two states only."""
    rng = np.random.default_rng(seed)
    E = rng.choice([-1, 0, 1], size=(n, 5), p=[0.2, 0.6, 0.2])
    E[:, 1] = np.where(rng.random(n) < 0.7, E[:, 0], E[:, 1])
    E[:, 3] = np.where(rng.random(n) < 0.8, np.clip(E[:, 1] + E[:, 2], -1, 1), E[:, 3])
    E[:, 4] = np.where(rng.random(n) < 0.5, E[:, 3] > 0, rng.random(n) < 0.3)
    return E


@pytest.mark.parametrize("seed", range(4))
def test_climbs_as_high_as_trying_every_move(seed):
    states = drawn(seed)
    parents = learn_parents(states)
    edges, best = climb_slowly(states)
    assert sum(bic(states, c, of_c) for c, of_c in enumerate(parents)) == pytest.approx(best)
    skeleton = {frozenset((p, c)) for c, of_c in enumerate(parents) for p in of_c}
    assert skeleton == {frozenset((int(p), int(c))) for p, c in np.argwhere(edges)}
    graph = np.zeros_like(edges)
    for child, of_child in enumerate(parents):
        assert of_child == sorted(of_child)
        graph[of_child, child] = True
    assert acyclic(graph)


def test_finds_the_two_causes_of_an_effect():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 2000))
    effect = np.where(rng.random(2000) < 0.9, a | b, 1 - (a | b))
    assert learn_parents(np.stack([a, effect, b], 1))[1] == [0, 2]


def test_independent_and_constant_variables_get_no_parents():
    rng = np.random.default_rng(1)
    states = np.concatenate([rng.integers(-1, 2, (400, 3)), np.zeros((400, 1), dtype=int)], 1)
    assert learn_parents(states) == [[], [], [], []]


def test_no_observations_are_refused():
    with pytest.raises(ManyLabelError, match=r"states of shape \(n, n_variables\), but got \(0, 3\)"):
        learn_parents(np.zeros((0, 3), dtype=int))
