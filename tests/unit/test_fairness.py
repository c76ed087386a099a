"""A whole manager whose host is slow: nobody waits for all that another namespace has asked for, nor for another's image."""

from __future__ import annotations

import asyncio

from provider.api.meta import ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.ports.runtime import ClusterRequest, Identity, Progress
from tests.fakes.clock import in_virtual_time
from tests.fakes.managing import Bench, running
from tests.fakes.runtime import FakeRuntime
from tests.fakes.world import kindcluster

CREATE, PULL = 60.0, 3600.0
HERE, SLOW = "kindest/node:v1.34.4", "far/away:v1"


class SlowRuntime(FakeRuntime):
    """A create takes a minute, and the pull of one image an hour."""

    async def create(self, identity: Identity, request: ClusterRequest, progress: Progress) -> None:
        await asyncio.sleep(CREATE)
        await super().create(identity, request, progress)

    async def prepare(self, request: ClusterRequest, progress: Progress) -> None:
        if request.image == SLOW:
            await asyncio.sleep(PULL)
        await super().prepare(request, progress)


def of(namespace: str, count: int) -> list[ObjectKey]:
    return [ObjectKey(namespace, f"{namespace}-{number}") for number in range(count)]


def message(bench: Bench, key: ObjectKey) -> str:
    obj = bench.kube.read(KINDCLUSTERS, key)
    assert obj is not None
    return next(str(one["message"]) for one in obj["status"]["conditions"] if one["type"] == "Ready")


@in_virtual_time
async def test_a_namespace_with_many_clusters_does_not_hold_up_another() -> None:
    """Two that come last are made second and fourth, and know it from the start."""
    bench = Bench(runtime=SlowRuntime())
    many, few = of("many", 5), of("few", 2)
    async with running(bench.manager(create_slots=1)):
        for key in many:
            bench.kube.put(KINDCLUSTERS, kindcluster(key))
        await asyncio.sleep(10)
        for key in few:
            bench.kube.put(KINDCLUSTERS, kindcluster(key))
        await asyncio.sleep(10)
        told = [message(bench, key) for key in few]
        assert [text.rpartition(": ")[2] for text in told] == ["number 1 in the queue.", "number 3 in the queue."]

        await asyncio.sleep(4 * CREATE)
        made = [request.config["name"] for request in bench.runtime.requests[:4]]
        assert made == ["many-0", "few-0", "many-1", "few-1"]


@in_virtual_time
async def test_pulls_that_take_an_hour_keep_nobody_from_being_made() -> None:
    """However many there are, a bounded number at once; who needs no pull has the create slot, and who needs another has a turn."""
    bench = Bench(runtime=SlowRuntime())
    slow, here, other = of("slow", 5), of("here", 1), of("other", 1)
    async with running(bench.manager(create_slots=1, pull_slots=2)) as _:
        for key in slow:
            bench.kube.put(KINDCLUSTERS, kindcluster(key, image=SLOW))
        await asyncio.sleep(10)
        bench.kube.put(KINDCLUSTERS, kindcluster(here[0]))
        bench.kube.put(KINDCLUSTERS, kindcluster(other[0], image=HERE))
        await asyncio.sleep(CREATE + 30)
        assert bench.phase(here[0]) == "Ready"
        assert message(bench, other[0]) == "Waits for its turn to fetch images: number 1 in the queue."

        await asyncio.sleep(PULL + 3 * CREATE)
        assert bench.phase(other[0]) == "Ready"
