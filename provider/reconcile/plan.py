"""What should happen next to a living cluster: a pure function of what was observed.

No effect, no clock of its own, no exception. The order of the checks below is the product's safety order: unknown before
everything, foreign before ours, a running task before a new one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.ports.runtime import NodeRunState, Ownership, Presence, RuntimeObservation
from provider.ports.tasks import TaskState, TaskStatus, Verb


class Action(StrEnum):
    NOTHING = "Nothing"
    """Keep looking after a cluster that exists."""
    WAIT = "Wait"
    """Something outside has to change first; `reason` and `message` say what."""
    CREATE = "Create"
    """Make it (own remains are removed first by the runtime)."""
    START = "Start"
    """Start stopped containers."""
    CLEAN = "Clean"
    """Remove own remains and make nothing."""
    PREPARE = "Prepare"
    """Fetch what a replacement needs, while the old cluster runs on."""
    CANCEL = "Cancel"
    """Stop the running create or prepare: the spec it works for has changed."""


class Heal(StrEnum):
    """spec.healPolicy."""

    REPAIR = "Repair"
    RECREATE = "Recreate"
    REPORT = "Report"


@dataclass(frozen=True, slots=True)
class Plan:
    action: Action
    reason: Reason = Reason.READY
    message: str = ""
    after: timedelta | None = None
    """Look again after this long, whatever else happens."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """What status.lastCreate remembers about creating this generation."""

    count: int = 0
    failed_reason: Reason | str = ""
    failed_message: str = ""
    given_up: bool = False
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision may depend on."""

    observation: RuntimeObservation | None
    """None while a task works: then nobody looked."""
    expected: tuple[tuple[str, NodeRole], ...]
    """Names and roles of the containers a complete cluster has."""
    complete: bool
    """A create for this object has succeeded at least once (so containers are a cluster, not remains)."""
    heal: Heal
    attempts: Attempts
    task: TaskStatus | None
    config_hash: str
    now: datetime
    rival: str = ""
    """namespace/name of another KINDCluster with an older claim to the cluster name."""
    retain_on_failure: bool = False
    update: str = ""
    """What of a complete cluster is outdated and may be replaced; empty: nothing."""


UNKNOWN_RETRY = timedelta(seconds=15)
FOREIGN_RETRY = timedelta(seconds=30)
SPACING = timedelta(seconds=10)
PREPARE_SPACING = timedelta(minutes=1)


def plan(facts: Facts) -> Plan:
    """Decide for an object that is neither paused nor being deleted."""
    if facts.task is not None and facts.task.changes_cluster:
        return _while_working(facts, facts.task)
    observation = facts.observation
    if observation is None:
        return Plan(Action.NOTHING)
    if observation.presence is Presence.UNKNOWN:
        return Plan(Action.WAIT, _known_reason(observation.reason), observation.detail, UNKNOWN_RETRY)
    if observation.ownership is Ownership.FOREIGN:
        return Plan(Action.WAIT, Reason.NAME_CONFLICT, observation.detail, FOREIGN_RETRY)
    if facts.complete:
        return _update(facts, observation) or _look_after(facts, observation)
    if facts.task is not None and facts.task.unfinished:
        # A replacement is being prepared for a cluster that is none any more: starting the create beside it would count a try for nothing.
        return Plan(Action.CANCEL)
    return _create(facts, observation)


def _update(facts: Facts, seen: RuntimeObservation) -> Plan | None:
    """Replacing an outdated cluster: first everything is brought that could be missing, then the old one goes."""
    task = facts.task if facts.task is not None and facts.task.verb is Verb.PREPARE else None
    current = task is not None and bool(facts.update) and task.tag == facts.config_hash
    if task is not None and task.unfinished:
        return Plan(Action.NOTHING) if current else Plan(Action.CANCEL)
    if not facts.update:
        return None
    if task is not None and current and task.state is TaskState.SUCCEEDED:
        return Plan(Action.CREATE, Reason.RECREATING, f"Changed: {facts.update}. The cluster is replaced.")
    rest = _rest_after(facts, Verb.PREPARE, PREPARE_SPACING)
    if current and rest > timedelta(0):
        meanwhile = _look_after(facts, seen)
        return replace(meanwhile, after=min(meanwhile.after or rest, rest))
    return Plan(Action.PREPARE, Reason.PREPARING)


