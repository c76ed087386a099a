"""Letting simulated workers join and leave one local cluster. Every step may be repeated; the caller holds the cluster's lock.

A worker that joins is in the cluster's state before it is a Node, and one that leaves is a Node no more before it goes from there: so what
an interrupted step left is seen, and finished or removed by the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from provider.adapters.local import components, daemons, state
from provider.adapters.local.nodes import CONTROL_PLANE_LABEL, NO_BALANCER_LABEL, Api, connect, manifest
from provider.adapters.local.state import NodeSpec, State
from provider.adapters.oserrors import raise_lack
from provider.adapters.process.shielded import finish
from provider.adapters.steps import as_step
from provider.api import names
from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.errors import Transient
from provider.ports.runtime import Progress, Workers

LEAVING = f"{names.GROUP}/leaving"
"""Annotation of a Node that was cordoned here."""
MIRROR = "kubernetes.io/config.mirror"
DRAIN_SECONDS, READY_SECONDS = 20.0, 20.0
"""For simulated pods to go, and for a simulated node to be Ready: either is a moment's work."""
POLL = 0.1
MOST_PODS = 5


@dataclass(frozen=True, slots=True)
class Scaler:
    folder: Path
    version: str
    progress: Progress

    async def scale(self, current: State, workers: Workers) -> None:
        """Raises Transient."""
        if not daemons.alive(current.daemons.get(components.API_SERVER)):
            raise Transient(Reason.API_UNREACHABLE, "No control plane runs: workers can neither join nor leave.")
        async with connect(self.folder, current.port) as api:
            if workers.last:
                await _take_workloads(api, current)
            for name in workers.leave:
                await as_step(self.progress, f"Draining {name}", _drain(api, name))
                current = await as_step(self.progress, f"Removing {name}", self._remove(api, current, name))
            for name in workers.join:
                current = await as_step(self.progress, f"Joining {name}", self._join(api, current, name))
            if workers.join:
                step = f"Waiting for {', '.join(workers.join)}"
                await as_step(self.progress, step, _wait_ready(api, workers.join))

    async def _remove(self, api: Api, current: State, name: str) -> State:
        await api.delete(name)
        return await self._write(replace(current, nodes=tuple(node for node in current.nodes if node.name != name)))

    async def _join(self, api: Api, current: State, name: str) -> State:
        node = NodeSpec(name, str(NodeRole.WORKER))
        found = await api.node(name)
        if name not in {known.name for known in current.nodes}:
            if found is not None:
                await api.delete(name)
                found = None
            current = await self._write(replace(current, nodes=(*current.nodes, node)))
        if found is None:
            await api.register(manifest(node, self.folder.name, self.version, alone=False))
        elif LEAVING in (found["metadata"].get("annotations") or {}):
            await api.patch(name, {"metadata": {"annotations": {LEAVING: None}}, "spec": {"unschedulable": None}})
        return current

    async def _write(self, current: State) -> State:
        try:
            await finish(asyncio.to_thread(state.write, self.folder, current))
        except OSError as error:
            raise_lack(error)
            raise Transient(Reason.LOCAL_FOLDER_FAILED, f"The state of the cluster cannot be written: {error}.") from error
        return current


async def _drain(api: Api, name: str) -> None:
    """Cordon, and evict the pods as their PodDisruptionBudgets allow. Raises Transient(DRAIN_FAILED)."""
    if await api.node(name) is None:
        return
    await api.patch(name, {"metadata": {"annotations": {LEAVING: "true"}}, "spec": {"unschedulable": True}})

    async def empty() -> bool:
        staying = [pod["metadata"] for pod in await api.pods_on(name) if not _stays(pod)]
        for pod in staying:
            if "deletionTimestamp" not in pod:
                await api.evict(pod["namespace"], pod["name"])
        return not staying

    if not await _within(DRAIN_SECONDS, empty):
        pods = [f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in await api.pods_on(name) if not _stays(pod)]
        raise Transient(
            Reason.DRAIN_FAILED,
            f"{name} could not be drained within {DRAIN_SECONDS:.0f} s: pods {', '.join(pods[:MOST_PODS])} are kept by a "
            "PodDisruptionBudget, or do not end. It stays, cordoned, until they are gone; raise workerReplicas again to keep it.",
        )


def _stays(pod: dict[str, Any]) -> bool:
    """What goes with its node, or has gone: kubectl drain leaves it alone, too."""
    metadata = pod["metadata"]
    owners = {owner["kind"] for owner in metadata.get("ownerReferences") or []}
    return "DaemonSet" in owners or MIRROR in (metadata.get("annotations") or {})


async def _take_workloads(api: Api, current: State) -> None:
    """A control plane that is left alone, as kind makes one."""
    for node in current.nodes:
        found = await api.node(node.name) if node.role == NodeRole.CONTROL_PLANE else None
        if found is not None:
            taints = [taint for taint in found["spec"].get("taints") or [] if taint["key"] != CONTROL_PLANE_LABEL]
            await api.patch(node.name, {"metadata": {"labels": {NO_BALANCER_LABEL: None}}, "spec": {"taints": taints or None}})


async def _wait_ready(api: Api, wanted: Sequence[str]) -> None:
    """Or until their time is over: whether they are is observed."""

    async def ready() -> bool:
        found = [await api.node(name) for name in wanted]
        return all(node is not None and _is_ready(node) for node in found)

    await _within(READY_SECONDS, ready)


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


async def _within(seconds: float, done: Callable[[], Awaitable[bool]]) -> bool:
    end = time.monotonic() + seconds
    while not await done():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(POLL)
    return True
