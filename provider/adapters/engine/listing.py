"""What `inspect` of docker, podman and nerdctl says about kind's containers, parsed strictly. Pure: text in, values out.

A shape that is not understood is never read as "nothing there": it is reported as unreadable, for its own cluster where the label can
be read. Field names are those of the Docker Engine API (ContainerInspect), which podman and nerdctl imitate.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from provider.api import kind
from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.ports.runtime import Endpoint, NodeRunState

API_PORT = "6443/tcp"
DESKTOP_PORT_LABEL = "desktop.docker.io/ports/6443/tcp"
"""Docker Desktop says here where the port really is (kind providers/docker/provider.go, GetAPIServerEndpoint)."""
OWNER_DOMAIN = "owner.capk.invalid"
"""`<marker>.owner.capk.invalid` among the NO_PROXY entries marks containers that kind gives no extra mounts: the load balancer."""
PROXY_VARIABLES = ("NO_PROXY=", "no_proxy=")
NEVER = "0001-01-01T00:00:00Z"
WILDCARDS = ("", "0.0.0.0", "::")

STATES = {
    "created": NodeRunState.CREATED,
    "configured": NodeRunState.CREATED,
    "initialized": NodeRunState.CREATED,
    "running": NodeRunState.RUNNING,
    "paused": NodeRunState.PAUSED,
    "restarting": NodeRunState.RESTARTING,
    "exited": NodeRunState.STOPPED,
    "stopped": NodeRunState.STOPPED,
    "stopping": NodeRunState.STOPPED,
    "dead": NodeRunState.STOPPED,
    "removing": NodeRunState.STOPPED,
}
"""State.Status of docker (container/state.go), podman (libpod/define) and nerdctl."""


class UnknownShape(ValueError):
    """The engine's answer has not the form that any version known to us gives."""


@dataclass(frozen=True, slots=True)
class PortBinding:
    """A host port that a container asks for, whether it runs or not. `port` 0 = the engine picks."""

    address: str
    port: int
    protocol: str
    """Lower case."""

    def __str__(self) -> str:
        return f"{self.address}:{self.port}/{self.protocol}"

    def clashes(self, other: PortBinding) -> bool:
        """Whether both cannot be bound at once."""
        same = self.address == other.address or self.address in WILDCARDS or other.address in WILDCARDS
        return same and (self.port, self.protocol) == (other.port, other.protocol)


@dataclass(frozen=True, slots=True)
class Container:
    """One of kind's containers."""

    id: str
    name: str
    cluster: str
    role: NodeRole | None
    """None: a role that kind does not know."""
    state: NodeRunState
    image: str
    addresses: tuple[str, ...]
    started_at: str
    exit_code: int | None
    markers: frozenset[str]
    """Markers it carries, as mount or as NO_PROXY entry."""
    published: Endpoint | None
    """Where its port 6443 is reached from the host; None while it does not run."""
    bindings: tuple[PortBinding, ...]
    volumes: tuple[str, ...] = ()
    """Names of its volumes; podman's outlive `rm -v` because kind makes them by name (kind providers/podman/util.go)."""

    def owned_by(self, marker: str) -> bool:
        return self.role is not None and marker in self.markers


@dataclass(frozen=True, slots=True)
class Listing:
    """All of kind's containers at one moment, or why they are not known."""

    clusters: Mapping[str, tuple[Container, ...]] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Cluster name → what was not understood about one of its containers."""
    unplaced: str = ""
    """Why one container's cluster is not known; empty when all are. It may be of any cluster of which nothing else was seen."""
    daemon: str = ""
    """Which daemon answered (adapters.engine.daemon); empty when none did."""
    reason: Reason | None = None
    """None when the engine answered."""
    detail: str = ""


def owner_entry(marker: str) -> str:
    return f"{marker}.{OWNER_DOMAIN}"


def entries_of(text: str) -> list[Any]:
    """The output of `inspect`, one entry for each container. Raises UnknownShape."""
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnknownShape("it is not JSON") from error
    if not isinstance(entries, list):
        raise UnknownShape("it is not a list")
    return entries


def read_entries(entries: Iterable[Any]) -> tuple[Listing, set[str]]:
    """What `inspect` said, and the ids of the containers of which at least the cluster is known."""
    clusters: dict[str, list[Container]] = {}
    unreadable: dict[str, str] = {}
    placed: set[str] = set()
    for entry in entries:
        try:
            cluster = _cluster(entry)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # its id is missing from those placed
        try:
            placed.add(_text(entry, "Id"))
            clusters.setdefault(cluster, []).append(_container(entry, cluster))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            unreadable[cluster] = f"{type(error).__name__}: {error}"[:200]
    sort = {name: tuple(sorted(found, key=lambda container: container.name)) for name, found in clusters.items()}
    return Listing(sort, unreadable), placed


