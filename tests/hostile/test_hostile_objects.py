"""Random objects, valid or almost, against a real API server with a whole manager at work on runtimes that make nothing real.

`make test-hostile` writes 10,000 of them; as a part of the envtest tier it is a sample of 120. HOSTILE_OBJECTS says how many.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import random
import resource
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from provider.adapters.clock import SystemClock
from provider.adapters.kube.client import KubeClient
from provider.adapters.kube.login import Login, login
from provider.api import names
from provider.controller.watch import KopfWatcher
from provider.controllers import build
from provider.manager import Manager, Parts
from provider.settings import Settings
from tests.conftest import Figure
from tests.envtest.crd import COLLECTION, KindClusters, kindcluster
from tests.fakes.runtime import FakeRuntime
from tests.fakes.workload import FakeRecorder, FakeWorkload
from tests.hostile.objects import Json, hostile

SEED = 20261126
SAMPLE = 120
BATCH = 60
SECRETS = "/api/v1/namespaces/default/secrets"
CANARIES = ("canary", "victim", "a")
"""Names of clusters that are not ours, which objects ask for; the Secrets of the first two exist, too."""
GIVE_UP = 120.0
MEGABYTES = 400


class Bench:
    """The server, a manager, the runtimes, what must not change."""

    def __init__(self, kindclusters: KindClusters, kubeconfig: Path, scratch: Path) -> None:
        self.server, self.request = kindclusters, kindclusters.api.request
        self.runtimes = {name: FakeRuntime(name, simulated=name == "local") for name in ("kind", "local")}
        for runtime in self.runtimes.values():
            for name in CANARIES:
                runtime.add_foreign(name)
        for name in CANARIES:
            for suffix in ("config", "kubeconfig"):
                self.request("POST", SECRETS, {"metadata": {"name": f"{name}-{suffix}"}, "stringData": {"value": "canary"}})
        self._kubeconfig, self._scratch = str(kubeconfig), scratch
        self.before = self.canaries()

    def canaries(self) -> str:
        secrets = [
            self.request("GET", f"{SECRETS}/{name}-{suffix}")[1] for name in CANARIES for suffix in ("config", "kubeconfig")
        ]
        return repr(([runtime.clusters.get(name) for runtime in self.runtimes.values() for name in CANARIES], secrets))

    @contextlib.asynccontextmanager
    async def manager(self) -> AsyncIterator[asyncio.Task[int]]:
        async def enter() -> Login:
            return await login(self._kubeconfig, "", self._scratch)

        kube = KubeClient(enter)
        await kube.connect()
        parts = Parts(
            kube=kube,
            workload=FakeWorkload(self.runtimes["kind"]),
            recorder=FakeRecorder(),
            runtimes=dict(self.runtimes),
            clock=SystemClock(),
            make_watcher=functools.partial(KopfWatcher, enter),
            elector=None,
        )
        settings = Settings(health_addr=None, diagnostics_address=None, leader_elect=False)
        manager = Manager(settings, parts, build)
        task = asyncio.create_task(manager.run())
        try:
            yield task
        finally:
            manager.end()
            await task
            await kube.close()

    # --- what a user does; each of these blocks its thread ----------------------------------------------------------------------

    def write(self, obj: Json, status: Json | None) -> bool:
        """Whether the server took it."""
        code, stored = self.request("POST", COLLECTION + "?fieldValidation=Ignore", obj)
        assert code < 500, stored
        if code >= 300:
            return False
        if status is not None:
            code, answer = self.request("PUT", f"{COLLECTION}/{obj['metadata']['name']}/status", {**stored, "status": status})
            assert code < 500, answer
        return True

    def get(self, name: str) -> Json:
        return self.request("GET", f"{COLLECTION}/{name}")[1]

    def cure_and_delete(self, name: str) -> None:
        """Take away what keeps the manager off it, or makes it keep the cluster, and say which engine daemon counts; then delete."""
        kept = [one for one in self.get(name)["metadata"].get("finalizers", []) if one == names.FINALIZER]
        cure: dict[str, Any] = {"metadata": {"annotations": None, "labels": None, "ownerReferences": None, "finalizers": kept}}
        daemon = {"metadata": {"annotations": {names.DAEMON_ANNOTATION: self.runtimes["kind"].daemon}}}
        for patch in (cure, daemon, {"spec": {"deletionPolicy": "Delete"}}):
            self.request("PATCH", f"{COLLECTION}/{name}", patch, content_type="application/merge-patch+json")
        self.request("DELETE", f"{COLLECTION}/{name}")

    def left(self) -> list[str]:
        return [item["metadata"]["name"] for item in self.request("GET", COLLECTION)[1]["items"]]


async def until(done: Callable[[], object], what: Callable[[], object]) -> None:
    """`done` asks the server from another thread, so that the manager goes on meanwhile."""
    end = time.monotonic() + GIVE_UP
    while not await asyncio.to_thread(done):
        assert time.monotonic() < end, f"not within {GIVE_UP:.0f} s: {what()}"
        await asyncio.sleep(0.1)


async def one_batch(bench: Bench, numbers: range, rng: random.Random, schema: Json) -> int:
    """Write, wait for an ordinary object among them, cure, delete, wait until all are gone. Returns how many the server took."""
    objects = [hostile(schema, f"hostile-{number}", rng) for number in numbers]
    taken = [obj["metadata"]["name"] for obj, status in objects if await asyncio.to_thread(bench.write, obj, status)]
    good = f"good-{numbers.start}"
    await asyncio.to_thread(bench.write, kindcluster(good, runtime="kind"), None)
    await until(lambda: (bench.get(good).get("status") or {}).get("phase") == "Ready", lambda: bench.get(good))
    for name in (*taken, good):
        await asyncio.to_thread(bench.cure_and_delete, name)
    await until(lambda: not bench.left(), lambda: [bench.get(name) for name in bench.left()[:3]])
    return len(taken)


@pytest.mark.timeout(3600)
@pytest.mark.fault(
    27,
    "random objects made from the CRD's schema, odd metadata and status, real API server, whole manager",
    invariants="I2 I3 I12 I14",
)
async def test_no_object_ends_the_manager_or_touches_what_is_not_its_own(
    kindclusters: KindClusters, tmp_path: Path, figure: Figure
) -> None:
    """Whatever the API server takes: the manager lives, others are served meanwhile, canaries stay, a delete leaves nothing."""
    count = int(os.environ.get("HOSTILE_OBJECTS", SAMPLE))
    schema = kindclusters.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    rng = random.Random(SEED)  # noqa: S311 - repeatable on purpose
    bench = Bench(kindclusters, kindclusters.api.kubeconfig, tmp_path)
    taken, threads = 0, threading.active_count()
    async with bench.manager() as manager:
        for start in range(0, count, BATCH):
            taken += await one_batch(bench, range(start, min(start + BATCH, count)), rng, schema)
            assert not manager.done(), manager
    gc.collect()

    assert bench.canaries() == bench.before
    assert [] == [node for runtime in bench.runtimes.values() for node in runtime.marked()]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MEGABYTES * 1024
    assert threading.active_count() <= threads + 8
    secrets = [item["metadata"]["name"] for item in bench.request("GET", SECRETS)[1]["items"]]
    assert [] == [name for name in secrets if name.startswith(("hostile-", "good-"))]
    figure("objects", count)
    figure("accepted by the API server", taken)
    figure("seed", SEED)
