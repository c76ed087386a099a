"""spec.updatePolicy: what an edit does that needs other nodes. The whole reconciler on fakes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.api import names
from provider.api.conditions import Reason
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS, KINDClusterSpec
from provider.errors import Terminal
from provider.ports.runtime import Problem
from provider.reconcile import drift
from provider.reconcile.kind_config import kind_config
from provider.reconcile.options import ReconcileOptions
from tests.fakes.world import KEY, World, kindcluster


async def ready(world: World, **spec: Any) -> World:
    world.apply(kindcluster(**spec))
    await world.pass_time(30)
    assert world.status()["phase"] == "Ready"
    world.runtime.calls["prepare"] = 0  # without what the first create has fetched
    return world


def made_by(world: World) -> list[str]:
    """Ids of the containers: they change when a cluster is replaced."""
    return [node["id"] for node in world.status()["nodes"]]


async def test_an_edit_without_consent_changes_nothing_and_says_so() -> None:
    """Report: the cluster stays Ready with the nodes it was made with, and the condition names field, old and new value and cure."""
    world = await ready(World(), updatePolicy="Report", controlPlaneReplicas=1)
    before = made_by(world)

    world.edit({"spec": {"controlPlaneReplicas": 3}})
    await world.pass_time(300)

    assert made_by(world) == before
    assert (world.status()["phase"], world.status()["nodesReady"]) == ("Ready", "1/1")
    condition = world.condition("UpToDate")
    assert (condition["status"], condition["reason"]) == ("False", "UpdateNeeded")
    assert "controlPlaneReplicas (1 → 3)" in condition["message"]
    assert "Recreate" in condition["message"]

    world.edit({"spec": {"controlPlaneReplicas": 1}})
    await world.settle()
    assert world.condition("UpToDate")["status"] == "True"


async def test_with_consent_the_cluster_is_replaced_once() -> None:
    """Recreate: same identity, same endpoint, other nodes, new kubeconfig; then it is up to date and nothing more happens."""
    world = await ready(World(), updatePolicy="Recreate", version="v1.34.3")
    before, first = made_by(world), world.get()
    secret = world.secret()
    assert first is not None and secret is not None

    world.edit({"spec": {"version": "v1.34.4"}})
    await world.pass_time(300)

    last, renewed = world.get(), world.secret()
    assert last is not None and renewed is not None
    assert world.runtime.calls["create"] == 2
    assert set(made_by(world)).isdisjoint(before)
    assert last["spec"]["identity"] == first["spec"]["identity"]
    assert last["spec"]["controlPlaneEndpoint"] == first["spec"]["controlPlaneEndpoint"]
    assert renewed["data"] != secret["data"]
    assert (world.status()["phase"], world.condition("UpToDate")["status"]) == ("Ready", "True")
    assert world.runtime.requests[-1].version == "v1.34.4"


async def test_what_is_replaced_is_prepared_first() -> None:
    """An image that cannot be had costs no cluster: it runs on, Ready, and the condition says what is wrong."""
    world = await ready(World(), updatePolicy="Recreate", version="v1.34.3")
    before = made_by(world)
    world.runtime.fail("prepare", Terminal(Reason.IMAGE_NOT_FOUND, "Image kindest/node:v9.9.9 does not exist."), call=None)

    world.edit({"spec": {"version": "v9.9.9"}})
    await world.pass_time(200)

    condition = world.condition("UpToDate")
    assert (made_by(world), world.status()["phase"]) == (before, "Ready")
    assert (condition["status"], condition["reason"]) == ("False", "ImageNotFound")
    assert "v9.9.9 does not exist" in condition["message"]
    assert 2 <= world.runtime.calls["prepare"] <= 5

    world.edit({"spec": {"version": "v1.34.3"}})
    await world.settle()
    assert (world.condition("UpToDate")["status"], made_by(world)) == ("True", before)


async def test_while_it_is_replaced_nothing_of_the_old_cluster_is_called_available() -> None:
    """Every condition that spoke of the old cluster says what is going on."""
    world = await ready(World(), updatePolicy="Recreate", version="v1.34.3")
    world.edit({"spec": {"version": "v1.34.4"}})
    held = world.runtime.hang("create")
    replacing = asyncio.create_task(world.settle())
    await held.reached.wait()
    await world.look()

    for kind, expected in {"Ready": "False", "Available": "False", "ControlPlaneReady": "False", "NodesReady": "Unknown"}.items():
        assert (world.condition(kind)["status"], world.condition(kind)["reason"]) == (expected, "Recreating"), kind
    assert world.status()["phase"] == "Repairing"

    held.gate.set()
    await replacing
    await world.pass_time(30)
    assert world.condition("Available")["status"] == "True"


async def test_a_preflight_problem_costs_no_cluster_either() -> None:
    """A missing mount path is found while the old cluster still runs."""
    world = await ready(World(), updatePolicy="Recreate")
    before = made_by(world)
    world.runtime.problems = [Problem(Reason.MOUNT_FAILED, "spec.nodes[0].extraMounts[0]: /nowhere is missing.", terminal=False)]

    world.edit({"spec": {"nodes": [{"extraMounts": [{"hostPath": "/nowhere", "containerPath": "/data"}]}]}})
    await world.pass_time(30)

    assert (made_by(world), world.status()["phase"]) == (before, "Ready")
    assert world.condition("UpToDate")["reason"] == "MountFailed"


async def test_the_cluster_stays_ready_while_its_replacement_is_prepared() -> None:
    """Pulling an image may take minutes."""
    world = await ready(World(), updatePolicy="Recreate", version="v1.34.3")
    world.run_tasks = False

    world.edit({"spec": {"version": "v1.34.4"}})
    await world.settle()

    assert (world.status()["phase"], world.status()["ready"]) == ("Ready", True)
    assert world.condition("UpToDate")["reason"] == "Preparing"

    world.edit({"spec": {"version": "v1.34.3"}})
    await world.settle()
    assert world.condition("UpToDate")["status"] == "True"
    assert world.runtime.calls["create"] == 1


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({"runtime": "local"}, "runtime"),
        ({"networking": {"apiServerPort": 7443}}, "networking.apiServerPort"),
        ({"networking": {"ipFamily": "ipv6"}}, "networking.ipFamily"),
    ],
)
async def test_what_a_replacement_could_not_bring_is_never_tried(edit: dict[str, Any], field: str) -> None:
    """Not even together with an edit that could be had: half of what was asked for is not what was asked for."""
    world = await ready(World(), updatePolicy="Recreate", version="v1.34.3")

    world.edit({"spec": {"version": "v1.34.4", **edit}})
    await world.pass_time(120)

    condition = world.condition("UpToDate")
    assert (condition["status"], condition["reason"]) == ("False", "UpdateImpossible")
    assert field in condition["message"]
    assert (world.runtime.calls["create"], world.runtime.calls["prepare"]) == (1, 0)


async def test_what_was_made_is_known_after_the_status_is_lost() -> None:
    """clusterctl move and backups drop the status; the record is an annotation, which they keep."""
    world = await ready(World(), updatePolicy="Report", version="v1.34.3")
    world.kube.edit(KINDCLUSTERS, KEY, {"status": None}, subresource="status")

    world.edit({"spec": {"version": "v1.34.4"}})
    await world.pass_time(30)

    assert "version (v1.34.3 → v1.34.4)" in world.condition("UpToDate")["message"]
    assert world.status()["phase"] == "Ready"


@pytest.mark.parametrize("record", [None, "", "[]", "{}", '{"workerReplicas":"many","controlPlaneReplicas":"1"}'])
async def test_without_a_record_what_runs_counts_as_what_is_wanted(record: str | None) -> None:
    """Made by an earlier version, or the annotation was edited: nothing is replaced on a guess."""
    world = await ready(World(), updatePolicy="Recreate")
    world.edit({"metadata": {"annotations": {names.MADE_FROM_ANNOTATION: record}}, "spec": {"version": "v1.34.4"}})
    await world.pass_time(60)

    assert world.runtime.calls["create"] == 1
    assert world.condition("UpToDate")["status"] == "True"


async def test_another_default_of_the_manager_makes_nothing_outdated() -> None:
    """Only the object's own words count: a restart with another --default-image must not cost a cluster."""
    world = await ready(World(options=ReconcileOptions(default_image="kindest/node:v1.33.0")), updatePolicy="Recreate")
    world.options = ReconcileOptions(default_image="kindest/node:v1.34.0")
    world.restart()
    await world.pass_time(60)

    assert (world.runtime.calls["create"], world.condition("UpToDate")["status"]) == (1, "True")


