"""The wall clock, as a Protocol. Durations come from the event loop's clock, which does not jump."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall clock, UTC, timezone-aware."""
