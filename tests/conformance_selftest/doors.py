"""The fake provider's workload clusters: a door on loopback for each, which leads to a real API server, to another one, or nowhere."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

Key = tuple[str, str]
"""Namespace and name of a Cluster: the same in every management cluster."""


class Doors:
    """All of them, with the loop that serves them. Other threads use the methods."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._doors: dict[Key, _Door] = {}
        self._making = threading.Lock()
        self.gone: set[Key] = set()
        """Those that were taken away: a door of the same key is to another cluster."""
        self._shut: list[_Door] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for key in list(self._doors):
            self.remove(key)
        for door in self._shut:
            self._run(door.end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def port(self, key: Key) -> int:
        """Of the door, which is made when it is first asked for, and closed then."""
        with self._making:
            if key not in self._doors:
                self._doors[key] = self._run(_Door.made())
            return self._doors[key].port

    def __contains__(self, key: object) -> bool:
        return key in self._doors

    def leads_to(self, key: Key) -> int:
        """Port of the API server behind it; 0 when it is closed."""
        return self._doors[key].target if key in self._doors else 0

    def lead(self, key: Key, target: int) -> None:
        """To the API server at this port of loopback; 0 closes it."""
        self.port(key)
        self._run(self._doors[key].lead(target))

    def remove(self, key: Key) -> None:
        """For good. Its port stays taken: a server that is closed while somebody knocks leaks what it has just accepted."""
        if door := self._doors.pop(key, None):
            self.gone.add(key)
            self._shut.append(door)
            self._run(door.lead(0))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


class _Door:
    port: int
    _server: asyncio.Server

    def __init__(self) -> None:
        self.target = 0
        self._guests: set[asyncio.Task[None]] = set()

    @classmethod
    async def made(cls) -> _Door:
        door = cls()
        door._server = await asyncio.start_server(door._guest, "127.0.0.1", 0)
        door.port = door._server.sockets[0].getsockname()[1]
        return door

    async def lead(self, target: int) -> None:
        self.target = target
        for guest in list(self._guests):
            guest.cancel()
        await asyncio.gather(*self._guests, return_exceptions=True)

    async def end(self) -> None:
        self._server.close()
        await self.lead(0)

    async def _guest(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._guests.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                if self.target:
                    await self._serve(reader, writer)
        finally:
            self._guests.discard(task)
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
