"""Whether an object of an add-on is ready, as kstatus and `kubectl rollout status` tell it. Pure.

What is made by a controller over time says so in its status; everything else is ready when it exists. The objects come from a cluster whose
owner may write anything into them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from provider.api.meta import JsonObject, part

LONGEST = 200
"""Characters of what an object's own status says."""


def unready(obj: JsonObject) -> str:
    """Why it is not ready, in a few words; empty: it is."""
    if part(obj, "metadata").get("deletionTimestamp"):
        return "is being deleted"
    group = str(obj.get("apiVersion") or "").rpartition("/")[0]
    check = CHECKS.get((group, str(obj.get("kind"))))
    return check(obj) if check is not None else ""


def is_checked(group: str, kind: str) -> bool:
    """Whether more than the existence of an object of this kind counts."""
    return (group, kind) in CHECKS


def _number(held: Mapping[str, Any], name: str, default: int = 0) -> int:
    value = held.get(name, default)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _conditions(obj: JsonObject) -> dict[str, JsonObject]:
    found = part(obj, "status").get("conditions")
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    return {str(entry.get("type")): entry for entry in entries}


def _holds(obj: JsonObject, kind: str, status: str = "True") -> bool:
    return _conditions(obj).get(kind, {}).get("status") == status


def _said(obj: JsonObject, kind: str) -> str:
    condition = _conditions(obj).get(kind, {})
    return str(condition.get("message") or condition.get("reason") or "it does not say why")[:LONGEST]


def _unseen(obj: JsonObject) -> bool:
    generation = _number(part(obj, "metadata"), "generation")
    return _number(part(obj, "status"), "observedGeneration") < generation


def _deployment(obj: JsonObject) -> str:
    status, wanted = part(obj, "status"), _number(part(obj, "spec"), "replicas", 1)
    if _conditions(obj).get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded":
        return f"does not get on: {_said(obj, 'Progressing')}"
    if _unseen(obj):
        return "has not been seen by its controller yet"
    if (updated := _number(status, "updatedReplicas")) < wanted:
        return f"has {updated} of {wanted} pods of the new version"
    if _number(status, "replicas") > updated:
        return "has pods of the old version"
    available = _number(status, "availableReplicas")
    return f"has {available} of {wanted} pods available" if available < wanted else ""


def _stateful_set(obj: JsonObject) -> str:
    spec, status = part(obj, "spec"), part(obj, "status")
    wanted = _number(spec, "replicas", 1)
    if _unseen(obj):
        return "has not been seen by its controller yet"
    if (ready := _number(status, "readyReplicas")) < wanted:
        return f"has {ready} of {wanted} pods ready"
    strategy = part(spec, "updateStrategy")
    if strategy.get("type") == "OnDelete":
        return ""
    to_update = max(0, wanted - _number(part(strategy, "rollingUpdate"), "partition"))
    updated = _number(status, "updatedReplicas")
    return f"has {updated} of {to_update} pods of the new version" if updated < to_update else ""


def _daemon_set(obj: JsonObject) -> str:
    status = part(obj, "status")
    wanted = _number(status, "desiredNumberScheduled")
    if _unseen(obj):
        return "has not been seen by its controller yet"
    on_delete = part(obj, "spec", "updateStrategy").get("type") == "OnDelete"
    if not on_delete and (updated := _number(status, "updatedNumberScheduled")) < wanted:
        return f"has {updated} of {wanted} pods of the new version"
    available = _number(status, "numberAvailable")
    return f"has {available} of {wanted} pods available" if available < wanted else ""


def _replica_set(obj: JsonObject) -> str:
    wanted, available = _number(part(obj, "spec"), "replicas", 1), _number(part(obj, "status"), "availableReplicas")
    if _unseen(obj):
        return "has not been seen by its controller yet"
    return f"has {available} of {wanted} pods available" if available < wanted else ""


def _job(obj: JsonObject) -> str:
    if _holds(obj, "Failed"):
        return f"has failed: {_said(obj, 'Failed')}"
    return "" if _holds(obj, "Complete") else "is not complete"


def _definition(obj: JsonObject) -> str:
    if _holds(obj, "NamesAccepted", "False"):
        return f"has names that another one has: {_said(obj, 'NamesAccepted')}"
    return "" if _holds(obj, "Established") else "is not established"


def _pod(obj: JsonObject) -> str:
    phase = part(obj, "status").get("phase")
    if phase == "Succeeded" or _holds(obj, "Ready"):
        return ""
    return "has failed" if phase == "Failed" else "is not ready"


def _api_service(obj: JsonObject) -> str:
    return "" if _holds(obj, "Available") else f"is not available: {_said(obj, 'Available')}"


CHECKS: Mapping[tuple[str, str], Callable[[JsonObject], str]] = {
    ("", "Pod"): _pod,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "Deployment"): _deployment,
    ("apps", "ReplicaSet"): _replica_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
}
"""(group, kind) to its check."""
