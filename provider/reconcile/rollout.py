"""The conditions RollingOut, ScalingUp and ScalingDown, which Cluster API sums up on the Cluster. Pure.

Control-plane nodes come and go with a whole cluster that is made, replaced or removed; workers also one by one, of which the last two tell
as well. All are negative: True while something is under way, with a message; False with an empty one (control-plane contract
"ControlPlane: conditions").
"""

from __future__ import annotations

from collections.abc import Iterator

from provider.api.conditions import ConditionType, Reason
from provider.api.kind import NodeRole
from provider.api.meta import Condition, ConditionStatus
from provider.ports.runtime import Presence, Verb
from provider.reconcile.outcome import Outcome
from provider.reconcile.plan import Action
from provider.reconcile.scaling import Said, joining, leaving

DELETING = "The cluster is being deleted."


def rollout(outcome: Outcome) -> Iterator[Condition]:
    """None while nothing is known of the cluster: what was under way may be still."""
    seen = outcome.observed.cluster
    if seen is not None and seen.presence is Presence.UNKNOWN:
        return
    replacing = "" if outcome.scope.deleting else _replacing(outcome)
    rolling = Said(Reason.ROLLING_OUT, replacing) if replacing else None
    yield _condition(ConditionType.ROLLING_OUT, rolling, Reason.NOT_ROLLING_OUT)
    up, down = _scaling(outcome, replacing=bool(replacing))
    yield _condition(ConditionType.SCALING_UP, Said(Reason.SCALING_UP, up) if up else joining(outcome), Reason.NOT_SCALING_UP)
    yield _condition(
        ConditionType.SCALING_DOWN, Said(Reason.SCALING_DOWN, down) if down else leaving(outcome), Reason.NOT_SCALING_DOWN
    )


def _condition(kind: ConditionType, said: Said | None, otherwise: Reason) -> Condition:
    return Condition(kind, ConditionStatus.FALSE, otherwise) if said is None else Condition(kind, ConditionStatus.TRUE, *said)


def _replacing(outcome: Outcome) -> str:
    """What is replaced; empty when nothing is. A replacement that was begun goes on until one is finished, failures included."""
    changed = f"Changed: {outcome.drift.update}. " if outcome.drift is not None and outcome.drift.update else ""
    if outcome.scope.provisioned and outcome.record.unfinished:
        return f"{changed}The cluster is being replaced."
    task = outcome.task
    preparing = task is not None and task.verb is Verb.PREPARE and task.unfinished
    if preparing or outcome.decision.action is Action.PREPARE:
        return f"{changed}What the replacement needs is being fetched."
    return ""


def _scaling(outcome: Outcome, *, replacing: bool) -> tuple[str, str]:
    """(why more, why fewer) control-plane nodes are under way; empty where they are not."""
    if outcome.scope.deleting:
        return "", DELETING
    # While a task works on the cluster nothing is observed, and the status keeps the number of the old one.
    there = int(outcome.scope.status.get("replicas") or 0)
    nodes = outcome.desired.nodes if outcome.desired is not None else ()
    wanted = sum(1 for _, role in nodes if role is NodeRole.CONTROL_PLANE)
    change = f"From {there} to {wanted} control-plane nodes."
    up = outcome.record.unfinished or (replacing and wanted > there)
    return change if up else "", change if replacing and 0 < wanted < there else ""
