"""What a pass can decide: an action, or why nothing can be done. Values only; plan.py decides."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from provider.api.conditions import Reason


class Action(StrEnum):
    NOTHING = "Nothing"
    """Keep watching a cluster that exists."""
    WAIT = "Wait"
    """Something outside has to change first."""
    CREATE = "Create"
    """Make it (own remains are removed first by the runtime)."""
    START = "Start"
    """Start stopped containers."""
    CLEAN = "Clean"
    """Remove own remains and make nothing."""
    PREPARE = "Prepare"
    """Fetch what a replacement needs, while the old cluster runs on."""
    CANCEL = "Cancel"
    """Stop the running create or prepare: the spec it works for has changed."""


@dataclass(frozen=True, slots=True)
class Plan:
    action: Action
    reason: Reason = Reason.READY
    message: str = ""
    after: timedelta | None = None
    """Next pass after this long, whatever else happens."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why nothing can be done now, for the Ready condition."""

    reason: Reason
    message: str
    after: timedelta | None = None
    """Next pass after this long; None: only an event (an edit, the owner, the engine) or the resync can help."""
    action: ClassVar[Action] = Action.WAIT


Decision = Plan | Blocked
