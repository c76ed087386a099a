"""The record of creating a cluster, kept in status.lastCreate and status.failureReason/-Message. Pure.

It answers two questions that observation alone cannot: is what stands there a finished cluster or the remains of an interrupted
create, and how many more tries are due. A begun record without `finishedAt` means remains. The record is written *before* the work
starts, so that a manager killed at any instruction finds it (docs/adr/0001-status-is-written-ahead-of-work.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, shorten, timestamp
from provider.backoff import CREATE, UNKNOWN_RETRY
from provider.errors import Terminal
from provider.ports.runtime import Step, Verb
from provider.ports.tasks import TaskState, TaskStatus

NOT_A_TRY = frozenset(
    {
        Reason.ENGINE_MISSING,
        Reason.ENGINE_UNREACHABLE,
        Reason.KIND_MISSING,
        Reason.KIND_TOO_OLD,
        Reason.KIND_UNUSABLE,
        Reason.NAME_CONFLICT,
        Reason.NAME_LOCKED,
        Reason.OTHER_DAEMON,
        Reason.TOOLS_MISSING,
    }
)
"""Reasons of a host that could not even begin: nothing was tried, so nothing is given up, and no edit of the spec would help."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is known about creating the cluster as it is wanted now."""

    count: int = 0
    failed_message: str = ""
    given_up: bool = False
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """status.lastCreate and the failure fields, together."""

    last_create: JsonObject
    failure_reason: str = ""
    failure_message: str = ""

    def is_complete(self, *, provisioned: bool) -> bool:
        """Whether containers, if there are any, are a finished cluster. Without a record (moved, restored) the endpoint tells."""
        if self.last_create.get("startedAt"):
            return bool(self.last_create.get("finishedAt"))
        return provisioned

    def attempts(self, generation: int, config_hash: str) -> Attempts:
        """Tries of this generation with this config; an edited spec starts anew, and so does another version of the KINDControlPlane."""
        last = self.last_create
        if (last.get("generation"), last.get("configHash")) != (generation, config_hash) or last.get("finishedAt"):
            return Attempts()
        next_at = last.get("nextAttemptAt")
        return Attempts(
            count=int(last.get("attempts", 0)),
            failed_message=self.failure_message,
            given_up=bool(self.failure_reason) and next_at is None,
            next_at=datetime.fromisoformat(next_at) if next_at else None,
        )

    def begin(self, *, generation: int, config_hash: str, now: datetime) -> Record:
        """The intent: written before the work starts. The reason of an earlier failure stays until a try succeeds."""
        count = self.attempts(generation, config_hash).count + 1
        last = {"attempts": count, "startedAt": timestamp(now), "generation": generation, "configHash": config_hash}
        return Record(last, self.failure_reason, self.failure_message)

    def after(self, task: TaskStatus | None, *, config_hash: str, now: datetime, limit: int) -> Record:
        """The record after a create task has got as far as it has: steps while it runs, the outcome when it is over.

        A cluster made for a spec that was edited meanwhile is not finished: what stands there is remains.
        """
        if task is None or task.verb is not Verb.CREATE:
            return self
        last = {**self.last_create, "steps": [_step(step) for step in task.steps]}
        if task.state is TaskState.SUCCEEDED and task.tag != config_hash:
            return Record(self.last_create)
        if task.state is TaskState.SUCCEEDED:
            return Record(_finished(last, task))
        if task.state is not TaskState.FAILED:
            return Record(last, self.failure_reason, self.failure_message)
        reason, message = task.failure
        return Record(_failed(last, reason, task.error, now, limit), reason, shorten(message))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far creating has come."""

    record: Record
    complete: bool
    """Containers, if there are any, are a finished cluster."""
    attempts: Attempts


def progress(
    record: Record, task: TaskStatus | None, *, generation: int, config_hash: str, provisioned: bool, now: datetime, limit: int
) -> Progress:
    """The record brought up to date with what became of the task, and what follows from it. `limit`: tries before it is given up."""
    record = record.after(task, config_hash=config_hash, now=now, limit=limit)
    return Progress(record, record.is_complete(provisioned=provisioned), record.attempts(generation, config_hash))


def read_record(status: Mapping[str, Any]) -> Record:
    return Record(dict(status.get("lastCreate") or {}), status.get("failureReason") or "", status.get("failureMessage") or "")


def _finished(last: JsonObject, task: TaskStatus) -> JsonObject:
    if task.finished_at is None or task.started_at is None:
        return last
    seconds = round((task.finished_at - task.started_at).total_seconds())
    last.pop("nextAttemptAt", None)
    return {**last, "finishedAt": timestamp(task.finished_at), "seconds": seconds}


def _failed(last: JsonObject, reason: Reason, error: Exception | None, now: datetime, limit: int) -> JsonObject:
    """With the time of the next try; without one it is given up."""
    tries = int(last.get("attempts", 1))
    last.pop("nextAttemptAt", None)
    # Nothing was tried, so the count goes back: an engine that is down for an hour must not use up all tries.
    if reason in NOT_A_TRY:
        return {**last, "attempts": tries - 1, "nextAttemptAt": timestamp(now + UNKNOWN_RETRY)}
    if isinstance(error, Terminal) or tries >= limit:
        return last
    return {**last, "nextAttemptAt": timestamp(now + timedelta(seconds=CREATE.delay(tries - 1)))}


def _step(step: Step) -> JsonObject:
    entry: JsonObject = {"name": step.name, "state": str(step.state)}
    if step.seconds is not None:
        entry["seconds"] = round(step.seconds)
    return entry
