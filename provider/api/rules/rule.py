"""A CEL rule, and the most common forms of one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One x-kubernetes-validations entry. Paths are relative to the object the rule stands on."""

    rule: str
    message: str
    """Shown when `expression` is absent or cannot be evaluated."""
    expression: str = ""
    """messageExpression: CEL for a message with the value in it."""
    path: str = ""
    """fieldPath: the field that the refusal names."""
    reason: str = ""
    """FieldValueInvalid where empty (apiextensions/v1 ValidationRule)."""


FORBIDDEN = "FieldValueForbidden"

NEW = "create a new KINDCluster for another value"


def quoting(field: str, rule: str, must: str, *, example: str = "") -> Rule:
    """On a string field, what it must be in words; the message quotes its value, and then gives the example."""
    return Rule(
        rule=rule,
        message=f"{field} {must}",
        expression=f"'{field} \"' + self.{field} + '\" {must}{example}'",
        path=f".{field}",
    )


def matches(field: str, pattern: str, must: str, *, also: str = "") -> Rule:
    """An optional string field, and what it must be in words."""
    extra = f" && {also}" if also else ""
    return quoting(field, f"!has(self.{field}) || (self.{field}.matches(r'{pattern}'){extra})", must)


def keys(field: str, pattern: str, must: str) -> Rule:
    """Every key of an optional map."""
    return Rule(
        rule=f"!has(self.{field}) || self.{field}.all(k, k.matches(r'{pattern}'))",
        message=f"every key of {field} {must}",
        expression=f"'{field}: key \"' + self.{field}.filter(k, !k.matches(r'{pattern}'))[0] + '\" {must}'",
        path=f".{field}",
    )
