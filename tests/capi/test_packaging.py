"""What a release publishes keeps the rules that Cluster API and clusterctl have for providers.

The rules: docs/book/src/developer/providers/contracts/{infra-cluster,clusterctl}.md of Cluster API.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack import release
from provider import __version__

CLUSTER_SCOPED = ("Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding")
NAMESPACE = "capkind-system"
STATE = "/var/lib/cluster-api-provider-kind"
CANONICAL = re.compile(r"^[a-z0-9.-]+(\.[a-z0-9.-]+|:\d+)/[a-z0-9./_-]+:[A-Za-z0-9._-]+$")
"""registry/repository:tag; clusterctl parses images strictly."""

Json = dict[str, Any]


@pytest.fixture(scope="module")
def objects(artifacts: Path) -> list[Json]:
    return list(yaml.safe_load_all((artifacts / release.COMPONENTS).read_text()))


def of_kind(objects: list[Json], kind: str) -> list[Json]:
    return [one for one in objects if one["kind"] == kind]


def crds(objects: list[Json]) -> list[Json]:
    found = of_kind(objects, "CustomResourceDefinition")
    assert found
    return found


def test_crds_are_named_as_cluster_api_calculates_names(objects: list[Json]) -> None:
    """Name = plural of the kind + group; clusterctl refuses other names. The list kind is what `clusterctl delete` lists."""
    for crd in crds(objects):
        names, group = crd["spec"]["names"], crd["spec"]["group"]
        assert f"{names['kind'].lower()}s.{group}" == crd["metadata"]["name"]
        assert f"{names['kind']}List" == names["listKind"]
        assert "cluster-api" in names["categories"]
        assert "Namespaced" == crd["spec"]["scope"]


def test_contract_labels_name_served_versions_only(objects: list[Json]) -> None:
    """`cluster.x-k8s.io/<contract>: <versions>`: without it core cannot find a version; one that is not served breaks every Cluster."""
    for crd in crds(objects):
        served = {version["name"] for version in crd["spec"]["versions"] if version["served"]}
        labelled = crd["metadata"]["labels"]["cluster.x-k8s.io/v1beta2"].split("_")
        assert served == set(labelled)


def test_status_is_a_subresource_with_strict_conditions(objects: list[Json]) -> None:
    """Core asserts types of conditions without checks: anything but strings would make it panic."""
    for crd in crds(objects):
        for version in crd["spec"]["versions"]:
            if "Template" in crd["spec"]["names"]["kind"]:
                continue
            assert {} == version["subresources"]["status"]
            status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
            condition = status["conditions"]["items"]
            assert {"type", "status", "reason", "message", "lastTransitionTime"} <= set(condition["required"])
            for name in ("type", "status", "reason", "message"):
                assert "string" == condition["properties"][name]["type"]
            assert "integer" == condition["properties"]["observedGeneration"]["type"]
            assert ["type"] == status["conditions"]["x-kubernetes-list-map-keys"]


def test_contract_fields_have_the_types_that_core_reads(objects: list[Json]) -> None:
    """A wrong type aborts the reconcile of the whole Cluster."""
    (crd,) = (one for one in crds(objects) if one["spec"]["names"]["kind"] == "KINDCluster")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    status, endpoint = schema["status"]["properties"], schema["spec"]["properties"]["controlPlaneEndpoint"]["properties"]
    initialization = status["initialization"]["properties"]

    assert {"boolean"} == {
        status["ready"]["type"],
        status["initialized"]["type"],
        initialization["provisioned"]["type"],
        initialization["controlPlaneInitialized"]["type"],
    }
    assert ("string", "integer") == (endpoint["host"]["type"], endpoint["port"]["type"])
    assert "failureDomains" not in status, "its type differs between the two contracts"


def test_there_is_one_namespace_and_everything_is_in_it(objects: list[Json]) -> None:
    """clusterctl refuses two; it learns the provider's namespace from the one."""
    assert [NAMESPACE] == [one["metadata"]["name"] for one in of_kind(objects, "Namespace")]
    inside = [one for one in objects if one["kind"] not in CLUSTER_SCOPED]
    assert inside
    assert {NAMESPACE} == {one["metadata"]["namespace"] for one in inside}


def test_every_object_is_labelled_as_ours(objects: list[Json]) -> None:
    """clusterctl finds what belongs to a provider by this label; tests of Cluster API find pods by it."""
    labels = [one["metadata"]["labels"] for one in objects]
    labels += [one["spec"]["template"]["metadata"]["labels"] for one in of_kind(objects, "Deployment")]
    assert {"infrastructure-kind"} == {one["cluster.x-k8s.io/provider"] for one in labels}


