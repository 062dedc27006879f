"""Classifiers for tests, by import path: one that fails while a file is there, one that kills its process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from sklearn.dummy import DummyClassifier


class FailsWhileThere(DummyClassifier):
    """Fails while the file that the environment names is there."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if Path(os.environ["MANYLABEL_TEST_FAILS"]).exists():
            raise RuntimeError("the file is there")
        return super().fit(X, y, sample_weight)


class KillsItsProcess(DummyClassifier):
    """Leaves a line in the file that the environment names, and ends its process at once."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        with open(os.environ["MANYLABEL_TEST_KILLS"], "a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
        os.kill(os.getpid(), signal.SIGKILL)


class KillsWhereAsked(DummyClassifier):
    """Ends its process at once where a parameter says so."""

    def __init__(self, deadly: bool = False) -> None:
        super().__init__()
        self.deadly = deadly

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y, sample_weight)
