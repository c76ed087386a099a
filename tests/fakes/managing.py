"""A whole manager on fakes: what a test makes it of, and an API server whose events reach it. For virtual time, or real."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from provider.api import names
from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.controller.leaderelection import Elector
from provider.controller.sources import WatchedResource
from provider.controllers import CONTROLLERS, Entry, build
from provider.manager import Manager, Parts
from provider.settings import Settings
from tests.fakes.clock import LoopClock
from tests.fakes.kube import FakeKube
from tests.fakes.runtime import FakeRuntime
from tests.fakes.workload import FakeRecorder, FakeWorkload
from tests.fakes.world import KEY

QUIET = {"health_addr": None, "diagnostics_address": None, "leader_elect": False}


@dataclass
class FakeWatch:
    """Passes on what happens in a FakeKube, while it runs."""

    kube: FakeKube
    watched: Sequence[WatchedResource]
    handle: Callable[[Resource, JsonObject], None]
    gave_up: Callable[[], None]
    restarted: Callable[[], None]
    alive: bool = False
    stopped: bool = False
    silent: float = 0.0
    connected: bool = True
    """False: the API server is away, and nothing is heard of what happens."""

    @property
    def ready(self) -> bool:
        return self.alive

    def silence(self) -> float:
        return self.silent

    def start(self) -> None:
        self.alive = True
        self.kube.watch(self._saw)

    async def stop(self) -> None:
        self.alive, self.stopped = False, True

    def reconnect(self) -> None:
        """As a watch does that could not go on where it was: everything that exists is listed."""
        self.connected = True
        for one in self.watched:
            for obj in self.kube.find(one.resource):
                self.handle(one.resource, obj)

    def _saw(self, change: str, resource: Resource, obj: JsonObject) -> None:
        if self.alive and self.connected and resource in {one.resource for one in self.watched}:
            self.handle(resource, obj)


@dataclass
class Bench:
    """Fakes, and managers on them."""

    kube: FakeKube = field(default_factory=FakeKube)
    runtime: FakeRuntime = field(default_factory=FakeRuntime)
    recorder: FakeRecorder = field(default_factory=FakeRecorder)
    watches: list[FakeWatch] = field(default_factory=list)
    entries: tuple[Entry, ...] = CONTROLLERS

    def __post_init__(self) -> None:
        self.kube.groups.add(names.CONTROL_PLANE_GROUP)

    def manager(self, *, identity: str = "", **settings: Any) -> Manager:
        elector = Elector(self.kube, LoopClock(), "default", identity) if identity else None
        parts = Parts(
            kube=self.kube,
            workload=FakeWorkload(self.runtime),
            recorder=self.recorder,
            runtimes={"kind": self.runtime},
            clock=LoopClock(),
            make_watcher=self._watch,
            elector=elector,
        )
        return Manager(Settings(**(QUIET | settings)), parts, functools.partial(build, entries=self.entries))

    def _watch(self, *callbacks: Any) -> FakeWatch:
        self.watches.append(FakeWatch(self.kube, *callbacks))
        return self.watches[-1]

    def phase(self, key: ObjectKey = KEY) -> str:
        obj = self.kube.read(KINDCLUSTERS, key)
        return "" if obj is None else str((obj.get("status") or {}).get("phase", ""))


def now() -> float:
    return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[asyncio.Task[int]]:
    task = asyncio.create_task(manager.run())
    await asyncio.sleep(0.01)
    yield task
    manager.end()
    await task
