"""How Kubernetes objects are named and described: resource types, keys, metav1 conditions as plain data. Pure.

Conditions follow the Cluster API contract (InfraCluster "conditions") and the Kubernetes API conventions: one entry per type; `reason`
never empty; `message` empty when a positive condition is True; lastTransitionTime moves only when `status` does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from provider.api.conditions import ConditionType, Reason


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


def key_of(obj: JsonObject) -> ObjectKey:
    return ObjectKey(obj["metadata"]["namespace"], obj["metadata"]["name"])


def part(obj: object, *path: str) -> JsonObject:
    """The object at this path of another one; empty where there is none. For objects whose schema is not ours, or was not always."""
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj if isinstance(obj, dict) else {}


MAX_MESSAGE = 2000


class ConditionStatus(StrEnum):
    """metav1.ConditionStatus."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"

    @classmethod
    def of(cls, value: bool | None) -> ConditionStatus:
        if value is None:
            return cls.UNKNOWN
        return cls.TRUE if value else cls.FALSE


@dataclass(frozen=True, slots=True)
class Condition:
    """A metav1.Condition of ours without its times: as a pass sees it, or as a status has it."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str = ""

    @property
    def true(self) -> bool:
        return self.status is ConditionStatus.TRUE


Conditions = Mapping[ConditionType, Condition]


def timestamp(moment: datetime) -> str:
    """RFC 3339 with seconds, as metav1.Time is written."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def shorten(message: str, limit: int = MAX_MESSAGE) -> str:
    """Cut to `limit` characters; far below what the CRD allows, because people read them in `kubectl describe`."""
    return message if len(message) <= limit else message[: limit - 1] + "…"


def conditions_of(status: JsonObject) -> dict[ConditionType, Condition]:
    """The conditions of a status that are ours, by type. A reason of another version of this provider reads as Unknown."""
    found = {}
    for entry in status.get("conditions") or []:
        if (kind := entry.get("type")) in ConditionType.__members__.values():
            found[ConditionType(kind)] = Condition(
                ConditionType(kind), ConditionStatus(entry["status"]), Reason(entry["reason"]), entry.get("message", "")
            )
    return found


def merge_conditions(
    status: JsonObject, found: Conditions, *, generation: int, now: datetime, gone: Collection[ConditionType] = ()
) -> list[JsonObject]:
    """The new list of a status: conditions in the order of ConditionType; types without a condition keep what they had, unless they are
    among those that are `gone`.
    """
    previous = {entry["type"]: entry for entry in status.get("conditions") or [] if "type" in entry}
    result: list[JsonObject] = []
    for kind in ConditionType:
        if kind in found:
            result.append(_entry(found[kind], previous.get(kind), generation, now))
        elif kind in previous and kind not in gone:
            result.append(dict(previous[kind]))
    # Types that others have set on our object are theirs: they stay, at the end.
    result.extend(dict(entry) for name, entry in previous.items() if name not in ConditionType.__members__.values())
    return result


def _entry(condition: Condition, old: Mapping[str, object] | None, generation: int, now: datetime) -> JsonObject:
    # lastTransitionTime is the time of the last change of status; another reason or message leaves it.
    unchanged = old is not None and old.get("status") == condition.status
    return {
        "type": str(condition.type),
        "status": str(condition.status),
        "reason": str(condition.reason),
        "message": shorten(condition.message),
        "observedGeneration": generation,
        "lastTransitionTime": old["lastTransitionTime"] if old is not None and unchanged else timestamp(now),
    }
