"""status.history: a bounded ring of what happened, newest last. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from provider.api import meta
from provider.api.conditions import ConditionType
from provider.api.meta import JsonObject, shorten, timestamp

LIMIT = 20
MAX_MESSAGE = 500


def extended(old: JsonObject, new: JsonObject, now: datetime) -> list[JsonObject]:
    """The history of `old`, with an entry more when the phase or the reason of Ready is another one in `new`. Both are statuses."""
    entries = list(old.get("history") or [])
    phase, reason, message = _headline(new)
    if _headline(old)[:2] == (phase, reason):
        return entries
    return record(entries, phase=phase, reason=reason, message=message, now=now)


def record(history: Sequence[JsonObject], *, phase: str, reason: str, message: str, now: datetime) -> list[JsonObject]:
    """Append an entry; the same phase, reason and message as the newest only raises its count and time."""
    text = shorten(message, MAX_MESSAGE)
    newest = history[-1] if history else None
    if newest is not None and (newest["phase"], newest["reason"], newest.get("message", "")) == (phase, reason, text):
        again = {**newest, "count": int(newest.get("count", 1)) + 1, "time": timestamp(now)}
        return [*history[:-1], again]
    entry = {"time": timestamp(now), "phase": phase, "reason": reason, "message": text, "count": 1}
    return [*history, entry][-LIMIT:]


def _headline(status: JsonObject) -> tuple[str, str, str]:
    ready = meta.find_condition(status.get("conditions") or [], ConditionType.READY) or {}
    return status.get("phase", ""), ready.get("reason", ""), ready.get("message", "")
