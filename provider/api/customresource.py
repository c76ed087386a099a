"""What the definition of a kind says besides the shape of its objects: names and columns of `kubectl get`.

Only the types live here. Each kind's definition stands in the file of the kind, and provider.api.v1alpha1 lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provider.api.meta import Resource
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


@dataclass(frozen=True, slots=True)
class CustomResource:
    """A kind to be served."""

    resource: Resource
    model: type[Model]
    columns: Sequence[Column] = ()
    """None: NAME and AGE, as the API server shows every object."""
    short_names: Sequence[str] = ()
    scale: str = ""
    """JSON path of the wanted replicas, served with status.replicas as the scale subresource; empty: there is none."""
