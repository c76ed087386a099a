"""KINDClusterTemplate v1alpha1: what a ClusterClass makes the KINDClusters of its Clusters from.

A Cluster with a topology clones two objects, one for its infrastructure and one for its control plane (Cluster API,
exp/topology/desiredstate): from this template, and from a KINDControlPlaneTemplate.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from provider.api import names
from provider.api.customresource import CustomResource
from provider.api.markers import FREE, Marker
from provider.api.meta import Resource
from provider.api.model import Model, validated_by
from provider.api.rules.cluster import TEMPLATE
from provider.api.v1alpha1.common import ClusterSettings, TemplateMetadata

KINDCLUSTER_TEMPLATES = Resource(names.GROUP, names.VERSION, "kindclustertemplates", "KINDClusterTemplate")


@validated_by(*TEMPLATE)
class KINDClusterTemplateSpec(ClusterSettings):
    """A KINDCluster's spec without what belongs to one cluster: its name, version and control-plane replicas come from the topology."""

    update_policy: Annotated[Literal["Report", "Recreate"], Marker(FREE)] = Field(
        description=(
            "updatePolicy says what an edit of the topology or its class does that needs other nodes: Report accepts it and changes "
            "nothing until the plan in the KINDCluster's status.plan is approved, Recreate replaces the cluster (its content is lost)."
        )
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


DEFINITION = CustomResource(resource=KINDCLUSTER_TEMPLATES, model=KINDClusterTemplate)
