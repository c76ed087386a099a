"""Cluster API around a KINDCluster: owner, pause, move, externally managed. No engine effect where none is allowed."""

from __future__ import annotations

import base64

import pytest

from provider.api import contract, names
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.reconcile.options import ReconcileOptions
from tests.fakes.world import KEY, World, kindcluster

CLUSTER = ObjectKey("default", "capi")


@pytest.fixture
def world() -> World:
    world = World()
    world.kube.groups.add(contract.CAPI_GROUP)
    return world


def cluster(**spec: object) -> JsonObject:
    reference = {"apiGroup": names.GROUP, "kind": KINDCLUSTERS.kind, "name": KEY.name}
    return {"metadata": {"name": CLUSTER.name, "namespace": CLUSTER.namespace}, "spec": {"infrastructureRef": reference, **spec}}


def own(world: World, **spec: object) -> None:
    """What the core manager does: an owner reference, not a controlling one."""
    owner = world.kube.put(contract.CLUSTERS, cluster(**spec))
    reference = {
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "Cluster",
        "name": CLUSTER.name,
        "uid": owner["metadata"]["uid"],
    }
    world.edit({"metadata": {"ownerReferences": [reference]}})


async def test_with_cluster_api_an_object_waits_for_its_owner(world: World) -> None:
    """Nothing is written but the status: no finalizer, no identity."""
    world.apply(kindcluster())
    await world.settle()

    assert (world.status()["phase"], world.condition("Ready")["reason"]) == ("Pending", "WaitingForOwner")
    obj = world.get()
    assert obj is not None
    assert "finalizers" not in obj["metadata"]

    own(world)
    await world.settle()
    assert world.status()["phase"] == "Ready"


async def test_a_cluster_that_could_own_it_is_named(world: World) -> None:
    """Cluster API owns nothing while paused, so that the reason for waiting is the pause of that Cluster."""
    world.apply(kindcluster())
    world.kube.put(contract.CLUSTERS, cluster(paused=True))
    await world.settle()
    assert world.condition("Ready")["message"] == "Cluster capi names this object and is paused: set its spec.paused to false."

    world.kube.edit(contract.CLUSTERS, CLUSTER, {"spec": {"paused": False}})
    await world.look()
    assert "Cluster capi names this object and does not own it yet" in world.condition("Ready")["message"]


async def test_standalone_needs_no_owner(world: World) -> None:
    """spec.standalone: true is the way to use the provider by hand where Cluster API is installed."""
    world.apply(kindcluster(standalone=True))
    await world.settle()

    assert world.status()["phase"] == "Ready"


async def test_only_the_referenced_object_is_provisioned(world: World) -> None:
    """A Cluster that names another object must not get two kind clusters."""
    world.apply(kindcluster())
    own(world, infrastructureRef={"apiGroup": names.GROUP, "kind": KINDCLUSTERS.kind, "name": "other"})
    await world.settle()

    assert world.condition("Ready")["reason"] == "NotReferenced"
    assert world.runtime.clusters == {}


