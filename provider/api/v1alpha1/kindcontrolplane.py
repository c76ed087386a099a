"""KINDControlPlane v1alpha1: what a topology says about the control plane, and what became of it."""

from __future__ import annotations

from pydantic import Field

from provider.api import names
from provider.api.customresource import AGE, UNSEEN, Column, CustomResource, Scale
from provider.api.meta import Resource
from provider.api.model import Model, validated_by
from provider.api.rules.cluster import VERSION
from provider.api.v1alpha1.common import KubernetesVersion
from provider.api.v1alpha1.status import (
    AvailableReplicas,
    Conditions,
    ReadyReplicas,
    Replicas,
    Selector,
    UpToDateReplicas,
    VersionStatus,
)

KINDCONTROLPLANES = Resource(names.CONTROL_PLANE_GROUP, names.VERSION, "kindcontrolplanes", "KINDControlPlane")


@validated_by(VERSION)
class KINDControlPlaneSpec(Model):
    """What a topology says about the control plane."""

    version: KubernetesVersion = Field(description='version of Kubernetes, e.g. "v1.34.4"; set by the topology.')
    replicas: int | None = Field(None, ge=1, le=9, description="replicas: number of control-plane nodes; absent: 1.")


class ControlPlaneInitialization(Model):
    """One-way marks of the Cluster API contract."""

    control_plane_initialized: bool | None = Field(None, description="controlPlaneInitialized: the API server has answered.")


class KINDControlPlaneStatus(Model):
    """What is known of the control plane, mirrored from the KINDCluster of the same Cluster."""

    ready: bool | None = Field(None, description="ready: the cluster is usable now (v1beta1 contract).")
    initialized: bool | None = Field(None, description="initialized: the API server has answered (v1beta1 contract).")
    initialization: ControlPlaneInitialization | None = Field(
        None, description="initialization: one-way marks of the Cluster API contract (v1beta2)."
    )
    conditions: Conditions = Field(
        None, description="conditions of the KINDCluster that a control plane has as well, and Paused."
    )
    version: str | None = Field(None, max_length=64, description="version that the API server reports.")
    versions: list[VersionStatus] | None = Field(None, max_length=16, description="versions of Kubernetes in use, oldest first.")
    replicas: Replicas = None
    ready_replicas: ReadyReplicas = None
    available_replicas: AvailableReplicas = None
    up_to_date_replicas: UpToDateReplicas = None
    selector: Selector = None
    observed_generation: int | None = Field(
        None,
        ge=-1,
        description="observedGeneration is the generation of the spec that this status speaks about; -1: of none yet.",
    )


class KINDControlPlane(Model):
    """KINDControlPlane is the control plane of a Cluster with a topology: it says which version, the KINDCluster runs it."""

    spec: KINDControlPlaneSpec = Field(description="spec is what is wanted.")
    status: KINDControlPlaneStatus | None = Field(None, description="status is what is there; written by the provider.")


DEFINITION = CustomResource(
    resource=KINDCONTROLPLANES,
    model=KINDControlPlane,
    status=UNSEEN,
    scale=Scale(".spec.replicas", ".status.replicas"),
    columns=(
        Column("Cluster", r".metadata.labels['cluster\.x-k8s\.io/cluster-name']"),
        Column("Available", '.status.conditions[?(@.type=="Available")].status'),
        Column("Up To Date", '.status.conditions[?(@.type=="UpToDate")].status'),
        Column("Version", ".spec.version"),
        Column("Replicas", ".status.replicas", "integer"),
        AGE,
        Column("Message", '.status.conditions[?(@.type=="UpToDate")].message', priority=1),
    ),
)
