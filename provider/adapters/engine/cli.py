"""docker, podman and nerdctl behind one class: the few verbs this provider needs, by container id, each with a deadline.

The command line is used, not an API: it is what kind itself uses, so both see the same engine (contexts, DOCKER_HOST, rootless
sockets). Nothing here knows about ownership; which containers may be removed is decided where the marker is checked
(provider.adapters.kind.ownership).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provider.adapters.engine import freezer, images
from provider.adapters.engine.answers import NO_CLUSTER, event_cluster, listed_subnets
from provider.adapters.engine.copied import MAX_FILE, MAX_FILES, NO_FILE, PACK, UNPACK, archive_of, only_member, text_members
from provider.adapters.engine.daemon import daemon_name
from provider.adapters.engine.dialects import Dialect
from provider.adapters.engine.errors import engine_failure, pull_failure
from provider.adapters.engine.lister import GONE, MAX_INSPECT, NO_CONTAINER, Lister
from provider.adapters.engine.listing import Listing
from provider.adapters.engine.sharing import Shared
from provider.adapters.engine.volumes import Volume, read_volumes
from provider.adapters.process.command import (
    MAX_OUTPUT,
    Command,
    CommandFailed,
    Completed,
    Job,
    RunError,
    run_command,
    run_fed,
    run_for_tail,
    run_making,
    run_telling,
    stream_lines,
)
from provider.api.conditions import Reason
from provider.api.image import parse
from provider.backoff import CONTAINER_REMOVAL
from provider.errors import Transient

SLOW = 90.0
"""Seconds for verbs that wait for containers to end or start."""
FINISH = 6.0
"""Seconds that a change gets to finish when the task that asked for it is cancelled."""
MAX_LOG = 1 << 20
WRITE = 'umask 077 && cat >"$1.new" && mv "$1.new" "$1"'
ATTEMPTS = 4
"""Tries of a removal while other programs remove the same containers."""
NO_IMAGE = ("no such image", "no such object", "image not known", "not found")
"""What docker, nerdctl and podman say of an image that is not on the engine."""
VOLUME_USED = "is being used"
"""Said by podman of a volume that some container has, running or not."""
REMOTE = ("tcp:", "ssh:", "http:", "https:")
"""Schemes of engine addresses that lead to another machine (docker/cli opts/hosts.go, podman-system-service); others are sockets here."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine says of itself."""

    description: str
    """E.g. "docker 20.10.24 (cgroup v1, rootless)"."""
    root_dir: str
    """Folder of the engine's data on its host; empty when it does not say."""
    daemon: str
    """Which of all daemons it is (adapters.engine.daemon)."""


