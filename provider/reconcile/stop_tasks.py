"""When a task has to stop before its end: nobody wants what it makes, or the object that it works for is another one now.

An object whose finalizer was stripped vanishes while its create runs, and may be made anew under the same name at once. The new object has
another marker, so that what the old task leaves would be a foreign cluster in its way, and nobody's: it is removed here, by the old marker.
What stands *finished* is never touched here: stripping a finalizer is how people let go of a cluster (docs/adr/0087).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey
from provider.backoff import ABANDONED_RETRY
from provider.errors import NotOurs, Terminal
from provider.ports.runtime import Runtime, Verb
from provider.ports.tasks import Target, Tasks, TaskState, TaskStatus
from provider.reconcile.identity import marker_of
from provider.reconcile.plan import Blocked, cooldown_left


async def stop_making(key: ObjectKey, tasks: Tasks) -> None:
    """End whatever makes, prepares or starts. A removal goes on: half a removal helps nobody."""
    task = tasks.status(key)
    if task is not None and task.verb is not Verb.DELETE:
        await tasks.discard(key)


async def end_stale_task(
    key: ObjectKey, obj: JsonObject | None, tasks: Tasks, runtimes: Mapping[str, Runtime], now: datetime
) -> Blocked | None:
    """Stop a task that works for another object than `obj` (None: gone), and remove what its create left. Blocked until that is removed."""
    task = tasks.status(key)
    if task is None or task.target is None or (obj is not None and task.target.identity.marker == marker_of(obj)):
        return None
    if task.verb is Verb.DELETE and task.unfinished:
        return _removing()
    left = cooldown_left(task, Verb.DELETE, now, ABANDONED_RETRY)
    if _must_remove(task) and left > timedelta(0):
        _, why = task.failure
        return _removing(f" It failed and is tried again: {why}", left)
    await tasks.discard(key)
    if not _must_remove(task) or task.target.runtime not in runtimes:
        return None
    start_removal(key, runtimes[task.target.runtime], task.target, tasks)
    return _removing()


def start_removal(key: ObjectKey, runtime: Runtime, target: Target, tasks: Tasks) -> None:
    tasks.start(key, Verb.DELETE, partial(runtime.delete, target.identity), target=target)


def _must_remove(task: TaskStatus) -> bool:
    """A create that began leaves remains, also one whose end no pass has seen; a removal that failed has not removed them."""
    if task.verb is Verb.CREATE:
        return task.started_at is not None
    return task.verb is Verb.DELETE and task.state is TaskState.FAILED and not isinstance(task.error, NotOurs | Terminal)


def _removing(more: str = "", after: timedelta | None = None) -> Blocked:
    message = f"What was being made for a former object of this name is removed first.{more}"
    return Blocked(Reason.CLEANING_UP, message, after)
