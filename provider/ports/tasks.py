"""Long operations on behalf of one object, as a Protocol: started by a pass, which never waits for them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from provider.api.meta import ObjectKey


class StepState(StrEnum):
    STARTED = "Started"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Step:
    """Progress of a long operation. A later Step with the same name replaces the earlier one."""

    name: str
    """For people, as kind words it: "Starting control-plane"."""
    state: StepState
    seconds: float | None = None
    """How long it took; None while it runs."""


Progress = Callable[[Step], None]


# --- work ----------------------------------------------------------------------------------------------------------------------


class JobState(StrEnum):
    QUEUED = "Queued"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A long operation of one key. Kept in memory only: after a restart observation decides."""

    verb: str
    """"create", "delete" or "start"."""
    state: JobState
    queue_position: int = 0
    """1 = next; 0 when not queued."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    steps: tuple[Step, ...] = ()
    error: Exception | None = None
    tag: str = ""
    """Whatever the starter wants back, e.g. the hash of the config being created."""

    @property
    def unfinished(self) -> bool:
        """It waits for a slot or works."""
        return self.state in (JobState.QUEUED, JobState.RUNNING)


class Jobs(Protocol):
    """At most one job per key; a bounded number at once per verb. The end of a job, and every new step, re-queue its key."""

    def status(self, key: ObjectKey) -> JobStatus | None: ...

    def start(self, key: ObjectKey, verb: str, work: Callable[[Progress], Coroutine[Any, Any, None]], *, tag: str = "") -> None:
        """Queue it. A finished job of this key is forgotten; an unfinished one makes this a no-op."""
        ...

    async def cancel(self, key: ObjectKey) -> None:
        """Stop a queued or running job and return when it is really over. No-op without one."""
        ...

    def forget(self, key: ObjectKey) -> None:
        """Drop the record of a finished job."""
        ...
