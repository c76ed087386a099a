"""Cluster.spec.clusterNetwork beside spec.networking: it fills in, and where both cannot be had a condition says so."""

from __future__ import annotations

from typing import Any

import pytest

from provider.api import contract, names
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from tests.fakes.world import KEY, World, kindcluster

CLUSTER = ObjectKey("default", "capi")


def network(**parts: Any) -> JsonObject:
    """Ranges as texts; apiServerPort and serviceDomain as they are."""
    plain = ("apiServerPort", "serviceDomain")
    return {part: said if part in plain else {"cidrBlocks": said.split(",")} for part, said in parts.items()}


class Owned(World):
    """A KINDCluster whose Cluster says this of the network."""

    def __init__(self, networking: JsonObject | None, spec: JsonObject | None = None, **parts: Any) -> None:
        super().__init__()
        self.kube.groups.add(contract.CAPI_GROUP)
        silent = kindcluster(**(spec or {}))
        self.apply(silent | {"spec": silent["spec"] | {"networking": networking}} if networking else silent)
        meta = {"name": CLUSTER.name, "namespace": CLUSTER.namespace}
        reference = {"apiGroup": names.GROUP, "kind": KINDCLUSTERS.kind, "name": KEY.name}
        owner = self.kube.put(
            contract.CLUSTERS, {"metadata": meta, "spec": {"infrastructureRef": reference, "clusterNetwork": network(**parts)}}
        )
        owned = {"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "name": "capi", "uid": owner["metadata"]["uid"]}
        self.edit({"metadata": {"ownerReferences": [owned]}})

    def edit_network(self, **parts: Any) -> None:
        self.kube.edit(contract.CLUSTERS, CLUSTER, {"spec": {"clusterNetwork": network(**parts)}})
        self.edit({})


@pytest.mark.parametrize(
    ("networking", "parts", "words"),
    [
        ({"podSubnet": "10.1.0.0/16"}, {"pods": "10.2.0.0/16"}, ("podSubnet is 10.1.0.0/16", "pods.cidrBlocks says 10.2.0.0/16")),
        ({"serviceSubnet": "10.1.0.0/16"}, {"services": "10.2.0.0/16"}, ("serviceSubnet is 10.1.0.0/16", "services.cidrBlocks")),
        ({"ipFamily": "ipv4"}, {"pods": "fd00:1::/56"}, ("pods.cidrBlocks says fd00:1::/56", "takes one IPv4 CIDR")),
        ({"ipFamily": "ipv6"}, {"services": "10.2.0.0/16"}, ("services.cidrBlocks says 10.2.0.0/16", "takes one IPv6 CIDR")),
        ({"ipFamily": "dual"}, {"pods": "10.1.0.0/16,10.2.0.0/16"}, ("takes one CIDR of each family",)),
        (None, {"pods": "10.1.0.0/16,10.2.0.0/16"}, ("takes one IPv4 CIDR",)),
        ({"serviceSubnet": "10.1.0.0/16"}, {"pods": "fd00:1::/56"}, ("spec.networking.serviceSubnet says 10.1.0.0/16",)),
        (
            {"serviceSubnet": "10.1.128.0/20"},
            {"pods": "10.1.0.0/16"},
            ("Pods (10.1.0.0/16) and services (10.1.128.0/20) overlap",),
        ),
        (None, {"pods": "10.1.0.0/16", "services": "10.1.128.0/20"}, ("overlap",)),
        (
            {"apiServerPort": 7000},
            {"apiServerPort": 7443},
            ("spec.networking.apiServerPort is 7000 and", "spec.clusterNetwork.apiServerPort says 7443"),
        ),
        (None, {"serviceDomain": "k8s.test"}, ("serviceDomain says k8s.test", "have cluster.local")),
    ],
)
async def test_networks_that_cannot_both_be_had_are_said_and_nothing_is_made(
    networking: JsonObject | None, parts: dict[str, Any], words: tuple[str, ...]
) -> None:
    """Both fields, both values, where to correct it; a corrected Cluster is enough to go on."""
    world = Owned(networking, **parts)
    await world.pass_time(60)

    condition = world.condition("Ready")
    assert ("NetworkConflict", "Pending") == (condition["reason"], world.status()["phase"])
    assert all(word in condition["message"] for word in (*words, "Correct it here or in Cluster capi.")), condition["message"]
    assert world.runtime.requests == []

    world.kube.edit(contract.CLUSTERS, CLUSTER, {"spec": {"clusterNetwork": None}})
    await world.look()
    await world.settle()
    assert "Ready" == world.status()["phase"]


@pytest.mark.parametrize(
    ("networking", "parts"),
    [
        ({"podSubnet": "10.1.0.0/16", "serviceSubnet": "10.2.0.0/16"}, {"pods": "10.1.0.0/16", "services": "10.2.0.0/16"}),
        (
            {"ipFamily": "dual", "podSubnet": "10.1.0.0/16,fd00:1::/56"},
            {"pods": "fd00:1:0::/56,10.1.0.0/16", "services": "10.2.0.0/16"},
        ),
        (None, {"pods": "10.1.0.0/16,fd00:1::/56", "services": "10.2.0.0/16,fd00:2::/112"}),
        ({"apiServerPort": 6443}, {"pods": "10.1.0.0/16"}),
        ({"serviceSubnet": "10.2.0.0/16"}, {"pods": "10.1.0.0/16"}),
        ({"apiServerPort": 7443}, {"apiServerPort": 7443, "serviceDomain": "cluster.local"}),
        ({"apiServerPort": 7000}, {"apiServerPort": 6443}),
    ],
)
async def test_networks_that_go_together_are_no_conflict(networking: JsonObject | None, parts: dict[str, Any]) -> None:
    """Equal in meaning is equal; what only one of them says holds."""
    world = Owned(networking, **parts)
    await world.settle()

    assert "Ready" == world.status()["phase"]


async def test_a_conflict_that_comes_later_costs_no_cluster() -> None:
    """Whatever updatePolicy says: it is reported, and the cluster stays as it is."""
    world = Owned({"podSubnet": "10.1.0.0/16"}, {"updatePolicy": "Recreate"}, pods="10.1.0.0/16")
    await world.settle()

    world.edit_network(pods="10.9.0.0/16")
    await world.pass_time(60)

    assert ("False", "NetworkConflict") == (world.condition("UpToDate")["status"], world.condition("UpToDate")["reason"])
    assert ("Ready", 1) == (world.status()["phase"], world.runtime.calls["create"])


@pytest.mark.parametrize(("said", "asked"), [({"apiServerPort": 7443}, 7443), ({"apiServerPort": 6443}, None), ({}, None)])
async def test_the_port_that_a_cluster_asks_for_is_the_endpoints(said: dict[str, Any], asked: int | None) -> None:
    """6443 is Cluster API's default, and every node binds to it: two such Clusters must not fight for one port of the host."""
    world = Owned(None, **said)
    await world.settle()

    (request,) = world.runtime.requests
    assert asked == (request.config.get("networking") or {}).get("apiServerPort")


async def test_another_port_for_a_cluster_that_has_been_made_is_said_and_changes_nothing() -> None:
    """Its endpoint was published once and for all, so not even a replacement may answer elsewhere."""
    world = Owned(None, {"healPolicy": "Recreate"})
    await world.settle()
    world.edit_network(apiServerPort=7443)
    await world.settle()

    condition = world.condition("UpToDate")
    assert ("False", "NetworkConflict") == (condition["status"], condition["reason"])
    assert "for good" in condition["message"] and "7443" in condition["message"]
    assert 1 == world.runtime.calls["create"]
