"""What an API server refuses of an object, by the generated CRDs (apiextensions-apiserver pkg/apiserver/validation); no CEL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from hack.crdgen import structural
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.api.v1alpha1.kindcontrolplane import KINDControlPlaneSpec, KINDControlPlaneStatus
from provider.api.v1alpha1.status import KINDClusterStatus

Schema = dict[str, Any]

SCHEMAS: dict[type, Schema] = {
    model: structural(model) for model in (KINDClusterStatus, KINDControlPlaneStatus, KINDClusterSpec, KINDControlPlaneSpec)
}
INT64 = 2**63


def refused(schema: Schema, value: Any, path: str = "") -> Iterator[str]:
    """Each fault, with the path of its field."""
    checks = {"object": _object, "array": _array, "string": _string, "integer": _integer, "boolean": _boolean}
    yield from checks[schema["type"]](schema, value, path)


def _object(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: no object"
        return
    yield from (f"{path}.{name} is missing" for name in schema.get("required", ()) if name not in value)
    for name, held in value.items():
        if name in schema.get("properties", {}):
            yield from refused(schema["properties"][name], held, f"{path}.{name}")


def _array(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: no array"
        return
    if len(value) > schema["maxItems"]:
        yield f"{path}: too many"
    for entry in value:
        yield from refused(schema["items"], entry, f"{path}[]")
    if keys := schema.get("x-kubernetes-list-map-keys"):
        named = [tuple(entry.get(key) for key in keys) for entry in value]
        yield from (f"{path}: duplicate" for _ in range(len(named) - len(set(named))))


def _string(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{path}: no string"
        return
    value.encode()  # raises for what no JSON document can hold
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{path}: length"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: pattern"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: none of the words"
    if schema.get("format") == "date-time" and not _is_time(value):
        yield f"{path}: no time"


def _integer(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, int) or isinstance(value, bool):
        yield f"{path}: no integer"
    elif not max(schema.get("minimum", -INT64), -INT64) <= value <= min(schema.get("maximum", INT64), INT64 - 1):
        yield f"{path}: range"


def _boolean(_schema: Schema, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{path}: no boolean"


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
