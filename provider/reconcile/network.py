"""What Cluster.spec.clusterNetwork asks for, and where that and the spec cannot both be had. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, part
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.reconcile.plan import Blocked

SUBNETS = {"podSubnet": "pods", "serviceSubnet": "services"}
"""Field of the spec's networking → part of the Cluster's network that fills in for it."""
FAMILIES = {
    "ipv4": ("one IPv4 CIDR", ([4],)),
    "ipv6": ("one IPv6 CIDR", ([6],)),
    "dual": ("one CIDR of each family", ([4, 6], [4], [6])),
}
"""kind's ipFamily → what one of its subnets consists of: in words, and the versions of its CIDRs."""

NODE_PORT = 6443
"""What every node's API server binds to, and Cluster API's default of apiServerPort: a Cluster that says so asks for nothing."""
SERVICE_DOMAIN = "cluster.local"
"""Of every cluster that kind makes; runtime local has no DNS at all."""
MOST_BLOCKS = 3
"""CIDRs of a Cluster that are looked at: two can be had, and the third shows that there are more."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def subnet(cluster: JsonObject | None, of: str) -> str | None:
    """A Cluster's clusterNetwork.{pods,services}.cidrBlocks, joined as kind writes dual-stack subnets."""
    blocks = part(cluster, "spec", "clusterNetwork", of).get("cidrBlocks")
    return ",".join(str(block) for block in blocks[:MOST_BLOCKS]) or None if isinstance(blocks, list) else None


def api_server_port(cluster: JsonObject | None) -> int | None:
    """The port that a Cluster asks for the API server; None where it asks for none (or for the default)."""
    port = _said(cluster).get("apiServerPort")
    return port if isinstance(port, int) and port not in (0, NODE_PORT) else None


def conflict(spec: KINDClusterSpec, cluster: JsonObject | None, config: Mapping[str, Any]) -> Blocked | None:
    """Why a cluster with both the spec's and the Cluster's network cannot be had. `config`: kind's document made of the two."""
    if cluster is None:
        return None
    given: JsonObject = spec.networking.model_dump(by_alias=True, exclude_none=True) if spec.networking else {}
    wanted = {field: blocks for field, of in SUBNETS.items() if (blocks := subnet(cluster, of))}
    found = [
        *_different(given, wanted),
        *_unfit(given, wanted, config.get("networking") or {}),
        *_port(spec, cluster),
        *_domain(cluster),
    ]
    if not found:
        return None
    message = f"{' '.join(found)} Correct it here or in Cluster {cluster['metadata']['name']}."
    return Blocked(Reason.NETWORK_CONFLICT, message)


def _different(given: JsonObject, wanted: Mapping[str, str]) -> Iterator[str]:
    for field in given.keys() & wanted.keys() & SUBNETS.keys():
        if _networks(given[field]) != _networks(wanted[field]):
            yield f"spec.networking.{field} is {given[field]} and {_of(field)} says {wanted[field]}."


def _unfit(given: JsonObject, wanted: Mapping[str, str], networking: JsonObject) -> Iterator[str]:
    """What the Cluster supplies has to go with what the spec says; that the spec goes with itself, the API server has seen to."""
    words, allowed = FAMILIES[networking.get("ipFamily") or "ipv4"]
    borrowed = [field for field in sorted(SUBNETS) if field in wanted and field not in given]
    for field in sorted(SUBNETS) if borrowed else ():
        versions = sorted(one.version for one in _networks(networking.get(field) or ""))
        if versions and versions not in allowed:
            where = _of(field) if field in borrowed else f"spec.networking.{field}"
            yield f"{where} says {networking[field]}, and this cluster takes {words}."
    pods, services = (_networks(networking.get(field) or "") for field in SUBNETS)
    if borrowed and any(one.version == other.version and one.overlaps(other) for one in pods for other in services):
        yield f"Pods ({networking['podSubnet']}) and services ({networking['serviceSubnet']}) overlap."


def _port(spec: KINDClusterSpec, cluster: JsonObject) -> Iterator[str]:
    """The port is that of the endpoint on the engine's host, and the endpoint is published once."""
    wanted, given = api_server_port(cluster), spec.networking.api_server_port if spec.networking else None
    asks = f"the Cluster's spec.clusterNetwork.apiServerPort says {wanted}."
    if wanted is not None and given and given != wanted:
        yield f"spec.networking.apiServerPort is {given} and {asks}"
    elif wanted is not None and not given and spec.control_plane_endpoint and spec.control_plane_endpoint.port != wanted:
        yield f"The published port is {spec.control_plane_endpoint.port} for good and {asks}"


def _domain(cluster: JsonObject) -> Iterator[str]:
    domain = _said(cluster).get("serviceDomain")
    if domain not in (None, "", SERVICE_DOMAIN):
        yield f"The Cluster's spec.clusterNetwork.serviceDomain says {domain} and kind's clusters have {SERVICE_DOMAIN}."


def _said(cluster: JsonObject | None) -> JsonObject:
    """A Cluster's clusterNetwork."""
    return part(cluster, "spec", "clusterNetwork")


def _of(field: str) -> str:
    return f"the Cluster's spec.clusterNetwork.{SUBNETS[field]}.cidrBlocks"


def _networks(text: str) -> set[Network]:
    """Empty for what is no list of CIDRs: Cluster API and our CRD refuse that themselves."""
    try:
        return {ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()}
    except ValueError:
        return set()
