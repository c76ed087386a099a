"""How a cluster goes away. Order: may it be destroyed at all → stop what is being made → is it to be kept → remove by marker → see that
nothing is left → Secrets → finalizer. The finalizer goes only after a successful observation that found nothing of ours, or with a cluster
that is kept. Only a finished cluster is kept (docs/adr/0087).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from provider.api import contract, names
from provider.api.conditions import ConditionType, Reason
from provider.api.meta import JsonObject, key_of, part, timestamp
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.status import KINDClusterStatus
from provider.backoff import COOLDOWN, UNKNOWN_RETRY
from provider.ports.kube import Kube
from provider.ports.runtime import Identity, Ownership, Presence, Runtime, RuntimeObservation, Verb
from provider.ports.tasks import Target, Tasks, TaskState, TaskStatus
from provider.reconcile.attempts import read_record
from provider.reconcile.capi import is_annotated
from provider.reconcile.daemon import ensure_daemon, look
from provider.reconcile.kept_secrets import is_orphaned, keep_secrets
from provider.reconcile.kubeconfig_secrets import delete_secrets_if_ours
from provider.reconcile.observe import Observer
from provider.reconcile.patch import patch_status
from provider.reconcile.plan import Blocked, cooldown_left
from provider.reconcile.running_step import running_step
from provider.reconcile.scope import Scope
from provider.reconcile.stop_tasks import start_removal, stop_making


@dataclass(frozen=True, slots=True)
class Deletion:
    """One step of deleting a cluster."""

    blocked: Blocked | None
    """What the finalizer waits for; None: nothing, it may go."""
    task: TaskStatus | None = None
    seen: RuntimeObservation | None = None
    kept: str = ""
    """Why the cluster stays although the object goes; empty: it does not."""
    written: bool = False
    """The object was written, and has to be read again."""


def is_moved(obj: JsonObject) -> bool:
    """clusterctl move deletes the source object after it copied it elsewhere: the cluster lives on (clusterctl mover.go)."""
    return is_annotated(obj, contract.DELETE_FOR_MOVE_ANNOTATION)


async def reconcile_delete(scope: Scope, kube: Kube, tasks: Tasks, observer: Observer) -> Deletion:
    """One step; when nothing blocks any more, the Secrets are gone, or out of reach of garbage collection, and `release` may follow."""
    scope = await _record_end(scope, kube, tasks.status(scope.key))
    finished = _is_finished(scope)
    # Without this, a running create would go on making containers after the object is gone.
    await stop_making(scope.key, tasks)
    if scope.identity is None:
        return Deletion(None)
    if finished and (message := _kept_for_owner(scope)) and not await _is_gone(scope):
        return Deletion(Blocked(Reason.OWNER_GONE, message))
    task = tasks.status(scope.key)
    if task is not None and task.unfinished:
        return Deletion(Blocked(Reason.DELETING, running_step(task.steps) or "Removing the cluster."), task)
    if finished and (why := await _kept(scope, kube)):
        await keep_secrets(scope, kube, observer)
        return Deletion(None, kept=why)
    if scope.runtime is None:
        return Deletion(Blocked(Reason.ENGINE_UNREACHABLE, "The runtime is not available here.", UNKNOWN_RETRY))
    deletion = await _remove(scope, scope.runtime, scope.identity, kube, tasks)
    if deletion.blocked is None:
        await delete_secrets_if_ours(scope, kube)
    return deletion


async def release(obj: JsonObject, kube: Kube) -> None:
    """Remove the finalizer; an object that is gone already is released. Raises Conflict when it changed since it was read."""
    key = key_of(obj)
    patch = {"metadata": {"finalizers": [name for name in obj["metadata"]["finalizers"] if name != names.FINALIZER]}}
    await kube.patch(KINDCLUSTERS, key, patch, version=obj["metadata"]["resourceVersion"])


async def _record_end(scope: Scope, kube: Kube, task: TaskStatus | None) -> Scope:
    """Write down what only the task knows, before it is dropped: that it has finished, or that a replacement has not touched the old
    cluster yet. Else the next pass would take a cluster for remains. Raises Conflict.
    """
    if task is None or task.verb is not Verb.CREATE or (task.state is not TaskState.SUCCEEDED and task.started_at is not None):
        return scope
    status = {name: value for name, value in scope.status.items() if name != "lastCreate"}
    if task.state is TaskState.SUCCEEDED:
        status["lastCreate"] = {**scope.record.last_create, "finishedAt": timestamp(scope.now)}
    written = await patch_status(kube, KINDCLUSTERS, KINDClusterStatus, scope.obj, status) or scope.obj
    return replace(scope, obj=written, status=status, record=read_record(status))


def _is_finished(scope: Scope) -> bool:
    """Whether what stands there is a cluster and not what a create has begun: nobody can use that, so nobody wants it kept."""
    spec = part(scope.obj, "spec")  # as stored: the endpoint counts also where the spec as a whole cannot be read
    return scope.record.is_complete(provisioned="controlPlaneEndpoint" in spec)


async def _is_gone(scope: Scope) -> bool:
    """Whether there is nothing to keep: a copy of another object names that one's owner, and no cluster was ever made for it."""
    if scope.runtime is None or scope.identity is None:
        return False
    return _nothing_of_ours(await look(scope, scope.runtime, scope.identity))


