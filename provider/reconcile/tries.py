"""How the last try of what is tried again ended, of each object: it must be known also when another task has come since.

There is one task for an object at a time, and its record goes when the next one begins. What failed waits before it is tried again, and
what the cluster needs besides is done meanwhile: without a memory of their own, the two would end each other for ever. Lost with the
manager, which costs one try.
"""

from __future__ import annotations

from collections.abc import Mapping

from provider.api.meta import ObjectKey
from provider.ports.runtime import Verb
from provider.ports.tasks import TaskStatus

REMEMBERED = (Verb.PREPARE, Verb.SCALE)


class Tries:
    """For one reconciler."""

    def __init__(self) -> None:
        self._ended: dict[ObjectKey, dict[Verb, TaskStatus]] = {}

    def note(self, key: ObjectKey, task: TaskStatus | None) -> Mapping[Verb, TaskStatus]:
        """All that is known of the object's, with the task of this pass."""
        if task is not None and task.verb in REMEMBERED and not task.unfinished:
            self._ended.setdefault(key, {})[task.verb] = task
        return dict(self._ended.get(key, {}))

    def forget(self, key: ObjectKey) -> None:
        self._ended.pop(key, None)
