"""A user's path with the real clusterctl: init from our artifacts, generate, upgrade plan, delete."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import pytest
import yaml

from devenv import capi
from devenv.controlplane import ManagementAPI
from hack import release

VERSION = ("--kubernetes-version", "v1.34.4")
NAMESPACE = "capkind-system"

Json = dict[str, Any]


@pytest.fixture(scope="module")
def initialised(bare: ManagementAPI, clusterctl: capi.Clusterctl) -> ManagementAPI:
    """After `clusterctl init --infrastructure kind`."""
    said = clusterctl.init()
    assert "infrastructure-kind" in said.stderr and release.VERSION in said.stderr
    return bare


def objects(text: str) -> dict[str, Json]:
    """By kind."""
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def test_init_installs_the_provider_as_published(initialised: ManagementAPI, artifacts: Path) -> None:
    """All objects arrive, and the CRD exactly as it was written: clusterctl's substitution of variables changes no rule in it."""
    for published in yaml.safe_load_all((artifacts / release.COMPONENTS).read_text()):
        meta = published["metadata"]
        place = ["-n", meta["namespace"]] if "namespace" in meta else []
        found = yaml.safe_load(initialised.kubectl("get", published["kind"], meta["name"], *place, "-o", "yaml").stdout)
        if published["kind"] == "CustomResourceDefinition":
            assert published["spec"]["versions"] == found["spec"]["versions"]
    inventory = initialised.kubectl("get", "providers.clusterctl.cluster.x-k8s.io", "-A", "-o", "yaml").stdout
    assert {("kind", release.VERSION), ("cluster-api", "v1.14.0")} == {
        (one["providerName"], one["version"]) for one in yaml.safe_load(inventory)["items"]
    }


def test_generate_uses_every_variable(clusterctl: capi.Clusterctl) -> None:
    """What the user gives arrives where it belongs."""
    flags = ("--infrastructure", f"kind:{release.VERSION}", "-n", "team", *VERSION)
    counts = ("--control-plane-machine-count", "3", "--worker-machine-count", "2")
    environ = {
        "CAPKIND_NODE_IMAGE": "registry.example/node:v1.34.4",
        "CAPKIND_RUNTIME": "kind",
        "CAPKIND_DELETION_POLICY": "Retain",
        "CAPKIND_POD_CIDR": "10.11.0.0/16",
        "CAPKIND_SERVICE_CIDR": "10.12.0.0/16",
    }

    made = objects(clusterctl.run("generate", "cluster", "demo", *flags, *counts, environ=environ).stdout)

    assert {"name": "demo", "namespace": "team"} == made["KINDCluster"]["metadata"]
    assert {
        "version": "v1.34.4",
        "image": "registry.example/node:v1.34.4",
        "controlPlaneReplicas": 3,
        "workerReplicas": 2,
        "runtime": "kind",
        "deletionPolicy": "Retain",
    } == made["KINDCluster"]["spec"]
    reference = {"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "KINDCluster", "name": "demo"}
    assert {
        "clusterNetwork": {"pods": {"cidrBlocks": ["10.11.0.0/16"]}, "services": {"cidrBlocks": ["10.12.0.0/16"]}},
        "infrastructureRef": reference,
        "controlPlaneRef": reference,
    } == made["Cluster"]["spec"]


def test_generate_has_defaults_for_all_but_the_version(clusterctl: capi.Clusterctl) -> None:
    """A name and a version are enough: one node on whatever runtime there is, with kind's image of the version."""
    made = objects(clusterctl.run("generate", "cluster", "demo", "--infrastructure", f"kind:{release.VERSION}", *VERSION).stdout)

    assert {
        "version": "v1.34.4",
        "image": "kindest/node:v1.34.4",
        "controlPlaneReplicas": 1,
        "workerReplicas": 0,
        "runtime": "auto",
        "deletionPolicy": "Delete",
    } == made["KINDCluster"]["spec"]
    assert "default" == made["Cluster"]["metadata"]["namespace"]


@pytest.mark.parametrize("flavor", ["", "development", "ha", "local"])
def test_the_api_server_takes_what_is_generated(initialised: ManagementAPI, clusterctl: capi.Clusterctl, flavor: str) -> None:
    """Strictly: no unknown field, no refused value. Core's own webhooks see the Cluster in the tests of clusters."""
    chosen = ("--flavor", flavor) if flavor else ()
    made = objects(clusterctl.run("generate", "cluster", "demo", *VERSION, *chosen).stdout)

    applied = initialised.kubectl(
        *("apply", "-f", "-", "--server-side", "--dry-run=server", "-o", "yaml"), stdin=yaml.safe_dump(made["KINDCluster"])
    )

    spec = yaml.safe_load(applied.stdout)["spec"]
    assert {"": 1, "ha": 3, "local": 1}.get(flavor) == spec.get("controlPlaneReplicas")


def test_variables_are_listed(clusterctl: capi.Clusterctl) -> None:
    """`--list-variables` tells a user what there is to set, with defaults."""
    said = clusterctl.run(
        "generate", "cluster", "demo", "--infrastructure", f"kind:{release.VERSION}", "--list-variables", "--flavor", "ha"
    ).stdout
    for name in ("KUBERNETES_VERSION", "CAPKIND_CONTROL_PLANES", "CAPKIND_NODE_IMAGE", "CAPKIND_RUNTIME", "CAPKIND_POD_CIDR"):
        assert name in said


@pytest.mark.usefixtures("initialised")
def test_upgrade_plan_knows_the_provider(clusterctl: capi.Clusterctl) -> None:
    """The release's series and contract can be read back; there is nothing newer."""
    said = clusterctl.run("upgrade", "plan").stdout
    assert "infrastructure-kind" in said
    assert "You are already up to date" in said


def test_delete_removes_the_provider_and_init_brings_it_back(initialised: ManagementAPI, clusterctl: capi.Clusterctl) -> None:
    """Deployment, roles and accounts go; CRDs and namespace stay unless asked for, so that no cluster is lost by an upgrade."""
    clusterctl.run("delete", "--infrastructure", "kind")

    labelled = ("-l", "cluster.x-k8s.io/provider=infrastructure-kind", "-o", "name")
    kinds = "deployments,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings"
    assert "" == initialised.kubectl("get", kinds, "-A", *labelled).stdout
    assert "kindclusters" in initialised.kubectl("get", "crd", *labelled).stdout

    clusterctl.init()
    everything = ("delete", "--infrastructure", "kind", "--include-crd", "--include-namespace")
    initialised.kubectl("apply", "-f", "config/samples/minimal.yaml")
    refused = clusterctl.run(*everything, check=False)
    assert refused.returncode != 0 and "Please delete these objects first" in refused.stderr, (
        "CRDs are not deleted under living clusters"
    )
    initialised.kubectl("delete", "kindcluster", "minimal")
    clusterctl.run(*everything)

    capi.until(lambda: not initialised.kubectl("get", "crd", *labelled).stdout, 30, "CRDs gone")
    gone = f"/api/v1/namespaces/{NAMESPACE}"
    capi.until(lambda: initialised.request("GET", gone)[0] == http.client.NOT_FOUND, 30, "namespace gone")