async def _kept(scope: Scope, kube: Kube) -> str:
    """Who asked for keeping the cluster; empty: nobody."""
    if scope.spec.deletion_policy == "Retain":
        return "spec.deletionPolicy: Retain"
    return "--cascade=orphan" if await is_orphaned(scope, kube) else ""


def _kept_for_owner(scope: Scope) -> str:
    """Why the owner forbids destroying; empty when it does not."""
    owner = scope.owner
    if owner.standalone:
        return ""
    if owner.gone:
        return (
            "The owner Cluster vanished without deleting this object first, so the kind cluster is kept. "
            "To delete it all the same, remove metadata.ownerReferences from this object."
        )
    if owner.cluster is not None and _deleted_before_owned(scope, owner.cluster):
        return (
            "This object was deleted before its Cluster owned it, as garbage collection does to one that is restored with the "
            "ownerReferences of a former Cluster, so the kind cluster is kept. To delete it all the same, delete the Cluster. "
            "To go on using it, remove this object's finalizers and create it again from the backup without ownerReferences."
        )
    return ""


def _deleted_before_owned(scope: Scope, cluster: JsonObject) -> bool:
    """Garbage collection deletes an object that is restored with the ownerReferences of a former Cluster, and Cluster API's core then gives
    it its new owner although it is being deleted: neither that owner nor a person asked for the deletion.

    A restored object has an endpoint and no status of its own yet; once this manager has said that the owner is wrong or gone, that
    counts for as long as the Ready condition says it.
    """
    if "deletionTimestamp" in cluster["metadata"] or not scope.provisioned:
        return False
    ready = scope.conditions.get(ConditionType.READY)
    return ready is None or ready.reason in (Reason.INVALID_OWNER, Reason.OWNER_GONE)


async def _remove(scope: Scope, runtime: Runtime, identity: Identity, kube: Kube, tasks: Tasks) -> Deletion:
    key, seen = scope.key, await look(scope, runtime, identity)
    if seen.presence is Presence.UNKNOWN:
        message = f"Deletion waits and goes on by itself: {seen.detail}"
        return Deletion(Blocked(Reason.DELETE_BLOCKED, message, UNKNOWN_RETRY), seen=seen)
    if _nothing_of_ours(seen):
        return Deletion(None, seen=seen)
    removing = Blocked(Reason.DELETING, "Removing the cluster.")
    if await ensure_daemon(scope, kube, seen):
        # A manager killed in the middle of the removal must not take another daemon's silence for the end of it.
        return Deletion(removing, seen=seen, written=True)
    if failure := _cooling_down(tasks.status(key), scope.now):
        return Deletion(Blocked(Reason.DELETE_BLOCKED, failure, COOLDOWN), seen=seen)
    start_removal(key, runtime, Target(runtime.name, identity), tasks)
    return Deletion(removing, seen=seen)


def _nothing_of_ours(seen: RuntimeObservation) -> bool:
    """A successful, empty observation; a foreign cluster's observation lists only nodes that carry our marker."""
    if seen.presence is Presence.UNKNOWN or seen.remains or seen.idle_registry:
        return False
    return seen.presence is Presence.ABSENT or (seen.ownership is Ownership.FOREIGN and not seen.nodes)


def _cooling_down(task: TaskStatus | None, now: datetime) -> str:
    """Why the last removal failed, as long as it is too early for another; else empty."""
    if task is None or task.state is not TaskState.FAILED or cooldown_left(task, Verb.DELETE, now) <= timedelta(0):
        return ""
    _, message = task.failure
    return f"Removing the cluster failed and is tried again: {message}"
