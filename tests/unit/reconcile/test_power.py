"""spec.powerState: a cluster is brought to rest and back, and says the truth about itself meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from provider.api import names
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey
from provider.errors import Transient
from provider.ports.runtime import NodeRunState, Verb
from tests.fakes.world import KEY, World, kindcluster

STATES = {"Running": NodeRunState.RUNNING, "Stopped": NodeRunState.STOPPED, "Paused": NodeRunState.PAUSED}


async def made(**spec: Any) -> World:
    world = World()
    world.apply(kindcluster(workerReplicas=1, **spec))
    await world.pass_time(10)
    assert world.status()["ready"]
    return world


async def powered(world: World, state: str, seconds: float = 10) -> JsonObject:
    world.edit({"spec": {"powerState": state}})
    await world.pass_time(seconds)
    return world.status()


def states(world: World) -> set[NodeRunState]:
    return {node.state for node in world.runtime.clusters["demo"].nodes}


def reasons(world: World) -> dict[str, str]:
    return {entry["type"]: entry["reason"] for entry in world.status()["conditions"] if entry["status"] != "True"}


@pytest.mark.parametrize("state", ["Stopped", "Paused"])
async def test_a_cluster_at_rest_is_not_ready_and_says_why(state: str) -> None:
    """Neither drift nor failure: every condition that is not True names the wish, and what Cluster API was told once stays told."""
    world = await made()
    status = await powered(world, state)

    assert {STATES[state]} == states(world)
    assert (False, state, "0/2") == (status["ready"], status["phase"], status["nodesReady"])
    assert {"provisioned": True, "controlPlaneInitialized": True} == status["initialization"]
    assert not {"failureReason", "failureMessage"} & status.keys()
    told = {kind: reasons(world)[kind] for kind in ("Ready", "Available", "ContainersRunning", "ControlPlaneReady", "NodesReady")}
    assert {state} == set(told.values())
    assert f"spec.powerState: {state}" in world.condition("Ready")["message"]
    assert (0, 0) == (status["readyReplicas"], status["availableReplicas"])
    assert "True" == world.condition("KubeconfigPublished")["status"]
    assert {} == world.due, "nothing is waited for"
    assert ["Stopping" if state == "Stopped" else "Pausing", state] == [entry["reason"] for entry in status["history"][-2:]]


@pytest.mark.parametrize("state", ["Stopped", "Paused"])
async def test_a_resumed_cluster_is_the_same_one_and_says_how_long_it_took(state: str) -> None:
    """Started, not made again; the seconds count until Ready."""
    world = await made()
    ids = [node.id for node in world.runtime.clusters["demo"].nodes]
    await powered(world, state)
    world.workload.not_ready = {"demo-worker"}
    coming = await powered(world, "Running", 7)
    assert ("Starting", "WaitingForNodes") == (coming["phase"], world.condition("Ready")["reason"])
    world.workload.not_ready = set()
    await world.pass_time(20)
    status = world.status()

    assert {NodeRunState.RUNNING} == states(world)
    assert ids == [node.id for node in world.runtime.clusters["demo"].nodes]
    assert (True, "Ready", "2/2") == (status["ready"], status["phase"], status["nodesReady"])
    assert 7 <= status["lastResume"]["seconds"] <= 9
    assert 1 == world.runtime.calls["create"]
    assert ["Starting", "Ready"] == [entry["phase"] for entry in status["history"]][-2:]
    assert not any(entry["phase"] in ("Degraded", "Repairing") for entry in status["history"])


@pytest.mark.parametrize(
    ("first", "then", "wanted"),
    [
        pytest.param("Paused", "Stopped", NodeRunState.STOPPED, id="paused nodes are stopped"),
        pytest.param("Stopped", "Paused", NodeRunState.STOPPED, id="stopped nodes are not started to be paused"),
    ],
)
async def test_from_one_rest_to_the_other(first: str, then: str, wanted: NodeRunState) -> None:
    """Rest is never left on the way; the reason is what was seen."""
    world = await made()
    await powered(world, first)
    status = await powered(world, then)

    assert {wanted} == states(world)
    assert str(wanted) == status["phase"] == world.condition("Ready")["reason"]
    assert 0 == world.runtime.calls["start"]


async def test_a_cluster_is_published_before_it_rests() -> None:
    """Applied as Stopped: Cluster API and people get endpoint and kubeconfig first."""
    world = World()
    world.kube.watch(lambda *_: world._add(KEY))
    world.apply(kindcluster(powerState="Stopped"))
    await world.pass_time(30)

    assert {NodeRunState.STOPPED} == states(world)
    assert world.secret() is not None
    assert world.status()["initialization"]["provisioned"]
    assert "Stopped" == world.status()["phase"]
    assert 1 == world.runtime.calls["create"]


async def test_what_is_started_behind_our_back_is_brought_to_rest_again() -> None:
    """A container engine starts stopped containers when it is started itself."""
    world = await made()
    await powered(world, "Stopped")
    world.set_node("demo-worker", NodeRunState.RUNNING)
    await world.pass_time(30)

    assert {NodeRunState.STOPPED} == states(world)
    assert "Stopped" == world.status()["phase"]


async def test_a_rest_that_was_asked_for_ends_also_where_repairs_are_not_wanted() -> None:
    """healPolicy: Report is about what somebody else did, and goes on to be."""
    world = await made(healPolicy="Report")
    await powered(world, "Stopped")
    assert (await powered(world, "Running", 30))["ready"]
    world.set_node("demo-worker", NodeRunState.STOPPED)
    await world.pass_time(30)

    assert "RepairNeeded" == world.condition("Ready")["reason"]


async def test_a_stop_that_fails_is_said_and_tried_again() -> None:
    """Not Stopped before it is."""
    world = await made()
    world.runtime.fail("stop", Transient(Reason.STOP_FAILED, "docker does not stop it."))
    status = await powered(world, "Stopped", 5)
    assert ("StopFailed", "Degraded") == (world.condition("Ready")["reason"], status["phase"])
    assert "docker does not stop it." in world.condition("Ready")["message"]
    await world.pass_time(30)

    assert "Stopped" == world.status()["phase"]


@pytest.mark.parametrize("verb", ["stop", "start"])
async def test_what_goes_on_failing_is_not_tried_in_a_loop(verb: str) -> None:
    """The event of the status that says so brings the next pass at once, and that must still know when it was tried."""
    world = await made()
    world.kube.watch(lambda *_: world._add(KEY))
    world.runtime.fail(verb, Transient(Reason.ENGINE_FAILED, "docker does not."), call=None)
    if verb == "stop":
        await powered(world, "Stopped", 60)
    else:
        world.set_node("demo-worker", NodeRunState.STOPPED)
        await world.pass_time(60)

    assert 5 <= world.runtime.calls[verb] <= 7


async def test_images_that_are_loaded_after_a_resume_are_no_damage() -> None:
    """An image that was built anew while the cluster rested comes before the nodes are Ready."""
    world = World()
    world.runtime.loadable = {"shop:dev": "one"}
    world.apply(kindcluster(images=["shop:dev"]))
    await world.pass_time(10)
    await powered(world, "Stopped", 70)
    world.runtime.loadable = {"shop:dev": "two"}
    world.workload.not_ready = {"demo-control-plane"}
    status = await powered(world, "Running", 5)

    assert [("demo-control-plane", "shop:dev")] * 2 == world.runtime.loaded
    assert "Starting" == status["phase"]


async def test_a_status_that_was_lost_at_rest_is_rebuilt_without_starting_anything() -> None:
    """clusterctl move and a restored backup drop it; Cluster API still hears that the cluster is provisioned."""
    world = await made()
    await powered(world, "Stopped")
    world.edit({"status": None})
    await world.pass_time(30)

    assert 0 == world.runtime.calls["start"]
    assert "Stopped" == world.status()["phase"]
    assert world.status()["initialization"]["provisioned"]


@pytest.mark.parametrize(
    ("policy", "reason"), [pytest.param("Repair", "RepairNeeded", id="said"), pytest.param("Recreate", "Stopped", id="waits")]
)
async def test_a_node_that_goes_while_the_cluster_rests(policy: str, reason: str) -> None:
    """Nothing is made for a cluster that is to rest; with Recreate it is replaced when it is to run."""
    world = await made(healPolicy=policy)
    await powered(world, "Stopped")
    world.set_node("demo-worker", None)
    await world.pass_time(30)

    assert reason == world.condition("Ready")["reason"]
    assert "Missing: demo-worker" in world.condition("Ready")["message"]
    assert 1 == world.runtime.calls["create"]
    assert (policy == "Recreate") == (await powered(world, "Running", 30))["ready"]


async def test_a_preset_endpoint_provisions_nothing() -> None:
    """Cluster API would be told for good that there is a cluster, where nothing was ever made."""
    world = World()
    preset = {"host": "127.0.0.1", "port": 6443}
    world.apply(kindcluster(powerState="Stopped", healPolicy="Recreate", controlPlaneEndpoint=preset))
    await world.pass_time(30)

    assert {} == world.runtime.clusters
    assert "initialization" not in world.status()


async def test_an_outdated_cluster_is_not_replaced_while_it_is_to_rest() -> None:
    """Nothing boots for it; it is said, and done when the cluster is to run."""
    world = await made(updatePolicy="Recreate")
    await powered(world, "Stopped")
    world.edit({"spec": {"version": "v1.30.0"}})
    await world.pass_time(30)
    outdated = world.condition("UpToDate")

    assert (1, 0) == (world.runtime.calls["create"], world.runtime.calls["prepare"])
    assert {"Stopped"} == {world.status()["phase"], world.condition("Ready")["reason"], outdated["reason"]}
    assert "when it is to run again" in outdated["message"]
    assert (await powered(world, "Running", 30))["ready"]
    assert (2, "True") == (world.runtime.calls["create"], world.condition("UpToDate")["status"])


async def test_a_rest_does_not_wait_for_what_a_replacement_needs() -> None:
    """A pull may take an hour."""
    world = await made(updatePolicy="Recreate")
    world.run_tasks = False
    world.edit({"spec": {"version": "v1.30.0"}})
    await world.settle()
    assert (KEY, Verb.PREPARE) == world.tasks.started[-1]
    world.edit({"spec": {"powerState": "Stopped"}})
    await world.settle()

    assert (KEY, Verb.STOP) == world.tasks.started[-1]


async def test_a_cluster_at_rest_can_be_deleted() -> None:
    """Nothing has to be started first."""
    world = await made()
    await powered(world, "Paused")
    world.delete()
    await world.pass_time(30)

    assert None is world.get()
    assert [] == world.runtime.marked()
    assert None is world.kube.read(names.SECRETS, ObjectKey("default", "demo-config"))
    assert 0 == world.runtime.calls["start"]


async def test_an_interrupted_resume_leaves_no_figure_behind() -> None:
    """A time that never came to its end is none."""
    world = await made()
    await powered(world, "Stopped")
    world.workload.not_ready = {"demo-worker"}
    assert "seconds" not in (await powered(world, "Running", 5))["lastResume"]

    assert "lastResume" not in await powered(world, "Stopped", 5)
