"""provider.controller.controller: from the outcome of a look to the time of the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.controller.controller import Workers
from provider.controller.result import Result
from provider.controller.workqueue import WorkQueue
from provider.errors import Conflict, NotOurs, Terminal, Transient
from tests.fakes.clock import in_virtual_time

A, B = ObjectKey("default", "a"), ObjectKey("default", "b")
RESYNC, TIMEOUT = 300.0, 60.0


def now() -> float:
    return asyncio.get_running_loop().time()


class Bench:
    """A queue, one worker, and a reconciler that does what the test says; notes when each look began."""

    def __init__(self, look: Callable[[ObjectKey], Awaitable[Result]]) -> None:
        self.looks: list[tuple[float, ObjectKey]] = []
        self.outcomes: list[str] = []
        self._look = look
        self.queue = WorkQueue(chance=lambda: 0.5)
        self.workers = Workers(self.queue, self._reconcile, timeout=TIMEOUT, resync=RESYNC, passed=self._passed)

    async def _reconcile(self, key: ObjectKey) -> Result:
        self.looks.append((now(), key))
        return await self._look(key)

    def _passed(self, key: ObjectKey, outcome: str, seconds: float, result: Result) -> None:
        self.outcomes.append(outcome)

    async def run(self, seconds: float, workers: int = 1) -> list[float]:
        """Have A looked at and return the times of all looks within so many seconds."""
        self.queue.add(A)
        tasks = [asyncio.create_task(self.workers.work()) for _ in range(workers)]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        return [when for when, key in self.looks if key == A]


def raising(error: Exception) -> Callable[[ObjectKey], Awaitable[Result]]:
    async def look(key: ObjectKey) -> Result:
        raise error

    return look


def answering(result: Result) -> Callable[[ObjectKey], Awaitable[Result]]:
    async def look(key: ObjectKey) -> Result:
        return result

    return look


@in_virtual_time
async def test_an_object_of_ours_is_looked_at_again_at_every_resync() -> None:
    """Nothing happened, nothing is assumed."""
    bench = Bench(answering(Result(resync=True, phase="Ready")))

    assert await bench.run(1000) == pytest.approx([0, 300, 600, 900])


@in_virtual_time
async def test_an_object_that_is_gone_or_not_ours_is_left_alone() -> None:
    """Only an event brings it back."""
    assert await Bench(answering(Result())).run(10_000) == [0]


@in_virtual_time
async def test_a_result_says_when_to_look_again() -> None:
    """The sooner of its wish and the resync."""
    assert await Bench(answering(Result(requeue_after=100, resync=True))).run(350) == pytest.approx([0, 100, 200, 300])


@in_virtual_time
async def test_zero_means_at_once_and_lets_others_in_between() -> None:
    """No look starves the rest of the queue."""
    count = 0

    async def look(key: ObjectKey) -> Result:
        nonlocal count
        count += 1
        return Result(requeue_after=0.0 if count < 10 else None)

    bench = Bench(look)
    bench.queue.add(B)
    await bench.run(1)

    assert [key for _, key in bench.looks][:3] == [B, A, B]


@in_virtual_time
async def test_a_conflict_is_looked_at_again_almost_at_once() -> None:
    """And does not count as a failure."""
    bench = Bench(raising(Conflict(Reason.CONFLICT, "stale")))
    times = await bench.run(1)

    assert times[:3] == pytest.approx([0, 0.05, 0.1])
    assert bench.queue.failures(A) == 0


@pytest.mark.parametrize(
    "error",
    [
        Transient(Reason.API_ERROR, "busy"),
        Terminal(Reason.FORBIDDEN, "no"),
        NotOurs(Reason.NAME_CONFLICT, "hands off"),
        ValueError("defect"),
    ],
)
def test_any_error_is_tried_again_with_growing_waits(error: Exception) -> None:
    """Nothing is given up by the worker, not even a defect of ours: level-triggered means for ever."""

    @in_virtual_time
    async def check() -> None:
        assert (await Bench(raising(error)).run(4))[:5] == pytest.approx([0, 0.2, 0.6, 1.4, 3.0], abs=0.01)

    check()


@in_virtual_time
async def test_the_servers_wish_to_be_left_alone_is_honoured() -> None:
    """Retry-After beats our own shorter backoff."""
    assert await Bench(raising(Transient(Reason.API_ERROR, "slow down", retry_after=7))).run(20) == pytest.approx([0, 7, 14])


@in_virtual_time
async def test_success_resets_the_backoff() -> None:
    """The next failure begins small again."""
    outcomes = iter(
        [Transient(Reason.API_ERROR, "x"), Transient(Reason.API_ERROR, "x"), None, Transient(Reason.API_ERROR, "x"), None]
    )

    async def look(key: ObjectKey) -> Result:
        error = next(outcomes, None)
        if error is not None:
            raise error
        return Result(requeue_after=10)

    times = await Bench(look).run(12)

    assert times[:5] == pytest.approx([0, 0.2, 0.6, 10.6, 10.8])


@in_virtual_time
async def test_a_look_that_hangs_is_ended_and_tried_again() -> None:
    """One stuck object holds one worker for a minute at most."""

    async def look(key: ObjectKey) -> Result:
        await asyncio.sleep(10_000)
        return Result()

    bench = Bench(look)

    assert (await bench.run(200))[:2] == pytest.approx([0, TIMEOUT + 0.2])
    assert bench.outcomes[0] == "timeout"


@in_virtual_time
async def test_a_broken_object_does_not_slow_the_others() -> None:
    """A backs off alone."""

    async def look(key: ObjectKey) -> Result:
        if key == A:
            raise Transient(Reason.API_ERROR, "broken")
        return Result(requeue_after=1.0)

    bench = Bench(look)
    bench.queue.add(B)
    await bench.run(100)

    assert len([key for _, key in bench.looks if key == B]) >= 99


@in_virtual_time
async def test_several_workers_never_look_at_one_object_at_once() -> None:
    """However often it is added."""
    active: set[ObjectKey] = set()

    async def look(key: ObjectKey) -> Result:
        assert key not in active
        active.add(key)
        bench.queue.add(key)
        await asyncio.sleep(0.5)
        active.discard(key)
        return Result(requeue_after=0.0)

    bench = Bench(look)
    await bench.run(20, workers=4)

    assert set(bench.outcomes) == {"success"}


@in_virtual_time
async def test_every_look_is_counted_by_how_it_ended() -> None:
    """What the metrics say."""
    errors = iter(
        [
            Conflict(Reason.CONFLICT, "c"),
            Transient(Reason.API_ERROR, "t"),
            Terminal(Reason.FORBIDDEN, "e"),
            RuntimeError("defect"),
            None,
        ]
    )

    async def look(key: ObjectKey) -> Result:
        if (error := next(errors, None)) is not None:
            raise error
        return Result()

    bench = Bench(look)
    await bench.run(10)

    assert bench.outcomes == ["conflict", "transient", "terminal", "defect", "success"]
