"""spec.workerReplicas of a cluster that stands: workers join and leave in place, and the status tells the truth meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api import names
from provider.api.conditions import Reason
from provider.api.kind import NodeRole, node_names
from provider.api.meta import JsonObject
from provider.errors import Transient
from provider.policy.file import parse
from provider.ports.runtime import NodeObservation, NodeRunState, Ownership, Presence, RuntimeObservation, Verb
from provider.reconcile.drift import Drift
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.scaling import change_of
from tests.fakes.world import KEY, World, kindcluster


async def made(workers: int = 1, **spec: Any) -> World:
    world = World()
    world.apply(kindcluster(workerReplicas=workers, **spec))
    await world.pass_time(10)
    assert world.status()["ready"]
    return world


async def scaled(world: World, workers: int, seconds: float = 60) -> JsonObject:
    world.edit({"spec": {"workerReplicas": workers}})
    await world.pass_time(seconds)
    return world.status()


def nodes(world: World) -> dict[str, str]:
    return {node.name: node.id for node in world.runtime.clusters["demo"].nodes}


def record(world: World) -> str:
    """How many workers are settled."""
    obj = world.get()
    assert obj is not None
    return str(json.loads(obj["metadata"]["annotations"][names.MADE_FROM_ANNOTATION])["workerReplicas"])


async def test_workers_join_a_cluster_that_is_used_meanwhile() -> None:
    """The nodes that were there stay the same ones, the cluster stays Ready, and the status counts."""
    world = await made(0)
    before, seen = nodes(world), []
    world.kube.watch(lambda _, __, obj: seen.append((obj.get("status") or {}).get("ready")))
    status = await scaled(world, 3)

    assert [*before, "demo-worker", "demo-worker2", "demo-worker3"] == list(nodes(world))
    assert before.items() <= nodes(world).items()
    assert False not in seen
    assert ("Ready", "4/4", 3, 3) == tuple(
        status[key] for key in ("phase", "nodesReady", "workerReplicas", "readyWorkerReplicas")
    )
    assert (0, 3) == (status["lastScale"]["from"], status["lastScale"]["to"])
    assert 0 <= status["lastScale"]["seconds"] <= 60
    assert {"False"} == {world.condition(kind)["status"] for kind in ("ScalingUp", "ScalingDown", "RollingOut")}
    assert ("True", 1) == (world.condition("UpToDate")["status"], status["upToDateReplicas"])
    assert ("3", 1) == (record(world), world.runtime.calls["scale"])
    assert {} == world.due, "nothing is waited for"


async def test_workers_leave_highest_number_first() -> None:
    """The others stay the same ones."""
    world = await made(11)
    before, steps = nodes(world), []
    world.run_tasks = False
    await scaled(world, 1)
    await world.tasks.work[KEY](lambda step: steps.append(step.name))
    left = [name.removeprefix("Removing ") for name in dict.fromkeys(steps) if name.startswith("Removing")]

    assert [f"demo-worker{number}" for number in range(11, 1, -1)] == left
    assert ["demo-control-plane", "demo-worker"] == list(nodes(world))
    assert nodes(world).items() <= before.items()


async def test_what_is_under_way_is_said() -> None:
    """Conditions and an Event name the numbers and the step; the cluster is Ready, and to kstatus in progress."""
    world = await made(0)
    world.run_tasks = False
    await scaled(world, 2, 5)
    assert (KEY, Verb.SCALE) == world.tasks.started[-1]
    up = world.condition("ScalingUp")
    assert ("True", "ScalingUp", "From 0 to 2 workers.") == (up["status"], up["reason"], up["message"])
    assert ("True", "1/3") == (world.condition("Ready")["status"], world.status()["nodesReady"])
    assert "ScalingUp" == world.condition("Reconciling")["reason"]
    assert "ScalingUp" in world.recorder.reasons()
    await world.tasks.run(KEY)
    world.run_tasks = True
    await world.pass_time(5)
    assert {} == world.condition("Reconciling")

    world.run_tasks = False
    await scaled(world, 0, 5)
    down = world.condition("ScalingDown")
    assert ("True", "ScalingDown", "From 2 to 0 workers.") == (down["status"], down["reason"], down["message"])
    assert "0" == record(world), "a worker that leaves is not one that was lost, whoever looks next"


@pytest.mark.parametrize("policy", ["Repair", "Recreate"])
@pytest.mark.parametrize("killed_at", range(1, 5))
async def test_a_manager_that_dies_while_workers_leave_loses_no_cluster(policy: str, killed_at: int) -> None:
    """What is gone already is not missing: nothing is replaced, and the rest goes."""
    world = await made(2, healPolicy=policy)
    world.run_tasks = False
    await scaled(world, 0, 5)
    passed = 0

    def die(_: object) -> None:
        nonlocal passed
        passed += 1
        if passed == killed_at:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        await world.tasks.work[KEY](die)
    world.restart()
    world.run_tasks = True
    await world.pass_time(60)

    assert ["demo-control-plane"] == list(nodes(world))
    assert (True, 1) == (world.status()["ready"], world.runtime.calls["create"])


async def test_a_worker_that_did_not_finish_joining_is_made_anew_and_one_that_did_is_kept() -> None:
    """Known by the cluster's own API, not by what a former manager remembers."""
    world = await made(0)
    world.run_tasks = False
    await scaled(world, 2, 5)
    with pytest.raises(RuntimeError):
        await world.tasks.work[KEY](stop_at("Joining demo-worker2"))
    half = nodes(world)
    world.restart()
    world.run_tasks = True
    await world.pass_time(60)

    assert ["demo-control-plane", "demo-worker", "demo-worker2"] == list(nodes(world))
    assert half["demo-worker"] == nodes(world)["demo-worker"]
    assert half["demo-worker2"] != nodes(world)["demo-worker2"]
    assert ("2", "3/3") == (record(world), world.status()["nodesReady"])


