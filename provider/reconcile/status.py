"""What the object's status should say, computed once per pass from the scope. Pure.

Unknown never flips anything: what this pass could not see keeps the value the status already has.
"""

from __future__ import annotations

from typing import Any

from provider.api import meta
from provider.api.conditions import ConditionType, Phase, Reason
from provider.api.kind import NodeRole
from provider.api.meta import Finding, JsonObject, Truth
from provider.ports.runtime import Ownership, Presence
from provider.ports.tasks import TaskState, Verb
from provider.reconcile import history
from provider.reconcile.attempts import Record
from provider.reconcile.conditions import findings
from provider.reconcile.plan import Action
from provider.reconcile.scope import Scope


def compute(scope: Scope, record: Record) -> JsonObject:
    """The whole desired status. Keys that should go are absent."""
    old = scope.status
    found = findings(scope)
    merged = meta.merge_conditions(old.get("conditions") or [], found, generation=scope.generation, now=scope.now)
    status = {**old, **_observed(scope), **_recorded(record)}
    status["conditions"] = merged
    status["ready"] = meta.is_condition_true(merged, ConditionType.READY)
    status["observedGeneration"] = scope.generation
    status["phase"] = str(phase(scope, merged))
    _initialize(status, scope, merged)
    _drop_stale(status, record)
    status["history"] = _history(scope, status)
    return status


def paused(scope: Scope, message: str) -> JsonObject:
    """Only the Paused condition may be written while paused."""
    finding = Finding(ConditionType.PAUSED, Truth.TRUE, Reason.PAUSED, message)
    old = scope.status.get("conditions") or []
    merged = meta.merge_conditions(old, [finding], generation=scope.generation, now=scope.now)
    return {**scope.status, "conditions": merged}


def difference(old: JsonObject, new: JsonObject) -> JsonObject:
    """JSON merge patch (RFC 7386) that turns `old` into `new`; empty when they are equal."""
    patch: JsonObject = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := difference(before, value):
                patch[key] = inner
        elif key not in old or before != value:
            patch[key] = value
    return patch


def phase(scope: Scope, merged: list[JsonObject]) -> Phase:
    if scope.deleting:
        return Phase.DELETING
    if working := _phase_of_work(scope):
        return working
    ready = meta.find_condition(merged, ConditionType.READY)
    if meta.is_condition_true(merged, ConditionType.READY):
        return Phase.READY
    reason = ready.get("reason") if ready else ""
    if scope.observation is not None and scope.observation.presence is Presence.UNKNOWN:
        return Phase(scope.status.get("phase") or Phase.PENDING)
    if reason in (Reason.CREATE_FAILED, Reason.INVALID_SPEC) or (
        scope.decision and scope.decision.reason is Reason.CREATE_FAILED
    ):
        return Phase.FAILED
    if _was_ready(scope):
        return Phase.DEGRADED
    return Phase.PENDING if _waits(scope) else Phase.CREATING


def _phase_of_work(scope: Scope) -> Phase | None:
    decision, task = scope.decision, scope.task
    action = decision.action if decision else Action.NOTHING
    if action is Action.CLEAN:
        return Phase.FAILED
    if action is Action.START:
        return Phase.REPAIRING
    if action is Action.CREATE:
        return Phase.REPAIRING if scope.provisioned else Phase.CREATING
    if task is None or not scope.disturbed:
        return None
    if task.verb is Verb.DELETE:
        return Phase.FAILED
    if task.verb is Verb.START or scope.provisioned:
        return Phase.REPAIRING
    return Phase.QUEUED if task.state is TaskState.QUEUED else Phase.CREATING


def _was_ready(scope: Scope) -> bool:
    """Provisioned once, and seen Ready since: losing that is Degraded, not Creating."""
    return scope.provisioned and scope.status.get("phase") in (Phase.READY, Phase.DEGRADED, Phase.REPAIRING)


def _waits(scope: Scope) -> bool:
    waiting = scope.decision is None or scope.decision.action is Action.WAIT
    retrying = scope.decision is not None and scope.decision.reason is Reason.CREATE_RETRYING
    return waiting and not retrying


