"""The keyed work queue: which key is reconciled next.

Semantics of client-go's workqueue (k8s.io/client-go/util/workqueue): a key waits at most once, is handed to one worker at a time,
and a key added while it is being worked on is handed out again afterwards. Keys can be added for later and, after a failure, with
a backoff of their own. Knows nothing of Kubernetes; deterministic under a virtual event loop.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable

from provider.api.meta import ObjectKey
from provider.backoff import RECONCILE


class WorkQueue:
    """Use from one event loop only. `waited` is called with the seconds that each key handed out has waited."""

    def __init__(self, *, chance: Callable[[], float] = random.random, waited: Callable[[float], None] = lambda _: None) -> None:
        self._chance, self._waited = chance, waited
        self._ready: asyncio.Queue[ObjectKey] = asyncio.Queue()
        self._dirty: dict[ObjectKey, float] = {}
        self._processing: dict[ObjectKey, float] = {}
        self._failures: dict[ObjectKey, int] = {}
        self._due: dict[ObjectKey, float] = {}
        self._heap: list[tuple[float, int, ObjectKey]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        """How many keys are ready to be handed out."""
        return self._ready.qsize()

    # --- producers -------------------------------------------------------------------------------------------------------------

    def add(self, key: ObjectKey) -> None:
        """Hand the key out as soon as a worker is free; no-op when it waits already."""
        if self._closed or key in self._dirty:
            return
        self._dirty[key] = _now()
        if key not in self._processing:  # else `done` hands it out again: one key is never with two workers
            self._ready.put_nowait(key)

    def add_after(self, key: ObjectKey, seconds: float) -> None:
        """Add it later. Of several times for one key the soonest counts; handing the key out forgets it."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(key)
            return
        when = _now() + seconds
        if when < self._due.get(key, float("inf")):
            # The key's later entry stays in the heap, where removing costs O(n); it does not match _due any more and is skipped.
            self._due[key] = when
            heapq.heappush(self._heap, (when, next(self._order), key))
            self._arm()

    def add_failed(self, key: ObjectKey, *, at_least: float = 0.0) -> float:
        """Add it after the key's own backoff (RECONCILE), but no sooner than `at_least`. Returns the seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        seconds = max(at_least, RECONCILE.delay(failures, self._chance))
        self.add_after(key, seconds)
        return seconds

    def forget(self, key: ObjectKey) -> None:
        """The key's last pass went well: its next failure starts at the shortest backoff."""
        self._failures.pop(key, None)

    def failures(self, key: ObjectKey) -> int:
        return self._failures.get(key, 0)

    # --- workers ---------------------------------------------------------------------------------------------------------------

    async def get(self) -> ObjectKey:
        """The next key. No other worker gets it until the caller calls `done`."""
        key = await self._ready.get()
        now = _now()
        self._waited(now - self._dirty.pop(key))
        self._processing[key] = now
        self._idle.clear()
        self._due.pop(key, None)
        return key

    def done(self, key: ObjectKey) -> None:
        del self._processing[key]
        if not self._processing:
            self._idle.set()
        if key in self._dirty and not self._closed:
            self._ready.put_nowait(key)

    def close(self) -> None:
        """Hand out nothing more; what is being worked on may finish."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        while not self._ready.empty():
            self._ready.get_nowait()

    async def idle(self) -> None:
        """Return when no worker holds a key."""
        await self._idle.wait()

    def oldest(self) -> tuple[ObjectKey, float] | None:
        """The key a worker has held longest, and for how many seconds."""
        if not self._processing:
            return None
        key, since = min(self._processing.items(), key=lambda item: item[1])
        return key, _now() - since

    # --- delayed keys ----------------------------------------------------------------------------------------------------------

    def _arm(self) -> None:
        """Set the timer to the soonest entry that still counts."""
        if self._timer is not None:
            self._timer.cancel()
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        if self._heap:
            self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._release)

    def _release(self) -> None:
        while self._heap and self._heap[0][0] <= _now():
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)
        self._arm()


def _now() -> float:
    return asyncio.get_running_loop().time()
