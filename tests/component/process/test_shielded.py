"""Work that is awaited to its end although the awaiting task is cancelled."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from provider.adapters.process.shielded import finish


async def test_a_cancelled_wait_ends_after_its_thread() -> None:
    """Else a lock would be let go of with somebody at work under it. The second cancel does not help either."""
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(5)
        done.set()

    waiting = asyncio.ensure_future(finish(asyncio.to_thread(work)))
    await asyncio.to_thread(begun.wait, 5)
    for _ in range(2):
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=0.02)
        assert not waiting.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done.is_set()


async def test_what_a_thread_returns_or_raises_comes_through() -> None:
    """As without `finish`."""
    assert await finish(asyncio.to_thread(int, "7")) == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await finish(asyncio.to_thread(int, "x"))


async def test_work_that_is_itself_cancelled_ends_the_wait() -> None:
    """At the end of a loop asyncio cancels every task: nobody waits for ever then."""
    work = asyncio.ensure_future(asyncio.sleep(60))
    waiting = asyncio.ensure_future(finish(work))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_error_after_a_cancellation_is_not_reported_twice() -> None:
    """The cancellation is what the caller hears; the error is marked as seen, and the loop logs nothing."""
    go_on = asyncio.Event()
    reports: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))

    async def work() -> None:
        await go_on.wait()
        raise KeyError

    waiting = asyncio.ensure_future(finish(work()))
    await asyncio.sleep(0)
    waiting.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gc.collect()

    assert reports == []
