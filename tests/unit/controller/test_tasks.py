"""provider.controller.tasks: slots, fairness, progress, cancellation."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import pytest

from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.controller.tasks import NEAR, PROGRESS_INTERVAL, QUEUE_INTERVAL, TaskManager
from provider.errors import Terminal, Transient
from provider.ports.runtime import Identity, Progress, Step, StepState, Verb
from provider.ports.tasks import Target, TaskState, TaskStatus, Work
from tests.fakes.clock import EPOCH, LoopClock, in_virtual_time

A, B, C, D = (ObjectKey("default", name) for name in "abcd")


class Watcher:
    """Notes when which key was re-queued."""

    def __init__(self) -> None:
        self.told: list[tuple[float, ObjectKey]] = []

    def __call__(self, key: ObjectKey) -> None:
        self.told.append((asyncio.get_running_loop().time(), key))

    def times(self, key: ObjectKey) -> list[float]:
        return [when for when, told in self.told if told == key]


def make_tasks(told: Watcher | None = None, ended: list[TaskStatus] | None = None) -> TaskManager:
    finished = (ended if ended is not None else []).append
    slots = {Verb.CREATE: 1, Verb.DELETE: 2, Verb.PREPARE: 2}
    return TaskManager(slots, told or Watcher(), LoopClock(), finished=finished)


def takes(seconds: float) -> Work:
    async def work(progress: Progress) -> None:
        await asyncio.sleep(seconds)

    return work


def fails(error: Exception) -> Work:
    async def work(progress: Progress) -> None:
        raise error

    return work


def status_of(tasks: TaskManager, key: ObjectKey) -> TaskStatus:
    status = tasks.status(key)
    assert status is not None
    return status


@in_virtual_time
async def test_a_task_tells_whom_it_works_for_from_its_start_to_after_its_end() -> None:
    """An object made anew under the same key is told apart by it."""
    tasks, target = make_tasks(), Target("kind", Identity("a", "0" * 32, "default/a"))
    tasks.start(A, Verb.CREATE, takes(1), target=target)
    assert status_of(tasks, A).target == target
    await asyncio.sleep(2)

    assert (status_of(tasks, A).state, status_of(tasks, A).target) == (TaskState.SUCCEEDED, target)


@in_virtual_time
async def test_a_task_runs_and_its_end_brings_the_key_back() -> None:
    """The reconciler needs no polling: start, forget about it, be called."""
    told = Watcher()
    tasks = make_tasks(told)
    tasks.start(A, Verb.CREATE, takes(20), tag="hash")

    running = status_of(tasks, A)
    assert (running.state, running.started_at, running.tag) == (TaskState.RUNNING, EPOCH, "hash")

    await asyncio.sleep(21)

    ended = status_of(tasks, A)
    assert (ended.state, ended.error) == (TaskState.SUCCEEDED, None)
    assert told.times(A)[-1] == pytest.approx(20)


@in_virtual_time
async def test_without_a_free_slot_tasks_wait_in_line_with_their_position() -> None:
    """First come, first served, and everyone can see where they stand."""
    tasks = make_tasks()
    for key in (A, B, C):
        tasks.start(key, Verb.CREATE, takes(10))

    assert [status_of(tasks, key).queue_position for key in (A, B, C)] == [0, 1, 2]
    assert status_of(tasks, C).state is TaskState.QUEUED

    await asyncio.sleep(10.5)

    assert [status_of(tasks, key).queue_position for key in (A, B, C)] == [0, 0, 1]
    assert status_of(tasks, B).state is TaskState.RUNNING


@in_virtual_time
async def test_verbs_have_slots_of_their_own() -> None:
    """A line of creates does not hold up a delete."""
    tasks = make_tasks()
    tasks.start(A, Verb.CREATE, takes(60))
    tasks.start(B, Verb.CREATE, takes(60))
    tasks.start(C, Verb.DELETE, takes(2))
    await asyncio.sleep(3)

    assert status_of(tasks, C).state is TaskState.SUCCEEDED
    assert tasks.counts() == {
        (Verb.CREATE, "running"): 1,
        (Verb.CREATE, "queued"): 1,
        (Verb.DELETE, "running"): 0,
        (Verb.DELETE, "queued"): 0,
        (Verb.PREPARE, "running"): 0,
        (Verb.PREPARE, "queued"): 0,
    }


@in_virtual_time
async def test_namespaces_take_turns() -> None:
    """One that asks for a hundred clusters does not keep the others waiting for all of them."""
    tasks = make_tasks()
    many = [ObjectKey("many", f"m{number}") for number in range(100)]
    for key in many:
        tasks.start(key, Verb.CREATE, takes(10))
    tasks.start(A, Verb.CREATE, takes(10))
    tasks.start(B, Verb.CREATE, takes(10))

    assert [status_of(tasks, key).queue_position for key in (A, many[1], B, many[2])] == [1, 2, 3, 4]

    await asyncio.sleep(35)

    assert status_of(tasks, A).state is TaskState.SUCCEEDED
    assert status_of(tasks, B).state is TaskState.RUNNING


@in_virtual_time
async def test_who_is_overtaken_is_told() -> None:
    """A position that has got worse is news as well."""
    told = Watcher()
    tasks = make_tasks(told)
    for key in (A, B, C):
        tasks.start(key, Verb.CREATE, takes(100))
    await asyncio.sleep(QUEUE_INTERVAL + 1)
    told.told.clear()
    tasks.start(ObjectKey("other", "x"), Verb.CREATE, takes(1))
    await asyncio.sleep(QUEUE_INTERVAL)

    assert (status_of(tasks, B).queue_position, status_of(tasks, C).queue_position) == (2, 3)
    assert told.times(B) and told.times(C)


@in_virtual_time
async def test_telling_positions_does_not_cost_a_pass_of_each_that_waits() -> None:
    """A slot that gets free every few seconds with 500 waiting: passes by the logarithm of what waits, and everybody near is told."""
    counts: dict[int, float] = {}
    for number in (50, 500):
        told = Watcher()
        tasks = make_tasks(told)
        keys = [ObjectKey("default", f"k{index}") for index in range(number)]
        for key in keys:
            tasks.start(key, Verb.CREATE, takes(QUEUE_INTERVAL))
        ends = 40
        await asyncio.sleep(ends * QUEUE_INTERVAL + 1)
        counts[number] = len(told.told) / ends
        heard = Counter(key for _, key in told.told)
        assert all(heard[key] >= NEAR for key in keys[NEAR + 2 : ends])
        await tasks.shutdown(1)

    assert counts[50] < 35
    assert counts[500] < 70


# --- what comes before the verb ---------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_what_comes_before_takes_no_slot_of_the_verb() -> None:
    """A pull that hangs keeps nobody from being created, who has an image."""
    tasks = make_tasks()
    tasks.start(A, Verb.CREATE, takes(10), before=takes(1000))
    tasks.start(B, Verb.CREATE, takes(10))
    await asyncio.sleep(5)

    slow = status_of(tasks, A)
    assert (slow.verb, slow.state, slow.preparing, slow.started_at) == (Verb.CREATE, TaskState.RUNNING, True, None)
    assert status_of(tasks, B).state is TaskState.RUNNING
    assert tasks.counts()[Verb.PREPARE, "running"] == 1


@in_virtual_time
async def test_then_it_waits_for_a_slot_of_the_verb() -> None:
    """Behind those that were there first; its start is the verb's."""
    tasks = make_tasks()
    tasks.start(A, Verb.CREATE, takes(10), before=takes(1))
    tasks.start(B, Verb.CREATE, takes(10))
    await asyncio.sleep(2)
    waiting = status_of(tasks, A)
    assert (waiting.state, waiting.preparing, waiting.queue_position) == (TaskState.QUEUED, False, 1)

    await asyncio.sleep(19)
    ended = status_of(tasks, A)
    assert ended.state is TaskState.SUCCEEDED
    assert ended.started_at is not None
    assert (ended.started_at - EPOCH).total_seconds() == pytest.approx(10)