def _known_reason(reason: str) -> Reason:
    return Reason(reason) if reason in Reason.__members__.values() else Reason.ENGINE_UNREACHABLE


def _while_working(facts: Facts, task: TaskStatus) -> Plan:
    if task.verb is Verb.CREATE and task.tag != facts.config_hash:
        return Plan(Action.CANCEL, Reason.CREATING, "The spec changed: the running create is stopped and begins anew.")
    return Plan(Action.NOTHING)


def _create(facts: Facts, seen: RuntimeObservation) -> Plan:
    attempts, present = facts.attempts, seen.presence is Presence.PRESENT
    if attempts.given_up:
        if present and not facts.retain_on_failure and _rest_after(facts, Verb.DELETE) <= timedelta(0):
            return Plan(Action.CLEAN, Reason.CLEANING_UP, "Removing what the failed create left.")
        message = f"{attempts.failed_message} Correct the spec, and it is tried again."
        return Plan(Action.WAIT, Reason.CREATE_FAILED, message, SPACING if present else None)
    if facts.rival and not present:
        return Plan(Action.WAIT, Reason.NAME_CONFLICT, _rival_message(facts), FOREIGN_RETRY)
    if attempts.next_at is not None and facts.now < attempts.next_at:
        return Plan(Action.WAIT, Reason.CREATE_RETRYING, attempts.failed_message, attempts.next_at - facts.now)
    return Plan(Action.CREATE, Reason.CREATING, "Creating the cluster.")


def _rival_message(facts: Facts) -> str:
    return (
        f"KINDCluster {facts.rival} has claimed this cluster name first; this one takes over when it is gone. "
        "Set another spec.clusterName on a new object to run both."
    )


def _look_after(facts: Facts, seen: RuntimeObservation) -> Plan:
    missing, stopped = missing_nodes(facts.expected, seen), stopped_nodes(seen)
    if missing:
        return _replace(facts, seen, f"Missing: {', '.join(missing)}.")
    if not stopped:
        return Plan(Action.NOTHING)
    if facts.heal is Heal.REPORT:
        message = f"Not running: {', '.join(stopped)}. Start them, or set spec.healPolicy: Repair."
        return Plan(Action.WAIT, Reason.REPAIR_NEEDED, message)
    rest = _rest_after(facts, Verb.START)
    if rest > timedelta(0):
        why = str(facts.task.error) if facts.task and facts.task.error else f"Not running: {', '.join(stopped)}."
        return Plan(Action.WAIT, Reason.CONTAINERS_STOPPED, f"{why} They are started again shortly.", rest)
    return Plan(Action.START, Reason.STARTING, f"Starting {', '.join(stopped)}.")


def _rest_after(facts: Facts, verb: Verb, spacing: timedelta = SPACING) -> timedelta:
    """What did not help must not be tried in a tight loop: a container that does not stay up, a removal that fails."""
    task = facts.task
    if task is None or task.verb != verb or task.finished_at is None:
        return timedelta(0)
    return task.finished_at + spacing - facts.now


def _replace(facts: Facts, seen: RuntimeObservation, what: str) -> Plan:
    if facts.heal is not Heal.RECREATE:
        cure = (
            "kind cannot add nodes to a cluster: set spec.healPolicy: Recreate to replace it (its content is lost), "
            "or delete the object."
        )
        return Plan(Action.WAIT, Reason.REPAIR_NEEDED, f"{what} {cure}")
    decision = _create(facts, seen)
    if decision.action is Action.CREATE:
        return Plan(Action.CREATE, Reason.RECREATING, f"{what} The cluster is replaced, as spec.healPolicy: Recreate allows.")
    return decision


def missing_nodes(expected: tuple[tuple[str, NodeRole], ...], seen: RuntimeObservation) -> list[str]:
    present = {node.name for node in seen.nodes}
    return [name for name, _ in expected if name not in present]


def stopped_nodes(seen: RuntimeObservation) -> list[str]:
    running = (NodeRunState.RUNNING, NodeRunState.RESTARTING)
    return [node.name for node in seen.nodes if node.state not in running]
