"""Creating and starting one local cluster, step by step. Every step may be repeated; the caller holds the cluster's lock."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from provider.adapters.local import certificates, components, daemons, logs, loopback, state
from provider.adapters.local.components import API_SERVER, ETCD, KWOK
from provider.adapters.local.nodes import connect, manifest
from provider.adapters.local.state import State
from provider.adapters.oserrors import raise_lack
from provider.adapters.process.shielded import finish
from provider.adapters.steps import as_step
from provider.api.conditions import Reason
from provider.errors import Transient
from provider.ports.runtime import Progress

READY_SECONDS = 60.0
"""For an API server to answer /readyz; two seconds are usual, a busy host takes many more."""
BOUND_SECONDS = 20.0
"""For kwok to listen on its port."""
PORT_TRIES = 5
START_ROUNDS = 3
POLL = 0.05
"""Seconds between two questions whether a component is ready."""


class ComponentEnded(Transient):
    """A component ended while it was being started; the message has the end of its log."""


@dataclass(slots=True)
class Maker:
    """What all steps share: the folder, the binaries, and where to report progress."""

    folder: Path
    binaries: dict[str, str]
    version: str
    fsync: bool
    progress: Progress

    async def make(self, wanted: State) -> State:
        """From nothing to a running control plane with registered nodes. Raises Transient."""
        current = await as_step(self.progress, "Writing certificates", self._prepare(wanted))
        current = await as_step(self.progress, "Starting etcd", self._start(ETCD, current))
        current = await as_step(self.progress, "Starting control-plane", self._control_plane(current))
        if current.nodes:
            current = await as_step(self.progress, "Registering nodes", self._nodes(current))
        self._all_alive(current)
        return current

    async def start_ended(self, current: State) -> State:
        """Start the components that have ended, with their data, port and keys; renew certificates. Raises Transient.

        Components that fail together do not end at the same moment: one that ran when it was checked may end while the others start,
        so there are several rounds.
        """
        current = await as_step(self.progress, "Checking certificates", self._renew(current))
        for left in reversed(range(START_ROUNDS)):
            try:
                return await self._start_round(current)
            except ComponentEnded:
                if not left:
                    raise
                current = state.read(self.folder) or current
        raise AssertionError

    async def _start_round(self, current: State) -> State:
        for component in components.needed(current):
            if not daemons.alive(current.daemons.get(component)):
                current = await as_step(self.progress, f"Starting {component}", self._start(component, current))
        await self._wait_ready(current)
        current = await self._register(current)
        self._all_alive(current)
        return current

    # --- steps --------------------------------------------------------------------------------------------------------------

    async def _prepare(self, wanted: State) -> State:
        def fill(fresh: Path) -> None:
            certificates.ensure(fresh, wanted)

        with _as_transient("The folder of the cluster cannot be made"):
            await finish(asyncio.to_thread(state.make, self.folder, wanted, fill))
            await finish(asyncio.to_thread(state.ensure_sockets, wanted))
        return wanted

    async def _renew(self, current: State) -> State:
        """A component whose certificate was replaced is ended here, and started again by the next step."""
        with _as_transient("The certificates of the cluster cannot be renewed"):
            await finish(asyncio.to_thread(state.ensure_sockets, current))
            for name in await finish(asyncio.to_thread(certificates.ensure, self.folder, current)):
                if name in current.daemons:
                    await finish(asyncio.to_thread(daemons.end, current.daemons[name]))
        return current

    async def _control_plane(self, current: State) -> State:
        for component in components.needed(current)[1:]:
            if component != KWOK:
                current = await self._start(component, current)
        return current

    async def _nodes(self, current: State) -> State:
        current = await self._register(current)
        return await self._kwok(current)

    # --- parts --------------------------------------------------------------------------------------------------------------

    async def _start(self, component: str, current: State) -> State:
        if component == API_SERVER:
            return await self._api_server(current)
        return await (self._kwok(current) if component == KWOK else self._launch(component, current))

    async def _api_server(self, current: State) -> State:
        """At the cluster's port or the one the spec asks for; otherwise at a free one, and at another if a program takes it first."""
        if fixed := current.port or max(0, int(current.networking.get("apiServerPort") or 0)):
            try:
                return await self._serve(current, fixed)
            except ComponentEnded as error:
                if loopback.taken(fixed):
                    raise Transient(Reason.PORT_IN_USE, f"Another program listens on {loopback.HOST}:{fixed}: end it.") from error
                raise
        return await self._at_free_port(lambda port: self._serve(current, port))

    async def _serve(self, current: State, port: int) -> State:
        current = await self._launch(API_SERVER, replace(current, port=port))
        await self._wait_ready(current)
        await finish(asyncio.to_thread(certificates.write_kubeconfigs, self.folder, current))
        return current

    async def _kwok(self, current: State) -> State:
        async def start(port: int) -> State:
            started = await self._launch(KWOK, replace(current, kwok_port=port))
            pid = started.daemons[KWOK].pid
            await self._wait(started, KWOK, BOUND_SECONDS, lambda: asyncio.to_thread(loopback.listens, pid, port))
            return started

        return await self._at_free_port(start)

    async def _at_free_port(self, start: Callable[[int], Awaitable[State]]) -> State:
        for _ in range(PORT_TRIES):
            with loopback.held() as port:
                try:
                    return await start(port)
                except ComponentEnded:
                    if not loopback.taken(port):
                        raise
        raise Transient(Reason.PORT_IN_USE, f"{PORT_TRIES} ports in a row were taken by other programs.")

    async def _launch(self, component: str, current: State) -> State:
        """Ends unrecorded processes of this component first: a killed manager may have started one without recording it."""
        marker = current.marker
        for orphan in (await finish(asyncio.to_thread(daemons.find, marker))).get(component, []):
            await finish(asyncio.to_thread(daemons.end, orphan))
        argv = components.argv(component, self.binaries[component], self.folder, current, fsync=self.fsync)
        daemon = await daemons.start(component, argv, marker=marker, folder=self.folder)
        current = replace(current, daemons={**current.daemons, component: daemon})
        with _as_transient("The state of the cluster cannot be written"):
            await finish(asyncio.to_thread(state.write, self.folder, current))
        return current

    async def _register(self, current: State) -> State:
        async with connect(self.folder, current.port) as api:
            for node in current.nodes:
                await api.register(manifest(node, self.folder.name, self.version, alone=len(current.nodes) == 1))
        return current

    async def _wait_ready(self, current: State) -> None:
        async with connect(self.folder, current.port) as api:
            await self._wait(current, API_SERVER, READY_SECONDS, api.ready)

    async def _wait(self, current: State, component: str, seconds: float, done: Callable[[], Awaitable[bool]]) -> None:
        """Raises ComponentEnded at once when the component, or etcd below it, ends; Transient when it takes too long."""
        end = time.monotonic() + seconds
        while not await done():
            for needed in {ETCD, API_SERVER, component} & current.daemons.keys():
                self._is_alive(current, needed)
            if time.monotonic() > end:
                said = logs.last_lines(self.folder, component)
                raise Transient(Reason.LOCAL_COMPONENT_FAILED, f"{component} is not ready after {seconds:.0f} s.{said}")
            await asyncio.sleep(POLL)

    def _all_alive(self, current: State) -> None:
        for component in components.needed(current):
            self._is_alive(current, component)

    def _is_alive(self, current: State, component: str) -> None:
        if not daemons.alive(current.daemons.get(component)):
            said = logs.last_lines(self.folder, component)
            raise ComponentEnded(Reason.LOCAL_COMPONENT_FAILED, f"{component} ended while starting.{said}")


@contextlib.contextmanager
def _as_transient(what: str) -> Iterator[None]:
    """A full disk or a folder without write permission is a problem of the host, not of the spec."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise_lack(error)
        raise Transient(Reason.LOCAL_FOLDER_FAILED, f"{what}: {error}.") from error
