"""A rule over several fields, written twice side by side: as CEL for the API server, in Python for what the API server does not see.

The API server evaluates CEL on objects that are applied. A kind config that is named by spec.configFrom, or converted on the command line,
never passes there as fields: for it, provider.api.checking evaluates `holds`. That both say the same is proved on a real API server
(tests/envtest/test_crd_properties.py). Here are the class and the most common forms of a rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Held = Mapping[str, Any]
"""What a rule stands on ("self" in CEL), as decoded JSON of the right types and without nulls."""
Holds = Callable[[Held], bool]
Told = Callable[[Held], str]


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
    holds: Holds | None = field(default=None, compare=False)
    """The same in Python. None: the rule compares with the stored object, and says nothing about a value alone."""
    told: Told | None = field(default=None, compare=False)
    """The message with the value in it, in Python; None: `message`."""

    def says(self, held: Held) -> str:
        return self.told(held) if self.told is not None else self.message


FORBIDDEN = "FieldValueForbidden"

NEW = "create a new KINDCluster for another value"


def quoting(name: str, rule: str, must: str, holds: Holds, *, example: str = "") -> Rule:
    """On a string field, what it must be in words; the message quotes its value, and then gives the example."""
    return Rule(
        rule=rule,
        message=f"{name} {must}",
        expression=f"'{name} \"' + self.{name} + '\" {must}{example}'",
        path=f".{name}",
        holds=holds,
        told=lambda held: f'{name} "{held.get(name, "")}" {must}{example}',
    )


def matches(name: str, pattern: str, must: str, *, also: str = "", also_holds: Callable[[str], bool] | None = None) -> Rule:
    """An optional string field, and what it must be in words. `also`, `also_holds`: a condition besides, in CEL and in Python."""
    extra = f" && {also}" if also else ""

    def holds(held: Held) -> bool:
        text = held.get(name)
        return text is None or (re.fullmatch(pattern, text) is not None and (also_holds is None or also_holds(text)))

    return quoting(name, f"!has(self.{name}) || (self.{name}.matches(r'{pattern}'){extra})", must, holds)


def keys(name: str, pattern: str, must: str) -> Rule:
    """Every key of an optional map."""

    def wrong(held: Held) -> list[str]:
        return [key for key in held.get(name) or {} if re.fullmatch(pattern, key) is None]

    return Rule(
        rule=f"!has(self.{name}) || self.{name}.all(k, k.matches(r'{pattern}'))",
        message=f"every key of {name} {must}",
        expression=f"'{name}: key \"' + self.{name}.filter(k, !k.matches(r'{pattern}'))[0] + '\" {must}'",
        path=f".{name}",
        holds=lambda held: not wrong(held),
        told=lambda held: f'{name}: key "{wrong(held)[0]}" {must}',
    )
