"""How Kubernetes objects are named and described: resource types, keys, metav1 conditions as plain data. Pure.

Conditions follow the Cluster API contract (InfraCluster "conditions") and the Kubernetes API conventions: one entry per type; `reason`
never empty; `message` empty when a positive condition is True; lastTransitionTime moves only when `status` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from provider.api.conditions import ConditionType


@dataclass(frozen=True, slots=True)
class Resource:
    """A Kubernetes resource type. `version` empty = the version the API server prefers for the group."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """namespace/name of a namespaced object; what work queues hold."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


JsonObject = dict[str, Any]
"""A Kubernetes object or a part of one, as decoded JSON."""

MAX_MESSAGE = 2000


class Truth(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, value: bool | None) -> Truth:
        if value is None:
            return cls.UNKNOWN
        return cls.TRUE if value else cls.FALSE


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition as this pass sees it."""

    type: ConditionType
    status: Truth
    reason: str
    message: str = ""


def timestamp(moment: datetime) -> str:
    """RFC 3339 with seconds, as metav1.Time is written."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def shorten(message: str, limit: int = MAX_MESSAGE) -> str:
    return message if len(message) <= limit else message[: limit - 1] + "…"


def find_condition(conditions: Iterable[JsonObject], kind: ConditionType) -> JsonObject | None:
    return next((entry for entry in conditions if entry.get("type") == kind), None)


def is_condition_true(conditions: Iterable[JsonObject], kind: ConditionType) -> bool:
    entry = find_condition(conditions, kind)
    return entry is not None and entry.get("status") == Truth.TRUE


def merge_conditions(
    old: Iterable[JsonObject], findings: Iterable[Finding], *, generation: int, now: datetime
) -> list[JsonObject]:
    """The new list: findings in the order of ConditionType; types without a finding keep what they had."""
    previous = {entry["type"]: entry for entry in old if "type" in entry}
    found = {finding.type: finding for finding in findings}
    result: list[JsonObject] = []
    for kind in ConditionType:
        if kind in found:
            result.append(_entry(found[kind], previous.get(kind), generation, now))
        elif kind in previous:
            result.append(dict(previous[kind]))
    result.extend(dict(entry) for name, entry in previous.items() if name not in ConditionType.__members__.values())
    return result


def _entry(finding: Finding, old: Mapping[str, object] | None, generation: int, now: datetime) -> JsonObject:
    unchanged = old is not None and old.get("status") == finding.status
    return {
        "type": str(finding.type),
        "status": str(finding.status),
        "reason": str(finding.reason),
        "message": shorten(finding.message),
        "observedGeneration": generation,
        "lastTransitionTime": old["lastTransitionTime"] if old is not None and unchanged else timestamp(now),
    }
