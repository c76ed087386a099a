"""The kinds that are served and all that belongs to a definition besides the shape of its objects: columns, short names, labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from provider.api import contract, names
from provider.api.meta import JsonObject, Resource
from provider.api.v1alpha1 import kindcluster, kindcontrolplane, templates


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`, after NAME."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0
    """0 is always shown, 1 only by `-o wide`."""


@dataclass(frozen=True, slots=True)
class CustomResource:
    """A kind to be served, and everything about it that is not the shape of its objects."""

    resource: Resource
    model: type[BaseModel]
    columns: Sequence[Column] = ()
    """None: NAME and AGE, as the API server shows every object."""
    short_names: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    scale: bool = False
    """Whether spec.replicas and status.replicas are served as the scale subresource."""

    @property
    def name(self) -> str:
        return f"{self.resource.plural}.{self.resource.group}"

    @property
    def subresources(self) -> JsonObject:
        served: JsonObject = {"status": {}} if "status" in self.model.model_fields else {}
        return served | ({"scale": SCALE} if self.scale else {})

    @property
    def file_name(self) -> str:
        return f"{self.resource.group}_{self.resource.plural}.yaml"


CONTRACT_LABELS = {
    f"{contract.CAPI_GROUP}/{contract.CONTRACT}": names.VERSION,
    contract.PROVIDER_LABEL: contract.PROVIDER_NAME,
}

SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}
AGE = Column("Age", ".metadata.creationTimestamp", "date")

RESOURCES = (
    CustomResource(
        resource=names.KINDCLUSTERS,
        model=kindcluster.KINDCluster,
        short_names=("kc",),
        labels=CONTRACT_LABELS,
        columns=(
            Column("Cluster", ".status.clusterName"),
            Column("Phase", ".status.phase"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Version", ".status.version"),
            Column("Nodes", ".status.nodesReady"),
            Column("Endpoint", ".status.endpoints.host"),
            AGE,
            Column("Runtime", ".status.runtime", priority=1),
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', priority=1),
        ),
    ),
    CustomResource(
        resource=names.KINDCLUSTER_TEMPLATES,
        model=templates.KINDClusterTemplate,
        labels=CONTRACT_LABELS,
    ),
    CustomResource(
        resource=names.KINDCONTROLPLANES,
        model=kindcontrolplane.KINDControlPlane,
        labels=CONTRACT_LABELS,
        scale=True,
        columns=(
            Column("Cluster", r".metadata.labels['cluster\.x-k8s\.io/cluster-name']"),
            Column("Available", '.status.conditions[?(@.type=="Available")].status'),
            Column("Up To Date", '.status.conditions[?(@.type=="UpToDate")].status'),
            Column("Version", ".spec.version"),
            Column("Replicas", ".status.replicas", "integer"),
            AGE,
            Column("Message", '.status.conditions[?(@.type=="UpToDate")].message', priority=1),
        ),
    ),
    CustomResource(
        resource=names.KINDCONTROLPLANE_TEMPLATES,
        model=templates.KINDControlPlaneTemplate,
        labels=CONTRACT_LABELS,
    ),
)
