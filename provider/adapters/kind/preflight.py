"""What would make a create fail after minutes, found in milliseconds: on this host, before kind runs.

Only things that are sure to fail, or nearly so, are problems: a refusal on suspicion would be worse than kind's own error. What needs the
engine's host (paths, ports, limits) is looked at only where the manager shares it.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from provider.adapters.engine.errors import INOTIFY
from provider.adapters.engine.listing import Listing, PortBinding
from provider.adapters.process import strays
from provider.api import kind
from provider.api.conditions import Reason
from provider.ports.runtime import ClusterRequest, Identity, Problem

IMAGE = re.compile(
    r"(?:[a-zA-Z0-9][a-zA-Z0-9.-]*(?::\d{1,5})?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
"""A reference as the engines read it (distribution/reference), strict enough that nothing can pass for an option."""
SOCKETS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
LEAST_DISK = 2 << 30
"""Bytes. A node writes about one gigabyte before its API answers."""
LEAST_INSTANCES = 10
"""inotify instances that even a bare node needs; a real one takes about 26."""
INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")


def problems(
    identity: Identity, request: ClusterRequest, listing: Listing, *, shares_host: bool, disk: str = ""
) -> list[Problem]:
    """All that was found. `disk`: folder of the engine's data, "" = unknown. Blocking, a few milliseconds."""
    config = request.config
    found = [*_images(request), *_marker_mounts(config), *_duplicate_ports(config), *_taken_by_kind(config, identity, listing)]
    if shares_host:
        found += [*_paths(config), *_ports(config, identity, listing), *_disk(disk), *_inotify(len(config["nodes"]))]
    return found


# --- what the spec says -----------------------------------------------------------------------------------------------------------


def _images(request: ClusterRequest) -> Iterator[Problem]:
    images = {"spec.image": request.image} | {
        f"spec.nodes[{index}].image": node.get("image") for index, node in enumerate(request.config["nodes"])
    }
    for path, image in images.items():
        if image and not IMAGE.fullmatch(image):
            yield Problem(Reason.IMAGE_INVALID, f"{path}: this is not the name of an image. Write REPOSITORY:TAG.", terminal=True)


def _marker_mounts(config: Mapping[str, Any]) -> Iterator[Problem]:
    """A spec must not carry another object's marker: that object would remove the containers."""
    for path, mount in _mounts(config):
        place = os.path.normpath("/" + str(mount.get("containerPath", "")).lstrip("/")).rstrip("/") + "/"
        if place.startswith(kind.OWNER_MOUNT) or kind.OWNER_MOUNT.startswith(place):
            message = f"{path}.containerPath: {kind.OWNER_MOUNT} is reserved for the mark of ownership. Choose another path."
            yield Problem(Reason.MOUNT_INVALID, message, terminal=True)


