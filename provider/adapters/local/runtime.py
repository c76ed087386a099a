"""LocalRuntime: provider.ports.Runtime over local processes. Ownership is the marker in state.json, checked under the cluster's lock."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from provider.adapters.local import components, daemons, state
from provider.adapters.local.making import Maker, kubeconfig
from provider.adapters.local.state import NodeSpec, State, Unreadable
from provider.adapters.local.watching import Watcher
from provider.errors import NotOurs, Terminal, Transient
from provider.ports import (
    ClusterRequest,
    Endpoint,
    Identity,
    NodeObservation,
    NodeRole,
    NodeRunState,
    Ownership,
    Presence,
    Problem,
    Progress,
    RuntimeEvent,
    RuntimeHealth,
    RuntimeObservation,
    Step,
    StepState,
)

RESCAN_SECONDS = 30.0
"""How often the events stream looks for clusters that another manager of this host has made or mended."""
LOG_LIMIT = 16 * 1024 * 1024
"""Bytes after which a component's log is cut when its cluster is started."""
UNSUPPORTED_NODE_FIELDS = ("extraMounts", "extraPortMappings", "kubeadmConfigPatches", "kubeadmConfigPatchesJSON6902", "image")
UNSUPPORTED_FIELDS = (
    "kubeadmConfigPatches",
    "kubeadmConfigPatchesJSON6902",
    "containerdConfigPatches",
    "containerdConfigPatchesJSON6902",
)

FindTool = Callable[[str], str | None]


