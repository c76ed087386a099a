"""Phases, as an enum: one docstring each, from which docs/reference/conditions.md is made, as provider.api.conditions is."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """status.phase: one word for `kubectl get`."""

    PENDING = "Pending"
    """Waits for something outside: an owner, a name, the engine."""
    QUEUED = "Queued"
    """Waits for a free create slot, or for its turn to fetch images."""
    CREATING = "Creating"
    """Images are being fetched, or kind is at work."""
    READY = "Ready"
    """Usable."""
    DEGRADED = "Degraded"
    """It was usable and is not now; it is not repaired, or its repair waits."""
    REPAIRING = "Repairing"
    """Stopped nodes are being started, or the cluster is replaced."""
    STOPPING = "Stopping"
    """Its nodes are being stopped or paused, as spec.powerState asks."""
    STOPPED = "Stopped"
    """Its nodes are stopped, as spec.powerState asks."""
    PAUSED = "Paused"
    """Its nodes are frozen, as spec.powerState asks."""
    STARTING = "Starting"
    """It was stopped or paused, and comes back."""
    DELETING = "Deleting"
    """Being removed."""
    FAILED = "Failed"
    """Gave up until the spec changes; failureReason says why."""
