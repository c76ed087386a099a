"""provider.controller.controller: from events to keys, and from the outcome of a pass to the time of the next."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.backoff import CONFLICT, Backoff
from provider.controller.controller import STREAM_DELAY, Controller
from provider.controller.result import Result
from provider.controller.sources import Stream, Watch
from provider.errors import Conflict, NotOurs, Terminal, Transient
from tests.fakes.clock import in_virtual_time

A, B = ObjectKey("default", "a"), ObjectKey("default", "b")
RESYNC, TIMEOUT = 300.0, 60.0
WIDGETS = Resource("example.com", "v1", "widgets", "Widget")
OWNERS = Resource("example.com", "v1", "owners", "Owner")


def now() -> float:
    return asyncio.get_running_loop().time()


def obj(key: ObjectKey) -> JsonObject:
    return {"metadata": {"namespace": key.namespace, "name": key.name}}


class Bench:
    """A controller with a reconciler that does what the test says; records when each pass began and how it ended."""

    def __init__(self, reconcile: Callable[[ObjectKey], Awaitable[Result]], **options: Any) -> None:
        self.passes: list[tuple[float, ObjectKey]] = []
        self.outcomes: list[str] = []
        self._inner = reconcile
        self.controller = Controller(
            WIDGETS,
            self._reconcile,
            timeout=TIMEOUT,
            sync_period=RESYNC,
            reconciled=self.reconciled,
            queue_waited=self.queue_waited,
            chance=lambda: 0.5,
            **options,
        )
        self.queue = self.controller.queue

    async def _reconcile(self, key: ObjectKey) -> Result:
        self.passes.append((now(), key))
        return await self._inner(key)

    def queue_waited(self, controller: str, seconds: float) -> None:
        assert controller == "widget"

    def reconciled(self, controller: str, key: ObjectKey, outcome: str, seconds: float, result: Result) -> None:
        assert controller == "widget"
        self.outcomes.append(outcome)

    async def run(self, seconds: float, keys: Sequence[ObjectKey] = (A,)) -> list[float]:
        """Have the keys reconciled and return the times of all passes of A within so many seconds."""
        for key in keys:
            self.queue.add(key)
        running = asyncio.create_task(self.controller.run())
        await asyncio.sleep(seconds)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return [when for when, key in self.passes if key == A]


def raising(error: Exception) -> Callable[[ObjectKey], Awaitable[Result]]:
    async def look(key: ObjectKey) -> Result:
        raise error

    return look


def answering(result: Result) -> Callable[[ObjectKey], Awaitable[Result]]:
    async def look(key: ObjectKey) -> Result:
        return result

    return look


@pytest.mark.fault(7, "no event at all: the resync", invariants="I1")
@in_virtual_time
async def test_an_object_of_ours_is_reconciled_again_after_every_sync_period() -> None:
    """Even without any event."""
    bench = Bench(answering(Result(resync=True, phase="Ready")))

    assert await bench.run(1000) == pytest.approx([0, 300, 600, 900])


@in_virtual_time
async def test_an_object_that_is_gone_or_not_ours_is_left_alone() -> None:
    """Only an event brings it back."""
    assert await Bench(answering(Result())).run(10_000) == [0]


@in_virtual_time
async def test_a_result_says_when_to_requeue() -> None:
    """The sooner of its wish and the resync."""
    assert await Bench(answering(Result(requeue_after=100, resync=True))).run(350) == pytest.approx([0, 100, 200, 300])


@in_virtual_time
async def test_zero_means_at_once_and_lets_others_in_between() -> None:
    """No key starves the rest of the queue."""
    count = 0

    async def look(key: ObjectKey) -> Result:
        nonlocal count
        count += 1
        return Result(requeue_after=0.0 if count < 10 else None)

    bench = Bench(look)
    bench.queue.add(B)
    await bench.run(1)

    assert [key for _, key in bench.passes][:3] == [B, A, B]


@pytest.mark.fault(9, "a pass ends with a conflict", invariants="I1")
@in_virtual_time
async def test_a_conflict_is_requeued_almost_at_once() -> None:
    """And does not count as a failure."""
    bench = Bench(raising(Conflict(Reason.CONFLICT, "stale")))
    times = await bench.run(1)

    assert times[:3] == pytest.approx([0, 0.05, 0.15])
    assert bench.queue.failures(A) == 0


@in_virtual_time
async def test_conflicts_without_end_are_requeued_ever_later() -> None:
    """A webhook that always answers 409 must not be asked twenty times a second for ever."""
    times = await Bench(raising(Conflict(Reason.CONFLICT, "always"))).run(600)

    assert len(times) <= 35
    assert max(later - sooner for sooner, later in itertools.pairwise(times)) <= CONFLICT.limit + 0.01


@in_virtual_time
async def test_a_success_lets_the_next_conflict_be_requeued_at_once() -> None:
    """Races are counted in a row only."""
    outcomes = iter([Conflict(Reason.CONFLICT, "c"), Conflict(Reason.CONFLICT, "c"), None, Conflict(Reason.CONFLICT, "c")])

    async def look(key: ObjectKey) -> Result:
        if (error := next(outcomes, None)) is not None:
            raise error
        return Result(requeue_after=10)

    assert (await Bench(look).run(11))[:5] == pytest.approx([0, 0.05, 0.15, 10.15, 10.2])


@in_virtual_time
async def test_a_stray_cancellation_ends_no_worker() -> None:
    """Something that a pass awaited was cancelled: the pass failed, its worker goes on."""

    async def look(key: ObjectKey) -> Result:
        if len(bench.passes) == 1:
            raise asyncio.CancelledError
        return Result()

    bench = Bench(look)

    assert await bench.run(5) == pytest.approx([0, 0.2])
    assert bench.outcomes == ["defect", "success"]


@in_virtual_time
async def test_a_stray_cancellation_ends_no_stream() -> None:
    """It is opened again."""
    opened: list[float] = []

    async def events() -> AsyncIterator[str]:
        opened.append(now())
        if len(opened) == 1:
            raise asyncio.CancelledError
        yield "a"
        await asyncio.sleep(1000)

    stream = Stream("engine", events, lambda name: [ObjectKey("default", name)], Backoff(1.0, 30.0))
    times = await Bench(answering(Result()), streams=[stream]).run(5, keys=())

    assert opened == pytest.approx([0, 1])
    assert times == pytest.approx([1 + STREAM_DELAY])


@in_virtual_time
async def test_a_worker_that_has_ended_is_named() -> None:
    """For /healthz: a controller without workers looks alive otherwise."""
    bench = Bench(answering(Result()), concurrency=2)
    running = asyncio.create_task(bench.controller.run())
    await asyncio.sleep(1)
    assert bench.controller.ended() == []

    next(task for task in asyncio.all_tasks() if task.get_name() == "widget worker 1").cancel()
    await asyncio.sleep(1)

    assert bench.controller.ended() == ["widget worker 1"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@in_virtual_time
async def test_a_server_that_asks_for_a_year_is_asked_again_after_minutes() -> None:
    """Retry-After is the word of whoever answers, a broken proxy too."""
    times = await Bench(raising(Transient(Reason.API_ERROR, "later", retry_after=1e9))).run(1000)

    assert times[:3] == pytest.approx([0, 300, 600])


@pytest.mark.fault(10, "a pass fails again and again", invariants="I12")
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


@pytest.mark.fault(10, "429 with Retry-After to a pass", invariants="I1")
@in_virtual_time
async def test_the_servers_retry_after_is_honoured() -> None:
    """It replaces our own backoff where that is shorter."""
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


@pytest.mark.fault(18, "a pass hangs", invariants="I12 I14")
@in_virtual_time
async def test_a_pass_that_hangs_is_cancelled_and_retried() -> None:
    """One stuck object holds one worker for a minute at most."""

    async def look(key: ObjectKey) -> Result:
        await asyncio.sleep(10_000)
        return Result()

    bench = Bench(look)

    assert (await bench.run(200))[:2] == pytest.approx([0, TIMEOUT + 0.2])
    assert bench.outcomes[0] == "timeout"


@pytest.mark.fault(40, "one object fails all the time", invariants="I12")
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

    assert len([key for _, key in bench.passes if key == B]) >= 99


@in_virtual_time
async def test_several_workers_never_reconcile_one_key_at_once() -> None:
    """However often it is added."""
    active: set[ObjectKey] = set()

    async def look(key: ObjectKey) -> Result:
        assert key not in active
        active.add(key)
        bench.queue.add(key)
        await asyncio.sleep(0.5)
        active.discard(key)
        return Result(requeue_after=0.0)

    bench = Bench(look, concurrency=4)
    await bench.run(20)

    assert set(bench.outcomes) == {"success"}


@in_virtual_time
async def test_every_pass_is_counted_by_its_outcome() -> None:
    """One of provider.observability.metrics.OUTCOMES."""
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


# --- events to keys ----------------------------------------------------------------------------------------------------------------


def keys_of_owner(owner: JsonObject) -> list[ObjectKey]:
    return [ObjectKey(owner["metadata"]["namespace"], name) for name in owner["owns"]]


@in_virtual_time
async def test_events_requeue_the_object_itself_and_what_a_mapping_names() -> None:
    """Other resources mean nothing to it."""
    bench = Bench(answering(Result()), watches=[Watch(OWNERS, keys_of_owner)])
    bench.controller.handle(WIDGETS, obj(A))
    bench.controller.handle(OWNERS, obj(A) | {"owns": ["b", "c"]})
    bench.controller.handle(Resource("", "v1", "secrets", "Secret"), obj(ObjectKey("default", "s")))
    await bench.run(1, keys=())

    assert [key for _, key in bench.passes] == [A, B, ObjectKey("default", "c")]


@in_virtual_time
async def test_a_controller_of_one_namespace_drops_keys_of_the_others() -> None:
    """Whatever resource brought them."""
    bench = Bench(answering(Result()), watches=[Watch(OWNERS, keys_of_owner)], namespace="default")
    other = ObjectKey("other", "a")
    bench.controller.handle(WIDGETS, obj(other))
    bench.controller.handle(OWNERS, obj(other) | {"owns": ["b"]})
    bench.controller.handle(WIDGETS, obj(A))
    await bench.run(1, keys=())

    assert [key for _, key in bench.passes] == [A]


@in_virtual_time
async def test_events_of_a_stream_requeue_keys_once_per_burst() -> None:
    """An engine reports many for one change."""

    async def events() -> AsyncIterator[str]:
        for _ in range(5):
            yield "a"
        await asyncio.sleep(1000)

    stream = Stream("engine", events, lambda name: [ObjectKey("default", name)], Backoff(1.0, 30.0))

    assert await Bench(answering(Result()), streams=[stream]).run(10, keys=()) == pytest.approx([STREAM_DELAY])


@in_virtual_time
async def test_a_stream_that_fails_is_opened_again_with_growing_waits() -> None:
    """Until it brings an event: then the waits begin small again."""
    opened: list[float] = []

    async def events() -> AsyncIterator[str]:
        opened.append(now())
        if len(opened) == 4:
            yield "a"
        raise Transient(Reason.ENGINE_UNREACHABLE, "no engine")

    stream = Stream("engine", events, lambda name: [ObjectKey("default", name)], Backoff(1.0, 30.0))
    times = await Bench(answering(Result()), streams=[stream]).run(9, keys=())

    assert opened == pytest.approx([0, 1, 3, 7, 8])
    assert times == pytest.approx([7 + STREAM_DELAY])


@in_virtual_time
async def test_a_defect_in_a_stream_ends_the_controller() -> None:
    """A controller that misses events must not look alive."""

    async def events() -> AsyncIterator[str]:
        yield "a"

    def keys(event: str) -> list[ObjectKey]:
        raise RuntimeError("defect")

    bench = Bench(answering(Result()), streams=[Stream("engine", events, keys, Backoff(1.0, 30.0))])
    with pytest.raises(ExceptionGroup):
        await bench.controller.run()
