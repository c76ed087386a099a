"""spec.images in a whole world of fakes: loaded once into every node, again where they are missing, and never in the way of anything."""

from __future__ import annotations

from typing import Any

import pytest

from provider.api.conditions import Reason
from provider.errors import Transient
from provider.ports.runtime import NodeRunState, Step, StepState, Verb
from tests.fakes.world import KEY, World, kindcluster

IMAGE = "localhost/shop:dev"
NODES = ["demo-control-plane", "demo-worker"]


async def world_with(*, loadable: bool = True, run: bool = True, **spec: Any) -> World:
    """A Ready cluster of two nodes that wants one image."""
    world = World()
    world.runtime.loadable = {IMAGE: "one"} if loadable else {}
    world.apply(kindcluster(workerReplicas=1, images=[IMAGE], **spec))
    if run:
        await world.pass_time(10)
    return world


def told(world: World) -> tuple[str, str]:
    condition = world.condition("ImagesPreloaded")
    return condition["status"], condition["reason"]


def loads(world: World) -> int:
    return [verb for _, verb in world.tasks.started].count(Verb.LOAD)


async def test_every_node_has_the_image_and_nothing_is_loaded_twice() -> None:
    """One task for all nodes; hours, edits and another manager cost no second load."""
    world = await world_with()
    assert [(node, IMAGE) for node in NODES] == world.runtime.loaded

    await world.pass_time(3600)
    world.edit({"spec": {"createTimeout": "9m"}})
    await world.pass_time(60)
    assert 1 == loads(world)
    world.restart()
    await world.pass_time(60)

    assert (0, 2) == (loads(world), len(world.runtime.loaded))
    assert ("True", "ImagesPreloaded") == told(world)
    assert [{"name": IMAGE, "id": "one", "nodes": "2/2"}] == world.status()["images"]
    assert "True" == world.condition("Ready")["status"]


async def test_an_image_that_is_added_or_built_anew_comes_by_itself() -> None:
    """Within the time that a look is believed; the list is no secret that only a new cluster learns."""
    world = await world_with()
    world.runtime.loadable = {IMAGE: "two", "busybox:1": "b"}
    world.edit({"spec": {"images": [IMAGE, "busybox:1"]}})
    await world.pass_time(10)

    assert {(node, name) for node in NODES for name in (IMAGE, "busybox:1")} == set(world.runtime.loaded[2:])
    assert {"two"} == {node.images[IMAGE] for node in world.runtime.clusters["demo"].nodes}


async def test_a_replaced_cluster_gets_its_images_again() -> None:
    """New nodes are other containers."""
    world = await world_with(healPolicy="Recreate")
    world.set_node("demo-worker", None)
    await world.pass_time(60)

    assert [(node, IMAGE) for node in NODES] * 2 == world.runtime.loaded
    assert ("True", "ImagesPreloaded") == told(world)


async def test_a_restarted_node_keeps_what_it_has() -> None:
    """Its store is on its volume."""
    world = await world_with()
    world.set_node("demo-worker", NodeRunState.STOPPED)
    await world.pass_time(120)

    assert (2, "True") == (len(world.runtime.loaded), world.condition("Ready")["status"])


async def test_progress_is_told_while_the_cluster_stays_ready() -> None:
    """Ready does not wait for images."""
    world = await world_with(run=False)
    held = world.runtime.hang("load")
    world.run_tasks = False
    for verb in (Verb.CREATE, Verb.LOAD):
        await world.settle()
        assert (KEY, verb) == world.tasks.started[-1]
        if verb is Verb.CREATE:
            await world.tasks.run(KEY)
            await world.pass_time(5)
    world.tasks.step(KEY, Step("Loading localhost/shop:dev into demo-worker (2 of 2)", StepState.STARTED))
    await world.settle()

    condition = world.condition("ImagesPreloaded")
    assert ("False", "LoadingImages") == told(world)
    assert "localhost/shop:dev into demo-worker" in condition["message"]
    assert "True" == world.condition("Ready")["status"]
    held.release()


@pytest.mark.fault(25, "an image of spec.images cannot be loaded", invariants="I1")
async def test_a_load_that_fails_is_said_and_tried_again_later() -> None:
    """Once a minute, not in a loop; the cluster is Ready meanwhile."""
    world = await world_with(run=False)
    world.runtime.fail("load", Transient(Reason.IMAGE_LOAD_FAILED, "No room."), call=None)
    await world.pass_time(30)
    first = loads(world)
    await world.pass_time(150)
    again = loads(world)
    reasons = told(world)
    world.runtime.heal()
    await world.pass_time(70)

    assert (1, ("False", "ImageLoadFailed"), "True") == (first, reasons, world.condition("Ready")["status"])
    assert 2 <= again <= 4
    assert ("True", "ImagesPreloaded") == told(world)