class Engine:
    """One engine's command line. Every method raises Transient, e.g. EngineUnreachable; `pull` may raise Terminal, too."""

    def __init__(self, dialect: Dialect, env: Mapping[str, str], timeout: float, cgroups: Path = freezer.ROOT) -> None:
        """`timeout`: seconds that a question may take. `cgroups`: cgroup v1's freezer hierarchy of this host."""
        self.dialect = dialect
        self._env = env
        self._timeout = timeout
        self._freezer = cgroups
        self._lister = Lister(self.name, self._run, self._daemon)
        self._listings = Shared(self._lister.list)

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
            return _info(self.name, json.loads(done.stdout), self._env.get("CONTAINERD_NAMESPACE", ""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"{self.name} info gave no usable answer."
            failure = CommandFailed(Reason.COMMAND_FAILED, message, tail=f"{done.stderr}\n{done.stdout}")
            raise engine_failure(failure, self.name) from error

    async def containers(self) -> Listing:
        """All of kind's containers, as they were at some moment after this call. Never raises for an engine that does not answer."""
        return await self._listings.fresh()

    def known_containers(self, seconds: float) -> Listing | None:
        """The same as they were at most so many seconds ago; None if nobody has asked since then, or an event came, or `forget_listing`."""
        return self._listings.recent(seconds)

    def forget_listing(self) -> None:
        """Containers were changed: no earlier listing is handed out any more."""
        self._listings.forget()

    async def remove(self, ids: Sequence[str]) -> None:
        """Remove containers with their anonymous volumes; absent ones are fine."""
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

    async def volumes(self) -> list[Volume]:
        """All volumes of an engine with named ones (Dialect.named_volumes)."""
        done = await self._run("volume", "ls", "--format", "json", max_output=MAX_INSPECT)
        try:
            return read_volumes(done.stdout)
        except ValueError as error:
            raise Transient(
                Reason.ENGINE_FAILED, f"{self.name} volume ls gave an answer that cannot be read: {error}."
            ) from error

    async def remove_volumes(self, names: Sequence[str]) -> None:
        """Remove named volumes; absent ones are fine, and one that a container uses is left to it."""
        if not names:
            return
        done = await self._change("volume", "rm", *names, timeout=SLOW, check=False)
        if done.returncode != 0:
            used = [line for line in done.stderr.splitlines() if VOLUME_USED in line]
            left = {one.name for one in await self.volumes()}.intersection(names)
            if any(all(name not in line for line in used) for name in left):
                raise engine_failure(done.failure(), self.name)

    async def start(self, ids: Sequence[str]) -> None:
        if ids:
            await self._change("start", *ids, timeout=SLOW)

    async def stop(self, ids: Sequence[str]) -> None:
        """Those that do not end within the engine's own patience (10 s for docker and podman) are killed."""
        if ids:
            await self._change("stop", *ids, timeout=SLOW)

    async def pause(self, ids: Sequence[str]) -> None:
        if ids:
            await self._change("pause", *ids)

    async def unpause(self, ids: Sequence[str]) -> None:
        if ids:
            await self._change("unpause", *ids)

    async def has_image(self, image: str) -> bool:
        done = await self._run("image", "inspect", self._image(image), max_output=MAX_INSPECT, check=False)
        self._check(done, NO_IMAGE)
        return done.returncode == 0

    async def image_names(self) -> frozenset[str]:
        """Of every image on the engine, by tag and by digest (provider.api.image.Name.wanted)."""
        done = await self._run("image", "ls", "--digests", "--format", images.ROW, max_output=MAX_INSPECT)
        return images.listed(done.stdout)

    async def pull(self, image: str, timeout: float, on_progress: Callable[[str], None] = lambda _: None) -> None:
        """`on_progress`: how far it is, for people. Raises Terminal(ImageNotFound) or Transient(ImagePullFailed)."""
        layers = images.Layers(on_progress)
        try:
            done = await run_telling(self._command(("pull", self._image(image)), timeout, MAX_OUTPUT), layers.feed)
        except RunError as error:
            raise engine_failure(error, self.name) from error
        if done.returncode != 0:
            raise pull_failure(image, done.stderr)

    def _image(self, name: str) -> str:
        """By the name that kind will ask for."""
        return name if self.dialect.short_names else parse(name).wanted

    async def load(self, archive: Path, timeout: float) -> None:
        """Put the images of an archive (docker save) on the engine."""
        await self._change("load", "--input", str(archive), timeout=timeout)

    async def logs(self, container: str, lines: int) -> str:
        """The newest lines of a container's own output (both streams), at most MAX_LOG bytes of them."""
        return await self._tail("logs", "--tail", str(lines), container, limit=MAX_LOG, timeout=self._timeout)

    async def tail(self, container: str, argv: Sequence[str], *, limit: int, timeout: float) -> str:
        """The last `limit` bytes of what a program in a container prints, whatever its exit code. The program is not ours to trust."""
        return await self._tail("exec", container, *argv, limit=limit, timeout=timeout)

    async def output_of(self, container: str, *command: str, limit: int) -> str:
        """What a command inside a running container prints, up to `limit` bytes."""
        return (await self._run("exec", container, *command, max_output=limit)).stdout

    async def image_id(self, image: str) -> str:
        """The engine's id of an image's content; empty when it has none of that name."""
        done = await self._run("image", "inspect", "--format", "{{.Id}}", image, check=False)
        self._check(done, NO_IMAGE)
        return done.stdout.strip() if done.returncode == 0 else ""

    async def feed(self, container: str, argv: Sequence[str], source: str | Path, timeout: float) -> None:
        """Run a command in a container on an image of the engine (as `save` writes it), or on a file. Raises RunError."""
        sink = self._command(("exec", "-i", container, *argv), timeout, MAX_OUTPUT)
        await run_fed(sink, source if isinstance(source, Path) else self._command(("save", source), timeout, MAX_OUTPUT))

    async def subnets(self, network: str) -> list[str]:
        """CIDRs of a network; empty where it does not exist, or the engine does not say."""
        done = await self._run("network", "inspect", network, check=False)
        return listed_subnets(done.stdout)

    async def inspect(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        done = await self._run("inspect", "--type", "container", *ids, max_output=MAX_INSPECT)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    async def find(self, name: str) -> dict[str, Any] | None:
        """What `inspect` says of one container by its name, whoever made it; None: there is none."""
        done = await self._run("inspect", "--type", "container", name, max_output=MAX_INSPECT, check=False)
        self._check(done, NO_CONTAINER)
        found: list[dict[str, Any]] = json.loads(done.stdout) if done.returncode == 0 else []
        return found[0] if found else None

    async def run(self, *args: str) -> None:
        """Make a container of an image that is on the engine, and start it in the background."""
        await self._change("run", "-d", "--pull=never", *args, timeout=SLOW)

    async def join(self, network: str, container: str) -> None:
        await self._change("network", "connect", network, container)

    async def files(self, container: str, folder: str) -> dict[str, str]:
        """The text files below a folder of a container, by their paths from there; empty where there is no such folder. Raises Transient,
        also where an engine that cannot copy out (Dialect.copies_out) is asked for a container that does not run.
        """
        parent, _, name = folder.rpartition("/")
        tar = ("cp", f"{container}:{folder}", "-") if self.dialect.copies_out else ("exec", container, *PACK, parent, name)
        done = await self._run(*tar, max_output=MAX_FILES, check=False)
        self._check(done, NO_FILE)
        return text_members(done.output) if done.returncode == 0 else {}

    async def put(self, container: str, folder: str, files: Mapping[str, str]) -> None:
        """Write text files below a folder of a container that runs, with the folders in between. Not atomic."""
        await self._change("exec", "-i", container, *UNPACK, folder, stdin=archive_of(files))

    async def give(self, container: str, argv: Sequence[str], text: str) -> None:
        """Run a command that changes something in a container, with a text to read. Raises Transient."""
        await self._change("exec", "-i", container, *argv, stdin=text)

    async def read_file(self, container: str, path: str) -> str:
        """A small text file of a container. Raises Transient when it is not there (yet) or is not a small text file."""
        if not self.dialect.copies_out:
            return (await self._run("exec", container, "cat", path)).stdout
        done = await self._run("cp", f"{container}:{path}", "-", max_output=MAX_FILE)
        return only_member(done.output)

    async def write_file(self, container: str, path: str, text: str) -> None:
        """Replace a file of a running container, in one moment; nobody but root may read it. Raises Transient."""
        await self._to_its_end(self._run("exec", "-i", container, "sh", "-c", WRITE, "sh", path, stdin=text))

    async def execute(self, container: str, *argv: str, timeout: float = 0.0) -> None:
        """Run a command that changes something in a container. Raises Transient."""
        await self._change("exec", container, *argv, timeout=timeout)

    async def attempt(self, container: str, *argv: str, timeout: float) -> Completed:
        """The same where the exit code is for the caller to judge. Raises Transient when the engine does not answer in that time."""
        return await self._change("exec", container, *argv, timeout=timeout, check=False)

    async def make(self, arguments: Sequence[str], stdin: str, job: Job, timeout: float) -> Completed:
        """Make a container. It goes on when this process dies, as a job that the next holder of its lock waits for. Raises Transient."""
        made = False
        try:
            done = await self._to_its_end(
                self._answer(run_making(self._command(("run", *arguments), timeout, MAX_OUTPUT, stdin), job))
            )
            made = True
        finally:
            if not made:
                job.on_interrupted()
        return done

    async def events(self) -> AsyncGenerator[str | None, None]:
        """Cluster names of containers that changed; None: something changed. Raises Transient when the engine goes away."""
        command = self._command(("events", *self.dialect.events), self._timeout, MAX_OUTPUT)
        try:
            async with aclosing(stream_lines(command)) as lines:
                async for line in lines:
                    cluster = event_cluster(line)
                    if cluster != NO_CLUSTER:
                        self.forget_listing()
                        yield cluster
        except RunError as error:
            raise engine_failure(error, self.name) from error

    # --- inside --------------------------------------------------------------------------------------------------------------

    async def _daemon(self) -> str:
        return (await self.info()).daemon

    async def _existing(self, ids: Sequence[str]) -> list[str]:
        present = set((await self._lister.ps("-q")).split())
        return [one for one in ids if one in present]

    async def _change(self, *args: str, timeout: float = 0.0, check: bool = True, stdin: str = "") -> Completed:
        """Run a command that changes something; when cancelled, end only after it has ended, or after FINISH seconds.

        The engine goes on with what its client asked for when the client is killed. A cancelled task that ended at once would leave
        a change that happens later, for instance in a cluster that was paused in the meantime.
        """
        return await self._to_its_end(self._run(*args, timeout=timeout, check=check, stdin=stdin))

    async def _to_its_end(self, work: Coroutine[Any, Any, Completed]) -> Completed:
        running = asyncio.create_task(work)
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

    async def _run(
        self, *args: str, timeout: float = 0.0, max_output: int = MAX_OUTPUT, check: bool = True, stdin: str = ""
    ) -> Completed:
        return await self._answer(run_command(self._command(args, timeout or self._timeout, max_output, stdin), check=check))

    async def _tail(self, *args: str, limit: int, timeout: float) -> str:
        done = await self._answer(run_for_tail(self._command(args, timeout, limit)))
        return f"{done.stdout}{done.stderr}"

    async def _answer(self, running: Awaitable[Completed]) -> Completed:
        try:
            return await running
        except RunError as error:
            raise engine_failure(error, self.name) from error

    def _command(self, args: Sequence[str], timeout: float, max_output: int, stdin: str = "") -> Command:
        return Command(argv=[self.name, *args], env=self._env, timeout=timeout, max_output=max_output, stdin=stdin)


def _info(engine: str, answer: Any, namespace: str) -> EngineInfo:
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
    description = f"{engine} {version} (cgroup v{cgroup}{', rootless' if rootless else ''})"
    return EngineInfo(description, str(root_dir), daemon_name(engine, answer, namespace))


def _not_removed(engine: str, count: int, *, frozen: bool) -> str:
    cure = " Processes of theirs cannot be killed: thaw them (cgroup v1: freezer.state), or restart the host." if frozen else ""
    return f"{engine} does not finish removing {count} container(s); it is tried again.{cure}"
