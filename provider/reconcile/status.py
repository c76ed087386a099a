"""What the object's status should say, computed once per pass from its outcome. Pure.

Unknown never flips anything: what this pass could not see keeps the value the status already has.
"""

from __future__ import annotations

from typing import Any

from provider.api import meta
from provider.api.conditions import ConditionType, Phase, Reason
from provider.api.kind import NodeRole
from provider.api.meta import Finding, JsonObject, Truth
from provider.ports.runtime import NodeObservation, Ownership, Presence
from provider.ports.tasks import TaskState, Verb
from provider.ports.workload import WorkloadObservation
from provider.reconcile import history
from provider.reconcile.attempts import Record
from provider.reconcile.conditions import findings
from provider.reconcile.decision import Action
from provider.reconcile.outcome import Outcome
from provider.reconcile.scope import Scope


def compute(outcome: Outcome) -> JsonObject:
    """The whole desired status. Keys that should go are absent."""
    scope = outcome.scope
    old = scope.status
    merged = meta.merge_conditions(scope.conditions, findings(outcome), generation=scope.generation, now=scope.now)
    status = {**old, **_observed(outcome), **_recorded(outcome.record)}
    status["conditions"] = merged
    status["ready"] = meta.is_condition_true(merged, ConditionType.READY)
    status["observedGeneration"] = scope.generation
    status["phase"] = str(phase(outcome, merged))
    if _is_initialized(old, merged, provisioned=scope.provisioned):
        status["initialization"] = {"provisioned": True, "controlPlaneInitialized": True}
        status["initialized"] = True
    if not outcome.record.failure_reason:
        status.pop("failureReason", None)
        status.pop("failureMessage", None)
    status["history"] = history.extended(old, status, scope.now)
    return status


def paused(scope: Scope, message: str) -> JsonObject:
    """Only the Paused condition may be written while paused."""
    finding = Finding(ConditionType.PAUSED, Truth.TRUE, Reason.PAUSED, message)
    merged = meta.merge_conditions(scope.conditions, [finding], generation=scope.generation, now=scope.now)
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


def phase(outcome: Outcome, merged: list[JsonObject]) -> Phase:
    scope, seen = outcome.scope, outcome.observed.cluster
    if scope.deleting:
        return Phase.DELETING
    if working := _phase_of_work(outcome):
        return working
    if meta.is_condition_true(merged, ConditionType.READY):
        return Phase.READY
    before = scope.status.get("phase")
    if seen is not None and seen.presence is Presence.UNKNOWN:
        return Phase(before or Phase.PENDING)
    ready = meta.find_condition(merged, ConditionType.READY)
    reasons = {outcome.decision.reason, ready.get("reason") if ready else ""}
    if reasons & {Reason.CREATE_FAILED, Reason.INVALID_SPEC}:
        return Phase.FAILED
    if scope.provisioned and before in (Phase.READY, Phase.DEGRADED, Phase.REPAIRING):
        return Phase.DEGRADED  # provisioned once, and Ready since: losing that is not Creating
    waits = outcome.action is Action.WAIT and outcome.decision.reason is not Reason.CREATE_RETRYING
    return Phase.PENDING if waits else Phase.CREATING


def _phase_of_work(outcome: Outcome) -> Phase | None:
    task, provisioned = outcome.working, outcome.scope.provisioned
    match outcome.action:
        case Action.CLEAN:
            return Phase.FAILED
        case Action.START:
            return Phase.REPAIRING
        case Action.CREATE:
            return Phase.REPAIRING if provisioned else Phase.CREATING
    if task is None:
        return None
    if task.verb is Verb.DELETE:
        return Phase.FAILED
    if task.verb is Verb.START or provisioned:
        return Phase.REPAIRING
    return Phase.QUEUED if task.state is TaskState.QUEUED else Phase.CREATING


def _observed(outcome: Outcome) -> JsonObject:
    """The parts that this pass saw; nothing for what it did not."""
    scope, observation, workload = outcome.scope, outcome.observed.cluster, outcome.observed.workload
    seen: JsonObject = {}
    if scope.identity is not None:
        seen["clusterName"] = scope.identity.cluster_name
    if scope.runtime is not None:
        seen["runtime"] = scope.runtime.name
    if outcome.desired is not None and outcome.desired.request.image:
        seen["resolvedImage"] = outcome.desired.request.image
    if observation is None or observation.presence is Presence.UNKNOWN or observation.ownership is Ownership.FOREIGN:
        return seen
    seen["nodes"] = _nodes(observation.nodes, workload, scope.status.get("nodes") or [])
    expected = [name for name, role in outcome.nodes if role is not NodeRole.LOAD_BALANCER]
    seen["nodesReady"] = f"{sum(1 for entry in seen['nodes'] if entry.get('ready'))}/{len(expected)}"
    if observation.endpoint is not None:
        seen["endpoints"] = {"host": observation.endpoint.url}
        if observation.internal_endpoint is not None:
            seen["endpoints"]["internal"] = observation.internal_endpoint.url
    if workload is not None and workload.version:
        seen["version"] = workload.version
        seen["versions"] = [{"version": workload.version}]
    images = [node.image for node in observation.nodes if node.role is NodeRole.CONTROL_PLANE and node.image]
    if images:
        seen["resolvedImage"] = images[0]
    return seen


def _nodes(seen: tuple[NodeObservation, ...], workload: WorkloadObservation | None, old: list[JsonObject]) -> list[JsonObject]:
    """`ready` is what the cluster's API says now, else what it said last."""
    answered = workload is not None and workload.reachable is not None
    ready = {node.name: node.ready for node in workload.nodes} if workload is not None else {}
    known = {entry["name"]: entry.get("ready") for entry in old}
    result = []
    for node in sorted(seen, key=lambda node: node.name):
        entry: dict[str, Any] = {"name": node.name, "role": str(node.role), "state": str(node.state), "id": node.id}
        if node.image:
            entry["image"] = node.image
        if node.role is not NodeRole.LOAD_BALANCER:
            entry["ready"] = ready.get(node.name, False) if answered else bool(known.get(node.name, False))
        result.append(entry)
    return result


def _recorded(record: Record) -> JsonObject:
    entry: JsonObject = {}
    if record.last_create:
        entry["lastCreate"] = record.last_create
    if record.failure_reason:
        entry["failureReason"] = record.failure_reason
        entry["failureMessage"] = record.failure_message
    return entry


def _is_initialized(old: JsonObject, merged: list[JsonObject], *, provisioned: bool) -> bool:
    """Never flips back (Cluster API contract: initialization fields are one-way)."""
    if (old.get("initialization") or {}).get("provisioned") is True:
        return True
    needed = (ConditionType.KUBECONFIG_PUBLISHED, ConditionType.CONTROL_PLANE_READY)
    return provisioned and all(meta.is_condition_true(merged, kind) for kind in needed)
