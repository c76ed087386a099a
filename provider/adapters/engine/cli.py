"""docker, podman and nerdctl behind one class: the few verbs this provider needs, by container id, each with a deadline.

The command line is used, not an API: it is what kind itself uses, so both see the same engine (contexts, DOCKER_HOST, rootless
sockets). Nothing here knows about ownership; which containers may be removed is decided where the marker is checked
(provider.adapters.kind.ownership).
"""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from provider.adapters.engine import freezer
from provider.adapters.engine.errors import engine_failure, pull_failure
from provider.adapters.engine.listing import Listing, UnknownShape, container_ids, parse_listing, unready_clusters
from provider.adapters.process.command import (
    MAX_OUTPUT,
    Command,
    CommandFailed,
    Completed,
    RunError,
    run_command,
    run_for_tail,
    stream_lines,
)
from provider.api import kind
from provider.api.conditions import Reason
from provider.backoff import CONTAINER_REMOVAL
from provider.errors import ProviderError, Transient

SLOW = 90.0
"""Seconds for verbs that wait for containers to end or start."""
FINISH = 6.0
"""Seconds that a change gets to finish when the task that asked for it is cancelled."""
MAX_INSPECT = 64 << 20
MAX_FILE = 1 << 20
MAX_LOG = 1 << 20
ATTEMPTS = 4
"""Tries of a removal while other programs remove the same containers."""
GONE = ("no such container", "no such object", "no container with name or id", "removal of container", "already in progress")
"""Said by `inspect` and `rm` about containers that another program removes at the same time (moby errors, podman, nerdctl)."""
NO_IMAGE = ("no such image", "no such object", "image not known", "not found")
"""What docker, nerdctl and podman say of an image that is not on the engine."""
REMOTE = ("tcp:", "ssh:", "http:", "https:")
"""Schemes of engine addresses that lead to another machine (docker/cli opts/hosts.go, podman-system-service); others are sockets here."""

EVENTS = ("create", "start", "die", "pause", "unpause", "destroy")
"""docker's container events that change what is observed. Its exec_* events are left out: our own probes would cause them."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine says of itself."""

    description: str
    """E.g. "docker 20.10.24 (cgroup v1, rootless)"."""
    root_dir: str
    """Folder of the engine's data on its host; empty when it does not say."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one engine's command line differs from docker's."""

    name: str
    host_variable: str
    """Environment variable that names the engine's address."""
    info: tuple[str, ...] = ("info", "--format", "{{json .}}")
    events: tuple[str, ...] = ()
    """Arguments after `events`."""
    copies_out: bool = True
    """`cp CONTAINER:PATH -` writes a tar stream to standard output."""
    named_volumes: bool = False
    """kind makes a node's volume before the node, so it is not anonymous."""
    children_exit: bool = True
    """No process started by `run -d` outlives it, so file descriptors may be inherited. podman's conmon lives as long as the container."""


_LABEL = ("--filter", f"label={kind.KIND_CLUSTER_LABEL}", "--filter", "type=container", "--format", "{{json .}}")
DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect("docker", "DOCKER_HOST", events=(*_LABEL, *(word for one in EVENTS for word in ("--filter", f"event={one}")))),
        Dialect(
            "podman", "CONTAINER_HOST", info=("info", "--format", "json"), events=_LABEL, named_volumes=True, children_exit=False
        ),
        Dialect("nerdctl", "CONTAINERD_ADDRESS", events=("--format", "{{json .}}"), copies_out=False, children_exit=False),
    )
}


