"""Every constraint the CRD's schema puts on a single field, with a value just inside and one just outside of it.

Walks the schema; what a filler value looks like where a pattern or a rule is picky is in a table at the top.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Schema = dict[str, Any]
Path = tuple[str, ...]

ITEM, KEY = "[]", "{}"
KEYWORDS = (
    "type",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "maxProperties",
    "format",
)

IN = {
    "spec.version": "v1.34.4-{}",
    "spec.createTimeout": "1h30m",
    "spec.ttl": "1h30m",
    "spec.expiresAt": "2030-01-31T18:00:00Z",
    "spec.nodes.[].extraMounts.[].containerPath": "/{}",
    "spec.nodes.[].extraMounts.[].hostPath": "/{}",
    "spec.nodes.[].extraPortMappings.[].listenAddress": "127.0.0.1",
    "spec.nodes.[].extraPortMappings.[].protocol": "TCP",
    "spec.networking.apiServerAddress": "127.0.0.1",
    "spec.networking.podSubnet": "10.20.0.0/16",
    "spec.networking.serviceSubnet": "10.21.0.0/16",
    "spec.registryMirrors.[].endpoints.[]": "https://{}",
    "spec.identity.token": "0123456789abcdef0123456789abcdef",
    "status.conditions.[].type": "a/{}",
}
"""Where a plain word is not valid: a valid value, with the place that can be stretched, if any."""
OUT = {"status.conditions.[].reason": "1"}
"""Values that a pattern refuses; elsewhere a space is wrong everywhere."""
COMPANY: dict[str, dict[str, Any]] = {"spec.addons.[]": {"manifests": ""}}
"""Where a rule asks for one of several fields: the one that is given where none of them is what is tried."""
TIME = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Constraint:
    """`good` and `bad` are whole values for the field at `path`; ITEM and KEY in a path stand for a list and a map."""

    path: Path
    keyword: str
    good: Any
    bad: Any

    @property
    def id(self) -> str:
        return f"{'.'.join(self.path)} {self.keyword}"

    @property
    def field(self) -> str:
        """As the API server names it when `bad` stands there."""
        whole = (*self.path, self.keyword.removeprefix("required ")) if self.keyword.startswith("required ") else self.path
        return ".".join(whole).replace(f".{ITEM}", "[0]").replace(KEY, "a")


def constraints(schema: Schema, path: Path = ()) -> Iterator[Constraint]:
    """All constraints below a node of the schema."""
    for keyword in KEYWORDS:
        if keyword in schema:
            yield from _constraint(schema, path, keyword)
    for name in schema.get("required", []):
        whole = example(schema, path)
        yield Constraint(path, f"required {name}", whole, {key: value for key, value in whole.items() if key != name})
    for name, child in schema.get("properties", {}).items():
        yield from constraints(child, (*path, name))
    if "items" in schema:
        yield from constraints(schema["items"], (*path, ITEM))
    if "additionalProperties" in schema:
        yield from constraints(schema["additionalProperties"], (*path, KEY))


def _constraint(schema: Schema, path: Path, keyword: str) -> Iterator[Constraint]:
    limit, good = schema[keyword], example(schema, path)
    match keyword:
        case "type":
            yield Constraint(path, keyword, good, "text" if limit in {"integer", "boolean", "object", "array"} else 7)
        case "enum":
            for value in limit:
                yield Constraint(path, f"enum {value}", value, f"{value}x")
        case "pattern":
            yield Constraint(path, keyword, good, OUT.get(".".join(path), "a b"))
        case "minLength":
            yield Constraint(path, keyword, good, "")
        case "maxLength":
            yield Constraint(path, keyword, text(path, limit), text(path, limit) + "a" * (limit + 1))
        case "minimum" | "maximum":
            yield Constraint(path, keyword, limit, limit + (1 if keyword == "maximum" else -1))
        case "minItems" | "maxItems":
            wrong = limit + (1 if keyword == "maxItems" else -1)
            yield Constraint(path, keyword, items(schema, path, limit), items(schema, path, wrong))
        case "maxProperties":
            yield Constraint(path, keyword, keys(schema, path, limit), keys(schema, path, limit + 1))
        case "format" if limit == "date-time":
            yield Constraint(path, keyword, TIME, "yesterday")


def text(path: Path, length: int) -> str:
    """A valid string of this length; where the form is fixed, the one valid value there is."""
    frame = IN.get(".".join(path), "{}")
    return frame.format("a" * (length - len(frame) + 2))


def items(schema: Schema, path: Path, count: int) -> list[Any]:
    """A valid list of this length: entries that must differ do."""
    listed = [example(schema["items"], (*path, ITEM)) for _ in range(count)]
    for number, entry in enumerate(listed):
        for unique in ("containerPath", "type", "host", "name"):
            if isinstance(entry, dict) and unique in entry:
                entry[unique] += str(number)
    return listed


def keys(schema: Schema, path: Path, count: int) -> dict[str, Any]:
    return {f"a{number}": example(schema["additionalProperties"], (*path, KEY)) for number in range(count)}


def example(schema: Schema, path: Path) -> Any:
    """A small valid value."""
    if schema.get("format") == "date-time":
        return TIME
    if "enum" in schema:
        return schema["enum"][0]
    match schema["type"]:
        case "string":
            return text(path, len(IN.get(".".join(path), "{}")) - 1)
        case "integer":
            return schema.get("minimum", 0)
        case "boolean":
            return True
        case "array":
            return items(schema, path, schema.get("minItems", 0))
        case _:
            required = schema.get("required", [])
            whole = {name: example(schema["properties"][name], (*path, name)) for name in required}
            return whole | COMPANY.get(".".join(path), {})


def place(schema: Schema, path: Path, value: Any, so_far: Path = ()) -> Any:
    """A small valid value of the schema with `value` at `path` in it."""
    if not path:
        return value
    step, rest, here = path[0], path[1:], (*so_far, path[0])
    if step == ITEM:
        return [place(schema["items"], rest, value, here)]
    if step == KEY:
        return {"a": place(schema["additionalProperties"], rest, value, here)}
    alone = step not in schema.get("required", [])
    whole = {
        name: entry
        for name, entry in example(schema, so_far).items()
        if not (alone and name in COMPANY.get(".".join(so_far), {}))
    }
    return {**whole, step: place(schema["properties"][step], rest, value, here)}
