"""The record of creating a cluster, kept in status.lastCreate and status.failureReason/-Message. Pure.

It answers two questions that observation alone cannot: is what stands there a finished cluster or the remains of an interrupted
create, and how many more tries are due. A begun record without `finishedAt` means remains. The record is written *before* the work
starts, so that a manager killed at any instruction finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, shorten, timestamp
from provider.errors import ProviderError, Terminal
from provider.ports.tasks import Step, TaskState, TaskStatus, Verb
from provider.reconcile.plan import Attempts

MAX_BACKOFF = timedelta(minutes=5)
NOT_A_TRY = frozenset(
    {
        "EngineMissing",
        "EngineUnreachable",
        "EngineUnusable",
        "KindMissing",
        "KindTooOld",
        "KindUnusable",
        "NameConflict",
        "NameLocked",
        "ToolsMissing",
    }
)
"""Reasons of a host that could not even begin: nothing was tried, so nothing is given up, and no edit of the spec would help."""
HOST_RETRY = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Record:
    """status.lastCreate and the failure fields, together."""

    last_create: JsonObject
    failure_reason: str = ""
    failure_message: str = ""


def read(status: Mapping[str, Any]) -> Record:
    return Record(dict(status.get("lastCreate") or {}), status.get("failureReason") or "", status.get("failureMessage") or "")


def complete(record: Record, *, provisioned: bool) -> bool:
    """Whether containers, if there are any, are a finished cluster. Without a record (moved, restored) the endpoint tells."""
    if record.last_create.get("startedAt"):
        return bool(record.last_create.get("finishedAt"))
    return provisioned


def attempts(record: Record, generation: int, config_hash: str) -> Attempts:
    """Tries of this generation with this config; an edited spec starts anew, and so does another version of the KINDControlPlane."""
    last = record.last_create
    if (last.get("generation"), last.get("configHash")) != (generation, config_hash) or last.get("finishedAt"):
        return Attempts()
    next_at = last.get("nextAttemptAt")
    return Attempts(
        count=int(last.get("attempts", 0)),
        failed_reason=record.failure_reason,
        failed_message=record.failure_message,
        given_up=bool(record.failure_reason) and next_at is None,
        next_at=_parse(next_at),
    )


def begin(record: Record, *, generation: int, config_hash: str, now: datetime) -> Record:
    """The intent: written before the work starts. The reason of an earlier failure stays until a try succeeds."""
    count = attempts(record, generation, config_hash).count + 1
    last = {"attempts": count, "startedAt": timestamp(now), "generation": generation, "configHash": config_hash}
    return Record(last, record.failure_reason, record.failure_message)


def after_task(
    record: Record, task: TaskStatus | None, *, config_hash: str, now: datetime, limit: int, base: timedelta
) -> Record:
    """The record after a create task has got as far as it has: steps while it runs, the outcome when it is over.

    A cluster made for a spec that was edited meanwhile is not finished: what stands there is remains.
    """
    if task is None or task.verb is not Verb.CREATE:
        return record
    last = {**record.last_create, "steps": [_step(step) for step in task.steps]}
    if task.state is TaskState.SUCCEEDED and task.tag != config_hash:
        return Record(record.last_create)
    if task.state is TaskState.SUCCEEDED:
        return Record(_finished(last, task))
    if task.state is not TaskState.FAILED:
        return Record(last, record.failure_reason, record.failure_message)
    reason, message = describe(task.error)
    last.pop("nextAttemptAt", None)
    if reason in NOT_A_TRY:
        last["attempts"] = int(last.get("attempts", 1)) - 1
        last["nextAttemptAt"] = timestamp(now + HOST_RETRY)
    elif not isinstance(task.error, Terminal) and int(last.get("attempts", 1)) < limit:
        wait = min(base * 2 ** (int(last.get("attempts", 1)) - 1), MAX_BACKOFF)
        last["nextAttemptAt"] = timestamp(now + wait)
    return Record(last, reason, shorten(message))


def describe(error: BaseException | None) -> tuple[str, str]:
    """(reason, message) of whatever ended a task; an unexpected exception shows its type only, its text goes to the log."""
    if isinstance(error, ProviderError):
        return error.reason, error.message
    return Reason.CREATE_FAILED, f"Internal error ({type(error).__name__}); the manager's log has the details."


def _finished(last: JsonObject, task: TaskStatus) -> JsonObject:
    if task.finished_at is None or task.started_at is None:
        return last
    seconds = round((task.finished_at - task.started_at).total_seconds())
    last.pop("nextAttemptAt", None)
    return {**last, "finishedAt": timestamp(task.finished_at), "seconds": seconds}


def _step(step: Step) -> JsonObject:
    entry: JsonObject = {"name": step.name, "state": str(step.state)}
    if step.seconds is not None:
        entry["seconds"] = round(step.seconds)
    return entry


def _parse(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
