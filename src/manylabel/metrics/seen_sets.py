"""The most probable of the label sets that training rows carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelLists, Labels, SparseLabels, as_labels
from manylabel.metrics.held_out import fully_known
from manylabel.metrics.log_odds import log_odds
from manylabel.metrics.scores import Array, Scores, as_scores, blocks, check_probabilities


@dataclass(frozen=True, eq=False)
class SeenSets:
    """Predict for each row the most probable label set among those seen in training; build it with :meth:`of`.

    It aims at subset accuracy: what is predicted is always a combination that some row has carried.

    Attributes
    ----------
    sets : LabelLists (m, C)
        Distinct label sets, the most frequent first.
    counts : (m,) int64 array
        Training rows of each.

    Notes
    -----
    Labels are taken as independent given the row, with the scores p as their probabilities: calibrate first. Then

        log P(set | row) = sum_{c in set} log(p_c / (1 - p_c)) + sum_c log(1 - p_c),

    whose last sum is the same for all sets. Of equally probable sets the most frequent is taken. O(n |sets|) additions
    for n rows, where |sets| counts the labels of all distinct sets.
    """

    wants_probabilities: ClassVar[bool] = True

    sets: LabelLists
    counts: Array

    @staticmethod
    def of(Y: Labels) -> SeenSets:
        """The distinct label sets of training rows.

        Parameters
        ----------
        Y : (n, C) labels, dense or sparse
            A row with an unknown entry has no exact set and is left out.

        Raises
        ------
        ManyLabelError
            If labels are not 0/1, or there is no row whose labels are all known.
        """
        who = "SeenSets.of"
        labels = as_labels(Y, binary=True, who=who)
        labels = labels.take(fully_known(labels))
        if not labels.n_rows:
            raise ManyLabelError(who, "at least one training row whose labels are all known", "none")
        hashes = labels.row_hashes().cpu().numpy()
        _, first, counts = np.unique(hashes, return_index=True, return_counts=True)
        order = np.lexsort((first, -counts))
        sets = labels.take(first[order]).sparse()
        return SeenSets(sets.to("cpu"), counts[order])

    def predict(self, scores: Scores) -> Array:
        """Predicted label sets, (n, C) probabilities -> (n, C) bool."""
        who = "SeenSets.predict"
        S = as_scores(scores, who)
        check_probabilities(S, who)
        if S.shape[1] != self.sets.n_labels:
            expected = f"scores of {self.sets.n_labels} labels"
            raise ManyLabelError(who, expected, f"scores of shape {S.shape}")
        best = np.empty(len(S), dtype=np.int64)
        for part in blocks(len(S), max(self.sets.n_rows, self.sets.n_labels)):
            odds = torch.from_numpy(log_odds(S[part]).T.copy())  # (C, b)
            best[part] = self.sets.row_sums(odds).numpy().argmax(0)  # (m, b) -> (b,), the first of equals
        return self.sets.take(best).dense(torch.bool).numpy()

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Plain JSON and arrays, from which :meth:`from_state` makes the same rule."""
        lists = {"offsets": self.sets.offsets.numpy(), "columns": self.sets.columns.numpy()}
        return {"decision": "seen_sets", "n_labels": self.sets.n_labels}, lists | {"counts": self.counts}

    @classmethod
    def from_state(cls, plain: Mapping[str, Any], arrays: Mapping[str, Array]) -> SeenSets:
        """The rule that :meth:`state` described."""
        offsets, columns = (torch.from_numpy(np.array(arrays[part])) for part in ("offsets", "columns"))
        return cls(SparseLabels(offsets, columns, None, plain["n_labels"]), np.array(arrays["counts"]))
