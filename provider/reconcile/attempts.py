"""The record of creating a cluster, kept in status.lastCreate and status.failureReason/-Message. Pure.

It answers two questions that observation alone cannot: is what stands there a finished cluster or the remains of an interrupted
create, and when the next try is due. Only what the spec says wrongly is final; what a host lacks may be there in the next minute, so tries
go on, slower and slower (docs/adr/0089-failures-of-the-host-are-not-final.md).

A begun record without `finishedAt` means remains. The record is written *before* the work starts, so that a manager killed at any
instruction finds it (docs/adr/0001-status-is-written-ahead-of-work.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from provider.api.conditions import Reason
from provider.api.faults import Fault
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
"""Reasons of a host that could not even begin: nothing was tried, so nothing is counted."""
PREFLIGHT = frozenset({Reason.DISK_FULL, Reason.HOST_LIMITS, Reason.HOST_PATH_MISSING, Reason.PORT_IN_USE})
"""Reasons that a preflight can see come and go."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is known about creating the cluster as it is wanted now."""

    count: int = 0
    failed_message: str = ""
    given_up: bool = False
    """The spec is what is wrong: there is no next try."""
    next_at: datetime | None = None
    seen_by_preflight: bool = False
    """What stopped the last try was found before anything was made, and can be seen to go."""


@dataclass(frozen=True, slots=True)
class Record:
    """status.lastCreate and the failure fields, together. The latter are for what is final: Cluster API copies them and keeps them."""

    last_create: JsonObject
    failure_reason: str = ""
    failure_message: str = ""

    @property
    def unfinished(self) -> bool:
        """A create has been begun and is not finished."""
        return bool(self.last_create.get("startedAt")) and not self.last_create.get("finishedAt")

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
            failed_message=self.failure_message or last.get("message", ""),
            given_up=bool(self.failure_reason),
            next_at=datetime.fromisoformat(next_at) if next_at else None,
            seen_by_preflight=not last.get("steps") and Reason(last.get("reason", "")) in PREFLIGHT,
        )

    def begin(self, *, generation: int, config_hash: str, now: datetime) -> Record:
        """The intent: written before the work starts. The reason of an earlier failed try stays until one succeeds."""
        count = self.attempts(generation, config_hash).count + 1
        last = {"attempts": count, "startedAt": timestamp(now), "generation": generation, "configHash": config_hash}
        return Record({key: self.last_create[key] for key in ("reason", "message") if key in self.last_create} | last)

    def of_today(self, generation: int, config_hash: str) -> Record:
        """Without a failure that the spec as it is now did not cause."""
        known = (self.last_create.get("generation"), self.last_create.get("configHash")) == (generation, config_hash)
        return self if known else Record(self.last_create)

    def after(self, task: TaskStatus | None, *, config_hash: str, now: datetime) -> Record:
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
        reason, message = task.failure[0], shorten(task.failure[1])
        last |= {"reason": str(reason), "message": message}
        if len(task.steps) == task.fetched and reason in PREFLIGHT:
            last["steps"] = []  # images were fetched, and nothing of the cluster was begun: it is as if there had been no try
        if isinstance(task.error, Terminal) and reason.fault is Fault.SPEC:
            return Record(_final(last), reason, message)
        return Record(_failed(last, reason, now))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far creating has come."""

    record: Record
    complete: bool
    """Containers, if there are any, are a finished cluster."""
    attempts: Attempts


def progress(
    record: Record, task: TaskStatus | None, *, generation: int, config_hash: str, provisioned: bool, now: datetime
) -> Progress:
    """The record brought up to date with what became of the task, and what follows from it."""
    record = record.after(task, config_hash=config_hash, now=now).of_today(generation, config_hash)
    return Progress(record, record.is_complete(provisioned=provisioned), record.attempts(generation, config_hash))


def read_record(status: Mapping[str, Any]) -> Record:
    """A failure of a host that an earlier version called final is none."""
    reason = Reason(status.get("failureReason") or "")
    last, final = dict(status.get("lastCreate") or {}), reason.fault is Fault.SPEC
    return Record(last, reason, status.get("failureMessage") or "") if final else Record(last)


def _finished(last: JsonObject, task: TaskStatus) -> JsonObject:
    if task.finished_at is None or task.started_at is None:
        return last
    seconds = round((task.finished_at - task.started_at).total_seconds())
    for over in ("nextAttemptAt", "reason", "message"):
        last.pop(over, None)
    return {**last, "finishedAt": timestamp(task.finished_at), "seconds": seconds}


def _final(last: JsonObject) -> JsonObject:
    return {key: value for key, value in last.items() if key != "nextAttemptAt"}


def _failed(last: JsonObject, reason: Reason, now: datetime) -> JsonObject:
    """With the time of the next try."""
    tries = int(last.get("attempts", 1))
    # Nothing was tried, so the count goes back: an engine that is down for an hour must not make the first real failure wait long.
    if reason in NOT_A_TRY:
        return {**last, "attempts": max(0, tries - 1), "nextAttemptAt": timestamp(now + UNKNOWN_RETRY)}
    return {**last, "nextAttemptAt": timestamp(now + timedelta(seconds=CREATE.delay(max(0, tries - 1))))}


def _step(step: Step) -> JsonObject:
    entry: JsonObject = {"name": step.name, "state": str(step.state)}
    if step.seconds is not None:
        entry["seconds"] = round(step.seconds)
    return entry
