"""Cutting plain values to what a model allows: lengths, counts, ranges, patterns, enums. Pure; every limit comes from the models.

The API server refuses a whole write for one value outside of its schema, and what an engine, an image or a node says has no limits of its
own: without this, one long name would keep a status from being written for ever. The same reading makes stored values safe to use:
afterwards, everything has the type that its model says. A value that cannot be cut to fit is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from provider.api.meta import JsonObject, shorten
from provider.api.model import Model

Schema = Mapping[str, Any]
INT64 = 2**63 - 1
LOGS = frozenset({"history", "steps"})
"""Lists that grow at their end: of one that is too long, the newest entries stay, of any other the first."""


class _Unfit:
    """What no value can be."""


UNFIT: Final = _Unfit()


def fit(model: type[Model], value: object) -> JsonObject:
    """`value` as an object of this model, as plain JSON; empty where it cannot be one. Fields that the model does not know are kept."""
    schema, definitions = _schema(model)
    found = _fit(schema, definitions, value, str(model.__name__))
    return found if isinstance(found, dict) else {}


@cache
def _schema(model: type[Model]) -> tuple[Schema, Mapping[str, Schema]]:
    schema = model.model_json_schema(by_alias=True)
    return schema, schema.get("$defs", {})


def _fit(schema: Schema, definitions: Mapping[str, Schema], value: object, name: str) -> Any:
    if reference := schema.get("$ref"):
        return _fit(definitions[reference.rpartition("/")[2]], definitions, value, name)
    if options := schema.get("anyOf"):
        # pydantic writes an optional field as its type or null, with some keywords beside both; to Kubernetes, null is absence.
        beside = {key: held for key, held in schema.items() if key != "anyOf"}
        found = (_fit({**beside, **option}, definitions, value, name) for option in options if option.get("type") != "null")
        return next((one for one in found if one is not UNFIT), UNFIT)
    match schema.get("type"):
        case "object" if isinstance(value, dict):
            return _object(schema, definitions, value)
        case "array" if isinstance(value, list | tuple):
            return _array(schema, definitions, list(value), name)
        case kind:
            scalar = _SCALARS.get(str(kind))
            return UNFIT if scalar is None else scalar(schema, value)


def _object(schema: Schema, definitions: Mapping[str, Schema], value: dict[Any, Any]) -> Any:
    known: Mapping[str, Schema] = schema.get("properties", {})
    others = schema.get("additionalProperties")
    found: JsonObject = {}
    for name, held in value.items():
        kind = known.get(name, others if isinstance(others, dict) else None)
        fitted = held if kind is None else _fit(kind, definitions, held, str(name))
        if isinstance(name, str) and fitted is not UNFIT:
            found[name] = fitted
    return found if all(name in found for name in schema.get("required", ())) else UNFIT


def _array(schema: Schema, definitions: Mapping[str, Schema], value: list[Any], name: str) -> Any:
    limit = schema.get("maxItems", len(value))
    first = max(0, len(value) - limit) if name in LOGS else 0
    fitted = (_fit(schema.get("items", {}), definitions, entry, name) for entry in value[first : first + limit])
    found = [entry for entry in fitted if entry is not UNFIT]
    if keys := schema.get("x-kubernetes-list-map-keys"):
        found = list({tuple(entry.get(key) for key in keys): entry for entry in found}.values())
    return found if len(found) >= schema.get("minItems", 0) else UNFIT


def _string(schema: Schema, value: object) -> Any:
    if not isinstance(value, str):
        return UNFIT
    # Lone surrogates are no characters: the API server stores something else, and the status would be written in every pass.
    text = value.encode("utf-8", "replace").decode()
    limit, pattern = schema.get("maxLength", len(text)), schema.get("pattern")
    text = text[:limit] if pattern else shorten(text, limit)
    unfit = (
        len(text) < schema.get("minLength", 0)
        or (pattern is not None and re.fullmatch(pattern, text) is None)
        or (schema.get("format") == "date-time" and not _is_time(text))
        or text not in schema.get("enum", (schema.get("const", text),))
    )
    return UNFIT if unfit else text


RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII)


def _is_time(text: str) -> bool:
    if RFC3339.match(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _integer(schema: Schema, value: object) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        return UNFIT
    return min(max(value, schema.get("minimum", -INT64)), schema.get("maximum", INT64))


def _boolean(_schema: Schema, value: object) -> Any:
    return value if isinstance(value, bool) else UNFIT


_SCALARS: Mapping[str, Callable[[Schema, object], Any]] = {"string": _string, "integer": _integer, "boolean": _boolean}
