"""spec.addons in a whole world of fakes: applied in order, pruned, never at the cost of what is not theirs, and never in the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from provider.api import names
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey
from provider.errors import Terminal, Transient
from provider.ports.runtime import NodeRunState, Verb
from tests.fakes.objects import FakeObjects
from tests.fakes.world import World, kindcluster

INVENTORY = "kindcluster-addon-{}"


def config_map(name: str, **data: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str, replicas: int = 1) -> JsonObject:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": replicas}}


def text(*objects: JsonObject) -> str:
    return yaml.safe_dump_all(objects)


def addon(name: str, *objects: JsonObject) -> JsonObject:
    return {"name": name, "manifests": text(*objects)}


async def world_with(*addons: JsonObject, seconds: float = 20, **spec: Any) -> World:
    """A Ready cluster with add-ons."""
    world = World()
    world.apply(kindcluster(addons=list(addons), **spec))
    await world.pass_time(seconds)
    return world


async def edit(world: World, *addons: JsonObject, seconds: float = 10) -> None:
    world.edit({"spec": {"addons": list(addons)}})
    await world.pass_time(seconds)


def inside(world: World) -> FakeObjects:
    return world.workload.store("demo")


def told(world: World) -> tuple[str, str]:
    condition = world.condition("AddonsReady")
    return condition["status"], condition["reason"]


def phases(world: World) -> dict[str, str]:
    return {entry["name"]: entry["phase"] for entry in world.status().get("addons", [])}


def applies(world: World) -> int:
    return [verb for _, verb in world.tasks.started].count(Verb.APPLY)


def roll_out(world: World, name: str, replicas: int = 1) -> None:
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), replicas)
    inside(world).set_status("Deployment", name, **counts)


async def test_objects_are_applied_once_with_our_label_and_listed_before() -> None:
    """The inventory comes first; hours, edits of something else and another manager write nothing."""
    world = await world_with(addon("a", config_map("one"), config_map("two")))
    store = inside(world)
    assert [("apply", f"ConfigMap {name}") for name in (INVENTORY.format("a"), "one", "two", INVENTORY.format("a"))] == store.log
    found = store.find("ConfigMap", "one")
    assert found is not None
    assert {names.ADDON_LABEL: "a"} == found["metadata"]["labels"]

    await world.pass_time(3600)
    world.edit({"spec": {"createTimeout": "9m"}})
    await world.pass_time(60)
    world.restart()
    await world.pass_time(60)

    assert 4 == len(store.log)
    assert ("True", "AddonsReady") == told(world)
    (entry,) = world.status()["addons"]
    assert ("a", "Ready", "2/2") == (entry["name"], entry["phase"], entry["objects"])
    assert "True" == world.condition("Ready")["status"]


async def test_what_a_changed_text_no_longer_has_is_deleted() -> None:
    """And the rest is as the new text says."""
    world = await world_with(addon("a", config_map("one", k="1"), config_map("two")))
    await edit(world, addon("a", config_map("one", k="2"), config_map("three")))
    store = inside(world)

    assert ["kindcluster-addon-a", "one", "three"] == store.names("ConfigMap")
    found = store.find("ConfigMap", "one")
    assert found is not None
    assert {"k": "2"} == found["data"]
    assert ("True", "AddonsReady") == told(world)


@pytest.mark.parametrize("gone", [[], None])
async def test_an_addon_that_is_taken_off_the_list_goes_whole(gone: list[JsonObject] | None) -> None:
    """Its inventory last, even with another manager whose status was lost. The condition tells no lie afterwards."""
    world = await world_with(addon("a", config_map("one"), config_map("two")))
    world.edit({"spec": {"addons": gone}, "status": {"addons": None}})
    world.restart()
    await world.pass_time(10)

    assert [] == inside(world).names("ConfigMap")
    assert ("delete", f"ConfigMap {INVENTORY.format('a')}") == inside(world).log[-1]
    assert ("True", "AddonsReady") == told(world)
    assert "addons" not in world.status()


async def test_a_cluster_without_addons_says_nothing_of_them() -> None:
    """One request with a look, and none as long as that is believed."""
    world = World()
    world.apply(kindcluster())
    await world.pass_time(50)
    asked = inside(world).calls.total()
    await world.pass_time(50)

    assert (1, 0) == (asked, inside(world).calls.total() - asked)
    assert {} == world.condition("AddonsReady")


async def test_the_next_addon_waits_until_the_one_before_is_ready() -> None:
    """In the order of the list; meanwhile the cluster is Ready, and no task waits."""
    world = await world_with(addon("first", deployment("web")), addon("second", config_map("late")))
    assert {"first": "Waiting", "second": "Pending"} == phases(world)
    assert ("False", "WaitingForAddons") == told(world)
    assert "Deployment default/web" in world.condition("AddonsReady")["message"]
    assert "late" not in inside(world).names("ConfigMap")
    assert ("True", None) == (world.condition("Ready")["status"], next(iter(world.tasks.work), None))

    roll_out(world, "web")
    await world.pass_time(30)

    assert {"first": "Ready", "second": "Ready"} == phases(world)
    assert "late" in inside(world).names("ConfigMap")


async def test_an_addon_that_does_not_get_ready_is_said_after_a_while() -> None:
    """With an Event, once; it is still looked at, less and less often, also by another manager."""
    world = await world_with(addon("a", deployment("web")))
    world.restart()
    await world.pass_time(700)
    assert ("False", "AddonNotReady") == told(world)
    assert 1 == world.recorder.reasons().count("AddonNotReady")
    looks = inside(world).calls["list"]
    await world.pass_time(600)
    assert inside(world).calls["list"] - looks <= 40

    roll_out(world, "web")
    await world.pass_time(400)
    assert ("True", "AddonsReady") == told(world)


async def test_an_object_of_somebody_else_is_neither_changed_nor_deleted() -> None:
    """Said with its place in the text; the way out is the user's."""
    world = await world_with(seconds=10)
    store = inside(world)
    theirs = store.put(names.CONFIG_MAPS, {"metadata": {"name": "theirs", "namespace": "default"}, "data": {"a": "1"}})
    before = json.dumps(theirs)
    await edit(world, addon("a", config_map("mine"), config_map("theirs", a="2")))

    message = world.condition("AddonsReady")["message"]
    assert ("False", "AddonConflict") == told(world)
    assert "Add-on a, document 2: ConfigMap theirs" in message
    await edit(world)
    assert before == json.dumps(store.find("ConfigMap", "theirs"))
    assert ["theirs"] == store.names("ConfigMap")


