"""Which keys stand for which value, so that an event about one object (or runtime cluster) finds the objects it concerns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from typing import Generic, TypeVar

from provider.api.meta import ObjectKey

Value = TypeVar("Value", bound=Hashable)


class Index(Generic[Value]):
    """One value per key, any number of keys per value. A reconciler fills it; mappings of events to keys read it.

    Not persisted: after a restart the first pass over each object fills it again. Use from one event loop only.
    """

    def __init__(self) -> None:
        self._values: dict[ObjectKey, Value] = {}
        self._keys: defaultdict[Value, set[ObjectKey]] = defaultdict(set)

    def set(self, key: ObjectKey, value: Value) -> None:
        """Replaces the key's former value."""
        self.remove(key)
        self._values[key] = value
        self._keys[value].add(key)

    def remove(self, key: ObjectKey) -> Value | None:
        """Forget the key; returns its value, None when it had none."""
        value = self._values.pop(key, None)
        if value is not None:
            self._keys[value].discard(key)
            if not self._keys[value]:
                del self._keys[value]
        return value

    def keys(self, value: Value) -> list[ObjectKey]:
        """Sorted, so that passes and tests see one order."""
        return sorted(self._keys.get(value, ()), key=str)

    def all(self) -> list[ObjectKey]:
        return list(self._values)
