"""What one look at each of n objects reads from the management cluster: as many objects for each, whatever n is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from provider.api import contract, names
from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from tests.fakes.world import KEY, World, kindcluster

FEW, MANY = 2, 10


def ready(number: int, world: World) -> JsonObject:
    return kindcluster(ObjectKey("default", f"c{number}"), standalone=True)


def without_owner(number: int, world: World) -> JsonObject:
    """Cluster API's core does not run: each waits for the Cluster that names it."""
    world.kube.groups.add(contract.CAPI_GROUP)
    reference = {"apiGroup": names.GROUP, "kind": KINDCLUSTERS.kind, "name": f"c{number}"}
    world.kube.put(contract.CLUSTERS, {"metadata": {"name": f"o{number}"}, "spec": {"infrastructureRef": reference}})
    return kindcluster(ObjectKey("default", f"c{number}"))


def restored(token: str, number: int) -> JsonObject:
    obj = kindcluster(
        ObjectKey("default", f"c{number}"),
        standalone=True,
        identity={"token": hashlib.sha256(token.encode()).hexdigest()[:32], "runtime": "kind"},
        controlPlaneEndpoint={"host": "127.0.0.1", "port": 40000 + number},
    )
    obj["metadata"]["annotations"] = {names.DAEMON_ANNOTATION: World().runtime.daemon}
    return obj


def copy(number: int, world: World) -> JsonObject:
    """Of one object, all of them."""
    return restored("one", number)


def lost(number: int, world: World) -> JsonObject:
    """Restored objects whose clusters are gone."""
    return restored(str(number), number)


async def objects_read(count: int, make: Callable[[int, World], JsonObject]) -> int:
    """For each object, by one look at each."""
    world = World()
    for number in range(count):
        world.apply(make(number, world))
        await world.settle()
    read = 0
    get, list_all = world.kube.get, world.kube.list

    async def counted_get(resource: Resource, key: ObjectKey) -> JsonObject | None:
        nonlocal read
        read += 1
        return await get(resource, key)

    async def counted_list(resource: Resource, **selection: Any) -> list[JsonObject]:
        nonlocal read
        found = await list_all(resource, **selection)
        read += len(found)
        return found

    world.kube.get, world.kube.list = counted_get, counted_list  # type: ignore[method-assign]
    for number in range(count):
        await world.look(ObjectKey("default", f"c{number}"))
    assert read % count == 0
    return read // count


@pytest.mark.parametrize("make", [ready, without_owner, copy, lost], ids=lambda make: make.__name__)
async def test_a_look_reads_as_many_objects_whether_there_are_few_or_many(make: Callable[[int, World], JsonObject]) -> None:
    """A resync of n objects reads a multiple of n, not the square."""
    few, many = await objects_read(FEW, make), await objects_read(MANY, make)

    assert few == many <= 3


async def test_a_cluster_that_is_gone_is_not_named() -> None:
    """What the watch has shown is asked for before it is said."""
    world = World()
    world.apply(without_owner(0, world))
    key = ObjectKey("default", "c0")
    await world.settle()
    assert "Cluster o0 names this object" in world.condition("Ready", key)["message"]

    world.kube.remove(contract.CLUSTERS, ObjectKey("default", "o0"))
    await world.look(key)
    assert "No Cluster owns this object yet" in world.condition("Ready", key)["message"]


async def test_a_copy_is_found_that_no_event_told_of() -> None:
    """Before anything is made at another's address, all objects are read; what is known from events alone would be too little."""
    world = World()
    world.apply(kindcluster())
    await world.settle()
    obj = world.get()
    assert obj is not None
    world.restart()
    world.reconciler._tokens.forget(KEY)
    obj["metadata"] |= {"name": "copy"}
    obj["spec"]["healPolicy"] = "Recreate"
    world.apply(obj)
    await world.look(ObjectKey("default", "copy"))

    assert world.condition("Ready", ObjectKey("default", "copy"))["reason"] == "CopiedIdentity"
    assert world.tasks.started == []
