"""The conditions of one pass, from what the scope holds. Pure. What was not seen yields no finding and so keeps its value."""

from __future__ import annotations

from collections.abc import Iterator

from provider.api import meta
from provider.api.conditions import ConditionType, Reason
from provider.api.kind import NodeRole
from provider.api.meta import Finding, Truth
from provider.ports.runtime import Ownership, Presence, RuntimeObservation
from provider.ports.tasks import Step, StepState, TaskState, TaskStatus, Verb
from provider.ports.workload import WorkloadObservation
from provider.reconcile.outdated import up_to_date
from provider.reconcile.plan import Action, Plan, missing_nodes
from provider.reconcile.scope import Scope

SIMULATED = (
    "Nodes are simulated: pods are scheduled and marked Running, and no container runs; kubectl logs and exec cannot work. "
    "Use spec.runtime: kind on a host with a container engine for real nodes."
)


def findings(scope: Scope) -> list[Finding]:
    found = [Finding(ConditionType.PAUSED, Truth.FALSE, Reason.NOT_PAUSED)]
    if scope.runtime is not None and scope.runtime.simulated:
        found.append(Finding(ConditionType.NODES_SIMULATED, Truth.TRUE, Reason.NODES_SIMULATED, SIMULATED))
    found.extend(_runtime(scope))
    found.extend(_replaced() if _replacing(scope) else _workload(scope))
    found.extend(_secret(scope))
    found.extend(up_to_date(scope))
    found.append(_available(scope, found))
    ready = _ready(scope, found)
    if ready is not None:
        found.append(ready)
    return found


def _runtime(scope: Scope) -> Iterator[Finding]:
    seen = scope.observation
    if seen is None:
        return
    if seen.presence is Presence.UNKNOWN and seen.reason == Reason.NAME_LOCKED:
        yield Finding(ConditionType.ENGINE_REACHABLE, Truth.TRUE, Reason.REACHABLE)
        yield Finding(ConditionType.OWNERSHIP_VERIFIED, Truth.UNKNOWN, Reason.NAME_LOCKED, seen.detail)
        return
    if seen.presence is Presence.UNKNOWN:
        yield Finding(ConditionType.ENGINE_REACHABLE, Truth.FALSE, seen.reason or Reason.ENGINE_UNREACHABLE, seen.detail)
        return
    yield Finding(ConditionType.ENGINE_REACHABLE, Truth.TRUE, Reason.REACHABLE)
    yield _ownership(scope, seen)
    if seen.ownership is not Ownership.FOREIGN:
        yield _containers(scope, seen)


def _ownership(scope: Scope, seen: RuntimeObservation) -> Finding:
    kind = ConditionType.OWNERSHIP_VERIFIED
    if seen.ownership is Ownership.FOREIGN:
        return Finding(kind, Truth.FALSE, Reason.NAME_CONFLICT, seen.detail)
    if scope.decision is not None and scope.decision.reason is Reason.NAME_CONFLICT:
        return Finding(kind, Truth.FALSE, Reason.NAME_CONFLICT, scope.decision.message)
    if seen.presence is Presence.ABSENT:
        return Finding(kind, Truth.UNKNOWN, Reason.NOT_CREATED, "Nothing runs under this cluster name.")
    return Finding(kind, Truth.TRUE, Reason.VERIFIED)


def _containers(scope: Scope, seen: RuntimeObservation) -> Finding:
    kind = ConditionType.CONTAINERS_RUNNING
    missing = missing_nodes(scope.expected, seen)
    if seen.presence is Presence.ABSENT and not scope.provisioned:
        return Finding(kind, Truth.FALSE, Reason.NOT_CREATED, "Nothing has been made yet.")
    if missing:
        return Finding(kind, Truth.FALSE, Reason.CONTAINERS_MISSING, f"Missing: {', '.join(missing)}.")
    stopped = [f"{node.name} ({node.state})" for node in seen.nodes if node.state != "Running"]
    if stopped:
        return Finding(kind, Truth.FALSE, Reason.CONTAINERS_STOPPED, f"Not running: {', '.join(stopped)}.")
    return Finding(kind, Truth.TRUE, Reason.RUNNING)


