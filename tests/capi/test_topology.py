"""A Cluster with a topology, from the ClusterClass that we publish: the real topology controller, one cluster of the embedded runtime.

Everything is brought by the topology: what needs other nodes is reported on both objects, and done only with consent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.managed import CLUSTERS, Managed
from provider.api.names import APPROVED_PLAN_ANNOTATION
from tests.envtest.crd import COLLECTION

CONTROL_PLANES = "/apis/controlplane.cluster.x-k8s.io/v1alpha1/namespaces/default/kindcontrolplanes"
NAME = "topology"
SAMPLE = Path(__file__).resolve().parents[2] / "config" / "samples" / "topology.yaml"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def topology(managed: Managed) -> Iterator[Managed]:
    """One Cluster for all tests of this module, which end with the state they began with."""
    managed.apply(managed.generate(NAME, "--flavor", "topology").replace("value: auto", "value: local"))
    managed.wait_available(NAME)
    yield managed
    managed.delete(NAME)
    managed.wait_gone(NAME)


def control_plane(managed: Managed) -> Json:
    status, found = managed.api.request("GET", f"{CONTROL_PLANES}/{NAME}")
    return found if status == 200 else {}


def mirrored(managed: Managed, kind: str) -> Json:
    conditions = (control_plane(managed).get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] == kind), {})


def set_variable(managed: Managed, name: str, value: object) -> None:
    variables = managed.cluster(NAME)["spec"]["topology"]["variables"]
    changed = [{**one, "value": value} if one["name"] == name else one for one in variables]
    managed.patch(f"{CLUSTERS}/namespaces/default/clusters/{NAME}", {"spec": {"topology": {"variables": changed}}})


def set_replicas(managed: Managed, count: int) -> None:
    """Of the control plane: kind makes those with the cluster."""
    patch = {"spec": {"topology": {"controlPlane": {"replicas": count}}}}
    managed.patch(f"{CLUSTERS}/namespaces/default/clusters/{NAME}", patch)


def wait_outdated(managed: Managed, *words: str) -> None:
    """Both objects name what differs; the Cluster stays Available (with a message about the upgrade, if a version is pending)."""

    def said() -> bool:
        conditions = managed.manager.condition(NAME, "UpToDate"), mirrored(managed, "UpToDate")
        return all(one.get("status") == "False" and all(word in one["message"] for word in words) for one in conditions)

    managed.manager.wait(60, said, f"both objects say {words}")
    assert "True" == managed.condition(NAME, "Available")["status"]


def wait_up_to_date(managed: Managed, **spec: object) -> None:
    """Both objects say so of a KINDCluster whose spec has arrived there."""

    def done() -> bool:
        found = managed.kindcluster(NAME)
        seen = found["status"]["observedGeneration"] == found["metadata"]["generation"]
        conditions = managed.manager.condition(NAME, "UpToDate"), mirrored(managed, "UpToDate")
        return seen and spec.items() <= found["spec"].items() and all(one.get("status") == "True" for one in conditions)

    managed.manager.wait(90, done, f"up to date with {spec}")
    managed.wait_available(NAME)


def reconciled(managed: Managed) -> bool:
    return bool(managed.condition(NAME, "TopologyReconciled").get("status") == "True")


def test_one_cluster_comes_out_of_two_objects(topology: Managed) -> None:
    """Named like the Cluster, made in the topology's version, green for core and for the topology controller."""
    spec, status = topology.kindcluster(NAME)["spec"], control_plane(topology)["status"]

    assert [NAME] == [path.name for path in topology.local.iterdir() if path.is_dir() and path.name.startswith(NAME)]
    assert ("local", "Report") == (spec["runtime"], spec["updatePolicy"])
    assert "v1.34.4" == control_plane(topology)["spec"]["version"] == topology.kindcluster(NAME)["status"]["version"]
    assert {1} == {status[kind] for kind in ("replicas", "readyReplicas", "availableReplicas", "upToDateReplicas")}
    assert reconciled(topology)
    assert ["topology-control-plane"] == topology.secret_nodes(f"{NAME}-kubeconfig")


def test_the_sample_is_accepted(topology: Managed) -> None:
    """By core's webhooks, which know the class and its variables."""
    answer = topology.api.kubectl("apply", "--dry-run=server", "-f", str(SAMPLE)).stdout
    assert "cluster.cluster.x-k8s.io/topology configured" in answer


def test_describe_is_green(topology: Managed) -> None:
    """All rows True, or a False that means well."""
    shown, bad = topology.described(NAME)
    assert {"Available", "TopologyReconciled", "ControlPlaneAvailable", "UpToDate"} <= shown
    assert [] == bad


def test_a_changed_variable_without_consent_is_reported_and_not_done(topology: Managed) -> None:
    """The topology controller's writes are accepted; the cluster keeps its processes."""
    before = topology.processes(NAME)

    set_replicas(topology, 3)
    wait_outdated(topology, "controlPlaneReplicas (1 → 3)", "KINDClusterTemplate")

    assert before == topology.processes(NAME)
    assert reconciled(topology)
    set_replicas(topology, 1)
    wait_up_to_date(topology)


