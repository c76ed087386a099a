"""How a cluster goes away. Order: may it be destroyed at all → stop what is being made → remove by marker → see that nothing is
left → Secret → finalizer. The finalizer goes only after a successful observation that found nothing of ours.
"""

from __future__ import annotations

from datetime import timedelta

from provider.api import contract, names
from provider.api.conditions import ConditionType, Reason
from provider.api.meta import JsonObject, find_condition
from provider.ports.kube import Kube
from provider.ports.runtime import Ownership, Presence, Runtime, RuntimeObservation
from provider.ports.tasks import Progress, Tasks, TaskState, Verb
from provider.reconcile.attempts import describe
from provider.reconcile.capi import annotated
from provider.reconcile.conditions import progress
from provider.reconcile.identity import without_finalizer
from provider.reconcile.kubeconfig_secrets import delete_secrets_if_ours
from provider.reconcile.plan import Action, Plan
from provider.reconcile.scope import Owner, Scope

RETRY = timedelta(seconds=10)
UNKNOWN_RETRY = timedelta(seconds=15)


def may_not_touch(scope: Scope) -> bool:
    """clusterctl move deletes the source object after it copied it elsewhere: the cluster lives on (clusterctl mover.go)."""
    return annotated(scope.obj, contract.DELETE_FOR_MOVE_ANNOTATION)


def blocked_by_owner(scope: Scope) -> str:
    """Why the owner forbids destroying; empty when it does not."""
    if scope.standalone:
        return ""
    if scope.owner is Owner.GONE:
        return (
            "The owner Cluster vanished without deleting this object first, so the kind cluster is kept. "
            "To delete it all the same, remove metadata.ownerReferences from this object."
        )
    if scope.cluster is not None and deleted_by_nobody(scope, scope.cluster):
        return (
            "This object was deleted before its Cluster owned it, as garbage collection does to one that is restored with the "
            "ownerReferences of a former Cluster, so the kind cluster is kept. To delete it all the same, delete the Cluster. "
            "To go on using it, remove this object's finalizers and create it again from the backup without ownerReferences."
        )
    return ""


def deleted_by_nobody(scope: Scope, cluster: JsonObject) -> bool:
    """Core gives a restored object its new owner even when it is being deleted already: the deletion is not that owner's wish, nor a
    person's. An endpoint without a status of its own tells a restored object; what was said of the owner earlier stays said.
    """
    if "deletionTimestamp" in cluster["metadata"] or not scope.provisioned:
        return False
    ready = find_condition(scope.status.get("conditions") or [], ConditionType.READY)
    return ready is None or ready.get("reason") in (Reason.INVALID_OWNER, Reason.OWNER_GONE)


async def reconcile_delete(scope: Scope, kube: Kube, tasks: Tasks) -> bool:
    """One step of deletion; True when the object is released. Sets scope.decision to what to tell in the meantime."""
    if message := blocked_by_owner(scope):
        return _blocked(scope, Reason.OWNER_GONE, message, None)
    if scope.identity is None or scope.spec.deletion_policy == "Retain":
        await _stop_create(scope, tasks)
        return await _release(scope, kube)
    if scope.runtime is None:
        return _blocked(
            scope, *(scope.problem or (Reason.ENGINE_UNREACHABLE, "The runtime is not available here.")), UNKNOWN_RETRY
        )
    await _stop_create(scope, tasks)
    if (task := tasks.status(scope.key)) is not None and task.unfinished:
        scope.task = task
        return _blocked(scope, Reason.DELETING, progress(task.steps) or "Removing the cluster.", None)
    return await _remove(scope, kube, tasks, scope.runtime)


async def _remove(scope: Scope, kube: Kube, tasks: Tasks, runtime: Runtime) -> bool:
    assert scope.identity is not None
    scope.observation = seen = await runtime.observe(scope.identity)
    if seen.presence is Presence.UNKNOWN:
        message = f"Deletion waits and goes on by itself: {seen.detail}"
        return _blocked(scope, Reason.DELETE_BLOCKED, message, UNKNOWN_RETRY)
    if nothing_of_ours(seen):
        await delete_secrets_if_ours(scope, kube)
        return await _release(scope, kube)
    if (failed := _rest_after_failure(scope, tasks)) is not None:
        return _blocked(scope, Reason.DELETE_BLOCKED, failed, RETRY)
    identity = scope.identity

    async def work(tell: Progress) -> None:
        await runtime.delete(identity, tell)

    tasks.start(scope.key, Verb.DELETE, work)
    return _blocked(scope, Reason.DELETING, "Removing the cluster.", None)


def nothing_of_ours(seen: RuntimeObservation) -> bool:
    """A successful, empty observation; a foreign cluster's observation lists only nodes that carry our marker."""
    if seen.presence is Presence.UNKNOWN:
        return False
    return seen.presence is Presence.ABSENT or (seen.ownership is Ownership.FOREIGN and not seen.nodes)


def _rest_after_failure(scope: Scope, tasks: Tasks) -> str | None:
    task = tasks.status(scope.key)
    if task is None or task.verb is not Verb.DELETE or task.state is not TaskState.FAILED or task.finished_at is None:
        return None
    if scope.now >= task.finished_at + RETRY:
        return None
    _, message = describe(task.error)
    return f"Removing the cluster failed and is tried again: {message}"


async def _stop_create(scope: Scope, tasks: Tasks) -> None:
    task = tasks.status(scope.key)
    if task is not None and task.verb is not Verb.DELETE:
        await tasks.cancel(scope.key)
        tasks.forget(scope.key)


async def _release(scope: Scope, kube: Kube) -> bool:
    patch = {"metadata": {"finalizers": without_finalizer(scope.obj)}}
    await kube.patch(names.KINDCLUSTERS, scope.key, patch, version=scope.meta["resourceVersion"])
    return True


def _blocked(scope: Scope, reason: str, message: str, after: timedelta | None) -> bool:
    scope.decision = Plan(Action.WAIT, Reason(reason), message, after)
    return False
