"""provider.api.v1alpha1: how objects are read, and that names are the ones that others have given."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from provider.api.phases import Phase
from provider.api.v1alpha1 import common
from provider.api.v1alpha1.kindcluster import KINDCluster, KINDClusterSpec
from provider.api.v1alpha1.status import KINDClusterStatus

KIND = {
    KINDClusterSpec: {
        "nodes",
        "networking",
        "featureGates",
        "runtimeConfig",
        "kubeadmConfigPatches",
        "kubeadmConfigPatchesJSON6902",
        "containerdConfigPatches",
        "containerdConfigPatchesJSON6902",
    },
    common.Node: {
        "role",
        "image",
        "labels",
        "extraMounts",
        "extraPortMappings",
        "kubeadmConfigPatches",
        "kubeadmConfigPatchesJSON6902",
    },
    common.Mount: {"containerPath", "hostPath", "readOnly", "selinuxRelabel", "propagation"},
    common.PortMapping: {"containerPort", "hostPort", "listenAddress", "protocol"},
    common.PatchJSON6902: {"group", "version", "kind", "patch"},
    common.Networking: {
        "ipFamily",
        "apiServerPort",
        "apiServerAddress",
        "podSubnet",
        "serviceSubnet",
        "disableDefaultCNI",
        "kubeProxyMode",
        "dnsSearch",
    },
}
"""Fields of kind.x-k8s.io/v1alpha4 (pkg/apis/config/v1alpha4/types.go); a Cluster's name is our clusterName."""

OURS = {
    "addons",
    "clusterName",
    "version",
    "image",
    "images",
    "imageRepository",
    "controlPlaneReplicas",
    "workerReplicas",
    "runtime",
    "deletionPolicy",
    "healPolicy",
    "retainOnFailure",
    "createTimeout",
    "updatePolicy",
    "configFrom",
    "standalone",
    "powerState",
    "ttl",
    "expiresAt",
    "expiryPolicy",
    "registry",
    "registryMirrors",
    "controlPlaneEndpoint",
    "identity",
}


def outside(model: type[BaseModel]) -> set[str]:
    """Field names as in YAML."""
    return {str(field.alias) for field in model.model_fields.values()}


@pytest.mark.parametrize("model", KIND, ids=lambda model: model.__name__)
def test_every_field_of_kind_is_there_under_its_own_name(model: type[BaseModel]) -> None:
    """What people know from kind works here unchanged; on top there are only our own."""
    assert outside(model) == KIND[model] | (OURS if model is KINDClusterSpec else set())


def test_fields_of_a_newer_version_are_ignored() -> None:
    """An older provider survives objects written for a newer one."""
    read = KINDCluster.model_validate(
        {"metadata": {"name": "x"}, "spec": {"workerReplicas": 1, "future": {"a": 1}}, "status": {"b": 2}}
    )
    assert read.spec == KINDClusterSpec(worker_replicas=1)
    assert read.status == KINDClusterStatus()


@pytest.mark.parametrize("raw", [{}, {"spec": None}, {"spec": None, "status": None}])
def test_an_object_without_spec_can_be_read(raw: dict[str, Any]) -> None:
    """Everything is optional: a KINDCluster of one line is one node."""
    assert KINDCluster.model_validate(raw).spec is None


def test_what_is_written_contains_no_null() -> None:
    """Dumped without None: absent is absent. Cluster API fails on `controlPlaneEndpoint: null`."""
    spec = KINDClusterSpec.model_validate({"controlPlaneEndpoint": None, "networking": {"dnsSearch": []}})
    assert spec.model_dump(by_alias=True, exclude_none=True) == {"networking": {"dnsSearch": []}}


def test_a_spec_cannot_be_changed_by_accident() -> None:
    """Models are frozen."""
    spec = KINDClusterSpec(worker_replicas=1)
    with pytest.raises(ValidationError, match="frozen"):
        spec.worker_replicas = 2  # type: ignore[misc]


def test_a_bad_value_is_not_repeated_in_the_error() -> None:
    """Errors go to logs and conditions; what was in the field (a patch may hold a secret) does not."""
    with pytest.raises(ValidationError) as failure:
        KINDClusterSpec.model_validate({"image": "--secret value"})
    assert "secret" not in str(failure.value)


def test_phases_of_the_api_are_the_phases_of_the_code() -> None:
    """status.phase is an enumeration; a phase missing there would make the status unwritable."""
    optional = KINDClusterStatus.model_fields["phase"].annotation
    assert set(get_args(get_args(optional)[0])) == {phase.value for phase in Phase}
