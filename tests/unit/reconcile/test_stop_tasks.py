"""Tasks whose object is another one now, is gone, or is another manager's: they stop, and leave nothing half made behind."""

from __future__ import annotations

import pytest

from provider.api import contract
from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Transient
from provider.ports.runtime import Identity, Progress, Verb
from provider.ports.tasks import Target, TaskState
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.stop_tasks import end_stale_task
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import FakeRuntime
from tests.fakes.tasks import FakeTasks
from tests.fakes.world import KEY, World, kindcluster

REMAINS = {(Verb.CREATE, state) for state in TaskState if state is not TaskState.QUEUED} | {(Verb.DELETE, TaskState.FAILED)}
"""Tasks of an object that is gone, after which something half made may stand there."""


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("state", list(TaskState))
async def test_a_task_of_an_object_that_is_gone_ends_with_a_removal_only_where_it_may_have_left_something(
    verb: Verb, state: TaskState
) -> None:
    """A removal under way goes on; a start or a preparation only stops; what no create has touched stays."""
    clock, runtime = FakeClock(), FakeRuntime()
    tasks = FakeTasks(clock, queued=state is TaskState.QUEUED)
    target = Target("kind", Identity("demo", "0" * 32, str(KEY)))

    async def work(progress: Progress) -> None:
        raise AssertionError("not run here")

    tasks.start(KEY, verb, work, target=target)
    if state in (TaskState.SUCCEEDED, TaskState.FAILED):
        tasks.finish(KEY, None if state is TaskState.SUCCEEDED else Transient(Reason.ENGINE_FAILED, "no"))
        clock.advance(120)
    blocked = await end_stale_task(KEY, None, tasks, {"kind": runtime}, clock.now())

    under_way = verb is Verb.DELETE and state in (TaskState.QUEUED, TaskState.RUNNING)
    assert (blocked is not None) == (under_way or (verb, state) in REMAINS)
    status = tasks.status(KEY)
    assert (None if status is None else (status.verb, status.target)) == (None if blocked is None else (Verb.DELETE, target))
    assert len(tasks.started) == 1 + ((verb, state) in REMAINS)


async def half_made(world: World) -> None:
    """One node of two is there, and the create still runs."""
    world.run_tasks = False
    world.apply(kindcluster(workerReplicas=1))
    await world.settle()
    world.runtime.fail("create", Transient(Reason.CREATE_FAILED, ""), partial=1)
    with pytest.raises(Transient):
        await world.tasks.work[KEY](lambda step: None)
    assert world.runtime.marked() == ["demo-control-plane"]


def vanish(world: World) -> None:
    """Finalizers stripped, deleted: no deletion is ever seen."""
    world.kube.edit(KINDCLUSTERS, KEY, {"metadata": {"finalizers": None}})
    world.kube.remove(KINDCLUSTERS, KEY)


async def test_an_object_made_anew_during_a_create_gets_a_cluster_of_its_own() -> None:
    """The old create is cancelled and its remains, which carry the old mark, are removed: they would be foreign and in the way."""
    world = World()
    await half_made(world)
    vanish(world)
    world.apply(kindcluster())
    await world.look()

    assert world.tasks.cancelled == [KEY]
    assert world.condition("Ready")["reason"] == "CleaningUp"
    world.run_tasks = True
    await world.settle()
    assert world.status()["phase"] == "Ready"
    assert world.runtime.marked() == ["demo-control-plane"]
    assert [verb for _, verb in world.tasks.started] == [Verb.CREATE, Verb.DELETE, Verb.CREATE]


async def test_an_object_restored_with_its_identity_during_a_create_goes_on_with_it() -> None:
    """The mark is the same, so the task still works for it, whatever the UID."""
    world = World()
    await half_made(world)
    obj = world.get()
    assert obj is not None
    vanish(world)
    world.apply(kindcluster(**obj["spec"]))
    await world.look()

    assert world.tasks.cancelled == []
    world.run_tasks = True
    await world.settle()
    assert world.status()["phase"] == "Ready"


@pytest.mark.parametrize("started", [True, False])
async def test_an_object_that_vanishes_during_a_create_leaves_nothing(started: bool) -> None:
    """Nobody will ever own what was begun; a create that still waits for a slot has left nothing."""
    world = World()
    if started:
        await half_made(world)
    else:
        world.tasks.queued, world.run_tasks = True, False
        world.apply(kindcluster())
        await world.settle()
    vanish(world)
    world.run_tasks = True
    await world.look()
    await world.settle()

    assert world.runtime.marked() == []
    assert world.tasks.status(KEY) is None
    assert world.runtime.calls["delete"] == int(started)


