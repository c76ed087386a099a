"""KINDControlPlane: what it supplies to the KINDCluster of the same Cluster, and what it mirrors. Both reconcilers on fakes."""

from __future__ import annotations

from typing import Any

import pytest

from provider.api import contract, names
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES
from provider.ports.runtime import Problem
from provider.reconcile.kindcontrolplane import KINDControlPlaneReconciler
from provider.reconcile.options import ReconcileOptions
from tests.fakes.world import KEY, World, kindcluster

CLUSTER = ObjectKey("default", "capi")
CONTROL_PLANE = ObjectKey("default", "capi-cp")


class Topology(World):
    """A Cluster that names a KINDCluster and a KINDControlPlane, both owned by it, as Cluster API's topology controller makes them."""

    def __init__(self, *, options: ReconcileOptions | None = None, spec: JsonObject | None = None, **control_plane: Any) -> None:
        super().__init__(options=options or ReconcileOptions())
        self.kube.groups |= {contract.CAPI_GROUP, names.CONTROL_PLANE_GROUP}
        references = {
            "infrastructureRef": {"apiGroup": names.GROUP, "kind": KINDCLUSTERS.kind, "name": KEY.name},
            "controlPlaneRef": {
                "apiGroup": names.CONTROL_PLANE_GROUP,
                "kind": KINDCONTROLPLANES.kind,
                "name": CONTROL_PLANE.name,
            },
        }
        meta = {"name": CLUSTER.name, "namespace": CLUSTER.namespace}
        self.cluster = self.kube.put(contract.CLUSTERS, {"metadata": meta, "spec": references})
        self.apply(self.owned(kindcluster(**(spec or {}))))
        self.looked_at: list[ObjectKey] = []
        self.mirrors = KINDControlPlaneReconciler(self.kube, self.clock, self.options, self.looked_at.append)
        if control_plane:
            self.add_control_plane(**control_plane)

    def owned(self, obj: JsonObject) -> JsonObject:
        owner = {
            "apiVersion": "cluster.x-k8s.io/v1beta2",
            "kind": "Cluster",
            "name": CLUSTER.name,
            "uid": self.cluster["metadata"]["uid"],
            "controller": True,
        }
        labels = {contract.CLUSTER_NAME_LABEL: CLUSTER.name, contract.TOPOLOGY_OWNED_LABEL: ""}
        obj["metadata"] |= {"ownerReferences": [owner], "labels": labels}
        return obj

    def add_control_plane(self, **spec: Any) -> None:
        obj = {"metadata": {"name": CONTROL_PLANE.name, "namespace": CONTROL_PLANE.namespace}, "spec": spec}
        self.kube.put(KINDCONTROLPLANES, self.owned(obj))

    async def both(self) -> JsonObject:
        """Let everything settle; the KINDControlPlane's status."""
        await self.pass_time(30)
        await self.mirrors.reconcile(CONTROL_PLANE)
        for key in self.looked_at:
            await self.look(key)
        await self.pass_time(30)
        await self.mirrors.reconcile(CONTROL_PLANE)
        return self.mirrored()

    def mirrored(self) -> JsonObject:
        obj = self.kube.read(KINDCONTROLPLANES, CONTROL_PLANE)
        status: JsonObject = (obj or {}).get("status") or {}
        return status

    def mirrored_condition(self, kind: str) -> JsonObject:
        return next((entry for entry in self.mirrored().get("conditions", []) if entry["type"] == kind), {})


async def test_the_topology_says_version_and_replicas() -> None:
    """The KINDCluster takes from the control plane what its own spec leaves out; the control plane says what became of it."""
    world = Topology(version="v1.34.4", replicas=3)

    status = await world.both()

    (request,) = world.runtime.requests
    assert (request.version, request.image) == ("v1.34.4", "kindest/node:v1.34.4")
    assert [node["role"] for node in request.config["nodes"]] == ["control-plane"] * 3
    assert {status[name] for name in ("replicas", "readyReplicas", "availableReplicas", "upToDateReplicas")} == {3}
    assert status["initialization"]["controlPlaneInitialized"] is status["initialized"] is status["ready"] is True
    assert status["versions"] == [{"version": status["version"], "replicas": 3}]
    for kind in ("Ready", "Available", "UpToDate"):
        assert (world.mirrored_condition(kind)["status"], world.mirrored_condition(kind)["message"]) == ("True", "")
    assert world.mirrored_condition("Paused")["reason"] == "NotPaused"


