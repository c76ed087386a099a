"""KINDClusterSpec → kind's config document (kind pkg/apis/config/v1alpha4/types.go), as a dict to be dumped by yaml.safe_dump.

Which fields belong to it, and under which names, stands on the fields (provider.api.markers).

What the spec leaves out is left out here too, so that kind's own defaults hold; only the name, the list of nodes and each node's role
are always spelled out, because the rest of this code base counts on them. Patches pass through untouched: unversioned map-form
patches are what every kind from 0.30 on understands (kind >= 0.32 converts them for kubeadm v1beta4).
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from provider.api.kind import NodeRole
from provider.api.markers import MarkedField
from provider.api.v1alpha1.common import Networking, Node
from provider.api.v1alpha1.kindcluster import ControlPlaneEndpoint, KINDClusterSpec

API_VERSION = "kind.x-k8s.io/v1alpha4"
HASH_LENGTH = 32


def kind_config(
    spec: KINDClusterSpec,
    cluster_name: str,
    *,
    pod_subnet: str | None = None,
    service_subnet: str | None = None,
    api_server_port: int | None = None,
) -> dict[str, Any]:
    """The whole document. Subnets (comma-separated CIDRs, as kind writes dual stack) and port fill in where the spec is silent."""
    networking = _networking(spec.networking or Networking(), pod_subnet, service_subnet)
    if api_server_port is not None and not networking.api_server_port:
        networking = networking.model_copy(update={"api_server_port": api_server_port})
    explicit = spec.model_copy(
        update={
            "cluster_name": cluster_name,
            "nodes": [node.model_copy(update={"role": node.role or NodeRole.CONTROL_PLANE.value}) for node in _nodes(spec)],
            "networking": networking,
        }
    )
    rendered = _rendered(explicit.model_dump(by_alias=True, exclude_none=True), spec.marked)
    if not rendered["networking"]:
        del rendered["networking"]
    return {"kind": "Cluster", "apiVersion": API_VERSION, "name": cluster_name} | rendered


def _rendered(dumped: Mapping[str, Any], fields: Sequence[MarkedField]) -> dict[str, Any]:
    """What of an object belongs to kind's document, under kind's names."""
    result = {}
    for field in fields:
        if field.kind_name is None or field.name not in dumped:
            continue
        value = dumped[field.name]
        if field.fields:
            value = [_rendered(entry, field.fields) for entry in value] if field.is_list else _rendered(value, field.fields)
        result[field.kind_name] = value
    return result


def fingerprint(config: Mapping[str, Any], *, image: str | None, version: str | None) -> str:
    """32 hexadecimal digits over all that shapes the made cluster."""
    shape = {"config": config, "image": image, "version": version}
    text = json.dumps(shape, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]


def at_published_endpoint(config: Mapping[str, Any], endpoint: ControlPlaneEndpoint | None) -> Mapping[str, Any]:
    """A replaced cluster answers where the first one did: the endpoint was published, and Cluster API never reads it again."""
    networking = config.get("networking") or {}
    if endpoint is None or networking.get("apiServerPort"):
        return config
    return {**config, "networking": {**networking, "apiServerPort": endpoint.port}}


def _nodes(spec: KINDClusterSpec) -> Sequence[Node]:
    if spec.nodes:
        return spec.nodes
    control_planes = [Node()] * (spec.control_plane_replicas or 1)
    return [*control_planes, *[Node(role=NodeRole.WORKER.value)] * (spec.worker_replicas or 0)]


def _networking(given: Networking, pods: str | None, services: str | None) -> Networking:
    borrowed = {
        name: subnet
        for name, subnet in (("pod_subnet", pods), ("service_subnet", services))
        if subnet and getattr(given, name) is None
    }
    family = given.ip_family or _family(borrowed.values())
    return given.model_copy(update={**borrowed, "ip_family": family})


def _family(subnets: Iterable[str]) -> str | None:
    """kind's ipFamily for subnets that came from elsewhere; None leaves kind's default (ipv4), also for what is no CIDR."""
    versions = set()
    for subnet in subnets:
        for cidr in subnet.split(","):
            try:
                versions.add(ipaddress.ip_network(cidr.strip(), strict=False).version)
            except ValueError:
                return None
    return {frozenset({6}): "ipv6", frozenset({4, 6}): "dual"}.get(frozenset(versions))
