"""Publishing a cluster that answers: its kubeconfig Secrets first, its endpoint only when they are there."""

from __future__ import annotations

from dataclasses import replace

from provider.api.v1alpha1.kindcluster import KINDCLUSTERS, ControlPlaneEndpoint
from provider.errors import Conflict, ProviderError
from provider.ports.kube import Kube
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
            endpoint = ControlPlaneEndpoint(host=cluster.endpoint.host, port=cluster.endpoint.port)
            patch = {"spec": {"controlPlaneEndpoint": endpoint.model_dump()}}
            scope = scope.after_patch(await patch_guarded(kube, KINDCLUSTERS, scope.obj, patch))
    except Conflict:
        raise
    except ProviderError as error:
        return scope, replace(published, blocked=Blocked(error.reason, error.message)), error
    return scope, published, None