async def test_nothing_is_made_before_the_wanted_version_is_known() -> None:
    """The Cluster names a control plane that is not there yet."""
    world = Topology()
    await world.pass_time(60)

    assert world.condition("Ready")["reason"] == "WaitingForControlPlane"
    assert world.runtime.requests == []

    world.add_control_plane(version="v1.34.4")
    await world.pass_time(60)
    assert world.status()["phase"] == "Ready"


async def test_nothing_is_written_twice() -> None:
    """resourceVersion stays stable when nothing changes."""
    world = Topology(version="v1.34.4")
    await world.both()
    before = world.kube.read(KINDCONTROLPLANES, CONTROL_PLANE)

    await world.both()

    assert world.kube.read(KINDCONTROLPLANES, CONTROL_PLANE) == before


async def test_another_version_without_consent_is_reported_on_both_objects() -> None:
    """And nothing is recreated."""
    world = Topology(version="v1.34.3", spec={"updatePolicy": "Report"})
    await world.both()

    world.kube.edit(KINDCONTROLPLANES, CONTROL_PLANE, {"spec": {"version": "v1.34.4"}})
    status = await world.both()

    assert KEY in world.looked_at
    for condition in (world.condition("UpToDate"), world.mirrored_condition("UpToDate")):
        assert (condition["status"], condition["reason"]) == ("False", "UpdateNeeded")
        assert "version (v1.34.3 → v1.34.4)" in condition["message"]
        assert "KINDClusterTemplate" in condition["message"]
    assert (status["replicas"], status["upToDateReplicas"], status["ready"]) == (1, 0, True)
    assert world.runtime.calls["create"] == 1


async def test_another_version_with_consent_replaces_the_cluster_once() -> None:
    """The consent stands in the KINDClusterTemplate and so in the KINDCluster."""
    world = Topology(version="v1.34.3", spec={"updatePolicy": "Recreate"})
    await world.both()

    world.kube.edit(KINDCONTROLPLANES, CONTROL_PLANE, {"spec": {"version": "v1.34.4"}})
    await world.both()

    assert (world.runtime.calls["create"], world.runtime.requests[-1].version) == (2, "v1.34.4")
    assert world.mirrored_condition("UpToDate")["status"] == "True"


async def test_every_version_is_approved_by_itself() -> None:
    """On the KINDCluster, whose generation does not change with the version: an approval that was used covers no later version."""
    world = Topology(version="v1.34.3", spec={"updatePolicy": "Report"})
    await world.both()
    generations = set()

    for made, version in enumerate(("v1.34.4", "v1.34.5"), start=1):
        world.kube.edit(KINDCONTROLPLANES, CONTROL_PLANE, {"spec": {"version": version}})
        await world.both()
        assert world.runtime.calls["create"] == made
        approval = world.status()["plan"]["approval"]
        assert f"kindcluster demo {names.APPROVED_PLAN_ANNOTATION}={approval}" in world.mirrored_condition("UpToDate")["message"]
        world.edit({"metadata": {"annotations": {names.APPROVED_PLAN_ANNOTATION: approval}}})
        await world.both()
        assert (world.runtime.calls["create"], world.runtime.requests[-1].version) == (made + 1, version)
        generations.add(approval.partition("-")[0])

    assert len(generations) == 1


async def test_a_bad_version_that_was_corrected_is_tried_again() -> None:
    """The KINDCluster's own generation does not change then: what counts is what would be made."""
    world = Topology(version="v9.9.9")
    world.runtime.problems = [Problem(Reason.VERSION_NOT_AVAILABLE, "v9.9.9 is not available.", terminal=True)]
    await world.both()
    assert world.status()["phase"] == "Failed"

    world.runtime.problems = []
    world.kube.edit(KINDCONTROLPLANES, CONTROL_PLANE, {"spec": {"version": "v1.34.4"}})
    await world.both()
    assert world.status()["phase"] == "Ready"


