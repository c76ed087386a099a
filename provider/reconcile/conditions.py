"""The conditions of one pass, from its outcome. Pure. What was not seen yields no condition, and the status keeps the one that it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from provider.api import contract
from provider.api.conditions import ConditionType, Reason
from provider.api.kind import NodeRole
from provider.api.markers import UpdateClass
from provider.api.meta import Condition, Conditions, ConditionStatus
from provider.ports.runtime import Endpoint, Ownership, Presence, RuntimeObservation, Verb
from provider.ports.tasks import TaskState, TaskStatus
from provider.ports.workload import WorkloadObservation
from provider.reconcile import kstatus
from provider.reconcile.addon_conditions import addons_ready
from provider.reconcile.data_loss import data_loss
from provider.reconcile.drift import Drift, listed
from provider.reconcile.expiry import expiring
from provider.reconcile.image_conditions import images_available, images_preloaded
from provider.reconcile.outcome import Outcome
from provider.reconcile.plan import AT_REST, Action, Decision, Power
from provider.reconcile.power import wanted_power
from provider.reconcile.registry_conditions import registry_ready
from provider.reconcile.rollout import rollout
from provider.reconcile.running_step import running_step
from provider.reconcile.update_plan import how_to_approve, other_approval

SIMULATED = (
    "Nodes are simulated: pods are scheduled and marked Running, and no container runs; kubectl logs and exec cannot work. "
    "Use spec.runtime: kind on a host with a container engine for real nodes."
)


def conditions(outcome: Outcome) -> dict[ConditionType, Condition]:
    found = {condition.type: condition for condition in _seen(outcome)}
    found[ConditionType.AVAILABLE] = _available(outcome.scope.conditions, found)
    if (ready := _ready(outcome, {**outcome.scope.conditions, **found})) is not None:
        found[ConditionType.READY] = ready
    found |= expiring(outcome.scope, {**outcome.scope.conditions, **found})
    return found | kstatus.marks({**outcome.scope.conditions, **found})


def _seen(outcome: Outcome) -> Iterator[Condition]:
    yield Condition(ConditionType.PAUSED, ConditionStatus.FALSE, Reason.NOT_PAUSED)
    if outcome.scope.runtime is not None and outcome.scope.runtime.simulated:
        yield Condition(ConditionType.NODES_SIMULATED, ConditionStatus.TRUE, Reason.NODES_SIMULATED, SIMULATED)
    yield from _runtime(outcome)
    yield from _replaced() if _is_being_replaced(outcome) else _workload(outcome)
    yield from _kubeconfig(outcome)
    yield from images_available(outcome)
    yield from images_preloaded(outcome)
    yield from registry_ready(outcome)
    yield from addons_ready(outcome)
    yield from _endpoint(outcome)
    yield from _config(outcome)
    yield from _policy(outcome)
    yield from _up_to_date(outcome)
    yield from rollout(outcome)


# --- the runtime -----------------------------------------------------------------------------------------------------------------


def _runtime(outcome: Outcome) -> Iterator[Condition]:
    seen = outcome.observed.cluster
    if seen is None:
        return
    if seen.presence is Presence.UNKNOWN and seen.reason is Reason.NAME_LOCKED:
        yield Condition(ConditionType.ENGINE_REACHABLE, ConditionStatus.TRUE, Reason.REACHABLE)
        yield Condition(ConditionType.OWNERSHIP_VERIFIED, ConditionStatus.UNKNOWN, Reason.NAME_LOCKED, seen.detail)
        return
    if seen.presence is Presence.UNKNOWN:
        yield Condition(
            ConditionType.ENGINE_REACHABLE, ConditionStatus.FALSE, seen.reason or Reason.ENGINE_UNREACHABLE, seen.detail
        )
        return
    yield Condition(ConditionType.ENGINE_REACHABLE, ConditionStatus.TRUE, Reason.REACHABLE)
    yield _ownership(seen, outcome.decision)
    if seen.ownership is not Ownership.FOREIGN:
        yield _containers(outcome, seen)


def _ownership(seen: RuntimeObservation, decision: Decision) -> Condition:
    kind = ConditionType.OWNERSHIP_VERIFIED
    if seen.ownership is Ownership.FOREIGN:
        return Condition(kind, ConditionStatus.FALSE, Reason.NAME_CONFLICT, seen.detail)
    if decision.reason is Reason.NAME_CONFLICT:
        return Condition(kind, ConditionStatus.FALSE, Reason.NAME_CONFLICT, decision.message)
    if seen.presence is Presence.ABSENT:
        return Condition(kind, ConditionStatus.UNKNOWN, Reason.NOT_CREATED, "Nothing runs under this cluster name.")
    return Condition(kind, ConditionStatus.TRUE, Reason.VERIFIED)


def _containers(outcome: Outcome, seen: RuntimeObservation) -> Condition:
    kind = ConditionType.CONTAINERS_RUNNING
    missing = seen.missing(outcome.nodes)
    if seen.presence is Presence.ABSENT and not outcome.scope.provisioned:
        return Condition(kind, ConditionStatus.FALSE, Reason.NOT_CREATED, "Nothing has been made yet.")
    if missing:
        return Condition(kind, ConditionStatus.FALSE, Reason.CONTAINERS_MISSING, f"Missing: {', '.join(missing)}.")
    if outcome.decision.reason in AT_REST:
        return Condition(kind, ConditionStatus.FALSE, outcome.decision.reason, outcome.decision.message)
    expected = {name for name, _ in outcome.nodes}
    not_running = [f"{node.name} ({node.state})" for node in seen.nodes if not node.state.running and node.name in expected]
    if not_running:
        return Condition(kind, ConditionStatus.FALSE, Reason.CONTAINERS_STOPPED, f"Not running: {', '.join(not_running)}.")
    return Condition(kind, ConditionStatus.TRUE, Reason.RUNNING)


# --- the cluster's own API -------------------------------------------------------------------------------------------------------


def _is_being_replaced(outcome: Outcome) -> bool:
    """A cluster that was there goes, and another one comes."""
    begins = outcome.decision.action is Action.CREATE
    goes_on = outcome.working is not None and outcome.working.verb is Verb.CREATE
    return outcome.scope.provisioned and (begins or goes_on)


def _replaced() -> Iterator[Condition]:
    message = "The cluster is being replaced."
    yield Condition(ConditionType.CONTAINERS_RUNNING, ConditionStatus.FALSE, Reason.RECREATING, message)
    yield Condition(ConditionType.CONTROL_PLANE_READY, ConditionStatus.FALSE, Reason.RECREATING, message)
    yield Condition(ConditionType.NODES_READY, ConditionStatus.UNKNOWN, Reason.RECREATING, message)


def _workload(outcome: Outcome) -> Iterator[Condition]:
    seen, workload, provisioned = outcome.observed.cluster, outcome.observed.workload, outcome.scope.provisioned
    if seen is None or seen.presence is Presence.UNKNOWN or seen.ownership is Ownership.FOREIGN:
        return
    if workload is None:
        control_planes = [node for node in seen.nodes if node.role is NodeRole.CONTROL_PLANE]
        if seen.presence is Presence.ABSENT or not any(node.state.running for node in control_planes):
            yield from _nothing_answers(outcome.decision, provisioned=provisioned)
        return
    if workload.reachable is None:
        return
    if lost := data_loss(outcome.scope.status, outcome.nodes, workload):
        yield Condition(ConditionType.CONTROL_PLANE_READY, ConditionStatus.FALSE, Reason.DATA_LOST, lost)
        yield Condition(ConditionType.NODES_READY, ConditionStatus.UNKNOWN, Reason.DATA_LOST, "Those of the cluster are gone.")
        return
    if not workload.reachable:
        reason = Reason.API_UNREACHABLE if provisioned else Reason.WAITING_FOR_API
        yield Condition(ConditionType.CONTROL_PLANE_READY, ConditionStatus.FALSE, reason, workload.detail)
        yield Condition(ConditionType.NODES_READY, ConditionStatus.UNKNOWN, reason, "The cluster's API server does not answer.")
        return
    yield Condition(ConditionType.CONTROL_PLANE_READY, ConditionStatus.TRUE, Reason.AVAILABLE)
    yield _nodes(outcome, workload)


def _nothing_answers(decision: Decision, *, provisioned: bool) -> Iterator[Condition]:
    reason = Reason.API_UNREACHABLE if provisioned else Reason.NOT_CREATED
    message = "No control-plane node is running." if provisioned else "Nothing has been made yet."
    if decision.reason in AT_REST:
        reason, message = decision.reason, decision.message
    yield Condition(ConditionType.CONTROL_PLANE_READY, ConditionStatus.FALSE, reason, message)
    yield Condition(ConditionType.NODES_READY, ConditionStatus.UNKNOWN, reason, "The cluster's API server does not answer.")


def _nodes(outcome: Outcome, workload: WorkloadObservation) -> Condition:
    kind = ConditionType.NODES_READY
    expected = [name for name, role in outcome.nodes if role is not NodeRole.LOAD_BALANCER]
    registered = {node.name: node for node in workload.nodes}
    absent = [name for name in expected if name not in registered]
    if absent:
        return Condition(kind, ConditionStatus.FALSE, Reason.WAITING_FOR_NODES, f"Not registered yet: {', '.join(absent)}.")
    not_ready = [f"{name} ({registered[name].message or 'NotReady'})" for name in expected if not registered[name].ready]
    networking = outcome.scope.spec.networking
    # With the default CNI disabled on purpose, nodes become Ready only when the user installs one.
    without_cni = networking is not None and bool(networking.disable_default_cni)
    if not_ready and not without_cni:
        return Condition(kind, ConditionStatus.FALSE, Reason.WAITING_FOR_NODES, f"Not Ready: {', '.join(not_ready)}.")
    if not workload.default_service_account:
        message = "The default ServiceAccount does not exist yet, so no pod can be created."
        return Condition(kind, ConditionStatus.FALSE, Reason.WAITING_FOR_NODES, message)
    return Condition(kind, ConditionStatus.TRUE, Reason.NODES_READY)


# --- Secret and drift ------------------------------------------------------------------------------------------------------------


def _kubeconfig(outcome: Outcome) -> Iterator[Condition]:
    kind = ConditionType.KUBECONFIG_PUBLISHED
    blocked = outcome.published.blocked or outcome.observed.blocked
    if outcome.published.done:
        yield Condition(kind, ConditionStatus.TRUE, Reason.PUBLISHED)
    elif blocked is not None:
        yield Condition(kind, ConditionStatus.FALSE, blocked.reason, blocked.message)
    elif kind not in outcome.scope.conditions:
        yield Condition(kind, ConditionStatus.FALSE, Reason.KUBECONFIG_PENDING, "Published as soon as the API server answers.")


def _endpoint(outcome: Outcome) -> Iterator[Condition]:
    """None where the cluster has no address at the moment, or none was published."""
    kind, published, seen = ConditionType.ENDPOINT_CURRENT, outcome.scope.spec.control_plane_endpoint, outcome.observed.cluster
    if published is None or seen is None or seen.ownership is not Ownership.OURS or seen.endpoint is None:
        return
    if (seen.endpoint.host, seen.endpoint.port) == (published.host, published.port):
        yield Condition(kind, ConditionStatus.TRUE, Reason.ENDPOINT_CURRENT)
        return
    message = (
        f"Published at {Endpoint(published.host, published.port)}, the API server answers at {seen.endpoint}: the kubeconfig Secrets "
        "and status.endpoints say so, spec.controlPlaneEndpoint and the Cluster's cannot. For an address that stays, make a new "
        "object without apiServerPort: -1."
    )
    yield Condition(kind, ConditionStatus.FALSE, Reason.ENDPOINT_MOVED, message)


def _config(outcome: Outcome) -> Iterator[Condition]:
    """None where there is, and was, no spec.configFrom, and where the pass ended before it was read."""
    kind, unresolved = ConditionType.CONFIG_RESOLVED, outcome.scope.unresolved
    if unresolved is not None:
        yield Condition(kind, ConditionStatus.FALSE, unresolved.reason, unresolved.message)
    elif outcome.desired is not None and (outcome.scope.spec.config_from is not None or kind in outcome.scope.conditions):
        yield Condition(kind, ConditionStatus.TRUE, Reason.CONFIG_RESOLVED)


def _policy(outcome: Outcome) -> Iterator[Condition]:
    """None where the pass ended before it knew what is asked for."""
    if outcome.refused is not None:
        yield Condition(ConditionType.POLICY_ALLOWED, ConditionStatus.FALSE, outcome.refused.reason, outcome.refused.message)
    elif outcome.desired is not None and outcome.scope.unresolved is None:
        yield Condition(ConditionType.POLICY_ALLOWED, ConditionStatus.TRUE, Reason.ALLOWED)


def _up_to_date(outcome: Outcome) -> Iterator[Condition]:
    """None while there is no cluster, or what is wanted is not known."""
    kind = ConditionType.UP_TO_DATE
    drift = outcome.drift
    if drift is None or drift.changes is None:
        return
    blocked = outcome.desired.blocked if outcome.desired is not None else None
    if outcome.choice is not None:
        blocked = blocked or outcome.choice.blocked
    if drift.changes:
        blocked = blocked or outcome.refused
    if blocked is not None:
        yield Condition(kind, ConditionStatus.FALSE, blocked.reason, blocked.message)
    elif not drift.changes:
        yield Condition(kind, ConditionStatus.TRUE, Reason.UP_TO_DATE)
    elif drift.update:
        yield Condition(kind, ConditionStatus.FALSE, *_update_on_the_way(outcome, drift.update))
    else:
        yield Condition(kind, ConditionStatus.FALSE, *_update_refused(outcome, drift))


def _update_on_the_way(outcome: Outcome, what: str) -> tuple[Reason, str]:
    task, decision = outcome.last(Verb.PREPARE), outcome.decision
    if (power := wanted_power(outcome.scope)) is not Power.RUNNING:
        reason = decision.reason if decision.reason in AT_REST else Reason(power)
        return reason, f"{what}: the cluster is replaced when it is to run again, as spec.powerState: {power} asks."
    wanted = outcome.desired.config_hash if outcome.desired is not None else ""
    if task is not None and (task.state, task.tag) == (TaskState.FAILED, wanted):
        reason, message = task.failure
        return (
            reason,
            f"{what}: the cluster is kept, because what would replace it cannot be made. {message} Tried again every minute.",
        )
    return (
        Reason.PREPARING,
        f"{what}: what the replacement needs is being fetched. Then the cluster is replaced; its content is lost.",
    )


def _update_refused(outcome: Outcome, drift: Drift) -> tuple[Reason, str]:
    changes = drift.changes or ()
    if impossible := tuple(change for change in changes if change.update_class is UpdateClass.IMPOSSIBLE):
        return (
            Reason.UPDATE_IMPOSSIBLE,
            f"{listed(impossible)} cannot change for a cluster that has been made: set it back, or create a new one. Nothing is changed.",
        )
    from_a_topology = contract.TOPOLOGY_OWNED_LABEL in (outcome.scope.metadata.get("labels") or {})
    where = "updatePolicy of the KINDClusterTemplate" if from_a_topology else "spec.updatePolicy"
    message = (
        f"{listed(changes)} would need other nodes. Nothing is changed: set it back, or set {where} to Recreate to have the cluster "
        f"replaced (its content is lost). {other_approval(outcome, drift.approval)}To have it replaced for this plan alone: "
        f"{how_to_approve(outcome.scope.key, drift.approval)}"
    )
    return Reason.UPDATE_NEEDED, message


# --- the sum of them -------------------------------------------------------------------------------------------------------------


def _available(old: Conditions, found: Conditions) -> Condition:
    kind, answers = ConditionType.AVAILABLE, found.get(ConditionType.CONTROL_PLANE_READY)
    if answers is not None and answers.true:
        return Condition(kind, ConditionStatus.TRUE, Reason.AVAILABLE)
    if answers is not None:
        return replace(answers, type=kind)
    return old.get(kind) or Condition(kind, ConditionStatus.FALSE, Reason.NOT_CREATED, "Nothing has been made yet.")


_PARTS = (
    ConditionType.OWNERSHIP_VERIFIED,
    ConditionType.CONTAINERS_RUNNING,
    ConditionType.CONTROL_PLANE_READY,
    ConditionType.NODES_READY,
    ConditionType.KUBECONFIG_PUBLISHED,
)


def _ready(outcome: Outcome, now: Conditions) -> Condition | None:
    """Ready, or why not: what blocks first, then what is being done, then what is not there yet. None keeps the old one."""
    kind, scope, seen = ConditionType.READY, outcome.scope, outcome.observed.cluster
    # An engine that does not answer says nothing about the cluster, which most likely runs on.
    was_ready = kind in scope.conditions and scope.conditions[kind].true
    if seen is not None and seen.presence is Presence.UNKNOWN and was_ready and not scope.deleting:
        return None
    if not outcome.decision.action.leaves_alone:
        return Condition(kind, ConditionStatus.FALSE, outcome.decision.reason, outcome.decision.message)
    if outcome.working is not None:
        return Condition(kind, ConditionStatus.FALSE, *_progress(outcome.working, recreating=scope.provisioned))
    for part in _PARTS:
        condition = now.get(part) or Condition(part, ConditionStatus.UNKNOWN, Reason.UNKNOWN, f"{part} is not known yet.")
        if not condition.true:
            return Condition(kind, ConditionStatus.FALSE, condition.reason, condition.message)
    return Condition(kind, ConditionStatus.TRUE, Reason.READY)


def _progress(task: TaskStatus, *, recreating: bool) -> tuple[Reason, str]:
    """(reason, message) of a task that is not over yet."""
    if task.state is TaskState.QUEUED and task.preparing:
        return Reason.QUEUED, f"Waits for its turn to fetch images: number {task.queue_position} in the queue."
    if task.state is TaskState.QUEUED:
        return Reason.QUEUED, f"Waits for a free slot: number {task.queue_position} in the queue."
    step = running_step(task.steps)
    match task.verb:
        case Verb.CREATE:
            begin = "Fetching images." if task.preparing else "Starting kind."
            return (Reason.RECREATING if recreating else Reason.CREATING), step or begin
        case Verb.START:
            return Reason.STARTING, step or "Starting stopped nodes."
        case Verb.STOP:
            return Reason.STOPPING, step or "Stopping the nodes."
        case Verb.PAUSE:
            return Reason.PAUSING, step or "Pausing the nodes."
        case _:
            return Reason.CLEANING_UP, step or "Removing what was made."
