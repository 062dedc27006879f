"""The structure of a Bayesian network of discrete variables, by greedy hill climbing on the BIC score."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp

from manylabel.errors import ManyLabelError

Array: TypeAlias = np.ndarray[Any, Any]


def learn_parents(states: Array, least_gain: float = 1e-4) -> list[list[int]]:
    """Parents of each variable.

    Parameters
    ----------
    states : (n, C) integer array
        One row per observation; any integers stand for the states.
    least_gain : float, default 1e-4
        Climbing ends when no move raises the score by more.

    Returns
    -------
    list of C lists of int
        In ascending order; free of cycles.

    Notes
    -----
    Score, a sum over variables with N observations: ``sum count log(count / total) - log(N) / 2 (states - 1)
    (parent configurations)``, counts over the states of the variable and the configurations of its parents, whose
    number is the product of their numbers of states. From no edges, the best of all additions, removals and reversals
    of an edge that leave no cycle is made, again and again. The gain of every addition is kept; a move renews those
    of the variables whose parents it changed, each by one sparse product over all candidates.
    """
    if states.ndim != 2 or len(states) == 0:
        raise ManyLabelError("learn_parents", "states of shape (n, n_variables)", str(states.shape))
    climb = _Climb(states)
    while climb.step(least_gain):
        pass
    return [np.flatnonzero(climb.edges[:, child]).tolist() for child in range(states.shape[1])]


class _Climb:
    """A graph, ``edges[p, c]`` true if p is a parent of c, and the gains of the moves that lead away from it."""

    def __init__(self, states: Array) -> None:
        self.codes = np.stack([np.unique(column, return_inverse=True)[1] for column in states.T], axis=1)
        self.n, self.size = self.codes.shape
        self.n_states = self.codes.max(0) + 1
        self.width = int(self.n_states.max())
        # row i has a 1 at (variable, its state in observation i)
        columns = self.codes + self.width * np.arange(self.size)
        starts = np.arange(0, self.n * self.size + 1, self.size)
        ones = np.ones(self.n * self.size)
        self.indicators = sp.csr_matrix((ones, columns.ravel(), starts), (self.n, self.size * self.width))
        self.edges = np.zeros((self.size, self.size), dtype=bool)
        self.reach = np.eye(self.size, dtype=bool)  # reach[a, b]: a path leads from a to b
        self.additions = np.zeros((self.size, self.size))  # [p, c]: gain of adding p to the parents of c
        self.removals = np.zeros((self.size, self.size))
        for child in range(self.size):
            self._renew(child)

    def step(self, least_gain: float) -> bool:
        """Make the best move; False if none gains enough."""
        addition = np.where(self.edges | self.reach.T, -np.inf, self.additions)
        removal = np.where(self.edges, self.removals, -np.inf)
        reversal = np.where(self._reversible(), self.removals + self.additions.T, -np.inf)
        gains = np.stack([addition, removal, reversal])
        move, parent, child = (int(i) for i in np.unravel_index(gains.argmax(), gains.shape))
        if not gains[move, parent, child] > least_gain:
            return False
        self.edges[parent, child] = move == 0
        if move == 2:
            self.edges[child, parent] = True
            self._renew(parent)
        self._renew(child)
        if move == 0:
            self.reach |= np.outer(self.reach[:, parent], self.reach[child])
        else:
            self.reach = _closure(self.edges)
        return True

    def _reversible(self) -> Array:
        """Edges whose reversal leaves no cycle: no second path leads from the parent to the child."""
        detours = self.edges.astype(np.float32) @ self.reach.astype(np.float32)  # via a child of the parent
        return self.edges & (detours < 1.5)  # one of them is the edge itself

    def _renew(self, child: int) -> None:
        """Gains of adding a parent to ``child``, and of removing one."""
        parents = np.flatnonzero(self.edges[:, child])
        family = self._configurations(parents) * self.n_states[child] + self.codes[:, child]
        present, family = np.unique(family, return_inverse=True)
        configurations = np.prod(self.n_states[parents])
        rows = sp.csr_matrix((np.ones(self.n), (family, np.arange(self.n))), (len(present), self.n))
        counts = (rows @ self.indicators).toarray().reshape(len(present), self.size, self.width)
        # families with the same configuration of parents, whatever the state of the child
        of_parents = np.unique(present // self.n_states[child], return_inverse=True)[1]
        totals = np.zeros((of_parents.max() + 1, self.size, self.width))
        np.add.at(totals, of_parents, counts)
        fit = _entropy_sum(counts).sum((0, 2)) - _entropy_sum(totals).sum((0, 2))
        current = self._score(child, parents)
        self.additions[:, child] = fit - self._penalty(child, configurations * self.n_states) - current
        for parent in parents:
            without = parents[parents != parent]
            self.removals[parent, child] = self._score(child, without) - current

    def _score(self, child: int, parents: Array) -> float:
        configuration = self._configurations(parents)
        _, totals = np.unique(configuration, return_counts=True)
        _, counts = np.unique(configuration * self.n_states[child] + self.codes[:, child], return_counts=True)
        fit = float(_entropy_sum(counts).sum() - _entropy_sum(totals).sum())
        return fit - float(self._penalty(child, np.prod(self.n_states[parents])))

    def _penalty(self, child: int, configurations: Any) -> Any:
        return 0.5 * np.log(self.n) * (self.n_states[child] - 1) * configurations

    def _configurations(self, parents: Array) -> Array:
        """A number for each observation's states of these variables; equal numbers mean equal states."""
        numbers = np.zeros(self.n, dtype=np.int64)
        for parent in parents:
            numbers = np.unique(numbers * self.n_states[parent] + self.codes[:, parent], return_inverse=True)[
                1
            ]
        return numbers


def _entropy_sum(counts: Array) -> Array:
    """``n log n``, 0 for n = 0."""
    result: Array = counts * np.log(np.maximum(counts, 1))
    return result


def _closure(edges: Array) -> Array:
    """Which variable leads to which, itself included."""
    reach = edges | np.eye(len(edges), dtype=bool)
    while True:
        further = reach.astype(np.float32) @ reach.astype(np.float32) > 0
        if (further == reach).all():
            return reach
        reach = further
