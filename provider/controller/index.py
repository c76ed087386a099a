"""Which keys stand for which name, so that an event about one finds the other."""

from __future__ import annotations

from collections import defaultdict

from provider.api.meta import ObjectKey


class NameIndex:
    """Which keys stand for which runtime cluster; learnt from each pass. Several keys may claim one name."""

    def __init__(self) -> None:
        self._keys: defaultdict[str, set[ObjectKey]] = defaultdict(set)
        self._names: dict[ObjectKey, str] = {}

    def learn(self, key: ObjectKey, name: str) -> None:
        """An empty name: the key stands for nothing (any more)."""
        if (old := self._names.pop(key, "")) and old != name:
            self._keys[old].discard(key)
            if not self._keys[old]:
                del self._keys[old]
        if name:
            self._names[key] = name
            self._keys[name].add(key)

    def keys(self, name: str | None) -> list[ObjectKey]:
        """Keys of a cluster name; None: all that are known."""
        return list(self._names) if name is None else list(self._keys.get(name, ()))
