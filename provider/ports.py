"""The seams between decisions and effects: Protocols and the plain values that cross them. No implementation lives here.

Adapters implement these Protocols; the reconcile package imports nothing else of the outside world. One contract test suite
(tests/contract) runs against every implementation, the in-memory fakes included.

Two rules hold for every method: it has a deadline of its own, and it raises only `provider.errors` (anything else is a bug).
Observing methods never raise for an outside world that does not answer: they return an *unknown* value, and unknown must never be
read as absent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from provider.api.resources import ObjectKey, Resource

JsonObject = dict[str, Any]
"""A Kubernetes object or a part of one, as decoded JSON."""


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


class NodeRole(StrEnum):
    """Values of kind's label io.x-k8s.kind.role (kind pkg/cluster/constants)."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"
    LOAD_BALANCER = "external-load-balancer"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a runtime cluster belongs to. `marker` is what ownership is checked by; `holder` is for people."""

    cluster_name: str
    marker: str
    """sha256(namespace/name/token), shortened: 32 hexadecimal digits (reconcile.identity)."""
    holder: str
    """namespace/name of the KINDCluster."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an API server answers. `host` is a DNS name or an IP address without brackets."""

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
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeHealth:
    """Whether a runtime can work at all. `available` is None when it did not answer (deadline, socket gone)."""

    available: bool | None
    reason: str = ""
    detail: str = ""
    """For people, empty when available: what is missing and how to get it."""
    description: str = ""
    """E.g. "kind v0.30.0 on docker 20.10.24 (cgroup v1)"."""


@dataclass(frozen=True, slots=True)
class ClusterRequest:
    """Everything a runtime needs to make a cluster. Rendered by provider.render from a KINDClusterSpec."""

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
class Problem:
    """One thing a preflight found: field path, value and cure are in `message`."""

    reason: str
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


Progress = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class RuntimeEvent:
    """Something may have changed. `cluster_name` None means: look at everything again (stream was interrupted)."""

    cluster_name: str | None


class Runtime(Protocol):
    """Something that can run a whole Kubernetes cluster. Implementations: adapters.kind, adapters.local.

    Ownership is checked inside each of the changing methods, by marker, immediately before the effect; a cluster of the same
    name without the marker raises NotOurs and is left alone. A per-name lock on the host serialises create, delete and start;
    a lock held by somebody else raises Transient(reason="NameLocked").
    """

    @property
    def name(self) -> str:
        """Value of spec.runtime that selects it: "kind" or "local"."""
        ...

    @property
    def simulated(self) -> bool:
        """Whether nodes are simulated: pods are marked Running and run nothing."""
        ...

    async def health(self) -> RuntimeHealth: ...

    async def observe(self, identity: Identity) -> RuntimeObservation: ...

    async def preflight(self, identity: Identity, request: ClusterRequest) -> Sequence[Problem]:
        """What can be told before minutes are lost: missing host paths, ports in use, an unusable image name."""
        ...

    async def prepare(self, request: ClusterRequest, progress: Progress) -> None:
        """Bring what a create needs onto the host (node images), and touch no cluster: done before a running one is replaced.

        Raises Transient or Terminal when it cannot be had.
        """
        ...

    async def create(self, identity: Identity, request: ClusterRequest, progress: Progress) -> None:
        """Make the cluster; return when its control plane is initialised and all nodes have joined.

        Cancelling the task kills everything it started on this host (process group); what the engine already made stays,
        and the next observation shows it. Raises Transient, Terminal or NotOurs.
        """
        ...

    async def delete(self, identity: Identity, progress: Progress) -> None:
        """Remove all that carries our marker, by id. Returns when nothing is left; absent is success. Raises NotOurs."""
        ...

    async def start(self, identity: Identity, progress: Progress) -> None:
        """Start stopped nodes and resume paused ones, load balancer and control planes first. Raises Transient, NotOurs."""
        ...

    async def kubeconfig(self, identity: Identity, *, internal: bool = False) -> str:
        """Cluster-admin kubeconfig as the runtime hands it out: *untrusted text* (see adapters.kubeconfig).

        Raises Transient when the control plane is not running yet.
        """
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Endless stream; survives outages of the engine and yields RuntimeEvent(None) when one begins and when it is over."""
        ...

    async def collect_logs(self, identity: Identity, directory: Path) -> None:
        """Best effort: write what helps to understand a failure below `directory` (0700)."""
        ...


# --- the cluster's own Kubernetes API ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkloadNode:
    name: str
    ready: bool
    version: str = ""
    message: str = ""
    """Why it is not ready, from its Ready condition."""


@dataclass(frozen=True, slots=True)
class WorkloadObservation:
    """What the made cluster's API server says. `reachable` None = asked nothing or nobody could tell."""

    reachable: bool | None
    detail: str = ""
    version: str = ""
    nodes: tuple[WorkloadNode, ...] = ()
    default_service_account: bool = False
    """Pods can be created: the `default` ServiceAccount of namespace `default` exists."""