def unread_clusters(text: str, wanted: AbstractSet[str]) -> tuple[dict[str, str], str]:
    """Clusters of the wanted containers that `ps --format {{json .}}` still lists: name → what to say about it.

    The second value is empty, or says why the cluster of one of them is not known. docker and nerdctl write labels as "a=b,c=d", podman
    as an object.
    """
    clusters: dict[str, str] = {}
    placed: set[str] = set()
    odd = ""
    for line in filter(str.strip, text.splitlines()):
        try:
            entry = json.loads(line)
            one = _text(entry, "ID" if entry.get("ID") else "Id")
            if one in wanted:
                clusters[_labels(entry["Labels"])[kind.KIND_CLUSTER_LABEL]] = "one of them is being made or removed right now"
                placed.add(one)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            odd = f"{type(error).__name__}: {error}"[:200]
    # A wanted container without a line is gone, unless the odd line is its own.
    return clusters, odd if wanted - placed else ""


def _labels(labels: Any) -> dict[str, str]:
    pairs = labels.items() if isinstance(labels, dict) else (pair.partition("=")[::2] for pair in labels.split(","))
    return {str(key): str(value) for key, value in pairs}


def _cluster(entry: Any) -> str:
    """May be empty: somebody else uses kind's label. No cluster has that name, so the container concerns nobody."""
    label = entry["Config"]["Labels"][kind.KIND_CLUSTER_LABEL]
    if not isinstance(label, str):
        raise TypeError(f"the label {kind.KIND_CLUSTER_LABEL} is not text")
    return label


def _container(entry: Any, cluster: str) -> Container:
    config, state = entry["Config"], entry["State"]
    labels = config["Labels"]
    run_state = STATES[_text(state, "Status")]
    running = run_state.running
    started = _text(state, "StartedAt")
    return Container(
        id=_text(entry, "Id"),
        name=_text(entry, "Name").removeprefix("/"),
        cluster=cluster,
        role=_role(labels.get(kind.KIND_ROLE_LABEL)),
        state=run_state,
        image=str(entry.get("ImageName") or config.get("Image") or ""),
        addresses=_addresses(entry["NetworkSettings"]) if running else (),
        started_at="" if started == NEVER else started,
        exit_code=None if running or run_state is NodeRunState.PAUSED else int(state["ExitCode"]),
        markers=_mount_markers(entry["Mounts"]) | _proxy_markers(config.get("Env") or []),
        published=_published(entry["NetworkSettings"], labels) if running else None,
        bindings=_bindings((entry.get("HostConfig") or {}).get("PortBindings") or {}),
        volumes=tuple(str(mount.get("Name")) for mount in entry["Mounts"] or [] if mount.get("Type") == "volume"),
    )


def _text(mapping: Any, key: str) -> str:
    value = mapping[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} is not text")
    return value


def _role(label: Any) -> NodeRole | None:
    return NodeRole(label) if label in NodeRole.__members__.values() else None


def _mount_markers(mounts: Any) -> frozenset[str]:
    """Only the place counts; it is what `--filter volume=` of the engines looks at, too."""
    if mounts is None:
        return frozenset()
    if not isinstance(mounts, list):
        raise TypeError("Mounts is not a list")
    places = [_text(mount, "Destination") for mount in mounts]
    return frozenset(place.removeprefix(kind.OWNER_MOUNT) for place in places if place.startswith(kind.OWNER_MOUNT))


def _proxy_markers(env: Any) -> frozenset[str]:
    found = set()
    for variable in env:
        if variable.startswith(PROXY_VARIABLES):
            entries = variable.partition("=")[2].split(",")
            found |= {entry.strip().removesuffix("." + OWNER_DOMAIN) for entry in entries if entry.strip().endswith(OWNER_DOMAIN)}
    return frozenset(found)


def _addresses(settings: Any) -> tuple[str, ...]:
    networks = settings.get("Networks") or {}
    found = [network.get(key) for network in networks.values() for key in ("IPAddress", "GlobalIPv6Address")]
    return tuple(address for address in found if address)


def _published(settings: Any, labels: Mapping[str, str]) -> Endpoint | None:
    if desktop := labels.get(DESKTOP_PORT_LABEL):
        host, _, port = desktop.rpartition(":")
        return _endpoint(host, port)
    bound = (settings.get("Ports") or {}).get(API_PORT)
    return _endpoint(bound[0].get("HostIp", ""), bound[0]["HostPort"]) if bound else None


def _endpoint(host: str, port: str) -> Endpoint:
    """A wildcard address is reached as `localhost`, which kind has in the API server's certificate whatever it listens on."""
    return Endpoint("localhost" if host in WILDCARDS else host.strip("[]"), int(port))


def _bindings(ports: Any) -> tuple[PortBinding, ...]:
    found: list[PortBinding] = []
    for name, bound in ports.items():
        _, _, protocol = name.partition("/")
        found.extend(
            PortBinding(one.get("HostIp") or "0.0.0.0", int(one.get("HostPort") or 0), protocol or "tcp") for one in bound or []
        )
    return tuple(found)
