"""What a successful pass tells its controller: when to requeue the key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    requeue_after: float | None = None
    """Seconds; None: only an event or the resync brings the key back."""
    resync: bool = False
    """The object exists and is ours: requeue it after the controller's sync period at the latest."""
    phase: str = ""
    """The object's phase after this pass, for metrics; empty when it has none, is gone or is not ours."""
