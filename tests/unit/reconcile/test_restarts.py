"""What a restart of a cluster's nodes takes away: its address, where the engine picks one at each start, and the data of an etcd."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Transient
from provider.ports.workload import WorkloadObservation
from provider.reconcile.data_loss import data_loss
from tests.fakes.world import KEY, World, kindcluster

LOST = "etcd has lost its data"


@pytest.fixture
def world() -> World:
    return World()


async def ready(world: World, **spec: Any) -> None:
    world.apply(kindcluster(**spec))
    await world.pass_time(30)
    assert world.status()["phase"] == "Ready"


def restart(world: World, *, port: int | None = None, empty_etcd: bool = False) -> None:
    world.runtime.restart("demo", port=port, empty_etcd=empty_etcd)
    world.due[KEY] = 0.0


def server(world: World) -> str:
    """Where the published kubeconfig leads."""
    secret = world.secret()
    assert secret is not None
    return str(yaml.safe_load(base64.b64decode(secret["data"]["value"]))["clusters"][0]["cluster"]["server"])


# --- the address ---------------------------------------------------------------------------------------------------------------------


async def test_an_address_that_moved_is_said_and_followed_where_it_can_be(world: World) -> None:
    """apiServerPort: -1. The published endpoint is Cluster API's for good; Secrets and status follow, and the cluster stays usable."""
    await ready(world, networking={"apiServerPort": -1})
    obj = world.get()
    assert obj is not None
    assert world.condition("EndpointCurrent")["status"] == "True"

    restart(world, port=40777)
    await world.pass_time(5)

    condition, after = world.condition("EndpointCurrent"), world.get()
    assert after is not None
    assert (condition["status"], condition["reason"]) == ("False", "EndpointMoved")
    assert all(word in condition["message"] for word in ("127.0.0.1:40001", "127.0.0.1:40777", "kubeconfig Secret"))
    assert (server(world), world.status()["endpoints"]["host"]) == ("https://127.0.0.1:40777",) * 2
    assert after["spec"] == obj["spec"], "the endpoint is written once"
    assert (world.status()["ready"], world.recorder.reasons()[-1]) == (True, "EndpointMoved")


async def test_an_address_that_comes_back_is_current_again(world: World) -> None:
    """The engine may pick the same port by chance."""
    await ready(world)
    restart(world, port=40777)
    await world.pass_time(5)
    restart(world, port=40001)
    await world.pass_time(5)

    assert (world.condition("EndpointCurrent")["status"], server(world)) == ("True", "https://127.0.0.1:40001")


async def test_without_an_address_nothing_is_said_of_it(world: World) -> None:
    """While the engine does not answer, or the node is stopped, the condition stays as it was."""
    await ready(world, healPolicy="Report")
    before = world.condition("EndpointCurrent")
    world.runtime.engine_up = False
    await world.look()

    assert world.condition("EndpointCurrent") == before


# --- the data ------------------------------------------------------------------------------------------------------------------------


def forbids(world: World) -> None:
    """From Kubernetes 1.29 on, the rights of admin.conf are a rule in etcd."""
    world.workload.without_rbac = True


def allows(_: World) -> None:
    """Before, they are a group that needs no rule."""


@pytest.mark.parametrize("admin", [forbids, allows])
async def test_lost_data_is_said_with_its_cure_and_replaced_only_with_consent(
    world: World, admin: Callable[[World], None]
) -> None:
    """Nothing of the cluster is there any more, although its containers run, its API answers and its nodes have joined again."""
    await ready(world)
    uid = world.status()["clusterUID"]
    restart(world, empty_etcd=True)
    admin(world)
    await world.pass_time(60)

    assert (world.status()["phase"], world.status()["clusterUID"]) == ("Degraded", uid)
    for kind, reason in {"Ready": "RepairNeeded", "ControlPlaneReady": "DataLost", "Available": "DataLost"}.items():
        condition = world.condition(kind)
        assert (condition["status"], condition["reason"]) == ("False", reason)
        assert LOST in condition["message"]
    assert "healPolicy: Recreate" in world.condition("Ready")["message"]
    assert world.runtime.calls["create"] == 1

    world.workload.without_rbac = False  # of the next cluster
    world.edit({"spec": {"healPolicy": "Recreate"}})
    await world.pass_time(30)

    assert (world.status()["phase"], world.runtime.calls["create"]) == ("Ready", 2)
    assert world.status()["clusterUID"] not in ("", uid)


