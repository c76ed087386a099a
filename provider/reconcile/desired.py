"""From the spec (and what the owner Cluster says about network and control plane) to what the runtime is asked for. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from provider.api.conditions import Reason
from provider.api.kind import node_names
from provider.api.meta import JsonObject
from provider.api.v1alpha1.kindcluster import ControlPlaneEndpoint, KINDClusterSpec
from provider.ports.runtime import ClusterRequest
from provider.reconcile import drift, network
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.plan import Action, Plan
from provider.reconcile.request import cluster_request, config_hash
from provider.reconcile.scope import Scope

LONGEST_NAME_WITH_LOAD_BALANCER = 40
"""Characters: the load balancer's container is called NAME-external-load-balancer, and a host name has 63."""
RETRY = timedelta(seconds=15)


def desire(scope: Scope, options: ReconcileOptions) -> None:
    """Set scope.request, scope.config_hash, scope.made_from and scope.expected."""
    assert scope.identity is not None and scope.runtime is not None
    spec = with_control_plane(scope.spec, scope.control_plane)
    request = cluster_request(
        spec,
        cluster_name=scope.identity.cluster_name,
        pod_subnet=network.subnet(scope.cluster, "pods"),
        service_subnet=network.subnet(scope.cluster, "services"),
        default_image=options.default_image,
        default_timeout=options.default_create_timeout.total_seconds(),
    )
    scope.config_hash = config_hash(request)
    scope.made_from = drift.wanted(spec, request.config)
    scope.request = at_published_endpoint(request, scope.spec.control_plane_endpoint)
    scope.expected = node_names(request.config, load_balancer=not scope.runtime.simulated)


def with_control_plane(spec: KINDClusterSpec, control_plane: JsonObject | None) -> KINDClusterSpec:
    """The spec with what a KINDControlPlane says where the spec is silent."""
    said = (control_plane or {}).get("spec") or {}
    supplied: dict[str, Any] = {}
    if spec.version is None and said.get("version"):
        supplied["version"] = said["version"]
    if spec.nodes is None and spec.control_plane_replicas is None and said.get("replicas"):
        supplied["control_plane_replicas"] = said["replicas"]
    return spec.model_copy(update=supplied)


def disagrees(scope: Scope) -> Plan | None:
    """Why the spec and what others say for it cannot both be had, or why that cannot be told yet."""
    return _control_plane_disagrees(scope) or network.disagrees(scope)


def _control_plane_disagrees(scope: Scope) -> Plan | None:
    if scope.control_plane_missing:
        message = "The Cluster's spec.controlPlaneRef names a KINDControlPlane that does not exist."
        return Plan(Action.WAIT, Reason.WAITING_FOR_CONTROL_PLANE, message, RETRY)
    if scope.control_plane is None:
        return None
    said, spec = scope.control_plane["spec"], scope.spec
    name = f"KINDControlPlane {scope.control_plane['metadata']['name']}"
    replicas = said.get("replicas")
    found = []
    if spec.version is not None and spec.version != said.get("version"):
        found.append(f"spec.version is {spec.version} and {name} says {said.get('version')}: remove it here.")
    if replicas and spec.control_plane_replicas not in (None, replicas):
        found.append(f"spec.controlPlaneReplicas is {spec.control_plane_replicas} and {name} says {replicas}: remove it here.")
    if replicas and spec.nodes is not None:
        counted = sum(1 for node in spec.nodes if node.role in (None, "control-plane"))
        if counted != replicas:
            found.append(
                f"spec.nodes has {counted} control-plane nodes and {name} says {replicas}: list as many, or remove spec.nodes."
            )
    if (replicas or 1) > 1 and scope.identity is not None and len(scope.identity.cluster_name) > LONGEST_NAME_WITH_LOAD_BALANCER:
        found.append(
            f"{name} asks for {replicas} replicas, and {scope.identity.cluster_name} is too long a name for several control planes: "
            f"at most {LONGEST_NAME_WITH_LOAD_BALANCER} characters."
        )
    return Plan(Action.WAIT, Reason.CONTROL_PLANE_CONFLICT, " ".join(found)) if found else None


def at_published_endpoint(request: ClusterRequest, endpoint: ControlPlaneEndpoint | None) -> ClusterRequest:
    """A replaced cluster answers where the first one did: the endpoint was published, and Cluster API never reads it again."""
    networking = request.config.get("networking") or {}
    if endpoint is None or networking.get("apiServerPort"):
        return request
    return replace(request, config={**request.config, "networking": {**networking, "apiServerPort": endpoint.port}})
