"""Texts of add-ons that come late, or change while they are worked on: nothing is lost by it."""

from __future__ import annotations

import pytest

from provider.api import names
from provider.api.meta import JsonObject
from tests.fakes.world import World
from tests.unit.reconcile.test_addons import addon, config_map, edit, inside, phases, text, told, world_with

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