async def test_a_restart_that_keeps_the_data_is_none_of_it(world: World) -> None:
    """The usual one."""
    await ready(world, healPolicy="Recreate")
    restart(world)
    await world.pass_time(60)

    assert (world.status()["phase"], world.runtime.calls["create"]) == ("Ready", 1)


async def test_rights_that_somebody_removed_are_not_lost_data(world: World) -> None:
    """The emergency kubeconfig sees the same cluster as before: nothing may be replaced for it."""
    await ready(world, healPolicy="Recreate")
    forbids(world)
    world.due[KEY] = 0.0
    await world.pass_time(120)

    assert world.condition("ControlPlaneReady")["reason"] == "APIUnreachable"
    assert world.runtime.calls["create"] == 1


async def test_what_cannot_be_read_is_not_lost(world: World) -> None:
    """No emergency kubeconfig (an older version, another control plane): unknown replaces nothing."""
    await ready(world, healPolicy="Recreate")
    world.runtime.fail("emergency", Transient(Reason.KUBECONFIG_PENDING, "no such file"), call=None)
    forbids(world)
    restart(world, empty_etcd=True)
    await world.pass_time(120)

    assert world.condition("ControlPlaneReady")["reason"] == "APIUnreachable"
    assert world.runtime.calls["emergency"] and world.runtime.calls["create"] == 1


async def test_a_status_that_was_lost_begins_anew(world: World) -> None:
    """After `clusterctl move` or a restore, nobody knows which cluster it was: the one that runs counts."""
    await ready(world, healPolicy="Recreate")
    uid = world.status()["clusterUID"]
    world.kube.edit(KINDCLUSTERS, KEY, {"status": None}, subresource="status")
    restart(world, empty_etcd=True)
    await world.pass_time(60)

    assert (world.status()["phase"], world.runtime.calls["create"]) == ("Ready", 1)
    assert world.status()["clusterUID"] not in ("", uid)


async def test_of_several_control_planes_nothing_is_replaced(world: World) -> None:
    """One etcd of three may begin anew: through the load balancer its API server answers in turn with those that kept the data."""
    await ready(world, controlPlaneReplicas=3, healPolicy="Recreate")
    restart(world, empty_etcd=True)
    forbids(world)
    await world.pass_time(120)

    assert (world.runtime.calls["create"], world.runtime.calls["emergency"]) == (1, 0)


@pytest.mark.parametrize(
    ("known", "seen", "lost"),
    [
        ("a", WorkloadObservation(True, uid="b"), True),
        ("a", WorkloadObservation(False, forbidden=True, uid="b"), True),
        ("a", WorkloadObservation(True, uid="a"), False),
        ("", WorkloadObservation(True, uid="b"), False),
        ("a", WorkloadObservation(True), False),
        ("a", WorkloadObservation(None), False),
        ("a", None, False),
    ],
)
def test_only_two_known_and_different_ones_prove_it(known: str, seen: WorkloadObservation | None, lost: bool) -> None:
    """Unknown never flips anything."""
    status, (first, *others) = {"clusterUID": known} if known else {}, [(f"demo-{n}", NodeRole.CONTROL_PLANE) for n in range(3)]
    assert bool(data_loss(status, (first, ("demo-worker", NodeRole.WORKER)), seen)) is lost
    assert not data_loss(status, (first, *others), seen), "one of several may begin anew while the others keep the data"
