"""What is wrong with a spec that the API server has not seen as fields: a kind config that is converted, or named by spec.configFrom.

Says what the API server says of the same fields: types and limits come from the models, rules between fields from their CEL rules' other
half (provider.api.rules.rule). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from provider.api.markers import object_of
from provider.api.meta import JsonObject
from provider.api.model import Model
from provider.api.v1alpha1.kindcluster import KINDCluster, KINDClusterSpec

BESIDE_RULES = frozenset({"literal_error", "string_pattern_mismatch", "less_than_equal", "greater_than_equal"})
"""Kinds of pydantic's errors with which rules can still be evaluated, as the API server does. With others a value has not the shape that
rules expect."""
WORDS: Mapping[str, str] = {
    "missing": "is required",
    "string_type": 'must be text: quote it, such as "true"',
    "bool_type": "must be true or false, without quotes",
    "int_type": "must be a whole number, without quotes",
    "literal_error": "must be {expected}",
    "less_than_equal": "must be at most {le}",
    "greater_than_equal": "must be at least {ge}",
    "too_long": "has {actual_length} entries, and at most {max_length} are allowed",
    "string_too_long": "has more than {max_length} characters",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "has characters that are not allowed here (pattern {pattern})",
}
"""Kind of pydantic's error → words for the person who wrote the value."""


@dataclass(frozen=True, slots=True)
class Violation:
    """`path` as the API server writes it, below the spec: "nodes[0].extraMounts[1].hostPath"; empty: the spec as a whole."""

    path: str
    message: str
    """What must be, and the cure."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def violations(spec: JsonObject, name: str) -> list[Violation]:
    """All that the API server would refuse in a KINDCluster of this name with this spec; empty when it would take it."""
    spec = _without_null(spec)
    found = _of_schema(spec)
    if any(kind not in BESIDE_RULES for kind, _ in found):
        return [violation for kind, violation in found if kind != "string_pattern_mismatch"]  # whose words are a rule's
    broken = [*_broken(KINDCluster, {"metadata": {"name": name}, "spec": spec}), *_below(KINDClusterSpec, spec, "")]
    explained = {violation.path for violation in broken}
    # A rule stands beside each pattern, and says in words what the pattern means.
    return [*broken, *(violation for _, violation in found if _field(violation.path) not in explained)]


def _field(path: str) -> str:
    """Where a rule about this value has its path: on the field, not on a key of a map."""
    return path.removesuffix(".[key]")


def _of_schema(spec: JsonObject) -> list[tuple[str, Violation]]:
    """(kind of error, violation)."""
    try:
        KINDClusterSpec.model_validate(spec, strict=True)
    except ValidationError as error:
        return [(one["type"], Violation(_path(one["loc"]), _words(one))) for one in error.errors(include_input=False)]
    return []


def _words(error: Any) -> str:
    words, context = WORDS.get(error["type"]), error.get("ctx", {})
    return words.format(**context) if words is not None else str(error["msg"])


def _path(location: Sequence[int | str]) -> str:
    """("nodes", 0, "image") → "nodes[0].image"; of a key of a map: "labels.[key]"."""
    if location and location[-1] == "[key]":
        location = [*location[:-2], "[key]"]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _broken(model: type[Model], held: Mapping[str, Any], path: str = "") -> Iterator[Violation]:
    for rule in model.cel_rules:
        if rule.holds is not None and not rule.holds(held):
            yield Violation((path + rule.path).removeprefix(".").removeprefix("spec.").removeprefix("spec"), rule.says(held))


def _below(model: type[BaseModel], held: Mapping[str, Any], path: str) -> Iterator[Violation]:
    """Of this object and of all objects below it."""
    if issubclass(model, Model):
        yield from _broken(model, held, path)
    for attribute, info in model.model_fields.items():
        name = str(info.alias or attribute)
        inner, is_list = object_of(info.annotation)
        if inner is None or name not in held:
            continue
        if not is_list:
            yield from _below(inner, held[name], f"{path}.{name}")
            continue
        for index, entry in enumerate(held[name]):
            yield from _below(inner, entry, f"{path}.{name}[{index}]")


def _without_null(value: Any) -> Any:
    """As the API server stores it."""
    if isinstance(value, dict):
        return {key: _without_null(held) for key, held in value.items() if held is not None}
    return [_without_null(entry) for entry in value] if isinstance(value, list) else value
