"""status.plan and consent: what an edit leads to is said before anything is done, and nothing destructive is done without consent."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack import crdgen
from provider.api import names
from provider.api.conditions import Reason
from provider.api.markers import UpdateClass, below, marked_fields
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.api.v1alpha1.status import UpdatePlan
from provider.errors import Terminal
from provider.reconcile.drift import Change, Consent, UpdatePolicy, greatest
from tests.envtest.edits import CONFIG_MAP, EDITS, Leads
from tests.fakes.world import World, kindcluster

CONFIGS = ObjectKey("default", "configs")


def config_map(name: str, data: dict[str, str]) -> JsonObject:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


async def made(**spec: Any) -> World:
    """A Ready cluster."""
    world = World()
    world.kube.put(names.CONFIG_MAPS, config_map("configs", CONFIG_MAP))
    world.kube.put(names.CONFIG_MAPS, config_map("others", dict(zip(CONFIG_MAP, reversed(CONFIG_MAP.values()), strict=True))))
    world.apply(kindcluster(**spec))
    await world.pass_time(30)
    assert world.status()["phase"] == "Ready"
    return world


async def edited(world: World, **spec: Any) -> JsonObject:
    """status.plan after an edit, before anything that takes long is done."""
    world.run_tasks = False
    world.edit({"spec": spec})
    await world.settle()
    return plan(world)


def plan(world: World) -> JsonObject:
    found: JsonObject = world.status().get("plan") or {}
    return found


def generation(world: World) -> int:
    obj = world.get()
    assert obj is not None
    return int(obj["metadata"]["generation"])


def annotate(world: World, value: str | None) -> None:
    world.edit({"metadata": {"annotations": {names.APPROVED_PLAN_ANNOTATION: value}}})


DESTRUCTIVE = ("create", "prepare", "delete")


def destructive(world: World) -> dict[str, int]:
    """How often the runtime was asked for what replaces a cluster."""
    return {verb: world.runtime.calls[verb] for verb in DESTRUCTIVE}


def ids(world: World) -> list[str]:
    """Of the containers: they change when a cluster is replaced."""
    return [node["id"] for node in world.status()["nodes"]]


# --- what an edit of each field leads to ---------------------------------------------------------------------------------------------


def test_every_field_of_the_spec_has_an_edit() -> None:
    """A field that is added to the model has to be added to the table, with what its edit leads to."""
    fields = {path + field.name: field.marker for path, found in below(marked_fields(KINDClusterSpec)) for field in found}

    assert fields.keys() == EDITS.keys()
    by_other_fields = {field for field in fields if field.startswith("configFrom")}
    classes = {field: marker.mutability.update_class for field, marker in fields.items() if field not in by_other_fields}
    assert {field: edit.leads.update_class for field, edit in EDITS.items() if field not in by_other_fields} == classes


def test_every_class_is_reached_by_an_edit() -> None:
    """The schema, the enum and the table have the same classes, and none of them is there for show."""
    schema = crdgen.structural(UpdatePlan)["properties"]["class"]["enum"]
    assert (
        set(schema) == set(UpdateClass) == {edit.leads.update_class for edit in EDITS.values() if edit.leads is not Leads.REFUSED}
    )


@pytest.mark.parametrize("field", [field for field, edit in EDITS.items() if edit.leads is not Leads.REFUSED])
async def test_an_edit_is_classified_before_anything_is_done(field: str) -> None:
    """With the class, the generation, the fields and words; nothing is fetched, made or removed for it, whatever the field."""
    edit = EDITS[field]
    world = await made(**{"updatePolicy": "Report", **copy.deepcopy(edit.before)})
    before, calls = ids(world), +world.runtime.calls

    found = await edited(world, **_replacing(edit.before, edit.after))

    assert found.get("class", Leads.DONE.value) == edit.leads.value
    assert (ids(world), destructive(world)) == (before, {verb: calls[verb] for verb in DESTRUCTIVE})
    if found:
        assert found["generation"] == generation(world)
        assert all(change.get("from") != change.get("to") for change in found["changes"])
        assert found["message"]
        assert ("approval" in found) is (edit.leads is Leads.RECREATE)


def _replacing(before: Any, after: Any) -> Any:
    """As a merge patch that leaves nothing of an object that was there before."""
    if isinstance(before, dict) and isinstance(after, dict):
        return dict.fromkeys(before) | {key: _replacing(before.get(key), value) for key, value in after.items()}
    return after


async def test_an_edit_of_several_fields_takes_the_greatest_class() -> None:
    """With all of them listed, each with both values; and there is none left when the edit is taken back."""
    world = await made(updatePolicy="Report", version="v1.34.3")

    found = await edited(world, version="v1.34.4", powerState="Stopped", kubeadmConfigPatches=["x" * 60000])

    assert found["class"] == "Recreate"
    patches, version, power = found["changes"]
    assert version == {"field": "version", "from": "v1.34.3", "to": "v1.34.4"}
    assert power == {"field": "powerState", "from": "Running", "to": "Stopped"}
    assert patches["field"] == "kubeadmConfigPatches" and len(patches["to"]) == 256 and "from" not in patches
    both = await edited(world, networking={"ipFamily": "ipv6"})
    assert (both["class"], "approval" in both) == ("Impossible", False)

    assert await edited(world, version="v1.34.3", powerState=None, kubeadmConfigPatches=None, networking=None) == {}


async def test_of_a_long_value_that_was_the_fingerprint_is_shown() -> None:
    """The record of what a cluster was made from has no room for it."""
    world = await made(updatePolicy="Report", kubeadmConfigPatches=["x" * 60000])
    (change,) = (await edited(world, kubeadmConfigPatches=["y: 1"]))["changes"]
    assert change["from"].startswith("a long value, fingerprint ")
    assert change["to"] == '["y: 1"]'


async def test_what_a_cluster_takes_as_it_runs_is_planned_until_it_has_it() -> None:
    """Power and images: InPlace while they are on their way, absent when they are there."""
    world = await made(images=[])
    world.runtime.loadable = {"localhost/shop:dev": "one"}
    found = await edited(world, images=["localhost/shop:dev"], powerState=None)
    assert (found["class"], found["changes"]) == ("InPlace", [{"field": "images", "to": "localhost/shop:dev"}])
    world.run_tasks = True
    await world.pass_time(30)
    assert plan(world) == {}

    found = await edited(world, powerState="Paused")
    assert (found["class"], found["changes"]) == ("InPlace", [{"field": "powerState", "from": "Running", "to": "Paused"}])
    await world.settle()
    assert plan(world) == found, "while the nodes are being paused"
    world.run_tasks = True
    await world.pass_time(30)
    assert (world.status()["phase"], plan(world)) == ("Paused", {})

    found = await edited(world, powerState="Running")
    assert found["changes"] == [{"field": "powerState", "from": "Paused", "to": "Running"}]
    world.run_tasks = True
    await world.pass_time(30)
    assert (world.status()["phase"], plan(world)) == ("Ready", {})


async def test_a_plan_stays_while_nobody_knows_what_is_wanted_and_goes_with_the_object() -> None:
    """A ConfigMap that is gone is no edit taken back; an object that is being deleted has no plans."""
    world = await made(updatePolicy="Report", configFrom={"configMapKeyRef": {"name": "configs", "key": "a.yaml"}})
    found = await edited(world, configFrom={"configMapKeyRef": {"name": "configs", "key": "b.yaml"}})
    world.kube.remove(names.CONFIG_MAPS, CONFIGS)
    await world.look()
    assert world.condition("ConfigResolved")["status"] == "False"
    assert plan(world) == found

    world.delete()
    await world.settle()
    assert plan(world) == {}


async def test_while_a_cluster_is_replaced_the_plan_says_so() -> None:
    """With what it is replaced for; a replacement that nobody's edit asked for has no plan."""
    world = await made(updatePolicy="Recreate", version="v1.34.3")
    world.runtime.fail("create", Terminal(Reason.CONFIG_REJECTED, "kind refuses the config."))
    world.edit({"spec": {"version": "v1.34.4"}})
    await world.pass_time(60)

    assert world.status()["phase"] == "Failed"
    assert (plan(world)["class"], plan(world)["changes"]) == (
        "Recreate",
        [{"field": "version", "from": "v1.34.3", "to": "v1.34.4"}],
    )
    assert "is being replaced" in plan(world)["message"]