class Workload(Protocol):
    async def observe(self, kubeconfig: str) -> WorkloadObservation:
        """GET /readyz, /version, nodes and the default ServiceAccount, with short deadlines. Never raises for a dead API."""
        ...


# --- the management cluster ----------------------------------------------------------------------------------------------------


class Kube(Protocol):
    """The management cluster's API. Objects are plain dicts.

    Raises Transient for anything a retry may cure (timeouts, 5xx, 429), Conflict for 409, Terminal(reason="Forbidden") for 403
    (NamespaceTerminating for what cannot be created any more) and Terminal(reason="Invalid") for 422 with the server's own message.
    """

    async def get(self, resource: Resource, key: ObjectKey) -> JsonObject | None:
        """The object, or None for 404 (also when the API server does not know the resource)."""
        ...

    async def list(self, resource: Resource, *, namespace: str | None = None, labels: str = "") -> list[JsonObject]: ...

    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject:
        """Raises Conflict when it exists."""
        ...

    async def patch(
        self, resource: Resource, key: ObjectKey, patch: JsonObject, *, subresource: str = "", version: str | None = None
    ) -> JsonObject | None:
        """JSON merge patch (RFC 7386). `version`: the resourceVersion it must still have, else Conflict. None for 404."""
        ...

    async def delete(self, resource: Resource, key: ObjectKey, *, uid: str | None = None) -> None:
        """404 is success; a different uid raises Conflict."""
        ...

    async def serves(self, group: str) -> bool:
        """Whether the API server serves any version of this API group (e.g. Cluster API is installed)."""
        ...


# --- work ----------------------------------------------------------------------------------------------------------------------


class JobState(StrEnum):
    QUEUED = "Queued"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A long operation of one key. Kept in memory only: after a restart observation decides."""

    verb: str
    """"create", "delete" or "start"."""
    state: JobState
    queue_position: int = 0
    """1 = next; 0 when not queued."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    steps: tuple[Step, ...] = ()
    error: Exception | None = None
    tag: str = ""
    """Whatever the starter wants back, e.g. the hash of the config being created."""

    @property
    def unfinished(self) -> bool:
        """It waits for a slot or works."""
        return self.state in (JobState.QUEUED, JobState.RUNNING)


class Jobs(Protocol):
    """At most one job per key; a bounded number at once per verb. The end of a job, and every new step, re-queue its key."""

    def status(self, key: ObjectKey) -> JobStatus | None: ...

    def start(self, key: ObjectKey, verb: str, work: Callable[[Progress], Coroutine[Any, Any, None]], *, tag: str = "") -> None:
        """Queue it. A finished job of this key is forgotten; an unfinished one makes this a no-op."""
        ...

    async def cancel(self, key: ObjectKey) -> None:
        """Stop a queued or running job and return when it is really over. No-op without one."""
        ...

    def forget(self, key: ObjectKey) -> None:
        """Drop the record of a finished job."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall clock, UTC, timezone-aware."""
        ...


@dataclass(frozen=True, slots=True)
class EventNote:
    """A Kubernetes Event to be recorded on an object."""

    type: str
    """"Normal" or "Warning"."""
    reason: str
    message: str


class Recorder(Protocol):
    """Writes Events; repeats are counted on the same Event instead of written anew. Best effort: never raises."""

    async def record(self, obj: JsonObject, note: EventNote) -> None: ...
