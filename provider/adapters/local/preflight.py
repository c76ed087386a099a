"""What of a spec the local runtime does not support, found before anything is made. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from provider.adapters.local.loopback import HOST
from provider.api.conditions import Reason
from provider.api.image import is_minor
from provider.api.markers import Local, MarkedField, marked_fields
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.ports.runtime import ClusterRequest, Problem

FIELDS = marked_fields(KINDClusterSpec)
IPV4 = 4
NODE_MASK = 24
"""kube-controller-manager's default --node-cidr-mask-size; with a smaller pod subnet it ends a second after its start."""
CURE = "or use spec.runtime: kind."


def problems(request: ClusterRequest, available: str) -> list[Problem]:
    """`available`: the version of the binaries, "v1.34.4"."""
    networking = request.config.get("networking") or {}
    return [*_containers(request.config), *_addresses(networking), *_subnets(networking), *_version(request, available)]


def _version(request: ClusterRequest, available: str) -> Iterator[Problem]:
    wanted = request.version or available
    if wanted != available and not (is_minor(wanted) and available.startswith(f"{wanted}.")):
        message = (
            f"spec.version: {request.version} is not available on the local runtime, which has {available}: "
            f"set spec.version: {available}, leave it out, {CURE}"
        )
        yield Problem(Reason.VERSION_NOT_AVAILABLE, message, terminal=True)


def wanted_port(request: ClusterRequest) -> int:
    """The API server's port that the spec asks for; 0 = any."""
    return max(0, int((request.config.get("networking") or {}).get("apiServerPort") or 0))


def unsupported(config: Mapping[str, Any], fields: Sequence[MarkedField] = FIELDS, path: str = "spec") -> Iterator[str]:
    """Paths of what is set in kind's document and refused by this runtime. `fields`: of the object at `path`."""
    for field in fields:
        if field.kind_name is None or not (value := config.get(field.kind_name)):
            continue
        here = f"{path}.{field.name}"
        if field.marker.local is Local.REFUSED:
            yield here
        elif field.is_list and field.fields:
            for index, entry in enumerate(value):
                yield from unsupported(entry, field.fields, f"{here}[{index}]")
        elif field.fields:
            yield from unsupported(value, field.fields, here)


def _containers(config: Mapping[str, Any]) -> Iterator[Problem]:
    for field in unsupported(config):
        message = f"{field} is not supported by the local runtime, which has no containers: remove it, {CURE}"
        yield Problem(Reason.NOT_SUPPORTED, message, terminal=True)


def _addresses(networking: Mapping[str, Any]) -> Iterator[Problem]:
    address, family = networking.get("apiServerAddress") or HOST, networking.get("ipFamily") or "ipv4"
    if address != HOST:
        message = f"spec.networking.apiServerAddress: {address}: the local runtime listens on {HOST} only: remove it, {CURE}"
        yield Problem(Reason.NOT_SUPPORTED, message, terminal=True)
    if family != "ipv4":
        message = f"spec.networking.ipFamily: {family}: the local runtime has ipv4 only: remove it, {CURE}"
        yield Problem(Reason.NOT_SUPPORTED, message, terminal=True)


def _subnets(networking: Mapping[str, Any]) -> Iterator[Problem]:
    for field in ("podSubnet", "serviceSubnet"):
        subnet = networking.get(field)
        if not subnet:
            continue
        if (mask := _ipv4_mask(str(subnet))) is None:
            message = f"spec.networking.{field}: {subnet}: the local runtime takes one IPv4 subnet: change it, {CURE}"
            yield Problem(Reason.NOT_SUPPORTED, message, terminal=True)
        elif field == "podSubnet" and mask > NODE_MASK:
            message = f"spec.networking.podSubnet: {subnet}: every node gets a /{NODE_MASK} of it: make it that large or larger."
            yield Problem(Reason.NOT_SUPPORTED, message, terminal=True)


def _ipv4_mask(subnet: str) -> int | None:
    """Length of its mask; None for what is no IPv4 subnet."""
    try:
        network = ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        return None
    return network.prefixlen if network.version == IPV4 else None
