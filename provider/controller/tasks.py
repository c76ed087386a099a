"""Long operations: at most one per key, a bounded number at once per verb, first come first served.

Implements provider.ports.tasks.Tasks. What lives here is bookkeeping: which tasks wait or run, their steps, and requeuing the key when
something about its task has changed. The work itself is a coroutine that cleans up when it is cancelled (adapters.process kills its
process group). Nothing here is persisted: after a restart observation decides what became of a task.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.errors import ProviderError, Transient
from provider.ports.clock import Clock
from provider.ports.runtime import Step, Verb
from provider.ports.tasks import Target, TaskState, TaskStatus, Work

log = logging.getLogger(__name__)

PROGRESS_INTERVAL = 1.0
"""Seconds between two requeues of one key for progress: each may cost a status write."""
QUEUE_INTERVAL = 5.0
"""Seconds between two requeues of one waiting key because its position changed."""
CANCEL_INTERVAL = 10.0
"""Seconds after which a task that did not end on cancellation is cancelled again."""


@dataclass(slots=True, eq=False)
class _Task:
    key: ObjectKey
    work: Work
    status: TaskStatus
    """Without position and steps, which change often and are filled in for those who ask."""
    steps: dict[str, Step] = field(default_factory=dict)
    run: asyncio.Task[None] | None = None
    requeued_at: float = float("-inf")
    requeue_timer: asyncio.TimerHandle | None = None


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
        self._slots, self._kind = dict(slots), kind
        self._requeue, self._clock, self._finished = requeue, clock, finished
        self._tasks: dict[ObjectKey, _Task] = {}
        self._waiting: dict[Verb, deque[_Task]] = {verb: deque() for verb in slots}
        self._running: dict[Verb, set[asyncio.Task[None]]] = {verb: set() for verb in slots}
        self._closed = False

    # --- the port --------------------------------------------------------------------------------------------------------------

    def status(self, key: ObjectKey) -> TaskStatus | None:
        task = self._tasks.get(key)
        if task is None:
            return None
        waiting = self._waiting[task.status.verb]
        position = waiting.index(task) + 1 if task in waiting else 0
        return replace(task.status, queue_position=position, steps=tuple(task.steps.values()))

    def start(self, key: ObjectKey, verb: Verb, work: Work, *, tag: str = "", target: Target | None = None) -> None:
        current = self._tasks.get(key)
        if self._closed or (current is not None and current.status.unfinished):
            return
        self.forget(key)
        task = self._tasks[key] = _Task(key, work, TaskStatus(verb, TaskState.QUEUED, tag=tag, target=target))
        self._waiting[verb].append(task)
        self._fill(verb)
        task.requeued_at = asyncio.get_running_loop().time()  # the pass that starts a task reports its position

    async def discard(self, key: ObjectKey) -> None:
        task = self._tasks.get(key)
        if task is None:
            return
        verb = task.status.verb
        if task.status.state is TaskState.QUEUED:
            self._waiting[verb].remove(task)
            self._end(task, Transient(Reason.CANCELLED, f"The {verb} was cancelled before it began."))
            self._requeue_waiting(verb)
        while task.run is not None and not task.run.done():
            task.run.cancel()
            await asyncio.wait({task.run}, timeout=CANCEL_INTERVAL)
        # Done callbacks run in the next round of the loop; the slot is free and the state final when we return.
        await asyncio.sleep(0)
        self.forget(key)

    def forget(self, key: ObjectKey) -> None:
        task = self._tasks.get(key)
        if task is not None and not task.status.unfinished:
            del self._tasks[key]

    # --- for the manager -------------------------------------------------------------------------------------------------------

    def counts(self) -> dict[tuple[str, str], int]:
        """(verb, "running" or "queued") → how many."""
        counts: dict[tuple[str, str], int] = {(verb, "running"): len(runs) for verb, runs in self._running.items()}
        return counts | {(verb, "queued"): len(waiting) for verb, waiting in self._waiting.items()}

    async def shutdown(self, timeout: float) -> list[ObjectKey]:
        """Accept nothing more, cancel everything, wait at most `timeout` seconds. Returns the keys whose tasks did not end."""
        self._closed = True
        runs = [run for running in self._running.values() for run in running]
        for run in runs:
            run.cancel()
        if runs:
            await asyncio.wait(runs, timeout=timeout)
        return [task.key for task in self._tasks.values() if task.run is not None and not task.run.done()]

    # --- running ---------------------------------------------------------------------------------------------------------------

    def _fill(self, verb: Verb) -> None:
        waiting, running = self._waiting[verb], self._running[verb]
        while waiting and len(running) < self._slots[verb] and not self._closed:
            task = waiting.popleft()
            task.status = replace(task.status, state=TaskState.RUNNING, started_at=self._clock.now())
            task.run = asyncio.create_task(self._run(task), name=f"{verb} {task.key}")
            running.add(task.run)
            task.run.add_done_callback(lambda run, task=task: self._leave(task, run))  # type: ignore[misc]
            self._requeue_after(task, PROGRESS_INTERVAL)

    async def _run(self, task: _Task) -> None:
        log.info("Starting task", extra={self._kind: task.key, "verb": task.status.verb})
        await task.work(lambda step: self._advance(task, step))

    def _leave(self, task: _Task, run: asyncio.Task[None]) -> None:
        """The run has ended in whatever way: free its slot, record the outcome, start the next task."""
        verb = task.status.verb
        self._running[verb].discard(run)
        if run.cancelled():
            self._end(task, Transient(Reason.CANCELLED, f"The {verb} was stopped before its end."))
        else:
            error = run.exception()
            self._end(task, error if error is None or isinstance(error, Exception) else Transient(Reason.CANCELLED, repr(error)))
        self._fill(verb)
        self._requeue_waiting(verb)

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

    def _requeue_waiting(self, verb: Verb) -> None:
        """A task has left the queue: those behind it have moved up."""
        for task in self._waiting[verb]:
            self._requeue_after(task, QUEUE_INTERVAL)

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
