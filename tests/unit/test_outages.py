"""A whole manager, in virtual time, whose API server fails for five minutes: it lives, touches nothing, and resumes by itself."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from provider.adapters.kube.client import DEADLINE
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.controller.leaderelection import LEASE_SECONDS
from provider.errors import ProviderError, Transient
from provider.manager import Manager
from provider.ports.runtime import NodeRunState
from tests.conftest import Figure
from tests.fakes.clock import in_virtual_time
from tests.fakes.kube import Call
from tests.fakes.managing import Bench, now, running
from tests.fakes.world import kindcluster

OUTAGE = 300.0
RETRY_AFTER = 20.0
RECOVERY = 30.0
"""Seconds after which everything is as if there had been no outage."""
READY, STOPPED, LEAVING, MAKING, NEW = (ObjectKey("default", name) for name in ("ready", "stopped", "leaving", "making", "new"))
REQUESTS = 40
"""Of one object in five minutes: client-go's backoff allows as many."""


@dataclass
class Outage:
    """What the API server does with each call while it is `on`."""

    error: ProviderError
    seconds: float = 0.0
    """It hangs so long, and then the client gives up."""
    burst: float = OUTAGE
    """So many seconds of failures, then as many without, in turn."""
    on: bool = False
    began: float = 0.0
    calls: list[tuple[float, Call]] = field(default_factory=list)
    """Those that failed, and when."""

    async def __call__(self, call: Call) -> None:
        if self.on and int((now() - self.began) / self.burst) % 2 == 0:
            self.calls.append((now(), call))
            await asyncio.sleep(self.seconds)
            raise self.error

    def times(self, key: ObjectKey) -> list[float]:
        """When the object was asked for."""
        return [when for when, call in self.calls if call.resource == KINDCLUSTERS and call.key == key]


OUTAGES = {
    "500": Outage(Transient(Reason.API_ERROR, "HTTP 500")),
    "503 in bursts": Outage(Transient(Reason.API_ERROR, "HTTP 503"), burst=20.0),
    "429": Outage(Transient(Reason.API_ERROR, "HTTP 429", retry_after=RETRY_AFTER)),
    "hanging": Outage(Transient(Reason.API_TIMEOUT, "No answer."), seconds=DEADLINE),
    "refused": Outage(Transient(Reason.MANAGEMENT_UNREACHABLE, "Connection refused.")),
}


@contextlib.asynccontextmanager
async def out(bench: Bench, outage: Outage) -> AsyncIterator[None]:
    """The API server is away; afterwards the watch lists again."""
    for watch in bench.watches:
        watch.connected = False
    outage.on, outage.began = True, now()
    yield
    outage.on = False
    for watch in bench.watches:
        watch.reconnect()


def healthy(manager: Manager) -> bool:
    return manager._check_watch() == manager._check_workers() == manager._check_passes() == ""


def stored(bench: Bench, key: ObjectKey) -> JsonObject:
    obj = bench.kube.read(KINDCLUSTERS, key)
    assert obj is not None
    return obj


@pytest.mark.fault(10, "500, bursts of 503, 429 for five minutes, a whole manager (fakes)", invariants="I1 I4 I7 I14")
@pytest.mark.fault(11, "no answer, refused for five minutes, a whole manager (fakes)", invariants="I1 I4 I7 I14")
@pytest.mark.parametrize("kind", OUTAGES)
@in_virtual_time
async def test_an_outage_of_five_minutes_costs_five_minutes(kind: str, figure: Figure) -> None:
    """Clusters that are Ready, whose node stops, that are being made, deleted meanwhile, asked for meanwhile."""
    bench, outage = Bench(), replace(OUTAGES[kind], calls=[])
    bench.kube.before(outage)
    for key in (READY, STOPPED, LEAVING):
        bench.kube.put(KINDCLUSTERS, kindcluster(key))
    manager = bench.manager()
    async with running(manager) as task:
        await asyncio.sleep(30)
        bench.kube.put(KINDCLUSTERS, kindcluster(MAKING))
        create = bench.runtime.hang("create")
        await create.reached.wait()
        ready, nodes = stored(bench, READY), repr(bench.runtime.clusters["ready"])
        calls = bench.runtime.calls.copy()

        async with out(bench, outage):
            bench.kube.remove(KINDCLUSTERS, LEAVING)
            bench.kube.put(KINDCLUSTERS, kindcluster(NEW))
            bench.runtime.set_state(bench.runtime.clusters["stopped"].nodes[0].name, NodeRunState.STOPPED)
            create.release()
            for _ in range(10):
                await asyncio.sleep(OUTAGE / 10)
                assert not task.done()
                assert healthy(manager)
            assert stored(bench, READY) == ready
            assert repr(bench.runtime.clusters["ready"]) == nodes
            if outage.burst == OUTAGE:
                changed = bench.runtime.calls - calls
                assert (changed["create"], changed["delete"], changed["start"]) == (0, 0, 0)
                assert not any(call.verb in ("create", "delete") for _, call in outage.calls)
        await asyncio.sleep(RECOVERY)

        assert [bench.phase(key) for key in (READY, STOPPED, MAKING, NEW)] == ["Ready"] * 4
        assert "leaving" not in bench.runtime.clusters
        assert bench.kube.read(KINDCLUSTERS, LEAVING) is None
        assert stored(bench, READY)["status"] == ready["status"]
        assert (bench.runtime.calls["create"], bench.runtime.calls["delete"], bench.runtime.calls["start"]) == (5, 1, 1)
    asked = [outage.times(key) for key in (READY, STOPPED, LEAVING, MAKING, NEW)]
    assert max(map(len, asked)) <= REQUESTS
    if kind == "429":
        assert all(later - sooner > RETRY_AFTER - 0.01 for times in asked for sooner, later in itertools.pairwise(times))
    figure(f"requests in 5 minutes ({kind})", len(outage.calls))


@pytest.mark.fault(11, "away for five minutes, a manager with a Lease (fakes)", invariants="I1 I4 I7")
@in_virtual_time
async def test_an_outage_that_outlasts_the_lease_ends_the_manager_and_its_successor_resumes() -> None:
    """It may not work on without the Lease; started again, as a pod is, it waits for the API server. The cluster is not touched."""
    bench, outage = Bench(), Outage(Transient(Reason.MANAGEMENT_UNREACHABLE, "Connection refused."))
    bench.kube.before(outage)
    bench.kube.put(KINDCLUSTERS, kindcluster(READY))
    first = asyncio.create_task(bench.manager(identity="one").run())
    await asyncio.sleep(30)
    before, calls = stored(bench, READY), bench.runtime.calls.copy()

    async with out(bench, outage):
        async with asyncio.timeout(LEASE_SECONDS):
            assert await first == 1
        second = bench.manager(identity="one")
        task = asyncio.create_task(second.run())
        await asyncio.sleep(OUTAGE - LEASE_SECONDS)
        assert not task.done()
        assert healthy(second)
        assert second._check_synced() == "", "who stands by is ready"
    await asyncio.sleep(RECOVERY)

    assert stored(bench, READY)["status"] == before["status"]
    changed = bench.runtime.calls - calls
    assert (changed["create"], changed["delete"], changed["start"]) == (0, 0, 0)
    bench.kube.put(KINDCLUSTERS, kindcluster(NEW))
    await asyncio.sleep(RECOVERY)
    assert bench.phase(NEW) == "Ready"
    second.end()
    assert await task == 0
