"""What `kubectl get cluster` shows of a control plane: replicas, versions, and what is under way."""

from __future__ import annotations

from typing import Any

import pytest

from provider.api import contract
from provider.api.conditions import Reason
from provider.api.meta import JsonObject
from provider.ports.runtime import Problem
from provider.ports.workload import WorkloadNode, WorkloadObservation
from tests.fakes.mortal import capi_cluster, owner_reference
from tests.fakes.world import World, kindcluster

COUNTERS = ("replicas", "readyReplicas", "availableReplicas", "upToDateReplicas")
KINDS = ("RollingOut", "ScalingUp", "ScalingDown")


def under_way(world: World) -> list[str]:
    """Types of the three that are True; each carries a message exactly then."""
    found = {kind: world.condition(kind) for kind in KINDS}
    assert all((one["status"] == "True") == bool(one["message"]) for one in found.values()), found
    return [kind for kind, one in found.items() if one["status"] == "True"]


def numbers(status: JsonObject) -> list[int]:
    return [status[name] for name in COUNTERS]


async def made(**spec: Any) -> World:
    world = World()
    world.apply(kindcluster(**spec))
    await world.settle()
    assert "Ready" == world.status()["phase"]
    return world


async def test_a_cluster_counts_its_control_planes() -> None:
    """Workers and the load balancer are none of them; the versions say how many run which."""
    world = await made(controlPlaneReplicas=3, workerReplicas=2)

    assert [3, 3, 3, 3] == numbers(world.status())
    assert [{"version": "v1.34.4", "replicas": 3}] == world.status()["versions"]
    assert world.status()["selector"]
    assert [] == under_way(world)


async def test_a_node_that_is_not_ready_is_not_available() -> None:
    """But it exists, and is what the spec wants."""
    world = await made(controlPlaneReplicas=3)
    world.workload.not_ready = {"demo-control-plane2"}
    await world.look()

    assert [3, 2, 2, 3] == numbers(world.status())


async def test_no_replica_is_available_while_the_api_server_does_not_answer() -> None:
    """What was Ready when it was last seen is of no use then."""
    world = await made()
    world.workload.answer = WorkloadObservation(False, "connection refused")
    await world.look()

    assert world.status()["availableReplicas"] == 0


async def test_control_planes_of_several_versions_are_listed_oldest_first() -> None:
    """Cluster API refuses a list in another order; a kubelet without a version counts as the API server's."""
    world = await made(controlPlaneReplicas=3, workerReplicas=1)
    kubelets = {
        "demo-control-plane": "v1.34.4",
        "demo-control-plane2": "v1.9.11",
        "demo-control-plane3": "fake",
        "demo-worker": "v1.2.3",
    }
    nodes = tuple(WorkloadNode(name, True, version) for name, version in kubelets.items())
    world.workload.answer = WorkloadObservation(True, "", "v1.34.4", nodes, True)
    await world.look()

    assert [("v1.9.11", 1), ("v1.34.4", 2)] == [(one["version"], one["replicas"]) for one in world.status()["versions"]]


async def test_a_first_create_scales_up_and_rolls_nothing_out() -> None:
    """Until it is finished, failures included."""
    world = World()
    world.run_tasks = False
    world.apply(kindcluster(controlPlaneReplicas=3))
    await world.settle()

    assert ["ScalingUp"] == under_way(world)
    assert "From 0 to 3" in world.condition("ScalingUp")["message"]


@pytest.mark.parametrize(
    ("before", "edit", "expected"),
    [
        ({}, {"image": "kindest/node:v1.33.7"}, ["RollingOut", "ScalingUp"]),
        ({"controlPlaneReplicas": 3}, {"controlPlaneReplicas": 1}, ["RollingOut", "ScalingUp", "ScalingDown"]),
    ],
)
async def test_a_recreate_rolls_out_until_the_new_cluster_stands(
    before: JsonObject, edit: JsonObject, expected: list[str]
) -> None:
    """Every node goes and comes back, so it scales up again, too."""
    world = await made(updatePolicy="Recreate", **before)
    world.run_tasks = False
    world.edit({"spec": edit})
    await world.settle()
    assert "RollingOut" in under_way(world)  # what the replacement needs is being fetched

    await world.tasks.run(next(iter(world.tasks.work)))
    await world.settle()
    assert expected == under_way(world)

    world.run_tasks = True
    await world.settle()
    assert [] == under_way(world)
    assert "Ready" == world.status()["phase"]


