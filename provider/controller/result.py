"""What a pass over an object leaves to its controller: when to come back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    requeue_after: float | None = None
    """Seconds; None: only an event or the resync brings the key back."""
    phase: str = ""
    """The object's phase after this pass, for metrics; empty when it is gone or not ours."""
    cluster_name: str = ""
    """Name of the runtime cluster the key stands for, so that the runtime's events find the key."""
