"""LocalRuntime: provider.ports.runtime.Runtime over local processes. Ownership is the marker in state.json, checked under the lock."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from provider.adapters.local import certificates, components, daemons, logs, loopback, nodes, preflight, state, view
from provider.adapters.local.making import Maker
from provider.adapters.local.scaling import Scaler
from provider.adapters.local.state import State, Unreadable
from provider.adapters.local.watching import Watcher
from provider.adapters.locks import NameLocks
from provider.adapters.oserrors import at_the_edge, raise_lack
from provider.adapters.process.command import Command, RunError, run_command
from provider.adapters.process.shielded import finish
from provider.adapters.steps import as_step
from provider.api.conditions import Reason
from provider.errors import NotOurs, ProviderError, Terminal, Transient
from provider.ports.registries import Connected, Registries
from provider.ports.runtime import (
    ClusterRequest,
    Identity,
    Ownership,
    Preloaded,
    Presence,
    Problem,
    Progress,
    RuntimeEvent,
    RuntimeHealth,
    RuntimeObservation,
    Workers,
)

NO_IMAGES = (
    "spec.images: runtime local runs no containers, so that nothing could use an image. Remove it, or use spec.runtime: kind."
)
NO_REGISTRY = (
    "spec.registry, spec.registryMirrors: runtime local runs no containers, so that nothing could be pulled. Remove them, or use "
    "spec.runtime: kind."
)
RESCAN_SECONDS = 5.0
"""How often the events stream looks for clusters that another process created, started or removed, and bounds the logs."""
VERSION_SECONDS = 10.0

FindTool = Callable[[str], str | None]


@at_the_edge
class LocalRuntime:
    """One folder per cluster below `root` (0700). `find_tool` gives the path of a binary, or None.

    `fsync` False loses data when the machine (not when a process) ends: for tests. `short_root`: an existing folder with a short path,
    for the sockets of clusters whose own path is too long for one.
    """

    def __init__(self, root: Path, find_tool: FindTool, *, fsync: bool = True, short_root: Path | None = None) -> None:
        self._root, self._find_tool, self._fsync = root, find_tool, fsync
        self._short_root = short_root or Path(tempfile.gettempdir())
        self._versions: dict[tuple[str, int], str] = {}
        self._watchers: set[Watcher] = set()
        self._locks = NameLocks(root, keep=self._exists)

    @property
    def name(self) -> str:
        return "local"

    @property
    def simulated(self) -> bool:
        return True

    # --- reading ------------------------------------------------------------------------------------------------------------

    async def health(self) -> RuntimeHealth:
        if not (sys.platform == "linux" and hasattr(os, "pidfd_open")):
            return RuntimeHealth(False, Reason.HOST_UNFIT, "The local runtime needs Linux 5.3 or newer; use spec.runtime: kind.")
        try:
            version = await self._version(self._binaries())
        except Transient as error:
            known = False if error.reason is Reason.TOOLS_MISSING else None
            return RuntimeHealth(known, error.reason, error.message)
        return RuntimeHealth(True, description=f"local processes, Kubernetes {version}, nodes simulated by kwok")

    async def observe(self, identity: Identity) -> RuntimeObservation:
        return await asyncio.to_thread(self._observe, identity)

    async def preflight(self, identity: Identity, request: ClusterRequest) -> Sequence[Problem]:
        try:
            found = preflight.problems(request, await self._version(self._binaries()))
        except Transient as error:
            return [Problem(error.reason, error.message, terminal=False)]
        port = preflight.wanted_port(request)
        if port and loopback.taken(port) and port != view.port_in_use(await asyncio.to_thread(self._own, identity)):
            message = (
                f"spec.networking.apiServerPort: another program listens on {loopback.HOST}:{port}: end it, or choose another."
            )
            found.append(Problem(Reason.PORT_IN_USE, message, terminal=False))
        return found

    async def kubeconfig(self, identity: Identity, *, internal: bool = False, emergency: bool = False) -> str:  # noqa: ARG002 - one serves all
        return await asyncio.to_thread(self._kubeconfig, identity)

    async def renew_kubeconfig(self, identity: Identity) -> None:
        await asyncio.to_thread(self._renew, identity)

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        watcher = Watcher()
        self._watchers.add(watcher)
        try:
            await self._remove_leftovers()
            watcher.watch(await asyncio.to_thread(self._all))
            yield RuntimeEvent(None)
            while True:
                watcher.watch(await asyncio.to_thread(self._all))
                if (name := await watcher.next(RESCAN_SECONDS)) is not None:
                    yield RuntimeEvent(name)
        finally:
            self._watchers.discard(watcher)
            watcher.close()

    async def collect_logs(self, identity: Identity, directory: Path) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(logs.collect, self._folder(identity), directory)

    async def real_paths(self, paths: Sequence[str]) -> Mapping[str, str]:  # noqa: ARG002 - it mounts nothing
        return {}

    async def node_images(self) -> None:
        """Nodes are simulated, components are binaries of this host."""

    # --- changing -----------------------------------------------------------------------------------------------------------

    async def prepare(self, request: ClusterRequest, progress: Progress) -> None:
        """Nothing to fetch: the components are binaries of this host, and preflight has checked them."""

    async def preloaded(self, identity: Identity, images: Sequence[str]) -> Sequence[Preloaded]:  # noqa: ARG002 - there are none
        raise Terminal(Reason.NOT_SUPPORTED, NO_IMAGES)

    async def load(self, identity: Identity, images: Sequence[str], progress: Progress) -> None:  # noqa: ARG002 - there are none
        raise Terminal(Reason.NOT_SUPPORTED, NO_IMAGES)

    async def connected(self, identity: Identity, wanted: Registries) -> Connected:  # noqa: ARG002 - there are none
        raise Terminal(Reason.NOT_SUPPORTED, NO_REGISTRY)

    async def connect(self, identity: Identity, wanted: Registries, progress: Progress) -> None:  # noqa: ARG002 - there are none
        raise Terminal(Reason.NOT_SUPPORTED, NO_REGISTRY)

    async def create(self, identity: Identity, request: ClusterRequest, progress: Progress) -> None:
        maker = await self._maker(identity, progress)
        if refused := preflight.problems(request, maker.version):
            raise Terminal(refused[0].reason, " ".join(problem.message for problem in refused))
        async with self._locked(identity.cluster_name):
            await finish(asyncio.to_thread(self._remove_own, identity))
            try:
                async with asyncio.timeout(request.timeout):
                    await maker.make(self._wanted(identity, request))
            except TimeoutError as error:
                await self._remove_failed(identity, request)
                raise Transient(Reason.CREATE_TIMEOUT, f"The cluster was not finished after {request.timeout:.0f} s.") from error
            except ProviderError:
                await self._remove_failed(identity, request)
                raise
        self._wake()

    async def delete(self, identity: Identity, progress: Progress) -> None:
        async with self._locked(identity.cluster_name):
            await as_step(progress, "Ending processes", finish(asyncio.to_thread(self._remove_own, identity)))
        self._wake()

    async def start(self, identity: Identity, progress: Progress) -> None:
        maker = await self._maker(identity, progress)
        async with self._locked(identity.cluster_name):
            current = await finish(asyncio.to_thread(self._existing, identity))
            for daemon in current.daemons.values():
                await finish(asyncio.to_thread(daemons.thaw, daemon))
            await finish(asyncio.to_thread(logs.bound, maker.folder))
            await maker.start_ended(current)
        self._wake()

    async def stop(self, identity: Identity, progress: Progress) -> None:
        async with self._locked(identity.cluster_name):
            await as_step(progress, "Ending processes", finish(asyncio.to_thread(self._end, identity)))
        self._wake()

    async def pause(self, identity: Identity, progress: Progress) -> None:
        async with self._locked(identity.cluster_name):
            await as_step(progress, "Pausing processes", finish(asyncio.to_thread(self._freeze, identity)))
        self._wake()

    async def scale(self, identity: Identity, workers: Workers, progress: Progress) -> None:
        maker = await self._maker(identity, progress)
        async with self._locked(identity.cluster_name):
            current = await finish(asyncio.to_thread(self._existing, identity))
            await Scaler(maker.folder, maker.version, progress).scale(current, workers)
        self._wake()

    # --- inside -------------------------------------------------------------------------------------------------------------

    def _folder(self, identity: Identity) -> Path:
        return self._root / identity.cluster_name

    def _observe(self, identity: Identity) -> RuntimeObservation:
        try:
            current = self._own(identity)
        except NotOurs as error:
            return RuntimeObservation(Presence.PRESENT, Ownership.FOREIGN, reason=error.reason, detail=error.message)
        except Transient as error:
            return RuntimeObservation(Presence.UNKNOWN, reason=error.reason, detail=error.message)
        if current is None:
            return self._observe_nothing(identity)
        return view.cluster(identity, self._folder(identity), current)

    def _observe_nothing(self, identity: Identity) -> RuntimeObservation:
        """Absent; unknown while another manager holds the lock, because it may be creating the cluster."""
        name = identity.cluster_name
        if self._locks.in_use(name):
            detail = f"Another process on this host works on the local cluster {name}; this goes on when it has finished."
            return RuntimeObservation(Presence.UNKNOWN, reason=Reason.NAME_LOCKED, detail=detail)
        return view.orphans(identity, self._root)

    def _own(self, identity: Identity) -> State | None:
        """The state, None when there is no cluster. Raises NotOurs; Transient when it cannot be read."""
        folder = self._folder(identity)
        try:
            current = state.read(folder)
        except Unreadable as error:
            raise NotOurs(Reason.NAME_CONFLICT, f"{error}; move it away.") from error
        except OSError as error:
            raise_lack(error)
            raise Transient(Reason.LOCAL_FOLDER_FAILED, f"{folder} cannot be read: {error}.") from error
        if current is not None and current.marker != identity.marker:
            message = f"The local cluster {identity.cluster_name} belongs to KINDCluster {current.holder}."
            raise NotOurs(Reason.NAME_CONFLICT, message)
        return current

    def _existing(self, identity: Identity) -> State:
        """Raises Transient when there is none."""
        if (current := self._own(identity)) is None:
            raise Transient(Reason.NOT_CREATED, f"There is no local cluster {identity.cluster_name}.")
        return current

    def _end(self, identity: Identity) -> None:
        """What was started last ends first: etcd outlives all that writes to it."""
        current = self._existing(identity)
        daemons.end_all(identity.marker, dict(reversed(current.daemons.items())))

    def _freeze(self, identity: Identity) -> None:
        for daemon in self._existing(identity).daemons.values():
            daemons.freeze(daemon)

    def _remove_own(self, identity: Identity) -> None:
        """Raises NotOurs, Transient. The name is free only after the last process has ended."""
        current, folder = self._own(identity), self._folder(identity)
        daemons.end_all(identity.marker, current.daemons if current else {})
        try:
            if current is not None:
                state.remove(folder, current)
            state.clean(folder)
        except OSError as error:
            raise_lack(error)
            message = f"Not everything of {identity.cluster_name} could be removed: {error}."
            raise Transient(Reason.LOCAL_REMOVAL_FAILED, message) from error

    async def _remove_failed(self, identity: Identity, request: ClusterRequest) -> None:
        if not request.retain_on_failure:
            await finish(asyncio.to_thread(self._remove_own, identity))

    def _wanted(self, identity: Identity, request: ClusterRequest) -> State:
        folder = self._folder(identity)
        return State(
            marker=identity.marker,
            holder=identity.holder,
            nodes=nodes.specs(request.config),
            networking=dict(request.config.get("networking") or {}),
            feature_gates=dict(request.config.get("featureGates") or {}),
            runtime_config=dict(request.config.get("runtimeConfig") or {}),
            sockets=str(state.socket_folder(folder, identity.marker, self._short_root)),
        )

    def _kubeconfig(self, identity: Identity) -> str:
        current = self._own(identity)
        if current is None or not current.port:
            raise Transient(Reason.KUBECONFIG_PENDING, "The control plane is not running yet.")
        try:
            context = f"kind-{identity.cluster_name}"
            return certificates.kubeconfig(self._folder(identity), current, certificates.ADMIN, context).decode()
        except (OSError, ValueError) as error:
            raise_lack(error)
            raise Transient(Reason.KUBECONFIG_PENDING, f"The cluster's certificates cannot be read: {error}.") from error

    def _renew(self, identity: Identity) -> None:
        if self._own(identity) is None:
            raise Transient(Reason.KUBECONFIG_PENDING, "The control plane is not running yet.")
        try:
            certificates.renew_client(self._folder(identity), certificates.ADMIN)
        except (OSError, ValueError) as error:
            raise Transient(Reason.KUBECONFIG_PENDING, f"The cluster's certificates cannot be written: {error}.") from error

    async def _maker(self, identity: Identity, progress: Progress) -> Maker:
        binaries = self._binaries()
        return Maker(self._folder(identity), binaries, await self._version(binaries), self._fsync, progress)

    def _binaries(self) -> dict[str, str]:
        """Component to path. Raises Transient(ToolsMissing)."""
        found = {tool: self._find_tool(tool) for tool in components.ALL}
        if missing := [tool for tool, path in found.items() if path is None]:
            cure = "run `make tools`, or put them on the manager's PATH."
            raise Transient(Reason.TOOLS_MISSING, f"The local runtime needs {', '.join(missing)}: {cure}")
        return {tool: path for tool, path in found.items() if path is not None}

    async def _version(self, binaries: dict[str, str]) -> str:
        """ "v1.34.4", asked once per binary. Raises Transient(ToolsMissing) when it does not run."""
        path = binaries[components.API_SERVER]
        try:
            key = (path, (await asyncio.to_thread(os.stat, path)).st_mtime_ns)
            if key not in self._versions:
                command = Command(argv=[path, "--version"], env={"PATH": os.defpath}, timeout=VERSION_SECONDS)
                self._versions[key] = (await run_command(command)).stdout.strip().rpartition(" ")[2]
        except (OSError, RunError) as error:
            raise_lack(error)
            raise Transient(Reason.TOOLS_MISSING, f"{path} cannot be run on this machine: {error}.") from error
        return self._versions[key]

    def _all(self) -> dict[str, list[daemons.Daemon]]:
        """Name to processes of every cluster below the root, whoever owns it. Also bounds their logs."""
        found: dict[str, list[daemons.Daemon]] = {}
        for folder in state.clusters(self._root):
            found[folder.name] = []
            with contextlib.suppress(Unreadable, OSError):
                if (current := state.read(folder)) is not None:
                    found[folder.name] = list(current.daemons.values())
                    logs.bound(folder)
        return found

    async def _remove_leftovers(self) -> None:
        """Remove what killed managers left of creates and deletes. Names that are locked are skipped."""
        for name in await asyncio.to_thread(state.names_of_leftovers, self._root):
            with contextlib.suppress(Transient, OSError, ValueError):  # ValueError: a folder whose name no cluster can have
                async with self._locked(name):
                    await finish(asyncio.to_thread(state.clean, self._root / name))

    def _wake(self) -> None:
        for watcher in self._watchers:
            watcher.wake()

    def _exists(self, name: str) -> bool:
        """Whether a cluster's folder, or what is left of one, is below the root."""
        folder = self._root / name
        return bool(os.path.lexists(folder) or state.leftovers(folder))

    @contextlib.asynccontextmanager
    async def _locked(self, name: str) -> AsyncIterator[None]:
        """Raises Transient(NameLocked)."""
        try:
            self._root.mkdir(mode=state.MODE_DIRECTORY, parents=True, exist_ok=True)
        except OSError as error:
            raise_lack(error)
            raise Transient(Reason.LOCAL_FOLDER_FAILED, f"{self._root} cannot be made: {error}.") from error
        async with self._locks.hold(name):
            yield