@pytest.mark.fault(44, "an owner reference with the uid of nobody (fakes)", invariants="I3")
async def test_a_forged_owner_is_not_an_owner(world: World) -> None:
    """The UID must be that of the living Cluster."""
    world.apply(kindcluster())
    own(world)
    world.edit(
        {
            "metadata": {
                "ownerReferences": [{"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "name": "capi", "uid": "x"}]
            }
        }
    )
    await world.settle()

    assert world.condition("Ready")["reason"] == "InvalidOwner"
    assert world.runtime.clusters == {}


@pytest.mark.fault(32, "owner references are removed (fakes)", invariants="I1 I3")
async def test_stripped_owner_references_do_not_stop_a_living_cluster(world: World) -> None:
    """Backup tools strip them; core puts them back. Until then the cluster is looked after."""
    world.apply(kindcluster())
    own(world)
    await world.settle()
    world.edit({"metadata": {"ownerReferences": None}})
    await world.settle()

    assert world.status()["phase"] == "Ready"


@pytest.mark.fault(32, "finalizers are removed (fakes)", invariants="I1")
async def test_stripped_finalizers_come_back(world: World) -> None:
    """Else the next deletion would leak the cluster."""
    world.apply(kindcluster(standalone=True))
    await world.settle()
    world.edit({"metadata": {"finalizers": None}})
    await world.settle()

    obj = world.get()
    assert obj is not None
    assert obj["metadata"]["finalizers"] == [names.FINALIZER]


@pytest.mark.fault(33, "paused before anything is made, three ways (fakes)", invariants="I9")
@pytest.mark.parametrize("how", ["annotation", "cluster", "both"])
async def test_paused_before_creating_makes_nothing(world: World, how: str) -> None:
    """Only the Paused condition is written."""
    world.apply(kindcluster())
    own(world, **({"paused": True} if how != "annotation" else {}))
    if how != "cluster":
        world.edit({"metadata": {"annotations": {contract.PAUSED_ANNOTATION: ""}}})
    await world.settle()

    assert world.condition("Paused")["status"] == "True"
    assert world.runtime.calls["create"] == 0


async def test_a_paused_object_says_so_before_it_has_an_owner(world: World) -> None:
    """The annotation counts by itself: with or without an owner, only the Paused condition is written."""
    obj = kindcluster()
    obj["metadata"]["annotations"] = {contract.PAUSED_ANNOTATION: ""}
    world.apply(obj)
    await world.settle()

    assert world.condition("Paused")["status"] == "True"
    assert world.condition("Ready") == {}


@pytest.mark.fault(33, "paused in the middle of a create (fakes)", invariants="I9")
async def test_pausing_while_creating_stops_the_engine_work(world: World) -> None:
    """Zero mutations while paused; going on afterwards leads to one whole cluster."""
    world.run_tasks = False
    world.apply(kindcluster(standalone=True))
    await world.settle()
    world.edit({"metadata": {"annotations": {contract.PAUSED_ANNOTATION: "true"}}})
    await world.settle()

    assert world.tasks.cancelled == [KEY]
    assert world.condition("Paused")["status"] == "True"

    world.edit({"metadata": {"annotations": {contract.PAUSED_ANNOTATION: None}}})
    world.run_tasks = True
    await world.settle()
    assert world.status()["phase"] == "Ready"
    assert world.condition("Paused")["status"] == "False"


@pytest.mark.fault(33, "deleted while paused (fakes)", invariants="I9")
async def test_deletion_waits_while_paused_and_says_so(world: World) -> None:
    """The surprise other providers are known for gets a message here."""
    world.apply(kindcluster(standalone=True))
    await world.settle()
    world.edit({"metadata": {"annotations": {contract.PAUSED_ANNOTATION: ""}}})
    world.delete()
    await world.settle()

    assert "deletion waits" in world.condition("Paused")["message"]
    assert world.runtime.clusters

    world.edit({"metadata": {"annotations": None}})
    await world.settle()
    assert world.get() is None


@pytest.mark.fault(37, "annotated as managed by somebody else (fakes)", invariants="I9")
async def test_an_externally_managed_object_is_not_written_at_all(world: World) -> None:
    """Not even its status."""
    obj = kindcluster(standalone=True)
    obj["metadata"]["annotations"] = {contract.MANAGED_BY_ANNOTATION: "somebody"}
    world.apply(obj)
    await world.settle()

    assert not world.kube.writes(KINDCLUSTERS)


@pytest.mark.fault(34, "the calls of clusterctl move at the source (fakes)", invariants="I3")
async def test_move_does_not_destroy_at_the_source(world: World) -> None:
    """clusterctl move marks, deletes, and only then empties finalizers: the cluster lives on elsewhere."""
    world.apply(kindcluster(standalone=True))
    await world.settle()
    world.edit({"metadata": {"annotations": {contract.DELETE_FOR_MOVE_ANNOTATION: ""}}})
    world.delete()
    await world.pass_time(60)
    assert world.runtime.calls["delete"] == 0

    world.edit({"metadata": {"finalizers": None}})
    await world.settle()
    assert world.get() is None
    assert world.runtime.marked() == ["demo-control-plane"]


@pytest.mark.fault(30, "deleted when the owner is gone (fakes)", invariants="I3")
async def test_an_owner_gone_without_a_trace_keeps_the_cluster(world: World) -> None:
    """A leak that is reported beats a wrong delete; removing the references is the way out."""
    world.apply(kindcluster())
    own(world)
    await world.settle()
    world.kube.remove(contract.CLUSTERS, CLUSTER)
    world.delete()
    await world.pass_time(60)

    assert world.condition("Ready")["reason"] == "OwnerGone"
    assert "ownerReferences" in world.condition("Ready")["message"]
    assert world.runtime.clusters

    world.edit({"metadata": {"ownerReferences": None}})
    await world.settle()
    assert world.get() is None
    assert world.runtime.clusters == {}


@pytest.mark.fault(35, "restored with an owner that is gone, collected as garbage (fakes)", invariants="I3")
@pytest.mark.parametrize("seen_between", [True, False])
async def test_a_restored_object_collected_for_its_former_owner_keeps_the_cluster(world: World, seen_between: bool) -> None:
    """A backup names an owner that is not there any more: garbage collection deletes it, core gives it the new owner, nobody wanted it
    destroyed. Deleting the Cluster is wanting it."""
    world.apply(kindcluster())
    own(world)
    await world.settle()
    saved = world.get()
    assert saved is not None
    world.edit({"metadata": {"finalizers": None}})
    world.kube.remove(KINDCLUSTERS, KEY)
    world.kube.remove(contract.CLUSTERS, CLUSTER)
    await world.settle()

    kept = {key: saved["metadata"][key] for key in ("name", "namespace", "finalizers", "ownerReferences")}
    world.apply({**kindcluster(), "metadata": kept, "spec": saved["spec"]})
    world.delete()
    if seen_between:
        await world.settle()
    own(world)
    await world.pass_time(60)
    assert world.condition("Ready")["reason"] == "OwnerGone"
    assert world.runtime.clusters

    world.kube.edit(contract.CLUSTERS, CLUSTER, {"metadata": {"finalizers": ["core"]}})
    world.kube.remove(contract.CLUSTERS, CLUSTER)
    world.edit({})
    await world.settle()
    assert world.get() is None
    assert world.runtime.clusters == {}


@pytest.mark.fault(37, "another namespace, another watch filter (fakes)", invariants="I9")
async def test_other_namespaces_and_filters_are_left_to_other_managers() -> None:
    """--namespace and --watch-filter select; what is not selected is not written."""
    world = World(ReconcileOptions(namespace="mine", watch_filter="a"))
    world.apply(kindcluster())
    world.apply(kindcluster(ObjectKey("mine", "demo")))
    await world.settle()

    assert not world.kube.writes(KINDCLUSTERS)


async def test_network_of_the_cluster_feeds_a_silent_spec(world: World) -> None:
    """Cluster.spec.clusterNetwork is where a Cluster API user writes CIDRs."""
    world.apply(kindcluster())
    own(world, clusterNetwork={"pods": {"cidrBlocks": ["10.1.0.0/16"]}, "services": {"cidrBlocks": ["10.2.0.0/16"]}})
    await world.settle()

    networking = world.runtime.requests[-1].config["networking"]
    assert (networking["podSubnet"], networking["serviceSubnet"]) == ("10.1.0.0/16", "10.2.0.0/16")


async def test_the_kubeconfig_of_cluster_api_has_the_contract_shape(world: World) -> None:
    """Name, type, label and key are what core and clusterctl look for; people get theirs as ever."""
    world.apply(kindcluster(clusterName="somewhere"))
    own(world)
    await world.settle()

    secret = world.secret("capi-kubeconfig")
    assert secret is not None
    assert secret["type"] == "cluster.x-k8s.io/secret"
    assert secret["metadata"]["labels"][contract.CLUSTER_NAME_LABEL] == "capi"
    assert list(secret["data"]) == ["value"]
    assert world.secret("somewhere-config") is not None

    world.delete()
    await world.settle()
    assert world.secret("capi-kubeconfig") is None


async def test_inside_the_network_cluster_api_gets_the_internal_address() -> None:
    """A pod cannot reach the host's loopback; people on the host still can."""
    world = World(ReconcileOptions(inside_network=True))
    world.kube.groups.add(contract.CAPI_GROUP)
    world.apply(kindcluster())
    own(world)
    await world.settle()

    internal, host = world.secret("capi-kubeconfig"), world.secret()
    assert internal is not None
    assert host is not None
    assert "demo-control-plane:6443" in base64.b64decode(internal["data"]["value"]).decode()
    assert "127.0.0.1" in base64.b64decode(host["data"]["config"]).decode()
