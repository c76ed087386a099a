"""What should happen next to a living cluster, or why nothing can: a pure function of what was observed.

No effect, no clock of its own, no exception. The order of the checks below is the product's safety order: unknown before
everything, foreign before ours, a running task before a new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from provider.api.conditions import Reason
from provider.api.kind import NodeNames
from provider.api.meta import timestamp
from provider.backoff import COOLDOWN, CREATE, FOREIGN_RETRY, PREPARE_COOLDOWN, SCALE_COOLDOWN, UNKNOWN_RETRY
from provider.ports.runtime import NodeRunState, Ownership, Presence, RuntimeObservation, Verb, Workers
from provider.ports.tasks import INSIDE, TaskState, TaskStatus
from provider.reconcile.attempts import Attempts


class Action(StrEnum):
    NOTHING = "Nothing"
    """Keep watching a cluster that exists."""
    WAIT = "Wait"
    """Something outside has to change first."""
    CREATE = "Create"
    """Make it (own remains are removed first by the runtime)."""
    START = "Start"
    """Start stopped containers."""
    STOP = "Stop"
    """Stop the containers, as spec.powerState asks."""
    PAUSE = "Pause"
    """Freeze the containers, as spec.powerState asks."""
    LOAD = "Load"
    """Bring images into the nodes of a cluster that runs."""
    CONNECT = "Connect"
    """Let the nodes of a cluster that runs know their registries."""
    APPLY = "Apply"
    """Apply add-ons to a cluster that runs, or remove them from it."""
    SCALE = "Scale"
    """Let workers join and leave."""
    CLEAN = "Clean"
    """Remove own remains and make nothing."""
    PREPARE = "Prepare"
    """Fetch what a replacement needs, while the old cluster runs on."""
    CANCEL = "Cancel"
    """Stop the running create or prepare: the spec it works for has changed. Or what goes on beside, for what the cluster needs more."""

    @property
    def leaves_alone(self) -> bool:
        """The cluster is used as before while this goes on."""
        return self in (Action.NOTHING, Action.SCALE, *ASIDE)


ASIDE = frozenset({Action.PREPARE, Action.LOAD, Action.CONNECT, Action.APPLY})
"""What goes on beside a cluster that is used, and waits for its turn."""
BESIDE = frozenset({*INSIDE, Verb.SCALE})
"""Tasks beside which the cluster is observed, and which whatever it needs more ends."""


@dataclass(frozen=True, slots=True)
class Plan:
    action: Action
    reason: Reason = Reason.READY
    message: str = ""
    after: timedelta | None = None
    """Next pass after this long, whatever else happens."""
    fetch: bool = False
    """What a create needs is not all on the host: it is fetched first, before the create takes a slot."""
    workers: Workers | None = None
    """Who is to join and to leave, of a SCALE."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why nothing can be done now, for the Ready condition."""

    reason: Reason
    message: str
    after: timedelta | None = None
    """Next pass after this long; None: only an event (an edit, the owner, the engine) or the resync can help."""
    action: ClassVar[Action] = Action.WAIT


Decision = Plan | Blocked


class Heal(StrEnum):
    """spec.healPolicy."""

    REPAIR = "Repair"
    RECREATE = "Recreate"
    REPORT = "Report"


class Power(StrEnum):
    """spec.powerState."""

    RUNNING = "Running"
    STOPPED = "Stopped"
    PAUSED = "Paused"


