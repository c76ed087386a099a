"""FakeRuntime: a Runtime in memory, with hooks to make its n-th call fail, hang or lie. Passes tests/contract like the real ones.

State is public on purpose (`clusters`, `calls`): tests assert what exists, not which calls were made, except where a call must not be
made at all. No time passes in here unless a test holds a call.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from provider.api.conditions import Reason
from provider.api.image import parse
from provider.api.kind import NodeRole
from provider.errors import NotOurs, ProviderError, Transient
from provider.ports.registries import NO_REGISTRIES, Connected, Registries
from provider.ports.runtime import (
    ClusterRequest,
    Endpoint,
    Identity,
    NodeImages,
    NodeObservation,
    NodeRunState,
    Ownership,
    Preloaded,
    Presence,
    Problem,
    Progress,
    RuntimeEvent,
    RuntimeHealth,
    RuntimeObservation,
    Step,
    StepState,
    Workers,
)

CREATE_STEPS = ("Preparing nodes", "Writing configuration", "Starting control-plane", "Installing CNI", "Installing StorageClass")
DELETE_STEP = "Removing containers"
START_STEP = "Starting containers"
API_PORT = 6443
REGISTRY_NAME, REGISTRY_HOST = "capk-registry", "localhost:5001"
EMERGENCY_USER = "emergency"
FIRST_PORT = 40001
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class FakeNode:
    """A container that does not exist. `marker` None = somebody else's."""

    name: str
    role: NodeRole
    id: str
    marker: str | None
    state: NodeRunState = NodeRunState.RUNNING
    image: str = ""
    starts: int = 1
    joined: bool = True
    """Whether it is registered with its cluster."""
    images: dict[str, str] = field(default_factory=dict)
    """Name to content, of what was loaded into it."""
    registries: Registries = NO_REGISTRIES
    """What it was told of."""


@dataclass(slots=True)
class FakeCluster:
    """What stands under one cluster name."""

    port: int
    nodes: list[FakeNode] = field(default_factory=list)
    uid: str = ""
    """Of its namespace kube-system."""
    told: bool = False
    """Whether it says where the shared registry is."""
    initialized: bool = False
    """Whether a kubeconfig can be had: the create got past its control plane."""


@dataclass(slots=True)
class Held:
    """A call that hangs. `reached` is set when it does; `release()` lets it go on."""

    reached: asyncio.Event
    gate: asyncio.Event

    def release(self) -> None:
        self.gate.set()


@dataclass(slots=True)
class _Fault:
    verb: str
    call: int | None
    """Counted from when the fault was set, 1 = the next call; None = every call until cleared."""
    error: ProviderError | None = None
    answer: object = None
    hold: Held | None = None
    partial: int | None = None
    seen: int = 0


