"""Long operations: at most one per key, a bounded number at once per verb, which the namespaces share fairly.

Implements provider.ports.tasks.Tasks. What lives here is bookkeeping: which tasks wait or run, their steps, and requeuing the key when
something about its task has changed. Who is next is fair_queue's to say. The work itself is a coroutine that cleans up when it is
cancelled (adapters.process kills its process group). Nothing here is persisted: after a restart observation decides what became of a task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.controller.fair_queue import FairQueue
from provider.errors import ProviderError, Transient
from provider.ports.clock import Clock
from provider.ports.runtime import Step, Verb
from provider.ports.tasks import Target, TaskState, TaskStatus, Work

log = logging.getLogger(__name__)

PROGRESS_INTERVAL = 1.0
"""Seconds between two requeues of one key for progress: each may cost a status write."""
QUEUE_INTERVAL = 5.0
"""Seconds between two requeues of one waiting key because its position changed."""
NEAR = 10
"""Positions up to which changes are told so often; twice as far back, half as often: of n that wait, log n are requeued in that time."""
CANCEL_INTERVAL = 10.0
"""Seconds after which a task that did not end on cancellation is cancelled again."""


@dataclass(slots=True, eq=False)
class _Task:
    key: ObjectKey
    work: Work
    before: Work | None
    status: TaskStatus
    """Without position and steps, which change often and are filled in for those who ask."""
    steps: dict[str, Step] = field(default_factory=dict)
    run: asyncio.Task[None] | None = None
    requeued_at: float = float("-inf")
    requeue_timer: asyncio.TimerHandle | None = None
    told: int = 0
    """The position for which the key was requeued last."""

    @property
    def pool(self) -> Verb:
        """Whose slots it needs at the moment."""
        return Verb.PREPARE if self.status.preparing else self.status.verb


@dataclass(slots=True)
class _Pool:
    """The slots of one verb."""

    queue: FairQueue[_Task]
    told_at: float = float("-inf")
    timer: asyncio.TimerHandle | None = None


class TaskManager:
    """Tasks with a number of slots per verb. Use from one event loop only."""

    def __init__(
        self,
        slots: Mapping[Verb, int],
        requeue: Callable[[ObjectKey], None],
        clock: Clock,
        *,
        finished: Callable[[TaskStatus], None] = lambda _: None,
        kind: str = "object",
    ) -> None:
        """`slots` names every verb that may be started; `finished` is called at each task's end (metrics). `kind`: of the keys, for
        the log.
        """
        self._kind = kind
        self._requeue, self._clock, self._finished = requeue, clock, finished
        self._tasks: dict[ObjectKey, _Task] = {}
        self._pools = {verb: _Pool(FairQueue(number)) for verb, number in slots.items()}
        self._closed = False

    # --- the port --------------------------------------------------------------------------------------------------------------

    def status(self, key: ObjectKey) -> TaskStatus | None:
        task = self._tasks.get(key)
        if task is None:
            return None
        waits = task.status.state is TaskState.QUEUED
        position = self._pools[task.pool].queue.positions()[task] if waits else 0
        return replace(task.status, queue_position=position, steps=tuple(task.steps.values()))

    def start(
        self, key: ObjectKey, verb: Verb, work: Work, *, before: Work | None = None, tag: str = "", target: Target | None = None
    ) -> None:
        current = self._tasks.get(key)
        if self._closed or (current is not None and current.status.unfinished):
            return
        self.forget(key)
        status = TaskStatus(verb, TaskState.QUEUED, preparing=before is not None, tag=tag, target=target)
        task = self._tasks[key] = _Task(key, work, before, status)
        self._line_up(task)
        task.requeued_at = asyncio.get_running_loop().time()  # the pass that starts a task reports its position

    async def discard(self, key: ObjectKey) -> None:
        task = self._tasks.get(key)
        if task is None:
            return
        while task.status.unfinished:
            if task.status.state is TaskState.QUEUED:
                self._pools[task.pool].queue.remove(task, key.namespace)
                self._end(task, Transient(Reason.CANCELLED, f"The {task.status.verb} was cancelled before it began."))
                self._tell_waiting(task.pool)
            elif task.run is not None and not task.run.done():
                task.run.cancel()
                await asyncio.wait({task.run}, timeout=CANCEL_INTERVAL)
            else:
                # Done callbacks run in the next round of the loop; the slot is free and the state final when we return.
                await asyncio.sleep(0)
        self.forget(key)

    def forget(self, key: ObjectKey) -> None:
        task = self._tasks.get(key)
        if task is not None and not task.status.unfinished:
            del self._tasks[key]

    # --- for the manager -------------------------------------------------------------------------------------------------------

    def counts(self) -> dict[tuple[str, str], int]:
        """(verb, "running" or "queued") → how many. What comes before a verb is counted as Verb.PREPARE."""
        counts: dict[tuple[str, str], int] = {(verb, "running"): pool.queue.running for verb, pool in self._pools.items()}
        return counts | {(verb, "queued"): pool.queue.waiting for verb, pool in self._pools.items()}

    async def shutdown(self, timeout: float) -> list[ObjectKey]:
        """Accept nothing more, cancel everything, wait at most `timeout` seconds. Returns the keys whose tasks did not end."""
        self._closed = True
        runs = [task.run for task in self._tasks.values() if task.run is not None and not task.run.done()]
        for run in runs:
            run.cancel()
        if runs:
            await asyncio.wait(runs, timeout=timeout)
        return [task.key for task in self._tasks.values() if task.run is not None and not task.run.done()]

    # --- running ---------------------------------------------------------------------------------------------------------------

    def _line_up(self, task: _Task) -> None:
        self._pools[task.pool].queue.add(task, task.key.namespace)
        self._fill(task.pool)

    def _fill(self, verb: Verb) -> None:
        """Begin whatever there is a slot for."""
        while not self._closed and (task := self._pools[verb].queue.take()) is not None:
            started_at = None if task.status.preparing else self._clock.now()
            task.status = replace(task.status, state=TaskState.RUNNING, started_at=started_at)
            task.run = asyncio.create_task(self._run(task), name=f"{verb} {task.key}")
            task.run.add_done_callback(lambda run, task=task: self._leave(task, run))  # type: ignore[misc]
            self._requeue_after(task, PROGRESS_INTERVAL)
        self._tell_waiting(verb)

    async def _run(self, task: _Task) -> None:
        work = task.before if task.status.preparing and task.before is not None else task.work
        log.info("Starting task", extra={self._kind: task.key, "verb": task.pool})
        await work(lambda step: self._advance(task, step))

    def _leave(self, task: _Task, run: asyncio.Task[None]) -> None:
        """The run has ended in whatever way: free its slot, record the outcome or line up for the verb itself, start the next task."""
        pool = task.pool
        self._pools[pool].queue.release(task)
        if run.cancelled():
            self._end(task, Transient(Reason.CANCELLED, f"The {task.status.verb} was stopped before its end."))
        elif (error := run.exception()) is not None:
            self._end(task, error if isinstance(error, Exception) else Transient(Reason.CANCELLED, repr(error)))
        elif task.status.preparing:
            task.status = replace(task.status, state=TaskState.QUEUED, preparing=False, fetched=len(task.steps))
            self._line_up(task)
            self._requeue_after(task, PROGRESS_INTERVAL)
        else:
            self._end(task, None)
        self._fill(pool)

    def _end(self, task: _Task, error: Exception | None) -> None:
        state = TaskState.SUCCEEDED if error is None else TaskState.FAILED
        task.status = replace(task.status, state=state, finished_at=self._clock.now(), error=error)
        context: dict[str, object] = {self._kind: task.key, "verb": task.status.verb, "outcome": state.value}
        if error is None:
            log.info("Task ended", extra=context)
        elif isinstance(error, ProviderError):
            log.warning("Task ended", extra=context | {"reason": error.reason, "error": error.message})
        else:
            log.error("Task failed by a defect of the provider", extra=context, exc_info=error)
        self._finished(task.status)
        self._cancel_requeue(task)
        if not self._closed:
            self._requeue(task.key)

    # --- requeuing -------------------------------------------------------------------------------------------------------------

    def _advance(self, task: _Task, step: Step) -> None:
        """Record a step. A cancelled task may still report steps from a thread of its own: they are ignored."""
        if task.status.unfinished:
            task.steps[step.name] = step
            self._requeue_after(task, PROGRESS_INTERVAL)

    def _tell_waiting(self, verb: Verb) -> None:
        """Who waits may have another position now: requeue them, now or when QUEUE_INTERVAL has passed since the last time."""
        pool = self._pools[verb]
        if self._closed or pool.timer is not None or not pool.queue.waiting:
            return
        loop = asyncio.get_running_loop()
        wait = pool.told_at + QUEUE_INTERVAL - loop.time()
        if wait > 0:
            pool.timer = loop.call_later(wait, self._tell_now, verb)
        else:
            self._tell_now(verb)

    def _tell_now(self, verb: Verb) -> None:
        pool, now = self._pools[verb], asyncio.get_running_loop().time()
        pool.timer, pool.told_at = None, now
        early = False
        for task, position in pool.queue.positions().items():
            if position == task.told:
                continue
            if round(now - task.requeued_at, 3) < QUEUE_INTERVAL * max(1.0, position / NEAR):
                early = True
            else:
                task.told = position
                self._cancel_requeue(task)
                self._requeue_now(task)
        if early:
            self._tell_waiting(verb)

    def _requeue_after(self, task: _Task, interval: float) -> None:
        """Requeue the key now, or when so many seconds have passed since the last time."""
        self._cancel_requeue(task)
        loop = asyncio.get_running_loop()
        wait = task.requeued_at + interval - loop.time()
        if wait > 0:
            task.requeue_timer = loop.call_later(wait, self._requeue_now, task)
        else:
            self._requeue_now(task)

    def _requeue_now(self, task: _Task) -> None:
        task.requeue_timer = None
        task.requeued_at = asyncio.get_running_loop().time()
        if not self._closed:
            self._requeue(task.key)

    def _cancel_requeue(self, task: _Task) -> None:
        if task.requeue_timer is not None:
            task.requeue_timer.cancel()
            task.requeue_timer = None