NOT_BROUGHT_BACK = "What was on a node that was removed cannot be brought back."
AT_REST = frozenset({Reason.STOPPED, Reason.PAUSED})
"""Reasons of a decision that the cluster is as spec.powerState wants it, and does not run."""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision may depend on."""

    observation: RuntimeObservation | None
    """None while a task works on the cluster: it is not observed then."""
    expected: NodeNames
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
    lost: str = ""
    """That the content of a complete cluster is gone although it runs; empty: it is not, or nobody can tell."""
    update: str = ""
    """What of a complete cluster is outdated and may be replaced; empty: nothing."""
    power: Power = Power.RUNNING
    """What is wanted of a complete cluster now."""
    resumes: bool = False
    """It was stopped or paused as spec.powerState asked, and has not been Ready since."""
    unloaded: bool = False
    """Nodes lack images that can be loaded into them."""
    unconnected: bool = False
    """Nodes do not know their registries, or the shared one is not there, and that can be changed."""
    unapplied: bool = False
    """Something of an add-on can be applied to the cluster, or removed from it."""
    unapplied_outdated: bool = False
    """The task that does so works with texts of add-ons that are not those of the spec any more."""
    answers: bool = False
    """The cluster's API server does, as it has to where workers join or leave."""
    scaling: Workers | None = None
    """Workers that are to join or to leave; None: all are as wanted, or nobody can tell."""
    ended: Mapping[Verb, TaskStatus] = field(default_factory=dict)
    """How the last try of a verb ended, whatever task has come since (provider.reconcile.tries)."""

    def last(self, verb: Verb) -> TaskStatus | None:
        """The newest try for what is wanted now, be it under way."""
        found = self.task if self.task is not None and self.task.verb is verb else self.ended.get(verb)
        return found if found is not None and found.tag == self.config_hash else None


def plan(facts: Facts) -> Decision:
    """Decide for an object that is neither paused nor being deleted."""
    decision, task = _decide(facts), facts.task
    if task is None or not task.unfinished or task.verb not in BESIDE or decision.action is Action.WAIT:
        return decision
    scales = task.verb is Verb.SCALE
    if scales and task.tag != facts.config_hash:
        return Plan(Action.CANCEL)
    if task.verb is Verb.APPLY and facts.unapplied_outdated:
        return Plan(Action.CANCEL)
    # One task at a time: what waits for its end would not even begin. A replacement that is only to be fetched can wait: where that
    # fails, or is refused, images are loaded and workers join meanwhile, and the two would end each other for ever.
    # What failed before does not end what works.
    waits = decision.action in (Action.NOTHING, *ASIDE) or (
        decision.action is Action.SCALE and facts.last(Verb.SCALE) is not None
    )
    return Plan(Action.NOTHING, after=decision.after) if waits else Plan(Action.CANCEL)


def without_replacement(facts: Facts, blocked: Blocked) -> Decision:
    """Where what would be made cannot or may not be: an old cluster is maintained as if nobody had asked for another, and looked at again
    as soon as either asks for it. `blocked` is the answer where only making one is left.
    """
    kept = plan(replace(facts, update=""))
    if kept.action is Action.CREATE:
        return blocked
    waits = [after for after in (kept.after, blocked.after) if after is not None]
    return replace(kept, after=min(waits, default=None))


def _decide(facts: Facts) -> Decision:
    if facts.task is not None and facts.task.changes_cluster:
        return _while_working(facts, facts.task)
    observation = facts.observation
    if observation is None:
        return Plan(Action.NOTHING)
    if observation.presence is Presence.UNKNOWN:
        return Blocked(observation.reason or Reason.ENGINE_UNREACHABLE, observation.detail, UNKNOWN_RETRY)
    if observation.ownership is Ownership.FOREIGN:
        return Blocked(Reason.NAME_CONFLICT, observation.detail, FOREIGN_RETRY)
    if facts.complete:
        return _update(facts, observation) or _maintain(facts, observation)
    if facts.task is not None and facts.task.unfinished:
        # A replacement is being prepared for a cluster that is none any more: starting the create beside it would count a try for nothing.
        return Plan(Action.CANCEL)
    return _create(facts, observation)


