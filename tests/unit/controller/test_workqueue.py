"""provider.controller.workqueue: the promises of a keyed work queue, one by one and under random interleavings."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from provider.api.meta import ObjectKey
from provider.backoff import RECONCILE
from provider.controller.workqueue import WorkQueue
from tests.fakes.clock import VirtualLoop, in_virtual_time

A, B, C = (ObjectKey("default", name) for name in "abc")


def middle() -> float:
    """A chance that makes jitter vanish."""
    return 0.5


def now() -> float:
    return asyncio.get_running_loop().time()


async def taken(queue: WorkQueue) -> tuple[ObjectKey, object]:
    """The next key, and when it came."""
    return await queue.get(), now()


async def is_empty(queue: WorkQueue) -> bool:
    """Nothing is handed out now."""
    await asyncio.sleep(0)
    return len(queue) == 0


@in_virtual_time
async def test_a_key_added_twice_is_handed_out_once() -> None:
    """Events pile up; one look answers them all."""
    queue = WorkQueue()
    queue.add(A)
    queue.add(A)

    assert await queue.get() == A
    assert await is_empty(queue)


@in_virtual_time
async def test_keys_come_in_the_order_they_were_added() -> None:
    """First come, first served."""
    queue = WorkQueue()
    for key in (B, A, C):
        queue.add(key)

    assert [await queue.get() for _ in range(3)] == [B, A, C]


@in_virtual_time
async def test_a_key_being_worked_on_goes_to_nobody_else() -> None:
    """Passes of one object never overlap; what happened meanwhile is looked at afterwards."""
    queue = WorkQueue()
    queue.add(A)
    await queue.get()
    queue.add(A)

    assert await is_empty(queue)

    queue.done(A)

    assert await queue.get() == A


@in_virtual_time
async def test_a_key_nobody_added_again_is_gone_when_done() -> None:
    """Done without news means nothing left to do."""
    queue = WorkQueue()
    queue.add(A)
    queue.done(await queue.get())

    assert await is_empty(queue)


@in_virtual_time
async def test_a_delayed_key_comes_at_its_time() -> None:
    """add_after is exact to the loop's clock."""
    queue = WorkQueue()
    queue.add_after(A, 30.0)
    queue.add_after(B, 10.0)

    assert await taken(queue) == (B, pytest.approx(10.0))
    assert await taken(queue) == (A, pytest.approx(30.0))


@in_virtual_time
async def test_of_two_delays_the_sooner_counts() -> None:
    """A long resync never delays a short wait, in whichever order they were asked for."""
    queue = WorkQueue()
    queue.add_after(A, 300.0)
    queue.add_after(A, 1.0)
    queue.add_after(A, 60.0)

    assert await taken(queue) == (A, pytest.approx(1.0))
    queue.done(A)
    await asyncio.sleep(1000)

    assert await is_empty(queue)


@in_virtual_time
async def test_handing_a_key_out_forgets_its_delay() -> None:
    """The pass that now begins decides anew when to look again."""
    queue = WorkQueue()
    queue.add_after(A, 5.0)
    queue.add(A)
    queue.done(await queue.get())
    await asyncio.sleep(10)

    assert await is_empty(queue)


@in_virtual_time
async def test_no_delay_means_now() -> None:
    """Zero and less are not sent through the timer."""
    queue = WorkQueue()
    queue.add_after(A, 0.0)

    assert await taken(queue) == (A, 0.0)


@in_virtual_time
async def test_backoff_doubles_to_five_minutes_and_starts_over_after_success() -> None:
    """Failures of one key slow down that key only."""
    queue = WorkQueue(chance=middle)

    delays = [queue.add_failed(A) for _ in range(14)]

    assert delays[:4] == pytest.approx([0.2, 0.4, 0.8, 1.6])
    assert delays[-1] == RECONCILE.limit
    assert queue.add_failed(B) == pytest.approx(0.2)

    queue.forget(A)

    assert queue.add_failed(A) == pytest.approx(0.2)


@in_virtual_time
async def test_jitter_spreads_by_a_quarter_in_both_directions() -> None:
    """Keys that fail together do not come back together."""
    assert WorkQueue(chance=lambda: 0.0).add_failed(A) == pytest.approx(0.15)
    assert WorkQueue(chance=lambda: 1.0).add_failed(A) == pytest.approx(0.25)


@in_virtual_time
async def test_a_closed_queue_takes_and_gives_nothing() -> None:
    """Shutting down: what is being worked on may finish, and does not come back."""
    queue = WorkQueue()
    queue.add(A)
    queue.add(B)
    queue.add_after(C, 1.0)
    key = await queue.get()
    queue.add(key)
    queue.close()
    queue.done(key)
    queue.add(C)
    queue.add_after(C, 2.0)
    await asyncio.sleep(10)

    assert await is_empty(queue)


@in_virtual_time
async def test_the_queue_says_how_long_keys_wait_and_are_held() -> None:
    """What metrics and the health check are made of."""
    waits: list[float] = []
    queue = WorkQueue(waited=waits.append)
    queue.add(A)
    await asyncio.sleep(2)
    await queue.get()
    await asyncio.sleep(3)

    assert waits == pytest.approx([2.0])
    oldest: object = queue.oldest()
    assert oldest == (A, pytest.approx(3.0))

    queue.done(A)

    assert queue.oldest() is None


KEYS = st.sampled_from([A, B, C])


class QueueMachine(RuleBasedStateMachine):
    """Random producers, workers and time against a model: sets of what must, may and must not be handed out."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.queue = self.loop.run_until_complete(self._make())
        self.wanted: set[ObjectKey] = set()
        self.held: set[ObjectKey] = set()
        self.due: dict[ObjectKey, float] = {}

    async def _make(self) -> WorkQueue:
        return WorkQueue(chance=middle)

    def teardown(self) -> None:
        self.queue.close()
        self.loop.close()

    def settle(self, seconds: float = 0.0) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        for key, when in list(self.due.items()):
            if when <= self.loop.time():
                del self.due[key]
                self.wanted.add(key)

    @rule(key=KEYS)
    def add(self, key: ObjectKey) -> None:
        async def act() -> None:
            self.queue.add(key)

        self.loop.run_until_complete(act())
        self.wanted.add(key)

    @rule(key=KEYS, seconds=st.floats(0.1, 50))
    def add_after(self, key: ObjectKey, seconds: float) -> None:
        async def act() -> None:
            self.queue.add_after(key, seconds)

        when = self.loop.time() + seconds
        self.due[key] = min(when, self.due.get(key, when))
        self.loop.run_until_complete(act())

    @rule(seconds=st.floats(0, 60))
    def pass_time(self, seconds: float) -> None:
        self.settle(seconds)

    @precondition(lambda self: self.wanted - self.held)
    @rule()
    def take(self) -> None:
        key = self.loop.run_until_complete(self.queue.get())

        assert key in self.wanted
        assert key not in self.held

        self.wanted.discard(key)
        self.held.add(key)
        self.due.pop(key, None)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.held, key=str)))
        self.queue.done(key)
        self.held.discard(key)

    @invariant()
    def offers_exactly_what_is_wanted_and_free(self) -> None:
        self.settle()

        assert len(self.queue) == len(self.wanted - self.held)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
