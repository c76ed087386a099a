"""The last resort: a thread that ends the process when a deadline passes, without the help of an event loop that may hang.

The Lease moves the deadline on with each renewal, so that nothing of ours works on when another manager may have begun.
"""

from __future__ import annotations

import faulthandler
import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Watchdog:
    """Any number of moves, one thread. Times are those of time.monotonic, which every event loop's clock is."""

    def __init__(self, end: Callable[[], None]) -> None:
        """`end` is called in the thread, once, when a deadline has passed. It should not return to a process that works on."""
        self._end = end
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._thread: threading.Thread | None = None

    def move(self, deadline: float | None) -> None:
        """The time when the process must be over; None: no such time."""
        with self._changed:
            self._deadline = deadline
            self._changed.notify()
        if self._thread is None and deadline is not None:
            self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        with self._changed:
            while (left := self._left()) is None or left > 0:
                self._changed.wait(left)
        try:
            log.critical("The Lease ran out and the manager has not stopped: ending the process")
            faulthandler.dump_traceback()  # what hangs
        finally:
            self._end()

    def _left(self) -> float | None:
        return None if self._deadline is None else self._deadline - time.monotonic()
