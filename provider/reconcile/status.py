"""What the object's status should say, computed once per pass from its outcome. Pure.

Unknown never flips anything: what this pass could not see keeps the value the status already has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provider.api.conditions import ConditionType, Reason
from provider.api.kind import NodeRole
from provider.api.meta import Condition, Conditions, ConditionStatus, JsonObject, merge_conditions, shorten, timestamp
from provider.api.phases import Phase
from provider.ports.runtime import NodeObservation, Ownership, Preloaded, Presence, Verb
from provider.ports.tasks import TaskState
from provider.ports.workload import WorkloadObservation
from provider.reconcile import kstatus
from provider.reconcile.addon_conditions import entries
from provider.reconcile.attempts import Record
from provider.reconcile.data_loss import known_uid
from provider.reconcile.expiry import expiry_of
from provider.reconcile.outcome import Outcome
from provider.reconcile.plan import AT_REST, Action, Decision
from provider.reconcile.power import RESUMES, last_resume
from provider.reconcile.preload import Preloading
from provider.reconcile.registries import Connecting
from provider.reconcile.replicas import counters, selector, versions, worker_counters
from provider.reconcile.scaling import last_scale
from provider.reconcile.scope import Scope
from provider.reconcile.update_plan import update_plan

HISTORY_LIMIT = 20
"""Entries of status.history; the oldest go first."""
HISTORY_MESSAGE = 500


def compute(outcome: Outcome, found: Conditions) -> JsonObject:
    """The whole desired status. `found`: the conditions of this pass. Keys that should go are absent."""
    scope = outcome.scope
    now = {**scope.conditions, **found}
    before = {name: value for name, value in scope.status.items() if name != "expiresAt" or scope.deleting}
    status = {
        **before,
        **_observed(outcome),
        **_images(outcome.preloading),
        **_registry(outcome.connecting),
        **entries(outcome),
        **_recorded(outcome.record),
    }
    if "nodes" in status:
        status |= counters(status["nodes"], now) | worker_counters(status["nodes"])
        status["selector"] = selector(scope.metadata)
    status["ready"] = now[ConditionType.READY].true
    status["observedGeneration"] = scope.generation
    status["phase"] = str(_phase(outcome, now))
    if _is_initialized(outcome, now):
        status["initialization"] = {"provisioned": True, "controlPlaneInitialized": True}
        status["initialized"] = True
    if outcome.record.unfinished:
        status.pop("clusterUID", None)  # the next cluster has another one
    if (scale := last_scale(outcome, ready=status["ready"])) is not None:
        status["lastScale"] = scale
    if not scope.deleting:
        status |= _end(scope, now)
    status |= {"lastResume": last_resume(outcome, ready=status["ready"]), "plan": update_plan(outcome, now)}
    for name in _over(outcome, status):
        status.pop(name, None)
    status["history"] = _history(scope, now[ConditionType.READY], status["phase"])
    status["conditions"] = merge_conditions(scope.status, found, generation=scope.generation, now=scope.now, gone=kstatus.MARKS)
    return status


def _over(outcome: Outcome, status: JsonObject) -> Iterator[str]:
    """Keys of what there is nothing to say of any more."""
    yield from (name for name in ("lastResume", "plan", "addons") if not status.get(name))
    if not outcome.scope.spec.images:
        yield "images"
    if outcome.connecting is not None and outcome.connecting.over:
        yield "registry"
    if not outcome.record.failure_reason:
        yield from ("failureReason", "failureMessage")


def paused(scope: Scope, message: str) -> JsonObject:
    """Only the Paused condition may be written while paused."""
    found = {ConditionType.PAUSED: Condition(ConditionType.PAUSED, ConditionStatus.TRUE, Reason.PAUSED, message)}
    return {**scope.status, "conditions": merge_conditions(scope.status, found, generation=scope.generation, now=scope.now)}


def _phase(outcome: Outcome, now: Conditions) -> Phase:
    scope, seen, ready = outcome.scope, outcome.observed.cluster, now[ConditionType.READY]
    if scope.deleting:
        return Phase.DELETING
    if working := _phase_of_work(outcome):
        return working
    if ready.true:
        return Phase.READY
    before = scope.status.get("phase")
    if seen is not None and seen.presence is Presence.UNKNOWN:
        return Phase(before or Phase.PENDING)
    if {outcome.decision.reason, ready.reason} & {Reason.CREATE_FAILED, Reason.INVALID_SPEC}:
        return Phase.FAILED
    if outcome.decision.reason in AT_REST:
        return Phase(outcome.decision.reason)
    if before in RESUMES and _comes_up(outcome.decision):
        return Phase.STARTING
    if scope.provisioned and before in (*RESUMES, Phase.READY, Phase.DEGRADED, Phase.REPAIRING):
        return Phase.DEGRADED  # provisioned once, and Ready since: losing that is not Creating
    waits = outcome.decision.action is Action.WAIT and outcome.decision.reason is not Reason.CREATE_RETRYING
    return Phase.PENDING if waits else Phase.CREATING


def _comes_up(decision: Decision) -> bool:
    """The nodes run, or are to be started once more in a moment."""
    return decision.action.leaves_alone or decision.reason is Reason.CONTAINERS_STOPPED


def _phase_of_work(outcome: Outcome) -> Phase | None:
    task, provisioned = outcome.working, outcome.scope.provisioned
    starts = Phase.STARTING if outcome.scope.status.get("phase") in RESUMES else Phase.REPAIRING
    match outcome.decision.action:
        case Action.CLEAN:
            return Phase.FAILED
        case Action.START:
            return starts
        case Action.STOP | Action.PAUSE:
            return Phase.STOPPING
        case Action.CREATE:
            return Phase.REPAIRING if provisioned else Phase.CREATING
    if task is None:
        return None
    if task.verb is Verb.DELETE:
        return Phase.FAILED
    if task.verb in (Verb.STOP, Verb.PAUSE):
        return Phase.STOPPING
    if task.verb is Verb.START:
        return starts
    if provisioned:
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
    if outcome.choice is not None and outcome.choice.image:
        seen["resolvedImage"] = outcome.choice.image
    if observation is None or observation.presence is Presence.UNKNOWN or observation.ownership is Ownership.FOREIGN:
        return seen
    seen["nodes"] = _nodes(observation.nodes, workload, scope.status.get("nodes") or [])
    wanted = outcome.drift.aim if outcome.drift is not None and outcome.drift.aim is not None else outcome.nodes
    expected = {name for name, role in wanted if role is not NodeRole.LOAD_BALANCER}
    ready = sum(1 for entry in seen["nodes"] if entry.get("ready") and entry["name"] in expected)
    seen["nodesReady"] = f"{ready}/{len(expected)}"
    if observation.endpoint is not None:
        seen["endpoints"] = {"host": observation.endpoint.url}
        if observation.internal_endpoint is not None:
            seen["endpoints"]["internal"] = observation.internal_endpoint.url
    if workload is not None and workload.credentials_expire_at is not None:
        seen["kubeconfigExpiresAt"] = timestamp(workload.credentials_expire_at)
    if workload is not None and (uid := known_uid(scope.status) or workload.uid):
        seen["clusterUID"] = uid
    if workload is not None and workload.version:
        seen["version"] = workload.version
        if found := versions(observation.nodes, workload):
            seen["versions"] = found
    images = [node.image for node in observation.nodes if node.role is NodeRole.CONTROL_PLANE and node.image]
    if images:
        seen["resolvedImage"] = images[0]
    return seen


def _end(scope: Scope, now: Conditions) -> JsonObject:
    """When its time is over; nothing where it never is."""
    found = expiry_of(scope, now)
    return {} if found is None or found.told is None else {"expiresAt": found.told}


def _images(found: Preloading | None) -> JsonObject:
    return {} if found is None or found.seen is None else {"images": [_image(one, found.nodes) for one in found.seen]}


def _registry(found: Connecting | None) -> JsonObject:
    if found is None or found.seen is None:
        return {}
    entry = {"nodes": f"{sum(node in found.seen.nodes for node in found.nodes)}/{len(found.nodes)}"}
    return {"registry": entry | ({"host": found.seen.host} if found.seen.host else {})}


def _image(one: Preloaded, nodes: tuple[str, ...]) -> JsonObject:
    found = {"name": one.name, "nodes": f"{sum(node in one.nodes for node in nodes)}/{len(nodes)}"}
    return found | ({"id": one.source} if one.source else {})


def _nodes(seen: tuple[NodeObservation, ...], workload: WorkloadObservation | None, old: list[JsonObject]) -> list[JsonObject]:
    """`ready` is what the cluster's API says now, else what it said last; a node that does not run is not ready."""
    answered = workload is not None and workload.reachable is not None
    ready = {node.name: node.ready for node in workload.nodes} if workload is not None else {}
    known = {entry["name"]: entry.get("ready") for entry in old}
    result = []
    for node in sorted(seen, key=lambda node: node.name):
        entry: dict[str, Any] = {"name": node.name, "role": str(node.role), "state": str(node.state), "id": node.id}
        if node.image:
            entry["image"] = node.image
        if node.role is not NodeRole.LOAD_BALANCER:
            entry["ready"] = ready.get(node.name, False) if answered else node.state.running and bool(known.get(node.name, False))
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