@in_virtual_time
async def test_what_comes_before_is_bounded_and_shared_fairly() -> None:
    """A hundred pulls of one namespace are two at a time, and another namespace's is the third."""
    tasks = make_tasks()
    many = [ObjectKey("many", f"m{number}") for number in range(100)]
    for key in (*many, A):
        tasks.start(key, Verb.CREATE, takes(1), before=takes(100))
    await asyncio.sleep(1)
    assert tasks.counts()[Verb.PREPARE, "running"] == 2
    assert (status_of(tasks, A).queue_position, status_of(tasks, A).preparing) == (1, True)

    await asyncio.sleep(100)
    assert status_of(tasks, A).state is TaskState.RUNNING


@in_virtual_time
async def test_when_what_comes_before_fails_the_verb_does_not_begin() -> None:
    """The failure is the task's, with steps of its own and no start."""
    error = Terminal(Reason.IMAGE_NOT_FOUND, "no image")
    begun: list[ObjectKey] = []

    async def work(progress: Progress) -> None:
        begun.append(A)

    tasks = make_tasks()
    tasks.start(A, Verb.CREATE, work, before=fails(error))
    await asyncio.sleep(1)

    ended = status_of(tasks, A)
    assert (ended.verb, ended.state, ended.error, ended.started_at) == (Verb.CREATE, TaskState.FAILED, error, None)
    assert begun == []
    assert tasks.counts()[Verb.PREPARE, "running"] == 0


