"""The watch events of some kinds of objects in one namespace, in order."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from capi_conformance.management import Json, Management
from capi_conformance.profiles import GroupKind


@dataclass(frozen=True)
class Event:
    kind: GroupKind
    what: str
    """ADDED, MODIFIED or DELETED."""
    obj: Json

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])

    @property
    def order(self) -> int:
        """Resource versions of one API server are in the order of the writes, over all kinds."""
        return int(self.obj["metadata"]["resourceVersion"])


class History:
    """Recorded from entering to leaving. `listener` is called in the thread of a watch, one event of a kind after the other."""

    def __init__(
        self, management: Management, namespace: str, kinds: Sequence[GroupKind], listener: Callable[[Event], None] | None = None
    ) -> None:
        self._management, self._namespace, self._kinds, self._listener = management, namespace, kinds, listener
        self._events: list[Event] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for kind in self._kinds:
            _, version = self._management.page(kind, self._namespace)
            connection = self._management.connect()
            connection.request("GET", f"{self._management.path(kind, self._namespace)}?watch=1&resourceVersion={version}")
            response = connection.getresponse()
            assert response.status == http.client.OK, response.read()
            self._sockets.append(connection.sock)
            thread = threading.Thread(target=self._follow, args=(kind, connection, response), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *error: object) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)

    def of(self, kind: GroupKind, name: str) -> Iterator[Event]:
        """What has happened to one object so far."""
        return (event for event in list(self._events) if event.kind == kind and event.name == name)

    def _follow(self, kind: GroupKind, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException), contextlib.closing(connection):
            while line := response.readline():
                received = json.loads(line)
                if received["type"] in ("ADDED", "MODIFIED", "DELETED"):
                    event = Event(kind, received["type"], received["object"])
                    self._events.append(event)
                    if self._listener is not None:
                        self._listener(event)
