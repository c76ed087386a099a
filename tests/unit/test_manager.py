"""provider.manager: a whole manager on fakes, in virtual time: start, work, loss of the Lease, and every way to end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from provider.api import contract, names
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource, key_of
from provider.api.names import LEASES
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES
from provider.controller.leaderelection import LEASE_NAME, Elector
from provider.controller.result import Result
from provider.controller.sources import Stream, Watch
from provider.controllers import CONTROLLERS, Entry
from provider.errors import Terminal, Transient
from provider.manager import SILENT_WATCH, TASKS_DEADLINE
from provider.ports.runtime import NodeRunState, RuntimeEvent, Verb
from tests.fakes.clock import LoopClock, in_virtual_time
from tests.fakes.kube import FakeKube
from tests.fakes.managing import Bench, now, running
from tests.fakes.world import KEY, kindcluster


@in_virtual_time
async def test_an_object_that_exists_already_becomes_a_cluster() -> None:
    """From the first list to Ready, without one event."""
    bench = Bench()
    bench.kube.put(KINDCLUSTERS, kindcluster(KEY))
    async with running(bench.manager()):
        await asyncio.sleep(30)

        assert bench.phase() == "Ready"
        assert "demo" in bench.runtime.clusters


@in_virtual_time
async def test_every_long_operation_has_slots() -> None:
    """Made, filled with images, stopped, started, paused and removed: one without slots would end every pass over the object."""
    bench = Bench()
    bench.runtime.loadable = {"shop:dev": "one"}
    bench.kube.put(KINDCLUSTERS, kindcluster(KEY, images=["shop:dev"]))
    async with running(bench.manager()):
        await asyncio.sleep(30)
        assert ("Ready", [("demo-control-plane", "shop:dev")]) == (bench.phase(), bench.runtime.loaded)
        for state in ("Stopped", "Running", "Paused"):
            bench.kube.edit(KINDCLUSTERS, KEY, {"spec": {"powerState": state}})
            await asyncio.sleep(30)
            assert bench.phase() == {"Running": "Ready"}.get(state, state)

        bench.kube.remove(KINDCLUSTERS, KEY)
        await asyncio.sleep(30)
        assert bench.runtime.clusters == {}


@in_virtual_time
async def test_an_object_made_later_becomes_a_cluster_and_goes_away_again() -> None:
    """Through the watch."""
    bench = Bench()
    async with running(bench.manager()):
        bench.kube.put(KINDCLUSTERS, kindcluster(KEY))
        await asyncio.sleep(30)
        assert bench.phase() == "Ready"

        bench.kube.remove(KINDCLUSTERS, KEY)
        await asyncio.sleep(30)
        assert bench.kube.read(KINDCLUSTERS, KEY) is None
        assert bench.runtime.clusters == {}


@in_virtual_time
async def test_a_control_plane_mirrors_its_cluster_and_passes_a_version_on() -> None:
    """From the first list, and by events of either object: each requeues the other one."""
    bench = Bench()
    bench.kube.groups.add(contract.CAPI_GROUP)
    owner = _topology(bench, version="v1.34.3")
    bench.kube.put(KINDCLUSTERS, kindcluster(KEY, updatePolicy="Recreate") | {"metadata": _owned_by(owner)})
    async with running(bench.manager()):
        await asyncio.sleep(30)
        assert bench.phase() == "Ready"
        assert _mirrored(bench)["ready"] is True

        bench.kube.edit(KINDCONTROLPLANES, KEY, {"spec": {"version": "v1.34.4"}})
        await asyncio.sleep(30)
        assert [request.version for request in bench.runtime.requests] == ["v1.34.3", "v1.34.4"]
        assert _mirrored(bench)["ready"] is True


@in_virtual_time
async def test_a_control_plane_is_looked_at_again_after_every_sync_period() -> None:
    """Without any event: a status that somebody else overwrote is mended."""
    bench = Bench()
    bench.kube.groups.add(contract.CAPI_GROUP)
    owner = _topology(bench, version="v1.34.3")
    bench.kube.put(KINDCLUSTERS, kindcluster(KEY) | {"metadata": _owned_by(owner)})
    async with running(bench.manager(sync_period=timedelta(seconds=100))):
        await asyncio.sleep(30)
        bench.watches[0].alive = False  # no event from now on
        bench.kube.edit(KINDCONTROLPLANES, KEY, {"status": {"ready": False}}, subresource="status")
        await asyncio.sleep(1)
        assert _mirrored(bench)["ready"] is False

        await asyncio.sleep(130)
        assert _mirrored(bench)["ready"] is True


@in_virtual_time
async def test_a_cancelled_renewal_of_the_lease_ends_the_manager() -> None:
    """A part that is gone without an error: the others must not work on without a Lease."""
    bench = Bench()
    task = asyncio.create_task(bench.manager(identity="one").run())
    await asyncio.sleep(5)

    next(one for one in asyncio.all_tasks() if one.get_name() == "lease").cancel()

    assert await task == 1


def _topology(bench: Bench, version: str) -> JsonObject:
    """A Cluster that names a KINDCluster and a KINDControlPlane, and the latter."""
    references = {
        "infrastructureRef": {"apiGroup": names.GROUP, "kind": KINDCLUSTERS.kind, "name": KEY.name},
        "controlPlaneRef": {"apiGroup": names.CONTROL_PLANE_GROUP, "kind": KINDCONTROLPLANES.kind, "name": KEY.name},
    }
    owner = bench.kube.put(contract.CLUSTERS, {"metadata": {"name": "c", "namespace": KEY.namespace}, "spec": references})
    bench.kube.put(KINDCONTROLPLANES, {"metadata": _owned_by(owner), "spec": {"version": version}})
    return owner


def _owned_by(owner: JsonObject) -> JsonObject:
    reference = {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "name": "c", "uid": owner["metadata"]["uid"]}
    return {"name": KEY.name, "namespace": KEY.namespace, "ownerReferences": [reference]}


def _mirrored(bench: Bench) -> JsonObject:
    status: JsonObject = (bench.kube.read(KINDCONTROLPLANES, KEY) or {}).get("status") or {}
    return status


GADGETS = Resource("gadgets.example.com", "v1", "gadgets", "Gadget")


@dataclass
class Gadgets:
    """A reconciler of an invented kind: a gadget follows the KINDCluster of its name, and fails while that has no status."""

    kube: FakeKube
    passes: list[tuple[float, ObjectKey]] = field(default_factory=list)
    watches: Sequence[Watch] = (Watch(KINDCLUSTERS, lambda obj: [key_of(obj)]),)
    streams: Sequence[Stream] = ()

    async def reconcile(self, key: ObjectKey) -> Result:
        self.passes.append((now(), key))
        if "status" not in (self.kube.read(KINDCLUSTERS, key) or {}):
            raise Transient(Reason.NOT_CREATED, "no KINDCluster yet")
        return Result(resync=True)

    def times(self) -> list[float]:
        return [when for when, _ in self.passes]


@in_virtual_time
async def test_a_third_controller_is_one_entry_of_the_list() -> None:
    """Listed, watched, retried with backoff, resynced, and counted under its own name; the other controllers do not notice."""
    bench = Bench()
    gadgets = Gadgets(bench.kube)
    bench.entries = (*CONTROLLERS, Entry(GADGETS, (), lambda _: gadgets))
    bench.kube.groups.add(GADGETS.group)
    bench.kube.put(GADGETS, {"metadata": {"name": KEY.name, "namespace": KEY.namespace}})
    manager = bench.manager(sync_period=timedelta(seconds=100))
    async with running(manager):
        await asyncio.sleep(3)
        waits = [later - earlier for earlier, later in itertools.pairwise(gadgets.times())]
        assert waits[:3] == [pytest.approx(0.2 * 2**failures, rel=0.25) for failures in range(3)], "listed, and failing"

        bench.kube.put(KINDCLUSTERS, kindcluster(KEY))
        await asyncio.sleep(30)
        assert bench.phase() == "Ready"

        began, before = now(), len(gadgets.passes)
        bench.kube.edit(GADGETS, KEY, {"spec": {"colour": "red"}})
        await asyncio.sleep(0.01)
        assert gadgets.times()[before:] == pytest.approx([began]), "an event of its own resource"

        bench.kube.edit(KINDCLUSTERS, KEY, {"metadata": {"labels": {"a": "b"}}})
        await asyncio.sleep(0.01)
        assert len(gadgets.passes) == before + 2, "an event of a resource it watches"

        await asyncio.sleep(130)
        assert len(gadgets.passes) > before + 2, "the sync period"

    assert {one.resource for one in bench.watches[0].watched} >= {GADGETS, KINDCLUSTERS, KINDCONTROLPLANES}
    page = manager.metrics.exposition()[0].decode()
    assert 'capkind_reconciles_total{controller="gadget",result="transient"}' in page
    assert 'capkind_queue_depth{controller="gadget"} 0.0' in page
    assert 'capkind_clusters{phase="Ready"} 1.0' in page


@pytest.mark.fault(7, "no event of the API", invariants="I1")
@in_virtual_time
async def test_events_of_the_runtime_requeue_their_cluster_within_a_second() -> None:
    """A stopped node is started again without waiting for the resync."""
    bench = Bench()
    bench.kube.put(KINDCLUSTERS, kindcluster(KEY))
    async with running(bench.manager()):
        await asyncio.sleep(30)
        node = bench.runtime.clusters["demo"].nodes[0]
        bench.runtime.set_state(node.name, NodeRunState.STOPPED)
        starts = bench.runtime.calls["start"]
        await asyncio.sleep(1)

        assert bench.runtime.calls["start"] == starts + 1


@in_virtual_time
async def test_a_manager_of_one_namespace_leaves_the_others_alone() -> None:
    """Neither listed nor heard of."""
    bench = Bench()
    other = ObjectKey("other", "demo")
    bench.kube.put(KINDCLUSTERS, kindcluster(other))
    async with running(bench.manager(namespace="default")) as _:
        bench.kube.put(KINDCLUSTERS, kindcluster(KEY))
        bench.kube.edit(KINDCLUSTERS, other, {"metadata": {"labels": {"a": "b"}}})
        await asyncio.sleep(30)

        assert bench.phase() == "Ready"
        assert bench.phase(other) == ""
        assert not [call for call in bench.kube.calls if call.key == other]


@in_virtual_time
async def test_an_api_server_that_is_away_at_the_start_is_waited_for() -> None:
    """Not ready meanwhile, never ended."""
    bench = Bench()
    bench.kube.put(KINDCLUSTERS, kindcluster(KEY))
    bench.kube.fail("serves", Transient(Reason.API_ERROR, "down"), times=12)
    manager = bench.manager()
    async with running(manager):
        assert "not listed" in manager._check_synced()
        await asyncio.sleep(60)

        assert manager._check_synced() == ""
        assert bench.phase() == "Ready"


@pytest.mark.fault(36, "the CRDs are not installed yet", invariants="I1 I14")
@in_virtual_time
async def test_missing_crds_are_waited_for() -> None:
    """The manager may be installed first."""
    bench = Bench()
    bench.kube.groups.discard(names.GROUP)
    manager = bench.manager()
    async with running(manager):
        await asyncio.sleep(60)
        assert manager._check_synced()

        bench.kube.groups.add(names.GROUP)
        await asyncio.sleep(20)
        assert manager._check_synced() == ""


@pytest.mark.fault(5, "two managers, one Lease (fakes)", invariants="I4")
@in_virtual_time
async def test_only_the_holder_of_the_lease_works() -> None:
    """The second stands by, is healthy and ready, and takes over when the first is gone."""
    bench = Bench()
    one, two = bench.manager(identity="one", leader_elect=True), bench.manager(identity="two", leader_elect=True)
    async with running(one), running(two):
        bench.kube.put(KINDCLUSTERS, kindcluster(KEY))
        await asyncio.sleep(30)
        assert bench.runtime.calls["create"] == 1
        assert [watch.alive for watch in bench.watches] == [True, False]
        assert two._check_synced() == ""
        assert two._check_watch() == ""

        one.end()
        await asyncio.sleep(5)
        assert [watch.alive for watch in bench.watches] == [False, True]


@in_virtual_time
async def test_the_loss_of_the_lease_ends_all_work_with_an_error() -> None:
    """Running operations are cancelled before anybody else may begin."""
    bench = Bench()
    bench.runtime.hang("create")
    manager = bench.manager(identity="one", leader_elect=True)
    bench.kube.put(KINDCLUSTERS, kindcluster(KEY))
    async with running(manager) as task:
        await asyncio.sleep(5)
        assert manager.tasks.counts()[Verb.CREATE, "running"] == 1

        bench.kube.edit(LEASES, ObjectKey("default", LEASE_NAME), {"spec": {"holderIdentity": "thief"}})
        await asyncio.sleep(5)
        assert task.done()
        assert await task == 1
        assert manager.tasks.counts()[Verb.CREATE, "running"] == 0


@in_virtual_time
async def test_a_manager_can_be_told_to_end_while_it_stands_by() -> None:
    """It does not need the Lease for that."""
    bench = Bench()
    await Elector(bench.kube, LoopClock(), "default", "other").acquire()
    manager = bench.manager(identity="one", leader_elect=True)
    task = asyncio.create_task(manager.run())
    await asyncio.sleep(1)
    manager.end()

    assert await task == 0
    assert now() < 2


@pytest.mark.fault(4, "told to end in the middle of a create (fakes)", invariants="I14")
@in_virtual_time
async def test_ending_cancels_running_operations_and_takes_a_bounded_time() -> None:
    """A create under way is stopped where it stands; a task that will not end is left to the system."""
    bench = Bench()
    manager = bench.manager()
    bench.kube.put(KINDCLUSTERS, kindcluster(KEY))
    task = asyncio.create_task(manager.run())

    async def lasts_too_long(progress: object) -> None:
        for _ in range(3):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(100)

    await asyncio.sleep(10)
    manager.tasks.start(ObjectKey("default", "stubborn"), Verb.DELETE, lasts_too_long)
    await asyncio.sleep(1)
    began = now()
    manager.end()

    assert await task == 0
    assert TASKS_DEADLINE <= now() - began < 10
    assert bench.watches[0].stopped


@in_virtual_time
async def test_nothing_is_taken_up_once_ending_has_begun() -> None:
    """No pass begins, so no task can start behind the shutdown's back."""
    bench = Bench()
    manager = bench.manager()
    async with running(manager):
        await asyncio.sleep(1)
    before = len(bench.kube.calls)
    bench.kube.put(KINDCLUSTERS, kindcluster(KEY))
    manager.controllers[0].queue.add(KEY)
    await asyncio.sleep(10)

    assert len(bench.kube.calls) == before
    assert bench.runtime.calls["create"] == 0