def _workload(scope: Scope) -> Iterator[Finding]:
    seen, workload = scope.observation, scope.workload
    if seen is None or seen.presence is Presence.UNKNOWN or seen.ownership is Ownership.FOREIGN:
        return
    if workload is None:
        if seen.presence is Presence.ABSENT or _control_plane_down(seen):
            yield from _nothing_answers(scope)
        return
    if workload.reachable is None:
        return
    if not workload.reachable:
        reason = Reason.API_UNREACHABLE if scope.provisioned else Reason.WAITING_FOR_API
        yield Finding(ConditionType.CONTROL_PLANE_READY, Truth.FALSE, reason, workload.detail)
        yield Finding(ConditionType.NODES_READY, Truth.UNKNOWN, reason, "The cluster's API server does not answer.")
        return
    yield Finding(ConditionType.CONTROL_PLANE_READY, Truth.TRUE, Reason.AVAILABLE)
    yield _nodes(scope, workload)


def _replacing(scope: Scope) -> bool:
    """A cluster that was there goes, and another one comes."""
    begins = scope.decision is not None and scope.decision.action is Action.CREATE
    goes_on = scope.disturbed and scope.task is not None and scope.task.verb is Verb.CREATE
    return scope.provisioned and (begins or goes_on)


def _replaced() -> Iterator[Finding]:
    message = "The cluster is being replaced."
    yield Finding(ConditionType.CONTAINERS_RUNNING, Truth.FALSE, Reason.RECREATING, message)
    yield Finding(ConditionType.CONTROL_PLANE_READY, Truth.FALSE, Reason.RECREATING, message)
    yield Finding(ConditionType.NODES_READY, Truth.UNKNOWN, Reason.RECREATING, message)


def _control_plane_down(seen: RuntimeObservation) -> bool:
    return not any(node.state == "Running" for node in seen.nodes if node.role is NodeRole.CONTROL_PLANE)


def _nothing_answers(scope: Scope) -> Iterator[Finding]:
    reason = Reason.API_UNREACHABLE if scope.provisioned else Reason.NOT_CREATED
    message = "No control-plane node is running." if scope.provisioned else "Nothing has been made yet."
    yield Finding(ConditionType.CONTROL_PLANE_READY, Truth.FALSE, reason, message)
    yield Finding(ConditionType.NODES_READY, Truth.UNKNOWN, reason, "The cluster's API server does not answer.")


def _nodes(scope: Scope, workload: WorkloadObservation) -> Finding:
    kind = ConditionType.NODES_READY
    expected = [name for name, role in scope.expected if role is not NodeRole.LOAD_BALANCER]
    registered = {node.name: node for node in workload.nodes}
    absent = [name for name in expected if name not in registered]
    if absent:
        return Finding(kind, Truth.FALSE, Reason.WAITING_FOR_NODES, f"Not registered yet: {', '.join(absent)}.")
    not_ready = [f"{name} ({registered[name].message or 'NotReady'})" for name in expected if not registered[name].ready]
    if not_ready and not _without_cni(scope):
        return Finding(kind, Truth.FALSE, Reason.WAITING_FOR_NODES, f"Not Ready: {', '.join(not_ready)}.")
    if not workload.default_service_account:
        message = "The default ServiceAccount does not exist yet, so no pod can be created."
        return Finding(kind, Truth.FALSE, Reason.WAITING_FOR_NODES, message)
    return Finding(kind, Truth.TRUE, Reason.NODES_READY)


def _without_cni(scope: Scope) -> bool:
    """With the default CNI disabled on purpose, nodes become Ready only when the user installs one."""
    networking = scope.spec.networking
    return networking is not None and bool(networking.disable_default_cni)


def _secret(scope: Scope) -> Iterator[Finding]:
    kind = ConditionType.KUBECONFIG_PUBLISHED
    if scope.secret_published:
        yield Finding(kind, Truth.TRUE, Reason.PUBLISHED)
    elif scope.problem is not None:
        yield Finding(kind, Truth.FALSE, *scope.problem)
    elif meta.find_condition(scope.status.get("conditions") or [], kind) is None:
        yield Finding(kind, Truth.FALSE, Reason.KUBECONFIG_PENDING, "Published as soon as the API server answers.")


