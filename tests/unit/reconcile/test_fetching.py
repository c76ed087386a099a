"""What a create needs and the host does not have is fetched first, without a create slot; a failure to fetch is the create's own."""

from __future__ import annotations

import pytest

from provider.api.conditions import Reason
from provider.api.image import parse
from provider.api.meta import ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import ProviderError, Terminal, Transient
from provider.ports.runtime import NodeImages, Step, StepState, Verb
from tests.fakes.world import KEY, World, kindcluster

IMAGE = "kindest/node:v1.34.4"


def fetching(*, queued: bool = False) -> World:
    """A world without the image; tasks do not run by themselves."""
    world = World(run_tasks=False)
    world.tasks.queued = queued
    world.apply(kindcluster(image=IMAGE))
    return world


async def test_an_image_that_is_there_is_not_fetched() -> None:
    """The create takes its slot at once."""
    world = World(run_tasks=False)
    world.runtime.images = NodeImages("kind v0.0.0", present=frozenset({parse(IMAGE).wanted}))
    world.apply(kindcluster(image=IMAGE))
    await world.settle()

    assert world.tasks.started == [(KEY, Verb.CREATE)]
    assert world.tasks.before == {}
    await world.tasks.run(KEY)
    await world.settle()
    assert world.runtime.calls["prepare"] == 0
    assert world.status()["phase"] == "Ready"


async def test_a_missing_image_is_fetched_before_the_create() -> None:
    """The status says so, and the create follows by itself."""
    world = fetching()
    await world.settle()
    await world.look()  # as the watch brings it back after the status was written
    assert (world.status()["phase"], world.condition("Ready")["message"]) == ("Creating", "Fetching images.")
    world.tasks.step(KEY, Step(f"Pulling {IMAGE}", StepState.STARTED))
    await world.settle()
    ready = world.condition("Ready")
    assert (ready["reason"], ready["message"]) == ("Creating", f"Pulling {IMAGE} (step 1)")

    world.run_tasks = True
    await world.settle()
    assert [verb for verb, _ in world.runtime.log if verb in ("prepare", "create")] == ["prepare", "create"]
    assert world.status()["phase"] == "Ready"


async def test_the_position_in_the_line_for_fetching_is_said() -> None:
    """It is another line than that for a create slot."""
    world = fetching(queued=True)
    await world.settle()
    await world.look()

    assert (world.status()["phase"], world.condition("Ready")["reason"]) == ("Queued", "Queued")
    assert world.condition("Ready")["message"] == "Waits for its turn to fetch images: number 1 in the queue."


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Terminal(Reason.IMAGE_NOT_FOUND, "There is no such image."), "CreateFailed"),
        (Transient(Reason.IMAGE_PULL_FAILED, "The registry does not answer."), "CreateRetrying"),
    ],
)
async def test_what_cannot_be_fetched_is_not_created(error: ProviderError, reason: str) -> None:
    """Final where the spec is wrong, tried again where the registry is."""
    world = fetching()
    world.run_tasks = True
    world.runtime.fail("prepare", error)
    await world.settle()

    assert world.runtime.calls["create"] == 0
    assert world.condition("Ready")["reason"] == reason
    assert error.message in world.condition("Ready")["message"]

    await world.pass_time(30)
    assert (world.status()["phase"] == "Ready") is (reason == "CreateRetrying")


async def test_an_image_from_an_archive_is_loaded_before_the_create() -> None:
    """Loading a gigabyte takes a while, too."""
    world = World(run_tasks=False)
    world.runtime.images = NodeImages("kind v0.0.0", archived=frozenset({parse(IMAGE).wanted}))
    world.apply(kindcluster(image=IMAGE))
    await world.settle()

    assert list(world.tasks.before) == [KEY]


@pytest.mark.parametrize("how", ["deleted", "vanished"])
async def test_nothing_is_removed_when_only_images_were_fetched(how: str) -> None:
    """Whether the object is deleted, or goes without a trace: nothing was made for it."""
    world = fetching()
    await world.settle()
    if how == "vanished":
        world.edit({"metadata": {"finalizers": None}})
    world.delete()
    await world.settle()

    assert world.get() is None
    assert world.tasks.cancelled == [KEY]
    assert world.runtime.calls["delete"] == 0


async def test_who_waits_for_the_name_is_not_asked_about_images() -> None:
    """Each look of a waiting object would be one more process on the engine."""
    world = World()
    world.apply(kindcluster())
    await world.settle()
    world.clock.advance(1)
    second = ObjectKey("team-b", "demo")
    world.apply(kindcluster(second, image=IMAGE))
    asked = world.runtime.calls["node_images"]
    await world.settle()
    await world.pass_time(120)

    assert world.kube.read(KINDCLUSTERS, second) is not None
    assert world.runtime.calls["node_images"] == asked
