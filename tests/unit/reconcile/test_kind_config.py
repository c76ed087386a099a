"""What kind is asked for, against golden documents that real kind has accepted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provider.api.kind import NodeRole, node_names
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.reconcile.desired import cluster_request, named_image
from provider.reconcile.drift import made_from
from provider.reconcile.kind_config import fingerprint, kind_config
from provider.reconcile.options import ReconcileOptions

GOLDEN = Path(__file__).parent / "golden"

FULL: dict[str, Any] = {
    "version": "v1.34.4",
    "nodes": [
        {
            "labels": {"tier": "control"},
            "extraMounts": [
                {
                    "hostPath": "/tmp",
                    "containerPath": "/host-tmp",
                    "readOnly": True,
                    "selinuxRelabel": False,
                    "propagation": "HostToContainer",
                }
            ],
            "extraPortMappings": [{"containerPort": 30080, "hostPort": 8080, "listenAddress": "127.0.0.1", "protocol": "TCP"}],
            "kubeadmConfigPatches": ["kind: InitConfiguration\nnodeRegistration:\n  kubeletExtraArgs:\n    max-pods: '42'\n"],
        },
        {
            "role": "worker",
            "image": "kindest/node:v1.33.1",
            "kubeadmConfigPatchesJSON6902": [
                {
                    "group": "kubeadm.k8s.io",
                    "version": "v1beta3",
                    "kind": "JoinConfiguration",
                    "patch": "- op: add\n  path: /x\n  value: y\n",
                }
            ],
        },
    ],
    "networking": {
        "ipFamily": "ipv4",
        "apiServerPort": 6444,
        "apiServerAddress": "127.0.0.1",
        "podSubnet": "10.10.0.0/16",
        "serviceSubnet": "10.11.0.0/16",
        "disableDefaultCNI": True,
        "kubeProxyMode": "nftables",
        "dnsSearch": [],
    },
    "featureGates": {"InPlacePodVerticalScaling": True},
    "runtimeConfig": {"api/alpha": "false"},
    "kubeadmConfigPatches": ["kind: ClusterConfiguration\napiServer:\n  extraArgs:\n    v: '1'\n"],
    "kubeadmConfigPatchesJSON6902": [
        {"group": "kubeadm.k8s.io", "version": "v1beta3", "kind": "ClusterConfiguration", "patch": "[]"}
    ],
    "containerdConfigPatches": ['version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/c"\n'],
    "containerdConfigPatchesJSON6902": ["[]"],
}

SPECS: dict[str, dict[str, Any]] = {
    "minimal": {},
    "replicas": {"controlPlaneReplicas": 3, "workerReplicas": 2},
    "full": FULL,
}


def spec(**fields: Any) -> KINDClusterSpec:
    return KINDClusterSpec.model_validate(fields)


@pytest.mark.parametrize("name", SPECS)
def test_the_document_is_the_golden_one(name: str) -> None:
    """Every field of the spec arrives under kind's own name; nothing else does."""
    rendered = yaml.safe_dump(kind_config(spec(**SPECS[name]), "demo"), sort_keys=False)

    assert (GOLDEN / f"{name}.yaml").read_text() == rendered


def test_an_empty_list_of_nodes_is_an_absent_one() -> None:
    """kind makes one control plane of both, and neither edit may replace a cluster."""
    empty, absent = spec(nodes=[]), spec()

    assert empty == absent
    assert [{"role": "control-plane"}] == kind_config(empty, "demo")["nodes"]
    assert 3 == len(kind_config(spec(nodes=[], controlPlaneReplicas=1, workerReplicas=2), "demo")["nodes"])


def test_the_case_of_a_protocol_is_no_difference() -> None:
    """kind reads it in any case; an edit of the case may not replace a cluster."""
    lower, upper = (spec(nodes=[{"extraPortMappings": [{"containerPort": 53, "protocol": text}]}]) for text in ("udp", "UDP"))

    assert made_from(upper, kind_config(upper, "demo")) == made_from(lower, kind_config(lower, "demo"))


def test_a_patch_without_group_and_version_keeps_its_silence() -> None:
    """kind then applies it to any version of the document; an empty text would mean the same, null would not be read."""
    config = kind_config(spec(kubeadmConfigPatchesJSON6902=[{"kind": "ClusterConfiguration", "patch": "[]"}]), "demo")

    assert [{"kind": "ClusterConfiguration", "patch": "[]"}] == config["kubeadmConfigPatchesJSON6902"]


def test_absent_networking_is_absent_in_the_document() -> None:
    """kind's defaults hold where nobody said anything."""
    assert "networking" not in kind_config(spec(), "demo")


