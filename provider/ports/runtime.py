"""What runs clusters, as a Protocol, and the plain values that cross it: identity, request, observation, verbs and progress."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from provider.api.conditions import Reason
from provider.api.kind import NodeNames, NodeRole
from provider.ports.registries import Connected, Registries


class Presence(StrEnum):
    """Whether something exists. UNKNOWN means nobody could tell: it neither creates, deletes nor flips Ready."""

    PRESENT = "Present"
    ABSENT = "Absent"
    UNKNOWN = "Unknown"


class Ownership(StrEnum):
    """Whose the containers (or processes) under a cluster name are."""

    NONE = "None"
    """Nothing is there, or nobody could tell."""
    OURS = "Ours"
    """Every one of them carries the kind cluster label and our marker."""
    FOREIGN = "Foreign"
    """At least one of them does not carry our marker. Nothing under this name may be touched."""


class NodeRunState(StrEnum):
    """State of one node's container (or, for a simulated node, of what stands in for it)."""

    RUNNING = "Running"
    STOPPED = "Stopped"
    PAUSED = "Paused"
    CREATED = "Created"
    """Made but never started: the trace of an interrupted create."""
    RESTARTING = "Restarting"
    """The engine starts it again by itself (a restart policy)."""

    @property
    def running(self) -> bool:
        return self is NodeRunState.RUNNING

    @property
    def stopped(self) -> bool:
        """Somebody has to start or resume it. RESTARTING is neither running nor stopped: the engine is at it."""
        return self not in (NodeRunState.RUNNING, NodeRunState.RESTARTING)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a runtime cluster belongs to. `marker` is what ownership is checked by; `holder` is for people."""

    cluster_name: str
    marker: str
    """sha256(namespace/name/token), shortened: 32 hexadecimal digits (reconcile.identity)."""
    holder: str
    """namespace/name of the KINDCluster."""
    daemon: str = ""
    """Where it was made: RuntimeObservation.daemon of then; empty: not known. Nothing is said or done about it elsewhere."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server answers. `host` is a DNS name or an IP address without brackets; port 0 asks the system for a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"https://{self}"


@dataclass(frozen=True, slots=True)
class NodeObservation:
    """One node as the runtime sees it (not as Kubernetes does)."""

    name: str
    role: NodeRole
    id: str
    """Container id, or for the local runtime a stable id of the node."""
    state: NodeRunState
    image: str = ""
    addresses: tuple[str, ...] = ()
    started_at: str = ""
    """RFC 3339, as the engine reports it; empty when it never started. Changes on every restart."""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class RuntimeObservation:
    """What a runtime found under a cluster name. `detail` says why for UNKNOWN and FOREIGN, in a person's words."""

    presence: Presence
    ownership: Ownership = Ownership.NONE
    nodes: tuple[NodeObservation, ...] = ()
    endpoint: Endpoint | None = None
    """Where the API server answers from the host; None while it has no address (stopped, half made)."""
    internal_endpoint: Endpoint | None = None
    """Where it answers from the runtime's own network."""
    reason: Reason | None = None
    detail: str = ""
    remains: bool = False
    """No node, and all the same something of ours may be left (a volume that outlived its container). `delete` removes it; so does `create`
    before it begins."""
    idle_registry: bool = False
    """No node, and the shared registry waits for a `delete` of this cluster, which removes it if nobody uses it. It carries nobody's
    marker, so it says nothing of whose a name or a daemon is."""
    daemon: str = ""
    """Who answered: the one of several engine daemons (or hosts) that a manager may talk to. Empty: the runtime does not tell, or nobody
    answered."""

    def missing(self, expected: NodeNames) -> list[str]:
        """Names of the nodes that should be there and are not."""
        present = {node.name for node in self.nodes}
        return [name for name, _ in expected if name not in present]

    @property
    def stopped(self) -> list[str]:
        """Names of the nodes that somebody has to start."""
        return [node.name for node in self.nodes if node.state.stopped]


@dataclass(frozen=True, slots=True)
class RuntimeHealth:
    """Whether a runtime can work at all. `available` is None when it did not answer (deadline, socket gone)."""

    available: bool | None
    reason: Reason | None = None
    detail: str = ""
    """For people, empty when available: what is missing and how to get it."""
    description: str = ""
    """E.g. "kind v0.30.0 on docker 20.10.24 (cgroup v1)"."""


