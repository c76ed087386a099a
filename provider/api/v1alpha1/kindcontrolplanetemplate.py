"""KINDControlPlaneTemplate v1alpha1: what a ClusterClass makes the KINDControlPlanes of its Clusters from."""

from __future__ import annotations

from pydantic import Field

from provider.api import names
from provider.api.customresource import CustomResource
from provider.api.meta import Resource
from provider.api.model import Model
from provider.api.v1alpha1.common import TemplateMetadata

KINDCONTROLPLANE_TEMPLATES = Resource(
    names.CONTROL_PLANE_GROUP, names.VERSION, "kindcontrolplanetemplates", "KINDControlPlaneTemplate"
)


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


DEFINITION = CustomResource(resource=KINDCONTROLPLANE_TEMPLATES, model=KINDControlPlaneTemplate)
