"""Work that must not be left half-way when the task that awaits it is cancelled: ending processes, a thread that works under a lock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def finish(work: Awaitable[T]) -> T:
    """Await `work` to its end; a cancellation that comes meanwhile, once or several times, is let through only then.

    For a function of its own thread: `await finish(asyncio.to_thread(function))`. A cancelled `to_thread` alone returns at once
    while its thread works on, and a lock around it would be released too early.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])  # unlike `await task`, it does not hand our own cancellation on to the task
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # marks an error as seen; asyncio would log "exception was never retrieved" else
        raise cancelled
    return task.result()