def test_workers_join_and_leave_without_consent(topology: Managed) -> None:
    """In place: the same processes, the same kubeconfig, and the Cluster is Available all the while."""
    before, secret = topology.processes(NAME), topology.secret(f"{NAME}-kubeconfig")

    set_variable(topology, "workers", 2)
    topology.manager.wait(60, lambda: topology.kindcluster(NAME)["status"]["nodesReady"] == "3/3", "two workers")
    assert ["topology-control-plane", "topology-worker", "topology-worker2"] == topology.secret_nodes(f"{NAME}-kubeconfig")
    set_variable(topology, "workers", 0)
    topology.manager.wait(60, lambda: topology.kindcluster(NAME)["status"]["workerReplicas"] == 0, "no worker")
    wait_up_to_date(topology, workerReplicas=0)

    assert before == topology.processes(NAME)
    assert secret["data"] == topology.secret(f"{NAME}-kubeconfig")["data"]


def test_a_changed_variable_with_consent_replaces_the_cluster_once(topology: Managed) -> None:
    """Other processes, the same endpoint, new kubeconfigs; exactly one create."""
    before, secret, endpoint = topology.processes(NAME), topology.secret(f"{NAME}-kubeconfig"), _endpoint(topology)
    creates = topology.manager.log.count(f"Starting task KINDCluster=default/{NAME} verb=create")

    set_replicas(topology, 3)
    wait_outdated(topology, "controlPlaneReplicas (1 → 3)")
    set_variable(topology, "updatePolicy", "Recreate")
    wait_up_to_date(topology, updatePolicy="Recreate")

    assert before.isdisjoint(topology.processes(NAME))
    assert endpoint == _endpoint(topology)
    assert secret["data"] != topology.secret(f"{NAME}-kubeconfig")["data"]
    assert [f"topology-control-plane{number}" for number in ("", 2, 3)] == topology.secret_nodes(f"{NAME}-kubeconfig")
    assert creates + 1 == topology.manager.log.count(f"Starting task KINDCluster=default/{NAME} verb=create")
    set_variable(topology, "updatePolicy", "Report")
    wait_up_to_date(topology, updatePolicy="Report")


def test_an_approved_plan_is_carried_out_once(topology: Managed) -> None:
    """By an annotation on the KINDCluster, which the topology controller leaves alone; the class goes on to say Report."""
    before, secret, endpoint = topology.processes(NAME), topology.secret(f"{NAME}-kubeconfig"), _endpoint(topology)
    apis = {"api/alpha": "false"}

    topology.patch(f"{COLLECTION}/{NAME}", {"spec": {"runtimeConfig": apis}})
    wait_outdated(topology, "runtimeConfig", APPROVED_PLAN_ANNOTATION)
    plan = topology.kindcluster(NAME)["status"]["plan"]
    assert ("Recreate", apis) == (plan["class"], json.loads(plan["changes"][0]["to"]))
    assert before == topology.processes(NAME)

    approved = {"metadata": {"annotations": {APPROVED_PLAN_ANNOTATION: plan["approval"]}}}
    topology.patch(f"{COLLECTION}/{NAME}", approved)
    wait_up_to_date(topology, updatePolicy="Report", runtimeConfig=apis)

    found = topology.kindcluster(NAME)
    assert plan["approval"] == found["metadata"]["annotations"][APPROVED_PLAN_ANNOTATION]
    assert "plan" not in found["status"]
    assert before.isdisjoint(topology.processes(NAME))
    assert endpoint == _endpoint(topology)
    assert secret["data"] != topology.secret(f"{NAME}-kubeconfig")["data"]
    assert reconciled(topology)


def test_another_version_without_consent_is_reported_and_not_done(topology: Managed) -> None:
    """Set on the KINDControlPlane by the topology controller, noticed by the KINDCluster."""
    before = topology.processes(NAME)

    _set_version(topology, "v1.34.5")
    wait_outdated(topology, "version (v1.34.4 → v1.34.5)")

    assert before == topology.processes(NAME)


def test_another_version_that_cannot_be_had_costs_no_cluster(topology: Managed) -> None:
    """With consent, but not available on this host: said, and the cluster runs on. (Cluster API forbids to go back, so it comes last.)"""
    before = topology.processes(NAME)

    set_variable(topology, "updatePolicy", "Recreate")
    wait_outdated(topology, "v1.34.5 is not available on the local runtime")

    assert before == topology.processes(NAME)


def _endpoint(managed: Managed) -> Json:
    endpoint: Json = managed.kindcluster(NAME)["spec"]["controlPlaneEndpoint"]
    return endpoint


def _set_version(managed: Managed, version: str) -> None:
    managed.patch(f"{CLUSTERS}/namespaces/default/clusters/{NAME}", {"spec": {"topology": {"version": version}}})
