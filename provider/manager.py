"""Runs controllers: wait for the Lease, list and watch what they watch, run them, end in order. Nothing is decided here.

Knows no kind of object and no adapter: it runs on the Parts it is given, and builds its controllers with a function it is given
(provider.controllers.build).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.backoff import FIRST_LIST
from provider.controller.controller import Controller
from provider.controller.leaderelection import Elector
from provider.controller.sources import Handle, WatchedResource, watched_resources
from provider.controller.tasks import TaskManager
from provider.errors import ProviderError, Transient
from provider.observability.health import Page, Server, checks
from provider.observability.metrics import Metrics
from provider.policy.file import DEFAULT, Policy
from provider.ports.clock import Clock
from provider.ports.kube import Kube, Recorder
from provider.ports.runtime import Endpoint, Runtime
from provider.ports.workload import Workload
from provider.settings import Settings

log = logging.getLogger(__name__)

TASKS_DEADLINE = 7.0
"""Seconds for running tasks to end after a signal; with what follows the process ends in less than ten."""
PASS_GRACE = 1.0
"""Seconds for passes under way to finish their last write."""
SILENT_WATCH = 30.0
"""Seconds without a heartbeat of the watch thread after which the process counts as unhealthy."""
SLOW_PASS = 30.0
"""Seconds beyond its deadline after which a pass counts as stuck."""


class Watcher(Protocol):
    """What the manager needs of provider.controller.watch.KopfWatcher."""

    @property
    def alive(self) -> bool: ...
    @property
    def ready(self) -> bool: ...
    def silence(self) -> float: ...
    def start(self) -> None: ...
    async def stop(self) -> None: ...


@dataclass(slots=True)
class Parts:
    """The adapters a manager runs on; tests put fakes here."""

    kube: Kube
    workload: Workload
    recorder: Recorder
    runtimes: Mapping[str, Runtime]
    clock: Clock
    make_watcher: Callable[[Sequence[WatchedResource], Handle, Callable[[], None], Callable[[], None]], Watcher]
    """(what to watch, handle, gave_up, restarted) → a watcher that is not started yet."""
    elector: Elector | None = None
    """None: work without a Lease."""
    policy: Policy = DEFAULT
    """What objects may ask of the engine's host."""


Build = Callable[[Settings, Parts, Metrics], tuple[Sequence[Controller], TaskManager]]
"""The controllers, and the long operations that their passes start."""