class FakeRuntime:
    """In-memory Runtime.

    Faults, each for the n-th call from now on (`call=1` = the next one, `call=None` = all):
    - fail(verb, error, partial=k): raise; for create, k nodes stay behind (default 0; None = all, "failed but made");
    - hang(verb): stop in the middle (create: after the first node) until released or cancelled;
    - lie(verb, answer): return `answer` and do nothing (what changes something: claims success).
    `engine_up = False` makes the whole engine not answer.
    """

    def __init__(self, name: str = "kind", *, simulated: bool = False) -> None:
        self._name = name
        self._simulated = simulated
        self.clusters: dict[str, FakeCluster] = {}
        self.calls: Counter[str] = Counter()
        self.log: list[tuple[str, str]] = []
        """(verb, cluster name) of every call but health and observe."""
        self.requests: list[ClusterRequest] = []
        self.images = NodeImages("kind v0.0.0")
        """What nodes can be made from."""
        self.shares_host = True
        self.links: dict[str, str] = {}
        """Symbolic links of the host: where whole paths lead."""
        self.loadable: dict[str, str] = {}
        """Name to content of what can be loaded into nodes."""
        self.loaded: list[tuple[str, str]] = []
        """(node, image) of each load, in their order."""
        self.registry: str | None = None
        """Where the shared registry answers; None: there is none."""
        self.foreign_registry = False
        """Somebody else's container has its name."""
        self.undrainable: dict[str, str] = {}
        """Name of a worker to what keeps it."""
        self.problems: list[Problem] = []
        """What preflight answers."""
        self.credentials_expire_at: datetime | None = None
        """Of every kubeconfig; None: it cannot be told."""
        self.renewed_until: datetime | None = None
        """What a renewal makes of it."""
        self.engine_up = True
        self.daemon = "fake/host/000000000001"
        """Which daemon answers. `switch` to another, with other clusters."""
        self.remains: set[str] = set()
        """Markers of clusters of which something is left that is no node."""
        self.locked: set[str] = set()
        """Cluster names whose lock somebody else holds."""
        self._faults: list[_Fault] = []
        self._held: list[Held] = []
        self._listeners: list[asyncio.Queue[RuntimeEvent]] = []
        self._ids = 0
        self._ports = FIRST_PORT

    # --- hooks ---------------------------------------------------------------------------------------------------------------

    def fail(self, verb: str, error: ProviderError, *, call: int | None = 1, partial: int | None = 0) -> None:
        self._faults.append(_Fault(verb, call, error=error, partial=partial))

    def hang(self, verb: str, *, call: int | None = 1) -> Held:
        held = Held(asyncio.Event(), asyncio.Event())
        self._held.append(held)
        self._faults.append(_Fault(verb, call, hold=held))
        return held

    def lie(self, verb: str, answer: object = None, *, call: int | None = 1) -> None:
        self._faults.append(_Fault(verb, call, answer=answer))

    def heal(self) -> None:
        """Forget all faults; whatever hangs goes on."""
        for held in self._held:
            held.release()
        self._held.clear()
        self._faults.clear()
        self.engine_up = True

    def switch(self, daemon: str, clusters: dict[str, FakeCluster] | None = None) -> dict[str, FakeCluster]:
        """As `docker context use` would; returns the clusters of the daemon so far."""
        before, self.daemon, self.clusters = self.clusters, daemon, clusters or {}
        return before

    def add_foreign(self, cluster_name: str, *, nodes: int = 1) -> FakeCluster:
        """A cluster somebody made by hand: running, without anybody's marker."""
        cluster = self.clusters.setdefault(cluster_name, FakeCluster(self._next_port(), initialized=True))
        for index in range(nodes):
            role = NodeRole.CONTROL_PLANE if index == 0 else NodeRole.WORKER
            number = str(index) if index > 1 else ""
            cluster.nodes.append(FakeNode(f"{cluster_name}-{role}{number}", role, self._next_id(), None))
        return cluster

    def set_state(self, node_name: str, state: NodeRunState) -> None:
        """As `docker stop`, `kill`, `pause` or `start` of one container would; listeners hear of it."""
        for cluster_name, cluster in self.clusters.items():
            for node in cluster.nodes:
                if node.name == node_name:
                    node.starts += state is NodeRunState.RUNNING
                    node.state = state
                    self.emit(cluster_name)
                    return
        raise KeyError(node_name)

    def restart(self, cluster_name: str, *, port: int | None = None, empty_etcd: bool = False) -> None:
        """As docker restart of all its nodes would, after which the engine may have given it another port, and etcd begun anew."""
        cluster = self.clusters[cluster_name]
        cluster.port = port or cluster.port
        cluster.uid = f"uid-{self._next_id()[-6:]}" if empty_etcd else cluster.uid
        for node in cluster.nodes:
            node.starts += 1
        self.emit(cluster_name)

    def remove_node(self, node_name: str) -> None:
        """As `docker rm -f` of one container would."""
        for cluster_name, cluster in list(self.clusters.items()):
            kept = [node for node in cluster.nodes if node.name != node_name]
            if len(kept) != len(cluster.nodes):
                cluster.nodes = kept
                if not kept:
                    del self.clusters[cluster_name]
                self.emit(cluster_name)
                return
        raise KeyError(node_name)

    def lose_registry(self) -> None:
        """As docker rm -f of the shared registry would; no event tells of it."""
        self.registry = None

    def emit(self, cluster_name: str | None) -> None:
        for queue in self._listeners:
            queue.put_nowait(RuntimeEvent(cluster_name))

    def marked(self) -> list[str]:
        """Names of all nodes that carry anybody's marker, markers of what nodes left, a shared registry that nobody uses: what a leak
        test expects to be empty."""
        nodes = [node.name for cluster in self.clusters.values() for node in cluster.nodes if node.marker is not None]
        return [*nodes, *self.remains, *([REGISTRY_NAME] if self._registry_is_unused() else [])]

    # --- Runtime -------------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._name

    @property
    def simulated(self) -> bool:
        return self._simulated

    async def health(self) -> RuntimeHealth:
        fault = self._fault("health")
        if fault is not None:
            await self._hold(fault)
            if isinstance(fault.answer, RuntimeHealth):
                return fault.answer
            if fault.error is not None:
                return RuntimeHealth(None, fault.error.reason, fault.error.message)
        if not self.engine_up:
            return RuntimeHealth(None, Reason.ENGINE_UNREACHABLE, "The fake engine does not answer.")
        return RuntimeHealth(True, description=f"fake {self._name}")

    async def observe(self, identity: Identity) -> RuntimeObservation:
        fault = self._fault("observe")
        if fault is not None:
            await self._hold(fault)
            if isinstance(fault.answer, RuntimeObservation):
                return fault.answer
            if fault.error is not None:
                return RuntimeObservation(Presence.UNKNOWN, reason=fault.error.reason, detail=fault.error.message)
        if not self.engine_up:
            detail = "The fake engine does not answer."
            return RuntimeObservation(Presence.UNKNOWN, reason=Reason.ENGINE_UNREACHABLE, detail=detail)
        return self._seen(identity)

    async def preflight(self, identity: Identity, request: ClusterRequest) -> Sequence[Problem]:
        await self._lies(self._begin("preflight", identity))
        return list(self.problems)

    async def real_paths(self, paths: Sequence[str]) -> Mapping[str, str]:
        fault = self._fault("real_paths")
        if fault is not None and fault.error is not None:
            raise fault.error
        return {path: self.links.get(path, path) for path in paths} if self.shares_host else {}

    async def node_images(self) -> NodeImages | None:
        fault = self._fault("node_images")
        if fault is not None and fault.error is not None:
            raise fault.error
        return None if self._simulated else self.images

    async def prepare(self, request: ClusterRequest, progress: Progress) -> None:
        self.log.append(("prepare", request.config["name"]))
        fault = self._fault("prepare")
        await self._steps(("Pulling image",), progress, fault)
        if fault is not None:
            await self._hold(fault)
            if fault.error is not None:
                raise fault.error
        named = {str(node.get("image") or request.image or "") for node in request.config["nodes"]} - {""}
        self.images = replace(self.images, present=self.images.present | {parse(name).wanted for name in named})

    async def create(self, identity: Identity, request: ClusterRequest, progress: Progress) -> None:
        fault = self._begin("create", identity)
        self.requests.append(request)
        self._change(identity)
        if fault is not None and fault.hold is None and fault.error is None:
            return
        self._remove_own(identity)
        self.remains.discard(identity.marker)
        cluster = self.clusters.setdefault(identity.cluster_name, FakeCluster(self._port_of(request)))
        planned = self._planned(identity, request)
        keep = len(planned) if fault is None or fault.partial is None or fault.error is None else fault.partial
        for index, node in enumerate(planned[:keep]):
            cluster.nodes.append(node)
            self.emit(identity.cluster_name)
            if index == 0 and fault is not None:
                await self._hold(fault)
            await asyncio.sleep(0)
        if not cluster.nodes:
            del self.clusters[identity.cluster_name]
        await self._steps(CREATE_STEPS, progress, fault)
        cluster.initialized, cluster.uid = keep == len(planned), f"uid-{self._next_id()[-6:]}"
        if fault is not None and fault.error is not None:
            raise fault.error

    async def delete(self, identity: Identity, progress: Progress) -> None:
        if await self._lies(self._begin("delete", identity)):
            return
        try:
            self._change(identity, mixed=True)
        except NotOurs:
            if not await self._sweep(progress):
                raise
            return
        progress(Step(DELETE_STEP, StepState.STARTED))
        await asyncio.sleep(0)
        self._remove_own(identity)
        self.emit(identity.cluster_name)
        progress(Step(DELETE_STEP, StepState.SUCCEEDED, 1.0))
        self.remains.discard(identity.marker)
        await self._sweep(progress)

    async def start(self, identity: Identity, progress: Progress) -> None:
        if await self._lies(self._begin("start", identity)):
            return
        self._change(identity)
        await self._steps((START_STEP,), progress, None)
        for node in self._nodes(identity):
            if node.state is not NodeRunState.RUNNING:
                node.state, node.starts = NodeRunState.RUNNING, node.starts + 1
        self.emit(identity.cluster_name)

    async def stop(self, identity: Identity, progress: Progress) -> None:
        await self._rest("stop", identity, progress, NodeRunState.STOPPED)

    async def pause(self, identity: Identity, progress: Progress) -> None:
        await self._rest("pause", identity, progress, NodeRunState.PAUSED)

    async def scale(self, identity: Identity, workers: Workers, progress: Progress) -> None:
        """Node by node, each in two steps: one that dies in the middle leaves a node that has not joined, or has not gone."""
        fault = self._begin("scale", identity)
        self._change(identity)
        if not any(node.role is NodeRole.CONTROL_PLANE and node.state.running for node in self._nodes(identity)):
            raise Transient(Reason.API_UNREACHABLE, "No control-plane node is running.")
        if fault is not None:
            await self._hold(fault)
            if fault.error is not None:
                raise fault.error
        cluster = self.clusters[identity.cluster_name]
        for name in workers.leave:
            await self._steps((f"Draining {name}",), progress, None)
            if reason := self.undrainable.get(name):
                raise Transient(Reason.DRAIN_FAILED, reason)
            await self._steps((f"Removing {name}",), progress, None)
            cluster.nodes = [node for node in cluster.nodes if node.name != name]
            self.emit(identity.cluster_name)
        for name in workers.join:
            node = next((node for node in cluster.nodes if node.name == name), None)
            if node is not None and node.joined:
                continue
            cluster.nodes = [node for node in cluster.nodes if node.name != name]
            await self._steps((f"Making {name}",), progress, None)
            image = cluster.nodes[0].image
            made = FakeNode(name, NodeRole.WORKER, self._next_id(), identity.marker, image=image, joined=False)
            cluster.nodes.append(made)
            self.emit(identity.cluster_name)
            await self._steps((f"Joining {name}",), progress, None)
            made.joined = True
            self.emit(identity.cluster_name)

    async def preloaded(self, identity: Identity, images: Sequence[str]) -> Sequence[Preloaded]:
        fault = self._begin("preloaded", identity)
        if fault is not None and fault.error is not None:
            raise fault.error
        self._change(identity, locks=False)
        return [self._where(identity, name) for name in images]

    async def load(self, identity: Identity, images: Sequence[str], progress: Progress) -> None:
        fault = self._begin("load", identity)
        self._change(identity, locks=False)
        for name in images:
            one = self._where(identity, name)
            for node in self._kubernetes(identity):
                if one.source and node.name not in one.nodes:
                    await self._steps((f"Loading {name} into {node.name}",), progress, fault)
                    if fault is not None:
                        await self._hold(fault)
                        if fault.error is not None:
                            raise fault.error
                    node.images[name] = one.source
                    self.loaded.append((node.name, name))

    async def connected(self, identity: Identity, wanted: Registries) -> Connected:
        fault = self._begin("connected", identity)
        if fault is not None and fault.error is not None:
            raise fault.error
        self._change(identity, locks=False)
        nodes = frozenset(node.name for node in self._kubernetes(identity) if node.registries == wanted)
        told = self.clusters[identity.cluster_name].told
        settled = (told and self.registry is not None) if wanted.shared else not (told or self._registry_is_unused())
        conflict = f"A container named {REGISTRY_NAME} is somebody else's." if wanted.shared and self.foreign_registry else ""
        return Connected(nodes, settled, (self.registry or REGISTRY_HOST) if wanted.shared else "", conflict)

    async def connect(self, identity: Identity, wanted: Registries, progress: Progress) -> None:
        fault = self._begin("connect", identity)
        self._change(identity, locks=False)
        for node in self._kubernetes(identity):
            if node.registries != wanted:
                await self._steps((f"Telling {node.name} of registries",), progress, fault)
                if fault is not None:
                    await self._hold(fault)
                    if fault.error is not None:
                        raise fault.error
                node.registries = wanted
        if wanted.shared and self.registry is None:
            await self._steps(("Starting the registry",), progress, None)
            self.registry = REGISTRY_HOST
            await self._steps(("Telling the cluster",), progress, None)
        self.clusters[identity.cluster_name].told = wanted.shared
        await self._sweep(progress)

    async def kubeconfig(self, identity: Identity, *, internal: bool = False, emergency: bool = False) -> str:
        fault = self._begin("emergency" if emergency else "kubeconfig", identity)
        if fault is not None:
            await self._hold(fault)
            if fault.error is not None:
                raise fault.error
            if fault.answer is not None:
                return str(fault.answer)
        self._change(identity, locks=False)
        seen = self._seen(identity)
        endpoint = seen.internal_endpoint if internal else seen.endpoint
        if endpoint is None or not self.clusters[identity.cluster_name].initialized:
            raise Transient(Reason.KUBECONFIG_PENDING, "The control plane is not running yet.")
        uid = self.clusters[identity.cluster_name].uid
        return kubeconfig_text(identity.cluster_name, endpoint.url, emergency=emergency, authority=f"{uid}\n")

    async def renew_kubeconfig(self, identity: Identity) -> None:
        fault = self._begin("renew_kubeconfig", identity)
        if fault is not None and fault.error is not None:
            raise fault.error
        if fault is None:
            self.credentials_expire_at = self.renewed_until

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        queue: asyncio.Queue[RuntimeEvent] = asyncio.Queue()
        self._listeners.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.remove(queue)

    async def collect_logs(self, identity: Identity, directory: Path) -> None:
        self._begin("collect_logs", identity)
        _write_log(identity, directory)

    def _registry_is_unused(self) -> bool:
        users = [node for cluster in self.clusters.values() for node in cluster.nodes if node.registries.shared]
        return self.registry is not None and not users

    async def _sweep(self, progress: Progress) -> bool:
        if not self._registry_is_unused():
            return False
        await self._steps(("Removing the registry",), progress, None)
        self.registry = None
        return True

    # --- inside --------------------------------------------------------------------------------------------------------------

    async def _rest(self, verb: str, identity: Identity, progress: Progress, state: NodeRunState) -> None:
        """Node by node, so that one that dies in the middle leaves a mixture."""
        fault = self._begin(verb, identity)
        if fault is not None:
            await self._hold(fault)
            if fault.error is not None:
                raise fault.error
            if fault.hold is None:
                return
        self._change(identity)
        if not self._nodes(identity):
            raise Transient(Reason.CONTAINERS_MISSING, f"There are no nodes of {identity.cluster_name}.")
        resting = (NodeRunState.STOPPED, state)
        for node in reversed(self._nodes(identity)):
            if node.state not in resting:
                await self._steps((f"{verb} {node.name}",), progress, None)
                node.state = state
        self.emit(identity.cluster_name)

    def _begin(self, verb: str, identity: Identity) -> _Fault | None:
        self.log.append((verb, identity.cluster_name))
        return self._fault(verb)

    def _fault(self, verb: str) -> _Fault | None:
        self.calls[verb] += 1
        hit: _Fault | None = None
        for fault in list(self._faults):
            if fault.verb != verb:
                continue
            fault.seen += 1
            if hit is None and (fault.call is None or fault.seen == fault.call):
                hit = fault
                if fault.call is not None:
                    self._faults.remove(fault)
        return hit

    async def _lies(self, fault: _Fault | None) -> bool:
        """Whether the call does nothing and claims success. It hangs, or fails, as the fault says."""
        if fault is None:
            return False
        await self._hold(fault)
        if fault.error is not None:
            raise fault.error
        return fault.hold is None

    async def _hold(self, fault: _Fault) -> None:
        if fault.hold is not None:
            fault.hold.reached.set()
            await fault.hold.gate.wait()

    async def _steps(self, names: Sequence[str], progress: Progress, fault: _Fault | None) -> None:
        for index, name in enumerate(names):
            progress(Step(name, StepState.STARTED))
            await asyncio.sleep(0)
            failed = fault is not None and fault.error is not None and index == len(names) - 1
            progress(Step(name, StepState.FAILED if failed else StepState.SUCCEEDED, 1.0))

    def _change(self, identity: Identity, *, locks: bool = True, mixed: bool = False) -> None:
        """What every changing method checks first. `mixed`: own nodes among foreign ones are enough."""
        if not self.engine_up:
            raise Transient(Reason.ENGINE_UNREACHABLE, "The fake engine does not answer.")
        if locks and identity.cluster_name in self.locked:
            raise Transient(Reason.NAME_LOCKED, f"Another process works on cluster {identity.cluster_name}.")
        seen = self._seen(identity)
        if seen.presence is Presence.UNKNOWN:
            raise Transient(seen.reason or Reason.UNKNOWN, seen.detail)
        if seen.ownership is Ownership.FOREIGN and not (mixed and (seen.nodes or seen.remains)):
            raise NotOurs(Reason.NAME_CONFLICT, seen.detail)

    def _nodes(self, identity: Identity) -> list[FakeNode]:
        cluster = self.clusters.get(identity.cluster_name)
        return cluster.nodes if cluster is not None else []

    def _kubernetes(self, identity: Identity) -> list[FakeNode]:
        """Nodes that run, and are no load balancer."""
        return [node for node in self._nodes(identity) if node.state.running and node.role is not NodeRole.LOAD_BALANCER]

    def _where(self, identity: Identity, name: str) -> Preloaded:
        source = self.loadable.get(name, "")
        nodes = self._kubernetes(identity)
        has = [node.name for node in nodes if name in node.images and source in ("", node.images[name])]
        return Preloaded(name, source, frozenset(has))

    def _remove_own(self, identity: Identity) -> None:
        cluster = self.clusters.get(identity.cluster_name)
        if cluster is None:
            return
        kept = [node for node in cluster.nodes if node.marker != identity.marker]
        if len(kept) != len(cluster.nodes):
            self.remains.add(identity.marker)
        cluster.nodes = kept
        if not cluster.nodes:
            del self.clusters[identity.cluster_name]

    def _seen(self, identity: Identity) -> RuntimeObservation:
        if identity.daemon and identity.daemon != self.daemon:
            detail = f"Made on {identity.daemon}, and {self.daemon} answers."
            return RuntimeObservation(Presence.UNKNOWN, reason=Reason.OTHER_DAEMON, detail=detail, daemon=self.daemon)
        found = self._found(identity)
        if not found.nodes:
            found = replace(found, remains=identity.marker in self.remains, idle_registry=self._registry_is_unused())
        return replace(found, daemon=self.daemon)

    def _found(self, identity: Identity) -> RuntimeObservation:
        nodes = self._nodes(identity)
        if not nodes:
            return RuntimeObservation(Presence.ABSENT)
        own = tuple(_observed(node) for node in nodes if node.marker == identity.marker)
        if len(own) != len(nodes):
            detail = f"A cluster named {identity.cluster_name} exists that is not ours."
            return RuntimeObservation(Presence.PRESENT, Ownership.FOREIGN, own, reason=Reason.NAME_CONFLICT, detail=detail)
        head = self._head(nodes)
        running = head is not None and head.state is NodeRunState.RUNNING
        return RuntimeObservation(
            Presence.PRESENT,
            Ownership.OURS,
            own,
            endpoint=Endpoint("127.0.0.1", self.clusters[identity.cluster_name].port) if running else None,
            internal_endpoint=Endpoint(head.name, API_PORT) if head is not None else None,
        )

    def _head(self, nodes: Sequence[FakeNode]) -> FakeNode | None:
        """The container that publishes the API server's port: the load balancer if there is one."""
        for role in (NodeRole.LOAD_BALANCER, NodeRole.CONTROL_PLANE):
            for node in nodes:
                if node.role is role:
                    return node
        return None

    def _planned(self, identity: Identity, request: ClusterRequest) -> list[FakeNode]:
        counts: Counter[NodeRole] = Counter()
        planned: list[FakeNode] = []
        roles = [NodeRole(node.get("role", "control-plane")) for node in request.config["nodes"]]
        if not self._simulated and roles.count(NodeRole.CONTROL_PLANE) > 1:
            roles.append(NodeRole.LOAD_BALANCER)
        for role in roles:
            counts[role] += 1
            number = "" if counts[role] == 1 else str(counts[role])
            name = f"{identity.cluster_name}-{role}{number}"
            planned.append(FakeNode(name, role, self._next_id(), identity.marker, image=request.image or "kindest/node:fake"))
        return planned

    def _next_id(self) -> str:
        self._ids += 1
        return f"{self._ids:064x}"

    def _port_of(self, request: ClusterRequest) -> int:
        wanted = int((request.config.get("networking") or {}).get("apiServerPort") or 0)
        return wanted if wanted > 0 else self._next_port()

    def _next_port(self) -> int:
        self._ports += 1
        return self._ports - 1


