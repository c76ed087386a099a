"""Time that tests control: a wall clock moved by hand, and an event loop whose time jumps instead of passing."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec

P = ParamSpec("P")
EPOCH = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class FakeClock:
    """provider.ports.clock.Clock that stands still until told."""

    def __init__(self, now: datetime = EPOCH) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class LoopClock:
    """provider.ports.clock.Clock that follows the running event loop's time (virtual under `in_virtual_time`)."""

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of sleeping until the next timer, moves the loop's clock there."""

    jumped: float = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("deadlock: nothing is scheduled and everything waits")
        events: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not events and timeout > 0:
            self.jumped += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at 0.0 seconds; `time()` advances only when every task waits for a timer. No real input or output."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.jumped


async def _and_nothing_else(test: Coroutine[Any, Any, None]) -> None:
    """Leave no task behind, not even one that a cancelled task started."""
    try:
        await test
    finally:
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.wait(others, timeout=1)


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test to its end in no time at all."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(_and_nothing_else(test(*args, **kwargs)))

    return run
