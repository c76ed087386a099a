"""From the spec (and what the owner Cluster says about network and control plane) to what the runtime is asked for. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from provider.api.conditions import Reason
from provider.api.duration import parse_duration
from provider.api.kind import NodeRole, node_names
from provider.api.meta import JsonObject
from provider.api.v1alpha1.kindcluster import ControlPlaneEndpoint, KINDClusterSpec
from provider.backoff import UNKNOWN_RETRY
from provider.ports.runtime import ClusterRequest
from provider.reconcile import drift, network
from provider.reconcile.decision import Blocked
from provider.reconcile.kind_config import kind_config
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.scope import Scope

LONGEST_NAME_WITH_LOAD_BALANCER = 40
"""Characters: the load balancer's container is called NAME-external-load-balancer, and a host name has 63."""
NODE_REPOSITORY = "kindest/node"
HASH_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Desired:
    """What a cluster made now would be."""

    request: ClusterRequest
    config_hash: str
    """Of the request before the published endpoint is added: a request that changed has another one."""
    made_from: Mapping[str, str]
    """What it would be made from: the record that drift.py compares."""
    nodes: tuple[tuple[str, NodeRole], ...]
    blocked: Blocked | None
    """Why the spec and what others say for it cannot both be had, or why that cannot be told yet."""


def desire(scope: Scope, options: ReconcileOptions) -> Desired:
    """`scope` must have identity and runtime."""
    assert scope.identity is not None and scope.runtime is not None
    owner, name = scope.owner, scope.identity.cluster_name
    spec = _with_control_plane(scope.spec, owner.control_plane)
    request = cluster_request(spec, cluster_name=name, options=options, cluster=owner.cluster)
    return Desired(
        request=_at_published_endpoint(request, spec.control_plane_endpoint),
        config_hash=config_hash(request),
        made_from=drift.wanted(spec, request.config),
        nodes=node_names(request.config, load_balancer=not scope.runtime.simulated),
        blocked=(
            _missing_control_plane(missing=owner.control_plane_missing)
            or _control_plane_conflict(scope.spec, owner.control_plane, name)
            or network.conflict(scope.spec, owner.cluster, request.config)
        ),
    )


def cluster_request(
    spec: KINDClusterSpec, *, cluster_name: str, options: ReconcileOptions, cluster: JsonObject | None = None
) -> ClusterRequest:
    """`cluster`: the owner Cluster, whose subnets fill in where the spec is silent."""
    return ClusterRequest(
        config=kind_config(
            spec,
            cluster_name,
            pod_subnet=network.subnet(cluster, "pods"),
            service_subnet=network.subnet(cluster, "services"),
        ),
        image=resolved_image(spec, options.default_image),
        version=spec.version,
        timeout=_timeout(spec, options.default_create_timeout).total_seconds(),
        retain_on_failure=bool(spec.retain_on_failure),
    )


def resolved_image(spec: KINDClusterSpec, default_image: str | None) -> str | None:
    """Image of nodes that name none themselves: spec.image, else kindest/node of spec.version, else the default, else kind's own.

    A tag without a digest on purpose: an image that was built or loaded locally has no digest, and kind would try to pull it.
    """
    if spec.image:
        return spec.image
    return f"{NODE_REPOSITORY}:{spec.version}" if spec.version else default_image


def config_hash(request: ClusterRequest) -> str:
    """32 hexadecimal digits over all that shapes the made cluster; how long a create may take is not part of it."""
    shape = {"config": request.config, "image": request.image, "version": request.version}
    text = json.dumps(shape, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def _timeout(spec: KINDClusterSpec, default: timedelta) -> timedelta:
    return parse_duration(spec.create_timeout) if spec.create_timeout else default


def _with_control_plane(spec: KINDClusterSpec, control_plane: JsonObject | None) -> KINDClusterSpec:
    """The spec with what a KINDControlPlane says where the spec is silent."""
    said = (control_plane or {}).get("spec") or {}
    supplied: dict[str, Any] = {}
    if spec.version is None and said.get("version"):
        supplied["version"] = said["version"]
    if spec.nodes is None and spec.control_plane_replicas is None and said.get("replicas"):
        supplied["control_plane_replicas"] = said["replicas"]
    return spec.model_copy(update=supplied)


def _at_published_endpoint(request: ClusterRequest, endpoint: ControlPlaneEndpoint | None) -> ClusterRequest:
    """A replaced cluster answers where the first one did: the endpoint was published, and Cluster API never reads it again."""
    networking = request.config.get("networking") or {}
    if endpoint is None or networking.get("apiServerPort"):
        return request
    return replace(request, config={**request.config, "networking": {**networking, "apiServerPort": endpoint.port}})


def _missing_control_plane(*, missing: bool) -> Blocked | None:
    if not missing:
        return None
    message = "The Cluster's spec.controlPlaneRef names a KINDControlPlane that does not exist."
    return Blocked(Reason.WAITING_FOR_CONTROL_PLANE, message, UNKNOWN_RETRY)


def _control_plane_conflict(spec: KINDClusterSpec, control_plane: JsonObject | None, cluster_name: str) -> Blocked | None:
    if control_plane is None:
        return None
    said = control_plane["spec"]
    name = f"KINDControlPlane {control_plane['metadata']['name']}"
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
    if (replicas or 1) > 1 and len(cluster_name) > LONGEST_NAME_WITH_LOAD_BALANCER:
        found.append(
            f"{name} asks for {replicas} replicas, and {cluster_name} is too long a name for several control planes: "
            f"at most {LONGEST_NAME_WITH_LOAD_BALANCER} characters."
        )
    return Blocked(Reason.CONTROL_PLANE_CONFLICT, " ".join(found)) if found else None
