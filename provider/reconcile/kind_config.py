"""KINDClusterSpec → kind's config document (kind pkg/apis/config/v1alpha4/types.go), as a dict to be dumped by yaml.safe_dump.

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

from provider.api.v1alpha1.common import Networking, Node
from provider.api.v1alpha1.kindcluster import ControlPlaneEndpoint, KINDClusterSpec

API_VERSION = "kind.x-k8s.io/v1alpha4"
HASH_LENGTH = 32
CONTROL_PLANE, WORKER = "control-plane", "worker"

PASSED_ON = {
    "feature_gates",
    "runtime_config",
    "kubeadm_config_patches",
    "kubeadm_config_patches_json6902",
    "containerd_config_patches",
    "containerd_config_patches_json6902",
}
"""Fields of the spec that kind's document has under the same name."""


def kind_config(
    spec: KINDClusterSpec, cluster_name: str, *, pod_subnet: str | None = None, service_subnet: str | None = None
) -> dict[str, Any]:
    """The whole document. The subnets (comma-separated CIDRs, as kind writes dual stack) fill in where the spec is silent."""
    config: dict[str, Any] = {"kind": "Cluster", "apiVersion": API_VERSION, "name": cluster_name}
    config["nodes"] = [_node(node) for node in _nodes(spec)]
    if networking := _networking(spec.networking or Networking(), pod_subnet, service_subnet):
        config["networking"] = networking
    return config | spec.model_dump(by_alias=True, exclude_none=True, include=PASSED_ON)


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
    if spec.nodes is not None:
        return spec.nodes
    control_planes = [Node(role=CONTROL_PLANE)] * (spec.control_plane_replicas or 1)
    return [*control_planes, *[Node(role=WORKER)] * (spec.worker_replicas or 0)]


def _node(node: Node) -> dict[str, Any]:
    return {"role": node.role or CONTROL_PLANE} | node.model_dump(by_alias=True, exclude_none=True, exclude={"role"})


def _networking(given: Networking, pods: str | None, services: str | None) -> dict[str, Any]:
    result: dict[str, Any] = given.model_dump(by_alias=True, exclude_none=True)
    borrowed = {
        name: subnet for name, subnet in (("podSubnet", pods), ("serviceSubnet", services)) if subnet and name not in result
    }
    result |= borrowed
    if "ipFamily" not in result and (family := _family(borrowed.values())):
        result["ipFamily"] = family
    return result


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
