"""Publishing a cluster that answers: its kubeconfig Secrets first, its endpoint only when they are there."""

from __future__ import annotations

from dataclasses import replace

from pydantic import ValidationError

from provider.api.conditions import Reason
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS, ControlPlaneEndpoint
from provider.errors import Conflict, ProviderError, Transient
from provider.ports.kube import Kube
from provider.ports.runtime import Endpoint
from provider.reconcile.kubeconfig_secrets import Published, ensure_secrets
from provider.reconcile.observe import Observed
from provider.reconcile.patch import patch_guarded
from provider.reconcile.plan import Blocked
from provider.reconcile.scope import Scope


async def publish(scope: Scope, kube: Kube, observed: Observed) -> tuple[Scope, Published, ProviderError | None]:
    """Secrets, then endpoint. A fault is returned instead of raised, to be raised once the status is written: it must hide nothing.

    Raises Conflict: the view was stale, and so would be the status.
    """
    published, workload, cluster = Published(), observed.workload, observed.cluster
    answers = workload is not None and bool(workload.reachable)
    try:
        if observed.kubeconfigs is not None and (answers or scope.provisioned):
            published = await ensure_secrets(scope, kube, observed.kubeconfigs)
        if published.done and answers and not scope.provisioned and cluster is not None and cluster.endpoint is not None:
            # Written once (Cluster API contract, InfraCluster "control plane endpoint"): Cluster API never reads it again.
            endpoint = _publishable(cluster.endpoint)
            patch = {"spec": {"controlPlaneEndpoint": endpoint.model_dump()}}
            scope = scope.after_patch(await patch_guarded(kube, KINDCLUSTERS, scope.obj, patch))
    except Conflict:
        raise
    except ProviderError as error:
        # Not done, even where only the endpoint is missing: Ready would be True with nothing to reach the cluster by.
        return scope, replace(published, done=False, blocked=Blocked(error.reason, error.message)), error
    return scope, published, None


def _publishable(endpoint: Endpoint) -> ControlPlaneEndpoint:
    """Raises Transient for what the CRD would refuse: an engine may report a port before it has one."""
    try:
        return ControlPlaneEndpoint(host=endpoint.host, port=endpoint.port)
    except ValidationError as error:
        message = f"The engine reports {endpoint} as the API server's address, which cannot be one. It is asked again."
        raise Transient(Reason.ENGINE_FAILED, message) from error
