"""The management cluster's API and its Events, as Protocols over plain dicts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource


class Kube(Protocol):
    """The management cluster's API. Objects are plain dicts.

    Raises Transient for anything a retry may cure (timeouts, 5xx, 429), Conflict for 409, Terminal(FORBIDDEN) for 403
    (NAMESPACE_TERMINATING for what cannot be created any more) and Terminal(INVALID) for 422 with the server's own message.
    """

    async def get(self, resource: Resource, key: ObjectKey) -> JsonObject | None:
        """The object, or None for 404 (also when the API server does not know the resource)."""

    async def list(self, resource: Resource, *, namespace: str | None = None, labels: str = "") -> list[JsonObject]: ...

    async def create(self, resource: Resource, obj: JsonObject) -> JsonObject:
        """Raises Conflict when it exists."""

    async def patch(
        self, resource: Resource, key: ObjectKey, patch: JsonObject, *, subresource: str = "", version: str | None = None
    ) -> JsonObject | None:
        """JSON merge patch (RFC 7386). `version`: the resourceVersion it must still have, else Conflict. None for 404."""

    async def delete(self, resource: Resource, key: ObjectKey, *, uid: str | None = None, version: str | None = None) -> None:
        """404 is success; a different uid, or another resourceVersion than `version`, raises Conflict."""

    async def time(self) -> datetime | None:
        """The API server's own wall clock, UTC, in whole seconds; None: it does not tell."""

    async def serves(self, group: str) -> bool:
        """Whether the API server serves any version of this API group (e.g. Cluster API is installed)."""


@dataclass(frozen=True, slots=True)
class EventNote:
    """A Kubernetes Event to be recorded on an object. Its type is the severity of its reason."""

    reason: Reason
    message: str


class Recorder(Protocol):
    """Writes Events; repeats are counted on the same Event instead of written anew. Best effort: never raises."""

    async def record(self, obj: JsonObject, note: EventNote) -> None: ...
