"""Images of spec.images in the nodes of a cluster that stands: what is missing, and when to look again. Effects: reads only.

A look costs a process for each node, so what was seen is believed for a while, as long as the nodes and the list are the same ones. That is
a hint which saves work, never a truth: the load itself looks again, and another manager looks once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.api.meta import ObjectKey
from provider.backoff import PRELOAD_RETRY
from provider.errors import ProviderError
from provider.ports.runtime import Identity, Ownership, Preloaded, Presence, Runtime, RuntimeObservation, Verb
from provider.ports.tasks import TaskState, TaskStatus
from provider.reconcile.plan import Blocked, until
from provider.reconcile.scope import Scope


@dataclass(frozen=True, slots=True)
class Preloading:
    """What a pass knows of the images of spec.images."""

    nodes: tuple[str, ...] = ()
    """Names of the nodes that run."""
    seen: tuple[Preloaded, ...] | None = None
    """None: not known in this pass."""
    blocked: Blocked | None = None
    """Why the look, or the newest load, failed."""
    after: timedelta | None = None
    """Next look after this long."""

    @property
    def due(self) -> bool:
        """Something can be loaded, and nothing says to wait."""
        return self.blocked is None and any(one.source and self._lack(one) for one in self.seen or ())

    @property
    def lost(self) -> dict[str, list[str]]:
        """Images that are not to be had, each with the nodes that lack it."""
        return {one.name: lacking for one in self.seen or () if not one.source and (lacking := self._lack(one))}

    def _lack(self, one: Preloaded) -> list[str]:
        return [node for node in self.nodes if node not in one.nodes]


@dataclass(frozen=True, slots=True)
class _Kept:
    fingerprint: tuple[object, ...]
    until: datetime
    result: Preloading


class Preloader:
    def __init__(self) -> None:
        self._kept: dict[ObjectKey, _Kept] = {}

    def forget(self, key: ObjectKey) -> None:
        self._kept.pop(key, None)

    async def look(
        self, scope: Scope, runtime: Runtime, identity: Identity, seen: RuntimeObservation | None, task: TaskStatus | None
    ) -> Preloading | None:
        """For a finished cluster; `seen`: its nodes. None where no images are wanted, or nothing runs."""
        wanted = tuple(dict.fromkeys(scope.spec.images or ()))
        if not wanted or seen is None or seen.presence is not Presence.PRESENT or seen.ownership is not Ownership.OURS:
            self.forget(scope.key)
            return None
        if task is not None and task.verb in (Verb.LOAD, Verb.SCALE) and task.unfinished:
            return Preloading()  # of nodes that come and go there is nothing to tell
        running = {node.name: node.id for node in seen.nodes if node.state.running and node.role is not NodeRole.LOAD_BALANCER}
        if not running:
            return None
        fingerprint = (wanted, *sorted(running.items()))
        if task is not None and task.verb is Verb.LOAD:
            self._take_end(scope, task, fingerprint)
        kept = self._kept.get(scope.key)
        left = (
            until(kept.until, scope.now, PRELOAD_RETRY) if kept is not None and kept.fingerprint == fingerprint else timedelta(0)
        )
        if kept is None or left <= timedelta(0):
            result = _not_in_a_loop(await _look(runtime, identity, wanted, tuple(running)), task)
            kept, left = _Kept(fingerprint, scope.now + PRELOAD_RETRY, result), PRELOAD_RETRY
            self._kept[scope.key] = kept
        return kept.result if kept.result.after is None else replace(kept.result, after=left)

    def _take_end(self, scope: Scope, task: TaskStatus, fingerprint: tuple[object, ...]) -> None:
        """What was seen before a load is over with it. One that failed is told, and not tried again at once."""
        self.forget(scope.key)
        if task.state is TaskState.FAILED and task.failure[0] is not Reason.CANCELLED:
            blocked = Blocked(*_failure(task), PRELOAD_RETRY)
            self._kept[scope.key] = _Kept(
                fingerprint, scope.now + PRELOAD_RETRY, Preloading(blocked=blocked, after=PRELOAD_RETRY)
            )


def _failure(task: TaskStatus) -> tuple[Reason, str]:
    reason, message = task.failure
    # An error that nobody expected is, by its default, one of a create.
    return (Reason.IMAGE_LOAD_FAILED if reason is Reason.CREATE_FAILED else reason), message


def _not_in_a_loop(result: Preloading, task: TaskStatus | None) -> Preloading:
    """What has just been loaded and is not there would be loaded for ever."""
    if not result.due or task is None or task.verb is not Verb.LOAD or task.state is not TaskState.SUCCEEDED:
        return result
    message = "Images were loaded, and the nodes do not have them; tried again every minute."
    return replace(result, blocked=Blocked(Reason.IMAGE_LOAD_FAILED, message, PRELOAD_RETRY), after=PRELOAD_RETRY)


async def _look(runtime: Runtime, identity: Identity, wanted: Sequence[str], nodes: tuple[str, ...]) -> Preloading:
    try:
        found = await runtime.preloaded(identity, wanted)
    except ProviderError as error:
        return Preloading(blocked=Blocked(error.reason, error.message, PRELOAD_RETRY), after=PRELOAD_RETRY)
    result = Preloading(nodes, tuple(found))
    return replace(result, after=PRELOAD_RETRY) if result.lost else result
