"""A Cluster with a KINDCluster in both references, under the real core manager with its webhooks on: what users and core see of it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from devenv.managed import KUBERNETES, Managed
from provider.api.customresource import UNSEEN

GREEN = "green"
FINALIZER = "kindcluster.infrastructure.cluster.x-k8s.io"
CLUSTER_LABEL = "cluster.x-k8s.io/cluster-name"
PAUSED = "cluster.x-k8s.io/paused"
STABLE_SECONDS = 15.0
HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto" / "clusterctl.md"
INFRASTRUCTURE_ALONE = {
    "InfrastructureReady": ("True", "Ready"),
    "RemoteConnectionProbe": ("True", "ProbeSucceeded"),
    "ControlPlaneInitialized": ("False", "NotInitialized"),
    "ControlPlaneAvailable": ("Unknown", "InternalError"),
    "Available": ("Unknown", "AvailableUnknown"),
}
"""What core says of a Cluster without controlPlaneRef, for ever."""


@pytest.fixture(scope="module")
def green(managed: Managed) -> Managed:
    """Its cluster `green` has become Available once; tests leave it as they found it."""
    managed.create(GREEN, "--worker-machine-count", "1")
    return managed


def test_core_runs_with_its_webhooks_and_conversion(green: Managed) -> None:
    """What is shown here is shown with admission on: a Cluster that refers to nothing is refused; v1beta1 is served by conversion."""
    empty = (
        '{"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "metadata": {"name": "empty"}, "spec": {"paused": true}}'
    )
    refused = green.api.kubectl("apply", "-f", "-", stdin=empty, check=False)
    old = green.api.kubectl(
        "get", "clusters.v1beta1.cluster.x-k8s.io", GREEN, "-o", "jsonpath={.spec.infrastructureRef.namespace}"
    )

    assert refused.returncode != 0 and "one of spec.controlPlaneRef, spec.infrastructureRef" in refused.stderr
    assert "default" == old.stdout


def test_a_cluster_becomes_available_with_nothing_to_say(green: Managed) -> None:
    """Available=True with an empty message, phase Provisioned, both initialization marks, the endpoint copied."""
    cluster, kindcluster = green.cluster(GREEN), green.kindcluster(GREEN)

    assert green.available(GREEN)
    assert "Provisioned" == cluster["status"]["phase"]
    assert {"infrastructureProvisioned": True, "controlPlaneInitialized": True} == cluster["status"]["initialization"]
    assert kindcluster["spec"]["controlPlaneEndpoint"] == cluster["spec"]["controlPlaneEndpoint"]
    assert kindcluster["status"]["ready"] is kindcluster["status"]["initialization"]["provisioned"] is True


def test_a_cluster_shows_the_replicas_and_versions_of_its_control_plane(green: Managed) -> None:
    """What `kubectl get cluster` has columns for; nothing rolls out or scales; the scale subresource answers."""
    cluster = green.cluster(GREEN)

    shown = cluster["status"]["controlPlane"]
    counters = ("replicas", "readyReplicas", "availableReplicas", "upToDateReplicas")
    assert [1] * 4 == [shown.get(name) for name in counters]
    assert [{"version": KUBERNETES, "replicas": 1}] == shown["versions"]
    states = {one["type"]: one["status"] for one in cluster["status"]["conditions"]}
    assert ["False"] * 3 == [states[kind] for kind in ("RollingOut", "ScalingUp", "ScalingDown")]
    path = f"/apis/infrastructure.cluster.x-k8s.io/v1alpha1/namespaces/default/kindclusters/{GREEN}/scale"
    assert '"replicas":1' in green.api.kubectl("get", f"--raw={path}").stdout


def test_describe_shows_nothing_that_is_not_good(green: Managed) -> None:
    """Every row that `clusterctl describe` has of it is True, or a False that is good."""
    shown, bad = green.described(GREEN)

    assert {"Available", "InfrastructureReady", "ControlPlaneAvailable", "Ready", "KubeconfigPublished"} <= shown
    assert [] == bad
    assert f"KINDCluster default/{GREEN}, {KUBERNETES}" in green.clusterctl.run("describe", "cluster", GREEN).stdout


def test_get_kubeconfig_prints_one_that_works(green: Managed) -> None:
    """The Secret has the contract's name, type, label and owner, and leads to the cluster."""
    secret = green.secret(f"{GREEN}-kubeconfig")
    printed = green.clusterctl.run("get", "kubeconfig", GREEN).stdout

    assert (
        [f"{GREEN}-control-plane", f"{GREEN}-worker"] == green.nodes(printed) == green.secret_nodes(f"{GREEN}-config", "config")
    )
    assert "cluster.x-k8s.io/secret" == secret["type"]
    assert GREEN == secret["metadata"]["labels"][CLUSTER_LABEL]
    assert ["KINDCluster"] == [owner["kind"] for owner in secret["metadata"]["ownerReferences"]]


