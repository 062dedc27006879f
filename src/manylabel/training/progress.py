"""What a training run tells while it goes: progress a few times per second, history once per epoch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from manylabel import files


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Attributes
    ----------
    stage : str
        The stage that runs, one of ``stages``.
    stages : tuple of str
    epoch, epochs : int
        Epochs begun and planned in this stage.
    step, steps : int
        Steps done and planned in this stage.
    loss : float
        Mean training loss of the epoch so far; between two epochs, of the one before.
    monitor : dict of str to float
        The latest measurements on validation rows.
    record : mapping or None, default None
        Of the epoch that has just ended, as the history has it; None between two ends.
    """

    stage: str
    stages: tuple[str, ...]
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    monitor: dict[str, float] = field(default_factory=dict)
    record: Mapping[str, Any] | None = None


Listener: TypeAlias = "Callable[[Progress], None]"


class Reporter:
    """Hands progress to a listener: the end of each epoch, and between them at most every ``seconds``.

    Parameters
    ----------
    listener : callable or None
    seconds : float, default 0.25
    """

    def __init__(self, listener: Listener | None, seconds: float = 0.25) -> None:
        self.listener, self.seconds, self._last = listener, seconds, -float("inf")

    @property
    def due(self) -> bool:
        return self.listener is not None and time.monotonic() - self._last >= self.seconds

    def send(self, progress: Progress) -> None:
        if self.listener is not None:
            self._last = time.monotonic()
            self.listener(progress)


def write_history(path: Path, records: list[dict[str, Any]]) -> None:
    """One JSON object a line, one line an epoch; written whole, so that a resumed run leaves no line twice."""
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    files.write_checked(path, content)