def _mounts(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, node in enumerate(config["nodes"]):
        for number, mount in enumerate(node.get("extraMounts") or []):
            yield f"spec.nodes[{index}].extraMounts[{number}]", mount


def _wanted_ports(config: Mapping[str, Any]) -> list[tuple[str, PortBinding]]:
    """Path in the spec, and the port, of every fixed host port."""
    networking = config.get("networking") or {}
    ipv6 = networking.get("ipFamily") == "ipv6"
    found = []
    if port := max(0, networking.get("apiServerPort") or 0):
        address = networking.get("apiServerAddress") or ("::1" if ipv6 else "127.0.0.1")
        found.append(("spec.networking.apiServerPort", PortBinding(address, port, "tcp")))
    for index, node in enumerate(config["nodes"]):
        for number, mapping in enumerate(node.get("extraPortMappings") or []):
            if port := max(0, mapping.get("hostPort") or 0):
                address = mapping.get("listenAddress") or ("::" if ipv6 else "0.0.0.0")
                path = f"spec.nodes[{index}].extraPortMappings[{number}].hostPort"
                found.append((path, PortBinding(address, port, (mapping.get("protocol") or "TCP").lower())))
    return found


def _duplicate_ports(config: Mapping[str, Any]) -> Iterator[Problem]:
    """kind looks for them within one node only (kind pkg/internal/apis/config/validate.go), CEL among a part (provider.api.rules.ports).

    A spec may have 5,000 of them: each is compared with those of its own number and protocol, up to the first that clashes.
    """
    seen: dict[tuple[int, str], list[tuple[str, PortBinding]]] = {}
    for path, port in _wanted_ports(config):
        earlier = seen.setdefault((port.port, port.protocol), [])
        if clash := next((other for other, taken in earlier if port.clashes(taken)), None):
            message = f"{path}: host port {port} is asked for by {clash}, too. Choose another one."
            yield Problem(Reason.PORT_DUPLICATE, message, terminal=True)
        else:
            earlier.append((path, port))


# --- what the engine and its host say --------------------------------------------------------------------------------------------


def _taken_by_kind(config: Mapping[str, Any], identity: Identity, listing: Listing) -> Iterator[Problem]:
    others = [one for found in listing.clusters.values() for one in found if not one.owned_by(identity.marker)]
    for path, port in _wanted_ports(config):
        if taker := next((one for one in others if any(port.clashes(binding) for binding in one.bindings)), None):
            message = (
                f"{path}: host port {port} belongs to {taker.name} of kind cluster {taker.cluster}. "
                "Delete that cluster, or choose another port in a new object."
            )
            yield Problem(Reason.PORT_IN_USE, message, terminal=False)


def _ports(config: Mapping[str, Any], identity: Identity, listing: Listing) -> Iterator[Problem]:
    remains = [container for found in listing.clusters.values() for container in found if container.owned_by(identity.marker)]
    own = {binding.port for container in remains for binding in container.bindings}
    for path, port in _wanted_ports(config):
        if port.port in own or port.protocol not in SOCKETS:
            continue
        number = _bind(port)
        if number == errno.EADDRINUSE:
            message = f"{path}: host port {port} is in use. Stop what listens there, or choose another port in a new object."
            yield Problem(Reason.PORT_IN_USE, message, terminal=False)
        elif number in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            message = f"{path}: this host has no address {port.address}. Use one of its own, or 127.0.0.1."
            yield Problem(Reason.ADDRESS_UNAVAILABLE, message, terminal=True)


def _bind(port: PortBinding) -> int:
    """errno of listening there for a moment; 0 when it works, or when it says nothing about the engine (privileged ports)."""
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(port.address).version == 6 else socket.AF_INET  # noqa: PLR2004
    except ValueError:
        return errno.EADDRNOTAVAIL
    try:
        with socket.socket(family, SOCKETS[port.protocol]) as probe:
            if port.protocol == "tcp":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((port.address, port.port))
    except OSError as error:
        return error.errno or 0
    return 0


def _paths(config: Mapping[str, Any]) -> Iterator[Problem]:
    for path, mount in _mounts(config):
        host = str(mount.get("hostPath", ""))
        if not Path(host).exists():
            message = f"{path}.hostPath: {host} does not exist on this host. Create it, or correct the path in a new object."
            yield Problem(Reason.HOST_PATH_MISSING, message, terminal=False)


def _disk(folder: str) -> Iterator[Problem]:
    try:
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize if folder else LEAST_DISK
    except OSError:
        return
    if free < LEAST_DISK:
        message = (
            f"The engine's disk ({folder}) has {free >> 20} MiB left; a cluster needs {LEAST_DISK >> 30} GiB. Free some space."
        )
        yield Problem(Reason.DISK_FULL, message, terminal=False)


def _inotify(nodes: int) -> Iterator[Problem]:
    """Root's limit, which the nodes share with the host. Only root sees enough of /proc to count."""
    if os.geteuid() != 0:
        return
    try:
        limit = int(INOTIFY_LIMIT.read_text())
    except (OSError, ValueError):
        return
    if limit >= LEAST_INSTANCES * nodes + 1024:
        return
    used = sum(target == "anon_inode:inotify" for target in strays.open_files())
    if limit - used < LEAST_INSTANCES * nodes:
        message = f"The host's inotify instances are used up ({used} of {limit}). Raise the limits on it: {INOTIFY}."
        yield Problem(Reason.HOST_LIMITS, message, terminal=False)
