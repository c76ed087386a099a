"""Letting workers join and leave a cluster that runs (docs/adr/0109): which steps, in which order, and what a former try has left.

For the holder of the name's lock. What exists is read anew before anything is done: containers by marker, nodes from the cluster's own API.
A worker has joined when both exist; anything else is removed and made anew, or removed. So an end at any moment needs no record.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.errors import run_failure, with_excerpt
from provider.adapters.engine.listing import Container
from provider.adapters.kind import joinconfig, members
from provider.adapters.kind.joinconfig import UnusableConfig
from provider.adapters.kind.members import Member
from provider.adapters.kind.ownership import containers_of, control_plane
from provider.adapters.kind.replica import OddPattern, replica
from provider.adapters.kind.volumes import NodeVolumes
from provider.adapters.process.command import Job
from provider.adapters.steps import as_step
from provider.api.conditions import Reason
from provider.errors import Transient
from provider.ports.runtime import Identity, Progress, Workers

KUBEADM_CONF, CONTAINERD_CONF = "/kind/kubeadm.conf", "/etc/containerd/config.toml"
"""Where kind has them in every node (kind pkg/cluster/internal/create/actions/config)."""
BOOTED = re.compile(r"Reached target .*Multi-User System.*|detected cgroup v1")
"""What a node says when kubeadm may be run in it (kind pkg/cluster/internal/providers/common/cgroups.go)."""
BOOT_SECONDS, RUN_SECONDS, JOIN_SECONDS = 60.0, 60.0, 240.0
"""For a node to say it, for the engine to make a container, and for kubeadm (which itself gives up after some two minutes)."""
BOOT_LOG_LINES, POLL = 200, 0.3
RESTART_CONTAINERD = "if pgrep -x containerd >/dev/null; then systemctl restart containerd; fi"
JOIN = ("kubeadm", "join", "--config", KUBEADM_CONF)
NO_HEAD = "No control-plane node runs: workers can neither join nor leave."


@dataclass(frozen=True, slots=True)
class Scaler:
    """What all steps share. `job`: for the command that makes a container, so that it is waited for, whatever becomes of this process."""

    engine: Engine
    identity: Identity
    volumes: NodeVolumes
    job: Job
    progress: Progress

    async def scale(self, workers: Workers) -> None:
        head, own = await self._look()
        known = await members.members(self.engine, head)
        if workers.last and head.name in known:
            await members.take_workloads(self.engine, head, known[head.name])
        for name in workers.leave:
            await self._leave(name, head, own.get(name), known)
        for name in workers.join:
            if not await self._joined(name, head, own.get(name), known):
                await self._join(name, head, own.get(name))
        if workers.join and workers.network:
            step = f"Waiting for {', '.join(workers.join)}"
            await as_step(self.progress, step, members.wait_ready(self.engine, head, workers.join))

    async def _look(self) -> tuple[Container, Mapping[str, Container]]:
        """A control plane that runs, and all containers of ours by name. Raises Transient, NotOurs."""
        own = containers_of(await self.engine.containers(), self.identity)
        if (head := control_plane(own)) is None:
            raise Transient(Reason.API_UNREACHABLE, NO_HEAD)
        return head, {one.name: one for one in own}

    # --- leaving -------------------------------------------------------------------------------------------------------------

    async def _leave(self, name: str, head: Container, container: Container | None, known: Mapping[str, Member]) -> None:
        """One that does not run has nothing that could be drained: its pods go with the Node."""
        if name in known and container is not None and container.state.running:
            await as_step(self.progress, f"Draining {name}", members.drain(self.engine, head, name))
        await as_step(self.progress, f"Removing {name}", self._remove(name, head, container))

    async def _remove(self, name: str, head: Container, container: Container | None) -> None:
        """The Node first: a kubelet registers its node when it starts, and never again."""
        await members.delete(self.engine, head, name)
        if container is None:
            return
        listing = await self.engine.containers()
        own = [one for one in containers_of(listing, self.identity) if one.id == container.id]
        self.volumes.note(self.engine, self.identity, listing.daemon, own)
        await self.engine.remove([one.id for one in own])
        if self.engine.dialect.named_volumes:  # which outlive it; whoever dies before this has them in the record
            await self.engine.remove_volumes([name for one in own for name in one.volumes])

    # --- joining -------------------------------------------------------------------------------------------------------------

    async def _joined(self, name: str, head: Container, container: Container | None, known: Mapping[str, Member]) -> bool:
        """Whether it has joined already; then it is made to stay."""
        if container is None or name not in known:
            return False
        await members.keep(self.engine, head, known[name])
        if container.state.stopped:
            await self.engine.start([container.id])
        return True

    async def _join(self, name: str, head: Container, remains: Container | None) -> None:
        await as_step(self.progress, f"Making {name}", self._make(name, head, remains))
        await as_step(self.progress, f"Joining {name}", self._let_join(name, head))

    async def _make(self, name: str, head: Container, remains: Container | None) -> None:
        if self.engine.dialect.named_volumes:
            message = f"spec.workerReplicas: on {self.engine.name}, workers of a cluster that runs cannot be added; set it back."
            raise Transient(Reason.NOT_SUPPORTED, message)
        await self._remove(name, head, remains)
        (pattern,) = await self.engine.inspect([head.id])
        # By the content that the cluster was made from: a tag may have been moved since.
        image = head.image if await self.engine.image_id(head.image) == pattern.get("Image") else str(pattern.get("Image"))
        try:
            wanted = replica(pattern, self.identity.cluster_name, name, self.identity.marker, image)
        except OddPattern as error:
            raise Transient(Reason.ENGINE_FAILED, f"What the engine says of {head.name} cannot be read ({error}).") from error
        done = await self.engine.make(wanted.arguments, wanted.environment, self.job, RUN_SECONDS)
        if done.returncode != 0:
            raise run_failure(name, done.stderr)

    async def _let_join(self, name: str, head: Container) -> None:
        _, own = await self._look()
        if (node := own.get(name)) is None:
            raise Transient(Reason.JOIN_FAILED, f"{name} was made, and is gone.")
        await self._booted(node)
        await self._same_containerd(node, head)
        source = await self.engine.read_file(head.id, KUBEADM_CONF)
        allowed = await members.ticket(self.engine, head)
        try:
            config = joinconfig.worker_config(source, head.name, name, node.addresses, allowed)
        except UnusableConfig as error:
            raise Transient(Reason.JOIN_FAILED, f"{name} cannot join: {error}.") from error
        await self.engine.write_file(node.id, KUBEADM_CONF, config)
        done = await self.engine.attempt(node.id, *JOIN, timeout=JOIN_SECONDS)
        if done.returncode != 0:
            raise Transient(Reason.JOIN_FAILED, with_excerpt(f"{name} could not join.", _last(done.stderr)))

    async def _booted(self, node: Container) -> None:
        deadline = asyncio.get_running_loop().time() + BOOT_SECONDS
        while BOOTED.search(said := await self.engine.logs(node.id, BOOT_LOG_LINES)) is None:
            if asyncio.get_running_loop().time() > deadline:
                message = f"{node.name} did not boot within {BOOT_SECONDS:.0f} s (host limits, cgroups)."
                raise Transient(Reason.NODE_BOOT_FAILED, with_excerpt(message, _last(said)))
            await asyncio.sleep(POLL)

    async def _same_containerd(self, node: Container, head: Container) -> None:
        """kind patches the file in every node alike, so what the control plane has is what a worker would have been given."""
        wanted = await self.engine.read_file(head.id, CONTAINERD_CONF)
        if wanted != await self.engine.read_file(node.id, CONTAINERD_CONF):
            await self.engine.write_file(node.id, CONTAINERD_CONF, wanted)
            await self.engine.execute(node.id, "sh", "-c", RESTART_CONTAINERD)


def _last(said: str) -> str:
    """The end of what a program said: what went wrong is there."""
    return "\n".join(said.strip().splitlines()[-3:])
