"""config/: samples as the README has people apply them, and the installation."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.envtest.crd import SAMPLES, KindClusters

CONFIG = SAMPLES.parent
INVALID = {
    "invalid-1.yaml": ("spec.clusterName", "lower-case letters", "spec.version", 'such as "v1.34.4"'),
    "invalid-2.yaml": ("spec.nodes", "same hostPort", "another hostPort"),
    "invalid-3.yaml": ("spec.workerReplica",),
}
OF_A_CLASS = "topology.yaml"
"""Holds no object of ours; tests/capi applies it."""
OURS = sorted(path for path in SAMPLES.glob("*.yaml") if path.name not in {*INVALID, OF_A_CLASS})
RIGHTS = {
    "kindclusters.infrastructure.cluster.x-k8s.io": {"get", "list", "watch", "patch", "delete"},
    "kindclusters.infrastructure.cluster.x-k8s.io/status": {"patch"},
    "kindcontrolplanes.controlplane.cluster.x-k8s.io": {"get", "list", "watch"},
    "kindcontrolplanes.controlplane.cluster.x-k8s.io/status": {"patch"},
    "clusters.cluster.x-k8s.io": {"get", "list", "watch"},
    "configmaps": {"get"},
    "secrets": {"get", "list", "watch", "create", "patch", "delete"},
    "events": {"create", "patch"},
    "customresourcedefinitions.apiextensions.k8s.io": {"list", "watch"},
}
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


def only_kindclusters(path: Path) -> str:
    """A sample without the objects whose CRDs are Cluster API's."""
    documents = [document for document in yaml.safe_load_all(path.read_text()) if document["kind"] == "KINDCluster"]
    return yaml.safe_dump_all(documents)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_a_sample_is_accepted_as_it_stands(kindclusters: KindClusters, path: Path) -> None:
    """Applied with kubectl, which checks fields strictly."""
    answer = kindclusters.api.kubectl("apply", "--dry-run=server", "-f", "-", stdin=only_kindclusters(path))
    assert f"/{path.stem} created" in answer.stdout


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_sample_is_refused_with_field_and_cure(kindclusters: KindClusters, name: str) -> None:
    """The message alone is enough to repair the file."""
    with pytest.raises(subprocess.CalledProcessError) as failure:
        kindclusters.api.kubectl("apply", "-f", str(SAMPLES / name))
    assert all(words in failure.value.stderr for words in INVALID[name]), failure.value.stderr


def test_invalid_3_is_still_refused_once_the_typo_is_gone(kindclusters: KindClusters) -> None:
    """Unknown fields are reported first; the overlap is the second thing wrong with it."""
    repaired = (SAMPLES / "invalid-3.yaml").read_text().replace("workerReplica: 2", "workerReplicas: 2")
    with pytest.raises(subprocess.CalledProcessError) as failure:
        kindclusters.api.kubectl("apply", "-f", "-", stdin=repaired)
    assert "overlap: choose separate ranges" in failure.value.stderr


def test_under_cluster_api_the_kindcluster_comes_first_and_is_both(kindclusters: KindClusters) -> None:
    """Core looks for a missing reference again only after 30 s; both references name the one object."""
    first, second = yaml.safe_load_all((SAMPLES / "cluster.yaml").read_text())
    assert (first["kind"], second["kind"]) == ("KINDCluster", "Cluster")
    assert second["apiVersion"] == "cluster.x-k8s.io/v1beta2"
    reference = {"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "KINDCluster", "name": first["metadata"]["name"]}
    assert second["spec"]["infrastructureRef"] == second["spec"]["controlPlaneRef"] == reference


@pytest.fixture(scope="module")
def installed(kindclusters: KindClusters) -> KindClusters:
    """config/default, applied; it stays until the server is thrown away."""
    kindclusters.api.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(CONFIG / "default"))
    return kindclusters


@pytest.mark.fault(47, "the manifests on a real API server", invariants="I15")
def test_the_installation_is_what_clusterctl_expects(installed: KindClusters) -> None:
    """One namespace, container `manager`, a pinned image, and the provider label on every object."""
    objects = list(yaml.safe_load_all(installed.api.kubectl("kustomize", str(CONFIG / "default")).stdout))
    assert [o["metadata"]["name"] for o in objects if o["kind"] == "Namespace"] == ["capkind-system"]
    assert {o["metadata"]["labels"]["cluster.x-k8s.io/provider"] for o in objects} == {"infrastructure-kind"}
    (deployment,) = (o for o in objects if o["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["name"] == "manager"
    assert container["image"].rpartition(":")[2].startswith("v")


@pytest.mark.fault(43, "the roles on a real API server", invariants="I15")
def test_the_manager_may_do_what_it_does_and_nothing_else(installed: KindClusters) -> None:
    """The shipped roles, asked as the shipped service account."""
    for resource, allowed in {**RIGHTS, "pods": set[str](), "deployments.apps": set[str]()}.items():
        assert {verb for verb in VERBS if may(installed, verb, resource)} == allowed, resource


def test_the_lease_is_its_own_namespace_alone(installed: KindClusters) -> None:
    """Leader election needs no rights elsewhere."""
    lease = "leases.coordination.k8s.io"
    assert {verb for verb in VERBS if may(installed, verb, lease, "capkind-system")} == {"get", "create", "patch"}
    assert not any(may(installed, verb, lease) for verb in VERBS)


def may(server: KindClusters, verb: str, what: str, namespace: str = "default") -> bool:
    """Whether the manager's service account may do it; `what`: resource[.group][/subresource]."""
    resource, _, subresource = what.partition("/")
    name, _, group = resource.partition(".")
    attributes = {"verb": verb, "resource": name, "group": group, "subresource": subresource, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": "system:serviceaccount:capkind-system:capkind-manager", "resourceAttributes": attributes},
    }
    _, answer = server.api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])
