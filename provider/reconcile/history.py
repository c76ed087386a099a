"""status.history: a bounded ring of what happened, newest last. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from provider.api.meta import JsonObject, shorten, timestamp

LIMIT = 20
MAX_MESSAGE = 500


def record(history: Sequence[JsonObject], *, phase: str, reason: str, message: str, now: datetime) -> list[JsonObject]:
    """Append an entry; the same phase, reason and message as the newest only raises its count and time."""
    text = shorten(message, MAX_MESSAGE)
    newest = history[-1] if history else None
    if newest is not None and (newest["phase"], newest["reason"], newest.get("message", "")) == (phase, reason, text):
        again = {**newest, "count": int(newest.get("count", 1)) + 1, "time": timestamp(now)}
        return [*history[:-1], again]
    entry = {"time": timestamp(now), "phase": phase, "reason": reason, "message": text, "count": 1}
    return [*history, entry][-LIMIT:]
