"""provider.api.markers: every field of a spec says when it may change, what runtime local does with it and what kind calls it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from hack import crdgen
from provider.api.markers import (
    FREE,
    IMMUTABLE,
    KEPT,
    ONCE,
    RECREATE,
    REFUSED,
    SAME,
    Local,
    MarkedField,
    Marker,
    below,
    marked_fields,
)
from provider.api.v1alpha1.common import ClusterSettings
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.api.v1alpha1.kindclustertemplate import KINDClusterTemplateSpec


def model(name: str = "Made", **fields: Any) -> type[BaseModel]:
    """A model of these fields: annotation, or (annotation, True) for a required one."""
    required = {field for field, given in fields.items() if isinstance(given, tuple)}
    annotations = {field: given[0] if field in required else given for field, given in fields.items()}
    defaults = {field: Field(None) for field in fields.keys() - required}
    return type(name, (BaseModel,), {"__annotations__": annotations, **defaults})


def held(marker: Marker, **fields: Any) -> type[BaseModel]:
    """A model whose field `box` holds an object of these fields."""
    return model(box=Annotated[model("Box", **fields) | None, marker])


def listed(marker: Marker, **fields: Any) -> type[BaseModel]:
    return model(boxes=Annotated[list[model("Box", **fields)] | None, marker])  # type: ignore[misc]


def text(*markers: Marker) -> Any:
    return Annotated[str | None, *markers]


def contradictions(
    fields: Sequence[MarkedField], path: str = "", holder: Marker | None = None, *, inside_list: bool = False
) -> Iterator[str]:
    """Why markers cannot stand where they do, each with the field. `holder`: of the field that holds the object; None at the top."""
    names = [field.kind_name for field in fields if field.kind_name is not None]
    if len(names) != len(set(names)):
        yield f"{path}: two fields have the same name in kind's document"
    for field in fields:
        place = f"{path}.{field.name}".removeprefix(".")
        yield from (f"{place}: {complaint}" for complaint in impossible(field))
        yield from (f"{place}: {complaint}" for complaint in misplaced(field, holder, inside_list=inside_list))
        yield from contradictions(field.fields, place, field.marker, inside_list=inside_list or field.is_list)


def impossible(field: MarkedField) -> Iterator[str]:
    """What no field can be, wherever it stands."""
    if field.marker.kind is not None and field.marker.mutability in (FREE, ONCE):
        yield f'kind reads its document once: a field of it cannot change "{field.marker.mutability}"'


def misplaced(field: MarkedField, holder: Marker | None, *, inside_list: bool) -> Iterator[str]:
    """What a field cannot be in the object that holds it, or at the top of a spec."""
    marker, required, refused = field.marker, field.info.is_required(), field.marker.local is REFUSED
    if required and refused and (holder is None or holder.local is not REFUSED):
        yield "a required field that runtime local refuses would shut it out"
    if holder is None:
        if required and marker.mutability is ONCE:
            yield "what the provider writes later cannot be required"
        return
    if marker.mutability is not holder.mutability:
        if (holder.mutability, marker.mutability) != (RECREATE, KEPT):
            yield f'it is part of a field that may change "{holder.mutability}", not "{marker.mutability}"'
        if inside_list:
            yield "lists are compared as a whole: nothing inside can be kept on its own"
    if holder.local is REFUSED and not refused:
        yield "runtime local refuses the object that it is part of"
    if holder.kind is None and marker.kind is not None:
        yield "kind has no object that it could be part of"
    if marker.kind:
        # Messages about kind's document and the record of what a cluster was made from name the fields of objects by kind's names.
        yield "inside an object, a field has the name that kind gave it"


SPECS = pytest.mark.parametrize(
    "spec", [KINDClusterSpec, ClusterSettings, KINDClusterTemplateSpec], ids=lambda spec: spec.__name__
)


@SPECS
def test_every_field_of_a_spec_has_a_marker(spec: type[BaseModel]) -> None:
    """Of the spec and of all objects below it; one that is missing raises."""
    found = {path + field.name for path, fields in below(marked_fields(spec)) for field in fields}
    properties = crdgen.structural(spec)["properties"]

    def paths(schema: dict[str, Any], path: str) -> set[str]:
        inner = schema.get("items", {}).get("properties")
        deeper, mark = (inner, "[].") if inner else (schema.get("properties", {}), ".")
        return {path}.union(*(paths(child, f"{path}{mark}{name}") for name, child in deeper.items()))

    assert found == set().union(*(paths(schema, name) for name, schema in properties.items()))


@SPECS
def test_no_marker_of_a_spec_contradicts_its_place(spec: type[BaseModel]) -> None:
    """Neither its field nor the object that holds it."""
    assert [] == list(contradictions(marked_fields(spec)))


def test_fields_of_an_object_without_markers_have_the_holders() -> None:
    """A mount is part of a node's list of mounts: what holds for the list holds for each field of a mount."""
    (box,) = marked_fields(held(Marker(RECREATE, REFUSED, kind="case"), a=str | None))
    (inner,) = box.fields
    assert (box.kind_name, inner.kind_name) == ("case", "a")
    assert inner.marker == Marker(RECREATE, REFUSED, kind=SAME)


