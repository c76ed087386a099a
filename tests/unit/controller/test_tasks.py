"""provider.controller.tasks: slots, fairness, progress, cancellation."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from provider.api.meta import ObjectKey
from provider.controller.tasks import PROGRESS_INTERVAL, QUEUE_INTERVAL, SlottedJobs
from provider.errors import Terminal, Transient
from provider.ports.tasks import JobState, JobStatus, Progress, Step, StepState
from tests.fakes.clock import EPOCH, LoopClock, in_virtual_time

A, B, C, D = (ObjectKey("default", name) for name in "abcd")
Work = Callable[[Progress], Coroutine[Any, Any, None]]


class Watcher:
    """Notes when which key was re-queued."""

    def __init__(self) -> None:
        self.told: list[tuple[float, ObjectKey]] = []

    def __call__(self, key: ObjectKey) -> None:
        self.told.append((asyncio.get_running_loop().time(), key))

    def times(self, key: ObjectKey) -> list[float]:
        return [when for when, told in self.told if told == key]


def make_jobs(told: Watcher | None = None, **slots: int) -> SlottedJobs:
    return SlottedJobs({"create": 1, "delete": 2} | slots, told or Watcher(), LoopClock())


def takes(seconds: float) -> Work:
    async def work(progress: Progress) -> None:
        await asyncio.sleep(seconds)

    return work


def fails(error: Exception) -> Work:
    async def work(progress: Progress) -> None:
        raise error

    return work


def status_of(jobs: SlottedJobs, key: ObjectKey) -> JobStatus:
    status = jobs.status(key)
    assert status is not None
    return status


@in_virtual_time
async def test_a_job_runs_and_its_end_brings_the_key_back() -> None:
    """The reconciler needs no polling: start, forget about it, be called."""
    told = Watcher()
    jobs = make_jobs(told)
    jobs.start(A, "create", takes(20), tag="hash")

    running = status_of(jobs, A)
    assert (running.state, running.started_at, running.tag) == (JobState.RUNNING, EPOCH, "hash")

    await asyncio.sleep(21)

    ended = status_of(jobs, A)
    assert (ended.state, ended.error) == (JobState.SUCCEEDED, None)
    assert told.times(A)[-1] == pytest.approx(20)


@in_virtual_time
async def test_without_a_free_slot_jobs_wait_in_line_with_their_position() -> None:
    """First come, first served, and everyone can see where they stand."""
    jobs = make_jobs()
    for key in (A, B, C):
        jobs.start(key, "create", takes(10))

    assert [status_of(jobs, key).queue_position for key in (A, B, C)] == [0, 1, 2]
    assert status_of(jobs, C).state is JobState.QUEUED

    await asyncio.sleep(10.5)

    assert [status_of(jobs, key).queue_position for key in (A, B, C)] == [0, 0, 1]
    assert status_of(jobs, B).state is JobState.RUNNING


@in_virtual_time
async def test_verbs_have_slots_of_their_own() -> None:
    """A line of creates does not hold up a delete."""
    jobs = make_jobs()
    jobs.start(A, "create", takes(60))
    jobs.start(B, "create", takes(60))
    jobs.start(C, "delete", takes(2))
    await asyncio.sleep(3)

    assert status_of(jobs, C).state is JobState.SUCCEEDED
    assert jobs.counts() == {
        ("create", "running"): 1,
        ("create", "queued"): 1,
        ("delete", "running"): 0,
        ("delete", "queued"): 0,
    }


@in_virtual_time
async def test_a_waiting_key_is_told_when_it_moves_up_but_not_too_often() -> None:
    """Positions in the status stay true at the price of one write in five seconds."""
    told = Watcher()
    jobs = make_jobs(told)
    for key in (A, B, C, D):
        jobs.start(key, "create", takes(1))
    await asyncio.sleep(2.5)

    assert told.times(D) == []

    await asyncio.sleep(10)

    assert len([when for when in told.times(D) if when <= QUEUE_INTERVAL + 0.1]) <= 3


@in_virtual_time
async def test_a_second_start_for_a_key_is_ignored_while_the_first_is_unfinished() -> None:
    """At most one job per key, whatever the verb."""
    jobs = make_jobs()
    jobs.start(A, "create", takes(10))
    jobs.start(A, "delete", takes(1))

    assert status_of(jobs, A).verb == "create"


@in_virtual_time
async def test_a_finished_job_gives_way_to_the_next() -> None:
    """Its record is forgotten, either by the next start or on request."""
    jobs = make_jobs()
    jobs.start(A, "create", fails(Transient("X", "x")))
    await asyncio.sleep(1)
    jobs.start(A, "delete", takes(1))

    assert status_of(jobs, A).verb == "delete"

    jobs.forget(A)
    assert jobs.status(A) is not None

    await asyncio.sleep(2)
    jobs.forget(A)
    assert jobs.status(A) is None


@pytest.mark.parametrize("error", [Terminal("NoImage", "no image"), Transient("Busy", "busy"), ValueError("a defect")])
def test_a_failure_is_kept_with_its_error(error: Exception) -> None:
    """Even a defect of ours ends the job and is reported, never lost."""

    @in_virtual_time
    async def check() -> None:
        jobs = make_jobs()
        jobs.start(A, "create", fails(error))
        await asyncio.sleep(0.1)

        assert status_of(jobs, A).state is JobState.FAILED
        assert status_of(jobs, A).error is error

    check()


@in_virtual_time
async def test_steps_are_kept_in_order_and_replaced_by_name() -> None:
    """A step appears when it starts and gets its seconds when it ends."""
    jobs = make_jobs()

    async def work(progress: Progress) -> None:
        progress(Step("Preparing nodes", StepState.STARTED))
        progress(Step("Preparing nodes", StepState.SUCCEEDED, 1.0))
        progress(Step("Starting control-plane", StepState.STARTED))
        await asyncio.sleep(5)

    jobs.start(A, "create", work)
    await asyncio.sleep(1)

    assert status_of(jobs, A).steps == (
        Step("Preparing nodes", StepState.SUCCEEDED, 1.0),
        Step("Starting control-plane", StepState.STARTED),
    )


@in_virtual_time
async def test_progress_re_queues_at_most_once_a_second_and_loses_no_last_step() -> None:
    """A chatty tool costs a status write per second, not per line."""
    told = Watcher()
    jobs = make_jobs(told)

    async def work(progress: Progress) -> None:
        for number in range(50):
            progress(Step(f"step {number}", StepState.STARTED))
            await asyncio.sleep(0.1)
        await asyncio.sleep(30)

    jobs.start(A, "create", work)
    await asyncio.sleep(20)

    times = told.times(A)
    assert all(later - sooner >= PROGRESS_INTERVAL - 0.001 for sooner, later in itertools.pairwise(times))
    assert times[-1] >= 4.9


@in_virtual_time
async def test_cancel_returns_when_the_job_is_really_over() -> None:
    """Cleaning up after a killed process takes time; nobody may act on the cluster before."""
    jobs = make_jobs()
    over: list[float] = []

    async def work(progress: Progress) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(3)
            over.append(asyncio.get_running_loop().time())

    jobs.start(A, "create", work)
    await asyncio.sleep(1)
    await jobs.cancel(A)

    assert over == [pytest.approx(4.0)]
    assert status_of(jobs, A).state is JobState.FAILED
    assert isinstance(status_of(jobs, A).error, Transient)


@in_virtual_time
async def test_a_job_that_ignores_cancellation_is_asked_again() -> None:
    """A lost CancelledError must not block deletion for good."""
    jobs = make_jobs()

    async def work(progress: Progress) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await asyncio.sleep(1000)

    jobs.start(A, "create", work)
    await asyncio.sleep(1)
    await jobs.cancel(A)

    assert asyncio.get_running_loop().time() < 60
    assert status_of(jobs, A).state is JobState.FAILED


@in_virtual_time
async def test_a_waiting_job_is_cancelled_without_ever_running() -> None:
    """It leaves the line; those behind move up."""
    jobs = make_jobs()
    for key in (A, B, C):
        jobs.start(key, "create", takes(10))
    await jobs.cancel(B)

    assert status_of(jobs, B).state is JobState.FAILED
    assert status_of(jobs, B).started_at is None
    assert status_of(jobs, C).queue_position == 1


@in_virtual_time
async def test_a_cancelled_job_frees_its_slot() -> None:
    """The next in line starts at once."""
    jobs = make_jobs()
    jobs.start(A, "create", takes(1000))
    jobs.start(B, "create", takes(1))
    await jobs.cancel(A)

    assert status_of(jobs, B).state is JobState.RUNNING


@in_virtual_time
async def test_cancelling_what_is_not_there_does_nothing() -> None:
    """Deletion cancels without asking first."""
    jobs = make_jobs()
    await jobs.cancel(A)

    assert jobs.status(A) is None


@in_virtual_time
async def test_shutdown_cancels_all_waits_a_bounded_time_and_starts_nothing() -> None:
    """SIGTERM: no child survives, and a job that will not end is named instead of waited for."""
    told = Watcher()
    jobs = make_jobs(told)

    async def stubborn(progress: Progress) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1000)

    jobs.start(A, "create", takes(1000))
    jobs.start(B, "create", takes(1))
    jobs.start(C, "delete", stubborn)
    await asyncio.sleep(1)
    before = len(told.told)

    assert await jobs.shutdown(8) == [C]
    assert asyncio.get_running_loop().time() == pytest.approx(9.0)
    assert status_of(jobs, A).state is JobState.FAILED
    assert status_of(jobs, B).state is JobState.QUEUED
    assert len(told.told) == before

    jobs.start(D, "create", takes(1))
    assert jobs.status(D) is None


@in_virtual_time
async def test_each_end_is_reported_once() -> None:
    """What metrics count."""
    ended: list[tuple[str, JobState]] = []
    jobs = SlottedJobs({"create": 1}, Watcher(), LoopClock(), finished=lambda status: ended.append((status.verb, status.state)))
    jobs.start(A, "create", takes(1))
    jobs.start(B, "create", fails(Transient("X", "x")))
    await asyncio.sleep(5)

    assert ended == [("create", JobState.SUCCEEDED), ("create", JobState.FAILED)]