@dataclass(frozen=True, slots=True)
class ClusterRequest:
    """Everything a runtime needs to make a cluster. Rendered by provider.reconcile.kind_config from a KINDClusterSpec."""

    config: Mapping[str, Any]
    """A complete kind v1alpha4 `Cluster` document: name set, nodes listed one by one. Without our ownership marker."""
    image: str | None
    """Node image for all nodes that name none of their own; None = the runtime's default."""
    version: str | None
    """Kubernetes version asked for, "v1.34.4"; None = the runtime's default."""
    timeout: float
    """Seconds the whole create may take."""
    retain_on_failure: bool = False


@dataclass(frozen=True, slots=True)
class NodeImages:
    """What nodes can be made from, as one look has found it."""

    release: str
    """What makes the nodes, for people: "kind v0.30.0"."""
    known: tuple[str, ...] = ()
    """Node images that this release was published with, pinned by digest: "kindest/node:v1.34.0@sha256:…"."""
    present: frozenset[str] = frozenset()
    """Names of all images on the engine, each by its tag and, where it has one, by its digest (provider.api.image.Name.wanted)."""
    archived: frozenset[str] = frozenset()
    """Names, by their tags, of what the manager's folder of image archives holds."""
    unreadable: tuple[str, ...] = ()
    """Archives in that folder that cannot be read, each with the reason."""


@dataclass(frozen=True, slots=True)
class Preloaded:
    """Where one image of spec.images is, as one look has found it."""

    name: str
    source: str
    """Id of the content that a load would bring; empty: there is none to be had."""
    nodes: frozenset[str]
    """Names of the nodes that have it: that very content or, where none is to be had, any of that name."""


@dataclass(frozen=True, slots=True)
class Workers:
    """What is to become of workers; those that are in neither list are left alone."""

    join: tuple[str, ...] = ()
    """Names of those that are to be there, in the order of their numbers. One that has not finished joining is made anew."""
    leave: tuple[str, ...] = ()
    """Names of those that are to go, highest number first."""
    last: bool = False
    """No worker stays, and there is but one control plane: it has to take the workloads, as one does that kind makes alone."""
    network: bool = True
    """A network plugin comes with the cluster: without one, no node becomes Ready by itself."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing a preflight found: field path, value and cure are in `message`."""

    reason: Reason
    message: str
    terminal: bool
    """True when only a changed spec can help."""


class StepState(StrEnum):
    STARTED = "Started"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Step:
    """Progress of a long operation. A later Step with the same name replaces the earlier one."""

    name: str
    """For people, as kind words it: "Starting control-plane"."""
    state: StepState
    seconds: float | None = None
    """How long it took; None while it runs."""
    detail: str = ""
    """How far it is, where that can be told: "3 of 7 layers"."""


Progress = Callable[[Step], None]


class Verb(StrEnum):
    """The long operations: each but `apply` is a method of Runtime that changes something."""

    CREATE = "create"
    PREPARE = "prepare"
    """Fetch what a create needs, and leave the cluster alone."""
    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    LOAD = "load"
    """Bring images into nodes that run. What is observed of the cluster is not touched."""
    CONNECT = "connect"
    """Tell nodes that run of registries, with the registry that the engine's clusters share. As LOAD."""
    APPLY = "apply"
    """Bring add-ons into a cluster that runs, through its API: the one verb that is no method of a runtime. What is observed of the
    cluster is not touched."""
    SCALE = "scale"
    """Let workers join and leave. The cluster is used as before, and observed, meanwhile."""
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """Something may have changed. `cluster_name` None means: look at everything again (stream was interrupted)."""

    cluster_name: str | None


