"""What the definition of a kind says besides the shape of its objects: names, columns of `kubectl get`, labels, subresources.

Only the types live here. Each kind's definition stands in the file of the kind, and provider.api.v1alpha1 lists them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provider.api import contract
from provider.api.meta import JsonObject, Resource
from provider.api.model import Model


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`, after NAME."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0
    """0 is always shown, 1 only by `-o wide`."""


AGE = Column("Age", ".metadata.creationTimestamp", "date")
SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


@dataclass(frozen=True, slots=True)
class CustomResource:
    """A kind to be served."""

    resource: Resource
    model: type[Model]
    columns: Sequence[Column] = ()
    """None: NAME and AGE, as the API server shows every object."""
    short_names: Sequence[str] = ()
    scale: bool = False
    """Whether spec.replicas and status.replicas are served as the scale subresource."""

    @property
    def name(self) -> str:
        return f"{self.resource.plural}.{self.resource.group}"

    @property
    def labels(self) -> Mapping[str, str]:
        """By the first, Cluster API finds the version that speaks its contract; by the second, clusterctl finds what is the provider's."""
        return {
            f"{contract.CAPI_GROUP}/{contract.CONTRACT}": self.resource.version,
            contract.PROVIDER_LABEL: contract.PROVIDER_NAME,
        }

    @property
    def subresources(self) -> JsonObject:
        served: JsonObject = {"status": {}} if "status" in self.model.model_fields else {}
        return served | ({"scale": SCALE} if self.scale else {})

    @property
    def file_name(self) -> str:
        return f"{self.resource.group}_{self.resource.plural}.yaml"