class Engine:
    """One engine's command line. Every method raises Transient, e.g. EngineUnreachable; `pull` may raise Terminal, too."""

    def __init__(self, dialect: Dialect, env: Mapping[str, str], timeout: float, cgroups: Path = freezer.ROOT) -> None:
        """`timeout`: seconds that a question may take. `cgroups`: cgroup v1's freezer hierarchy of this host."""
        self.dialect = dialect
        self._env = env
        self._timeout = timeout
        self._freezer = cgroups
        self._running: asyncio.Task[Listing] | None = None
        self._next: asyncio.Task[Listing] | None = None

    @property
    def name(self) -> str:
        return self.dialect.name

    @property
    def shares_host(self) -> bool:
        """Whether the engine's containers are on this machine, so that its paths, ports and disk are the ones we see."""
        return not self._env.get(self.dialect.host_variable, "").startswith(REMOTE)

    async def info(self) -> EngineInfo:
        done = await self._run(*self.dialect.info, check=False)
        try:
            return _info(self.name, json.loads(done.stdout))
        except (ValueError, KeyError, TypeError) as error:
            message = f"{self.name} info gave no usable answer."
            failure = CommandFailed(Reason.COMMAND_FAILED, message, tail=f"{done.stderr}\n{done.stdout}")
            raise engine_failure(failure, self.name) from error

    async def containers(self) -> Listing:
        """All of kind's containers, as they were at some moment after this call. Never raises for an engine that does not answer.

        Calls that come while a listing runs share the next one: any number of concurrent observers costs a handful of processes.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        return await asyncio.shield(self._next)

    async def remove(self, ids: Sequence[str], volumes: Sequence[str] = ()) -> None:
        """Remove containers with their volumes; absent ones are fine. `volumes`: names of theirs, where `rm -v` leaves them."""
        # `rm` of several containers fails when another program (a user, `kind delete`) removes one of them at the same time; the others
        # may be left, and so may that one for a moment ("already in progress"). So what is still listed is tried again.
        left = list(ids)
        for attempt in range(ATTEMPTS):
            if not left:
                break
            done = await self._change("rm", "-f", "-v", *left, timeout=SLOW, check=False)
            self._check(done, (*GONE, freezer.STUCK))
            left = await self._existing(left)
            if left:
                if freezer.STUCK in done.stderr:
                    await asyncio.to_thread(freezer.thaw, left, self._freezer)
                await asyncio.sleep(CONTAINER_REMOVAL.delay(attempt))
        if left:
            raise Transient(Reason.DELETE_FAILED, _not_removed(self.name, len(left), frozen=freezer.STUCK in done.stderr))
        if volumes and self.dialect.named_volumes:
            await self._change("volume", "rm", *volumes, check=False)

    async def start(self, ids: Sequence[str]) -> None:
        if ids:
            await self._change("start", *ids, timeout=SLOW)

    async def unpause(self, ids: Sequence[str]) -> None:
        if ids:
            await self._change("unpause", *ids)

    async def has_image(self, image: str) -> bool:
        done = await self._run("image", "inspect", image, max_output=MAX_INSPECT, check=False)
        self._check(done, NO_IMAGE)
        return done.returncode == 0

    async def pull(self, image: str, timeout: float) -> None:
        """Raises Terminal(ImageNotFound) or Transient(ImagePullFailed)."""
        done = await self._run("pull", image, timeout=timeout, check=False)
        if done.returncode != 0:
            raise pull_failure(image, done.stderr)

    async def logs(self, container: str, lines: int) -> str:
        """The newest lines of a container's own output (both streams), at most MAX_LOG bytes of them."""
        return await self._tail("logs", "--tail", str(lines), container, limit=MAX_LOG, timeout=self._timeout)

    async def tail(self, container: str, argv: Sequence[str], *, limit: int, timeout: float) -> str:
        """The last `limit` bytes of what a program in a container prints, whatever its exit code. The program is not ours to trust."""
        return await self._tail("exec", container, *argv, limit=limit, timeout=timeout)

    async def inspect(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        done = await self._run("inspect", "--type", "container", *ids, max_output=MAX_INSPECT)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    async def read_file(self, container: str, path: str) -> str:
        """A small text file of a container. Raises Transient when it is not there (yet) or is not a small text file."""
        if not self.dialect.copies_out:
            return (await self._run("exec", container, "cat", path)).stdout
        done = await self._run("cp", f"{container}:{path}", "-", max_output=MAX_FILE)
        return _only_member(done.output)

    async def execute(self, container: str, *argv: str) -> None:
        """Run a command that changes something in a container. Raises Transient."""
        await self._change("exec", container, *argv)

    async def events(self) -> AsyncGenerator[str | None, None]:
        """Cluster names of containers that changed; None: something changed. Raises Transient when the engine goes away."""
        command = self._command(("events", *self.dialect.events), self._timeout, MAX_OUTPUT)
        try:
            async with aclosing(stream_lines(command)) as lines:
                async for line in lines:
                    yield event_cluster(line)
        except RunError as error:
            raise engine_failure(error, self.name) from error

    # --- inside --------------------------------------------------------------------------------------------------------------

    async def _after(self, current: asyncio.Task[Listing] | None) -> Listing:
        """The listing after the running one. A caller must not be given the running one: it may have begun before the caller's change."""
        if current is not None:
            await asyncio.wait([current])
        self._running, self._next = self._next, None  # from here on a new caller waits for another listing
        return await self._list()

    async def _list(self) -> Listing:
        try:
            found = (await self._ps("-q")).split()
            if not found:
                return Listing()
            done = await self._run("inspect", "--type", "container", *found, max_output=MAX_INSPECT, check=False)
            if done.returncode == 0:
                return parse_listing(done.stdout)
            self._check(done, GONE)
            return await self._list_partly(found, done.stdout)
        except UnknownShape as error:
            return Listing(
                reason=Reason.ENGINE_UNREACHABLE, detail=f"{self.name} inspect gave an answer that cannot be read: {error}."
            )
        except ProviderError as error:
            return Listing(reason=error.reason, detail=error.message)

    async def _list_partly(self, listed: Sequence[str], inspected: str) -> Listing:
        """The listing where some listed containers could not be inspected. Those that are not listed any more were removed meanwhile.

        The others are being made: docker lists a container for seconds (while it fills the volumes) before it can be inspected. Only
        their clusters are unreadable; "absent" would be wrong for them.
        """
        listing = parse_listing(inspected)
        missing = set(listed) - container_ids(inspected)
        unready = unready_clusters(await self._ps("--format", "{{json .}}"), missing)
        return replace(listing, unreadable={**listing.unreadable, **unready})

    async def _ps(self, *options: str) -> str:
        done = await self._run("ps", "-a", "--no-trunc", *options, "--filter", f"label={kind.KIND_CLUSTER_LABEL}")
        return done.stdout

    async def _existing(self, ids: Sequence[str]) -> list[str]:
        present = set((await self._ps("-q")).split())
        return [one for one in ids if one in present]

    async def _change(self, *args: str, timeout: float = 0.0, check: bool = True) -> Completed:
        """Run a command that changes something; when cancelled, end only after it has ended, or after FINISH seconds.

        The engine goes on with what its client asked for when the client is killed. A cancelled task that ended at once would leave
        a change that happens later, for instance in a cluster that was paused in the meantime.
        """
        running = asyncio.create_task(self._run(*args, timeout=timeout, check=check))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running], timeout=FINISH)
            raise
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _check(self, done: Completed, tolerated: Sequence[str]) -> None:
        """Raises Transient for a failure whose message has none of the tolerated words."""
        if done.returncode != 0 and not any(word in done.stderr.lower() for word in tolerated):
            raise engine_failure(done.failure(), self.name)

    async def _run(self, *args: str, timeout: float = 0.0, max_output: int = MAX_OUTPUT, check: bool = True) -> Completed:
        try:
            return await run_command(self._command(args, timeout or self._timeout, max_output), check=check)
        except RunError as error:
            raise engine_failure(error, self.name) from error

    async def _tail(self, *args: str, limit: int, timeout: float) -> str:
        try:
            done = await run_for_tail(self._command(args, timeout, limit))
        except RunError as error:
            raise engine_failure(error, self.name) from error
        return f"{done.stdout}{done.stderr}"

    def _command(self, args: Sequence[str], timeout: float, max_output: int) -> Command:
        return Command(argv=[self.name, *args], env=self._env, timeout=timeout, max_output=max_output)