async def test_an_object_whose_label_somebody_has_removed_is_not_deleted() -> None:
    """It is theirs by that."""
    world = await world_with(addon("a", config_map("one")))
    store = inside(world)
    found = store.find("ConfigMap", "one")
    assert found is not None
    found["metadata"]["labels"] = {}
    await edit(world)

    assert ["one"] == store.names("ConfigMap")
    assert ("True", "AddonsReady") == told(world)


async def test_an_inventory_that_lists_what_is_not_ours_deletes_nothing_of_it() -> None:
    """Anybody in the cluster can write it."""
    world = await world_with(addon("a", config_map("one")))
    store = inside(world)
    store.put(names.CONFIG_MAPS, {"metadata": {"name": "theirs", "namespace": "default"}})
    inventory = store.find("ConfigMap", INVENTORY.format("a"), "kube-system")
    assert inventory is not None
    rows = json.loads(inventory["data"]["objects"])
    inventory["data"]["objects"] = json.dumps(
        [*rows, ["", "v1", "ConfigMap", "", "theirs"], ["", "v1", "Namespace", "", "default"]]
    )
    await edit(world)

    assert ["theirs"] == store.names("ConfigMap")
    assert {"default", "kube-system"} <= set(store.names("Namespace"))


@pytest.mark.parametrize("data", ["{", "[]x", "[1]", '[["", "v1", "ConfigMap", "", "../x"]]', "[[]]", None])
async def test_an_inventory_that_cannot_be_read_stops_the_addon(data: str | None) -> None:
    """What it listed is not known, so nothing is left behind in silence."""
    world = await world_with(addon("a", config_map("one")))
    inventory = inside(world).find("ConfigMap", INVENTORY.format("a"), "kube-system")
    assert inventory is not None
    inventory["data"] = {"objects": data}
    await edit(world, addon("a", config_map("two")))

    assert ("False", "AddonConflict") == told(world)
    assert "delete it there" in world.condition("AddonsReady")["message"]
    inside(world).remove("ConfigMap", INVENTORY.format("a"))
    await world.pass_time(400)
    assert ("True", "AddonsReady") == told(world)


