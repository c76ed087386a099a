"""What a ClusterClass makes objects from, v1alpha1: KINDClusterTemplate and KINDControlPlaneTemplate. Shapes only.

A Cluster with a topology clones two objects, one for its infrastructure and one for its control plane (Cluster API,
exp/topology/desiredstate). The KINDCluster is the whole cluster; a KINDControlPlane carries what the topology says about the control
plane (version, replicas) and mirrors what became of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from provider.api.markers import FREE, Marker
from provider.api.model import Model, validated_by
from provider.api.patterns import LABEL_KEY_PATTERN, LABEL_VALUE_PATTERN
from provider.api.rules.cluster import TEMPLATE
from provider.api.v1alpha1.common import ClusterSettings

MetaKey = Annotated[str, Field(max_length=317, pattern=LABEL_KEY_PATTERN)]
MetaLabel = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE_PATTERN)]
MetaText = Annotated[str, Field(max_length=4096)]


class TemplateMetadata(Model):
    """What every object made from a template gets."""

    labels: dict[MetaKey, MetaLabel] | None = Field(None, max_length=32, description="labels of the objects made from it.")
    annotations: dict[MetaKey, MetaText] | None = Field(
        None, max_length=32, description="annotations of the objects made from it."
    )


@validated_by(*TEMPLATE)
class KINDClusterTemplateSpec(ClusterSettings):
    """A KINDCluster's spec without what belongs to one cluster: its name, version and control-plane replicas come from the topology."""

    update_policy: Annotated[Literal["Report", "Recreate"], Marker(FREE)] = Field(
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
