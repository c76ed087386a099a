"""Whether the running cluster is what is wanted, and what to say where it is not. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provider.api import contract
from provider.api.conditions import ConditionType, Reason
from provider.api.meta import Finding, Truth
from provider.ports.tasks import TaskState, Verb
from provider.reconcile.attempts import describe
from provider.reconcile.drift import UpdatePolicy, listed
from provider.reconcile.scope import Scope


def to_be_replaced(scope: Scope) -> str:
    """What is outdated, where all of it may and can be had by a replacement; empty otherwise."""
    changes = scope.changes or ()
    allowed = (
        UpdatePolicy(scope.spec.update_policy or UpdatePolicy.REFUSE) is UpdatePolicy.RECREATE and scope.disagreement is None
    )
    return listed(changes) if allowed and all(change.possible for change in changes) else ""


def up_to_date(scope: Scope) -> Iterator[Finding]:
    """The condition UpToDate; none while there is no cluster, or nobody can tell."""
    kind = ConditionType.UP_TO_DATE
    if scope.changes is None:
        return
    if scope.disagreement is not None:
        yield Finding(kind, Truth.FALSE, scope.disagreement.reason, scope.disagreement.message)
    elif not scope.changes:
        yield Finding(kind, Truth.TRUE, Reason.UP_TO_DATE)
    elif to_be_replaced(scope):
        yield Finding(kind, Truth.FALSE, *_on_the_way(scope))
    else:
        yield Finding(kind, Truth.FALSE, *_not_done(scope))


def _on_the_way(scope: Scope) -> tuple[str, str]:
    task, what = scope.task, listed(scope.changes or ())
    if task is not None and (task.verb, task.state, task.tag) == (Verb.PREPARE, TaskState.FAILED, scope.config_hash):
        reason, message = describe(task.error)
        return (
            reason,
            f"{what}: the cluster is kept, because what would replace it cannot be made. {message} Tried again every minute.",
        )
    return Reason.PREPARING, f"{what}: what the replacement needs is being fetched."


def _not_done(scope: Scope) -> tuple[str, str]:
    if impossible := tuple(change for change in scope.changes or () if not change.possible):
        return (
            Reason.UPDATE_IMPOSSIBLE,
            f"{listed(impossible)} cannot change for a cluster that has been made: set it back, or create a new one. Nothing is changed.",
        )
    where = "updatePolicy of the KINDClusterTemplate" if _from_a_topology(scope) else "spec.updatePolicy"
    message = (
        f"{listed(scope.changes or ())} would need other nodes. Nothing is changed: set it back, "
        f"or set {where} to Recreate to have the cluster replaced (its content is lost)."
    )
    return Reason.UPDATE_NEEDED, message


def _from_a_topology(scope: Scope) -> bool:
    return contract.TOPOLOGY_OWNED_LABEL in (scope.meta.get("labels") or {})
