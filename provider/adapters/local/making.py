"""Making and mending one local cluster, step by step. Every step may be repeated; the caller holds the cluster's lock."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

from provider.adapters.local import components, daemons, pki, state
from provider.adapters.local.components import API_SERVER, KWOK, SERVICE_SUBNET
from provider.adapters.local.nodes import Api
from provider.adapters.local.state import State
from provider.errors import Transient
from provider.ports import Progress, Step, StepState

READY_SECONDS = 60.0
PORT_TRIES = 5
POLL = 0.05
CLIENTS = {
    "admin": ("kubernetes-admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager",),
    "kube-scheduler": ("system:kube-scheduler",),
    "kwok": ("kwok", "system:masters"),
}
"""File name to user and groups of the certificates that are made for it."""
PORT_TAKEN = "address already in use"


@dataclass(slots=True)
class Maker:
    """What making needs: where, with which binaries, and whom to tell."""

    folder: Path
    binaries: dict[str, str]
    version: str
    fsync: bool
    tell: Progress

    async def make(self, wanted: State) -> State:
        """From a folder with nothing but state.json to a running control plane with registered nodes. Raises Transient."""
        current = await self._step("Writing certificates", self._certificates, wanted)
        current = await self._step("Starting etcd", self._etcd, current)
        current = await self._step("Starting control-plane", self._control_plane, current)
        return await self._step("Registering nodes", self._nodes, current)

    async def mend(self, current: State) -> State:
        """Start what has ended, with its data, ports and keys. Raises Transient."""
        current = await self._step("Renewing certificates", self._certificates, current)
        for component in components.ALL:
            if not daemons.alive(current.daemons.get(component)):
                current = await self._step(f"Starting {component}", self._starter(component), current)
        await self._wait_ready(current)
        return current

    async def _step(self, name: str, work: Callable[[State], Awaitable[State]], current: State) -> State:
        began = time.monotonic()
        self.tell(Step(name, StepState.STARTED))
        try:
            result = await work(current)
        except BaseException:
            self.tell(Step(name, StepState.FAILED, time.monotonic() - began))
            raise
        self.tell(Step(name, StepState.SUCCEEDED, time.monotonic() - began))
        return result

    async def _certificates(self, current: State) -> State:
        await asyncio.to_thread(write_certificates, self.folder, current)
        return current

    async def _etcd(self, current: State) -> State:
        return await self._start(components.ETCD, current)

    async def _control_plane(self, current: State) -> State:
        current = await self._api_server(current)
        await asyncio.to_thread(write_kubeconfigs, self.folder, current)
        for component in (components.CONTROLLER_MANAGER, components.SCHEDULER):
            current = await self._start(component, current)
        return current

    async def _api_server(self, current: State) -> State:
        """A port that is free now may be taken a moment later: then another one is tried."""
        fixed = int(current.networking.get("apiServerPort") or 0)
        for attempt in range(1, PORT_TRIES + 1):
            port = fixed if fixed > 0 else free_port()
            current = await self._start(API_SERVER, replace(current, port=port))
            try:
                await self._wait_ready(current)
            except Transient:
                if attempt == PORT_TRIES or fixed > 0 or PORT_TAKEN not in self._log_end(API_SERVER):
                    raise
            else:
                return current
        raise AssertionError

    async def _nodes(self, current: State) -> State:
        api = Api(self.folder, current.port)
        for node in current.nodes:
            try:
                await api.register(node, self.version, alone=len(current.nodes) == 1)
            except OSError as error:
                raise Transient("LocalNodeFailed", str(error)) from error
        return await self._start(KWOK, replace(current, kwok_port=free_port()))

    def _starter(self, component: str) -> Callable[[State], Awaitable[State]]:
        async def start(current: State) -> State:
            return await self._start(component, current)

        return start

    async def _start(self, component: str, current: State) -> State:
        """Ends strays of this component first: a killed creator may have started one without writing it down."""
        marker = current.marker
        for stray in (await asyncio.to_thread(daemons.find, marker)).get(component, []):
            await asyncio.to_thread(daemons.end, stray)
        argv = components.argv(component, self.binaries[component], self.folder, current, fsync=self.fsync)
        daemon = await asyncio.to_thread(daemons.start, component, argv, marker=marker, folder=self.folder)
        current = current.with_daemon(component, daemon)
        await asyncio.to_thread(state.write, self.folder, current)
        return current

    async def _wait_ready(self, current: State) -> None:
        api, end = Api(self.folder, current.port), time.monotonic() + READY_SECONDS
        while not await api.ready():
            for component in (components.ETCD, API_SERVER):
                if not daemons.alive(current.daemons.get(component)):
                    raise Transient("LocalComponentFailed", f"{component} ended while starting: {self._log_end(component)}")
            if time.monotonic() > end:
                raise Transient("LocalComponentFailed", f"The API server is not ready after {READY_SECONDS:.0f} s.")
            await asyncio.sleep(POLL)

    def _log_end(self, component: str) -> str:
        path = self.folder / f"{component}.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return " ".join(lines[-3:])[-600:]


def write_certificates(folder: Path, current: State) -> None:
    """What is missing or expires soon; the authority and the key of ServiceAccount tokens are never replaced."""
    ca, now = _ensure_authority(folder, "ca"), datetime.now(UTC)
    _ensure_authority(folder, "sa")
    service = str(ip_network(components.subnet(current, "serviceSubnet", SERVICE_SUBNET).split(",")[0], strict=False)[1])
    if _due(folder, "apiserver", now):
        _write_pair(folder, "apiserver", pki.serving(ca, service))
    for name, (user, *groups) in CLIENTS.items():
        if _due(folder, name, now):
            _write_pair(folder, name, pki.client(ca, user, *groups))
    if current.port:
        write_kubeconfigs(folder, current)


def write_kubeconfigs(folder: Path, current: State) -> None:
    for name in CLIENTS:
        pki.write(folder / f"{name}.kubeconfig", kubeconfig(folder, current, name, name))


def kubeconfig(folder: Path, current: State, client: str, name: str) -> bytes:
    return pki.kubeconfig(f"https://127.0.0.1:{current.port}", _load(folder, "ca"), _load(folder, client), name)


def _ensure_authority(folder: Path, name: str) -> pki.KeyPair:
    if not (folder / f"{name}.crt").exists():
        _write_pair(folder, name, pki.authority())
    return _load(folder, name)


def _due(folder: Path, name: str, now: datetime) -> bool:
    return not (folder / f"{name}.crt").exists() or pki.expires_soon(_load(folder, name), now)


def _load(folder: Path, name: str) -> pki.KeyPair:
    return pki.load((folder / f"{name}.key").read_bytes(), (folder / f"{name}.crt").read_bytes())


def _write_pair(folder: Path, name: str, pair: pki.KeyPair) -> None:
    pki.write(folder / f"{name}.key", pair.key_pem)
    pki.write(folder / f"{name}.crt", pair.certificate_pem)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
