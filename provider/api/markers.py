"""What a field of a spec says besides its shape: when it may change, what runtime `local` does with it, and what kind calls it.

One `Marker` stands on each field, as metadata of its type:

    feature_gates: Annotated[dict[str, bool] | None, Marker(Mutability.RECREATE, kind=SAME)] = Field(None, ...)

Whatever depends on these properties asks `marked_fields`, so that a new field is declared in one place (ADR 83): CEL rules, kind's
document, the record of what a cluster was made from, what runtime `local` refuses, the reference. The fields of an object below a spec are
either all marked, or none is; then they take the marker of the field that holds the object. A missing marker raises, already at import;
that none contradicts its field or its holder is proved by tests/unit/api/test_markers.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


class UpdateClass(StrEnum):
    """What it takes to bring a change of a field to a cluster that has been made; each costs more than the one before it."""

    IN_PLACE = "InPlace"
    """The cluster goes on with all that it holds."""
    RECREATE = "Recreate"
    """The cluster is deleted and made anew: its content is lost. Only with consent."""
    IMPOSSIBLE = "Impossible"
    """Not even a replacement brings it: only a new object does."""


class Mutability(StrEnum):
    """When a field may change. The values are the words of the reference."""

    FREE = "at any time"
    IN_PLACE = "at any time, in place"
    """The cluster follows as it is: nodes join and leave (docs/adr/0109). Part of what it was made from, all the same."""
    RECREATE = "with a new cluster"
    """kind reads it only while it makes a cluster. Free until the cluster is there; then spec.updatePolicy decides about an edit."""
    KEPT = "until there is a cluster"
    """As RECREATE, but a replaced cluster cannot bring it either: where the cluster runs, and the endpoint that was published."""
    ONCE = "no: written by the provider"
    """Absent until the provider writes it; cannot be changed or removed afterwards."""
    IMMUTABLE = "never"

    @property
    def update_class(self) -> UpdateClass:
        match self:
            case Mutability.FREE | Mutability.IN_PLACE:
                return UpdateClass.IN_PLACE
            case Mutability.RECREATE:
                return UpdateClass.RECREATE
            case Mutability.KEPT | Mutability.ONCE | Mutability.IMMUTABLE:
                return UpdateClass.IMPOSSIBLE


class Local(StrEnum):
    """What runtime `local` (processes, no containers) does with a field. The values are the runtimes that honour it."""

    HONOURED = "all"
    REFUSED = "kind"
    """It means nothing without containers; to ignore it would make another cluster than was asked for."""
    WITHOUT_EFFECT = "kind; no effect on local"
    """Accepted, because there is nothing that it could change."""


FREE, IN_PLACE, RECREATE, KEPT, ONCE, IMMUTABLE = Mutability
REFUSED, WITHOUT_EFFECT = Local.REFUSED, Local.WITHOUT_EFFECT
# Short, because every field of a spec spells one of them.

SAME = ""
"""kind has the field under our own name."""


@dataclass(frozen=True, slots=True)
class Marker:
    mutability: Mutability
    local: Local = Local.HONOURED
    kind: str | None = None
    """Its name in kind's document (kind pkg/apis/config/v1alpha4/types.go), or SAME; None: not part of that document."""


@dataclass(frozen=True, slots=True)
class MarkedField:
    """A field of a spec, its marker and, if it holds an object or a list of objects, the fields of these."""

    attribute: str
    name: str
    """As in YAML."""
    marker: Marker
    info: FieldInfo
    fields: tuple[MarkedField, ...] = ()
    is_list: bool = False

    @property
    def kind_name(self) -> str | None:
        """Its name in kind's document; None: not part of it."""
        return self.name if self.marker.kind == SAME else self.marker.kind


def below(fields: Sequence[MarkedField], path: str = "") -> Iterator[tuple[str, Sequence[MarkedField]]]:
    """These fields and those of all objects below, each with the path of the object: "", "nodes[].", "nodes[].extraMounts[]."."""
    yield path, fields
    for field in fields:
        if field.fields:
            yield from below(field.fields, f"{path}{field.name}{'[]' if field.is_list else ''}.")


@cache
def marked_fields(model: type[BaseModel]) -> tuple[MarkedField, ...]:
    """All fields of a spec, in the order of the model. Raises ValueError for a missing marker."""
    return _fields(model, None, model.__name__)


def _fields(model: type[BaseModel], holder: Marker | None, place: str) -> tuple[MarkedField, ...]:
    own = {name: [entry for entry in info.metadata if isinstance(entry, Marker)] for name, info in model.model_fields.items()}
    if holder is not None and not any(own.values()):
        inherited = replace(holder, kind=None if holder.kind is None else SAME)
        own = {attribute: [inherited] for attribute in own}
    found = []
    for attribute, info in model.model_fields.items():
        name = str(info.alias or attribute)
        path = f"{place}.{name}"
        if len(own[attribute]) != 1:
            raise ValueError(f"{path}: one Marker expected, {len(own[attribute])} found")
        (marker,) = own[attribute]
        held, is_list = object_of(info.annotation)
        fields = _fields(held, marker, path) if held else ()
        found.append(MarkedField(attribute, name, marker, info, fields, is_list))
    return tuple(found)


def object_of(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model of the object that a type holds, and whether it is a list of them; a map counts as a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    if get_origin(annotation) is not dict:
        for part in get_args(annotation):
            model, is_list = object_of(part)
            if model is not None:
                return model, is_list or get_origin(annotation) is list
    return None, False
