"""Long operations: at most one per key, a bounded number at once per verb, first come first served.

Implements provider.ports.tasks.Jobs. What lives here is bookkeeping: who waits, who runs, how far it got, and telling the owner of the
key through `requeue`. The work itself is a coroutine that knows how to die when it is cancelled (adapters.process kills its
process group). Nothing here is persisted: after a restart observation decides what became of a job.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from provider.api.meta import ObjectKey
from provider.errors import ProviderError, Transient
from provider.ports.clock import Clock
from provider.ports.tasks import JobState, JobStatus, Progress, Step

log = logging.getLogger(__name__)

PROGRESS_INTERVAL = 1.0
"""Seconds between two re-queues of one key for progress: each may cost a status write."""
QUEUE_INTERVAL = 5.0
"""Seconds between two re-queues of waiting keys because they moved up."""
CANCEL_AGAIN = 10.0
"""Seconds after which a job that did not end on cancellation is cancelled once more."""

Work = Callable[[Progress], Coroutine[Any, Any, None]]
Finished = Callable[[JobStatus], None]


def _nobody_counts(status: JobStatus) -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class _Job:
    key: ObjectKey
    verb: str
    tag: str
    work: Work
    state: JobState = JobState.QUEUED
    steps: dict[str, Step] = field(default_factory=dict)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: Exception | None = None
    task: asyncio.Task[None] | None = None
    told_at: float = float("-inf")
    telling: asyncio.TimerHandle | None = None
    told_position: int = 0

    @property
    def over(self) -> bool:
        return self.state in (JobState.SUCCEEDED, JobState.FAILED)


class SlottedJobs:
    """Jobs with a number of slots per verb. Use from one event loop only."""

    def __init__(
        self,
        slots: Mapping[str, int],
        requeue: Callable[[ObjectKey], None],
        clock: Clock,
        *,
        finished: Finished = _nobody_counts,
    ) -> None:
        """`slots` names every verb that may be started; `finished` is told of each job's end (metrics)."""
        self._slots = dict(slots)
        self._requeue, self._clock, self._finished = requeue, clock, finished
        self._jobs: dict[ObjectKey, _Job] = {}
        self._waiting: dict[str, deque[_Job]] = {verb: deque() for verb in slots}
        self._running: dict[str, set[asyncio.Task[None]]] = {verb: set() for verb in slots}
        self._moving: asyncio.TimerHandle | None = None
        self._closed = False

    # --- the port --------------------------------------------------------------------------------------------------------------

    def status(self, key: ObjectKey) -> JobStatus | None:
        job = self._jobs.get(key)
        return None if job is None else self._status(job)

    def start(self, key: ObjectKey, verb: str, work: Work, *, tag: str = "") -> None:
        current = self._jobs.get(key)
        if self._closed or (current is not None and not current.over):
            return
        self.forget(key)
        job = self._jobs[key] = _Job(key, verb, tag, work)
        self._waiting[verb].append(job)
        self._fill(verb)
        job.told_position = self._position(job)

    async def cancel(self, key: ObjectKey) -> None:
        job = self._jobs.get(key)
        if job is None or job.over:
            return
        if job.task is None:
            self._waiting[job.verb].remove(job)
            self._end(job, Transient("Cancelled", f"The {job.verb} was cancelled before it began."))
            return
        await self._stop(job.task)

    def forget(self, key: ObjectKey) -> None:
        job = self._jobs.get(key)
        if job is not None and job.over:
            self._silence(job)
            del self._jobs[key]

    # --- for the manager -------------------------------------------------------------------------------------------------------

    def counts(self) -> dict[tuple[str, str], int]:
        """(verb, "running" or "queued") → how many."""
        counts = {(verb, "running"): len(tasks) for verb, tasks in self._running.items()}
        return counts | {(verb, "queued"): len(waiting) for verb, waiting in self._waiting.items()}

    async def shutdown(self, timeout: float) -> list[ObjectKey]:
        """Accept nothing more, cancel everything, wait at most `timeout` seconds. Returns the keys whose jobs did not end."""
        self._closed = True
        if self._moving is not None:
            self._moving.cancel()
        for waiting in self._waiting.values():
            waiting.clear()
        tasks = [task for running in self._running.values() for task in running]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)
        for job in self._jobs.values():
            self._silence(job)
        return [job.key for job in self._jobs.values() if job.task is not None and not job.task.done()]

    # --- running ---------------------------------------------------------------------------------------------------------------

    def _fill(self, verb: str) -> None:
        waiting, running = self._waiting[verb], self._running[verb]
        while waiting and len(running) < self._slots[verb] and not self._closed:
            job = waiting.popleft()
            job.state, job.started_at = JobState.RUNNING, self._clock.now()
            job.task = asyncio.create_task(self._run(job), name=f"{verb} {job.key}")
            running.add(job.task)
            job.task.add_done_callback(lambda task, job=job: self._leave(job, task))  # type: ignore[misc]
            self._tell(job, PROGRESS_INTERVAL)
        if waiting and self._moving is None:
            self._moving = asyncio.get_running_loop().call_later(QUEUE_INTERVAL, self._tell_waiting)

    async def _run(self, job: _Job) -> None:
        log.info("Starting job", extra={"object": str(job.key), "verb": job.verb})
        await job.work(lambda step: self._advance(job, step))

    def _leave(self, job: _Job, task: asyncio.Task[None]) -> None:
        """The task is over, one way or another: free the slot, note the outcome, let the next one in."""
        self._running[job.verb].discard(task)
        if task.cancelled():
            self._end(job, Transient("Cancelled", f"The {job.verb} was stopped before its end."))
        else:
            error = task.exception()
            self._end(job, error if error is None or isinstance(error, Exception) else Transient("Cancelled", repr(error)))
        self._fill(job.verb)

    def _end(self, job: _Job, error: Exception | None) -> None:
        job.error, job.finished_at = error, self._clock.now()
        job.state = JobState.SUCCEEDED if error is None else JobState.FAILED
        context = {"object": str(job.key), "verb": job.verb, "outcome": job.state.value}
        if error is None:
            log.info("Job ended", extra=context)
        elif isinstance(error, ProviderError):
            log.warning("Job ended", extra=context | {"reason": error.reason, "error": error.message})
        else:
            log.error("Job failed by a defect of the provider", extra=context, exc_info=error)
        self._finished(self._status(job))
        self._silence(job)
        if not self._closed:
            self._requeue(job.key)

    async def _stop(self, task: asyncio.Task[None]) -> None:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_AGAIN)
        # Done callbacks run in the next round of the loop; the slot is free and the state final when we return.
        await asyncio.sleep(0)

    # --- telling ---------------------------------------------------------------------------------------------------------------

    def _advance(self, job: _Job, step: Step) -> None:
        """Record progress. A job that is over (cancelled, and its thread still talks) is not listened to."""
        if job.over:
            return
        job.steps[step.name] = step
        self._tell(job, PROGRESS_INTERVAL)

    def _tell(self, job: _Job, interval: float) -> None:
        """Re-queue the key now, or when `interval` has passed since the last time."""
        if job.telling is not None:
            return
        loop = asyncio.get_running_loop()
        wait = job.told_at + interval - loop.time()
        if wait > 0:
            job.telling = loop.call_later(wait, self._tell_now, job)
        else:
            self._tell_now(job)

    def _tell_now(self, job: _Job) -> None:
        job.telling = None
        job.told_at = asyncio.get_running_loop().time()
        if not self._closed:
            self._requeue(job.key)

    def _tell_waiting(self) -> None:
        self._moving = None
        for waiting in self._waiting.values():
            for position, job in enumerate(waiting, start=1):
                if position != job.told_position:
                    job.told_position = position
                    self._requeue(job.key)
        if any(self._waiting.values()):
            self._moving = asyncio.get_running_loop().call_later(QUEUE_INTERVAL, self._tell_waiting)

    def _silence(self, job: _Job) -> None:
        if job.telling is not None:
            job.telling.cancel()
            job.telling = None

    # --- views -----------------------------------------------------------------------------------------------------------------

    def _position(self, job: _Job) -> int:
        with contextlib.suppress(ValueError):
            return self._waiting[job.verb].index(job) + 1
        return 0

    def _status(self, job: _Job) -> JobStatus:
        return JobStatus(
            verb=job.verb,
            state=job.state,
            queue_position=self._position(job) if job.state is JobState.QUEUED else 0,
            started_at=job.started_at,
            finished_at=job.finished_at,
            steps=tuple(job.steps.values()),
            error=job.error,
            tag=job.tag,
        )
