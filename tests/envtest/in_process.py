"""A whole manager in this process, on a real API server, with runtimes that make nothing real: for what the API server does to it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from devenv.controlplane import ManagementAPI
from provider.adapters.clock import SystemClock
from provider.adapters.kube.client import KubeClient
from provider.adapters.kube.login import Login, login
from provider.controller.watch import KopfWatcher
from provider.controllers import build
from provider.manager import Manager, Parts
from provider.settings import Settings
from tests.envtest.crd import COLLECTION, JsonObject
from tests.fakes.runtime import FakeRuntime
from tests.fakes.workload import FakeRecorder, FakeWorkload

GIVE_UP = 120.0
NOT_FOUND = 404


class User:
    """The API server as users see it, from any thread; each of these blocks its thread. `close` when done."""

    def __init__(self, api: ManagementAPI) -> None:
        self._api, self._own = api, threading.local()
        self._opened: list[ManagementAPI] = []

    def request(self, method: str, path: str, body: Any = None, **options: str) -> tuple[int, JsonObject]:
        if not hasattr(self._own, "api"):
            self._own.api = ManagementAPI(self._api.folder)  # a connection for each thread
            self._opened.append(self._own.api)
        answer: tuple[int, JsonObject] = self._own.api.request(method, path, body, **options)
        return answer

    def close(self) -> None:
        for api in self._opened:
            api.disconnect()

    def create(self, obj: JsonObject) -> None:
        code, answer = self.request("POST", COLLECTION, obj)
        assert code < 300, answer

    def delete(self, name: str) -> None:
        self.request("DELETE", f"{COLLECTION}/{name}")

    def get(self, name: str) -> JsonObject:
        return self.request("GET", f"{COLLECTION}/{name}")[1]

    def phase(self, name: str) -> str:
        return str((self.get(name).get("status") or {}).get("phase", ""))

    def gone(self, name: str) -> bool:
        return self.request("GET", f"{COLLECTION}/{name}")[0] == NOT_FOUND


async def until(done: Callable[[], object], what: Callable[[], object]) -> None:
    """`done` asks the server from another thread, so that the manager goes on meanwhile. Fails with `what` after GIVE_UP."""
    end = time.monotonic() + GIVE_UP
    while not await asyncio.to_thread(done):
        assert time.monotonic() < end, f"not within {GIVE_UP:.0f} s: {what()}"
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def manager_of(
    kubeconfig: Path, runtimes: Mapping[str, FakeRuntime], scratch: Path
) -> AsyncIterator[tuple[Manager, asyncio.Task[int]]]:
    """Without a Lease and without an address. Yields it with its run, which is over only when the manager has ended."""

    async def enter() -> Login:
        return await login(str(kubeconfig), "", scratch)

    kube = KubeClient(enter)
    await kube.connect()
    parts = Parts(
        kube=kube,
        workload=FakeWorkload(runtimes["kind"]),
        recorder=FakeRecorder(),
        runtimes=dict(runtimes),
        clock=SystemClock(),
        make_watcher=functools.partial(KopfWatcher, enter),
        elector=None,
    )
    manager = Manager(Settings(health_addr=None, diagnostics_address=None, leader_elect=False), parts, build)
    running = asyncio.create_task(manager.run())
    try:
        yield manager, running
    finally:
        manager.end()
        await running
        await kube.close()


def healthy(manager: Manager) -> bool:
    """What /healthz would say."""
    return manager._check_watch() == manager._check_workers() == manager._check_passes() == ""