def test_the_owners_network_fills_in_where_the_spec_is_silent() -> None:
    """Cluster.spec.clusterNetwork yields to spec.networking, field by field."""
    config = kind_config(
        spec(networking={"podSubnet": "10.1.0.0/16"}), "demo", pod_subnet="10.2.0.0/16", service_subnet="10.3.0.0/16"
    )

    assert {"podSubnet": "10.1.0.0/16", "serviceSubnet": "10.3.0.0/16"} == config["networking"]


@pytest.mark.parametrize(
    ("pods", "services", "family"),
    [
        ("10.2.0.0/16", "10.3.0.0/16", None),
        ("fd00:1::/56", "fd00:2::/112", "ipv6"),
        ("10.2.0.0/16,fd00:1::/56", "10.3.0.0/16,fd00:2::/112", "dual"),
        ("nonsense", None, None),
    ],
)
def test_the_owners_network_decides_the_family(pods: str, services: str | None, family: str | None) -> None:
    """Cluster API has no ipFamily field; its CIDR blocks tell."""
    config = kind_config(spec(), "demo", pod_subnet=pods, service_subnet=services)

    assert family == config["networking"].get("ipFamily")


def test_a_family_in_the_spec_is_not_second_guessed() -> None:
    """What the user wrote stays; kind's own validation tells about a mismatch."""
    config = kind_config(spec(networking={"ipFamily": "ipv4"}), "demo", pod_subnet="fd00:1::/56")

    assert "ipv4" == config["networking"]["ipFamily"]


@pytest.mark.parametrize(
    ("fields", "default", "image"),
    [
        ({}, None, None),
        ({}, "kindest/node:v9", "kindest/node:v9"),
        ({"version": "v1.34.4"}, "kindest/node:v9", None),
        ({"imageRepository": "mirror.example"}, "kindest/node:v9", None),
        ({"version": "v1.34.4", "image": "example.org/n:1"}, "kindest/node:v9", "example.org/n:1"),
    ],
)
def test_the_most_specific_name_wins(fields: dict[str, Any], default: str | None, image: str | None) -> None:
    """spec.image, then what is chosen for spec.version or below spec.imageRepository, then the manager's default, then kind's own."""
    assert image == named_image(spec(**fields), default)


def test_a_nodes_own_image_stays_with_the_node() -> None:
    """The request's image is only for nodes that name none."""
    request = cluster_request(spec(**FULL), cluster_name="demo", options=ReconcileOptions())

    assert [None, "kindest/node:v1.33.1"] == [node.get("image") for node in request.config["nodes"]]
    assert (None, "v1.34.4") == (request.image, request.version)


@pytest.mark.parametrize(("text", "value"), [("30s", 30), ("10m", 600), ("1h30m", 5400), ("2h", 7200)])
def test_durations_are_seconds(text: str, value: int) -> None:
    """createTimeout is written as Go writes durations."""
    assert value == cluster_request(spec(createTimeout=text), cluster_name="demo", options=ReconcileOptions()).timeout


def test_the_hash_is_of_the_shape_alone() -> None:
    """A longer deadline is no other cluster; another worker is. The value is fixed: it is kept in status."""
    one = cluster_request(spec(createTimeout="5m"), cluster_name="demo", options=ReconcileOptions())
    same = cluster_request(spec(createTimeout="9m", retainOnFailure=True), cluster_name="demo", options=ReconcileOptions())
    other = cluster_request(spec(workerReplicas=1), cluster_name="demo", options=ReconcileOptions())

    hashes = [fingerprint(request.config, image=request.image, version=request.version) for request in (one, same, other)]

    assert hashes[0] == hashes[1] != hashes[2]
    assert "38bd3b55e2891a3ac52a158df3e4c3bb" == hashes[0]


@given(st.integers(1, 9), st.integers(0, 50))
def test_every_replica_becomes_a_node_with_a_role(control_planes: int, workers: int) -> None:
    """The short form and the list of containers to expect agree."""
    config = kind_config(spec(controlPlaneReplicas=control_planes, workerReplicas=workers), "demo")
    roles = [role for _, role in node_names(config, load_balancer=False)]

    assert [NodeRole.CONTROL_PLANE] * control_planes + [NodeRole.WORKER] * workers == roles


@pytest.mark.fault(45, "any text in patches, rendered and read again", invariants="I3")
@given(st.text(max_size=40), st.text(max_size=40))
def test_text_of_users_survives_the_trip_through_yaml(kubeadm: str, containerd: str) -> None:
    """Dumped, never templated: no text of a user can become structure."""
    config = kind_config(spec(kubeadmConfigPatches=[kubeadm], containerdConfigPatches=[containerd]), "demo")

    assert json.loads(json.dumps(config)) == yaml.safe_load(yaml.safe_dump(config))