def _observed(scope: Scope) -> JsonObject:
    """The parts that this pass saw; nothing for what it did not."""
    seen: JsonObject = {}
    if scope.identity is not None:
        seen["clusterName"] = scope.identity.cluster_name
    if scope.runtime is not None:
        seen["runtime"] = scope.runtime.name
    if scope.request is not None and scope.request.image:
        seen["resolvedImage"] = scope.request.image
    observation = scope.observation
    if observation is None or observation.presence is Presence.UNKNOWN or observation.ownership is Ownership.FOREIGN:
        return seen
    seen["nodes"] = _nodes(scope)
    seen["nodesReady"] = _nodes_ready(scope)
    if observation.endpoint is not None:
        seen["endpoints"] = {"host": observation.endpoint.url}
        if observation.internal_endpoint is not None:
            seen["endpoints"]["internal"] = observation.internal_endpoint.url
    if scope.workload is not None and scope.workload.version:
        seen["version"] = scope.workload.version
        seen["versions"] = [{"version": scope.workload.version}]
    images = [node.image for node in observation.nodes if node.role is NodeRole.CONTROL_PLANE and node.image]
    if images:
        seen["resolvedImage"] = images[0]
    return seen


def _nodes(scope: Scope) -> list[JsonObject]:
    assert scope.observation is not None
    ready = {node.name: node.ready for node in scope.workload.nodes} if scope.workload is not None else {}
    known = {entry["name"]: entry.get("ready") for entry in scope.status.get("nodes") or []}
    reachable = scope.workload is not None and scope.workload.reachable is not None
    result = []
    for node in sorted(scope.observation.nodes, key=lambda node: node.name):
        entry: dict[str, Any] = {"name": node.name, "role": str(node.role), "state": str(node.state), "id": node.id}
        if node.image:
            entry["image"] = node.image
        if node.role is not NodeRole.LOAD_BALANCER:
            entry["ready"] = ready.get(node.name, False) if reachable else bool(known.get(node.name, False))
        result.append(entry)
    return result


def _nodes_ready(scope: Scope) -> str:
    expected = [name for name, role in scope.expected if role is not NodeRole.LOAD_BALANCER]
    ready = sum(1 for entry in _nodes(scope) if entry.get("ready"))
    return f"{ready}/{len(expected)}"


def _recorded(record: Record) -> JsonObject:
    entry: JsonObject = {}
    if record.last_create:
        entry["lastCreate"] = record.last_create
    if record.failure_reason:
        entry["failureReason"] = record.failure_reason
        entry["failureMessage"] = record.failure_message
    return entry


def _initialize(status: JsonObject, scope: Scope, merged: list[JsonObject]) -> None:
    """`provisioned` never flips back (Cluster API contract: initialization fields are one-way)."""
    before = (scope.status.get("initialization") or {}).get("provisioned") is True
    usable = scope.provisioned and meta.is_condition_true(merged, ConditionType.KUBECONFIG_PUBLISHED)
    answering = meta.is_condition_true(merged, ConditionType.CONTROL_PLANE_READY)
    if before or (usable and answering):
        status["initialization"] = {"provisioned": True, "controlPlaneInitialized": True}
        status["initialized"] = True


def _drop_stale(status: JsonObject, record: Record) -> None:
    if not record.failure_reason:
        status.pop("failureReason", None)
        status.pop("failureMessage", None)


def _history(scope: Scope, status: JsonObject) -> list[JsonObject]:
    old = list(scope.status.get("history") or [])
    before, after = _headline(scope.status), _headline(status)
    if before[:2] == after[:2]:
        return old
    return history.record(old, phase=after[0], reason=after[1], message=after[2], now=scope.now)


def _headline(status: JsonObject) -> tuple[str, str, str]:
    ready = meta.find_condition(status.get("conditions") or [], ConditionType.READY) or {}
    return status.get("phase", ""), ready.get("reason", ""), ready.get("message", "")
