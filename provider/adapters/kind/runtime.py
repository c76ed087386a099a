"""The runtime `kind`: whole clusters as containers, made by the kind command on docker, podman or nerdctl. Implements ports.Runtime.

What exists is always observed by label and marker, never inferred from an exit code; what is removed is removed by container id, after
the marker was seen on it under the name's lock. The user's own kubeconfig is never read or written.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from provider.adapters import realpaths, state_dir
from provider.adapters.engine.choice import EngineChoice, child_environment
from provider.adapters.engine.cli import Engine
from provider.adapters.engine.listing import Container
from provider.adapters.kind import connecting, containers, events, fetching, logs, network, preflight, preload, releases
from provider.adapters.kind.archives import Archives
from provider.adapters.kind.cli import OLDEST, KindCommand, Listener, making_job, must_finish
from provider.adapters.kind.errors import create_failure, only_kubeconfig_failed
from provider.adapters.kind.options import KindOptions
from provider.adapters.kind.ownership import complete, containers_of, control_plane, observation, wanted_roles
from provider.adapters.kind.progress import StepLines
from provider.adapters.kind.refusals import UNEXPLAINED, component_logs, refusal
from provider.adapters.kind.restarts import survive_restarts
from provider.adapters.kind.scaling import Scaler
from provider.adapters.kind.shared_registry import SharedRegistry
from provider.adapters.kind.volumes import NodeVolumes
from provider.adapters.kube import kubeconfig
from provider.adapters.locks import Held, NameLocks
from provider.adapters.oserrors import at_the_edge
from provider.adapters.process.command import CommandMissing, CommandTimeout, RunError
from provider.adapters.pruning import prune
from provider.adapters.steps import as_step
from provider.api import kind
from provider.api.conditions import Reason
from provider.errors import NotOurs, ProviderError, Transient
from provider.ports.registries import Connected, Registries
from provider.ports.runtime import (
    ClusterRequest,
    Identity,
    NodeImages,
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

NOT_INSTALLED = frozenset({Reason.ENGINE_MISSING, Reason.KIND_MISSING, Reason.KIND_UNUSABLE})
"""With these it is known that the runtime cannot work; after any other error it is not."""
REMOVING, STARTING = "Removing containers", "Starting containers"
STOPPING, PAUSING = "Stopping containers", "Pausing containers"
ADMIN_CONF = "/etc/kubernetes/admin.conf"
"""kubeadm's admin kubeconfig in every control-plane node; what `kind get kubeconfig` reads, too."""
EMERGENCY_CONF = "/etc/kubernetes/super-admin.conf"
"""The same of group system:masters, in the first control-plane node; before Kubernetes 1.29 ADMIN_CONF is, and this is not there."""
INTERRUPTED = 20.0
"""Seconds after an engine command that makes something was killed during which "nothing is there" is not believed (docs/adr/0032)."""
ENDED = 60.0
"""Seconds after a create's own timeout in which whatever it started has ended."""
BOOT_LOG_LINES, BOOT_LOG_NODES = 80, 3
RENEW = ("kubeadm", "certs", "renew", "admin.conf")