async def test_an_unreachable_engine_delays_an_update() -> None:
    """Unknown never deletes."""
    world = await ready(World(), updatePolicy="Recreate", version="v1.34.3")
    world.runtime.engine_up = False
    world.edit({"spec": {"version": "v1.34.4"}})
    await world.pass_time(60)
    assert world.runtime.calls["prepare"] == 0

    world.runtime.engine_up = True
    await world.pass_time(120)
    assert (world.runtime.calls["create"], world.condition("UpToDate")["status"]) == (2, "True")


async def test_a_replacement_that_fails_for_good_is_tried_again_after_the_next_edit() -> None:
    """As any create: bounded tries, then a terminal reason that an edit clears."""
    world = await ready(World(), updatePolicy="Recreate", version="v1.34.3")
    world.runtime.fail("create", Terminal(Reason.CONFIG_REJECTED, "kind refuses the config."))
    world.edit({"spec": {"version": "v1.34.4"}})
    await world.pass_time(60)
    assert world.status()["phase"] == "Failed"

    world.edit({"spec": {"version": "v1.34.5"}})
    await world.pass_time(60)
    assert (world.status()["phase"], world.condition("UpToDate")["status"]) == ("Ready", "True")


specs = st.fixed_dictionaries(
    {},
    optional={
        "version": st.sampled_from(["v1.34.3", "v1.34.4"]),
        "image": st.sampled_from(["kindest/node:v1.34.4", "other:v1"]),
        "controlPlaneReplicas": st.integers(1, 3),
        "workerReplicas": st.integers(0, 3),
        "featureGates": st.dictionaries(st.sampled_from(["A", "B"]), st.booleans()),
        "kubeadmConfigPatches": st.lists(st.text(max_size=200), max_size=2),
        "networking": st.fixed_dictionaries({}, optional={"podSubnet": st.sampled_from(["10.1.0.0/16", "10.2.0.0/16"])}),
    },
)


