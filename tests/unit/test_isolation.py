"""A whole manager, in virtual time: objects that hang, fail, conflict or never rest do not delay the others."""

from __future__ import annotations

import asyncio
import itertools
import statistics

import pytest

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource, key_of
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Conflict, Transient
from provider.ports.runtime import ClusterRequest, Identity, Progress, RuntimeObservation
from tests.conftest import Figure
from tests.fakes.clock import VirtualLoop, in_virtual_time
from tests.fakes.kube import Call
from tests.fakes.managing import Bench, now, running
from tests.fakes.runtime import FakeRuntime
from tests.fakes.world import kindcluster

ORDINARY, BROKEN = 10, 2
"""Objects."""
EVERY = 5.0
"""Seconds from one ordinary object to the next."""
CREATE, LOOK = 15.0, 0.05
"""Seconds that a create and a look at containers take."""
PATIENCE = 30.0
SLOTS = 4
EDITS_PER_SECOND = 1
BOUND = 2.0
"""Times as long as without broken objects: the most that one may take, of twenty."""


class SlowRuntime(FakeRuntime):
    """Takes its time; clusters called broken-... are broken in one way."""

    def __init__(self, broken: str) -> None:
        super().__init__()
        self.broken = broken

    async def observe(self, identity: Identity) -> RuntimeObservation:
        if identity.cluster_name.startswith("broken"):
            if self.broken == "every look hangs":
                await asyncio.Event().wait()
            if self.broken == "every look is a defect":
                raise RuntimeError(identity.cluster_name)
        await asyncio.sleep(LOOK)
        return await super().observe(identity)

    async def create(self, identity: Identity, request: ClusterRequest, progress: Progress) -> None:
        await asyncio.sleep(CREATE)
        if identity.cluster_name.startswith("broken") and self.broken == "every create fails":
            raise Transient(Reason.ENGINE_FAILED, "It broke.")
        await super().create(identity, request, progress)


class Isolation(Bench):
    """A bench with broken objects, and what becomes of the ordinary ones."""

    def __init__(self, broken: str) -> None:
        super().__init__(runtime=SlowRuntime(broken))
        self.busy = broken == "never left alone"
        self.broken = [ObjectKey("default", f"broken-{number}") for number in range(BROKEN)] if broken else []
        self.began: dict[ObjectKey, float] = {}
        self.ready: dict[ObjectKey, float] = {}
        """Seconds from apply."""
        self.kube.watch(self._changed)
        if broken == "every write is a conflict":
            self.kube.before(self._refuse)

    async def _refuse(self, call: Call) -> None:
        if call.verb == "patch" and call.key in self.broken:
            raise Conflict(Reason.CONFLICT, "It has changed.")

    def _changed(self, change: str, resource: Resource, obj: JsonObject) -> None:
        key = key_of(obj)
        if key in self.began and key not in self.ready and (obj.get("status") or {}).get("phase") == "Ready":
            self.ready[key] = now() - self.began[key]

    async def edit(self) -> None:
        """Somebody who cannot let go of the broken objects."""
        for number in itertools.count():
            for key in self.broken:
                self.kube.edit(KINDCLUSTERS, key, {"metadata": {"annotations": {"example.com/n": str(number)}}})
            await asyncio.sleep(1 / EDITS_PER_SECOND)

    async def seconds(self) -> float:
        """From apply to Ready, for 19 of 20 ordinary objects."""
        async with running(self.manager(create_slots=SLOTS)):
            for key in self.broken:
                self.kube.put(KINDCLUSTERS, kindcluster(key))
            editor = asyncio.create_task(self.edit()) if self.busy else None
            for number in range(ORDINARY):
                key = ObjectKey("default", f"good-{number}")
                self.began[key] = now()
                self.kube.put(KINDCLUSTERS, kindcluster(key))
                await asyncio.sleep(EVERY)
            await asyncio.sleep(BOUND * PATIENCE)
            if editor is not None:
                editor.cancel()
        assert self.ready.keys() == self.began.keys()
        return statistics.quantiles(self.ready.values(), n=20)[-1]

    def passes_per_minute(self, key: ObjectKey) -> float:
        return 60 * sum(call.verb == "get" and call.key == key for call in self.kube.calls) / now()


@pytest.fixture(scope="module")
def alone() -> float:
    """Seconds without broken objects."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(Isolation("").seconds())


@pytest.mark.fault(40, "objects that hang, fail, conflict or never rest among others, a whole manager (fakes)", invariants="I12")
@pytest.mark.parametrize(
    ("broken", "at_most"),
    [
        ("every look hangs", 5),
        ("every look is a defect", 10),
        ("every create fails", 30),
        ("every write is a conflict", 30),
        ("never left alone", 2 * 60 * EDITS_PER_SECOND),
    ],
)
@in_virtual_time
async def test_broken_objects_delay_no_other_and_are_not_looked_at_without_end(
    alone: float, broken: str, at_most: int, figure: Figure
) -> None:
    """Others are Ready within twice the time that they take alone; each broken one has so many passes in a minute."""
    bench = Isolation(broken)
    together = await bench.seconds()
    often = max(bench.passes_per_minute(key) for key in bench.broken)

    assert together <= BOUND * alone
    assert often <= at_most
    figure(f"passes a minute ({broken})", round(often))