def _observed(node: FakeNode) -> NodeObservation:
    started = (EPOCH + timedelta(seconds=node.starts)).isoformat().replace("+00:00", "Z")
    seen = NodeObservation(node.name, node.role, node.id, node.state, image=node.image, started_at=started)
    if node.state is NodeRunState.RUNNING:
        return replace(seen, addresses=("172.18.0.2",))
    return replace(seen, exit_code=None if node.state is NodeRunState.PAUSED else 137)


def _write_log(identity: Identity, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    (directory / "fake.log").write_text(f"{identity.cluster_name}\n")


@functools.cache
def _certificate() -> tuple[bytes, bytes]:
    """A self-signed certificate and its key, PEM, good for a year; made once per process."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubernetes-admin")])
    now = datetime.now(UTC).replace(microsecond=0)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=365))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, secret


def kubeconfig_text(cluster_name: str, server: str, *, emergency: bool = False, authority: str = "") -> str:
    """A kubeconfig as kind hands it out (JSON is YAML), with a real certificate that no server accepts.

    `authority`: a comment beside the authority's certificate: two clusters have two authorities.
    """
    pem, key = (base64.b64encode(part).decode() for part in _certificate())
    certificate = _certificate()[0]
    # Before and after the comment, as PEM is recognized by its ends.
    trusted = base64.b64encode(certificate + authority.encode() + certificate if authority else certificate).decode()
    context = f"kind-{cluster_name}"
    user = EMERGENCY_USER if emergency else context
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context, "cluster": {"server": server, "certificate-authority-data": trusted}}],
            "users": [{"name": user, "user": {"client-certificate-data": pem, "client-key-data": key}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": user}}],
            "current-context": context,
        }
    )
