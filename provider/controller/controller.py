"""The loop between queue and reconciler: take a key, have it looked at, decide from the outcome when to look again.

This is the only place that turns errors into waits. It knows what a Result is and nothing of what a pass does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.controller.result import Result
from provider.controller.workqueue import WorkQueue
from provider.errors import Conflict, ProviderError, Terminal, Transient

log = logging.getLogger(__name__)

CONFLICT_SECONDS = 0.05
"""Before the next look after a lost race: our view was stale, a fresh one is a moment away."""
LOUD_FAILURES = 3
"""Failures of one key in a row before they are worth a warning."""


class Workers:
    def __init__(
        self,
        queue: WorkQueue,
        reconcile: Callable[[ObjectKey], Awaitable[Result]],
        *,
        timeout: float,
        resync: float,
        passed: Callable[[ObjectKey, str, float, Result], None],
    ) -> None:
        """`timeout` and `resync` in seconds. `passed` is told of every pass: key, how it ended, seconds, result (empty on error)."""
        self._queue, self._reconcile = queue, reconcile
        self._timeout, self._resync, self._passed = timeout, resync, passed

    async def work(self) -> None:
        """One worker; run as many as may look at objects at once. Ends by cancellation."""
        while True:
            key = await self._queue.get()
            try:
                await self.look(key)
            finally:
                self._queue.done(key)

    async def look(self, key: ObjectKey) -> None:
        """One pass and its consequences. Raises nothing but CancelledError."""
        began, result = _now(), Result()
        try:
            async with asyncio.timeout(self._timeout):
                result = await self._reconcile(key)
        except Conflict as error:
            outcome = "conflict"
            log.debug("Looking again", extra={"object": str(key), "reason": error.reason})
            self._queue.add_after(key, self._queue.jittered(CONFLICT_SECONDS))
        except ProviderError as error:
            outcome = "terminal" if isinstance(error, Terminal) else "transient"
            self._again(key, error.reason, error.message, _asked_wait(error))
        except TimeoutError:
            outcome = "timeout"
            self._again(key, Reason.RECONCILE_TIMEOUT, f"Not done after {self._timeout:.0f} s.", 0.0)
        except Exception:
            outcome = "defect"
            log.exception("Looking at an object failed by a defect of the provider", extra={"object": str(key)})
            self._queue.add_failed(key)
        else:
            outcome = "success"
            self._later(key, result)
        self._passed(key, outcome, _now() - began, result)

    def _again(self, key: ObjectKey, reason: Reason, message: str, at_least: float) -> None:
        failures = self._queue.failures(key)
        wait = self._queue.add_failed(key, at_least=at_least)
        level = logging.WARNING if failures >= LOUD_FAILURES else logging.INFO
        log.log(level, "Trying again", extra={"object": str(key), "reason": reason, "error": message, "seconds": round(wait, 1)})

    def _later(self, key: ObjectKey, result: Result) -> None:
        """A pass went well: when its result says, and in any case at the next resync of an object that is ours."""
        self._queue.forget(key)
        if result.requeue_after is not None:
            self._queue.add_after(key, result.requeue_after)
        if result.resync:
            self._queue.add_after(key, self._queue.jittered(self._resync))


def _asked_wait(error: ProviderError) -> float:
    return (error.retry_after or 0.0) if isinstance(error, Transient) else 0.0


def _now() -> float:
    return asyncio.get_running_loop().time()
