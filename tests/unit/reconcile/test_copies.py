"""Copies of an object, replaced objects, restored ones: no copy takes what is another object's, and each says what to leave out."""

from __future__ import annotations

from typing import Any

import pytest

from provider.api import contract, names
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.ports.runtime import Verb
from tests.fakes.world import KEY, World, kindcluster

COPY = ObjectKey("default", "copy")


async def ready(**spec: Any) -> World:
    world = World()
    world.apply(kindcluster(**spec))
    await world.settle()
    assert world.status()["phase"] == "Ready"
    return world


def copied(world: World, key: ObjectKey = COPY) -> JsonObject:
    """`kubectl get -o yaml`, another name: the API server drops the status, uid and the like, and keeps the rest."""
    obj = world.get()
    assert obj is not None
    obj["metadata"] |= {"name": key.name, "namespace": key.namespace}
    return obj


@pytest.mark.parametrize(
    "spec",
    [{}, {"healPolicy": "Recreate"}, {"updatePolicy": "Recreate"}, {"clusterName": "shared"}],
    ids=["plain", "heal", "update", "same name"],
)
@pytest.mark.parametrize("key", [COPY, ObjectKey("team-b", KEY.name)], ids=["name", "namespace"])
async def test_a_copy_makes_nothing_and_says_what_to_leave_out(spec: dict[str, Any], key: ObjectKey) -> None:
    """It has the other one's endpoint: a cluster made for it would answer there. Nobody is told to recreate or remove anything."""
    world = await ready(**spec)
    before, secret = world.get(), world.secret(f"{spec.get('clusterName', KEY.name)}-config")
    copy = copied(world, key)
    if "updatePolicy" in spec:
        copy["spec"]["workerReplicas"] = 1
    world.apply(copy)
    await world.pass_time(90)

    condition = world.condition("Ready", key)
    assert (condition["reason"], world.status(key)["phase"]) == ("CopiedIdentity", "Pending")
    for words in ("spec.identity and spec.controlPlaneEndpoint", str(KEY), "delete this object", "without them"):
        assert words in condition["message"]
    assert "Recreate" not in condition["message"]
    assert [KEY] == [started for started, verb in world.tasks.started]

    world.delete(key)
    await world.settle()
    assert world.get(key) is None
    assert (before, secret) == (world.get(), world.secret(f"{spec.get('clusterName', KEY.name)}-config"))
    assert len(world.runtime.marked()) == 1


async def test_a_copy_without_what_the_message_names_becomes_a_cluster_of_its_own() -> None:
    """The cure works as it is worded."""
    world = await ready()
    copy = copied(world)
    del copy["spec"]["identity"], copy["spec"]["controlPlaneEndpoint"]
    world.apply(copy)
    await world.settle()

    assert world.status(COPY)["phase"] == "Ready"
    assert world.runtime.marked() == ["demo-control-plane", "copy-control-plane"]


async def test_a_copy_taken_before_there_was_an_endpoint_works() -> None:
    """A copied token alone owns nothing and takes nothing: the mark is made of the name as well."""
    world = World()
    world.run_tasks = False
    world.apply(kindcluster())
    await world.settle()
    world.apply(copied(world))
    world.run_tasks = True
    await world.settle()

    assert [world.status(key)["phase"] for key in (KEY, COPY)] == ["Ready", "Ready"]
    assert world.runtime.marked() == ["demo-control-plane", "copy-control-plane"]


async def test_a_copy_of_an_owned_object_can_be_deleted() -> None:
    """It names the other one's Cluster, under a name that was replaced too: there is nothing of it that had to be kept for its owner."""
    world = await ready()
    world.kube.groups.add(contract.CAPI_GROUP)
    copy = copied(world)
    owner = {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "name": "copy", "uid": "of-another"}
    copy["metadata"]["ownerReferences"] = [owner]
    world.apply(copy)
    await world.settle()
    assert world.condition("Ready", COPY)["reason"] == "InvalidOwner"

    world.delete(COPY)
    await world.settle()
    assert world.get(COPY) is None
    assert world.runtime.marked() == ["demo-control-plane"]


async def test_a_restored_object_whose_cluster_is_lost_is_no_copy() -> None:
    """Nobody else has its token: it hears what a lost cluster hears, and Recreate is its to choose."""
    world = await ready()
    obj = copied(world, KEY)
    world.kube.edit(KINDCLUSTERS, KEY, {"metadata": {"finalizers": None}})
    world.kube.remove(KINDCLUSTERS, KEY)
    world.runtime.clusters.clear()
    world.restart()
    world.apply(obj)
    await world.settle()

    assert world.condition("Ready")["reason"] == "RepairNeeded"


async def test_a_replaced_object_keeps_its_cluster() -> None:
    """`kubectl replace` with a file that has identity and endpoint drops finalizer, annotations and labels: all of ours come back."""
    world = await ready()
    world.edit({"metadata": {"finalizers": None, "annotations": None, "labels": None}})
    await world.settle()

    obj = world.get()
    assert obj is not None
    assert obj["metadata"]["finalizers"] == [names.FINALIZER]
    assert names.MADE_FROM_ANNOTATION in obj["metadata"]["annotations"]
    assert world.status()["phase"] == "Ready"
    assert [verb for _, verb in world.tasks.started] == [Verb.CREATE]


async def test_an_object_applied_anew_without_its_identity_never_takes_the_living_cluster() -> None:
    """A backup without spec.identity gets a new token; the cluster keeps the old mark, and is foreign to it."""
    world = await ready()
    world.kube.edit(KINDCLUSTERS, KEY, {"metadata": {"finalizers": None}})
    world.kube.remove(KINDCLUSTERS, KEY)
    await world.look()
    world.apply(kindcluster())
    await world.pass_time(90)

    assert world.condition("Ready")["reason"] == "NameConflict"
    assert world.runtime.marked() == ["demo-control-plane"]
    assert world.runtime.calls["delete"] == 0