class Runtime(Protocol):
    """Something that can run a whole Kubernetes cluster. Implementations: adapters.kind, adapters.local.

    Ownership is checked inside each of the changing methods, by marker, immediately before the effect; a cluster of the same
    name without the marker raises NotOurs and is left alone. Where another daemon answers than identity.daemon, observe is UNKNOWN
    and the changing methods raise Transient(Reason.OTHER_DAEMON). A per-name lock on the host serialises create, delete, start,
    stop, pause and scale; a lock held by somebody else raises Transient(Reason.NAME_LOCKED).
    """

    @property
    def name(self) -> str:
        """Value of spec.runtime that selects it: "kind" or "local"."""

    @property
    def simulated(self) -> bool:
        """Whether nodes are simulated: pods are marked Running and run nothing."""

    async def health(self) -> RuntimeHealth: ...

    async def observe(self, identity: Identity) -> RuntimeObservation: ...

    async def preflight(self, identity: Identity, request: ClusterRequest) -> Sequence[Problem]:
        """What can be told before minutes are lost: missing host paths, ports in use, an unusable image name."""

    async def real_paths(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Where paths lead on the engine's host, symbolic links followed; only those of which it can be told from here. Raises Transient
        where it could be told and no answer comes: a path on a network file system that hangs."""

    async def node_images(self) -> NodeImages | None:
        """What nodes can be made from at this moment; None: this runtime makes nodes from no images. Raises Transient."""

    async def prepare(self, request: ClusterRequest, progress: Progress) -> None:
        """Bring what a create needs onto the host (node images), and touch no cluster: done before a running one is replaced.

        Raises Transient or Terminal when it cannot be had.
        """

    async def create(self, identity: Identity, request: ClusterRequest, progress: Progress) -> None:
        """Make the cluster; return when its control plane is initialised and all nodes have joined.

        Cancelling the task kills everything it started on this host (process group); what the engine already made stays,
        and the next observation shows it. Raises Transient, Terminal or NotOurs.
        """

    async def delete(self, identity: Identity, progress: Progress) -> None:
        """Remove all that carries our marker, by id, and what that leaves behind, the shared registry without a cluster among it. Returns
        when nothing is left; absent is success. Raises NotOurs, but not where it removed that registry.
        """

    async def start(self, identity: Identity, progress: Progress) -> None:
        """Start stopped nodes and resume paused ones, load balancer and control planes first. Raises Transient, NotOurs."""

    async def stop(self, identity: Identity, progress: Progress) -> None:
        """End all nodes, keeping what is on their disks: workers first, the load balancer last. Those that are paused, too; what does not
        run is left as it is. Raises Transient (CONTAINERS_MISSING where there are none), NotOurs.
        """

    async def pause(self, identity: Identity, progress: Progress) -> None:
        """Freeze all nodes that run; what does not run is left as it is. Raises as `stop`."""

    async def scale(self, identity: Identity, workers: Workers, progress: Progress) -> None:
        """Let workers leave, one after the other, then others join; return when those are Ready, or have had their time for it.

        A worker that leaves is cordoned and drained first, within a bounded time; what keeps it is named in Transient(DRAIN_FAILED), and
        the worker stays, cordoned. One that is to join and has been on its way out is uncordoned. May be repeated after an end at any
        moment, with another wish as well. Raises Transient, NotOurs.
        """

    async def preloaded(self, identity: Identity, images: Sequence[str]) -> Sequence[Preloaded]:
        """Which of the nodes that run have which of these images; one entry for each. Raises Transient, NotOurs."""

    async def load(self, identity: Identity, images: Sequence[str], progress: Progress) -> None:
        """Bring each image that can be had into each node that runs and has not that very content. What a node has costs nothing.

        Containers are neither made nor removed, so the name's lock is not taken: a deletion never waits for it. Raises Transient, Terminal,
        NotOurs; what cannot be had is no error here, `preloaded` tells it.
        """

    async def connected(self, identity: Identity, wanted: Registries) -> Connected:
        """Which of the nodes that run know these registries. The cluster's API is asked, too. Raises Transient, Terminal, NotOurs."""

    async def connect(self, identity: Identity, wanted: Registries, progress: Progress) -> None:
        """Let each node that runs know these registries and no others of ours. The shared one is made for its first cluster and removed,
        with what was pushed to it, after its last. What is as it should be costs nothing; the name's lock is not taken, as by `load`.

        Raises Transient, Terminal, NotOurs.
        """

    async def kubeconfig(self, identity: Identity, *, internal: bool = False, emergency: bool = False) -> str:
        """Cluster-admin kubeconfig as the runtime hands it out: *untrusted text* (see adapters.kube.kubeconfig).

        `emergency`: with rights that need no RBAC rule, to look at a cluster that has lost its own; never to be published.
        Raises Transient when the control plane is not running yet, or has no such file.
        """

    async def renew_kubeconfig(self, identity: Identity) -> None:
        """Give the cluster-admin kubeconfig a new client certificate, signed by the cluster's own authority. The cluster runs on, its API
        server is not needed, and what was handed out before is good until it expires. Raises Transient, NotOurs.
        """

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Endless stream; survives outages of the engine and yields RuntimeEvent(None) when one begins and when it is over."""

    async def collect_logs(self, identity: Identity, directory: Path) -> None:
        """Best effort: write what helps to understand a failure below `directory` (0700)."""
