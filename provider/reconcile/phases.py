"""The effects of a living cluster, one small idempotent verb each: ensure_x. Each guards itself and acts at most once per pass.

A phase changes the world through the ports, notes what it found in the scope, and raises only for faults; the status is computed
from the scope afterwards, whatever happened here.
"""

from __future__ import annotations

from collections.abc import Iterable

from provider.api import names
from provider.api.kind import node_names
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import ControlPlaneEndpoint
from provider.errors import Conflict
from provider.ports.kube import Kube
from provider.ports.runtime import Presence
from provider.ports.tasks import TaskState, Verb
from provider.reconcile import drift
from provider.reconcile.identity import cluster_name_of, with_finalizer
from provider.reconcile.scope import Scope


async def ensure_finalizer_and_identity(scope: Scope, kube: Kube, *, token: str = "", runtime: str = "") -> bool:
    """Persist what must be known before anything is made; True when something was written (the pass ends there).

    Raises Conflict when the object changed since it was read.
    """
    patch: JsonObject = {}
    finalizers = with_finalizer(scope.obj)
    if finalizers is not None:
        patch["metadata"] = {"finalizers": finalizers}
    if scope.spec.identity is None:
        patch["spec"] = {"identity": {"token": token, "runtime": runtime}}
    if not patch:
        return False
    await _patch(scope, kube, patch)
    return True


async def ensure_endpoint(scope: Scope, kube: Kube) -> None:
    """Write spec.controlPlaneEndpoint, once: when the API server answers and the Secret is published."""
    observation = scope.observation
    if scope.provisioned or not scope.secret_published or observation is None or observation.endpoint is None:
        return
    if scope.workload is None or not scope.workload.reachable:
        return
    endpoint = ControlPlaneEndpoint(host=observation.endpoint.host, port=observation.endpoint.port)
    await _patch(scope, kube, {"spec": {"controlPlaneEndpoint": endpoint.model_dump()}})
    scope.spec = scope.spec.model_copy(update={"control_plane_endpoint": endpoint})


async def ensure_made_from(scope: Scope, kube: Kube, *, complete: bool) -> None:
    """Keep the record of what the cluster was made from, and compare. Sets scope.changes, and scope.expected to what was made.

    The record is written before the status that calls the cluster finished: killed in between, it is made again. A cluster without
    a record (made before there was one, restored without annotations) counts as made from what is wanted now.
    """
    if not complete:
        return
    task, made = scope.task, drift.recorded(scope.obj)
    fresh = task is not None and (task.verb, task.state, task.tag) == (Verb.CREATE, TaskState.SUCCEEDED, scope.config_hash)
    known = not scope.control_plane_missing
    if known and (made is None or (fresh and made != scope.made_from)):
        made = dict(scope.made_from)
        await _patch(scope, kube, {"metadata": {"annotations": {names.MADE_FROM_ANNOTATION: drift.as_annotation(made)}}})
    if known:
        scope.changes = drift.changes(made or {}, scope.made_from)
    if made is not None and scope.runtime is not None and scope.request is not None:
        config = {**scope.request.config, "nodes": drift.made_nodes(made)}
        scope.expected = node_names(config, load_balancer=not scope.runtime.simulated)


async def find_rival(scope: Scope, kube: Kube, same_name: Iterable[ObjectKey]) -> None:
    """Look for an older claim among the objects known to want the same cluster name; needed only before a create.

    An object that this manager has not seen yet is missed: harmless, as it will find the name taken and wait.
    """
    if scope.identity is None or scope.observation is None or scope.observation.presence is not Presence.ABSENT:
        return
    for key in same_name:
        other = await kube.get(names.KINDCLUSTERS, key)
        if other is None or not (other.get("spec") or {}).get("identity"):
            continue
        if cluster_name_of(other) == scope.identity.cluster_name and _claim(other) < _claim(scope.obj):
            scope.rival = str(key)
            return


def _claim(obj: JsonObject) -> tuple[str, str, str]:
    meta = obj["metadata"]
    return meta["creationTimestamp"], meta["namespace"], meta["name"]


async def _patch(scope: Scope, kube: Kube, patch: JsonObject) -> None:
    written = await kube.patch(names.KINDCLUSTERS, scope.key, patch, version=scope.meta["resourceVersion"])
    if written is None:
        raise Conflict("ObjectGone", f"KINDCluster {scope.key} was deleted meanwhile.")
    scope.obj = written