def _update(facts: Facts, seen: RuntimeObservation) -> Decision | None:
    """Replace an outdated cluster: fetch what could be missing first, remove the old one only then. One that is to rest does not run for
    it, and does not wait for it.
    """
    wanted = bool(facts.update) and facts.power is Power.RUNNING
    task = facts.task if facts.task is not None and facts.task.verb is Verb.PREPARE else None
    current = task is not None and wanted and task.tag == facts.config_hash
    if task is not None and task.unfinished:
        return Plan(Action.NOTHING) if current else Plan(Action.CANCEL)
    if not wanted:
        return None
    if task is not None and current and task.state is TaskState.SUCCEEDED:
        return Plan(Action.CREATE, Reason.RECREATING, f"Changed: {facts.update}. The cluster is replaced.")
    left = cooldown_left(facts.last(Verb.PREPARE), Verb.PREPARE, facts.now, PREPARE_COOLDOWN)
    if left > timedelta(0):
        meanwhile = _maintain(facts, seen)
        return replace(meanwhile, after=min(meanwhile.after or left, left))
    return Plan(Action.PREPARE, Reason.PREPARING)


def _while_working(facts: Facts, task: TaskStatus) -> Decision:
    if task.verb is Verb.CREATE and task.tag != facts.config_hash:
        return Plan(Action.CANCEL, Reason.CREATING, "The spec changed: the running create is stopped and begins anew.")
    return Plan(Action.NOTHING)


def _create(facts: Facts, seen: RuntimeObservation) -> Decision:
    attempts, present = facts.attempts, seen.presence is Presence.PRESENT
    if attempts.given_up:
        remains = present or seen.remains or seen.idle_registry
        if remains and not facts.retain_on_failure and cooldown_left(facts.task, Verb.DELETE, facts.now) <= timedelta(0):
            return Plan(Action.CLEAN, Reason.CLEANING_UP, "Removing what the failed create left.")
        message = f"{attempts.failed_message} Correct the spec, and it is tried again."
        return Blocked(Reason.CREATE_FAILED, message, COOLDOWN if remains else None)
    # Own containers decide who a name belongs to, whatever the age of the objects.
    if facts.rival and not present:
        return Blocked(Reason.NAME_CONFLICT, _rival_message(facts), FOREIGN_RETRY)
    if attempts.next_at is not None and (left := until(attempts.next_at, facts.now, timedelta(seconds=CREATE.limit))):
        message = f"{attempts.failed_message} Next try at {timestamp(attempts.next_at)}."
        return Blocked(Reason.CREATE_RETRYING, message, min(left, UNKNOWN_RETRY) if attempts.seen_by_preflight else left)
    return Plan(Action.CREATE, Reason.CREATING, "Creating the cluster.")


def _rival_message(facts: Facts) -> str:
    return (
        f"KINDCluster {facts.rival} has claimed this cluster name first; this one takes over when it is gone. "
        "Set another spec.clusterName on a new object to run both."
    )


def _maintain(facts: Facts, seen: RuntimeObservation) -> Decision:
    if facts.power is not Power.RUNNING:
        return _rest(facts, seen, facts.power)
    expected = {name for name, _ in facts.expected}
    missing, stopped = seen.missing(facts.expected), [name for name in seen.stopped if name in expected]
    if missing:
        return _replace(facts, seen, f"Missing: {', '.join(missing)}. {NOT_BROUGHT_BACK}")
    if not stopped:
        return _replace(facts, seen, facts.lost) if facts.lost else _tend(facts)
    # Whoever asked for the rest asks for its end: that is no repair.
    if facts.heal is Heal.REPORT and not facts.resumes:
        message = f"Not running: {', '.join(stopped)}. Start them, or set spec.healPolicy: Repair."
        return Blocked(Reason.REPAIR_NEEDED, message)
    left = cooldown_left(facts.task, Verb.START, facts.now)
    if left > timedelta(0):
        why = str(facts.task.error) if facts.task and facts.task.error else f"Not running: {', '.join(stopped)}."
        return Blocked(Reason.CONTAINERS_STOPPED, f"{why} They are started again shortly.", left)
    return Plan(Action.START, Reason.STARTING, f"Starting {', '.join(stopped)}.")