@pytest.mark.parametrize("seconds", [1.0, 3.0, 4.0])
def test_a_task_is_discarded_wherever_it_is(seconds: float) -> None:
    """At what comes before, at the very moment of its end, and at the verb itself: nothing of it runs afterwards."""

    @in_virtual_time
    async def check() -> None:
        tasks, began = make_tasks(), list[float]()

        async def work(progress: Progress) -> None:
            began.append(asyncio.get_running_loop().time())
            await asyncio.sleep(100)

        tasks.start(A, Verb.CREATE, work, before=takes(3.0))
        await asyncio.sleep(seconds)
        await tasks.discard(A)
        assert tasks.status(A) is None
        assert began == ([3.0] if seconds > 3 else [])
        tasks.start(B, Verb.CREATE, takes(1), before=takes(1))
        await asyncio.sleep(3)
        assert status_of(tasks, B).state is TaskState.SUCCEEDED

    check()


@in_virtual_time
async def test_work_that_swallows_its_cancellation_does_not_go_on_to_the_verb() -> None:
    """Discarding returns when it is over, not when its first half is."""
    tasks = make_tasks()

    async def stubborn(progress: Progress) -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            return

    tasks.start(A, Verb.CREATE, takes(1000), before=stubborn)
    await asyncio.sleep(1)
    await tasks.discard(A)

    assert tasks.status(A) is None
    assert tasks.counts()[Verb.CREATE, "running"] == 0


@in_virtual_time
async def test_a_waiting_key_is_told_when_it_moves_up_but_not_too_often() -> None:
    """Positions in the status stay true at the price of one write in five seconds."""
    told = Watcher()
    tasks = make_tasks(told)
    for key in (A, B, C, D):
        tasks.start(key, Verb.CREATE, takes(1))
    await asyncio.sleep(2.5)

    assert told.times(D) == []

    await asyncio.sleep(10)

    assert len([when for when in told.times(D) if when <= QUEUE_INTERVAL + 0.1]) <= 3


@in_virtual_time
async def test_a_second_start_for_a_key_is_ignored_while_the_first_is_unfinished() -> None:
    """At most one task per key, whatever the verb."""
    tasks = make_tasks()
    tasks.start(A, Verb.CREATE, takes(10))
    tasks.start(A, Verb.DELETE, takes(1))

    assert status_of(tasks, A).verb == Verb.CREATE


@in_virtual_time
async def test_a_finished_task_gives_way_to_the_next() -> None:
    """Its record is forgotten, either by the next start or on request."""
    tasks = make_tasks()
    tasks.start(A, Verb.CREATE, fails(Transient(Reason.API_ERROR, "x")))
    await asyncio.sleep(1)
    tasks.start(A, Verb.DELETE, takes(1))

    assert status_of(tasks, A).verb == Verb.DELETE

    tasks.forget(A)
    assert tasks.status(A) is not None

    await asyncio.sleep(2)
    tasks.forget(A)
    assert tasks.status(A) is None


@pytest.mark.parametrize(
    "error", [Terminal(Reason.IMAGE_NOT_FOUND, "no image"), Transient(Reason.API_ERROR, "busy"), ValueError("a defect")]
)
def test_a_failure_is_kept_with_its_error(error: Exception) -> None:
    """Even a defect of ours ends the task and is reported, never lost."""

    @in_virtual_time
    async def check() -> None:
        tasks = make_tasks()
        tasks.start(A, Verb.CREATE, fails(error))
        await asyncio.sleep(0.1)

        assert status_of(tasks, A).state is TaskState.FAILED
        assert status_of(tasks, A).error is error

    check()


@in_virtual_time
async def test_steps_are_kept_in_order_and_replaced_by_name() -> None:
    """A step appears when it starts and gets its seconds when it ends."""
    tasks = make_tasks()

    async def work(progress: Progress) -> None:
        progress(Step("Preparing nodes", StepState.STARTED))
        progress(Step("Preparing nodes", StepState.SUCCEEDED, 1.0))
        progress(Step("Starting control-plane", StepState.STARTED))
        await asyncio.sleep(5)

    tasks.start(A, Verb.CREATE, work)
    await asyncio.sleep(1)

    assert status_of(tasks, A).steps == (
        Step("Preparing nodes", StepState.SUCCEEDED, 1.0),
        Step("Starting control-plane", StepState.STARTED),
    )


