"""The registry that all clusters of one engine share: one container, made for the first of them, removed after the last.

It is ours by its label, and belongs to no object. Who uses it is told by the nodes on the engine alone: a node whose containerd leads to it
does, whichever manager or person made that node; one that cannot be read counts as one that does. A user whose nodes are being replaced has
none for a while, and is kept in mind until the new ones are told
(docs/adr/0111-one-registry-for-the-clusters-of-an-engine.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.listing import STATES, Container
from provider.adapters.kind import containerd
from provider.adapters.kind.archives import Archives
from provider.adapters.kind.fetching import fetch_one
from provider.adapters.kind.network import name as network_name
from provider.adapters.kind.ownership import owned
from provider.adapters.steps import as_step
from provider.api import names
from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.errors import ProviderError, Transient
from provider.ports.registries import Mirror
from provider.ports.runtime import Identity, NodeRunState, Progress

NAME = "capk-registry"
PORT = 5000
"""In the container, where the registry's image listens; on the nodes' network."""
LOOPBACK = "127.0.0.1"
PULL_SECONDS = 600.0
SETTINGS = (f"REGISTRY_HTTP_ADDR=0.0.0.0:{PORT}", "REGISTRY_STORAGE_DELETE_ENABLED=true")
REMOVING = f"Removing the registry {NAME} after its last cluster, with all that was pushed to it"
LOG_LINES = 5


@dataclass(frozen=True, slots=True)
class RegistryOptions:
    """What one that is to be made is made of."""

    image: str = "docker.io/library/registry:2.8.3"
    port: int = 5001
    """On the loopback address of the engine's host."""


@dataclass(frozen=True, slots=True)
class Found:
    """The container of that name."""

    id: str
    port: int
    """On the engine's host, as its label says; 0: it has no such label, and is not ours."""
    state: NodeRunState
    networks: frozenset[str]

    @property
    def ours(self) -> bool:
        return self.port > 0

    @property
    def settled(self) -> bool:
        """It has run: what it was made with stays. One that has not holds nothing, and is made anew."""
        return self.ours and self.state is not NodeRunState.CREATED


