"""The runtime `kind`: whole clusters as containers, made by the kind command on docker, podman or nerdctl. Implements ports.Runtime.

What exists is always observed by label and marker, never inferred from an exit code; what is removed is removed by container id, after
the marker was seen on it under the name's lock. The user's own kubeconfig is never read or written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from provider.adapters.engine.cli import Engine
from provider.adapters.engine.inspect import Container
from provider.adapters.engine.select import EngineChoice, child_environment
from provider.adapters.kind import events, logs, preflight
from provider.adapters.kind.cli import OLDEST, KindCommand, Listener, must_finish
from provider.adapters.kind.errors import create_failure, only_kubeconfig_failed
from provider.adapters.kind.ownership import complete, containers_of, control_plane, observation, wanted_roles
from provider.adapters.kind.progress import StepLines
from provider.adapters.kube import kubeconfig
from provider.adapters.locks import Held, NameLocks
from provider.adapters.process.command import CommandMissing, CommandTimeout, RunError
from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.errors import NotOurs, ProviderError, Transient
from provider.ports.runtime import (
    ClusterRequest,
    Identity,
    NodeRunState,
    Presence,
    Problem,
    Progress,
    RuntimeEvent,
    RuntimeHealth,
    RuntimeObservation,
    Step,
    StepState,
)

NOT_INSTALLED = frozenset({Reason.ENGINE_MISSING, Reason.KIND_MISSING, Reason.KIND_UNUSABLE})
"""With these it is known that the runtime cannot work; after any other error it is not."""
REMOVING, STARTING = "Removing containers", "Starting containers"
ADMIN_CONF = "/etc/kubernetes/admin.conf"
"""kubeadm's admin kubeconfig in every control-plane node; what `kind get kubeconfig` reads, too."""
TORN = 20.0
"""Seconds after an engine command was killed in the middle during which "nothing there" is not believed."""
REMOVE_TIMEOUT = 30.0
"""Seconds in which nothing of ours may be left."""
BOOT_LOG_LINES, BOOT_LOG_NODES = 80, 3
HELPFUL_LOGS = 90.0
"""Seconds that collecting logs of a failed create may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KindOptions:
    """What the manager's settings mean to this runtime."""

    state_dir: Path
    """Private folder of the manager: locks/, scratch/ and the record of the engine chosen."""
    environment: Mapping[str, str]
    """The manager's environment, of which engine and kind see a part (engines.child_environment)."""
    engine: str = "auto"
    kind_binary: str = "kind"
    in_pod: bool = False
    """The manager runs in a pod: paths, ports and limits it sees are not those of the engine's host."""
    engine_timeout: float = 20.0
    """Seconds that a question to the engine may take; verbs that wait for containers get more."""
    finish_timeout: float = 6.0
    """Seconds that engine commands get to finish making a container after kind is gone: then what was observed stays true."""
    settle: float = 0.3
    """Seconds after a removal after which an empty listing is believed: the engine may still have been making a container."""
    log_dir: Path | None = None
    """Where logs of failed creates are kept, one folder per cluster name, before their containers go; None = they are not."""