async def test_an_object_that_vanishes_while_it_is_removed_is_removed_to_the_end() -> None:
    """Its deletion was asked for; a finalizer stripped meanwhile does not take that back."""
    world = World()
    world.apply(kindcluster())
    await world.settle()
    world.run_tasks = False
    world.delete()
    await world.settle()
    world.kube.edit(KINDCLUSTERS, KEY, {"metadata": {"finalizers": None}})
    await world.look()
    assert world.tasks.cancelled == []

    world.run_tasks = True
    await world.settle()
    assert world.runtime.marked() == []
    assert world.tasks.status(KEY) is None


async def test_a_cluster_that_stands_finished_is_kept_when_its_object_vanishes() -> None:
    """Stripping the finalizer is how people let go of a cluster."""
    world = World()
    world.apply(kindcluster())
    await world.settle()
    vanish(world)
    await world.look()
    await world.settle()

    assert world.runtime.marked() == ["demo-control-plane"]


async def test_a_removal_of_remains_that_fails_is_tried_again() -> None:
    """Not in a tight loop; and the name goes to who waits for it only afterwards."""
    world = World()
    await half_made(world)
    second = ObjectKey("team-b", "demo")
    world.clock.advance(1)
    world.apply(kindcluster(second))
    world.runtime.fail("delete", Transient(Reason.ENGINE_FAILED, "stuck"))
    vanish(world)
    await world.look()
    world.run_tasks = True
    await world.settle()
    assert world.runtime.marked() == ["demo-control-plane"]
    assert world.condition("Ready", second)["reason"] == "NameConflict"

    await world.pass_time(120)
    assert world.runtime.calls["delete"] == 2
    assert world.status(second)["phase"] == "Ready"


@pytest.mark.parametrize("how", ["managed-by", "watch filter"])
async def test_a_create_stops_when_the_object_becomes_another_managers(how: str) -> None:
    """Nothing is written to it any more, and nothing is made for it; when it comes back, one whole cluster is made."""
    world = World(ReconcileOptions(watch_filter="a"))
    world.run_tasks = False
    obj = kindcluster()
    obj["metadata"]["labels"] = {contract.WATCH_FILTER_LABEL: "a"}
    world.apply(obj)
    await world.settle()
    assert world.tasks.started == [(KEY, Verb.CREATE)]

    given = (
        {"annotations": {contract.MANAGED_BY_ANNOTATION: ""}}
        if how == "managed-by"
        else {"labels": {contract.WATCH_FILTER_LABEL: "b"}}
    )
    world.edit({"metadata": given})
    writes = len(world.kube.writes(KINDCLUSTERS))
    await world.settle()
    assert world.tasks.cancelled == [KEY]
    assert len(world.kube.writes(KINDCLUSTERS)) == writes

    world.edit({"metadata": {"annotations": None, "labels": {contract.WATCH_FILTER_LABEL: "a"}}})
    world.run_tasks = True
    await world.settle()
    assert world.status()["phase"] == "Ready"


async def test_a_paused_object_made_anew_is_not_written_while_the_remains_go() -> None:
    """Only the condition Paused; the removal is for the former object and goes on."""
    world = World()
    await half_made(world)
    vanish(world)
    obj = kindcluster()
    obj["metadata"]["annotations"] = {contract.PAUSED_ANNOTATION: ""}
    world.apply(obj)
    world.run_tasks = True
    await world.settle()

    assert world.runtime.marked() == []
    assert [condition["type"] for condition in world.status()["conditions"]] == ["Paused"]


async def test_an_object_made_anew_and_deleted_at_once_does_not_hide_the_remains() -> None:
    """Both objects are gone in the end, and so is everything that was made."""
    world = World()
    await half_made(world)
    vanish(world)
    obj = kindcluster()
    obj["metadata"]["finalizers"] = ["kindcluster.infrastructure.cluster.x-k8s.io"]
    world.apply(obj)
    world.delete()
    world.run_tasks = True
    await world.pass_time(120)

    assert world.get() is None
    assert world.runtime.marked() == []
