"""Reporting a piece of work as a Step of a long operation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from provider.ports.runtime import Progress, Step, StepState

T = TypeVar("T")


async def as_step(progress: Progress, name: str, work: Awaitable[T]) -> T:
    """Await `work`; report its start, and its end with the seconds it took, also when it fails or is cancelled."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    progress(Step(name, StepState.STARTED))
    try:
        result = await work
    except BaseException:
        progress(Step(name, StepState.FAILED, loop.time() - started))
        raise
    progress(Step(name, StepState.SUCCEEDED, loop.time() - started))
    return result
