"""Removing, starting, stopping and pausing a cluster's own containers.

For the holder of the name's lock; the marker is read anew before every change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.listing import Container
from provider.adapters.kind.ownership import containers_of
from provider.adapters.kind.volumes import NodeVolumes
from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.errors import NotOurs, Transient
from provider.ports.runtime import Identity, NodeRunState

REMOVE_TIMEOUT = 30.0
"""Seconds in which nothing of ours may be left."""


async def remove(engine: Engine, identity: Identity, volumes: NodeVolumes, *, mixed: bool, recheck: float) -> bool:
    """Remove until no container of ours is left; absent is success. True: nobody else's are under the name either. What `rm -v` leaves is
    noted in `volumes` before. Raises Transient, NotOurs, OSError.

    `mixed`: remove ours although there are others' containers under the name. `recheck`: seconds before an empty listing that follows
    a removal is looked at again.
    """
    removed = confirmed = False
    deadline = asyncio.get_running_loop().time() + REMOVE_TIMEOUT
    while asyncio.get_running_loop().time() < deadline:
        listing = await engine.containers()
        if identity.cluster_name in listing.unreadable:
            # docker lists a container for seconds before it can be inspected, and its marker be read.
            await asyncio.sleep(recheck)
            continue
        try:
            own = containers_of(listing, identity, mixed=mixed)
        except NotOurs:
            if mixed and removed:
                return False  # only the others' containers are left
            raise
        if own:
            volumes.note(engine, identity, listing.daemon, own)
            await _remove(engine, own)
            removed, confirmed = True, False
        elif confirmed or not removed:
            return True
        else:
            # The engine may still be making a container for a client that was killed: one empty listing is not enough.
            await asyncio.sleep(recheck)
            confirmed = True
    raise Transient(Reason.DELETE_FAILED, f"Containers of {identity.cluster_name} keep changing; it is tried again.")


async def start(engine: Engine, identity: Identity) -> None:
    """Start what is stopped and resume what is paused: workers last, because they need a control plane. Raises Transient, NotOurs."""
    own = await _existing(engine, identity)
    workers = [one for one in own if one.role is NodeRole.WORKER]
    for batch in ([one for one in own if one not in workers], workers):
        paused = [one for one in batch if one.state is NodeRunState.PAUSED]
        await engine.unpause([one.id for one in paused])
        await engine.start([one.id for one in batch if one.state.stopped and one not in paused])
    down = [one for one in containers_of(await engine.containers(), identity) if not one.state.running]
    if down:
        what = ", ".join(f"{one.name} ({one.state}, exit code {one.exit_code})" for one in down)
        raise Transient(Reason.START_FAILED, f"Started, and not running: {what}. Look at its log (docker logs).")


async def stop(engine: Engine, identity: Identity) -> None:
    """End what runs or is paused: workers first, the load balancer last. Raises Transient, NotOurs."""
    own = await _existing(engine, identity)
    for role in (NodeRole.WORKER, NodeRole.CONTROL_PLANE, NodeRole.LOAD_BALANCER):
        batch = [one for one in own if one.role is role]
        paused = [one.id for one in batch if one.state is NodeRunState.PAUSED]
        await engine.unpause(paused)  # a frozen process cannot end by itself, and under cgroup v1 not even be killed
        await engine.stop([one.id for one in batch if one.id in paused or not one.state.stopped])
    await _must_rest(engine, identity)


async def pause(engine: Engine, identity: Identity) -> None:
    """Freeze what runs, in one call: the nodes' clocks for one another stay as close as they can. Raises Transient, NotOurs."""
    own = await _existing(engine, identity)
    await engine.pause([one.id for one in own if one.state.running])
    await _must_rest(engine, identity)


async def _existing(engine: Engine, identity: Identity) -> list[Container]:
    own = containers_of(await engine.containers(), identity)
    if not own:
        raise Transient(Reason.CONTAINERS_MISSING, f"There are no containers of {identity.cluster_name}.")
    return own


async def _must_rest(engine: Engine, identity: Identity) -> None:
    up = [one for one in containers_of(await engine.containers(), identity) if not one.state.stopped]
    if up:
        what = ", ".join(f"{one.name} ({one.state})" for one in up)
        raise Transient(Reason.STOP_FAILED, f"Told to rest, and still there: {what}.")


async def _remove(engine: Engine, own: Sequence[Container]) -> None:
    """Control planes last: if we are killed in between, what is left can still be recognised as a cluster by its user."""
    last = [one for one in own if one.role is NodeRole.CONTROL_PLANE]
    for batch in ([one for one in own if one not in last], last):
        await engine.remove([one.id for one in batch])
