"""Random objects, valid or almost, against a real API server with a whole manager at work on runtimes that make nothing real.

`make test-hostile` writes 10,000 of them; as a part of the envtest tier it is a sample of 120. HOSTILE_OBJECTS says how many.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import resource
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import pytest

from provider.api import names
from tests.conftest import Figure
from tests.envtest.crd import COLLECTION, KindClusters, kindcluster
from tests.envtest.hostile.objects import Json, hostile
from tests.envtest.in_process import User, healthy, manager_of, until
from tests.fakes.runtime import FakeRuntime

SEED = 20261126
SAMPLE = 120
BATCH = 60
LANES = 3
"""Batches under way at the same time."""
SECRETS = "/api/v1/namespaces/default/secrets"
CANARIES = ("canary", "victim", "a")
"""Names of clusters that are not ours, which objects ask for; the Secrets of the first two exist, too."""
MEGABYTES = 400
POOL = 40
"""Threads: asyncio's own for what blocks (at most 32, less on small machines), and some of kopf."""
MERGE = "application/merge-patch+json"


class Server(User):
    """What a user does to hostile objects."""

    def write(self, obj: Json, status: Json | None) -> str:
        """The object's name when the server took it, else nothing."""
        code, stored = self.request("POST", COLLECTION + "?fieldValidation=Ignore", obj)
        assert code < 500, stored
        if code >= 300:
            return ""
        name: str = obj["metadata"]["name"]
        if status is not None:
            code, answer = self.request("PUT", f"{COLLECTION}/{name}/status", {**stored, "status": status})
            assert code < 500, answer
        return name

    def cure_and_delete(self, name: str, daemon: str) -> None:
        """Take away what keeps the manager off it, or makes it keep the cluster, and say which engine daemon counts; then delete."""
        meta = self.get(name)["metadata"]
        kept = [one for one in meta.get("finalizers", []) if one == names.FINALIZER]
        annotations = dict.fromkeys(meta.get("annotations", {})) | {names.DAEMON_ANNOTATION: daemon}
        cure: Json = {"labels": None, "ownerReferences": None, "finalizers": kept, "annotations": annotations}
        self.request("PATCH", f"{COLLECTION}/{name}", {"metadata": cure}, content_type=MERGE)
        self.request("PATCH", f"{COLLECTION}/{name}", {"spec": {"deletionPolicy": "Delete"}}, content_type=MERGE)
        self.request("DELETE", f"{COLLECTION}/{name}")


class Canaries:
    """What is not ours, and must not change."""

    def __init__(self, server: Server, runtimes: Iterable[FakeRuntime]) -> None:
        self._server, self._runtimes = server, list(runtimes)
        for name in CANARIES:
            for runtime in self._runtimes:
                runtime.add_foreign(name)
            for suffix in ("config", "kubeconfig"):
                server.request("POST", SECRETS, {"metadata": {"name": f"{name}-{suffix}"}, "stringData": {"value": "canary"}})

    def seen(self) -> str:
        secrets = [self._server.request("GET", path)[1] for path in self._paths()]
        return repr(([runtime.clusters.get(name) for runtime in self._runtimes for name in CANARIES], secrets))

    def remove(self) -> None:
        for path in self._paths():
            self._server.request("DELETE", path)

    @staticmethod
    def _paths() -> list[str]:
        return [f"{SECRETS}/{name}-{suffix}" for name in CANARIES for suffix in ("config", "kubeconfig")]


async def one_batch(server: Server, numbers: range, schema: Json, daemon: str) -> int:
    """Write, wait for an ordinary object among them, cure, delete, wait until all are gone. Returns how many the server took."""
    rng = random.Random(f"{SEED}-{numbers.start}")  # noqa: S311 - repeatable on purpose, in whatever order batches run
    objects = [hostile(schema, f"hostile-{number}", rng) for number in numbers]
    written = await asyncio.gather(*(asyncio.to_thread(server.write, obj, status) for obj, status in objects))
    taken = [name for name in written if name]
    good = f"good-{numbers.start}"
    await asyncio.to_thread(server.write, kindcluster(good, runtime="kind"), None)
    await until(lambda: server.phase(good) == "Ready", lambda: server.get(good))
    await asyncio.gather(*(asyncio.to_thread(server.cure_and_delete, name, daemon) for name in (*taken, good)))
    for name in (*taken, good):
        await until(lambda name=name: server.gone(name), lambda name=name: server.get(name))  # type: ignore[misc]
    return len(taken)


async def one_lane(batches: Iterator[range], work: Callable[[range], Awaitable[int]]) -> int:
    """Batch after batch of those that all lanes share."""
    return sum([await work(batch) for batch in batches])


@pytest.mark.timeout(3600)
@pytest.mark.fault(
    27,
    "random objects made from the CRD's schema (as many as the figures say), odd metadata and status, real API server, whole manager",
    invariants="I2 I3 I12 I14",
)
async def test_no_object_ends_the_manager_or_touches_what_is_not_its_own(
    kindclusters: KindClusters, tmp_path: Path, figure: Figure
) -> None:
    """Whatever the API server takes: the manager lives, others are served meanwhile, canaries stay, a delete leaves nothing."""
    count = int(os.environ.get("HOSTILE_OBJECTS", SAMPLE))
    schema = kindclusters.definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    server = Server(kindclusters.api)
    runtimes = {name: FakeRuntime(name, simulated=name == "local") for name in ("kind", "local")}
    canaries = Canaries(server, runtimes.values())
    before, threads = canaries.seen(), threading.active_count()
    batches = (range(start, min(start + BATCH, count)) for start in range(0, count, BATCH))
    async with manager_of(kindclusters.api.kubeconfig, runtimes, tmp_path) as (manager, running):

        async def work(batch: range) -> int:
            taken = await one_batch(server, batch, schema, runtimes["kind"].daemon)
            assert not running.done(), running
            assert healthy(manager)
            return taken

        taken = sum(await asyncio.gather(*(one_lane(batches, work) for _ in range(LANES))))
    gc.collect()

    assert canaries.seen() == before
    canaries.remove()
    assert [] == [node for runtime in runtimes.values() for node in runtime.marked()]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MEGABYTES * 1024
    assert threading.active_count() <= threads + POOL
    secrets = [item["metadata"]["name"] for item in server.request("GET", SECRETS)[1]["items"]]
    assert [] == [name for name in secrets if name.startswith(("hostile-", "good-"))]
    server.close()
    figure("objects", count)
    figure("accepted by the API server", taken)
    figure("seed", SEED)