@pytest.mark.fault(40, "two minutes of nothing, with Cluster API", invariants="I8")
def test_nothing_is_written_while_nothing_changes(green: Managed) -> None:
    """Resource versions stand still: no heartbeats in status, and core finds nothing of ours to correct."""

    def versions() -> list[str]:
        found = [
            green.kindcluster(GREEN),
            green.cluster(GREEN),
            green.secret(f"{GREEN}-kubeconfig"),
            green.secret(f"{GREEN}-config"),
        ]
        return [one["metadata"]["resourceVersion"] for one in found]

    before, end = versions(), time.monotonic() + STABLE_SECONDS
    while time.monotonic() < end:
        assert before == versions()
        time.sleep(0.5)


@pytest.mark.fault(32, "stripped, with Cluster API", invariants="I1")
def test_stripped_owner_references_and_finalizers_come_back(green: Managed) -> None:
    """What was stripped while paused (a restore does that) is healed by core and us after the pause; the cluster is not touched."""
    before = green.processes(GREEN)
    green.pause_cluster(GREEN, True)
    green.wait_paused(GREEN)
    green.patch(green.path(GREEN), {"metadata": {"ownerReferences": None, "finalizers": None}})
    secret = f"/api/v1/namespaces/default/secrets/{GREEN}-kubeconfig"
    green.patch(secret, {"metadata": {"ownerReferences": None}})

    green.pause_cluster(GREEN, False)

    def healed() -> bool:
        meta = green.kindcluster(GREEN)["metadata"]
        owners = [(owner["kind"], owner["name"]) for owner in meta.get("ownerReferences", [])]
        secret_owners = green.secret(f"{GREEN}-kubeconfig")["metadata"].get("ownerReferences")
        return owners == [("Cluster", GREEN)] and FINALIZER in meta.get("finalizers", []) and bool(secret_owners)

    green.manager.wait(60, healed, "owner references and finalizers")
    green.wait_available(GREEN)
    assert before == green.processes(GREEN)


@pytest.mark.parametrize(("by_cluster", "by_annotation"), [(True, False), (False, True), (True, True)])
def test_a_pause_of_a_ready_cluster_is_said_and_obeyed(green: Managed, by_cluster: bool, by_annotation: bool) -> None:
    """Paused by the Cluster, by the annotation (whatever its value), or both: a condition says by what; nothing else changes."""
    before, ready = green.processes(GREEN), green.manager.condition(GREEN, "Ready")
    if by_cluster:
        green.pause_cluster(GREEN, True)
    if by_annotation:
        green.annotate(GREEN, PAUSED, "false")

    def reasons() -> tuple[bool, bool]:
        message = green.manager.condition(GREEN, "Paused")["message"]
        return "Cluster spec.paused is set to true" in message, f"the {PAUSED} annotation" in message

    green.manager.wait(30, lambda: reasons() == (by_cluster, by_annotation), "the reasons of the pause")
    assert ready == green.manager.condition(GREEN, "Ready")

    green.annotate(GREEN, PAUSED, None)
    green.pause_cluster(GREEN, False)
    green.manager.wait_reason(GREEN, "Paused", "NotPaused")
    green.wait_available(GREEN)
    assert before == green.processes(GREEN)


