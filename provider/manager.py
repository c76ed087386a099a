"""A manager's life: stand by, lead, work, end. Ports, queue, tasks, workers and watch are wired together here, and nothing is decided.

Knows no adapter: what it runs on is handed in as Parts, by provider.manager or by a test.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from provider.api import names
from provider.api.conditions import Reason
from provider.api.meta import ObjectKey, Resource
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES
from provider.controller.controller import Workers
from provider.controller.leaderelection import Elector
from provider.controller.result import Result
from provider.controller.tasks import TaskManager
from provider.controller.workqueue import WorkQueue
from provider.errors import ProviderError, Transient
from provider.observability.health import Server
from provider.observability.metrics import Metrics
from provider.ports.clock import Clock
from provider.ports.kube import Kube, Recorder
from provider.ports.runtime import Runtime, Verb
from provider.ports.workload import Workload
from provider.reconcile.kindcluster import Reconciler
from provider.reconcile.kindcontrolplane import ControlPlaneReconciler
from provider.reconcile.options import ReconcileOptions
from provider.settings import Settings

log = logging.getLogger(__name__)

JOBS_DEADLINE = 7.0
"""Seconds for running operations to end after a signal; with what follows the process ends in less than ten."""
PASS_GRACE = 1.0
"""Seconds for passes under way to finish their last write."""
EVENT_DELAY = 0.1
"""Seconds during which events of one cluster become one look; an engine reports many at once."""
PUMP_FIRST, PUMP_LONGEST = 1.0, 30.0
LIST_FIRST, LIST_LONGEST = 0.5, 15.0
"""Seconds between tries to list what exists at the start."""
SILENT_WATCH = 30.0
"""Seconds without a sign of life from the watch thread after which the process counts as unhealthy."""
SLOW_PASS = 30.0
"""Seconds beyond its deadline after which a pass counts as stuck."""


class Watching(Protocol):
    """What the manager needs of provider.controller.watch.Watch."""

    @property
    def alive(self) -> bool: ...
    @property
    def ready(self) -> bool: ...
    def silence(self) -> float: ...
    def start(self) -> None: ...
    async def stop(self) -> None: ...


StartWatch = Callable[[Callable[[Resource, ObjectKey], None], Callable[[], None], Callable[[], None]], Watching]
"""(add, gave_up, restarted) → something that watches."""


@dataclass(slots=True)
class Parts:
    """The adapters a manager runs on; tests put fakes here."""

    kube: Kube
    workload: Workload
    recorder: Recorder
    runtimes: Mapping[str, Runtime]
    clock: Clock
    make_watch: StartWatch
    elector: Elector | None = None
    """None: work without a Lease."""


class Manager:
    """One run from start to end."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self.settings, self.parts = settings, parts
        self.metrics = Metrics()
        self.queue = WorkQueue(waited=self.metrics.waited)
        slots = {
            Verb.PREPARE: settings.create_slots,
            Verb.CREATE: settings.create_slots,
            Verb.DELETE: settings.delete_slots,
            Verb.START: settings.start_slots,
        }
        self.tasks = TaskManager(slots, self.queue.add, parts.clock, finished=self.metrics.task_ended)
        options = reconcile_options(settings)
        self.reconciler = Reconciler(
            parts.kube,
            parts.workload,
            parts.runtimes,
            self.tasks,
            parts.clock,
            parts.recorder,
            options,
            self.queue.add,
        )
        self.workers = Workers(
            self.queue,
            self.reconciler.reconcile,
            timeout=settings.reconcile_timeout.total_seconds(),
            resync=settings.sync_period.total_seconds(),
            passed=self._passed,
        )
        self.control_planes = WorkQueue()
        self.mirrors = ControlPlaneReconciler(parts.kube, parts.clock, options, self.queue.add)
        self.mirror_worker = Workers(
            self.control_planes,
            self.mirrors.reconcile,
            timeout=settings.reconcile_timeout.total_seconds(),
            resync=settings.sync_period.total_seconds(),
            passed=lambda _, outcome, seconds, __: self.metrics.passed(outcome, seconds),
        )
        self.watch = parts.make_watch(self._add, self._gave_up, self.metrics.watch_restarted)
        self.servers: list[Server] = []
        self.metrics.watch_values(self.queue.__len__, self.tasks.counts)
        self._listed = False
        self._started = False
        self._ending = asyncio.Event()
        self._exit_code = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: list[asyncio.Task[None]] = []

    # --- life ------------------------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Returns the exit code when told to end or unable to go on. Raises ProviderError when it cannot even start."""
        try:
            await self._listen()
            if await self._lead():
                self._work()
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

    async def _lead(self) -> bool:
        """Wait for the Lease, and keep it. False when told to end before."""
        if self.parts.elector is not None:
            self.metrics.set_leading(False)
            acquiring, ending = asyncio.create_task(self.parts.elector.acquire()), asyncio.create_task(self._ending.wait())
            await asyncio.wait({acquiring, ending}, return_when=asyncio.FIRST_COMPLETED)
            for task in (acquiring, ending):
                task.cancel()
            if self._ending.is_set():
                return False
            await acquiring
            self._spawn(self._keep_lease(self.parts.elector), "lease")
        self.metrics.set_leading(True)
        return True

    async def _keep_lease(self, elector: Elector) -> None:
        await elector.keep()
        self.metrics.set_leading(False)
        self.end(1)

    def _work(self) -> None:
        self._started = True
        self.watch.start()
        self._spawn(self._list_all(), "first list")
        for runtime in self.parts.runtimes.values():
            self._spawn(self._pump(runtime), f"events of {runtime.name}")
        self._busy = [self._spawn(self.workers.work(), f"worker {number}") for number in range(self.settings.concurrency)]
        self._busy.append(self._spawn(self.mirror_worker.work(), "worker of control planes"))
        log.info("Working", extra={"concurrency": self.settings.concurrency, "namespace": self.settings.namespace or "all"})

    async def _shut_down(self) -> None:
        """Take no more keys, end running operations, then everything else. Bounded."""
        log.info("Ending", extra={"tasks": sum(count for (_, state), count in self.tasks.counts().items() if state == "running")})
        self.queue.close()
        self.control_planes.close()
        left, _ = await asyncio.gather(self._end_work(), self.watch.stop() if self._started else asyncio.sleep(0))
        await _end(self._tasks)
        if left:
            log.error("Operations did not end in time", extra={"objects": ", ".join(map(str, left))})
        elif self.parts.elector is not None:
            await self.parts.elector.release()
        for server in self.servers:
            await server.stop()

    async def _end_work(self) -> list[ObjectKey]:
        """Passes get a moment to finish; operations are cancelled meanwhile, and waited for."""
        tasks = asyncio.create_task(self.tasks.shutdown(JOBS_DEADLINE))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PASS_GRACE):
                await self.queue.idle()
        await _end(self._busy)
        return await tasks

    def _spawn(self, work: Awaitable[None], name: str) -> asyncio.Task[None]:
        """A task whose failure ends the manager: none of them is expected to fail."""

        async def guarded() -> None:
            try:
                await work
            except Exception:
                log.exception("A part of the manager failed", extra={"part": name})
                self.end(1)

        task = asyncio.create_task(guarded(), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- what brings keys --------------------------------------------------------------------------------------------------------

    def _add(self, resource: Resource, key: ObjectKey) -> None:
        if self.settings.namespace not in (None, key.namespace):
            return
        if resource == KINDCONTROLPLANES:
            self.control_planes.add(key)
            return
        self.queue.add(key)
        for mirror in self.mirrors.mirrored.keys(key):
            self.control_planes.add(mirror)

    def _gave_up(self) -> None:
        self.end(1)

    async def _list_all(self) -> None:
        """Every object once, as soon as the API server answers; from then on the watch brings news."""
        delay = LIST_FIRST
        while not self._listed:
            try:
                if not await self.parts.kube.serves(names.GROUP):
                    raise Transient(
                        Reason.NOT_INSTALLED, f"The API server does not serve {names.GROUP}: install the CRDs (make install)."
                    )
                for resource in (KINDCLUSTERS, KINDCONTROLPLANES):
                    for obj in await self.parts.kube.list(resource, namespace=self.settings.namespace):
                        self._add(resource, ObjectKey(obj["metadata"]["namespace"], obj["metadata"]["name"]))
                self._listed = True
            except ProviderError as error:
                log.warning("Cannot list KINDClusters yet", extra={"reason": error.reason, "error": error.message})
                await asyncio.sleep(delay)
                delay = min(delay * 2, LIST_LONGEST)

    async def _pump(self, runtime: Runtime) -> None:
        """News of a runtime → keys of the clusters concerned."""
        delay = PUMP_FIRST
        while True:
            try:
                async for event in runtime.events():
                    delay = PUMP_FIRST
                    index, name = self.reconciler.cluster_names, event.cluster_name
                    for key in index.all() if name is None else index.keys(name):
                        self.queue.add_after(key, EVENT_DELAY)
            except ProviderError as error:
                log.warning("No news of the runtime", extra={"runtime": runtime.name, "error": error.message})
            await asyncio.sleep(delay)
            delay = min(delay * 2, PUMP_LONGEST)

    def _passed(self, key: ObjectKey, outcome: str, seconds: float, result: Result) -> None:
        self.metrics.passed(outcome, seconds)
        if outcome == "success":
            self.metrics.set_phase(key, result.phase)

    # --- what the outside sees ---------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        health, diagnostics = Server(), Server()
        health.add_checks("/healthz", {"watch": self._check_watch, "reconcile": self._check_passes})
        health.add_checks("/readyz", {"synced": self._check_synced})
        diagnostics.add_page("/metrics", self.metrics.exposition)
        wanted = [(health, self.settings.health_addr, "--health-addr")]
        wanted.append((diagnostics, self.settings.diagnostics_address, "--diagnostics-address"))
        for server, address, flag in wanted:
            if address is not None:
                await server.start(address, flag)
                self.servers.append(server)

    def _check_watch(self) -> str:
        if not self._started:
            return ""
        if not self.watch.alive:
            return "the watch thread has ended"
        silence = self.watch.silence()
        return f"the watch thread has been silent for {silence:.0f} s" if silence > SILENT_WATCH else ""

    def _check_passes(self) -> str:
        oldest = self.queue.oldest()
        limit = self.settings.reconcile_timeout.total_seconds() + SLOW_PASS
        return f"{oldest[0]} has been looked at for {oldest[1]:.0f} s" if oldest is not None and oldest[1] > limit else ""

    def _check_synced(self) -> str:
        """A manager that waits for the Lease is ready: it stands by."""
        if not self._started or (self._listed and self.watch.ready):
            return ""
        return "not listening to the API server's events yet" if self._listed else "the API server's objects are not listed yet"


async def _end(tasks: set[asyncio.Task[None]] | list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def reconcile_options(settings: Settings) -> ReconcileOptions:
    return ReconcileOptions(
        default_runtime=settings.runtime,
        default_image=settings.default_image,
        default_create_timeout=settings.create_timeout,
        create_attempts=settings.create_attempts,
        namespace=settings.namespace,
        watch_filter=settings.watch_filter,
        inside_network=settings.inside_network,
    )
