"""How an epoch divides the training rows into steps: sizes of batches, rows of each rank."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from manylabel.errors import ManyLabelError
from manylabel.training.stage import Stage

_AUTO = ((450, 16), (1100, 32))  # below so many training rows, so many a step
_MOST_AUTO = 64


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
