"""What kstatus makes of a custom resource: the generic rules of sigs.k8s.io/cli-utils pkg/kstatus/status, in its order.

Flux (`wait: true`, health checks), Argo CD's users of it, kpt and `cli-utils` decide by them whether an object is done.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Its words."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    TERMINATING = "Terminating"


def kstatus(obj: dict[str, Any]) -> Status:
    status = obj.get("status") or {}
    if obj["metadata"].get("deletionTimestamp"):
        return Status.TERMINATING
    if "observedGeneration" in status and status["observedGeneration"] != obj["metadata"].get("generation"):
        return Status.IN_PROGRESS
    conditions = {entry["type"]: entry["status"] for entry in status.get("conditions") or []}
    for kind, value in conditions.items():
        if (kind, value) == ("Reconciling", "True"):
            return Status.IN_PROGRESS
        if (kind, value) == ("Stalled", "True"):
            return Status.FAILED
    # An object that says nothing about itself has nothing to wait for.
    return Status.CURRENT if conditions.get("Ready", "True") == "True" else Status.IN_PROGRESS