@at_the_edge
class KindRuntime:
    """ports.Runtime over the kind command. To be used from one event loop, in a thread that outlives every job (see launcher.py)."""

    def __init__(self, options: KindOptions) -> None:
        self._env = child_environment(options.environment, options.state_dir)
        self._options = options
        self._engines = EngineChoice(options.engine, self._env, options.state_dir / "engine", options.engine_timeout)
        self._kind = KindCommand(
            options.kind_binary, self._env, options.state_dir / state_dir.CLUSTER_SCRATCH, options.finish_timeout
        )
        self._archives = Archives(options.archives)
        self._registry = SharedRegistry(options.registry, self._archives, self._env)
        self._locks = NameLocks(options.state_dir / state_dir.LOCKS)
        self._volumes = NodeVolumes(options.state_dir / state_dir.VOLUMES)
        self._changing: set[str] = set()
        """Names of the clusters that this process changes at the moment."""
        self._unsure_until: dict[str, float] = {}
        """Cluster name → loop time until which a container may still appear, because its engine command was killed."""

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
        return RuntimeHealth(True, description=f"{version} on {info.description}")

    async def observe(self, identity: Identity) -> RuntimeObservation:
        try:
            engine = await self._engines.get()
        except Transient as error:
            return RuntimeObservation(Presence.UNKNOWN, reason=error.reason, detail=error.message)
        pending = self._may_appear(identity.cluster_name)  # before the look: who made something then may have ended during it
        seen = await self._look(engine, identity)
        pending = (pending or self._may_appear(identity.cluster_name)) if seen.presence is Presence.ABSENT else ""
        if pending:
            return RuntimeObservation(Presence.UNKNOWN, reason=Reason.NAME_LOCKED, detail=pending)
        if seen.presence is Presence.UNKNOWN or seen.nodes:
            return seen
        idle = await self._registry.is_idle(engine, identity)
        return replace(seen, remains=self._volumes.known(identity, seen.daemon), idle_registry=idle)

    async def preflight(self, identity: Identity, request: ClusterRequest) -> Sequence[Problem]:
        engine = await self._engines.get()
        listing = await engine.containers()
        if listing.reason:
            raise Transient(listing.reason, listing.detail)
        visible, disk = engine.shares_host and not self._options.in_pod, (await engine.info()).root_dir
        found = await asyncio.to_thread(
            preflight.problems, identity, request, listing, shares_host=visible, disk=disk if visible else ""
        )
        return [*found, *await network.problems(engine, self._env, request.config)]

    async def real_paths(self, paths: Sequence[str]) -> Mapping[str, str]:
        try:
            told = not self._options.in_pod and (await self._engines.get()).shares_host
        except ProviderError:
            told = False
        return await realpaths.real_paths(paths) if told else {}

    async def node_images(self) -> NodeImages:
        engine = await self._engines.get()
        release = (await self._kind.version()).text
        archived = await asyncio.to_thread(self._archives.look)
        return NodeImages(
            f"kind {release}",
            releases.known(release),
            await engine.image_names(),
            frozenset(archived.files),
            archived.unreadable,
        )

    async def prepare(self, request: ClusterRequest, progress: Progress) -> None:
        """Fetch the images that the config names. Where it names none, kind pulls its own default: only kind knows which."""
        await fetching.fetch(await self._engines.get(), self._archives, request, request.timeout, progress)

    async def preloaded(self, identity: Identity, images: Sequence[str]) -> Sequence[Preloaded]:
        engine = await self._engines.get()
        return await preload.look(engine, self._archives, containers_of(await engine.containers(), identity), images)

    async def load(self, identity: Identity, images: Sequence[str], progress: Progress) -> None:
        engine = await self._engines.get()
        await preload.load(engine, self._archives, containers_of(await engine.containers(), identity), images, progress)

    async def connected(self, identity: Identity, wanted: Registries) -> Connected:
        engine = await self._engines.get()
        own = containers_of(await engine.containers(), identity)
        return await connecting.look(engine, self._registry, identity, own, wanted)

    async def connect(self, identity: Identity, wanted: Registries, progress: Progress) -> None:
        engine = await self._engines.get()
        own = containers_of(await engine.containers(), identity)
        await connecting.connect(engine, self._registry, identity, own, wanted, progress)

    async def kubeconfig(self, identity: Identity, *, internal: bool = False, emergency: bool = False) -> str:
        """Parsed strictly and written anew: safe to load. Raises Terminal(KubeconfigRefused) besides what the port says."""
        engine = await self._engines.get()
        listing = await engine.containers()
        source = control_plane(containers_of(listing, identity))
        seen = observation(listing, identity)
        server = seen.internal_endpoint if internal else seen.endpoint
        if source is None or server is None:
            raise Transient(Reason.KUBECONFIG_PENDING, "No control-plane node is running.")
        file = EMERGENCY_CONF if emergency else ADMIN_CONF
        try:
            text = await engine.read_file(source.id, file)
        except Transient as error:
            if error.reason not in (Reason.ENGINE_FAILED, Reason.FILE_UNREADABLE):
                raise
            message = f"{source.name} has no readable {file} yet."
            raise Transient(Reason.KUBECONFIG_PENDING, message) from error
        # In a thread: the text is the node's, and reading the longest that is accepted takes a while.
        parsed = await asyncio.to_thread(kubeconfig.parse, text)
        return parsed.at(server).dump(identity.cluster_name)

    async def renew_kubeconfig(self, identity: Identity) -> None:
        """By kubeadm, in the node that `kubeconfig` reads from. Without an API server kubeadm takes defaults, which are right for this."""
        engine = await self._engines.get()
        source = control_plane(containers_of(await engine.containers(), identity))
        if source is None:
            raise Transient(Reason.KUBECONFIG_PENDING, "No control-plane node is running.")
        await engine.execute(source.id, *RENEW)

    def events(self) -> AsyncIterator[RuntimeEvent]:
        return events.watch(self._engines)

    async def collect_logs(self, identity: Identity, directory: Path) -> None:
        with suppress(ProviderError):
            engine = await self._engines.get()
            own = containers_of(await engine.containers(), identity)
            await logs.collect(engine, own, directory)

    # --- changing ------------------------------------------------------------------------------------------------------------

    async def create(self, identity: Identity, request: ClusterRequest, progress: Progress) -> None:
        engine = await self._engines.get()
        deadline = asyncio.get_running_loop().time() + request.timeout
        async with self._hold(engine, identity) as held:
            await asyncio.to_thread(prune, self._options.state_dir)
            await self._registry.reserve(engine, identity)
            await self._remove(engine, identity, mixed=False)  # what an interrupted create left: kind refuses a name with nodes
            self._engines.pin()
            await fetching.fetch(engine, self._archives, request, deadline - asyncio.get_running_loop().time(), progress)
            nodes = [name for name, _ in kind.node_names(request.config, load_balancer=True)]
            await self._volumes.begin(engine, identity, nodes, request.timeout + ENDED)
            error = await self._make(engine, identity, request, progress, held, deadline)
            if error is not None:
                kept = await self._after_failure(engine, identity, request)
                raise type(error)(error.reason, f"{error.message} Logs: {kept}.") if kept else error
            await survive_restarts(engine, identity, progress)

    async def delete(self, identity: Identity, progress: Progress) -> None:
        engine = await self._engines.get()
        async with self._hold(engine, identity):
            self._registry.release(identity)
            try:
                await as_step(progress, REMOVING, self._remove(engine, identity, mixed=True))
            except NotOurs:
                if not await self._registry.sweep(engine, progress):  # nobody's marker is on it: it may be all that was left
                    raise
            else:
                await self._registry.sweep(engine, progress)

    async def start(self, identity: Identity, progress: Progress) -> None:
        engine = await self._engines.get()
        async with self._hold(engine, identity):
            await as_step(progress, STARTING, containers.start(engine, identity))

    async def stop(self, identity: Identity, progress: Progress) -> None:
        engine = await self._engines.get()
        async with self._hold(engine, identity):
            await survive_restarts(engine, identity, progress)  # made by an earlier version, or killed at the end of its create
            await as_step(progress, STOPPING, containers.stop(engine, identity))

    async def pause(self, identity: Identity, progress: Progress) -> None:
        engine = await self._engines.get()
        async with self._hold(engine, identity):
            await as_step(progress, PAUSING, containers.pause(engine, identity))

    async def scale(self, identity: Identity, workers: Workers, progress: Progress) -> None:
        engine = await self._engines.get()
        async with self._hold(engine, identity) as held:
            interrupted = partial(self._on_interrupted, identity.cluster_name)
            making = making_job(engine, held, self._options.finish_timeout, interrupted)
            await Scaler(engine, identity, self._volumes, making, progress).scale(workers)

    # --- inside --------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _hold(self, engine: Engine, identity: Identity) -> AsyncIterator[Held]:
        job = f"{identity.cluster_name}/{identity.marker}"
        async with self._locks.hold(identity.cluster_name, job, must_finish(engine.name)) as held:
            self._changing.add(identity.cluster_name)
            try:
                yield held
            finally:
                self._changing.discard(identity.cluster_name)
                engine.forget_listing()

    async def _look(self, engine: Engine, identity: Identity) -> RuntimeObservation:
        """From a listing that others have asked for, if that shows our containers and none of our own changes is under way.

        "Absent", "foreign" and "unknown" lead to changes, or to waiting, and are said of a new listing only.
        """
        known = engine.known_containers(self._options.listing_age)
        if known is not None and identity.cluster_name not in self._changing:
            seen = observation(known, identity)
            if seen.ownership is Ownership.OURS:
                return seen
        return observation(await engine.containers(), identity)

    def _may_appear(self, cluster_name: str) -> str:
        """Why containers may appear although none is there and this process makes none; empty when there is no reason."""
        if self._locks.in_use(cluster_name):
            return f"Another process on this host works on a cluster named {cluster_name}."
        if asyncio.get_running_loop().time() < self._unsure_until.get(cluster_name, 0.0):
            return "The engine may still be making a container for a create that was stopped."
        return ""

    def _on_interrupted(self, cluster_name: str) -> None:
        self._unsure_until[cluster_name] = asyncio.get_running_loop().time() + INTERRUPTED

    async def _make(
        self, engine: Engine, identity: Identity, request: ClusterRequest, progress: Progress, held: Held, deadline: float
    ) -> ProviderError | None:
        """One run of kind; None when a complete cluster was observed afterwards, whatever kind's exit code was."""
        loop = asyncio.get_running_loop()
        steps = StepLines(progress, loop.time)
        roles = wanted_roles(request.config)
        try:
            listener = Listener(steps.feed, lambda: self._on_interrupted(identity.cluster_name))
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
        # kind fails also for things that come after the last step, such as its own kubeconfig file, which we throw away.
        claims = done.returncode == 0 or only_kubeconfig_failed(done.stderr) or steps.all_done(roles.elements())
        if not claims:
            return await self._failure(engine, identity, done.stderr)
        own = containers_of(await engine.containers(), identity)
        if complete(own, roles):
            await self._volumes.finish(engine, identity, own)
            return None
        return Transient(Reason.CREATE_FAILED, "kind said that the cluster is made, but not all of its containers exist.")

    async def _failure(self, engine: Engine, identity: Identity, output: str) -> ProviderError:
        """What kind's words mean, and those of the nodes where kind's say too little. The nodes are still there (`--retain`)."""
        error = create_failure(output, await self._boot_logs(engine, identity), network=network.name(engine.name, self._env))
        if error.reason not in UNEXPLAINED:
            return error
        own = containers_of(await engine.containers(), identity)
        return refusal(await component_logs(engine, own)) or error

    async def _after_failure(self, engine: Engine, identity: Identity, request: ClusterRequest) -> Path | None:
        """Keep logs, remove what is ours; returns where the logs are. Raises NotOurs where a foreign cluster came in between: that
        explains more than the failure."""
        kept = await self._keep_logs(identity)
        if not request.retain_on_failure:
            await self._remove_failed(engine, identity)
        return kept

    async def _keep_logs(self, identity: Identity) -> Path | None:
        """The folder, unless nothing could be collected. What is there of an earlier failure goes."""
        if self._options.log_dir is None:
            return None
        folder = self._options.log_dir / identity.cluster_name
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await self.collect_logs(identity, folder)
        return folder if os.path.isdir(folder) else None  # noqa: PTH112, ASYNC240 - one system call on a local disk

    async def _remove_failed(self, engine: Engine, identity: Identity) -> None:
        try:
            await self._remove(engine, identity, mixed=False)
        except NotOurs:
            with suppress(ProviderError):
                await self._remove(engine, identity, mixed=True)  # ours must not stay among the others' containers
            raise
        except ProviderError:
            return  # the next create or delete removes them; what went wrong first is what matters

    async def _remove(self, engine: Engine, identity: Identity, *, mixed: bool) -> None:
        try:
            alone = await containers.remove(engine, identity, self._volumes, mixed=mixed, recheck=self._options.recheck)
        except NotOurs:
            # Nothing under the name is ours. Volumes of ours may be left all the same, of a removal that was interrupted.
            if not mixed or not await self._volumes.sweep(engine, identity, alone=False):
                raise
        else:
            await self._volumes.sweep(engine, identity, alone=alone)

    async def _boot_logs(self, engine: Engine, identity: Identity) -> str:
        """What nodes printed while booting. When one ends at once, kind only says that an expected line did not come."""
        with suppress(ProviderError):
            own: Sequence[Container] = containers_of(await engine.containers(), identity)
            return "\n".join([await engine.logs(one.id, BOOT_LOG_LINES) for one in own[:BOOT_LOG_NODES]])
        return ""