@in_virtual_time
async def test_a_watch_that_gives_up_ends_the_manager_with_an_error() -> None:
    """A process that watches nothing must not count as healthy."""
    bench = Bench()
    task = asyncio.create_task(bench.manager().run())
    await asyncio.sleep(1)
    bench.watches[0].gave_up()

    assert await task == 1


@in_virtual_time
async def test_a_defect_in_a_part_ends_the_manager_with_an_error() -> None:
    """Kubernetes restarts the process as a whole."""
    bench = Bench()

    async def broken(call: object) -> None:
        raise RuntimeError("defect")

    bench.kube.before(broken)

    assert await bench.manager().run() == 1


@in_virtual_time
async def test_a_runtime_whose_events_fail_is_asked_again() -> None:
    """Its event stream may break; the rest goes on."""
    bench = Bench()
    tries = 0

    async def events() -> AsyncIterator[RuntimeEvent]:
        nonlocal tries
        tries += 1
        if tries > 0:
            raise Transient(Reason.ENGINE_UNREACHABLE, "no engine")
        yield RuntimeEvent(None)

    bench.runtime.events = events  # type: ignore[method-assign]
    async with running(bench.manager()) as task:
        await asyncio.sleep(100)

        assert tries >= 5
        assert not task.done()


@pytest.mark.fault(8, "a watch that says nothing", invariants="I14")
@in_virtual_time
async def test_health_tells_a_dead_or_silent_watch_and_a_stuck_pass() -> None:
    """Each with what is wrong."""
    bench = Bench()
    manager = bench.manager()
    async with running(manager):
        watch = bench.watches[0]
        assert manager._check_watch() == manager._check_passes() == manager._check_workers() == ""

        next(task for task in asyncio.all_tasks() if task.get_name() == "kindcluster worker 0").cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert "kindcluster worker 0" in manager._check_workers()

        watch.silent = SILENT_WATCH + 1
        assert "silent" in manager._check_watch()
        watch.alive = False
        assert "ended" in manager._check_watch()

        manager.controllers[0].queue._processing[KEY] = now() - 1000
        assert "default/demo" in manager._check_passes()
        del manager.controllers[0].queue._processing[KEY]


@in_virtual_time
async def test_an_address_in_use_keeps_the_manager_from_starting() -> None:
    """Before it leads or touches anything."""
    bench = Bench()
    manager = bench.manager()

    async def refuse() -> None:
        raise Terminal(Reason.ADDRESS_UNUSABLE, "in use")

    manager._listen = refuse  # type: ignore[method-assign]
    with pytest.raises(Terminal):
        await manager.run()

    assert bench.kube.calls == []
