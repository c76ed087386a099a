"""docs/reference/kindcluster.md: the fields of a KINDCluster's spec, one table for each object, from the models and their markers."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel

from provider.api.markers import MarkedField, below, marked_fields
from provider.api.v1alpha1.kindcluster import KINDClusterSpec

PAGE = """\
# Fields of a KINDCluster

A field is optional unless it says "required". Nothing is defaulted: what is absent stays absent, and kind's own default holds.
`kubectl explain kindcluster.spec` prints the same texts.

- **may change**: "with a new cluster" means that kind reads the field only while it makes a cluster. Until there is a cluster the field is
  free; from then on [`spec.updatePolicy`](../adr/0064-edits-that-need-other-nodes.md) decides whether an edit is refused, reported, or
  replaces the cluster. A replaced cluster keeps what may change "until there is a cluster": an edit of that is refused or reported.
- **runtimes**: those that honour the field. Runtime `local` refuses what means nothing without containers; of the fields that it honours,
  `networking` takes only the loopback address and IPv4 there.
- **in kind**: the name in kind's own configuration (`kind.x-k8s.io/v1alpha4`).
{% for path, rows in tables %}
## {{ path }}

| field | type | meaning | may change | runtimes | in kind |
|---|---|---|---|---|---|
{% for row in rows -%}
| {{ row | join(" | ") }} |
{% endfor -%}
{% endfor %}"""

WORDS = {str: "text", bool: "true or false", int: "number"}


def tables(spec: type[BaseModel] = KINDClusterSpec) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """(path of an object, the rows of its fields) for the spec and every object below it."""
    for path, fields in below(marked_fields(spec), "spec."):
        yield path.removesuffix("."), list(_rows(path, fields))


def _rows(path: str, fields: Sequence[MarkedField]) -> Iterator[tuple[str, ...]]:
    for field in fields:
        info, marker = field.info, field.marker
        kind = of_type(info.annotation, info.metadata) + (", required" if info.is_required() else "")
        named = f"`{field.kind_name}`" if field.kind_name else ""
        yield f"`{path}{field.name}`", kind, _cell(info.description or ""), str(marker.mutability), str(marker.local), named


def of_type(annotation: Any, constraints: Sequence[Any] = ()) -> str:
    """A type in words: `int | None` with ge=1, le=9 is "number from 1 to 9". Raises KeyError for what no field of a spec has yet."""
    parts = [part for part in get_args(annotation) if part is not types.NoneType]
    origin = get_origin(annotation)
    if origin is Annotated:
        return of_type(parts[0], parts[1].metadata)  # of a Field
    if origin in (Union, types.UnionType):
        return of_type(parts[0], constraints)
    if origin is Literal:
        return (
            " or ".join([", ".join(f"`{part}`" for part in parts[:-1]), f"`{parts[-1]}`"]) if len(parts) > 1 else f"`{parts[0]}`"
        )
    if origin is list:
        return f"list of {_plural(of_type(parts[0]))}"
    if origin is dict:
        return f"map of text to {of_type(parts[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object"
    return WORDS[annotation] + _range(constraints)


def _range(constraints: Sequence[Any]) -> str:
    least = [entry.ge for entry in constraints if isinstance(entry, annotated_types.Ge)]
    most = [entry.le for entry in constraints if isinstance(entry, annotated_types.Le)]
    return f" from {least[0]} to {most[0]}" if least and most else ""


def _plural(words: str) -> str:
    return {"text": "texts", "object": "objects"}[words]


def _cell(text: str) -> str:
    """Text that is no markup and fits a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