@in_virtual_time
async def test_progress_re_queues_at_most_once_a_second_and_loses_no_last_step() -> None:
    """A chatty tool costs a status write per second, not per line."""
    told = Watcher()
    tasks = make_tasks(told)

    async def work(progress: Progress) -> None:
        for number in range(50):
            progress(Step(f"step {number}", StepState.STARTED))
            await asyncio.sleep(0.1)
        await asyncio.sleep(30)

    tasks.start(A, Verb.CREATE, work)
    await asyncio.sleep(20)

    times = told.times(A)
    assert all(later - sooner >= PROGRESS_INTERVAL - 0.001 for sooner, later in itertools.pairwise(times))
    assert times[-1] >= 4.9


@in_virtual_time
async def test_discard_returns_when_the_task_is_really_over() -> None:
    """Cleaning up after a killed process takes time; nobody may act on the cluster before."""
    ended: list[TaskStatus] = []
    tasks = make_tasks(ended=ended)
    over: list[float] = []

    async def work(progress: Progress) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(3)
            over.append(asyncio.get_running_loop().time())

    tasks.start(A, Verb.CREATE, work)
    await asyncio.sleep(1)
    await tasks.discard(A)

    assert over == [pytest.approx(4.0)]
    assert tasks.status(A) is None
    assert [(status.state, str(status.error)) for status in ended] == [
        (TaskState.FAILED, "The create was stopped before its end.")
    ]


@in_virtual_time
async def test_a_task_that_ignores_cancellation_is_asked_again() -> None:
    """A lost CancelledError must not block deletion for good."""
    tasks = make_tasks()

    async def work(progress: Progress) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await asyncio.sleep(1000)

    tasks.start(A, Verb.CREATE, work)
    await asyncio.sleep(1)
    await tasks.discard(A)

    assert asyncio.get_running_loop().time() < 60
    assert tasks.status(A) is None


@in_virtual_time
async def test_a_waiting_task_is_discarded_without_ever_running() -> None:
    """It leaves the line; those behind move up."""
    ended: list[TaskStatus] = []
    tasks = make_tasks(ended=ended)
    for key in (A, B, C):
        tasks.start(key, Verb.CREATE, takes(10))
    await tasks.discard(B)

    assert tasks.status(B) is None
    assert [(status.state, status.started_at) for status in ended] == [(TaskState.FAILED, None)]
    assert status_of(tasks, C).queue_position == 1


@in_virtual_time
async def test_a_discarded_task_frees_its_slot() -> None:
    """The next in line starts at once."""
    tasks = make_tasks()
    tasks.start(A, Verb.CREATE, takes(1000))
    tasks.start(B, Verb.CREATE, takes(1))
    await tasks.discard(A)

    assert status_of(tasks, B).state is TaskState.RUNNING


@in_virtual_time
async def test_discarding_what_is_not_there_does_nothing() -> None:
    """Deletion discards without asking first."""
    tasks = make_tasks()
    await tasks.discard(A)

    assert tasks.status(A) is None


@in_virtual_time
async def test_shutdown_cancels_all_waits_a_bounded_time_and_starts_nothing() -> None:
    """SIGTERM: no child survives, and a task that will not end is named instead of waited for."""
    told = Watcher()
    tasks = make_tasks(told)

    async def stubborn(progress: Progress) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1000)

    tasks.start(A, Verb.CREATE, takes(1000))
    tasks.start(B, Verb.CREATE, takes(1))
    tasks.start(C, Verb.DELETE, stubborn)
    await asyncio.sleep(1)
    before = len(told.told)

    assert await tasks.shutdown(8) == [C]
    assert asyncio.get_running_loop().time() == pytest.approx(9.0)
    assert status_of(tasks, A).state is TaskState.FAILED
    assert status_of(tasks, B).state is TaskState.QUEUED
    assert len(told.told) == before

    tasks.start(D, Verb.CREATE, takes(1))
    assert tasks.status(D) is None


@in_virtual_time
async def test_each_end_is_reported_once() -> None:
    """What metrics count."""
    ended: list[tuple[str, TaskState]] = []
    tasks = TaskManager(
        {Verb.CREATE: 1}, Watcher(), LoopClock(), finished=lambda status: ended.append((status.verb, status.state))
    )
    tasks.start(A, Verb.CREATE, takes(1))
    tasks.start(B, Verb.CREATE, fails(Transient(Reason.API_ERROR, "x")))
    await asyncio.sleep(5)

    assert ended == [(Verb.CREATE, TaskState.SUCCEEDED), (Verb.CREATE, TaskState.FAILED)]