class KindRuntime:
    """ports.Runtime over the kind command. One event loop, and one thread that outlives all jobs (see launcher.py)."""

    def __init__(self, options: KindOptions) -> None:
        env = child_environment(options.environment, options.state_dir)
        self._options = options
        self._engines = EngineChoice(options.engine, env, options.state_dir / "engine", options.engine_timeout)
        self._kind = KindCommand(options.kind_binary, env, options.state_dir / "scratch", options.finish_timeout)
        self._locks = NameLocks(options.state_dir / "locks")
        self._torn: dict[str, float] = {}

    @property
    def name(self) -> str:
        return "kind"

    @property
    def simulated(self) -> bool:
        return False

    # --- looking -------------------------------------------------------------------------------------------------------------

    async def health(self) -> RuntimeHealth:
        try:
            info = await (await self._engines.get()).info()
            version = await self._kind.version()
        except Transient as error:
            known = False if error.reason in NOT_INSTALLED else None
            return RuntimeHealth(known, error.reason, error.message)
        if version.too_old:
            oldest = ".".join(map(str, OLDEST))
            detail = f"kind {version.text} is too old: install {oldest} or newer (https://kind.sigs.k8s.io)."
            return RuntimeHealth(False, Reason.KIND_TOO_OLD, detail)
        return RuntimeHealth(True, description=f"{version} on {info}")

    async def observe(self, identity: Identity) -> RuntimeObservation:
        try:
            engine = await self._engines.get()
        except Transient as error:
            return RuntimeObservation(Presence.UNKNOWN, reason=error.reason, detail=error.message)
        seen = observation(await engine.containers(), identity)
        doubt = self._doubt(identity.cluster_name) if seen.presence is Presence.ABSENT else ""
        return RuntimeObservation(Presence.UNKNOWN, reason=Reason.NAME_LOCKED, detail=doubt) if doubt else seen

    async def preflight(self, identity: Identity, request: ClusterRequest) -> Sequence[Problem]:
        engine = await self._engines.get()
        listing = await engine.containers()
        if listing.reason:
            raise Transient(listing.reason, listing.detail)
        visible, disk = engine.shares_host and not self._options.in_pod, (await engine.info()).root_dir
        return await asyncio.to_thread(
            preflight.problems, identity, request, listing, shares_host=visible, disk=disk if visible else ""
        )

    async def prepare(self, request: ClusterRequest, progress: Progress) -> None:
        """kind's own default image, where none is named, is left to kind: only it knows which."""
        engine = await self._engines.get()
        images = {str(node.get("image") or request.image or "") for node in request.config["nodes"]} - {""}
        for image in sorted(images):
            if not await engine.has_image(image):
                await _as_step(progress, f"Pulling {image}", lambda image=image: engine.pull(image, request.timeout))  # type: ignore[misc]

    async def kubeconfig(self, identity: Identity, *, internal: bool = False) -> str:
        """Parsed strictly and written anew: safe to load. Raises Terminal(KubeconfigRefused) besides what the port says."""
        engine = await self._engines.get()
        listing = await engine.containers()
        source = control_plane(containers_of(listing, identity))
        seen = observation(listing, identity)
        server = seen.internal_endpoint if internal else seen.endpoint
        if source is None or server is None:
            raise Transient(Reason.KUBECONFIG_PENDING, "No control-plane node is running.")
        try:
            text = await engine.read_file(source.id, ADMIN_CONF)
        except Transient as error:
            if error.reason not in (Reason.ENGINE_FAILED, Reason.FILE_UNREADABLE):
                raise
            message = f"{source.name} has no readable {ADMIN_CONF} yet."
            raise Transient(Reason.KUBECONFIG_PENDING, message) from error
        return kubeconfig.parse(text).at(server).dump(identity.cluster_name)

    def events(self) -> AsyncIterator[RuntimeEvent]:
        return events.watch(self._engines)

    async def collect_logs(self, identity: Identity, directory: Path) -> None:
        with suppress(ProviderError):
            engine = await self._engines.get()
            own = containers_of(await engine.containers(), identity)
            await logs.collect(engine, self._kind, own, identity.cluster_name, directory)

    # --- changing ------------------------------------------------------------------------------------------------------------

    async def create(self, identity: Identity, request: ClusterRequest, progress: Progress) -> None:
        engine = await self._engines.get()
        deadline = asyncio.get_running_loop().time() + request.timeout
        async with self._hold(engine, identity) as held:
            await self._remove_own(engine, identity, mixed=False)
            self._engines.pin()
            error = await self._make(engine, identity, request, progress, held, deadline)
            if error is not None:
                await self._after_failure(engine, identity, request)
                raise error

    async def delete(self, identity: Identity, progress: Progress) -> None:
        engine = await self._engines.get()
        async with self._hold(engine, identity):
            await _as_step(progress, REMOVING, lambda: self._remove_own(engine, identity, mixed=True))

    async def start(self, identity: Identity, progress: Progress) -> None:
        engine = await self._engines.get()
        async with self._hold(engine, identity):
            await _as_step(progress, STARTING, lambda: self._start_own(engine, identity))

    # --- inside --------------------------------------------------------------------------------------------------------------

    def _hold(self, engine: Engine, identity: Identity) -> AbstractAsyncContextManager[Held]:
        job = f"{identity.cluster_name}/{identity.marker}"
        return self._locks.hold(identity.cluster_name, job, must_finish(engine.name))

    def _doubt(self, cluster_name: str) -> str:
        """Why containers may appear although none is there now and nobody asks for any; empty when nothing speaks for it."""
        if self._locks.in_use(cluster_name):
            return f"Another process on this host works on a cluster named {cluster_name}."
        if asyncio.get_running_loop().time() < self._torn.get(cluster_name, 0.0):
            return "The engine may still be making a container for a create that was stopped."
        return ""

    def _remember_torn(self, cluster_name: str) -> None:
        self._torn[cluster_name] = asyncio.get_running_loop().time() + TORN

    async def _make(
        self, engine: Engine, identity: Identity, request: ClusterRequest, progress: Progress, held: Held, deadline: float
    ) -> ProviderError | None:
        """One run of kind; None when a complete cluster was observed afterwards, whatever kind's exit code was."""
        loop = asyncio.get_running_loop()
        steps = StepLines(progress, loop.time)
        roles = wanted_roles(request.config)
        try:
            listener = Listener(steps.feed, lambda: self._remember_torn(identity.cluster_name))
            timeout = deadline - loop.time()
            done = await self._kind.create(engine, identity, request, held=held, timeout=timeout, listener=listener)
        except CommandMissing as error:
            return Transient(Reason.KIND_MISSING, error.message)
        except CommandTimeout:
            at = f" It was at: {steps.failed_step()}." if steps.failed_step() else ""
            message = f"kind did not finish within {request.timeout:.0f} s.{at} Raise spec.createTimeout if the host is slow."
            return Transient(Reason.CREATE_TIMEOUT, message)
        except RunError as error:
            return Transient(Reason.CREATE_FAILED, error.message)
        claims = done.returncode == 0 or only_kubeconfig_failed(done.stderr) or steps.all_done(_names(roles))
        if not claims:
            return create_failure(done.stderr, await self._boot_logs(engine, identity))
        own = containers_of(await engine.containers(), identity)
        if complete(own, roles):
            return None
        return Transient(Reason.CREATE_FAILED, "kind said that the cluster is made, but not all of its containers exist.")

    async def _after_failure(self, engine: Engine, identity: Identity, request: ClusterRequest) -> None:
        """Keep what helps, remove what is ours. A foreign cluster that came in between is the better reason to raise."""
        if self._options.log_dir is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(HELPFUL_LOGS):
                    await self.collect_logs(identity, self._options.log_dir / identity.cluster_name)
        if request.retain_on_failure:
            return
        try:
            await self._remove_own(engine, identity, mixed=False)
        except NotOurs:
            with suppress(ProviderError):
                await self._remove_own(engine, identity, mixed=True)
            raise
        except ProviderError:
            return  # the next create or delete removes them; what went wrong first is what matters

    async def _remove_own(self, engine: Engine, identity: Identity, *, mixed: bool) -> None:
        """Until nothing of ours is left: workers first, so that the control planes, by which a person recognises the cluster, go last."""
        touched = settled = False
        deadline = asyncio.get_running_loop().time() + REMOVE_TIMEOUT
        while asyncio.get_running_loop().time() < deadline:
            listing = await engine.containers()
            if identity.cluster_name in listing.unreadable:
                await asyncio.sleep(self._options.settle)
                continue
            try:
                own = containers_of(listing, identity, mixed=mixed)
            except NotOurs:
                if mixed and touched:
                    return
                raise
            if not own and (settled or not touched):
                return
            if own:
                await _remove(engine, own)
                touched, settled = True, False
            else:
                await asyncio.sleep(self._options.settle)
                settled = True
        raise Transient(Reason.DELETE_FAILED, f"Containers of {identity.cluster_name} keep changing; it is tried again.")

    async def _start_own(self, engine: Engine, identity: Identity) -> None:
        own = containers_of(await engine.containers(), identity)
        if not own:
            raise Transient(Reason.CONTAINERS_MISSING, f"There are no containers of {identity.cluster_name} to start.")
        workers = [container for container in own if container.role is NodeRole.WORKER]
        for batch in ([container for container in own if container not in workers], workers):
            await engine.unpause([one.id for one in batch if one.state is NodeRunState.PAUSED])
            await engine.start([one.id for one in batch if one.state in (NodeRunState.STOPPED, NodeRunState.CREATED)])
        down = [one for one in containers_of(await engine.containers(), identity) if one.state is not NodeRunState.RUNNING]
        if down:
            what = ", ".join(f"{one.name} ({one.state}, exit code {one.exit_code})" for one in down)
            raise Transient(Reason.START_FAILED, f"Started, and not running: {what}. Look at its log (docker logs).")

    async def _boot_logs(self, engine: Engine, identity: Identity) -> str:
        """What nodes printed while booting: the reason for a silent death is only there."""
        with suppress(ProviderError):
            own: Sequence[Container] = containers_of(await engine.containers(), identity)
            return "\n".join([await engine.logs(one.id, BOOT_LOG_LINES) for one in own[:BOOT_LOG_NODES]])
        return ""


async def _remove(engine: Engine, own: Sequence[Container]) -> None:
    last = [container for container in own if container.role is NodeRole.CONTROL_PLANE]
    for batch in ([container for container in own if container not in last], last):
        await engine.remove([one.id for one in batch], [volume for one in batch for volume in one.volumes])


async def _as_step(progress: Progress, name: str, work: Callable[[], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    progress(Step(name, StepState.STARTED))
    try:
        await work()
    except BaseException:
        progress(Step(name, StepState.FAILED, loop.time() - started))
        raise
    progress(Step(name, StepState.SUCCEEDED, loop.time() - started))


def _names(roles: Mapping[NodeRole, int]) -> list[str]:
    return [str(role) for role, count in roles.items() for _ in range(count)]
