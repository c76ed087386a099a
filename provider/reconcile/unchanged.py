"""Since when each object has been as it is: a hint in memory, by which looks at what does not change become rare. Never a truth."""

from __future__ import annotations

from datetime import datetime, timedelta

from provider.api.meta import ObjectKey


class Unchanged:
    def __init__(self) -> None:
        self._since: dict[ObjectKey, tuple[object, datetime]] = {}

    def elapsed(self, key: ObjectKey, state: object, now: datetime) -> timedelta:
        """How long the object has been in this state, as far as the looks of this manager tell; nothing at the first of them."""
        known, since = self._since.get(key, (None, now))
        if known != state or since > now:  # the clock was put back
            since = now
        self._since[key] = (state, since)
        return now - since

    def forget(self, key: ObjectKey) -> None:
        self._since.pop(key, None)