class Manager:
    """One run from start to end."""

    def __init__(self, settings: Settings, parts: Parts, build: Build) -> None:
        self.settings, self.parts = settings, parts
        self.metrics = Metrics()
        self.controllers, self.tasks = build(settings, parts, self.metrics)
        self.metrics.watch_tasks(self.tasks.counts)
        watched = watched_resources(controller.watches for controller in self.controllers)
        self.watcher = parts.make_watcher(watched, self._handle, lambda: self.end(1), self.metrics.watch_restarted)
        self.servers: list[Server] = []
        self._unlisted = {controller.name for controller in self.controllers}
        self._started = False
        self._ending = asyncio.Event()
        self._exit_code = 0
        self._parts: set[asyncio.Task[None]] = set()
        self._running: list[asyncio.Task[None]] = []

    # --- start and end ---------------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Returns the exit code when told to end or unable to go on. Raises ProviderError when it cannot even start."""
        try:
            await self._listen()
            self._spawn(self._lead(), "lease")
            await self._ending.wait()
        finally:
            await self._shut_down()
        return self._exit_code

    @property
    def ending(self) -> bool:
        return self._ending.is_set()

    def end(self, exit_code: int = 0) -> None:
        """Begin the orderly end; the first code counts."""
        if not self._ending.is_set():
            self._exit_code = exit_code
            self._ending.set()

    async def _lead(self) -> None:
        """Begin to work when the Lease is held, at once without an elector; end the manager when it is lost."""
        elector = self.parts.elector
        if elector is not None:
            await elector.acquire()
        if self.ending:
            return
        self.metrics.set_leading(True)
        self._start()
        if elector is not None:
            await elector.keep()
            self.metrics.set_leading(False)
            self.end(1)

    def _start(self) -> None:
        self._started = True
        self.watcher.start()
        for controller in self.controllers:
            self._spawn(self._list(controller), f"first list of {controller.name}")
            self._running.append(self._spawn(controller.run(), f"controller {controller.name}"))
        log.info("Working", extra={"concurrency": self.settings.concurrency, "namespace": self.settings.namespace or "all"})

    async def _shut_down(self) -> None:
        """Take no more keys, end running tasks, then everything else. Bounded."""
        log.info("Ending", extra={"tasks": sum(count for (_, state), count in self.tasks.counts().items() if state == "running")})
        for controller in self.controllers:
            controller.queue.close()
        left, _ = await asyncio.gather(self._end_work(), self.watcher.stop())
        await _end(self._parts)
        if left:
            # The Lease is kept: what these tasks do may still change clusters, so no successor may begin before it runs out.
            log.error("Operations did not end in time", extra={"objects": ", ".join(map(str, left))})
        elif self.parts.elector is not None:
            await self.parts.elector.release()
        for server in self.servers:
            await server.stop()

    async def _end_work(self) -> list[ObjectKey]:
        """Passes may finish within PASS_GRACE; tasks are cancelled meanwhile, and waited for. Returns the keys whose tasks did not end."""
        tasks = asyncio.create_task(self.tasks.shutdown(TASKS_DEADLINE))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PASS_GRACE):
                for controller in self.controllers:
                    await controller.queue.idle()
        await _end(self._running)
        return await tasks

    def _spawn(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """A part of the manager that is not expected to fail: its failure ends the manager, which is restarted from outside."""

        async def guarded() -> None:
            try:
                await work
            except asyncio.CancelledError:
                if not self.ending:  # nobody cancels a part before the end: without this, the others would work on alone
                    log.exception("A part of the manager was cancelled", extra={"part": name})
                    self.end(1)
                raise
            except Exception:
                log.exception("A part of the manager failed", extra={"part": name})
                self.end(1)

        task = asyncio.create_task(guarded(), name=name)
        self._parts.add(task)
        task.add_done_callback(self._parts.discard)
        return task

    # --- objects ---------------------------------------------------------------------------------------------------------------

    def _handle(self, resource: Resource, obj: JsonObject) -> None:
        for controller in self.controllers:
            controller.handle(resource, obj)

    async def _list(self, controller: Controller) -> None:
        """Every object once, as soon as the API server answers: a manager is ready only when it has seen what exists.

        The watch lists as well; both lead to one key in the queue.
        """
        resource = controller.resource
        for delay in FIRST_LIST:
            try:
                if not await self.parts.kube.serves(resource.group):
                    message = f"The API server does not serve {resource.group}: install the CRDs (make install)."
                    raise Transient(Reason.NOT_INSTALLED, message)
                for obj in await self.parts.kube.list(resource, namespace=self.settings.namespace):
                    self._handle(resource, obj)
            except ProviderError as error:
                context = {"kind": resource.kind, "reason": error.reason, "error": error.message}
                log.warning("Cannot list objects yet", extra=context)
                await asyncio.sleep(delay)
            else:
                self._unlisted.discard(controller.name)
                return

    # --- health and metrics ----------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        healthz = checks({"watch": self._check_watch, "workers": self._check_workers, "reconcile": self._check_passes})
        health = {"/healthz": healthz, "/readyz": checks({"synced": self._check_synced})}
        await self._serve(health, self.settings.health_addr, "--health-addr")
        await self._serve({"/metrics": self.metrics.exposition}, self.settings.diagnostics_address, "--diagnostics-address")

    async def _serve(self, pages: Mapping[str, Page], address: Endpoint | None, flag: str) -> None:
        if address is not None:
            server = Server(pages)
            await server.start(address, flag)
            self.servers.append(server)

    def _check_watch(self) -> str:
        if not self._started:
            return ""
        if not self.watcher.alive:
            return "the watch thread has ended"
        silence = self.watcher.silence()
        return f"the watch thread has been silent for {silence:.0f} s" if silence > SILENT_WATCH else ""

    def _check_workers(self) -> str:
        ended = [name for controller in self.controllers for name in controller.ended()]
        return f"ended: {', '.join(ended)}" if ended else ""

    def _check_passes(self) -> str:
        for controller in self.controllers:
            oldest = controller.queue.oldest()
            if oldest is not None and oldest[1] > controller.timeout + SLOW_PASS:
                return f"{oldest[0]} has been looked at for {oldest[1]:.0f} s"
        return ""

    def _check_synced(self) -> str:
        """A manager that waits for the Lease is ready: it has nothing to do."""
        if not self._started:
            return ""
        if self._unlisted:
            return "the API server's objects are not listed yet"
        return "" if self.watcher.ready else "not listening to the API server's events yet"


async def _end(tasks: set[asyncio.Task[None]] | list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