async def test_an_image_that_is_nowhere_is_said_with_its_cure_and_comes_later() -> None:
    """Nothing tells when somebody builds it: looked at every minute."""
    world = await world_with(loadable=False)
    before, message = told(world), world.condition("ImagesPreloaded")["message"]
    world.runtime.loadable = {IMAGE: "one"}
    await world.pass_time(70)

    assert (("False", "ImageMissing"), True, True) == (before, IMAGE in message, "demo-worker" in message)
    assert ("True", "ImagesPreloaded") == told(world)


async def test_nodes_that_cannot_be_asked_get_nothing() -> None:
    """Unknown loads nothing and flips nothing."""
    world = await world_with(run=False)
    world.runtime.fail("preloaded", Transient(Reason.ENGINE_UNREACHABLE, "Silent."), call=None)
    await world.pass_time(30)

    assert (0, ("False", "EngineUnreachable"), "True") == (loads(world), told(world), world.condition("Ready")["status"])


@pytest.mark.fault(29, "deleted in the middle of a load", invariants="I2")
async def test_a_deletion_does_not_wait_for_a_load() -> None:
    """It is stopped, and nothing is left."""
    world = await world_with(run=False)
    world.run_tasks = False
    await world.settle()
    await world.tasks.run(KEY)
    await world.pass_time(5)
    assert (KEY, Verb.LOAD) == world.tasks.started[-1]

    world.delete()
    await world.look()
    world.run_tasks = True
    await world.pass_time(5)

    assert (None, [], [KEY]) == (world.get(), world.runtime.marked(), world.tasks.cancelled)


async def test_a_repair_does_not_wait_for_a_load() -> None:
    """A stopped node is started at once; the load begins anew afterwards."""
    world = await world_with(run=False)
    world.run_tasks = False
    await world.settle()
    await world.tasks.run(KEY)
    await world.pass_time(5)
    world.set_node("demo-worker", NodeRunState.STOPPED)
    world.run_tasks = True
    await world.pass_time(30)

    assert [Verb.CREATE, Verb.LOAD, Verb.START, Verb.LOAD] == [verb for _, verb in world.tasks.started]
    assert ("True", "ImagesPreloaded") == told(world)


async def test_a_replacement_that_cannot_be_had_does_not_end_loads() -> None:
    """The old cluster is maintained meanwhile, images included: a load that is stopped for what does not come begins again for ever."""
    world = await world_with(loadable=False, updatePolicy="Recreate")
    world.runtime.loadable = {IMAGE: "one"}
    world.runtime.fail("node_images", Transient(Reason.KIND_MISSING, "No kind."), call=None)
    world.run_tasks = False
    world.edit({"spec": {"version": "v1.30.0"}})
    await world.pass_time(70)
    assert ([], (KEY, Verb.LOAD)) == (world.tasks.cancelled, world.tasks.started[-1])

    world.run_tasks = True
    await world.pass_time(5)
    assert ("True", "ImagesPreloaded") == told(world)


async def test_a_failed_load_is_tried_again_also_while_a_replacement_cannot_be_had() -> None:
    """How it ended is told once, and does not put the next try off again with every pass."""
    world = await world_with(loadable=False, updatePolicy="Recreate")
    world.runtime.loadable = {IMAGE: "one"}
    world.runtime.fail("node_images", Transient(Reason.KIND_MISSING, "No kind."), call=None)
    world.runtime.fail("load", Transient(Reason.IMAGE_LOAD_FAILED, "No room."))
    world.edit({"spec": {"version": "v1.30.0"}})
    await world.pass_time(70)
    assert ("False", "ImageLoadFailed") == told(world)
    await world.pass_time(70)

    assert ("True", "ImagesPreloaded") == told(world)


async def test_a_list_that_is_taken_away_leaves_no_complaint() -> None:
    """What is loaded stays loaded; nobody is told of it any more."""
    world = await world_with(loadable=False)
    world.edit({"spec": {"images": None}})
    await world.pass_time(5)

    assert ("True", "ImagesPreloaded") == told(world)
    assert "images" not in world.status()


async def test_a_runtime_without_containers_says_that_it_loads_nothing() -> None:
    """`runtime: local` with images is refused by the API server; `auto` may end there all the same."""
    world = await world_with(run=False)
    world.runtime.fail("preloaded", Transient(Reason.NOT_SUPPORTED, "Runtime local runs no containers."), call=None)
    await world.pass_time(5)

    assert ("False", "NotSupported") == told(world)


async def test_while_a_replacement_is_fetched_nobody_says_that_images_are_loaded() -> None:
    """They wait for it, and follow when it cannot be had."""
    world = await world_with(loadable=False, updatePolicy="Recreate")
    world.run_tasks = False
    world.edit({"spec": {"version": "v1.30.0"}})
    await world.pass_time(5)
    assert (KEY, Verb.PREPARE) == world.tasks.started[-1]
    world.runtime.loadable = {IMAGE: "one"}
    await world.pass_time(70)

    assert (("False", "Preparing"), 0) == (told(world), loads(world))
