"""One listing for many observers: who may be given which. Knows nothing of engines.

Looking at all containers costs some processes, and every object looks: without sharing, n objects would cost n looks at n containers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Runs `make` as seldom as its callers allow."""

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None
        self._kept: tuple[float, T] | None = None
        """When (loop time, monotonic) the newest value began to be made, and the value; None: there is none, or it is outdated."""
        self._changes = 0

    async def fresh(self) -> T:
        """As things were at some moment after this call. Calls that come while a value is being made share the next one."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        return await asyncio.shield(self._next)

    def recent(self, seconds: float) -> T | None:
        """As things were at most so many seconds before this call, and never before the last `forget`; None: nothing is known."""
        if self._kept is not None and asyncio.get_running_loop().time() - self._kept[0] < seconds:
            return self._kept[1]
        return None

    def forget(self) -> None:
        """Something changed: what was or is being made is only for those who asked before."""
        self._changes += 1
        self._kept = None

    async def _after(self, current: asyncio.Task[T] | None) -> T:
        """The value after the running one. A caller must not be given that one: it may have begun before the caller's change."""
        if current is not None:
            await asyncio.wait([current])
        self._running, self._next = self._next, None  # from here on a new caller waits for another one
        begun, changes = asyncio.get_running_loop().time(), self._changes
        made = await self._make()
        if changes == self._changes:
            self._kept = (begun, made)
        return made
