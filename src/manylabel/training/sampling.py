"""How an epoch divides the training rows into steps: sizes, rows of each rank, labels with enough carriers."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, takewhile

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix
from manylabel.training.stage import Stage

_AUTO = ((450, 16), (1100, 32))  # below so many training rows, so many a step
_MOST_AUTO = 64
_CHOICES = 8  # rows that carry a label of which the one with the fewest new labels is taken


@dataclass(frozen=True)
class Division:
    """The steps of an epoch.

    Attributes
    ----------
    steps : int
    rows : int
        That an epoch trains on, first in its order; the others, fewer than a step, wait for the next epoch.
    """

    steps: int
    rows: int

    @property
    def least(self) -> int:
        """Rows of the smallest step, over all ranks."""
        return self.rows // self.steps

    def span(self, step: int) -> slice:
        """Where the rows of a step stand in the order of the epoch."""
        return slice(step * self.rows // self.steps, (step + 1) * self.rows // self.steps)


def divide(stage: Stage, n_rows: int, world: int = 1, name: str | None = None) -> Division:
    """The steps of an epoch over the training rows.

    Parameters
    ----------
    stage : Stage
    n_rows, world : int
        Training rows, and ranks.
    name : str, optional
        Of the stage; where it is given, a step that takes all rows as they are fewer than a batch is told.

    Notes
    -----
    Every row is trained on in every epoch: as many steps as whole batches would fill, the last one included, share the
    rows evenly, so that no step is much smaller than the others. Of a batch of at least 2 no step has a single row,
    which has nothing to be contrasted with; one step then takes one row more. Where the stage drops its last batch,
    steps are whole batches. Several ranks take the steps of one process; of a step, some may have one row more than
    others, and none has no row.

    Raises
    ------
    ManyLabelError
        If there are fewer rows, or rows of a batch, than ranks.
    """
    who = "training" if name is None else f"stage {name}"
    batch = rows_of_step(stage.batch, n_rows)
    if batch < world:
        raise ManyLabelError(who, f"a batch of at least {world} rows, one for each rank", str(batch))
    if n_rows < world or n_rows == 0:
        hint = "Give more training rows."
        if n_rows == 0:
            hint = "Some methods leave rows without labels out of training."
        raise ManyLabelError(who, f"at least {world} training rows, one for each rank", str(n_rows), hint)
    if n_rows < batch:
        if name is not None and stage.batch != "auto":
            told = (
                f"{who}: {n_rows} training rows are fewer than a batch of {batch}; each step takes {n_rows}."
            )
            warnings.warn(told, stacklevel=2)
        return Division(1, n_rows)
    if stage.drop_last:
        return Division(n_rows // batch, n_rows // batch * batch)
    return Division(min(-(-n_rows // batch), n_rows // max(world, min(2, batch))), n_rows)


def rows_of_step(batch: int | str, n_rows: int) -> int:
    """The batch of a stage; "auto" stands for 16 below 450 training rows, 32 below 1 100, 64 from there on."""
    if isinstance(batch, int):
        return batch
    return next((rows for below, rows in _AUTO if n_rows < below), _MOST_AUTO)


def order_by_carriers(Y: LabelMatrix, division: Division, carriers: int, windows: Sequence[Tensor]) -> Tensor:
    """An order of the rows in which the labels of a step are carried by several of its rows.

    Parameters
    ----------
    Y : LabelMatrix (n, n_labels)
        Of the training rows.
    division : Division
        Of the rows into steps.
    carriers : int
        How many rows of a step carry each of its labels, as far as there are so many that no earlier step took, and
        room in the step. A label without a second carrier has nothing to be contrasted with.
    windows : sequence of int64 tensors
        The rows in a random order, in one piece, or in pieces of rows that are read together: those of one are all
        taken before any of the next.

    Returns
    -------
    (n,) int64 tensor
        Every row once.

    Notes
    -----
    A step starts with a random row. While a label of the step has too few carriers, the next row is one that carries
    it, of eight drawn the one that brings the fewest labels that the step does not have yet; the label that came first
    is served first. When none is left that can be served, another random row follows. The time is that of reading all
    entries a few times, and grows with rows.
    """
    drawn = torch.cat([*windows])
    epoch = _Epoch(Y.take(drawn.to(Y.device)), carriers, list(accumulate(map(len, windows))))
    sizes = (division.span(step) for step in range(division.steps))
    places = [place for size in sizes for place in epoch.step(size.stop - size.start)]
    places += epoch.unused()
    return drawn[torch.tensor(places)]


class _Epoch:
    """Rows in a random order, of which each is given once."""

    def __init__(self, Y: LabelMatrix, carriers: int, ends: Sequence[int]) -> None:
        by_row, self.carriers = Y.sparse().to("cpu"), carriers
        by_label = by_row.transposed
        self.row_ends, self.labels = (t.numpy().data for t in (by_row.offsets, by_row.columns))
        self.label_ends, self.rows = (t.numpy().data for t in (by_label.offsets, by_label.columns))
        self.first = self.label_ends.tolist()  # where the unused rows of each label begin
        self.used, self.next = bytearray(len(by_row)), 0
        self.ends, self.end = iter(ends), 0  # of the windows, and of the one that rows are taken from

    def step(self, size: int) -> list[int]:
        """The rows of a step."""
        taken: list[int] = []
        counts: dict[int, int] = {}
        short: deque[int] = deque()
        while len(taken) < size:
            row = self._carrier(short, counts, size - len(taken))
            row = self._any() if row is None else row
            taken.append(row)
            self.used[row] = 1
            for label in self._labels_of(row):
                counts[label] = counts.get(label, 0) + 1
                if counts[label] == 1:
                    short.append(label)
        return taken

    def unused(self) -> list[int]:
        """Rows that no step took."""
        return [row for row, used in enumerate(self.used) if not used]

    def _carrier(self, short: deque[int], counts: dict[int, int], room: int) -> int | None:
        """A row for the first label that lacks carriers and can still have enough; None where none can."""
        while short:
            label = short[0]
            lacking = self.carriers - counts[label]
            if 0 < lacking <= room:
                choices = list(islice(self._unused_of(label), _CHOICES))
                if choices:
                    return min(choices, key=lambda row: sum(c not in counts for c in self._labels_of(row)))
            short.popleft()
        return None

    def _any(self) -> int:
        """The next row of the random order, and with it the next window where one is used up."""
        while self.used[self.next]:
            self.next += 1
        while self.next >= self.end:
            self.end = next(self.ends)
        return self.next

    def _unused_of(self, label: int) -> Iterator[int]:
        """The unused rows of the window that carry a label."""
        end = self.label_ends[label + 1]
        while self.first[label] < end and self.used[self.rows[self.first[label]]]:
            self.first[label] += 1  # rows before it stay used
        carriers = takewhile(lambda row: row < self.end, self.rows[self.first[label] : end])
        return (row for row in carriers if not self.used[row])

    def _labels_of(self, row: int) -> memoryview:
        return self.labels[self.row_ends[row] : self.row_ends[row + 1]]