@pytest.mark.fault(33, "paused, with Cluster API", invariants="I9")
@pytest.mark.parametrize(("by_cluster", "by_annotation"), [(True, False), (False, True), (True, True)])
def test_nothing_is_made_while_paused(managed: Managed, by_cluster: bool, by_annotation: bool) -> None:
    """A cluster that is paused when it is applied is made as soon as it is not paused any more."""
    name = f"later-{by_cluster:d}{by_annotation:d}"
    text = managed.generate(name, "--flavor", "local")
    if by_cluster:
        text = text.replace("  clusterNetwork:", "  paused: true\n  clusterNetwork:")
    if by_annotation:
        text = text.replace("metadata:\n", f'metadata:\n  annotations:\n    {PAUSED}: ""\n', 1)

    managed.apply(text)

    if by_cluster:  # core does nothing for it, so that no Cluster owns it
        managed.manager.wait(30, lambda: managed.condition(name, "Paused").get("status") == "True", "core says that it is paused")
    if by_annotation:
        managed.wait_paused(name)
    else:
        managed.manager.wait_reason(name, "Ready", "WaitingForOwner")
        said = f"Cluster {name} names this object and is paused"
        managed.manager.wait(30, lambda: said in managed.manager.condition(name, "Ready")["message"], said)
    assert not (managed.local / name).exists()

    managed.annotate(name, PAUSED, None)
    managed.pause_cluster(name, False)
    managed.wait_available(name)
    managed.delete(name)
    managed.wait_gone(name)


@pytest.mark.fault(33, "deleted while paused, with Cluster API", invariants="I9")
@pytest.mark.parametrize(("by_cluster", "by_annotation"), [(True, False), (False, True), (True, True)])
def test_a_deletion_waits_for_the_end_of_a_pause(managed: Managed, by_cluster: bool, by_annotation: bool) -> None:
    """A KINDCluster that is deleted while it is paused keeps its finalizer and its cluster, and says so. (Core passes a deletion on
    unless the Cluster is paused, so there the object is deleted by hand.)
    """
    name = f"held-{by_cluster:d}{by_annotation:d}"
    managed.create(name)
    before = managed.processes(name)
    if by_annotation:
        managed.annotate(name, PAUSED, "")
    if by_cluster:
        managed.pause_cluster(name, True)
    managed.wait_paused(name)

    managed.delete(name)
    if by_cluster:
        managed.api.kubectl("delete", "kindcluster", name, "--wait=false")

    managed.manager.wait(30, lambda: "deletion waits" in managed.manager.condition(name, "Paused")["message"], "it says so")
    assert "deletionTimestamp" in managed.kindcluster(name)["metadata"]
    assert FINALIZER in managed.kindcluster(name)["metadata"]["finalizers"]
    assert before == managed.processes(name)

    managed.annotate(name, PAUSED, None)
    if by_cluster:
        managed.pause_cluster(name, False)
    managed.wait_gone(name)
    assert not (managed.local / name).exists()