async def test_a_control_plane_that_goes_away_costs_no_cluster() -> None:
    """As it does first when the Cluster is deleted: what is wanted cannot be told then, and unknown never deletes."""
    world = Topology(version="v1.34.4", replicas=3, spec={"updatePolicy": "Recreate"})
    await world.both()

    world.kube.remove(KINDCONTROLPLANES, CONTROL_PLANE)
    world.due[KEY] = 0.0
    await world.pass_time(60)

    assert (world.status()["phase"], world.status()["nodesReady"]) == ("Ready", "3/3")
    assert world.runtime.calls["create"] == 1


@pytest.mark.parametrize(
    ("spec", "control_plane", "words"),
    [
        ({"version": "v1.34.3"}, {"version": "v1.34.4"}, ("spec.version is v1.34.3", "says v1.34.4", "remove it")),
        ({"controlPlaneReplicas": 1}, {"version": "v1.34.4", "replicas": 3}, ("spec.controlPlaneReplicas is 1", "says 3")),
        ({"nodes": [{"role": "control-plane"}]}, {"version": "v1.34.4", "replicas": 3}, ("1 control-plane nodes", "says 3")),
        ({"clusterName": "x" * 41}, {"version": "v1.34.4", "replicas": 3}, ("too long", "40 characters")),
    ],
)
async def test_what_contradicts_is_said_and_not_guessed(
    spec: JsonObject, control_plane: dict[str, Any], words: tuple[str, ...]
) -> None:
    """Field, both values, cure; nothing is made."""
    world = Topology(spec=spec, **control_plane)
    await world.pass_time(60)

    condition = world.condition("Ready")
    assert condition["reason"] == "ControlPlaneConflict"
    assert all(word in condition["message"] for word in words), condition["message"]
    assert world.runtime.requests == []


async def test_a_contradiction_costs_no_cluster() -> None:
    """The cluster that was made before stays."""
    world = Topology(version="v1.34.3", spec={"updatePolicy": "Recreate"})
    await world.both()

    world.edit({"spec": {"version": "v1.34.4"}})
    await world.both()

    assert world.mirrored_condition("UpToDate")["reason"] == "ControlPlaneConflict"
    assert (world.status()["phase"], world.runtime.calls["create"]) == ("Ready", 1)


@pytest.mark.parametrize("paused", ["cluster", "annotation"])
async def test_while_paused_only_the_condition_changes(paused: str) -> None:
    """In the contract's words."""
    world = Topology(version="v1.34.4")
    if paused == "cluster":
        world.kube.edit(contract.CLUSTERS, CLUSTER, {"spec": {"paused": True}})
    else:
        world.kube.edit(KINDCONTROLPLANES, CONTROL_PLANE, {"metadata": {"annotations": {contract.PAUSED_ANNOTATION: ""}}})

    await world.mirrors.reconcile(CONTROL_PLANE)

    status = world.mirrored()
    assert [entry["type"] for entry in status.pop("conditions")] == ["Paused"]
    assert status == {}


async def test_an_object_of_another_manager_is_left_alone() -> None:
    """Externally managed, another watch filter, no owner yet: at most the status says so."""
    world = Topology(version="v1.34.4", options=ReconcileOptions(watch_filter="mine"))
    await world.mirrors.reconcile(CONTROL_PLANE)
    assert world.mirrored() == {}


async def test_without_an_owner_it_waits() -> None:
    """Cluster API has not taken ownership yet."""
    world = Topology(version="v1.34.4")
    world.kube.edit(KINDCONTROLPLANES, CONTROL_PLANE, {"metadata": {"ownerReferences": None}})

    await world.mirrors.reconcile(CONTROL_PLANE)

    assert world.mirrored_condition("Available")["reason"] == "WaitingForOwner"
    assert world.looked_at == []


async def test_one_that_is_gone_is_forgotten() -> None:
    """Nothing is written, and the KINDCluster's news are not brought to it any more."""
    world = Topology(version="v1.34.4")
    await world.both()
    assert world.mirrors.mirrored.keys(KEY) == [CONTROL_PLANE]

    world.kube.remove(KINDCONTROLPLANES, CONTROL_PLANE)
    await world.mirrors.reconcile(CONTROL_PLANE)

    assert world.mirrors.mirrored.keys(KEY) == []