def stop_at(name: str) -> Any:
    def progress(step: Any) -> None:
        if step.name == name:
            raise RuntimeError("killed")

    return progress


async def test_a_wish_that_is_taken_back_while_workers_join_leaves_none() -> None:
    """The running task is stopped; what it made goes."""
    world = await made(0)
    held = world.runtime.hang("scale")
    world.run_tasks = False
    await scaled(world, 3, 5)
    await scaled(world, 0, 5)
    assert [KEY] == world.tasks.cancelled
    held.release()
    world.run_tasks = True
    await world.pass_time(60)

    assert ["demo-control-plane"] == list(nodes(world))
    assert {"False"} == {world.condition(kind)["status"] for kind in ("ScalingUp", "ScalingDown")}


async def test_a_worker_that_cannot_be_drained_stays_and_the_reason_is_told() -> None:
    """Not in a loop; it goes as soon as it can, and the cluster is Ready all the while."""
    world = await made(2)
    world.runtime.undrainable["demo-worker2"] = "demo-worker2 cannot be drained: pod default/web."
    world.kube.watch(lambda *_: world._add(KEY))
    await scaled(world, 1, 120)
    down = world.condition("ScalingDown")

    assert ("True", "DrainFailed") == (down["status"], down["reason"])
    assert "default/web" in down["message"]
    assert "demo-worker2" in nodes(world)
    assert 3 <= world.runtime.calls["scale"] <= 5
    assert "True" == world.condition("Ready")["status"]
    assert "seconds" not in world.status()["lastScale"]
    assert "DrainFailed" in world.recorder.reasons()

    world.runtime.undrainable.clear()
    await world.pass_time(60)
    assert "demo-worker2" not in nodes(world)
    assert world.status()["lastScale"]["seconds"] >= 120


async def test_an_edit_does_not_wait_for_the_next_try() -> None:
    """What failed was another wish."""
    world = await made(1)
    world.runtime.fail("scale", Transient(Reason.JOIN_FAILED, "kubeadm refuses."))
    await scaled(world, 3, 5)
    assert ("JoinFailed", 1) == (world.condition("ScalingUp")["reason"], world.runtime.calls["scale"])
    await scaled(world, 2, 5)

    assert ("2", 2) == (record(world), world.runtime.calls["scale"])