def _is_initialized(outcome: Outcome, now: Conditions) -> bool:
    """Never flips back (Cluster API contract: initialization fields are one-way). Of a cluster at rest whose status was lost by a move or
    a backup, the endpoint tells: it is written last, when the cluster has answered and is published. One that somebody has preset, with
    nothing made, tells nothing."""
    scope, seen = outcome.scope, outcome.observed.cluster
    if scope.provisioned and outcome.decision.reason in AT_REST and seen is not None and seen.presence is Presence.PRESENT:
        return True
    if (scope.status.get("initialization") or {}).get("provisioned") is True:
        return True
    needed = (ConditionType.KUBECONFIG_PUBLISHED, ConditionType.CONTROL_PLANE_READY)
    return scope.provisioned and all(kind in now and now[kind].true for kind in needed)


def _history(scope: Scope, ready: Condition, phase: str) -> list[JsonObject]:
    """One entry more when the phase or the reason of Ready is another one than before; newest last."""
    entries: list[JsonObject] = list(scope.status.get("history") or [])
    before = scope.conditions.get(ConditionType.READY)
    if (scope.status.get("phase"), before.reason if before else None) == (phase, ready.reason):
        return entries
    text = shorten(ready.message, HISTORY_MESSAGE)
    entry = {"time": timestamp(scope.now), "phase": phase, "reason": str(ready.reason), "message": text, "count": 1}
    newest = entries[-1] if entries else {}
    if all(newest.get(key, "") == entry[key] for key in ("phase", "reason", "message")):
        return [*entries[:-1], {**newest, "count": int(newest.get("count", 1)) + 1, "time": entry["time"]}]
    return [*entries, entry][-HISTORY_LIMIT:]