# --- consent -------------------------------------------------------------------------------------------------------------------------


async def outdated(**spec: Any) -> World:
    """Made as v1.34.3, wanted as v1.34.4, with the plan to say so and nothing done."""
    world = await made(**{"updatePolicy": "Report", "version": "v1.34.3", **spec})
    world.edit({"spec": {"version": "v1.34.4"}})
    await world.pass_time(60)
    return world


async def test_an_approved_plan_is_carried_out_once() -> None:
    """Same identity and endpoint, other nodes, new Secret; the annotation that stays approves nothing more."""
    world = await outdated()
    before, secret, calls = ids(world), world.secret(), destructive(world)
    first = world.get()
    assert first is not None and secret is not None
    assert calls == {"create": 1, "prepare": 1, "delete": 0}
    assert f"{names.APPROVED_PLAN_ANNOTATION}={plan(world)['approval']}" in world.condition("UpToDate")["message"]

    annotate(world, plan(world)["approval"])
    await world.pass_time(300)

    last, renewed = world.get(), world.secret()
    assert last is not None and renewed is not None
    assert set(ids(world)).isdisjoint(before)
    assert world.runtime.calls["create"] == 2
    assert [last["spec"][key] for key in ("identity", "controlPlaneEndpoint")] == [
        first["spec"][key] for key in ("identity", "controlPlaneEndpoint")
    ]
    assert renewed["data"] != secret["data"]
    assert (world.status()["phase"], world.condition("UpToDate")["status"], plan(world)) == ("Ready", "True", {})

    for version in ("v1.34.5", "v1.34.3"):
        world.edit({"spec": {"version": version}})
        await world.pass_time(120)
        assert (world.runtime.calls["create"], plan(world)["class"]) == (2, "Recreate")


