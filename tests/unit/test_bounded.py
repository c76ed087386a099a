"""A whole manager, in virtual time, after many clusters that came and went: it keeps nothing of them."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path

import pytest

from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Transient
from tests.conftest import Figure
from tests.fakes.clock import in_virtual_time
from tests.fakes.managing import Bench, running
from tests.fakes.world import kindcluster

AT_ONCE, CYCLES, WARM_UP = 5, 7, 2
"""Clusters of one cycle; cycles; those before the first count, for caches that fill once."""
MORE = 2 * AT_ONCE * (CYCLES - WARM_UP)
"""Objects of Python that may be added: fewer than a key and its value for each cluster."""


def python_objects() -> int:
    gc.collect()
    return len(gc.get_objects())


def descriptors_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def one_cycle(bench: Bench, number: int) -> None:
    """Clusters of names that were never seen before are made, one fails at first, all are removed; what the fakes noted is forgotten."""
    keys = [ObjectKey("default", f"c{number}-{index}") for index in range(AT_ONCE)]
    bench.runtime.fail("create", Transient(Reason.ENGINE_FAILED, "It broke."))
    for key in keys:
        bench.kube.put(KINDCLUSTERS, kindcluster(key))
    await asyncio.sleep(60)
    assert {bench.phase(key) for key in keys} == {"Ready"}
    for key in keys:
        bench.kube.remove(KINDCLUSTERS, key)
    await asyncio.sleep(60)
    assert bench.runtime.clusters == {}
    for notes in (bench.kube.calls, bench.runtime.log, bench.runtime.requests, bench.recorder.notes):
        notes.clear()


@pytest.mark.fault(40, "clusters that come and go, a whole manager (fakes)", invariants="I2 I14")
@in_virtual_time
async def test_a_manager_keeps_nothing_of_clusters_that_are_gone(figure: Figure) -> None:
    """As many Python objects, asyncio tasks, threads and descriptors as after the first of them; every queue is empty."""
    bench = Bench()
    manager = bench.manager(create_slots=AT_ONCE)
    async with running(manager):
        for number in range(WARM_UP):
            await one_cycle(bench, number)
        objects, tasks = python_objects(), len(asyncio.all_tasks())
        threads, descriptors = threading.active_count(), descriptors_open()
        for number in range(WARM_UP, CYCLES):
            await one_cycle(bench, number)

        more = python_objects() - objects
        assert more < MORE
        assert len(asyncio.all_tasks()) == tasks
        assert (threading.active_count(), descriptors_open()) == (threads, descriptors)
        assert sum(manager.tasks.counts().values()) == 0
        assert [len(controller.queue) for controller in manager.controllers] == [0, 0]
    figure("clusters that came and went", AT_ONCE * CYCLES)