class SharedRegistry:
    """One for a runtime. `lock`: held while nodes are told of it and it is made, and while it is removed, so that no other cluster of this
    manager loses it in between.
    """

    def __init__(self, options: RegistryOptions, archives: Archives, env: Mapping[str, str]) -> None:
        self._image, self._port, self._archives, self._env = options.image, options.port, archives, env
        self.lock = asyncio.Lock()
        self._reserved: set[str] = set()
        """Markers of the clusters that used it, and have removed their nodes to make new ones."""

    async def find(self, engine: Engine) -> Found | None:
        """Raises Transient."""
        entry = await engine.find(NAME)
        return None if entry is None else _read(entry)

    def host(self, found: Found | None) -> str:
        """What names of its images begin with: of the one that runs, whoever chose its port, else of the one to be made."""
        return f"localhost:{found.port if found is not None and found.settled else self._port}"

    def mirror(self, found: Found | None) -> Mirror:
        """How nodes reach it."""
        return Mirror(self.host(found), (f"http://{inside()}",))

    def is_ready(self, engine: Engine, found: Found | None) -> bool:
        return found is not None and found.settled and found.state.running and self._network(engine) in found.networks

    async def fetch(self, engine: Engine, progress: Progress) -> None:
        """Its image, if it is to be made. Raises Transient, Terminal."""
        found = await self.find(engine)
        if found is None or not found.settled:
            await fetch_one(engine, self._archives, self._image, PULL_SECONDS, progress)

    async def ensure(self, engine: Engine, progress: Progress) -> None:
        """It runs, where nodes can reach it. To be called with the lock. Raises Transient."""
        found = await self.find(engine)
        if self.is_ready(engine, found):
            return
        await as_step(progress, f"Starting the registry {NAME}", self._start(engine, found))

    async def reserve(self, engine: Engine, identity: Identity) -> None:
        """Before a cluster's nodes are removed to make new ones: if they lead to it, it stays until `release`. Raises Transient."""
        found = await self.find(engine)
        if found is not None and found.ours:
            own = owned((await engine.containers()).clusters.get(identity.cluster_name, ()), identity)
            if await _leads_there(engine, own):
                self._reserved.add(identity.marker)

    def release(self, identity: Identity) -> None:
        """New nodes have been told, or there will be none."""
        self._reserved.discard(identity.marker)

    async def is_idle(self, engine: Engine, identity: Identity) -> bool:
        """Whether this cluster has to look after it: it is kept for it, or there, ours, kept for nobody, and no node on the engine leads
        to it. False also where that cannot be told."""
        if identity.marker in self._reserved:
            return True
        try:
            found = await self.find(engine)
            return found is not None and await self._is_free(engine, found)
        except ProviderError:
            return False

    async def sweep(self, engine: Engine, progress: Progress) -> bool:
        """Remove it if no cluster is left that uses it; whether it was. Raises Transient."""
        async with self.lock:
            found = await self.find(engine)
            if found is None or not await self._is_free(engine, found):
                return False
            await as_step(progress, REMOVING, engine.remove([found.id]))
            return True

    async def _is_free(self, engine: Engine, found: Found) -> bool:
        """Who reserves does so before the nodes go: what is reserved is looked at after them."""
        return found.ours and not await _is_used(engine) and not self._reserved

    async def _start(self, engine: Engine, found: Found | None) -> None:
        if found is not None and not found.ours:
            raise Transient(Reason.REGISTRY_CONFLICT, foreign())
        try:
            if found is not None and not found.settled:
                await engine.remove([found.id])  # of a start that was interrupted, or refused: it may have another port
                found = None
            if found is None:
                await engine.run(*self._arguments(engine))
            else:
                await self._revive(engine, found)
        except Transient as error:
            if error.reason is not Reason.PORT_IN_USE:
                raise
            message = f"Port {self._port} of {LOOPBACK} is in use: free it, or start the manager with another --registry-port."
            raise Transient(Reason.PORT_IN_USE, message) from error
        now = await self.find(engine)
        if now is None or not self.is_ready(engine, now):
            said = " ".join((await engine.logs(now.id, LOG_LINES)).split())[-300:] if now is not None else ""
            raise Transient(Reason.REGISTRY_FAILED, f"The registry {NAME} was started and does not keep running. ({said})")

    async def _revive(self, engine: Engine, found: Found) -> None:
        if self._network(engine) not in found.networks:
            await engine.join(self._network(engine), found.id)
        if found.state is NodeRunState.PAUSED:
            await engine.unpause([found.id])
        elif found.state.stopped:
            await engine.start([found.id])

    def _arguments(self, engine: Engine) -> list[str]:
        words = ["--name", NAME, "--label", f"{names.REGISTRY_LABEL}={self._port}", "--restart", "always"]
        words += ["--network", self._network(engine), "--publish", f"{LOOPBACK}:{self._port}:{PORT}"]
        words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        return [*words, *(word for setting in SETTINGS for word in ("--env", setting)), self._image]

    def _network(self, engine: Engine) -> str:
        return network_name(engine.name, self._env)


def inside() -> str:
    """Where it answers on the nodes' network."""
    return f"{NAME}:{PORT}"


def foreign() -> str:
    return f"A container named {NAME} exists that this provider did not make (it has no label {names.REGISTRY_LABEL}): rename or remove it."


async def _is_used(engine: Engine) -> bool:
    listing = await engine.containers()
    if listing.reason or listing.unreadable or listing.unplaced:
        return True
    for cluster in listing.clusters.values():
        if await _leads_there(engine, cluster):
            return True
    return False


async def _leads_there(engine: Engine, nodes: Sequence[Container]) -> bool:
    """Whether any of them does."""
    for node in nodes:
        if node.role is not NodeRole.LOAD_BALANCER and await _leads_to_it(engine, node.id):
            return True
    return False


async def _leads_to_it(engine: Engine, node: str) -> bool:
    try:
        return containerd.mentions(await engine.files(node, containerd.FOLDER), NAME)
    except ProviderError:
        return True


def _read(entry: Mapping[str, Any]) -> Found:
    try:
        port = str((entry["Config"].get("Labels") or {}).get(names.REGISTRY_LABEL, ""))
        networks = (entry.get("NetworkSettings") or {}).get("Networks") or {}
        state = STATES.get(str(entry["State"]["Status"]).lower(), NodeRunState.STOPPED)
        return Found(str(entry["Id"]), int(port) if port.isascii() and port.isdigit() else 0, state, frozenset(networks))
    except (KeyError, TypeError, AttributeError) as error:
        raise Transient(Reason.ENGINE_FAILED, f"What the engine says of the container {NAME} cannot be read.") from error