def event_cluster(line: str) -> str | None:
    """The cluster an event is about: docker has Actor.Attributes, podman Attributes, nerdctl neither."""
    try:
        event = json.loads(line)
        attributes = (event.get("Actor") or event).get("Attributes") or {}
        cluster = attributes.get(kind.KIND_CLUSTER_LABEL)
    except (ValueError, AttributeError):
        return None
    return cluster if isinstance(cluster, str) else None


def _info(engine: str, answer: Any) -> EngineInfo:
    """docker and nerdctl share a shape; podman has its own, also where a distribution installs it as `docker`."""
    if "host" in answer:
        if engine != "podman":
            raise ValueError("the command is podman under another name")
        host = answer["host"]
        version, cgroup = answer["version"]["Version"], str(host["cgroupVersion"]).removeprefix("v")
        rootless, root_dir = host["security"]["rootless"], answer["store"]["graphRoot"]
    else:
        version, cgroup = answer["ServerVersion"], answer.get("CgroupVersion") or "1"
        rootless = any("name=rootless" in str(option) for option in answer.get("SecurityOptions") or [])
        root_dir = answer.get("DockerRootDir") or ""
        if not version:
            raise ValueError("no server answered")
    return EngineInfo(f"{engine} {version} (cgroup v{cgroup}{', rootless' if rootless else ''})", str(root_dir))


def _not_removed(engine: str, count: int, *, frozen: bool) -> str:
    cure = " Processes of theirs cannot be killed: thaw them (cgroup v1: freezer.state), or restart the host." if frozen else ""
    return f"{engine} does not finish removing {count} container(s); it is tried again.{cure}"


def _only_member(archive: bytes) -> str:
    """The one regular file in a tar stream; a link or a folder is no answer."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            member = tar.next()
            content = tar.extractfile(member) if member is not None and member.isreg() else None
            if content is not None:
                return content.read(MAX_FILE).decode()
    except (tarfile.TarError, UnicodeDecodeError) as error:
        raise Transient(Reason.FILE_UNREADABLE, "The node's file cannot be read.") from error
    raise Transient(Reason.FILE_UNREADABLE, "The node's file is not a regular file.")