@pytest.mark.fault(37, "managed by somebody else, with Cluster API", invariants="I9")
def test_an_externally_managed_object_is_left_alone(managed: Managed) -> None:
    """With the annotation `cluster.x-k8s.io/managed-by` somebody else provides: no finalizer, no status, no cluster."""
    name = "foreign"
    text = managed.generate(name, "--flavor", "local")
    managed.apply(text.replace("metadata:\n", 'metadata:\n  annotations:\n    cluster.x-k8s.io/managed-by: ""\n', 1))
    managed.manager.wait(30, lambda: managed.kindcluster(name)["metadata"].get("ownerReferences"), "core owns it")
    witness = "witness"
    managed.apply(managed.generate(witness, "--flavor", "local").partition("---")[0])
    managed.manager.wait_reason(witness, "Ready", "WaitingForOwner")

    left = managed.kindcluster(name)

    assert left["status"] == UNSEEN, "the default that the API server gives, which nobody wrote"
    assert "finalizers" not in left["metadata"]
    assert not (managed.local / name).exists()
    managed.delete(name)
    managed.api.kubectl("delete", "kindcluster", witness, "--timeout=30s")
    managed.wait_gone(name)


def test_a_cluster_with_the_infrastructure_reference_alone_is_provisioned(managed: Managed) -> None:
    """As other people's templates have it: core calls it Provisioned and connects, and cannot tell whether a control plane is available.
    Naming the KINDCluster as the control plane later turns it green.
    """
    name = "half"
    text = re.sub(r"  controlPlaneRef:\n(    .*\n)+", "", managed.generate(name, "--flavor", "local"))
    managed.apply(text)

    def said() -> bool:
        conditions = (managed.cluster(name).get("status") or {}).get("conditions") or []
        return INFRASTRUCTURE_ALONE.items() <= {one["type"]: (one["status"], one["reason"]) for one in conditions}.items()

    managed.manager.wait(60, said, "the conditions that are documented")
    status = managed.cluster(name)["status"]
    assert ("Provisioned", {"infrastructureProvisioned": True}) == (status["phase"], status["initialization"])
    assert [f"{name}-control-plane"] == managed.nodes(managed.clusterctl.run("get", "kubeconfig", name).stdout)
    refused = managed.clusterctl.run("move", "--to-kubeconfig", str(managed.api.kubeconfig), "-n", "default", check=False)
    assert refused.returncode != 0 and "control plane" in refused.stderr
    page = HOWTO.read_text()
    for kind, (status, reason) in INFRASTRUCTURE_ALONE.items():
        assert f"| `{kind}` | {status} | `{reason}` |" in page, "what is documented is what is seen"

    reference = managed.cluster(name)["spec"]["infrastructureRef"]
    managed.patch(f"/apis/cluster.x-k8s.io/v1beta2/namespaces/default/clusters/{name}", {"spec": {"controlPlaneRef": reference}})
    managed.wait_available(name)
    managed.delete(name)
    managed.wait_gone(name)


def test_networks_that_contradict_are_a_condition(managed: Managed) -> None:
    """The Cluster says one pod network and the KINDCluster another: nothing is made until one of them is corrected."""
    name = "network"
    text = managed.generate(name, "--flavor", "local")
    managed.apply(text.replace("spec:\n", "spec:\n  networking:\n    podSubnet: 10.99.0.0/16\n", 1))

    message = managed.manager.wait_reason(name, "Ready", "NetworkConflict")["message"]
    assert "10.99.0.0/16" in message and "10.244.0.0/16" in message
    assert not (managed.local / name).exists()

    network = {"pods": {"cidrBlocks": ["10.99.0.0/16"]}}
    managed.patch(f"/apis/cluster.x-k8s.io/v1beta2/namespaces/default/clusters/{name}", {"spec": {"clusterNetwork": network}})
    managed.wait_available(name)
    managed.delete(name)
    managed.wait_gone(name)


def test_an_object_that_no_cluster_references_makes_nothing(managed: Managed) -> None:
    """A KINDCluster waits for a Cluster that names it as infrastructure (ClusterClass makes the object first)."""
    name = "waiting"
    managed.apply(managed.generate(name, "--flavor", "local").partition("---")[0])

    managed.manager.wait_reason(name, "Ready", "WaitingForOwner")
    assert not (managed.local / name).exists()

    managed.api.kubectl("delete", "kindcluster", name, "--timeout=30s")
