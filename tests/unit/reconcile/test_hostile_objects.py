"""No single object ends a pass by anything but one of our own errors, or keeps one busy: whatever any object that is read says.

metadata has the shape that every API server sees to; spec and status may be anything, as in an object that was stored before our CRD, or by
another version of it, or of a Cluster API that we do not know.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provider.api import contract, names
from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS, KINDClusterSpec
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES, KINDControlPlaneSpec, KINDControlPlaneStatus
from provider.api.v1alpha1.status import KINDClusterStatus
from provider.errors import ProviderError
from provider.reconcile import network
from provider.reconcile.kindcontrolplane import KINDControlPlaneReconciler
from provider.reconcile.kubeconfig_secrets import owner_of_secret
from tests.fakes.arbitrary import TEXTS, json_values, near
from tests.fakes.crd import SCHEMAS, refused
from tests.fakes.world import KEY, World

pytestmark = pytest.mark.unmeasured

PLANE, CLUSTER = ObjectKey("default", "plane"), ObjectKey("default", "cluster")
UID = "00000000-0000-4000-8000-000000000001"
ANYTHING = json_values()
IDENTITY = {"token": "0" * 32, "runtime": "kind"}
KNOWN_ANNOTATIONS = (
    names.MADE_FROM_ANNOTATION,
    contract.PAUSED_ANNOTATION,
    contract.MANAGED_BY_ANNOTATION,
    contract.DELETE_FOR_MOVE_ANNOTATION,
)
COUNTS = TEXTS | st.sampled_from(["1", "1000000000", "-1", "1e9", "٣"]) | ANYTHING
RECORDS = st.fixed_dictionaries({"controlPlaneReplicas": COUNTS, "workerReplicas": COUNTS}).map(json.dumps)
ANNOTATIONS = st.dictionaries(
    st.sampled_from(KNOWN_ANNOTATIONS) | TEXTS,
    TEXTS | RECORDS | ANYTHING.map(json.dumps) | st.sampled_from(["[" * 100_000, "1" * 5000]),
    max_size=2,
)
LABELS = st.dictionaries(
    st.sampled_from(
        [contract.CLUSTER_NAME_LABEL, contract.WATCH_FILTER_LABEL, contract.TOPOLOGY_OWNED_LABEL, names.KINDCLUSTER_LABEL]
    )
    | TEXTS,
    TEXTS,
    max_size=3,
)
OWNERS = st.lists(
    st.fixed_dictionaries(
        {
            "apiVersion": st.sampled_from([contract.CLUSTERS.api_version, f"{contract.CAPI_GROUP}/v1beta1", "v1", "/", ""])
            | TEXTS,
            "kind": st.sampled_from(["Cluster", "KINDCluster"]) | TEXTS,
            "name": st.sampled_from([CLUSTER.name, KEY.name]) | TEXTS,
            "uid": st.just(UID) | TEXTS,
        },
        optional={"controller": st.booleans()},
    ),
    max_size=2,
)


def metadata(key: ObjectKey) -> st.SearchStrategy[JsonObject]:
    return st.fixed_dictionaries(
        {
            "name": st.just(key.name),
            "namespace": st.just(key.namespace),
            "uid": st.just(UID),
            "generation": st.integers(1, 2**63 - 1),
        }
        | {"creationTimestamp": st.just("2026-01-01T00:00:00Z"), "resourceVersion": st.just("1")},
        optional={
            "labels": LABELS,
            "annotations": ANNOTATIONS,
            "ownerReferences": OWNERS,
            "finalizers": st.lists(st.just(names.FINALIZER) | TEXTS, min_size=1, max_size=2),
        },
    )


REFERENCES = st.fixed_dictionaries(
    {"apiGroup": st.just(names.GROUP) | ANYTHING, "kind": st.sampled_from(["KINDCluster", "KINDControlPlane"]) | ANYTHING},
    optional={"name": st.sampled_from([KEY.name, PLANE.name]) | ANYTHING, "apiVersion": ANYTHING},
)
CIDRS = st.lists(st.sampled_from(["10.0.0.0/8", "::/0", "10.244.0.0/16,fd00::/64"]) | ANYTHING, max_size=3)
NETWORKS = st.fixed_dictionaries(
    {}, optional={part: st.fixed_dictionaries({"cidrBlocks": CIDRS | ANYTHING}) for part in ("pods", "services")}
)
CLUSTER_SPECS = st.fixed_dictionaries(
    {"infrastructureRef": REFERENCES | ANYTHING},
    optional={
        "controlPlaneRef": REFERENCES | ANYTHING,
        "clusterNetwork": NETWORKS | ANYTHING,
        "paused": st.booleans() | ANYTHING,
    },
)
SPECS = near(SCHEMAS[KINDClusterSpec])
MADE = st.fixed_dictionaries(
    {"identity": st.just(IDENTITY), "controlPlaneEndpoint": st.just({"host": "127.0.0.1", "port": 6443})},
    optional={
        "standalone": st.booleans(),
        "healPolicy": st.just("Recreate"),
        "updatePolicy": st.just("Recreate"),
        "version": TEXTS,
    },
)


def hostile(key: ObjectKey, spec: st.SearchStrategy[Any], status: st.SearchStrategy[Any]) -> st.SearchStrategy[JsonObject]:
    return st.fixed_dictionaries({"metadata": metadata(key)}, optional={"spec": spec | ANYTHING, "status": status | ANYTHING})


KINDCLUSTER = hostile(KEY, SPECS | MADE, near(SCHEMAS[KINDClusterStatus]))
OTHERS = {
    contract.CLUSTERS: hostile(CLUSTER, CLUSTER_SPECS, ANYTHING),
    KINDCONTROLPLANES: hostile(PLANE, near(SCHEMAS[KINDControlPlaneSpec]), near(SCHEMAS[KINDControlPlaneStatus])),
    names.SECRETS: st.fixed_dictionaries(
        {"metadata": metadata(ObjectKey("default", "demo-config")), "type": TEXTS},
        optional={"data": st.dictionaries(TEXTS, TEXTS)},
    ),
}


def store(world: World, resource: Resource, obj: JsonObject) -> None:
    """As it is: no API server has looked at it."""
    world.kube.groups.add(contract.CAPI_GROUP)
    whole = {"apiVersion": resource.api_version, "kind": resource.kind, **copy.deepcopy(obj)}
    meta = whole["metadata"]
    world.kube._objects[resource.group, resource.plural, meta["namespace"], meta["name"]] = whole


HOSTILE = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@HOSTILE
@given(obj=KINDCLUSTER, others=st.fixed_dictionaries({}, optional=OTHERS), deleted=st.booleans())
async def test_no_object_ends_a_pass_by_anything_but_an_error_of_ours(
    obj: JsonObject, others: dict[Resource, JsonObject], *, deleted: bool
) -> None:
    """The reconciler comes to rest, or raises one of the error tree and is called again; what it writes is accepted."""
    world = World()
    for resource, other in others.items():
        store(world, resource, other)
    store(world, KINDCLUSTERS, obj)
    if deleted and obj["metadata"].get("finalizers"):
        world.delete()
    world.restart()
    await world.pass_time(30)

    left = world.get()
    if left is not None and any(call.subresource == "status" for call in world.kube.writes(KINDCLUSTERS)):
        assert list(refused(SCHEMAS[KINDClusterStatus], left["status"], "status")) == []


@HOSTILE
@given(obj=KINDCLUSTER, others=st.fixed_dictionaries(OTHERS))
async def test_no_object_ends_a_pass_of_a_control_plane(obj: JsonObject, others: dict[Resource, JsonObject]) -> None:
    """The mirror reads the same objects."""
    world = World()
    for resource, other in others.items():
        store(world, resource, other)
    store(world, KINDCLUSTERS, obj)
    mirror = KINDControlPlaneReconciler(world.kube, world.clock, world.options, world._add)
    for _ in range(2):
        try:
            await mirror.reconcile(PLANE)
        except ProviderError:
            continue
    for written in world.kube.writes(KINDCONTROLPLANES):
        assert written.subresource == "status"
    if world.kube.writes(KINDCONTROLPLANES):
        left = world.kube.read(KINDCONTROLPLANES, PLANE) or {}
        assert list(refused(SCHEMAS[KINDControlPlaneStatus], left["status"], "status")) == []


@HOSTILE
@given(obj=KINDCLUSTER, others=st.fixed_dictionaries(OTHERS))
def test_no_object_ends_a_mapping_of_its_events(obj: JsonObject, others: dict[Resource, JsonObject]) -> None:
    """What maps events to keys sees every object of the management cluster, not only ours."""
    world = World()
    mirror = KINDControlPlaneReconciler(world.kube, world.clock, world.options, world._add)
    for watch in (*world.reconciler.watches, *mirror.watches):
        for resource, seen in {**others, KINDCLUSTERS: obj}.items():
            if watch.resource == resource:
                assert all(isinstance(key, ObjectKey) for key in watch.keys(seen))
    owner_of_secret(others[names.SECRETS])


def stored(spec: Any, **annotations: str) -> JsonObject:
    meta = {"name": KEY.name, "namespace": KEY.namespace, "uid": UID, "generation": 1, "resourceVersion": "1"}
    meta |= {"creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": [names.FINALIZER], "annotations": annotations}
    return {"metadata": meta, "spec": spec}


@pytest.mark.parametrize("count", ["1000000000", "1" * 4000])
async def test_a_record_with_a_billion_nodes_is_no_record(count: str) -> None:
    """Each node that it counts would be listed: the memory of the manager, for one annotation."""
    record = json.dumps({"controlPlaneReplicas": "1", "workerReplicas": count})
    spec = {"standalone": True, "identity": IDENTITY, "controlPlaneEndpoint": {"host": "127.0.0.1", "port": 6443}}
    world = World()
    annotations = {names.MADE_FROM_ANNOTATION: record, names.DAEMON_ANNOTATION: world.runtime.daemon}
    store(world, KINDCLUSTERS, stored(spec, **annotations))
    world.restart()
    await world.settle()

    assert world.condition("Ready")["reason"] == "RepairNeeded"
    assert world.condition("Ready")["message"].startswith("Missing: demo-control-plane.")


@pytest.mark.parametrize(
    "spec", [{"identity": {"token": 1}}, {"identity": IDENTITY, "clusterName": {}}, {"deletionPolicy": 3}, [1]]
)
async def test_what_cannot_be_read_is_not_deleted_by_half(spec: Any) -> None:
    """Without the identity nothing of the cluster would be found, and the finalizer would be released over its containers."""
    world = World()
    store(world, KINDCLUSTERS, stored(spec))
    world.delete()
    await world.pass_time(60)

    assert world.condition("Ready")["reason"] == "InvalidSpec"
    assert "Deletion waits: spec." in world.condition("Ready")["message"]


def test_a_cluster_with_endless_subnets_is_looked_at_for_a_moment() -> None:
    """Comparing each with each other would keep the loop busy for hours."""
    many = [f"10.{high}.{low}.0/24" for high in range(200) for low in range(250)]
    cluster = {
        "metadata": {"name": "c"},
        "spec": {"clusterNetwork": {"pods": {"cidrBlocks": many}, "services": {"cidrBlocks": many}}},
    }
    networking = {field: network.subnet(cluster, of) for field, of in network.SUBNETS.items()}

    blocked = network.conflict(KINDClusterSpec(), cluster, {"networking": networking})

    assert blocked is not None
    assert len(blocked.message) < 1000