def wanted(raw: dict[str, Any]) -> dict[str, str]:
    spec = KINDClusterSpec.model_validate(raw)
    return drift.made_from(spec, kind_config(spec, "demo"))


@given(specs, specs)
def test_a_record_tells_two_specs_apart_exactly_where_they_differ(one: dict[str, Any], other: dict[str, Any]) -> None:
    """And survives being an annotation. Absent numbers of nodes are their defaults; an empty list or map is not the absence of one."""
    obj = {"metadata": {"annotations": {names.MADE_FROM_ANNOTATION: drift.as_annotation(wanted(one))}}}
    record = drift.recorded(obj)
    assert record == wanted(one)

    defaults = {"controlPlaneReplicas": 1, "workerReplicas": 0}
    differing = {
        field
        for field in {*one, *other}
        if field != "networking" and (defaults | one).get(field) != (defaults | other).get(field)
    }
    if one.get("networking", {}) != other.get("networking", {}):
        differing.add("networking.podSubnet")
    assert {change.field for change in drift.changes(record, wanted(other))} == differing


@pytest.mark.parametrize(
    "record",
    [
        "no JSON",
        "[" * 100_000,
        "[]",
        '{"controlPlaneReplicas": 1, "workerReplicas": 0}',
        '{"controlPlaneReplicas": "1"}',
        '{"controlPlaneReplicas": "1", "workerReplicas": "1000000000"}',
        '{"controlPlaneReplicas": "1", "workerReplicas": "-1"}',
        '{"controlPlaneReplicas": "1", "workerReplicas": "' + "9" * 5000 + '"}',
    ],
)
def test_a_record_that_no_cluster_can_have_counts_as_none(record: str) -> None:
    """The annotation is open to everybody who may edit the object: what is read from it must not cost the manager its memory."""
    assert drift.recorded({"metadata": {"annotations": {names.MADE_FROM_ANNOTATION: record}}}) is None


def test_every_number_of_nodes_that_the_crd_allows_can_be_recorded() -> None:
    """Of either role, in either form."""
    limits = {field.le for info in KINDClusterSpec.model_fields.values() for field in info.metadata if hasattr(field, "le")}
    lists = [field.max_length for field in KINDClusterSpec.model_fields["nodes"].metadata if hasattr(field, "max_length")]
    assert {str(most) for most in (*limits, *lists)} <= drift.POSSIBLE_COUNTS


def test_long_values_are_kept_as_fingerprints() -> None:
    """An annotation has 256 KiB for all; a patch may have 64 KiB. Only the field is named then."""
    (change,) = drift.changes(wanted({}), wanted({"kubeadmConfigPatches": ["x" * 60000]}))
    assert str(change) == "kubeadmConfigPatches"
    assert len(json.dumps(wanted({"kubeadmConfigPatches": ["x" * 60000]}))) < 300


def test_nodes_one_by_one_without_anything_of_their_own_are_only_counted() -> None:
    """The short form and the long form of the same cluster are the same."""
    assert drift.changes(wanted({"workerReplicas": 1}), wanted({"nodes": [{"role": "control-plane"}, {"role": "worker"}]})) == ()
