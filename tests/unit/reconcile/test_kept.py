"""What outlives its object: a finished cluster and its Secrets, where Retain or --cascade=orphan asks for it. Nothing half made does."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from provider.api import contract, names
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Conflict, Terminal, Transient
from provider.ports.runtime import Verb
from tests.fakes.kube import Call
from tests.fakes.world import KEY, World, kindcluster

CONFIG, FOR_CAPI = ObjectKey(KEY.namespace, "demo-config"), ObjectKey(KEY.namespace, "capi-kubeconfig")
CLUSTER = ObjectKey(KEY.namespace, "capi")


async def ready(**spec: Any) -> World:
    """Owned by a Cluster, so that both Secrets are published."""
    world = World()
    world.kube.groups.add(contract.CAPI_GROUP)
    reference = {"apiGroup": names.GROUP, "kind": KINDCLUSTERS.kind, "name": KEY.name}
    meta = {"name": CLUSTER.name, "namespace": CLUSTER.namespace}
    owner = world.kube.put(contract.CLUSTERS, {"metadata": meta, "spec": {"infrastructureRef": reference}})
    obj = kindcluster(**spec)
    owned = {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "name": CLUSTER.name, "uid": owner["metadata"]["uid"]}
    obj["metadata"]["ownerReferences"] = [owned]
    world.apply(obj)
    await world.settle()
    assert world.status()["phase"] == "Ready"
    return world


def collect_garbage(world: World, uid: str) -> None:
    """What the API server's garbage collection deletes once the object with this UID is gone."""
    for secret in world.kube.find(names.SECRETS):
        meta = secret["metadata"]
        if any(owner["uid"] == uid for owner in meta.get("ownerReferences") or []):
            world.kube.remove(names.SECRETS, ObjectKey(meta["namespace"], meta["name"]))


def orphan(world: World, *keys: ObjectKey) -> None:
    """What garbage collection does to dependents on --cascade=orphan."""
    for key in keys:
        world.kube.edit(names.SECRETS, key, {"metadata": {"ownerReferences": None}})


async def delete_all(world: World) -> JsonObject:
    """Delete, and let garbage collection do its part; returns the object as it was."""
    obj = world.get()
    assert obj is not None
    world.delete()
    await world.settle()
    assert world.get() is None
    collect_garbage(world, obj["metadata"]["uid"])
    return obj


def kept(world: World) -> bool:
    return world.runtime.marked() == ["demo-control-plane"] and all(
        world.kube.read(names.SECRETS, key) is not None for key in (CONFIG, FOR_CAPI)
    )


async def test_retain_keeps_the_kubeconfigs_with_the_cluster() -> None:
    """Else garbage collection would take the only admin kubeconfig there is; and an Event says that something stays."""
    world = await ready(deletionPolicy="Retain")
    await delete_all(world)

    assert kept(world)
    assert world.recorder.reasons()[-1] == "Kept"


async def test_a_foreground_deletion_that_took_the_secrets_first_does_not_lose_them() -> None:
    """Argo CD prunes this way: dependents go before the object does."""
    world = await ready(deletionPolicy="Retain")
    before = world.secret()
    assert before is not None
    world.kube.remove(names.SECRETS, CONFIG)
    world.kube.remove(names.SECRETS, FOR_CAPI)
    await delete_all(world)

    assert kept(world)
    after = world.secret()
    assert after is not None
    assert base64.b64decode(after["data"]["config"]) == base64.b64decode(before["data"]["config"])


@pytest.mark.parametrize("trouble", ["engine", "namespace", "foreign"])
async def test_a_secret_that_cannot_be_kept_does_not_hold_up_the_object(trouble: str) -> None:
    """Retain is the way to let go of a cluster whose engine is gone for good."""
    world = await ready(deletionPolicy="Retain")
    world.kube.remove(names.SECRETS, CONFIG)
    if trouble == "engine":
        world.runtime.engine_up = False
    elif trouble == "namespace":
        world.kube.fail("create", Terminal(Reason.NAMESPACE_TERMINATING, "going"), times=99, resource=names.SECRETS)
    else:
        world.kube.put(names.SECRETS, {"type": "Opaque", "metadata": {"name": CONFIG.name, "namespace": CONFIG.namespace}})
    await delete_all(world)

    assert world.runtime.marked() == ["demo-control-plane"]


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
async def test_a_half_made_cluster_is_not_kept(policy: str) -> None:
    """Nobody can use it, and nobody would ever remove it."""
    world = World()
    world.run_tasks = False
    world.apply(kindcluster(workerReplicas=1, deletionPolicy=policy))
    await world.settle()
    world.runtime.fail("create", Transient(Reason.CREATE_FAILED, ""), partial=1)
    with pytest.raises(Transient):
        await world.tasks.work[KEY](lambda step: None)
    world.delete()
    await world.look()
    assert world.tasks.cancelled == [KEY]
    world.run_tasks = True
    await world.settle()

    assert world.get() is None
    assert world.runtime.marked() == []


