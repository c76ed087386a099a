"""What the definition of a kind says besides the shape of its objects: names and columns of `kubectl get`.

Only the types live here. Each kind's definition stands in the file of the kind, and provider.api.v1alpha1 lists them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
UNSEEN = {"observedGeneration": -1}
"""Default of a status: what an object says that no manager has seen. Without it, kstatus calls such an object finished (docs/adr/0090)."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What the scale subresource reads and writes, as JSON paths. A version of a kind can have one only."""

    wanted: str
    there: str


@dataclass(frozen=True, slots=True)
class CustomResource:
    """A kind to be served."""

    resource: Resource
    model: type[Model]
    columns: Sequence[Column] = ()
    """None: NAME and AGE, as the API server shows every object."""
    short_names: Sequence[str] = ()
    status: Mapping[str, int] = field(default_factory=dict)
    """Default of the status; empty: there is none."""
    scale: Scale | None = None