def _beside(facts: Facts) -> Action:
    """What a cluster that runs lacks: registries first, which are a matter of seconds; then images, which pods of add-ons may need."""
    if facts.unconnected:
        return Action.CONNECT
    if facts.unloaded:
        return Action.LOAD
    return Action.APPLY if facts.unapplied else Action.NOTHING


def _tend(facts: Facts) -> Decision:
    """What a cluster that runs, and is whole, may still need."""
    otherwise = Plan(_beside(facts))
    if (workers := facts.scaling) is None or not facts.answers:
        return otherwise
    if (left := cooldown_left(facts.last(Verb.SCALE), Verb.SCALE, facts.now, SCALE_COOLDOWN)) > timedelta(0):
        return replace(otherwise, after=left)
    return Plan(Action.SCALE, Reason.SCALING_UP if workers.join else Reason.SCALING_DOWN, workers=workers)


def _rest(facts: Facts, seen: RuntimeObservation, power: Power) -> Decision:
    """Bring what runs to rest. What is stopped already is not started to be paused: it is at rest."""
    verb, action, reason = {
        Power.STOPPED: (Verb.STOP, Action.STOP, Reason.STOPPING),
        Power.PAUSED: (Verb.PAUSE, Action.PAUSE, Reason.PAUSING),
    }[power]
    if running := [node.name for node in seen.nodes if awake(node.state, power)]:
        what = f"{reason} {', '.join(running)}, as spec.powerState: {power} asks."
        left = cooldown_left(facts.task, verb, facts.now)
        if left > timedelta(0):
            why = f"{facts.task.error} " if facts.task and facts.task.error else ""
            return Blocked(Reason.STOP_FAILED, f"{why}{what} It is tried again shortly.", left)
        return Plan(action, reason, what)
    missing = seen.missing(facts.expected)
    if missing and facts.heal is not Heal.RECREATE:
        return _replace(facts, seen, f"Missing: {', '.join(missing)}. {NOT_BROUGHT_BACK}")
    gone = f" Missing: {', '.join(missing)}; the cluster is replaced when it is to run again." if missing else ""
    paused = any(node.state is NodeRunState.PAUSED for node in seen.nodes)
    message = (
        f"The nodes are {'paused' if paused else 'stopped'}, as spec.powerState: {power} asks.{gone} Set it to Running to go on."
    )
    return Blocked(Reason.PAUSED if paused else Reason.STOPPED, message)


def awake(state: NodeRunState, power: Power) -> bool:
    """Whether a node in this state still has to be brought to rest."""
    return not state.stopped or (power is Power.STOPPED and state is NodeRunState.PAUSED)


def cooldown_left(task: TaskStatus | None, verb: Verb, now: datetime, cooldown: timedelta = COOLDOWN) -> timedelta:
    """What did not help must not be tried in a tight loop: a container that does not stay up, a removal that fails."""
    if task is None or task.verb is not verb or task.finished_at is None:
        return timedelta(0)
    return until(task.finished_at + cooldown, now, cooldown)


def until(then: datetime, now: datetime, longest: timedelta) -> timedelta:
    """How long to wait for a time that was set at most `longest` before it; nothing when it is over, or further off than it can have been
    set: then the wall clock was put back, and would keep what waits waiting for as long as it was put back.
    """
    left = then - now
    return left if timedelta(0) < left <= longest else timedelta(0)


def _replace(facts: Facts, seen: RuntimeObservation, what: str) -> Decision:
    if facts.heal is not Heal.RECREATE:
        cure = "Set spec.healPolicy: Recreate to replace the cluster (its content is lost), or delete the object."
        return Blocked(Reason.REPAIR_NEEDED, f"{what} {cure}")
    decision = _create(facts, seen)
    if decision.action is Action.CREATE:
        return Plan(Action.CREATE, Reason.RECREATING, f"{what} The cluster is replaced, as spec.healPolicy: Recreate allows.")
    return decision
