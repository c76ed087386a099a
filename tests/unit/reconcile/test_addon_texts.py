"""Texts of add-ons that come late, or change while they are worked on: nothing is lost by it."""

from __future__ import annotations

from typing import Any

import pytest

from provider.api import names
from provider.api.meta import JsonObject
from provider.ports.runtime import Verb
from tests.fakes.world import World
from tests.unit.reconcile.test_addons import CRD, WIDGET, addon, applies, config_map, edit, inside, phases, text, told, world_with

HOME: JsonObject = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
LATE = {"name": "late", "configMapKeyRef": {"name": "texts", "key": "all.yaml"}}


def uid_and_holder(world: World) -> tuple[str, str]:
    found = inside(world).find("Namespace", "shop")
    assert found is not None
    return found["metadata"]["uid"], found["metadata"]["labels"][names.ADDON_LABEL]


@pytest.mark.parametrize("rest", [[], [addon("old", config_map("one"))]], ids=["renamed", "split"])
async def test_nothing_is_deleted_while_the_text_of_another_addon_is_not_known(rest: list[JsonObject]) -> None:
    """It may want what the former one no longer has: the Namespace is taken over as it is, with all that is in it."""
    world = await world_with(addon("old", config_map("one"), HOME))
    uid, _ = uid_and_holder(world)
    await edit(world, *rest, LATE, seconds=60)
    (message,) = (entry["message"] for entry in world.status()["addons"] if entry["name"] == "old")
    assert "Namespace shop stays until the texts of all add-ons can be read" in message
    assert {"old": "Ready" if rest else "Removing", "late": "Failed"} == phases(world)
    assert (uid, "old") == uid_and_holder(world)

    texts = {"metadata": {"name": "texts", "namespace": "default"}, "data": {"all.yaml": text(HOME)}}
    world.kube.put(names.CONFIG_MAPS, texts)
    await world.pass_time(90)
    assert (uid, "late") == uid_and_holder(world)
    assert ("delete", "Namespace shop") not in inside(world).log
    assert ("True", "AddonsReady") == told(world)
    assert bool(rest) == ("one" in inside(world).names("ConfigMap"))


async def test_work_with_a_text_that_is_not_the_one_of_the_spec_any_more_is_ended() -> None:
    """An add-on that was taken off by mistake, and is back before the task gets its slot, keeps all it has."""
    world = await world_with(addon("shop", HOME))
    uid, _ = uid_and_holder(world)
    world.run_tasks = False
    await edit(world, seconds=1)
    assert Verb.APPLY == world.tasks.started[-1][1]
    await edit(world, addon("shop", HOME), seconds=1)
    world.run_tasks = True
    await world.pass_time(30)

    assert (uid, "shop") == uid_and_holder(world)
    assert ("delete", "Namespace shop") not in inside(world).log
    assert ("True", "AddonsReady") == told(world)


async def test_work_with_the_texts_of_the_spec_is_let_go_on() -> None:
    """Whatever else is edited meanwhile."""
    world = await world_with(seconds=10)
    world.run_tasks = False
    await edit(world, addon("a", config_map("one")), seconds=1)
    world.edit({"metadata": {"labels": {"any": "event"}}})
    await world.pass_time(5)
    assert 1 == applies(world)


@pytest.mark.parametrize("versions", [[{"name": "v2", "served": True}], [{"name": "v1", "served": False}], "v1", [None]])
async def test_a_version_that_the_definition_in_the_text_does_not_serve_is_said(versions: Any) -> None:
    """It will never be established: nothing is tried in a loop."""
    world = await world_with(seconds=10)
    inside(world).establishes = False
    definition = {**CRD, "spec": {**CRD["spec"], "versions": versions}}
    await edit(world, addon("a", definition, WIDGET), seconds=60)

    assert ("False", "AddonFailed") == told(world)
    assert "no kind Widget in shop.test/v1" in world.condition("AddonsReady")["message"]
    assert applies(world) <= 6


async def test_a_kind_that_is_long_in_being_established_is_tried_ever_more_rarely() -> None:
    """Down to every fifteen seconds, and all goes on when it is there."""
    world = await world_with(seconds=10)
    inside(world).establishes = False
    await edit(world, addon("a", CRD, WIDGET), seconds=600)
    assert ("False", "ApplyingAddons") == told(world)
    assert applies(world) <= 70

    inside(world).establishes = True
    await world.pass_time(30)
    assert ("True", "AddonsReady") == told(world)


def job(name: str, **spec: Any) -> JsonObject:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def complete(world: World, name: str) -> None:
    inside(world).set_status("Job", name, conditions=[{"type": "Complete", "status": "True"}])


async def test_a_job_that_kubernetes_removes_when_it_has_ended_is_not_run_again() -> None:
    """Until the text changes, not even with others that somebody has deleted. Those are run again."""
    once, again = job("once", ttlSecondsAfterFinished=0), job("again")
    world = await world_with(addon("a", once, again))
    complete(world, "once")
    complete(world, "again")
    await world.pass_time(60)
    assert ("True", "AddonsReady") == told(world)
    inside(world).remove("Job", "once")
    await world.pass_time(120)
    world.restart()
    await world.pass_time(60)
    assert ("True", "AddonsReady") == told(world)
    assert "2/2" == world.status()["addons"][0]["objects"]
    assert ["again"] == inside(world).names("Job")

    inside(world).remove("Job", "again")
    world.restart()
    await world.pass_time(5)
    assert ["again"] == inside(world).names("Job")
    assert ("False", "WaitingForAddons") == told(world)
    await edit(world, addon("a", once, again, config_map("new")), seconds=5)
    assert ["again", "once"] == inside(world).names("Job")


async def test_a_job_that_goes_before_all_of_its_text_is_applied_is_run_again() -> None:
    """Whether it has been run to its end is not known then."""
    world = await world_with(seconds=10)
    inside(world).establishes = False
    await edit(world, addon("a", CRD, job("once", ttlSecondsAfterFinished=0), WIDGET), seconds=5)
    inside(world).remove("Job", "once")
    inside(world).establishes = True
    await world.pass_time(20)
    assert ["once"] == inside(world).names("Job")