async def test_a_renamed_addon_takes_its_objects_over_as_they_are() -> None:
    """Nothing is deleted and made again; so it is with one that moves to an add-on before or behind."""
    world = await world_with(addon("old", config_map("one"), config_map("two")), addon("other"))
    found = inside(world).find("ConfigMap", "one")
    assert found is not None
    uid = found["metadata"]["uid"]
    await edit(world, addon("other", config_map("two")), addon("new", config_map("one")), seconds=30)

    found = inside(world).find("ConfigMap", "one")
    assert found is not None
    assert (uid, "new") == (found["metadata"]["uid"], found["metadata"]["labels"][names.ADDON_LABEL])
    assert ["kindcluster-addon-new", "kindcluster-addon-other", "one", "two"] == inside(world).names("ConfigMap")
    assert ("True", "AddonsReady") == told(world)
    assert ("delete", "ConfigMap one") not in inside(world).log


async def test_two_addons_with_the_same_object_are_said() -> None:
    """It belongs to the first."""
    world = await world_with(addon("a", config_map("one", k="a")), addon("b", config_map("one", k="b")))

    assert {"a": "Ready", "b": "Failed"} == phases(world)
    assert "belongs to the add-on a" in world.condition("AddonsReady")["message"]


CRD: JsonObject = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.shop.test"},
    "spec": {
        "group": "shop.test",
        "scope": "Cluster",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": True, "storage": True}],
    },
}
WIDGET = {"apiVersion": "shop.test/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "ignored"}}


async def test_a_definition_and_its_objects_come_in_one_addon_in_any_order() -> None:
    """The definition goes first, and its objects wait until it is established. A kind without namespaces has none."""
    world = await world_with(seconds=10)
    inside(world).establishes = False
    await edit(world, addon("a", WIDGET, CRD), seconds=5)
    assert ("False", "ApplyingAddons") == told(world)
    definition = inside(world).find("CustomResourceDefinition", "widgets.shop.test")
    assert definition is not None

    inside(world).establish(definition)
    await world.pass_time(5)
    assert ("True", "AddonsReady") == told(world)
    await edit(world, addon("a", CRD))
    assert ([], ["widgets.shop.test"]) == (inside(world).names("Widget"), inside(world).names("CustomResourceDefinition"))


async def test_a_kind_that_nobody_serves_is_said_and_looked_for() -> None:
    """Somebody may install it in the meantime."""
    world = await world_with(addon("a", WIDGET))
    assert ("False", "AddonFailed") == told(world)
    assert "no kind Widget in shop.test/v1" in world.condition("AddonsReady")["message"]

    inside(world).establish({**CRD})
    await world.pass_time(20)
    assert ("True", "AddonsReady") == told(world)


async def test_an_object_that_was_deleted_in_the_cluster_comes_back() -> None:
    """With the next look, a minute later at the earliest."""
    world = await world_with(addon("a", config_map("one")))
    inside(world).remove("ConfigMap", "one")
    await world.pass_time(120)
    world.edit({"metadata": {"labels": {"any": "event"}}})
    await world.pass_time(10)

    assert "one" in inside(world).names("ConfigMap")


@pytest.mark.fault(25, "the cluster's API server refuses an object of an add-on", invariants="I1")
async def test_what_the_server_refuses_is_said_and_not_tried_in_a_loop() -> None:
    """With add-on, document and object; another text is tried at once, the same one rarely. Others before it are untouched."""
    world = await world_with(seconds=10)
    store = inside(world)
    store.refuse = lambda _, obj: Terminal(Reason.INVALID, "no such field") if obj["metadata"]["name"] == "bad" else None
    await edit(
        world, addon("a", config_map("good")), addon("b", config_map("x"), config_map("bad")), addon("c", config_map("late"))
    )
    message = world.condition("AddonsReady")["message"]
    tried = applies(world)
    await world.pass_time(300)

    assert ("False", "AddonRefused") == told(world)
    assert "Add-on b, document 2: ConfigMap bad: no such field" == message
    assert {"a": "Ready", "b": "Failed", "c": "Pending"} == phases(world)
    assert "True" == world.condition("Ready")["status"]
    assert tried == applies(world)
    await edit(world, addon("a", config_map("good")), addon("b", config_map("fine")), addon("c", config_map("late")))
    assert ("True", "AddonsReady") == told(world)
    assert "x" not in store.names("ConfigMap")


async def test_a_text_that_is_corrected_while_the_wrong_one_is_applied_is_tried_at_once() -> None:
    """What failed was the other one."""
    world = await world_with(seconds=10)
    inside(world).refuse = lambda _, obj: Terminal(Reason.INVALID, "no") if obj["metadata"]["name"] == "bad" else None
    world.run_tasks = False
    await edit(world, addon("a", config_map("bad")), seconds=1)
    await edit(world, addon("a", config_map("good")), seconds=0)
    world.run_tasks = True
    await world.pass_time(10)

    assert ("True", "AddonsReady") == told(world)


async def test_what_may_pass_is_tried_again() -> None:
    """Every fifteen seconds."""
    world = await world_with(seconds=10)
    inside(world).refuse = lambda verb, _: Transient(Reason.API_ERROR, "busy") if verb == "apply" else None
    await edit(world, addon("a", config_map("one")), seconds=60)
    assert ("False", "AddonFailed") == told(world)
    assert 3 <= applies(world) <= 6

    inside(world).refuse = lambda _verb, _obj: None
    await world.pass_time(20)
    assert ("True", "AddonsReady") == told(world)


async def test_what_cannot_be_removed_does_not_hold_up_the_others() -> None:
    """Said, tried every fifteen seconds, and everything else goes on meanwhile."""
    world = await world_with(addon("old", config_map("stays")), addon("a", config_map("one")))
    store = inside(world)
    store.refuse = lambda verb, obj: (
        Transient(Reason.API_ERROR, "busy") if (verb, obj["metadata"]["name"]) == ("delete", "stays") else None
    )
    tried = applies(world)
    await edit(world, addon("a", config_map("two")), seconds=60)

    assert ("False", "AddonFailed") == told(world)
    assert "Add-on old: ConfigMap default/stays cannot be deleted: busy" == world.condition("AddonsReady")["message"]
    assert {"a": "Ready", "old": "Failed"} == phases(world)
    assert "two" in store.names("ConfigMap")
    assert applies(world) - tried <= 7
    store.refuse = lambda _verb, _obj: None
    await world.pass_time(20)
    assert ["kindcluster-addon-a", "two"] == store.names("ConfigMap")


async def test_what_others_need_comes_first_and_goes_last() -> None:
    """A Namespace before its objects, whatever the order of the text; on the way back the other way round."""
    home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    first, second = config_map("first"), config_map("second")
    first["metadata"]["namespace"] = second["metadata"]["namespace"] = "shop"
    world = await world_with(addon("a", first, home, second))
    await edit(world)

    writes = [what for _, what in inside(world).log if "addon" not in what]
    assert ["Namespace shop", "ConfigMap first", "ConfigMap second"] == writes[:3]
    assert ["ConfigMap second", "ConfigMap first", "Namespace shop"] == writes[3:]


async def test_what_a_server_says_of_a_secret_is_not_passed_on() -> None:
    """It may quote the Secret."""
    world = await world_with(seconds=10)
    inside(world).refuse = lambda _, obj: Terminal(Reason.INVALID, "s3cr3t") if obj["kind"] == "Secret" else None
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "s3cr3t"}}
    await edit(world, addon("a", secret))

    assert "the API server refuses it" in world.condition("AddonsReady")["message"]
    assert "s3cr3t" not in json.dumps(world.status())


