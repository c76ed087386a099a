"""What a ClusterClass is made of, v1alpha1: KINDClusterTemplate, KINDControlPlane and KINDControlPlaneTemplate. Shapes only.

A Cluster with a topology clones two objects, one for its infrastructure and one for its control plane (Cluster API,
exp/topology/desiredstate). The KINDCluster is the whole cluster; a KINDControlPlane carries what the topology says about the control
plane (version, replicas) and mirrors what became of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from provider.api.model import Model
from provider.api.patterns import LABEL_KEY_PATTERN, LABEL_VALUE_PATTERN, VERSION_PATTERN
from provider.api.v1alpha1 import ClusterSettings
from provider.api.v1alpha1_status import Condition, VersionStatus

MetaKey = Annotated[str, Field(max_length=317, pattern=LABEL_KEY_PATTERN)]
MetaLabel = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE_PATTERN)]
MetaText = Annotated[str, Field(max_length=4096)]


class TemplateMetadata(Model):
    """What every object made from a template gets."""

    labels: dict[MetaKey, MetaLabel] | None = Field(None, max_length=32, description="labels of the objects made from it.")
    annotations: dict[MetaKey, MetaText] | None = Field(
        None, max_length=32, description="annotations of the objects made from it."
    )


# --- infrastructure ----------------------------------------------------------------------------------------------------------------


class KINDClusterTemplateSpec(ClusterSettings):
    """A KINDCluster's spec without what belongs to one cluster: its name, version and control-plane replicas come from the topology."""

    update_policy: Literal["Report", "Recreate"] = Field(
        description=(
            "updatePolicy says what an edit of the topology or its class does that needs other nodes: Report accepts it, changes "
            "nothing and says so in the condition UpToDate, Recreate replaces the cluster (its content is lost)."
        ),
    )


class KINDClusterTemplateResource(Model):
    """What a KINDCluster is made from."""

    metadata: TemplateMetadata | None = Field(None, description="metadata of the KINDClusters made from it.")
    spec: KINDClusterTemplateSpec = Field(description="spec of the KINDClusters made from it.")


class KINDClusterTemplateBody(Model):
    """The contract's spec.template."""

    template: KINDClusterTemplateResource = Field(description="template of the KINDClusters made from it.")


class KINDClusterTemplate(Model):
    """KINDClusterTemplate is what a ClusterClass makes the KINDClusters of its Clusters from."""

    spec: KINDClusterTemplateBody = Field(description="spec holds the template.")


# --- control plane -----------------------------------------------------------------------------------------------------------------


class KINDControlPlaneSpec(Model):
    """What a topology says about the control plane."""

    version: str = Field(
        max_length=64, pattern=VERSION_PATTERN, description='version of Kubernetes, e.g. "v1.34.4"; set by the topology.'
    )
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
    conditions: list[Condition] | None = Field(
        None,
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        description="conditions of the KINDCluster that a control plane has as well, and Paused.",
    )
    version: str | None = Field(None, max_length=64, description="version that the API server reports.")
    versions: list[VersionStatus] | None = Field(None, max_length=16, description="versions of Kubernetes in use, oldest first.")
    replicas: int | None = Field(None, ge=0, description="replicas: control-plane nodes that exist.")
    ready_replicas: int | None = Field(None, ge=0, description="readyReplicas: control-plane nodes that are Ready.")
    available_replicas: int | None = Field(None, ge=0, description="availableReplicas: control-plane nodes that are Ready.")
    up_to_date_replicas: int | None = Field(
        None, ge=0, description="upToDateReplicas: control-plane nodes that are as the spec wants them."
    )
    selector: str | None = Field(
        None, max_length=512, description="selector of the scale subresource; no object of the management cluster matches it."
    )
    observed_generation: int | None = Field(
        None, ge=0, description="observedGeneration is the generation of the spec that this status speaks about."
    )


class KINDControlPlane(Model):
    """KINDControlPlane is the control plane of a Cluster with a topology: it says which version, the KINDCluster runs it."""

    spec: KINDControlPlaneSpec = Field(description="spec is what is wanted.")
    status: KINDControlPlaneStatus | None = Field(None, description="status is what is there; written by the provider.")


class KINDControlPlaneTemplateSpec(Model):
    """Nothing to choose: version and replicas come from the topology, everything else from the KINDCluster."""


class KINDControlPlaneTemplateResource(Model):
    """What a KINDControlPlane is made from."""

    metadata: TemplateMetadata | None = Field(None, description="metadata of the KINDControlPlanes made from it.")
    spec: KINDControlPlaneTemplateSpec | None = Field(None, description="spec of the KINDControlPlanes made from it; empty.")


class KINDControlPlaneTemplateBody(Model):
    """The contract's spec.template."""

    template: KINDControlPlaneTemplateResource = Field(description="template of the KINDControlPlanes made from it.")


class KINDControlPlaneTemplate(Model):
    """KINDControlPlaneTemplate is what a ClusterClass makes the KINDControlPlanes of its Clusters from."""

    spec: KINDControlPlaneTemplateBody = Field(description="spec holds the template.")
