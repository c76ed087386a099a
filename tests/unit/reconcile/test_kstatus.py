"""Flux, Argo CD and `kubectl wait`: what they conclude from the objects, at each moment of a cluster's life. Reconcilers on fakes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from provider.api.conditions import ConditionType, Reason
from provider.api.customresource import UNSEEN
from provider.api.meta import Condition, JsonObject
from provider.api.meta import ConditionStatus as Is
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES
from provider.errors import Terminal, Transient
from provider.ports.runtime import NodeRunState, Problem
from provider.reconcile import kstatus as conditions
from tests.fakes.kstatus import Status, kstatus
from tests.fakes.world import World, kindcluster
from tests.unit.reconcile.test_kindcontrolplane import CONTROL_PLANE, Topology


def seen(world: World) -> Status:
    """Of the object as an API server serves it: with the default that the CRD gives to a status."""
    obj = world.get()
    assert obj is not None
    return kstatus({"status": UNSEEN, **obj})


async def test_a_new_object_is_in_progress_until_it_is_ready() -> None:
    """From before the manager has seen it, through every write, to the end."""
    world = World()
    world.apply(kindcluster())
    told = [seen(world)]

    async def look(_: object) -> None:
        told.append(seen(world))

    world.kube.before(look)
    await world.pass_time(30)

    assert (set(told[:-1]), seen(world)) == ({Status.IN_PROGRESS}, Status.CURRENT)


async def wrong_spec(world: World) -> None:
    world.runtime.fail("create", Terminal(Reason.IMAGE_NOT_FOUND, "no such image"))
    world.apply(kindcluster())


async def host_at_fault(world: World) -> None:
    world.runtime.problems = [Problem(Reason.DISK_FULL, "The disk is full.", terminal=False)]
    world.apply(kindcluster())


async def node_lost(world: World) -> None:
    world.apply(kindcluster(workerReplicas=1))
    await world.pass_time(30)
    world.set_node("demo-worker", None)


async def stopped_and_only_reported(world: World) -> None:
    world.apply(kindcluster(healPolicy="Report"))
    await world.pass_time(30)
    world.set_node("demo-control-plane", NodeRunState.STOPPED)


async def outdated(world: World) -> None:
    world.apply(kindcluster(updatePolicy="Report"))
    await world.pass_time(30)
    world.edit({"spec": {"featureGates": {"A": True}}})


async def worker_cannot_leave(world: World) -> None:
    world.apply(kindcluster(workerReplicas=1))
    await world.pass_time(30)
    world.runtime.undrainable["demo-worker"] = "demo-worker cannot be drained: a PodDisruptionBudget."
    world.edit({"spec": {"workerReplicas": 0}})


async def replacement_cannot_be_fetched(world: World) -> None:
    world.apply(kindcluster(updatePolicy="Recreate"))
    await world.pass_time(30)
    world.runtime.fail("prepare", Transient(Reason.IMAGE_PULL_FAILED, "no network"), call=None)
    world.edit({"spec": {"image": "other"}})


async def engine_down(world: World) -> None:
    world.apply(kindcluster())
    await world.pass_time(30)
    world.runtime.engine_up = False


Trouble = Callable[[World], Awaitable[None]]


@pytest.mark.parametrize(
    ("trouble", "status", "cure"),
    [
        (wrong_spec, Status.FAILED, {"spec": {"image": "good"}}),
        (host_at_fault, Status.IN_PROGRESS, None),
        (node_lost, Status.FAILED, {"spec": {"healPolicy": "Recreate"}}),
        (stopped_and_only_reported, Status.FAILED, {"spec": {"healPolicy": "Repair"}}),
        (outdated, Status.FAILED, {"spec": {"featureGates": None}}),
        (worker_cannot_leave, Status.IN_PROGRESS, None),
        (replacement_cannot_be_fetched, Status.IN_PROGRESS, None),
        (engine_down, Status.CURRENT, None),
    ],
)
async def test_failed_is_what_waits_for_an_edit(trouble: Trouble, status: Status, cure: JsonObject | None) -> None:
    """Failed as long as nothing comes of it without one, and in progress from the moment of the edit."""
    world = World()
    await trouble(world)
    await world.pass_time(90)
    assert seen(world) == status, world.status()["conditions"]
    if cure is None:
        return

    world.runtime.heal()
    world.edit(cure)
    assert seen(world) == Status.IN_PROGRESS, "at once, before the manager has seen the edit"
    await world.pass_time(90)

    assert seen(world) == Status.CURRENT
    assert {"Stalled", "Reconciling"}.isdisjoint(entry["type"] for entry in world.status()["conditions"])


async def test_a_pause_leaves_the_verdict() -> None:
    """Only the condition Paused may change while paused."""
    world = World()
    await node_lost(world)
    await world.pass_time(30)

    world.edit({"metadata": {"annotations": {"cluster.x-k8s.io/paused": ""}}})
    await world.pass_time(30)

    assert (seen(world), world.condition("Paused")["status"]) == (Status.FAILED, "True")


async def test_a_control_plane_of_another_version_is_in_progress_until_the_cluster_is_replaced() -> None:
    """Although the cluster of the former version is Ready meanwhile, and the mirror has its pass before the KINDCluster has."""
    world = Topology(version="v1.34.3", spec={"updatePolicy": "Recreate"})

    def mirrored() -> Status:
        obj = world.kube.read(KINDCONTROLPLANES, CONTROL_PLANE)
        assert obj is not None
        return kstatus({"status": UNSEEN, **obj})

    assert mirrored() == Status.IN_PROGRESS
    await world.both()
    assert mirrored() == Status.CURRENT
    generation = world.mirrored_condition("UpToDate")["observedGeneration"]

    world.kube.edit(KINDCONTROLPLANES, CONTROL_PLANE, {"spec": {"version": "v1.34.4"}})
    await world.mirrors.reconcile(CONTROL_PLANE)

    assert (mirrored(), world.mirrored()["ready"]) == (Status.IN_PROGRESS, True)
    assert world.mirrored_condition("UpToDate")["observedGeneration"] == generation, "what kubectl wait looks at"
    await world.both()
    assert mirrored() == Status.CURRENT
    assert world.mirrored_condition("UpToDate")["observedGeneration"] > generation


def told(kind: ConditionType, reason: Reason, status: Is = Is.FALSE) -> Condition:
    return Condition(kind, status, reason, "why")


READY, UP_TO_DATE = ConditionType.READY, ConditionType.UP_TO_DATE


@pytest.mark.parametrize(
    ("now", "mark"),
    [
        ([], None),
        ([told(READY, Reason.READY, Is.TRUE)], None),
        ([told(READY, Reason.CREATING)], None),
        ([told(READY, Reason.CREATE_FAILED)], ConditionType.STALLED),
        ([told(READY, Reason.CREATE_RETRYING)], None),
        ([told(READY, Reason.READY, Is.TRUE), told(UP_TO_DATE, Reason.UPDATE_NEEDED)], ConditionType.STALLED),
        ([told(READY, Reason.READY, Is.TRUE), told(UP_TO_DATE, Reason.PREPARING)], ConditionType.RECONCILING),
        ([told(READY, Reason.RECREATING), told(UP_TO_DATE, Reason.UPDATE_NEEDED)], None),
    ],
)
def test_marks(now: list[Condition], mark: ConditionType | None) -> None:
    """At most one, with reason and message of what it comes from."""
    found = conditions.marks({condition.type: condition for condition in now})

    assert list(found) == ([] if mark is None else [mark])
    assert all((one.status, one.message) == (Is.TRUE, "why") for one in found.values())
