"""Another daemon is not absence: what an object's cluster is on is kept, and elsewhere nothing is made, deleted, released or flipped."""

from __future__ import annotations

import pytest

from provider.api import names
from provider.api.conditions import Reason
from provider.api.meta import JsonObject
from provider.reconcile.attempts import NOT_A_TRY
from tests.fakes.runtime import REGISTRY_HOST
from tests.fakes.world import KEY, World, kindcluster

OTHER = "fake/elsewhere/000000000002"
RECREATE = kindcluster(standalone=True, healPolicy="Recreate")


@pytest.fixture
def world() -> World:
    return World()


def daemon(world: World) -> str:
    return str(annotations_of(world).get(names.DAEMON_ANNOTATION, ""))


def annotations_of(world: World) -> JsonObject:
    obj = world.get()
    assert obj is not None
    found: JsonObject = obj["metadata"].get("annotations") or {}
    return found


def annotate(world: World, value: str | None) -> None:
    world.edit({"metadata": {"annotations": {names.DAEMON_ANNOTATION: value}}})


async def ready(world: World) -> None:
    world.apply(RECREATE)
    await world.settle()
    assert world.status()["phase"] == "Ready"


async def test_the_daemon_is_persisted_before_anything_is_made(world: World) -> None:
    """Killed at any later instruction, a manager knows where to look."""
    world.run_tasks = False
    world.apply(RECREATE)
    await world.look()
    await world.look()

    assert daemon(world) == world.runtime.daemon
    assert not world.tasks.started
    assert not world.status().get("lastCreate")


async def test_a_ready_cluster_on_another_daemon_stays_ready_and_nothing_is_made(world: World) -> None:
    """Not even where healPolicy is Recreate; the condition names both; all resumes when the first daemon is back."""
    await ready(world)
    first = world.runtime.daemon
    clusters = world.runtime.switch(OTHER)
    log = list(world.runtime.log)
    world.edit({"metadata": {"labels": {"look": "again"}}})
    await world.pass_time(120)

    condition = world.condition("EngineReachable")
    assert (condition["status"], condition["reason"]) == ("False", "OtherDaemon")
    assert first in condition["message"]
    assert OTHER in condition["message"]
    assert (world.condition("Ready")["status"], world.status()["ready"]) == ("True", True)
    assert (world.runtime.log, world.runtime.clusters) == (log, {})
    assert daemon(world) == first

    world.runtime.switch(first, clusters)
    await world.pass_time(120)
    assert world.condition("EngineReachable")["status"] == "True"


async def test_a_deletion_waits_for_the_daemon_the_cluster_is_on(world: World) -> None:
    """Nothing found elsewhere releases nothing; back at the first one it goes on by itself."""
    await ready(world)
    first = world.runtime.daemon
    clusters = world.runtime.switch(OTHER)
    world.delete()
    await world.pass_time(120)

    assert world.condition("Ready")["reason"] == "DeleteBlocked"
    assert OTHER in world.condition("Ready")["message"]
    assert clusters

    world.runtime.switch(first, clusters)
    await world.pass_time(120)
    assert world.get() is None
    assert world.runtime.clusters == {}


async def test_a_daemon_that_is_gone_for_good_is_given_up_by_hand(world: World) -> None:
    """Its data was wiped, or its host: the annotation that the message asks for lets the object go on, here to a new cluster."""
    await ready(world)
    world.runtime.switch(OTHER)
    annotate(world, OTHER)
    await world.pass_time(120)

    assert list(world.runtime.clusters) == ["demo"]
    assert world.status()["phase"] == "Ready"


async def test_an_object_of_an_earlier_version_adopts_the_daemon_where_its_nodes_are(world: World) -> None:
    """Seen by their marker; nothing else happens to the cluster."""
    await ready(world)
    made = list(world.runtime.log)
    annotate(world, None)
    await world.settle()

    assert daemon(world) == world.runtime.daemon
    assert [entry for entry in world.runtime.log if entry[0] in ("create", "delete", "start")] == [
        entry for entry in made if entry[0] in ("create", "delete", "start")
    ]


@pytest.mark.parametrize("deleted", [False, True])
async def test_without_a_record_absence_alone_decides_nothing(world: World, *, deleted: bool) -> None:
    """Neither a new cluster nor a release, until the first daemon is back or a person has given it up."""
    await ready(world)
    first = world.runtime.daemon
    clusters = world.runtime.switch(OTHER)
    annotate(world, None)
    if deleted:
        world.delete()
    await world.pass_time(120)

    condition = world.condition("Ready" if deleted else "EngineReachable")
    assert condition["reason"] == ("DeleteBlocked" if deleted else "OtherDaemon")
    assert f"{names.DAEMON_ANNOTATION}={OTHER}" in condition["message"]
    assert (world.runtime.clusters, daemon(world)) == ({}, "")

    world.runtime.switch(first, clusters)
    await world.pass_time(120)
    assert (world.get() is None) is deleted
    assert ("demo" in world.runtime.clusters) is not deleted


async def test_a_foreign_cluster_elsewhere_is_no_proof_that_ours_is_gone(world: World) -> None:
    """A deletion would be released by it, if it were known that ours was made there."""
    await ready(world)
    world.runtime.switch(OTHER)
    world.runtime.add_foreign("demo")
    annotate(world, None)
    world.delete()
    await world.pass_time(60)

    assert world.condition("Ready")["reason"] == "DeleteBlocked"


async def test_a_registry_that_nobody_uses_elsewhere_is_no_sign_of_a_cluster(world: World) -> None:
    """It carries nobody's marker: the other daemon is not recorded for it, and the deletion waits for the first."""
    await ready(world)
    world.runtime.switch(OTHER)
    world.runtime.registry = REGISTRY_HOST
    annotate(world, None)
    world.delete()
    await world.pass_time(60)

    assert ("DeleteBlocked", "", REGISTRY_HOST) == (world.condition("Ready")["reason"], daemon(world), world.runtime.registry)


async def test_a_deletion_records_the_daemon_before_it_removes_anything(world: World) -> None:
    """A manager killed half-way must not find another daemon empty and release the object."""
    await ready(world)
    annotate(world, None)
    world.delete()
    await world.look()

    assert daemon(world) == world.runtime.daemon
    assert list(world.runtime.clusters) == ["demo"]


async def test_a_moved_object_keeps_its_daemon(world: World) -> None:
    """clusterctl move and backups keep spec and metadata, and drop the status: elsewhere nothing is made for it."""
    await ready(world)
    obj = world.get()
    assert obj is not None
    moved = {**obj, "metadata": {key: obj["metadata"][key] for key in ("name", "namespace", "annotations")}}
    moved.pop("status")
    other = World()
    other.runtime.daemon = OTHER
    other.apply(moved)
    await other.pass_time(60)

    assert other.condition("EngineReachable", KEY)["reason"] == "OtherDaemon"
    assert other.runtime.clusters == {}


def test_a_create_that_met_another_daemon_is_not_counted() -> None:
    """Nothing was tried, and no edit of the spec would help."""
    assert Reason.OTHER_DAEMON in NOT_A_TRY


async def test_an_endpoint_that_somebody_preset_is_no_sign_of_a_cluster(world: World) -> None:
    """The token is new, so nothing was made with it: the object is deleted without anybody's help."""
    world.apply(kindcluster(standalone=True, controlPlaneEndpoint={"host": "10.0.0.1", "port": 6443}))
    await world.pass_time(60)
    assert daemon(world) == world.runtime.daemon
    assert world.condition("EngineReachable")["status"] == "True"

    world.delete()
    await world.pass_time(60)
    assert world.get() is None