def _available(scope: Scope, found: list[Finding]) -> Finding:
    answers = next((finding for finding in found if finding.type is ConditionType.CONTROL_PLANE_READY), None)
    if answers is not None and answers.status is Truth.TRUE:
        return Finding(ConditionType.AVAILABLE, Truth.TRUE, Reason.AVAILABLE)
    if answers is not None:
        return Finding(ConditionType.AVAILABLE, answers.status, answers.reason, answers.message)
    old = meta.find_condition(scope.status.get("conditions") or [], ConditionType.AVAILABLE)
    if old is None:
        return Finding(ConditionType.AVAILABLE, Truth.FALSE, Reason.NOT_CREATED, "Nothing has been made yet.")
    return Finding(ConditionType.AVAILABLE, Truth(old["status"]), old["reason"], old.get("message", ""))


def _ready(scope: Scope, found: list[Finding]) -> Finding | None:
    """Ready, or why not: what blocks first, then what is being done, then what is not there yet. None keeps the old one."""
    kind, decision = ConditionType.READY, scope.decision
    was_ready = meta.is_condition_true(scope.status.get("conditions") or [], kind)
    if scope.observation is not None and scope.observation.presence is Presence.UNKNOWN and was_ready and not scope.deleting:
        return None
    if decision is not None and decision.action not in (Action.NOTHING, Action.PREPARE):
        return Finding(kind, Truth.FALSE, *_planned(scope, decision))
    if scope.task is not None and scope.disturbed:
        return Finding(kind, Truth.FALSE, *working(scope.task, recreating=scope.provisioned))
    old = {entry["type"]: entry for entry in scope.status.get("conditions") or []}
    seen = {finding.type: finding for finding in found}
    for part in _PARTS:
        finding = seen.get(part) or _kept(part, old)
        if finding is not None and finding.status is not Truth.TRUE:
            return Finding(kind, Truth.FALSE, finding.reason, finding.message)
    return Finding(kind, Truth.TRUE, Reason.READY)


_PARTS = (
    ConditionType.OWNERSHIP_VERIFIED,
    ConditionType.CONTAINERS_RUNNING,
    ConditionType.CONTROL_PLANE_READY,
    ConditionType.NODES_READY,
    ConditionType.KUBECONFIG_PUBLISHED,
)


def _kept(part: ConditionType, old: dict[str, dict[str, str]]) -> Finding | None:
    if part not in old:
        return Finding(part, Truth.UNKNOWN, Reason.UNKNOWN, f"{part} is not known yet.")
    entry = old[part]
    return Finding(part, Truth(entry["status"]), entry["reason"], entry.get("message", ""))


def _planned(scope: Scope, decision: Plan) -> tuple[str, str]:
    if decision.reason is Reason.CREATE_RETRYING and decision.after is not None:
        moment = meta.timestamp(scope.now + decision.after)
        return decision.reason, f"{decision.message} Next try at {moment}."
    return decision.reason, decision.message


def working(task: TaskStatus, *, recreating: bool) -> tuple[str, str]:
    """(reason, message) of a task that is not over yet."""
    if task.state is TaskState.QUEUED:
        return Reason.QUEUED, f"Waits for a free slot: number {task.queue_position} in the queue."
    step = progress(task.steps)
    match task.verb:
        case Verb.CREATE:
            return (Reason.RECREATING if recreating else Reason.CREATING), step or "Starting kind."
        case Verb.START:
            return Reason.STARTING, step or "Starting stopped nodes."
        case _:
            return Reason.CLEANING_UP, step or "Removing what was made."


def progress(steps: tuple[Step, ...]) -> str:
    """The running step for people: "Starting control-plane (step 4)"."""
    running = [index for index, step in enumerate(steps) if step.state is StepState.STARTED]
    if not running:
        return ""
    return f"{steps[running[-1]].name} (step {running[-1] + 1})"
