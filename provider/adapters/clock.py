"""The wall clock (provider.ports.clock.Clock). Durations come from the event loop's clock, which does not jump."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)
