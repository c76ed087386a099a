"""The fake provider's workload clusters: for each a TCP forwarder on loopback, to a real API server, to another one, or to none.

To "replace" a workload cluster is to point its forwarder at the other API server: the address stays, what is behind it is another.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

Key = tuple[str, str]
"""Namespace and name of a Cluster: the same in every management cluster."""


class Forwarders:
    """One forwarder per workload cluster, served by an event loop in a thread of its own. Methods are called from other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._forwarders: dict[Key, _Forwarder] = {}
        self._making = threading.Lock()
        self.gone: set[Key] = set()
        """Removed ones: a new forwarder of the same key must lead to another cluster."""
        self._removed: list[_Forwarder] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for key in list(self._forwarders):
            self.remove(key)
        for forwarder in self._removed:
            self._run(forwarder.end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def port(self, key: Key) -> int:
        """Port the forwarder listens on. It is made on the first call, closed at first."""
        with self._making:
            if key not in self._forwarders:
                self._forwarders[key] = self._run(_Forwarder.made())
            return self._forwarders[key].port

    def __contains__(self, key: object) -> bool:
        return key in self._forwarders

    def target(self, key: Key) -> int:
        """Port of the API server behind it; 0 when it is closed."""
        return self._forwarders[key].target if key in self._forwarders else 0

    def forward(self, key: Key, target: int) -> None:
        """Forward to the API server at this port of loopback; 0 closes it. Ends the connections there are."""
        self.port(key)
        self._run(self._forwarders[key].forward(target))

    def remove(self, key: Key) -> None:
        """Closed for good. It keeps listening until the end: an asyncio server closed during an accept leaks the new connection."""
        if forwarder := self._forwarders.pop(key, None):
            self.gone.add(key)
            self._removed.append(forwarder)
            self._run(forwarder.forward(0))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


class _Forwarder:
    port: int
    _server: asyncio.Server

    def __init__(self) -> None:
        self.target = 0
        self._connections: set[asyncio.Task[None]] = set()

    @classmethod
    async def made(cls) -> _Forwarder:
        forwarder = cls()
        forwarder._server = await asyncio.start_server(forwarder._accept, "127.0.0.1", 0)
        forwarder.port = forwarder._server.sockets[0].getsockname()[1]
        return forwarder

    async def forward(self, target: int) -> None:
        self.target = target
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def end(self) -> None:
        self._server.close()
        await self.forward(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                if self.target:
                    await self._serve(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.target)
        ways = [asyncio.ensure_future(_pass(reader, inner_writer)), asyncio.ensure_future(_pass(inner_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            inner_writer.close()  # first: a second cancellation may come while the rest is awaited
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
