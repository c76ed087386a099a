"""A controller: events become keys in its queue, workers reconcile the keys, the outcome of a pass decides when the next one is.

This is the only place that turns errors into waits. It knows what a Result is, and nothing of what a pass does or of any kind of object.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource, key_of
from provider.backoff import CONFLICT, JITTER, RECONCILE, jittered
from provider.controller.result import Result
from provider.controller.sources import Stream, Watch
from provider.controller.workqueue import WorkQueue
from provider.errors import Conflict, ProviderError, Terminal, Transient

log = logging.getLogger(__name__)

WARN_AFTER_FAILURES = 3
"""Failures of one key in a row before they are logged as warnings."""
STREAM_DELAY = 0.1
"""Seconds during which events of a stream become one pass of a key: an engine reports several for one change."""

Reconcile = Callable[[ObjectKey], Awaitable[Result]]
"""One pass. Raises ProviderError: the key is retried with backoff (Conflict: at once)."""
Reconciled = Callable[[str, ObjectKey, str, float, Result], None]
"""Called with controller, key, outcome and seconds of each pass; the result is empty unless the outcome is "success"."""


class Controller:
    """Reconciles one kind of object. Use from one event loop only."""

    def __init__(  # noqa: PLR0913 - what a controller is made of
        self,
        resource: Resource,
        reconcile: Reconcile,
        *,
        watches: Sequence[Watch] = (),
        streams: Sequence[Stream] = (),
        concurrency: int = 1,
        sync_period: float,
        timeout: float,
        reconciled: Reconciled,
        queue_waited: Callable[[str, float], None],
        namespace: str | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`resource` is what `reconcile` takes keys of; its events requeue the object itself. `watches` are further resources.

        `concurrency`: passes at the same time, of different keys. `sync_period`: seconds after which an object of ours is reconciled
        without any event. `timeout`: seconds of one pass. `namespace`: keys of other namespaces are dropped; None: of none.
        `queue_waited`: called with the controller and the seconds each key waited for a worker. `chance` jitters waits.
        """
        self.name = resource.kind.lower()
        self.resource = resource
        self.watches = (Watch(resource, lambda obj: (key_of(obj),)), *watches)
        self.timeout = timeout
        self.queue = WorkQueue(chance=chance, waited=lambda seconds: queue_waited(self.name, seconds))
        self._reconcile, self._streams, self._concurrency = reconcile, streams, concurrency
        self._sync_period, self._reconciled, self._namespace, self._chance = sync_period, reconciled, namespace, chance
        self._conflicts: dict[ObjectKey, int] = {}
        """Passes of a key in a row that lost a race."""
        self._running: list[asyncio.Task[None]] = []

    def handle(self, resource: Resource, obj: JsonObject) -> None:
        """An object of a watched resource was listed, changed or deleted."""
        for watch in self.watches:
            if watch.resource == resource:
                for key in watch.keys(obj):
                    if self._namespace in (None, key.namespace):
                        self.queue.add(key)

    async def run(self) -> None:
        """Workers and streams, until cancelled. Raises only for a defect of one of them; the others end with it."""
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(self._work(), name=f"{self.name} worker {n}") for n in range(self._concurrency)]
            streams = [group.create_task(self._follow(one), name=f"{self.name} events of {one.name}") for one in self._streams]
            self._running = workers + streams

    def ended(self) -> list[str]:
        """Names of the workers and streams that run no more; while the controller runs, none may end."""
        return [task.get_name() for task in self._running if task.done()]

    # --- one pass --------------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                await self._pass(key)
            finally:
                self.queue.done(key)

    async def _pass(self, key: ObjectKey) -> None:
        """Reconcile the key once and schedule its next pass. Raises nothing but the worker's own CancelledError."""
        now, result = asyncio.get_running_loop().time, Result()
        began = now()
        try:
            async with asyncio.timeout(self.timeout):
                result = await self._reconcile(key)
        except Conflict as error:
            # No failure of the object: what was read is older than what is stored, and the next pass reads it anew.
            outcome = "conflict"
            log.debug("Looking again", extra=self._context(key, reason=error.reason))
            self.queue.add_after(key, CONFLICT.delay(self._conflicts.get(key, 0), self._chance))
        except ProviderError as error:
            outcome = "terminal" if isinstance(error, Terminal) else "transient"
            self._retry(key, error)
        except TimeoutError:
            outcome = "timeout"
            self._retry(key, Transient(Reason.RECONCILE_TIMEOUT, f"Not done after {self.timeout:.0f} s."))
        except asyncio.CancelledError:
            if _cancelling():
                raise
            outcome = "defect"  # something that the pass waited for was cancelled, not the pass: the worker must not end of it
            log.exception("Looking at an object was cancelled from within", extra=self._context(key))
            self.queue.add_failed(key)
        except Exception:
            outcome = "defect"
            log.exception("Looking at an object failed by a defect of the provider", extra=self._context(key))
            self.queue.add_failed(key)
        else:
            outcome = "success"
            self._schedule(key, result)
        self._count_conflicts(key, outcome)
        self._reconciled(self.name, key, outcome, now() - began, result)

    def _count_conflicts(self, key: ObjectKey, outcome: str) -> None:
        if outcome == "conflict":
            self._conflicts[key] = self._conflicts.get(key, 0) + 1
        else:
            self._conflicts.pop(key, None)

    def _retry(self, key: ObjectKey, error: ProviderError) -> None:
        failures = self.queue.failures(key)
        asked = (error.retry_after if isinstance(error, Transient) else None) or 0.0  # by the API server (Retry-After)
        # Bounded: a proxy that asks for a year must not wedge the object.
        wait = self.queue.add_failed(key, at_least=min(asked, RECONCILE.limit))
        level = logging.WARNING if failures >= WARN_AFTER_FAILURES else logging.INFO
        log.log(level, "Trying again", extra=self._context(key, reason=error.reason, error=error.message, seconds=round(wait, 1)))

    def _schedule(self, key: ObjectKey, result: Result) -> None:
        """After a success: when the result asks for it, and after the sync period; the queue keeps the sooner one."""
        self.queue.forget(key)
        if result.requeue_after is not None:
            self.queue.add_after(key, result.requeue_after)
        if result.resync:
            # Jittered, or all objects that the manager's start reconciled would come back together for ever.
            self.queue.add_after(key, jittered(self._sync_period, JITTER, self._chance))

    def _context(self, key: ObjectKey, **more: object) -> dict[str, object]:
        return {self.resource.kind: key, "controller": self.name, **more}

    # --- streams ---------------------------------------------------------------------------------------------------------------

    async def _follow(self, stream: Stream) -> None:
        failures = 0
        while True:
            try:
                async for event in stream.open():
                    failures = 0
                    for key in stream.keys(event):
                        self.queue.add_after(key, STREAM_DELAY)
            except ProviderError as error:
                log.warning("An event stream failed", extra={"stream": stream.name, "error": error.message})
            except asyncio.CancelledError:
                if _cancelling():
                    raise
                log.exception("An event stream was cancelled from within", extra={"stream": stream.name})
            await asyncio.sleep(stream.backoff.delay(failures, self._chance))
            failures += 1


def _cancelling() -> bool:
    """Whether the running task itself was told to end. Else a CancelledError is a stray one: of something that it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