def test_what_is_no_part_of_kinds_document_has_no_name_there() -> None:
    """Neither the field nor what is below it."""
    (box,) = marked_fields(held(Marker(FREE), a=str | None))
    assert box.kind_name is box.fields[0].kind_name is None


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (model(a=str | None), "Made.a: one Marker expected, 0 found"),
        (model(a=text(Marker(FREE), Marker(FREE))), "Made.a: one Marker expected, 2 found"),
        (held(Marker(RECREATE), a=text(Marker(RECREATE)), b=str | None), "Made.box.b: one Marker expected, 0 found"),
    ],
)
def test_a_missing_marker_is_refused_with_the_field(spec: type[BaseModel], complaint: str) -> None:
    """It stops the import: nothing could be derived from the field."""
    with pytest.raises(ValueError, match=complaint):
        marked_fields(spec)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (
            model(a=text(Marker(RECREATE, kind="x")), x=text(Marker(RECREATE, kind=SAME))),
            "two fields have the same name in kind's",
        ),
        (model(a=text(Marker(FREE, kind=SAME))), "a: kind reads its document once"),
        (model(a=text(Marker(ONCE, kind="x"))), "a: kind reads its document once"),
        (model(a=(text(Marker(RECREATE, REFUSED)), True)), "a: a required field that runtime local refuses would shut it out"),
        (model(a=(text(Marker(ONCE)), True)), "a: what the provider writes later cannot be required"),
        (held(Marker(RECREATE), a=text(Marker(FREE))), 'part of a field that may change "with a new cluster", not "at any time"'),
        (held(Marker(FREE), a=text(Marker(KEPT))), 'not "until there is a cluster"'),
        (listed(Marker(RECREATE), a=text(Marker(KEPT))), "boxes.a: lists are compared as a whole"),
        (held(Marker(RECREATE, REFUSED), a=text(Marker(RECREATE))), "runtime local refuses the object"),
        (held(Marker(RECREATE), a=(text(Marker(RECREATE, REFUSED)), True)), "box.a: a required field that runtime local refuses"),
        (held(Marker(RECREATE), a=text(Marker(RECREATE, kind=SAME))), "kind has no object that it could be part of"),
        (held(Marker(RECREATE, kind=SAME), a=text(Marker(RECREATE, kind="b"))), "has the name that kind gave it"),
    ],
)
def test_a_contradiction_is_found(spec: type[BaseModel], complaint: str) -> None:
    """The test above can fail: each kind of contradiction is reported, with the field."""
    (found,) = contradictions(marked_fields(spec))
    assert complaint in found


@pytest.mark.parametrize("possible", [Marker(KEPT, kind=SAME), Marker(IMMUTABLE, kind="name"), Marker(RECREATE, Local.REFUSED)])
def test_markers_as_the_spec_has_them_can_be(possible: Marker) -> None:
    """At the top of a spec, on an optional field."""
    assert [] == list(contradictions(marked_fields(model(a=text(possible)))))
