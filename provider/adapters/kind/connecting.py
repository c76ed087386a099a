"""Registries and one cluster: how far its nodes know them, and letting them know. The parts are .containerd, .shared_registry and .hosting.

Order: nodes first, the shared registry then, what the cluster says of it last. A node that leads to it makes it used, so that what is made
after that is never left over: whoever is killed in between leaves a user, whose next pass goes on, or whose deletion removes the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.listing import Container
from provider.adapters.kind import containerd, hosting
from provider.adapters.kind.ownership import control_plane
from provider.adapters.kind.preload import running
from provider.adapters.kind.shared_registry import SharedRegistry, foreign, inside
from provider.adapters.steps import as_step
from provider.api.conditions import Reason
from provider.errors import Transient
from provider.ports.registries import Connected, Registries
from provider.ports.runtime import Identity, Progress


async def look(
    engine: Engine, shared: SharedRegistry, identity: Identity, own: Sequence[Container], wanted: Registries
) -> Connected:
    """`own`: the cluster's containers; those that run no Kubernetes, or do not run, are left out. Raises Transient."""
    found = await shared.find(engine)
    nodes, files = running(own), containerd.wanted_files(wanted, shared.mirror(found))
    said = hosting.config_map(shared.host(found), inside()) if wanted.shared else None
    published, lacks = await asyncio.gather(
        hosting.is_published(engine, _head(own).id, said),
        asyncio.gather(*(containerd.look(engine, node.id, files) for node in nodes)),
    )
    ready = shared.is_ready(engine, found) if wanted.shared else not await shared.is_idle(engine, identity)
    by_node = dict(zip([node.name for node in nodes], lacks, strict=True))
    return Connected(
        frozenset(name for name, lack in by_node.items() if not lack),
        settled=published and ready,
        host=shared.host(found) if wanted.shared else "",
        conflict=_in_the_way(wanted, shared.host(found), by_node)
        or (foreign() if wanted.shared and found is not None and not found.ours else ""),
    )


async def connect(
    engine: Engine, shared: SharedRegistry, identity: Identity, own: Sequence[Container], wanted: Registries, progress: Progress
) -> None:
    """What is as it should be stays untouched. Raises Transient, Terminal."""
    if wanted.shared:
        await shared.fetch(engine, progress)
    async with shared.lock:
        found = await shared.find(engine)
        files = containerd.wanted_files(wanted, shared.mirror(found))
        for node in running(own):
            await _tell(engine, node, files, progress)
        if wanted.shared:
            await shared.ensure(engine, progress)
    said = hosting.config_map(shared.host(await shared.find(engine)), inside()) if wanted.shared else None
    await hosting.publish(engine, _head(own).id, said)
    shared.release(identity)
    if not wanted.shared:
        await shared.sweep(engine, progress)


async def _tell(engine: Engine, node: Container, files: dict[str, str], progress: Progress) -> None:
    lack = await containerd.look(engine, node.id, files)
    if lack.conflict:
        raise Transient(Reason.REGISTRY_CONFLICT, f"{node.name} {lack.conflict}.")
    if lack:
        await as_step(progress, f"Telling {node.name} of registries", containerd.tell(engine, node.id, lack))


def _head(own: Sequence[Container]) -> Container:
    head = control_plane(own)
    if head is None:
        raise Transient(Reason.KUBECONFIG_PENDING, "No control-plane node is running.")
    return head


def _in_the_way(wanted: Registries, host: str, lacks: dict[str, containerd.Lack]) -> str:
    if wanted.shared and host in [mirror.host for mirror in wanted.mirrors]:
        return f"spec.registryMirrors: {host} is the shared registry itself: remove that entry, or spec.registry."
    return " ".join(f"{name} {lack.conflict}." for name, lack in lacks.items() if lack.conflict)