@pytest.mark.parametrize("state", ["Stopped", "Paused"])
async def test_a_cluster_at_rest_is_scaled_when_it_runs_again(state: str) -> None:
    """Nothing boots for it, and what is to go is no damage."""
    world = await made(2)
    world.edit({"spec": {"powerState": state}})
    await world.pass_time(30)
    for workers in (1, 4):
        status = await scaled(world, workers)
        assert (0, state) == (world.runtime.calls["scale"], status["phase"])
        assert 3 == len(nodes(world))
    assert f"spec.powerState: {state}" in world.condition("ScalingUp")["message"]

    world.edit({"spec": {"powerState": "Running"}})
    await world.pass_time(60)
    assert ("4", "5/5") == (record(world), world.status()["nodesReady"])


async def test_a_rest_does_not_wait_for_workers() -> None:
    """The task is stopped where it stands, and goes on with the cluster."""
    world = await made(0)
    world.run_tasks = False
    await scaled(world, 2, 5)
    world.edit({"spec": {"powerState": "Stopped"}})
    await world.settle()

    assert (KEY, Verb.STOP) == world.tasks.started[-1]


async def test_a_node_that_stops_meanwhile_is_repaired_first() -> None:
    """A worker needs a control plane to join."""
    world = await made(0)
    world.run_tasks = False
    await scaled(world, 2, 5)
    world.set_node("demo-control-plane", NodeRunState.STOPPED)
    await world.settle()

    assert (KEY, Verb.START) == world.tasks.started[-1]


async def test_an_engine_that_does_not_answer_scales_nothing() -> None:
    """Unknown neither creates nor deletes."""
    world = await made(2)
    world.runtime.engine_up = False
    await scaled(world, 0)
    assert (0, 3) == (world.runtime.calls["scale"], len(nodes(world)))

    world.runtime.engine_up = True
    await world.pass_time(60)
    assert 1 == len(nodes(world))


async def test_a_lost_worker_is_still_said_to_be_lost() -> None:
    """Only what is asked for makes or removes workers: what was on that node is gone, and a person has to know."""
    world = await made(2)
    world.set_node("demo-worker2", None)
    await world.pass_time(30)
    assert "RepairNeeded" == world.condition("Ready")["reason"]
    await scaled(world, 1)
    assert world.status()["ready"]
    await scaled(world, 2)

    assert ("3/3", 1) == (world.status()["nodesReady"], world.runtime.calls["create"])


async def test_an_edit_that_needs_another_cluster_brings_its_workers_along() -> None:
    """One replacement, no scaling before it."""
    world = await made(0, updatePolicy="Recreate", version="v1.34.3")
    world.edit({"spec": {"version": "v1.34.4", "workerReplicas": 2}})
    await world.pass_time(60)

    assert (2, 0, "3/3") == (world.runtime.calls["create"], world.runtime.calls["scale"], world.status()["nodesReady"])


async def test_an_outdated_cluster_that_is_kept_is_scaled_all_the_same() -> None:
    """Report: the version waits for consent, workers need none."""
    world = await made(0, updatePolicy="Report", version="v1.34.3")
    world.edit({"spec": {"version": "v1.34.4", "workerReplicas": 2}})
    await world.pass_time(60)

    assert (1, "3/3") == (world.runtime.calls["create"], world.status()["nodesReady"])
    assert "version (v1.34.3 → v1.34.4) would" in world.condition("UpToDate")["message"]


async def test_listed_nodes_with_something_of_their_own_are_not_scaled() -> None:
    """Which worker has which mounts and labels is kind's to make: an edit of the list needs another cluster."""
    listed = [{"role": "control-plane"}, {"role": "worker", "labels": {"a": "b"}}]
    world = World()
    world.apply(kindcluster(nodes=listed, updatePolicy="Report"))
    await world.pass_time(10)
    world.edit({"spec": {"nodes": [*listed, {"role": "worker"}]}})
    await world.pass_time(60)

    assert (2, "UpdateNeeded") == (len(nodes(world)), world.condition("UpToDate")["reason"])


async def test_workers_that_somebody_else_registered_are_left_alone() -> None:
    """A foreign container under the name stops everything."""
    world = await made(1)
    world.runtime.add_foreign("demo")
    await scaled(world, 0)

    assert ("NameConflict", 0) == (world.condition("Ready")["reason"], world.runtime.calls["scale"])


