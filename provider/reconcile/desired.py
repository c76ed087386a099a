"""From the spec (and the owner Cluster's network) to what the runtime is asked for. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from provider.api.v1alpha1 import ControlPlaneEndpoint
from provider.ports import ClusterRequest, JsonObject
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.plan import expected_nodes
from provider.reconcile.scope import Scope
from provider.render import cluster_request, config_hash


def desire(scope: Scope, options: ReconcileOptions) -> None:
    """Set scope.request, scope.config_hash and scope.expected."""
    assert scope.identity is not None and scope.runtime is not None
    network = (scope.cluster or {}).get("spec", {}).get("clusterNetwork") or {}
    request = cluster_request(
        scope.spec,
        cluster_name=scope.identity.cluster_name,
        pod_subnet=_cidr(network, "pods"),
        service_subnet=_cidr(network, "services"),
        default_image=options.default_image,
        default_timeout=options.default_create_timeout.total_seconds(),
    )
    scope.config_hash = config_hash(request)
    scope.request = at_published_endpoint(request, scope.spec.control_plane_endpoint)
    scope.expected = expected_nodes(request.config, load_balancer=not scope.runtime.simulated)


def at_published_endpoint(request: ClusterRequest, endpoint: ControlPlaneEndpoint | None) -> ClusterRequest:
    """A replaced cluster answers where the first one did: the endpoint was published, and Cluster API never reads it again."""
    networking = request.config.get("networking") or {}
    if endpoint is None or networking.get("apiServerPort"):
        return request
    return replace(request, config={**request.config, "networking": {**networking, "apiServerPort": endpoint.port}})


def _cidr(network: JsonObject, part: str) -> str | None:
    """Cluster.spec.clusterNetwork.{pods,services}.cidrBlocks, joined as kind writes dual-stack subnets."""
    blocks: list[Any] = (network.get(part) or {}).get("cidrBlocks") or []
    return ",".join(str(block) for block in blocks) or None
