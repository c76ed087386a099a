"""From the spec (and what the owner Cluster says about network and control plane) to what the runtime is asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from provider.api.conditions import Reason
from provider.api.duration import parse_duration
from provider.api.kind import NodeNames, node_names
from provider.api.meta import JsonObject
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.backoff import UNKNOWN_RETRY
from provider.ports.runtime import ClusterRequest
from provider.reconcile import drift, network
from provider.reconcile.capi import Owner
from provider.reconcile.kind_config import at_published_endpoint, fingerprint, kind_config
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.plan import Blocked
from provider.reconcile.scope import Scope

LONGEST_NAME_WITH_LOAD_BALANCER = 40
"""Characters: the load balancer's container is called NAME-external-load-balancer, and a host name has 63."""


@dataclass(frozen=True, slots=True)
class Desired:
    """What a cluster made now would be."""

    request: ClusterRequest
    config_hash: str
    """Of the request before the published endpoint is added: a request that changed has another one."""
    made_from: Mapping[str, str]
    """What it would be made from: the record that drift.py compares."""
    values: Mapping[str, Any]
    """The same before long values became fingerprints."""
    nodes: NodeNames
    repository: str | None
    """spec.imageRepository, below which node images that nobody names are looked for."""
    blocked: Blocked | None
    """Why the spec and what others say for it cannot both be had, or why that cannot be told yet."""


def desire(scope: Scope, options: ReconcileOptions) -> Desired:
    """`scope` must have identity and runtime."""
    assert scope.identity is not None and scope.runtime is not None
    owner, name = scope.owner, scope.identity.cluster_name
    blocked = scope.unresolved or _control_plane_conflict(scope.spec, owner, name)
    spec = _with_control_plane(scope.spec, owner.control_plane)
    request = cluster_request(spec, cluster_name=name, options=options, cluster=owner.cluster)
    return Desired(
        request=replace(request, config=at_published_endpoint(request.config, spec.control_plane_endpoint)),
        config_hash=fingerprint(request.config, image=request.image or spec.image_repository, version=request.version),
        made_from=drift.made_from(spec, request.config),
        values=drift.wanted_values(spec, request.config),
        nodes=node_names(request.config, load_balancer=not scope.runtime.simulated),
        repository=spec.image_repository,
        blocked=blocked or network.conflict(scope.spec, owner.cluster, request.config),
    )


def cluster_request(
    spec: KINDClusterSpec, *, cluster_name: str, options: ReconcileOptions, cluster: JsonObject | None = None
) -> ClusterRequest:
    """`cluster`: the owner Cluster, whose network fills in where the spec is silent."""
    timeout = parse_duration(spec.create_timeout) if spec.create_timeout else options.default_create_timeout
    config = kind_config(
        spec,
        cluster_name,
        pod_subnet=network.subnet(cluster, "pods"),
        service_subnet=network.subnet(cluster, "services"),
        api_server_port=network.api_server_port(cluster),
    )
    return ClusterRequest(
        config, named_image(spec, options.default_image), spec.version, timeout.total_seconds(), bool(spec.retain_on_failure)
    )


def named_image(spec: KINDClusterSpec, default_image: str | None) -> str | None:
    """The image of nodes that name none themselves, where somebody names it; None: one is chosen (provider.reconcile.node_images)."""
    if spec.image or spec.version or spec.image_repository:
        return spec.image
    return default_image


def _with_control_plane(spec: KINDClusterSpec, control_plane: JsonObject | None) -> KINDClusterSpec:
    """The spec with what a KINDControlPlane says where the spec is silent."""
    said = (control_plane or {}).get("spec") or {}
    supplied: dict[str, Any] = {"version": canonical(spec.version or said.get("version"))}
    if spec.nodes is None and spec.control_plane_replicas is None and said.get("replicas"):
        supplied["control_plane_replicas"] = said["replicas"]
    return spec.model_copy(update=supplied)


def canonical(version: str | None) -> str | None:
    """With the v that images and releases have. The contract takes versions without it ("ControlPlane: version")."""
    return f"v{version.removeprefix('v')}" if version else None


def _control_plane_conflict(spec: KINDClusterSpec, owner: Owner, cluster_name: str) -> Blocked | None:
    if owner.control_plane_missing:
        message = "The Cluster's spec.controlPlaneRef names a KINDControlPlane that does not exist."
        return Blocked(Reason.WAITING_FOR_CONTROL_PLANE, message, UNKNOWN_RETRY)
    if (control_plane := owner.control_plane) is None:
        return None
    said = control_plane["spec"]
    name = f"KINDControlPlane {control_plane['metadata']['name']}"
    replicas = said.get("replicas")
    found = []
    if spec.version is not None and canonical(spec.version) != canonical(said.get("version")):
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
