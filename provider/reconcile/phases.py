"""The effects of a living cluster, one small idempotent verb each: ensure_x. Each guards itself and acts at most once per pass.

A phase changes the world through the ports, returns what it found and the scope as its own write left it, and raises only for faults.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from provider.api import names
from provider.api.kind import node_names
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import ControlPlaneEndpoint
from provider.errors import Conflict, ProviderError
from provider.ports.kube import Kube
from provider.ports.tasks import TaskState, TaskStatus, Verb
from provider.reconcile import drift
from provider.reconcile.decision import Blocked
from provider.reconcile.desired import Desired
from provider.reconcile.drift import Drift
from provider.reconcile.identity import cluster_name_of, with_finalizer
from provider.reconcile.kubeconfig_secrets import Published, ensure_secrets
from provider.reconcile.observe import Observed
from provider.reconcile.patch import patch_guarded
from provider.reconcile.scope import Scope


async def ensure_finalizer_and_identity(scope: Scope, kube: Kube, *, token: str = "", runtime: str = "") -> bool:
    """Persist what must be known before anything is made; True when something was written (the pass ends there)."""
    patch: JsonObject = {}
    finalizers = with_finalizer(scope.obj)
    if finalizers is not None:
        patch["metadata"] = {"finalizers": finalizers}
    if scope.spec.identity is None:
        patch["spec"] = {"identity": {"token": token, "runtime": runtime}}
    if not patch:
        return False
    await patch_guarded(kube, names.KINDCLUSTERS, scope.obj, patch)
    return True


async def publish(scope: Scope, kube: Kube, observed: Observed) -> tuple[Scope, Published, ProviderError | None]:
    """Secrets, then endpoint. A fault is returned instead of raised, to be raised once the status is written: it must hide nothing.

    Raises Conflict: the view was stale, and so would be the status.
    """
    published = Published()
    answers = observed.workload is not None and bool(observed.workload.reachable)
    try:
        if observed.kubeconfigs is not None and (answers or scope.provisioned):
            published = await ensure_secrets(scope, kube, observed.kubeconfigs)
        if published.done and answers:
            scope = await ensure_endpoint(scope, kube, observed)
    except Conflict:
        raise
    except ProviderError as error:
        return scope, replace(published, blocked=Blocked(error.reason, error.message)), error
    return scope, published, None


async def ensure_endpoint(scope: Scope, kube: Kube, observed: Observed) -> Scope:
    """Write spec.controlPlaneEndpoint, once (Cluster API contract, InfraCluster "control plane endpoint")."""
    if scope.provisioned or observed.cluster is None or observed.cluster.endpoint is None:
        return scope
    endpoint = ControlPlaneEndpoint(host=observed.cluster.endpoint.host, port=observed.cluster.endpoint.port)
    patch = {"spec": {"controlPlaneEndpoint": endpoint.model_dump()}}
    return scope.after_patch(await patch_guarded(kube, names.KINDCLUSTERS, scope.obj, patch))


async def ensure_made_from(
    scope: Scope, kube: Kube, desired: Desired, task: TaskStatus | None, *, complete: bool
) -> tuple[Scope, Drift]:
    """Keep the record of what the cluster was made from, and compare it with what is wanted now.

    The record is written before the status that calls the cluster finished: killed in between, the record is written again. A cluster
    without a record (made before there was one, restored without annotations) counts as made from what is wanted now.
    """
    if not complete:
        return scope, Drift(None, desired.nodes)
    made = drift.recorded(scope.obj)
    fresh = task is not None and (task.verb, task.state, task.tag) == (Verb.CREATE, TaskState.SUCCEEDED, desired.config_hash)
    known = not scope.owner.control_plane_missing
    if known and (made is None or (fresh and made != desired.made_from)):
        made = dict(desired.made_from)
        patch = {"metadata": {"annotations": {names.MADE_FROM_ANNOTATION: drift.as_annotation(made)}}}
        scope = scope.after_patch(await patch_guarded(kube, names.KINDCLUSTERS, scope.obj, patch))
    nodes = desired.nodes
    if made is not None and scope.runtime is not None:
        config = {**desired.request.config, "nodes": drift.made_nodes(made)}
        nodes = node_names(config, load_balancer=not scope.runtime.simulated)
    return scope, Drift(drift.changes(made or {}, desired.made_from) if known else None, nodes)


async def find_rival(obj: JsonObject, kube: Kube, same_name: Iterable[ObjectKey]) -> str:
    """namespace/name of a KINDCluster with an older claim among those known to want the same cluster name; empty: none.

    An object that this manager has not seen yet is missed: harmless, as it will find the name taken and wait.
    """
    for key in same_name:
        other = await kube.get(names.KINDCLUSTERS, key)
        if other is None or not (other.get("spec") or {}).get("identity"):
            continue
        if cluster_name_of(other) == cluster_name_of(obj) and _claim(other) < _claim(obj):
            return str(key)
    return ""


def _claim(obj: JsonObject) -> tuple[str, str, str]:
    metadata = obj["metadata"]
    return metadata["creationTimestamp"], metadata["namespace"], metadata["name"]