async def test_a_replacement_that_failed_is_still_under_way() -> None:
    """Nobody may take the remains for a control plane at rest."""
    world = await made(healPolicy="Recreate", workerReplicas=1)
    world.runtime.problems = [Problem(Reason.CREATE_FAILED, "no", terminal=True)] * 3
    world.set_node("demo-worker", None)
    await world.settle()

    assert "Failed" == world.status()["phase"]
    assert "RollingOut" in under_way(world)


async def test_a_replacement_that_cannot_be_prepared_is_none() -> None:
    """The old cluster is kept, and runs."""
    world = await made(updatePolicy="Recreate")
    world.runtime.problems = [Problem(Reason.CREATE_FAILED, "no", terminal=False)] * 3
    world.edit({"spec": {"image": "kindest/node:v1.33.7"}})
    await world.settle()

    assert [] == under_way(world)
    assert "False" == world.condition("UpToDate")["status"]


async def test_a_lost_node_is_replaced_with_the_whole_cluster() -> None:
    """healPolicy: Recreate is a rollout, too."""
    world = await made(healPolicy="Recreate", workerReplicas=1)
    world.run_tasks = False
    world.set_node("demo-worker", None)
    await world.settle()

    assert ["RollingOut", "ScalingUp"] == under_way(world)


async def test_an_edit_that_nothing_is_done_about_is_no_rollout() -> None:
    """UpToDate says what is outdated."""
    world = await made(updatePolicy="Report")
    world.edit({"spec": {"image": "kindest/node:v1.33.7"}})
    await world.settle()

    assert [] == under_way(world)
    assert ("False", [1, 1, 1, 0]) == (world.condition("UpToDate")["status"], numbers(world.status()))


async def test_a_deletion_scales_down() -> None:
    """To nothing, as a KubeadmControlPlane's does."""
    world = await made()
    world.run_tasks = False
    world.delete()
    await world.settle()

    assert ["ScalingDown"] == under_way(world)


@pytest.mark.parametrize("version", ["1.34.4", "v1.34.4"])
async def test_a_version_is_taken_with_and_without_its_v(version: str) -> None:
    """One is as good as the other: the image is the same, and changing between them replaces nothing."""
    world = await made(version=version, updatePolicy="Recreate")
    (request,) = world.runtime.requests
    assert ("v1.34.4", "kindest/node:v1.34.4") == (request.version, request.image)

    world.edit({"spec": {"version": "v1.34.4"}})
    await world.settle()
    assert (1, "True") == (world.runtime.calls["create"], world.condition("UpToDate")["status"])


async def test_a_replacement_that_waits_for_its_owner_leaves_the_old_cluster_ready() -> None:
    """A missing owner forbids making anything; what runs is used as before, and UpToDate says what is waited for."""
    world = World()
    world.kube.groups.add(contract.CAPI_GROUP)
    owner = world.kube.put(contract.CLUSTERS, capi_cluster())
    obj = kindcluster(version="v1.34.3", updatePolicy="Recreate")
    obj["metadata"]["ownerReferences"] = [owner_reference(owner)]
    world.apply(obj)
    await world.pass_time(10)
    world.edit({"metadata": {"ownerReferences": None}})
    world.edit({"spec": {"version": "v1.34.4"}})
    await world.pass_time(60)

    assert ("True", 1) == (world.condition("Ready")["status"], world.runtime.calls["create"])
    assert ("False", "WaitingForOwner") == (world.condition("UpToDate")["status"], world.condition("UpToDate")["reason"])
    assert "Ready" == world.status()["phase"]

    world.edit({"metadata": {"ownerReferences": [owner_reference(owner)]}})
    await world.pass_time(60)
    assert (True, 2) == (world.status()["ready"], world.runtime.calls["create"])
    assert "True" == world.condition("UpToDate")["status"]