@pytest.mark.parametrize("troubles", range(4))
async def test_a_cluster_whose_replacement_still_waits_for_its_slot_is_kept(troubles: int) -> None:
    """The intent to replace it is written already, and nothing of it has been touched; also if the deletion takes several tries."""
    world = await ready(deletionPolicy="Retain", updatePolicy="Recreate")
    world.run_tasks = False
    world.edit({"spec": {"featureGates": {"A": True}}})
    await world.settle()
    world.tasks.queued = True
    await world.tasks.run(KEY)  # what the replacement needs is fetched
    await world.settle()
    assert world.tasks.started[-1] == (KEY, Verb.CREATE)
    world.kube.fail("patch", Conflict(Reason.CONFLICT, "changed"), times=troubles)
    await delete_all(world)

    assert kept(world)


async def test_a_create_whose_end_no_pass_has_seen_is_a_finished_cluster() -> None:
    """The deletion comes first, and takes two tries."""
    world = World()
    world.run_tasks = False
    world.apply(kindcluster(deletionPolicy="Retain"))
    await world.settle()
    await world.tasks.run(KEY)
    world.delete()
    world.kube.fail("patch", Conflict(Reason.CONFLICT, "changed"), resource=names.SECRETS)
    await world.settle()

    assert world.get() is None
    assert world.runtime.marked() == ["demo-control-plane"]
    assert world.secret() is not None


@pytest.mark.parametrize("collected", [False, True], ids=["before", "after"])
async def test_a_deletion_that_orphans_keeps_cluster_and_secrets(collected: bool) -> None:
    """Whether this manager looks before or after garbage collection has done its part and taken its finalizer away."""
    world = await ready()
    if collected:
        orphan(world, CONFIG, FOR_CAPI)
        world.delete()
    else:
        world.kube.edit(KINDCLUSTERS, KEY, {"metadata": {"finalizers": [names.FINALIZER, "orphan"]}})
        world.delete()
        await world.settle()
        orphan(world, CONFIG, FOR_CAPI)
        world.kube.edit(KINDCLUSTERS, KEY, {"metadata": {"finalizers": None}})
    await world.settle()

    assert world.get() is None
    assert kept(world)


async def test_a_pass_that_began_before_an_orphaning_deletion_does_not_hide_it() -> None:
    """It would put the owner reference back that garbage collection took away, the only trace of what was asked."""
    world = await ready()
    armed = True

    async def delete_in_between(call: Call) -> None:
        nonlocal armed
        if armed and call.verb == "get" and call.key == CONFIG:
            armed = False
            world.kube.remove(KINDCLUSTERS, KEY)
            orphan(world, CONFIG, FOR_CAPI)

    world.kube.before(delete_in_between)
    await world.look()
    await world.settle()

    assert world.get() is None
    assert kept(world)


async def test_the_same_identity_takes_its_cluster_and_secrets_back() -> None:
    """As the page on troubleshooting says: the object is created again with its spec."""
    world = await ready(deletionPolicy="Retain")
    spec = (await delete_all(world))["spec"]
    world.apply(kindcluster(**{**spec, "deletionPolicy": "Delete", "standalone": True}))
    await world.settle()

    assert world.status()["phase"] == "Ready"
    secret = world.secret()
    assert secret is not None
    assert secret["metadata"]["ownerReferences"]
    assert names.KEPT_ANNOTATION not in (secret["metadata"].get("annotations") or {})
    await delete_all(world)
    assert world.runtime.marked() == []
    assert world.secret() is None


async def test_another_identity_of_the_same_name_leaves_a_kept_cluster_and_its_secrets_alone() -> None:
    """Neither overwritten while it lives nor deleted when it goes."""
    world = await ready(deletionPolicy="Retain")
    await delete_all(world)
    before = world.kube.find(names.SECRETS)
    world.apply(kindcluster(standalone=True))
    await world.settle()
    assert world.condition("Ready")["reason"] == "NameConflict"
    await delete_all(world)

    assert before == world.kube.find(names.SECRETS)
    assert kept(world)


async def test_a_kept_secret_blocks_the_same_name_with_a_cure() -> None:
    """The object is made anew for another kind cluster, and its Cluster has the former one's name."""
    world = await ready(deletionPolicy="Retain", clusterName="old")
    await delete_all(world)
    before = world.kube.read(names.SECRETS, FOR_CAPI)
    obj = kindcluster(clusterName="new")
    owner = world.kube.read(contract.CLUSTERS, CLUSTER)
    assert owner is not None
    uid = owner["metadata"]["uid"]
    obj["metadata"]["ownerReferences"] = [
        {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "name": "capi", "uid": uid}
    ]
    world.apply(obj)
    await world.settle()

    condition = world.condition("KubeconfigPublished")
    assert (condition["reason"], "rename or delete it" in condition["message"]) == ("SecretConflict", True)
    assert before == world.kube.read(names.SECRETS, FOR_CAPI)
