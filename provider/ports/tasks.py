"""Long operations on behalf of one object, as a Protocol: started by a pass, which never waits for them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.errors import ProviderError
from provider.ports.runtime import Identity, Progress, Step, Verb

Work = Callable[[Progress], Coroutine[Any, Any, None]]
"""A long operation, which reports its steps. It cleans up when it is cancelled, and raises ProviderError when it fails."""


INSIDE = (Verb.LOAD, Verb.CONNECT, Verb.APPLY)
"""Verbs that bring something into a cluster which runs, and leave the cluster itself alone."""


class TaskState(StrEnum):
    QUEUED = "Queued"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster that a task works on. An object that is made anew under the same key has another one."""

    runtime: str
    identity: Identity


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """A long operation of one key. Kept in memory only: after a restart observation decides."""

    verb: Verb
    state: TaskState
    queue_position: int = 0
    """1 = next; 0 when not queued."""
    preparing: bool = False
    """Waiting for, or at, what comes before the verb itself (fetching images): the cluster is not touched."""
    started_at: datetime | None = None
    """When the verb itself began; None: nothing of the cluster has been touched."""
    finished_at: datetime | None = None
    steps: tuple[Step, ...] = ()
    fetched: int = 0
    """How many of the steps belong to what came before the verb itself."""
    error: Exception | None = None
    tag: str = ""
    """Whatever the starter wants back, e.g. the hash of the config being created."""
    target: Target | None = None

    @property
    def unfinished(self) -> bool:
        """It waits for a slot or works."""
        return self.state in (TaskState.QUEUED, TaskState.RUNNING)

    @property
    def failure(self) -> tuple[Reason, str]:
        """(reason, message) of what ended it; an unexpected exception shows its type only, its text goes to the log."""
        if isinstance(self.error, ProviderError):
            return self.error.reason, self.error.message
        return Reason.CREATE_FAILED, f"Internal error ({type(self.error).__name__}); the manager's log has the details."

    @property
    def changes_cluster(self) -> bool:
        """It works, or is about to work, on the cluster itself: what is observed meanwhile is not its state."""
        return self.unfinished and self.verb not in (Verb.PREPARE, Verb.SCALE, *INSIDE)


class Tasks(Protocol):
    """At most one task per key; a bounded number at once per verb, shared fairly by the namespaces. The end of a task, every new step
    and every new position in the queue re-queue its key (positions far back less often)."""

    def status(self, key: ObjectKey) -> TaskStatus | None: ...

    def start(
        self, key: ObjectKey, verb: Verb, work: Work, *, before: Work | None = None, tag: str = "", target: Target | None = None
    ) -> None:
        """Queue it. A finished task of this key is forgotten; an unfinished one makes this a no-op.

        `before`: what has to be done first and leaves the cluster alone. It takes a slot of Verb.PREPARE, and none of `verb`.
        """

    async def discard(self, key: ObjectKey) -> None:
        """Stop a queued or running task, return when it is really over, and drop its record. No-op without one."""

    def forget(self, key: ObjectKey) -> None:
        """Drop the record of a finished task."""