class LocalRuntime:
    """One folder per cluster below `root` (0700). `find_tool` gives the path of a binary, or None."""

    def __init__(self, root: Path, find_tool: FindTool, *, fsync: bool = True) -> None:
        self._root, self._find_tool, self._fsync = root, find_tool, fsync
        self._version = ""
        self._changed = asyncio.Event()

    @property
    def name(self) -> str:
        return "local"

    @property
    def simulated(self) -> bool:
        return True

    async def health(self) -> RuntimeHealth:
        missing = [tool for tool in components.ALL if self._find_tool(tool) is None]
        if missing:
            detail = f"The local runtime needs {', '.join(missing)}: run `make tools`, or put them on the manager's PATH."
            return RuntimeHealth(False, "ToolsMissing", detail)
        version = await asyncio.to_thread(self._kubernetes_version)
        if not version:
            return RuntimeHealth(
                False, "ToolsMissing", "kube-apiserver does not run on this machine: `kube-apiserver --version` fails."
            )
        return RuntimeHealth(True, description=f"local processes, Kubernetes {version}, nodes simulated by kwok")

    async def observe(self, identity: Identity) -> RuntimeObservation:
        return await asyncio.to_thread(self._observe, identity)

    async def preflight(self, identity: Identity, request: ClusterRequest) -> Sequence[Problem]:  # noqa: ARG002 - the port's
        problems = [Problem("NotSupported", _unsupported(field), terminal=True) for field in _unsupported_fields(request)]
        if request.version is not None and request.version != (version := await asyncio.to_thread(self._kubernetes_version)):
            cure = f"set spec.version: {version}, leave it out, or use spec.runtime: kind."
            message = f"spec.version: {request.version} is not available on the local runtime: {cure}"
            problems.append(Problem("VersionNotAvailable", message, terminal=True))
        return problems

    async def create(self, identity: Identity, request: ClusterRequest, progress: Progress) -> None:
        with self._locked(identity):
            await asyncio.to_thread(self._remove_own, identity)
            folder = self._folder(identity)
            wanted = self._wanted(identity, request, folder)
            await asyncio.to_thread(state.make, folder, wanted)
            try:
                async with asyncio.timeout(request.timeout):
                    await self._maker(folder, progress).make(wanted)
            except TimeoutError as error:
                await self._give_up(identity, request)
                raise Transient("CreateTimeout", f"Not finished after {request.timeout:.0f} s.") from error
            except (Transient, Terminal):
                await self._give_up(identity, request)
                raise
        self._changed.set()

    async def delete(self, identity: Identity, progress: Progress) -> None:
        with self._locked(identity):
            progress(Step("Ending processes", StepState.STARTED))
            await asyncio.to_thread(self._remove_own, identity)
            progress(Step("Ending processes", StepState.SUCCEEDED))

    async def start(self, identity: Identity, progress: Progress) -> None:
        with self._locked(identity):
            folder = self._folder(identity)
            current = await asyncio.to_thread(self._own, identity)
            if current is None:
                raise Transient("NotCreated", f"There is no local cluster {identity.cluster_name}.")
            await asyncio.to_thread(_cut_logs, folder)
            await self._maker(folder, progress).mend(current)
        self._changed.set()

    async def kubeconfig(self, identity: Identity, *, internal: bool = False) -> str:  # noqa: ARG002 - one address serves both
        current = await asyncio.to_thread(self._own, identity)
        if current is None or not current.port:
            raise Transient("KubeconfigPending", "The control plane is not running yet.")
        return kubeconfig(self._folder(identity), current, "admin", f"kind-{identity.cluster_name}").decode()

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        watcher = Watcher()
        try:
            while True:
                for name, current in await asyncio.to_thread(self._all):
                    watcher.watch(name, current.daemons.values())
                self._changed.clear()
                ended = asyncio.ensure_future(watcher.ended.get())
                changed = asyncio.ensure_future(self._changed.wait())
                try:
                    await asyncio.wait({ended, changed}, timeout=RESCAN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                    if ended.done():
                        yield RuntimeEvent(ended.result())
                finally:
                    ended.cancel()
                    changed.cancel()
        finally:
            watcher.close()

    async def collect_logs(self, identity: Identity, directory: Path) -> None:
        await asyncio.to_thread(_copy_logs, self._folder(identity), directory)

    # --- inside -------------------------------------------------------------------------------------------------------------

    def _folder(self, identity: Identity) -> Path:
        return self._root / identity.cluster_name

    def _observe(self, identity: Identity) -> RuntimeObservation:
        folder = self._folder(identity)
        try:
            current = state.read(folder)
        except Unreadable as error:
            return RuntimeObservation(Presence.PRESENT, Ownership.FOREIGN, reason="NameConflict", detail=str(error))
        if current is None:
            return RuntimeObservation(Presence.ABSENT)
        if current.marker != identity.marker:
            return RuntimeObservation(
                Presence.PRESENT, Ownership.FOREIGN, reason="NameConflict", detail=_foreign(identity, current)
            )
        endpoint = Endpoint("127.0.0.1", current.port) if current.port else None
        nodes = tuple(_node(identity, node, current) for node in current.nodes)
        return RuntimeObservation(Presence.PRESENT, Ownership.OURS, nodes, endpoint, endpoint)

    def _own(self, identity: Identity) -> State | None:
        """Raises NotOurs."""
        try:
            current = state.read(self._folder(identity))
        except Unreadable as error:
            raise NotOurs("NameConflict", str(error)) from error
        if current is not None and current.marker != identity.marker:
            raise NotOurs("NameConflict", _foreign(identity, current))
        return current

    def _remove_own(self, identity: Identity) -> None:
        current = self._own(identity)
        try:
            daemons.end_all(identity.marker, current.daemons if current else {})
            state.remove(self._folder(identity), current)
        except (TimeoutError, OSError) as error:
            raise Transient(
                "LocalRemovalFailed", f"Not everything of {identity.cluster_name} could be removed: {error}"
            ) from error

    async def _give_up(self, identity: Identity, request: ClusterRequest) -> None:
        if not request.retain_on_failure:
            await asyncio.to_thread(self._remove_own, identity)

    def _wanted(self, identity: Identity, request: ClusterRequest, folder: Path) -> State:
        names = components_of(request)
        try:
            sockets = state.socket_folder(folder, identity.marker, Path(tempfile.gettempdir()))
        except Unreadable as error:
            raise Transient("LocalFolderFailed", str(error)) from error
        return State(
            marker=identity.marker,
            holder=identity.holder,
            nodes=names,
            networking=dict(request.config.get("networking") or {}),
            feature_gates=dict(request.config.get("featureGates") or {}),
            runtime_config=dict(request.config.get("runtimeConfig") or {}),
            sockets=str(sockets),
        )

    def _maker(self, folder: Path, progress: Progress) -> Maker:
        binaries = {tool: self._find_tool(tool) or "" for tool in components.ALL}
        if missing := [tool for tool, path in binaries.items() if not path]:
            raise Transient("ToolsMissing", f"The local runtime needs {', '.join(missing)}: run `make tools`.")
        return Maker(folder, binaries, self._kubernetes_version(), self._fsync, progress)

    def _kubernetes_version(self) -> str:
        """ "v1.34.4", asked once."""
        if not self._version and (binary := self._find_tool(components.API_SERVER)):
            self._version = daemons.output([binary, "--version"]).rpartition(" ")[2]
        return self._version

    def _all(self) -> list[tuple[str, State]]:
        found = []
        for folder in sorted(self._root.iterdir()) if self._root.exists() else ():
            with contextlib.suppress(Unreadable):
                if (current := state.read(folder)) is not None:
                    found.append((folder.name, current))
        return found

    @contextlib.contextmanager
    def _locked(self, identity: Identity) -> Iterator[None]:
        """Raises Transient(NameLocked). Python's descriptors are not inherited, so the lock ends with the manager."""
        self._root.mkdir(mode=state.MODE_DIRECTORY, parents=True, exist_ok=True)
        fd = os.open(self._root / f".{identity.cluster_name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                message = f"Another process on this host works on the local cluster {identity.cluster_name}."
                raise Transient("NameLocked", message) from error
            yield
        finally:
            os.close(fd)


def components_of(request: ClusterRequest) -> tuple[NodeSpec, ...]:
    """Nodes with the names kind would give them (kind providers/common/namer.go)."""
    counts: dict[str, int] = {}
    nodes = []
    for node in request.config["nodes"]:
        role = str(node.get("role", NodeRole.CONTROL_PLANE))
        counts[role] = counts.get(role, 0) + 1
        number = "" if counts[role] == 1 else str(counts[role])
        nodes.append(NodeSpec(f"{request.config['name']}-{role}{number}", role, dict(node.get("labels") or {})))
    return tuple(nodes)


def _node(identity: Identity, node: NodeSpec, current: State) -> NodeObservation:
    """Simulated nodes run while what stands in for them runs: the control plane's processes, and kwok for all kubelets."""
    needed = components.ALL if node.role == NodeRole.CONTROL_PLANE else (components.KWOK,)
    running = all(daemons.alive(current.daemons.get(component)) for component in needed)
    server = current.daemons.get(components.API_SERVER)
    return NodeObservation(
        name=node.name,
        role=NodeRole(node.role),
        id=f"{identity.marker[:12]}-{node.name}",
        state=NodeRunState.RUNNING if running else NodeRunState.STOPPED,
        started_at=server.started if server else "",
    )


def _foreign(identity: Identity, current: State) -> str:
    return f"The local cluster {identity.cluster_name} belongs to KINDCluster {current.holder}."


def _unsupported_fields(request: ClusterRequest) -> Iterator[str]:
    for index, node in enumerate(request.config["nodes"]):
        yield from (f"spec.nodes[{index}].{field}" for field in UNSUPPORTED_NODE_FIELDS if node.get(field))
    yield from (f"spec.{field}" for field in UNSUPPORTED_FIELDS if request.config.get(field))
    if (family := (request.config.get("networking") or {}).get("ipFamily", "ipv4")) != "ipv4":
        yield f"spec.networking.ipFamily: {family}"


def _unsupported(field: str) -> str:
    return f"{field} is not supported by the local runtime, which has no containers: remove it, or use spec.runtime: kind."


def _cut_logs(folder: Path) -> None:
    for path in folder.glob("*.log"):
        if path.stat().st_size > LOG_LIMIT:
            os.truncate(path, 0)


def _copy_logs(folder: Path, directory: Path) -> None:
    directory.mkdir(mode=state.MODE_DIRECTORY, parents=True, exist_ok=True)
    for path in folder.glob("*.log") if folder.exists() else ():
        shutil.copyfile(path, directory / path.name)