def test_roles_have_names_that_clusterctl_cleans_up(objects: list[Json]) -> None:
    """`clusterctl delete` removes cluster-scoped objects only where the name begins with the provider's namespace."""
    roles = of_kind(objects, "ClusterRole") + of_kind(objects, "ClusterRoleBinding")
    assert roles
    assert [] == [one["metadata"]["name"] for one in roles if not one["metadata"]["name"].startswith(f"{NAMESPACE}-")]


def test_the_manager_is_a_container_called_manager_with_a_canonical_image_of_this_version(objects: list[Json]) -> None:
    """clusterctl parses every image and waits for the container of this name."""
    (deployment,) = of_kind(objects, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert "manager" == container["name"]
    assert CANONICAL.match(container["image"])
    assert container["image"].endswith(f":v{__version__}")


@pytest.mark.fault(47, "the manager's pod is looked at", invariants="I15")
def test_the_managers_pod_has_the_engine_and_little_else(objects: list[Json]) -> None:
    """The socket and a state folder of the node (a successor finds the locks there); no capability, no file it can write elsewhere."""
    (deployment,) = of_kind(objects, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    security = container["securityContext"]
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    hosts = {mounts[one["name"]]: one["hostPath"] for one in pod["volumes"] if "hostPath" in one}

    assert {"/var/run/docker.sock": "Socket", STATE: "DirectoryOrCreate"} == {path: one["type"] for path, one in hosts.items()}
    assert [] == [path for path, one in hosts.items() if one["path"] != path]
    assert f"--state-dir={STATE}" in container["args"]
    assert (["ALL"], True, False) == (
        security["capabilities"]["drop"],
        security["readOnlyRootFilesystem"],
        security["allowPrivilegeEscalation"],
    )
    assert ("/healthz", "/readyz") == tuple(container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("liveness", "readiness"))
    assert {"cpu", "memory"} == set(container["resources"]["requests"])
    assert "node-role.kubernetes.io/control-plane" in {one["key"] for one in pod["tolerations"]}


def test_nothing_looks_like_a_variable_to_clusterctl(artifacts: Path) -> None:
    """clusterctl substitutes every `${...}` of the file, in descriptions too; ours has no variables."""
    assert "${" not in (artifacts / release.COMPONENTS).read_text()


def test_metadata_covers_the_release(artifacts: Path) -> None:
    """clusterctl refuses a release whose series has no entry; the contract agrees with the label of the CRDs."""
    metadata = yaml.safe_load((artifacts / "metadata.yaml").read_text())
    major, minor = (int(part) for part in __version__.split(".")[:2])

    assert ("clusterctl.cluster.x-k8s.io/v1alpha3", "Metadata") == (metadata["apiVersion"], metadata["kind"])
    assert {"major": major, "minor": minor, "contract": "v1beta2"} in metadata["releaseSeries"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cluster-template", ["KINDCluster", "Cluster"]),
        ("cluster-template-development", ["KINDCluster", "Cluster"]),
        ("cluster-template-ha", ["KINDCluster", "Cluster"]),
        ("cluster-template-local", ["KINDCluster", "Cluster"]),
        ("cluster-template-topology", ["Cluster"]),
    ],
)
def test_templates_put_the_kindcluster_first_and_use_our_prefix(artifacts: Path, name: str, expected: list[str]) -> None:
    """Core looks for a missing object again only after 30 s; variables that are not clusterctl's own have our prefix and a default."""
    text = (artifacts / f"{name}.yaml").read_text()
    kinds = re.findall(r"^kind: (\w+)$", text, re.MULTILINE)
    own = {"CLUSTER_NAME", "NAMESPACE", "KUBERNETES_VERSION", "CONTROL_PLANE_MACHINE_COUNT", "WORKER_MACHINE_COUNT"}
    variables = re.findall(r"\$\{(\w+)(:=)?", text)

    assert expected == kinds
    assert text.count("${") == len(variables)
    assert [] == [variable for variable, default in variables if variable not in own and not variable.startswith("CAPKIND_")]
    assert [] == [variable for variable, default in variables if variable not in own and not default]


def test_the_clusterclass_is_named_as_its_file_and_has_no_variables_of_clusterctl(artifacts: Path) -> None:
    """`clusterctl generate cluster` looks for clusterclass-NAME.yaml, and substitutes whatever looks like a variable."""
    text = (artifacts / "clusterclass-kind.yaml").read_text()
    found = {(one["kind"], one["metadata"]["name"], "namespace" in one["metadata"]) for one in yaml.safe_load_all(text)}

    assert {(kind, "kind", False) for kind in ("ClusterClass", "KINDClusterTemplate", "KINDControlPlaneTemplate")} == found
    assert "${" not in text


def test_a_release_that_metadata_does_not_know_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Better no artifacts than ones that clusterctl refuses."""
    monkeypatch.setattr(release, "__version__", "9.8.7")
    with pytest.raises(release.ReleaseFailed, match=r"no release series 9\.8"):
        release.write(tmp_path)