@pytest.mark.parametrize("manifests", ["a: [", "- 1", "kind: x"])
async def test_a_text_that_is_none_is_said_and_leaves_what_is_there(manifests: str) -> None:
    """What it should contain is not known, so nothing of it is deleted. The add-ons behind it wait."""
    world = await world_with(addon("a", config_map("one")), addon("b", config_map("two")))
    await edit(world, {"name": "a", "manifests": manifests}, addon("b", config_map("two")), addon("c", config_map("three")))

    assert ("False", "AddonInvalid") == told(world)
    assert {"a": "Failed", "b": "Ready", "c": "Pending"} == phases(world)
    assert {"one", "two"} < set(inside(world).names("ConfigMap"))


async def test_manifests_come_from_a_configmap_and_follow_it() -> None:
    """Missing: said and looked for. A change is seen with the next pass, and pruned as one of the spec."""
    key = ObjectKey("default", "texts")
    world = await world_with({"name": "a", "configMapKeyRef": {"name": "texts", "key": "all.yaml"}})
    assert ("False", "AddonNotFound") == told(world)
    put = {"metadata": {"name": "texts", "namespace": "default"}, "data": {"other": ""}}
    world.kube.put(names.CONFIG_MAPS, put)
    await world.pass_time(20)
    assert "no key all.yaml" in world.condition("AddonsReady")["message"]

    world.kube.edit(names.CONFIG_MAPS, key, {"data": {"all.yaml": text(config_map("one"))}})
    await world.pass_time(20)
    assert ("True", "AddonsReady") == told(world)
    world.kube.edit(names.CONFIG_MAPS, key, {"data": {"all.yaml": text(config_map("two"))}})
    world.edit({"metadata": {"labels": {"any": "event"}}})
    await world.pass_time(10)
    assert ["kindcluster-addon-a", "two"] == inside(world).names("ConfigMap")

    world.kube.edit(names.CONFIG_MAPS, key, {"data": {"all.yaml": "#" * (1 << 20) + "#"}})
    world.edit({"metadata": {"labels": {"any": "other"}}})
    await world.pass_time(10)
    assert ("False", "AddonInvalid") == told(world)
    assert "two" in inside(world).names("ConfigMap")