@pytest.mark.parametrize(
    "value",
    ["", "7", "true", "GENERATION", "of another plan", "x" * 5000],
    ids=["empty", "7", "true", "generation", "other", "long"],
)
async def test_what_approves_another_plan_approves_nothing(value: str) -> None:
    """And is said, with what would approve this one."""
    world = await outdated()
    if value == "of another plan":
        value = plan(world)["approval"]
        world.edit({"spec": {"version": "v1.34.5"}})
    value = value.replace("GENERATION", str(generation(world)))
    before = ids(world)

    annotate(world, value)
    await world.pass_time(120)

    assert (ids(world), world.runtime.calls["create"]) == (before, 1)
    message = world.condition("UpToDate")["message"]
    assert f"approved-plan={plan(world)['approval']}" in message
    assert ("which approves another plan" in message) is bool(value)
    assert len(message) < 1000


async def test_an_approval_that_is_taken_back_in_time_costs_nothing() -> None:
    """While what the replacement needs is being fetched."""
    world = await outdated()
    before = ids(world)
    world.run_tasks = False
    annotate(world, plan(world)["approval"])
    await world.settle()
    assert world.condition("UpToDate")["reason"] == "Preparing"
    assert "approval" not in plan(world)

    annotate(world, None)
    await world.settle()
    world.run_tasks = True
    await world.pass_time(120)

    assert (ids(world), world.runtime.calls["create"]) == (before, 1)
    assert world.condition("UpToDate")["reason"] == "UpdateNeeded"


async def test_a_config_map_that_changes_needs_an_approval_of_its_own() -> None:
    """It has no part in the generation of the object."""
    world = await made(configFrom={"configMapKeyRef": {"name": "configs", "key": "a.yaml"}})
    seen = generation(world)
    world.kube.edit(names.CONFIG_MAPS, CONFIGS, {"data": {"a.yaml": CONFIG_MAP["b.yaml"]}})
    await world.look()
    await world.pass_time(120)
    annotate(world, plan(world)["approval"])
    await world.pass_time(120)
    assert world.runtime.calls["create"] == 2

    world.kube.edit(names.CONFIG_MAPS, CONFIGS, {"data": {"a.yaml": CONFIG_MAP["a.yaml"]}})
    await world.look()
    await world.pass_time(120)

    assert generation(world) == seen
    assert world.runtime.calls["create"] == 2
    assert (plan(world)["class"], world.condition("UpToDate")["reason"]) == ("Recreate", "UpdateNeeded")


async def test_an_approval_does_not_outlive_its_object() -> None:
    """Moved or restored, an object begins at generation 1 again and has its annotations: what was approved before is not approved now."""
    world = await outdated()
    approval, obj = plan(world)["approval"], world.get()
    assert obj is not None
    obj["metadata"]["annotations"][names.APPROVED_PLAN_ANNOTATION] = approval
    away = World(runtime=world.runtime)
    away.kube.put(names.CONFIG_MAPS, config_map("first", {}))  # the fake counts UIDs
    away.apply({key: value for key, value in obj.items() if key != "status"})
    while generation(away) < seen_in(approval):
        away.edit({"spec": {"createTimeout": f"{generation(away)}m"}})
    await away.pass_time(120)

    moved = away.get()
    assert moved is not None
    assert (moved["metadata"]["uid"] != obj["metadata"]["uid"], generation(away)) == (True, seen_in(approval))
    assert (away.status()["phase"], away.runtime.calls["create"]) == ("Ready", 1)
    assert "which approves another plan" in away.condition("UpToDate")["message"]


def seen_in(approval: str) -> int:
    return int(approval.partition("-")[0])


changes = st.lists(
    st.builds(Change, st.sampled_from(["version", "image", "networking.podSubnet"]), st.text(max_size=3), st.text(max_size=3)),
    min_size=1,
    max_size=3,
).map(tuple)
consents = st.builds(
    Consent,
    policy=st.sampled_from([UpdatePolicy.REFUSE, UpdatePolicy.REPORT]),
    approved=st.just(""),
    uid=st.sampled_from(["a", "b"]),
    generation=st.integers(1, 3),
)


@given(consents, changes, consents, changes)
def test_only_the_same_plan_of_the_same_object_is_approved(
    one: Consent, planned: tuple[Change, ...], other: Consent, found: tuple[Change, ...]
) -> None:
    """Not by another generation, another object, or with other changes."""
    approved = replace(other, approved=one.approval(planned))
    same = (one.uid, one.generation, planned) == (other.uid, other.generation, found)
    assert approved.to(found) is same


@given(st.lists(changes, min_size=1, max_size=3))
def test_together_changes_cost_what_the_costliest_costs(sets: list[tuple[Change, ...]]) -> None:
    """Whatever their order."""
    together = [change for one in sets for change in one]
    assert greatest(together) == greatest(reversed(together)) == max(map(greatest, sets), key=list(UpdateClass).index)