async def test_images_are_loaded_into_workers_that_join() -> None:
    """By themselves, once they are there; a load that runs does not keep workers waiting."""
    world = World()
    world.runtime.loadable = {"shop:dev": "content"}
    world.apply(kindcluster(images=["shop:dev"]))
    await world.pass_time(10)
    await scaled(world, 1)

    assert [("demo-control-plane", "shop:dev"), ("demo-worker", "shop:dev")] == world.runtime.loaded


async def test_a_replacement_that_cannot_be_made_and_workers_that_cannot_join_wait_each_for_its_own_time() -> None:
    """Each try would else wipe out the memory of the other's failure: two tight loops in one."""
    world = await made(0, updatePolicy="Recreate", version="v1.34.3")
    world.runtime.fail("prepare", Transient(Reason.IMAGE_PULL_FAILED, "No such image."), call=None)
    world.runtime.fail("scale", Transient(Reason.JOIN_FAILED, "It could not join."), call=None)
    world.edit({"spec": {"workerReplicas": 1, "version": "v1.34.4"}})
    await world.pass_time(300)

    assert 2 <= world.runtime.calls["prepare"] <= 8
    assert world.runtime.calls["scale"] <= 12
    assert "ImagePullFailed" == world.condition("UpToDate")["reason"]


async def test_workers_that_the_policy_refuses_end_nothing_that_is_under_way() -> None:
    """No room is made for them: add-ons are applied as ever."""
    world = await made(1, image="example.org/node:1")
    world.options = ReconcileOptions(policy=parse("rules: [{namespaces: ['*'], images: []}]"))
    world.restart()
    manifests = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}})
    world.edit({"spec": {"workerReplicas": 3, "addons": [{"name": "a", "manifests": manifests}]}})
    world.run_tasks = False
    await world.pass_time(5)
    assert (KEY, Verb.APPLY) == world.tasks.started[-1]
    for _ in range(3):
        world._add(KEY)
        await world.pass_time(1)

    assert 1 == world.tasks.started.count((KEY, Verb.APPLY))


async def test_a_refused_spec_gets_no_more_workers_and_may_lose_some() -> None:
    """The policy is asked before anything is made; what runs is left alone."""
    world = await made(1, image="example.org/node:1")
    world.options = ReconcileOptions(policy=parse("rules: [{namespaces: ['*'], images: []}]"))
    world.restart()
    await scaled(world, 3)
    assert ("PolicyRefused", 0) == (world.condition("ScalingUp")["reason"], world.runtime.calls["scale"])
    await scaled(world, 0)

    assert 1 == len(nodes(world))


def test_the_last_scale_is_kept_within_its_limits() -> None:
    """Numbers of workers go to 50 in either form of the spec."""
    drift = Drift((), counted(0), aim=counted(50))
    seen = RuntimeObservation(Presence.PRESENT, Ownership.OURS, ())
    found = change_of(drift, "demo", seen, None, network=True)

    assert found is not None
    assert 50 == len(found.join)


def counted(workers: int) -> Any:
    return node_names({"name": "demo", "nodes": [{}, *[{"role": "worker"}] * workers]})


@given(st.integers(0, 4), st.integers(0, 4), st.sets(st.integers(1, 6)))
def test_whatever_stands_there_ends_as_wanted(settled: int, wanted: int, there: set[int]) -> None:
    """Who joins and who leaves is disjoint, a settled worker that stays is in neither, and together they lead to what is wanted."""
    names_there = {name for number, (name, _) in enumerate(counted(6)[1:], 1) if number in there}
    observed = tuple(NodeObservation(name, NodeRole.WORKER, name, NodeRunState.RUNNING) for name in sorted(names_there))
    drift = Drift((), counted(min(settled, wanted)), aim=counted(wanted))
    seen = RuntimeObservation(Presence.PRESENT, Ownership.OURS, observed)
    found = change_of(drift, "demo", seen, None, network=True)
    stay = {name for name, _ in counted(min(settled, wanted))[1:]}
    join, leave = (set(found.join), set(found.leave)) if found else (set(), set())

    assert not join & leave
    assert not stay & (join | leave)
    assert {name for name, _ in counted(wanted)[1:]} == ((names_there | stay) - leave) | join
