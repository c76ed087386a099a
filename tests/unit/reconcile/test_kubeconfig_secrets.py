"""Whose kubeconfig is published under whose name: only a Cluster's own references let an object speak for it."""

from __future__ import annotations

from typing import Any

import pytest

from provider.api import contract, names
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from tests.fakes.world import KEY, World, kindcluster

IDENTITY = {"identity": {"token": "0" * 32, "runtime": "kind"}}
OTHER = {"apiGroup": names.GROUP, "kind": KINDCLUSTERS.kind, "name": "other"}
OURS = {**OTHER, "name": KEY.name}


@pytest.fixture
def world() -> World:
    world = World()
    world.kube.groups.add(contract.CAPI_GROUP)
    return world


def victim(world: World, **spec: Any) -> JsonObject:
    return world.kube.put(contract.CLUSTERS, {"metadata": {"name": "victim", "namespace": KEY.namespace}, "spec": spec})


def owned_by(cluster: JsonObject, **spec: Any) -> JsonObject:
    obj = kindcluster(**spec)
    reference = {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster"}
    obj["metadata"]["ownerReferences"] = [reference | {part: cluster["metadata"][part] for part in ("name", "uid")}]
    return obj


@pytest.mark.parametrize("label", ["victim", "Not_A-name", "", "x" * 63])
async def test_a_label_does_not_make_an_object_speak_for_a_cluster(world: World, label: str) -> None:
    """Anybody who may create a KINDCluster can write it, and label values allow what names of Secrets do not."""
    obj = kindcluster(standalone=True)
    obj["metadata"]["labels"] = {contract.CLUSTER_NAME_LABEL: label}
    world.apply(obj)
    await world.settle()

    assert world.status()["phase"] == "Ready"
    assert [secret["metadata"]["name"] for secret in world.kube.find(names.SECRETS)] == ["demo-config"]
    published = world.secret()
    assert published is not None
    assert contract.CLUSTER_NAME_LABEL not in published["metadata"]["labels"]


@pytest.mark.parametrize("spec", [IDENTITY, {**IDENTITY, "standalone": True}], ids=["identity", "standalone"])
async def test_a_preset_identity_does_not_excuse_from_the_reference(world: World, spec: dict[str, Any]) -> None:
    """An owner reference with the Cluster's real UID can be written by anybody; the Cluster itself must name the object."""
    world.apply(owned_by(victim(world, infrastructureRef=OTHER), **spec))
    await world.settle()

    assert world.condition("Ready")["reason"] == "NotReferenced"
    assert world.runtime.clusters == {}
    assert world.kube.find(names.SECRETS) == []


async def test_a_provisioned_object_that_its_owner_does_not_name_publishes_nothing_for_it(world: World) -> None:
    """It is looked after, as it exists; the other Cluster's kubeconfig is not its to write."""
    world.apply(kindcluster(standalone=True))
    await world.settle()
    cluster = victim(world, infrastructureRef=OTHER)
    world.edit({"metadata": {"ownerReferences": owned_by(cluster)["metadata"]["ownerReferences"]}})
    await world.settle()

    assert world.status()["phase"] == "Ready"
    assert world.secret("victim-kubeconfig") is None


@pytest.mark.parametrize("preset", [True, False])
async def test_nothing_is_made_anew_for_an_object_that_its_owner_does_not_name(world: World, preset: bool) -> None:
    """An endpoint can be preset as well: it lets a living cluster be looked after, and no new one be made."""
    cluster = victim(world, infrastructureRef=OTHER)
    if preset:
        endpoint = {"host": "127.0.0.1", "port": 40009}
        obj = owned_by(cluster, **IDENTITY, controlPlaneEndpoint=endpoint, healPolicy="Recreate")
        obj["metadata"]["annotations"] = {names.DAEMON_ANNOTATION: world.runtime.daemon}
        world.apply(obj)
    else:
        world.apply(kindcluster(standalone=True, healPolicy="Recreate"))
        await world.settle()
        world.edit({"metadata": {"ownerReferences": owned_by(cluster)["metadata"]["ownerReferences"]}})
        world.set_node("demo-control-plane", None)
    await world.settle()

    assert world.condition("Ready")["reason"] == "NotReferenced"
    assert world.runtime.clusters == {}


async def test_either_reference_of_the_cluster_is_enough(world: World) -> None:
    """A control plane publishes the kubeconfig by contract, whatever the infrastructure is."""
    world.apply(kindcluster(standalone=True))
    await world.settle()
    cluster = victim(world, infrastructureRef=OTHER, controlPlaneRef=OURS)
    world.edit({"metadata": {"ownerReferences": owned_by(cluster)["metadata"]["ownerReferences"]}})
    await world.settle()

    assert world.secret("victim-kubeconfig") is not None


async def test_a_create_stops_when_the_cluster_names_another_object(world: World) -> None:
    """Nothing is made for an object that the Cluster does not want any more; it waits, and goes on when it is named again."""
    cluster = victim(world, infrastructureRef=OURS)
    world.run_tasks = False
    world.apply(owned_by(cluster))
    await world.settle()
    assert world.tasks.started

    key = ObjectKey(KEY.namespace, "victim")
    world.kube.edit(contract.CLUSTERS, key, {"spec": {"infrastructureRef": OTHER}})
    await world.look()
    assert world.tasks.cancelled == [KEY]
    assert world.condition("Ready")["reason"] == "NotReferenced"

    world.kube.edit(contract.CLUSTERS, key, {"spec": {"infrastructureRef": OURS}})
    world.run_tasks = True
    await world.look()
    await world.settle()
    assert world.status()["phase"] == "Ready"


async def test_the_secret_of_a_cluster_that_is_gone_goes_with_the_object(world: World) -> None:
    """Its name cannot be asked of the Cluster any more: our own label finds it."""
    world.apply(owned_by(victim(world, infrastructureRef=OURS)))
    await world.settle()
    assert world.secret("victim-kubeconfig") is not None

    world.kube.remove(contract.CLUSTERS, ObjectKey(KEY.namespace, "victim"))
    world.edit({"metadata": {"ownerReferences": None}, "spec": {"standalone": True}})
    world.delete()
    await world.settle()

    assert world.get() is None
    assert world.kube.find(names.SECRETS) == []


async def test_a_users_secret_with_our_label_is_not_deleted(world: World) -> None:
    """The label alone does not make a Secret one that was published."""
    world.apply(kindcluster(standalone=True))
    await world.settle()
    labelled = {"name": "mine", "namespace": KEY.namespace, "labels": {names.KINDCLUSTER_LABEL: KEY.name}}
    world.kube.put(names.SECRETS, {"type": "Opaque", "metadata": labelled})
    world.delete()
    await world.settle()

    assert [secret["metadata"]["name"] for secret in world.kube.find(names.SECRETS)] == ["mine"]


async def test_two_objects_of_one_cluster_name_on_two_runtimes_do_not_overwrite_each_others_secret(world: World) -> None:
    """Names of kind clusters are unique on a runtime only; the Secret belongs to who published it first."""
    world.apply(kindcluster(standalone=True))
    await world.settle()
    before = world.secret()
    second = ObjectKey(KEY.namespace, "second")
    world.runtime.clusters.clear()  # as if it were another runtime: the name is free there
    world.apply(kindcluster(second, standalone=True, clusterName="demo"))
    world.kube.edit(KINDCLUSTERS, KEY, {"metadata": {"annotations": {contract.PAUSED_ANNOTATION: ""}}})
    world.reconciler.claims.forget(KEY)
    world.due.pop(KEY, None)
    await world.settle()

    assert world.condition("KubeconfigPublished", second)["reason"] == "SecretConflict"
    assert before == world.secret()
