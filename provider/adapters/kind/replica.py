"""The engine's arguments for a worker like the ones that kind makes, read off a node that kind has made. Pure.

What kind writes for every node is written out here (kind pkg/cluster/internal/providers/docker/provision.go, commonArgs and
runArgsForNode); what it finds out about the host, or is told by its own settings, is taken over from the pattern, a control plane of
the same cluster: a later kind, or another environment of the manager, must not make workers that are unlike their cluster. A worker of a
cluster that only counts its workers has no mounts, ports or labels of its own (docs/adr/0109).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from provider.api import kind
from provider.api.kind import NodeRole

PASSED_ON = ("KIND_EXPERIMENTAL_CONTAINERD_SNAPSHOTTER", "KIND_DNS_SEARCH", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
"""Variables that kind gives to every node; other variables are the image's, or a control plane's own."""
NO_PROXY = "NO_PROXY"
DEVICE_MAPPER = "/dev/mapper"
"""Mounted where the engine's storage needs it (btrfs, zfs)."""


class OddPattern(ValueError):
    """The engine describes the pattern in a shape that no version known to us has."""


@dataclass(frozen=True, slots=True)
class Replica:
    """A worker that is to be made."""

    arguments: tuple[str, ...]
    """Of the engine's `run`."""
    environment: str
    """NAME=VALUE lines for its --env-file: a proxy's address may hold a password, which must not show in a list of processes."""


def replica(pattern: Mapping[str, Any], cluster: str, name: str, marker: str, image: str) -> Replica:
    """`pattern`: what `inspect` says of a node (Docker Engine API, ContainerInspect). Raises OddPattern."""
    try:
        variables = _variables(pattern["Config"].get("Env") or [], name)
        arguments = (*_fixed(cluster, name, marker), *_found_out(pattern, cluster))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise OddPattern(f"{type(error).__name__}: {error}") from error
    listed = "".join(f"{key}={value}\n" for key, value in variables.items())
    return Replica((*arguments, *(("--env-file", "/dev/stdin") if listed else ()), image), listed)


def _fixed(cluster: str, name: str, marker: str) -> Iterator[str]:
    yield from ("--name", name, "--hostname", name, "--label", f"{kind.KIND_ROLE_LABEL}={NodeRole.WORKER}", "--privileged")
    yield from ("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined")
    yield from ("--tmpfs", "/tmp", "--tmpfs", "/run", "--volume", "/var", "--volume", "/lib/modules:/lib/modules:ro")  # noqa: S108 - in the node
    yield from ("--detach", "--tty", "--label", f"{kind.KIND_CLUSTER_LABEL}={cluster}")
    yield from ("--volume", f"/dev/null:{kind.OWNER_MOUNT}{marker}:ro")


def _found_out(pattern: Mapping[str, Any], cluster: str) -> Iterator[str]:
    host = pattern["HostConfig"]
    if pattern["Config"]["Labels"][kind.KIND_CLUSTER_LABEL] != cluster:
        raise ValueError("it is a node of another cluster")
    yield from ("--net", _network(host, pattern["NetworkSettings"]["Networks"]))
    policy = host.get("RestartPolicy") or {}
    if policy.get("Name") == "on-failure":
        yield f"--restart=on-failure:{int(policy['MaximumRetryCount'])}"
    if host.get("Init") is False:
        yield "--init=false"
    if host.get("CgroupnsMode") == "private":
        yield "--cgroupns=private"
    if host.get("UsernsMode") == "host":
        yield "--userns=host"
    for key, value in sorted((host.get("Sysctls") or {}).items()):
        yield f"--sysctl={key}={value}"
    if any(str(bind).split(":")[1:2] == [DEVICE_MAPPER] for bind in host.get("Binds") or []):
        yield from ("--volume", f"{DEVICE_MAPPER}:{DEVICE_MAPPER}")
    for device in host.get("Devices") or []:
        yield from ("--device", str(device["PathOnHost"]))


def _network(host: Mapping[str, Any], networks: Mapping[str, Any]) -> str:
    named = str(host.get("NetworkMode") or "")
    if named in networks:
        return named
    (only,) = networks
    return str(only)


def _variables(env: list[str], name: str) -> dict[str, str]:
    found = {}
    for entry in env:
        key, _, value = entry.partition("=")
        if key.upper() == NO_PROXY:
            found[key] = f"{value},{name}"
        elif key in PASSED_ON or key.upper() in PASSED_ON:
            found[key] = value
    return found
