"""Blocking work under a lock: a cancelled task must not let go of the lock while its thread still works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def to_end(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """asyncio.to_thread, except that cancellation is let through only after the thread has finished."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # noqa: BLE001 - it is in the task, and raised below
            break
    if cancelled is not None:
        task.exception()  # it was looked at: nobody waits for it any more
        raise cancelled
    return task.result()