async def test_a_replaced_cluster_gets_its_addons_again() -> None:
    """What was believed of the old one does not count."""
    world = await world_with(addon("a", config_map("one")), healPolicy="Recreate", workerReplicas=1)
    former = inside(world)
    world.set_node("demo-worker", None)
    await world.pass_time(60)

    assert former is not inside(world)
    assert "one" in inside(world).names("ConfigMap")
    assert ("True", "AddonsReady") == told(world)


@pytest.mark.parametrize("state", ["Stopped", "Paused"])
async def test_a_cluster_at_rest_is_left_alone(state: str) -> None:
    """What is edited meanwhile is applied when it runs again."""
    world = await world_with(addon("a", deployment("web")))
    world.edit({"spec": {"powerState": state}})
    await world.pass_time(30)
    await edit(world, addon("a", config_map("one")), seconds=30)
    log = list(inside(world).log)
    assert ("False", state) == told(world)
    assert all(verb != "delete" for verb, _ in log)

    world.edit({"spec": {"powerState": "Running"}})
    await world.pass_time(30)
    assert ("True", "AddonsReady") == told(world)
    assert ([], ["kindcluster-addon-a", "one"]) == (inside(world).names("Deployment"), inside(world).names("ConfigMap"))


async def test_a_repair_ends_the_work_on_addons_and_goes_ahead() -> None:
    """One task for each cluster; what was cut off goes on afterwards."""
    world = await world_with(seconds=10, workerReplicas=1)
    world.run_tasks = False
    await edit(world, addon("a", config_map("one")), seconds=1)
    world.set_node("demo-worker", NodeRunState.STOPPED)
    await world.settle()
    assert [Verb.APPLY, Verb.START] == [verb for _, verb in world.tasks.started[-2:]]

    world.run_tasks = True
    await world.pass_time(30)
    assert ("True", "AddonsReady") == told(world)


async def test_deleting_the_cluster_prunes_nothing() -> None:
    """It goes with all there is in it."""
    world = await world_with(addon("a", config_map("one")))
    store = inside(world)
    world.delete()
    await world.pass_time(30)

    assert world.get() is None
    assert all(verb != "delete" for verb, _ in store.log)


async def test_an_object_with_a_finalizer_is_waited_for() -> None:
    """It stays on the inventory until it is gone."""
    held = config_map("one")
    held["metadata"]["finalizers"] = ["shop.test/hold"]
    world = await world_with(addon("a", held))
    await edit(world)
    assert ("False", "RemovingAddons") == told(world)
    assert "ConfigMap default/one is being deleted" in world.condition("AddonsReady")["message"]
    assert INVENTORY.format("a") in inside(world).names("ConfigMap")

    inside(world).remove("ConfigMap", "one")
    await world.pass_time(60)
    assert ([], ("True", "AddonsReady")) == (inside(world).names("ConfigMap"), told(world))
