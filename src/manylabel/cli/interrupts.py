"""Ctrl-C on the command line: it ends the program with code 130, however often it is pressed."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED = 130
_PAUSE = 2.0  # seconds in which a further Ctrl-C does not disturb the tidying up


class Interrupts:
    """What Ctrl-C has done so far.

    The first raises ``KeyboardInterrupt``; those that follow at once are the same wish. One that comes later, while
    the program is still tidying up, cuts that short.
    """

    def __init__(self) -> None:
        self.last: float | None = None

    @property
    def seen(self) -> bool:
        """Whether there was one."""
        return self.last is not None

    def __call__(self, signal_number: int, frame: FrameType | None) -> None:
        if _importing(frame):
            os._exit(INTERRUPTED)  # half a module breaks whoever uses it; what is on disk survives any end
        now = time.monotonic()
        if self.last is None or now - self.last > _PAUSE:
            self.last = now
            raise KeyboardInterrupt

    def lost(self, problem: Any) -> None:
        """Raise again what was raised where nothing can be, such as a callback of the garbage collector."""
        if issubclass(problem.exc_type, KeyboardInterrupt):
            self.last = None
            threading.Timer(0.05, _thread.interrupt_main).start()
        else:
            sys.__unraisablehook__(problem)


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being loaded."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Heed Ctrl-C inside; once there was one, the process ignores it to its end."""
    found = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield found
        return
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # whoever started this decides when it stops
        yield found
        return
    hook, sys.unraisablehook = sys.unraisablehook, found.lost
    try:
        signal.signal(signal.SIGINT, found)
        yield found
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, signal.SIG_IGN if found.seen else before)
