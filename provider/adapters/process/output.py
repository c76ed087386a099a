"""The pipes between this process and a program it runs, and what is kept of the bytes that come through them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from typing import BinaryIO

MAX_TAIL = 64 << 10
"""Bytes of standard error (and of a long command's output) kept: the end, where the reason is."""
MAX_LINE = 16 << 10
"""Bytes of a line."""
CHUNK = 64 << 10

OnLine = Callable[[str], None]


@contextlib.contextmanager
def stdin_file(text: str) -> Iterator[BinaryIO | int]:
    """A file instead of a pipe: nothing has to be fed while the program runs."""
    if not text:
        yield asyncio.subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(text.encode())
        file.seek(0)
        yield file


@contextlib.contextmanager
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """(the end to read from, the end to write to)."""
    read, write = os.pipe()
    with os.fdopen(read, "rb", 0) as source, os.fdopen(write, "wb", 0) as sink:
        yield source, sink


@contextlib.asynccontextmanager
async def reader(source: BinaryIO) -> AsyncIterator[asyncio.StreamReader]:
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader(limit=MAX_LINE)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), source)
    try:
        yield stream
    finally:
        transport.close()


async def next_line(stream: asyncio.StreamReader) -> bytes:
    """The next line; b"" at the end. A line of more than MAX_LINE bytes is skipped."""
    while True:
        try:
            return await stream.readline()
        except ValueError:  # StreamReader has dropped the long line from its buffer
            continue


async def drain(stream: asyncio.StreamReader, sink: Tail | Head) -> None:
    """Feed everything into `sink`; an empty chunk says that it was all."""
    while chunk := await stream.read(CHUNK):
        sink.feed(chunk)
    sink.feed(b"")


class Tail:
    """Keeps the end."""

    def __init__(self, limit: int = MAX_TAIL) -> None:
        self._limit = limit
        self._kept = bytearray()

    def feed(self, chunk: bytes) -> None:
        self._kept += chunk
        del self._kept[: max(0, len(self._kept) - self._limit)]

    def data(self) -> bytes:
        return bytes(self._kept)

    def text(self) -> str:
        return self._kept.decode(errors="replace")


class Head:
    """Keeps the beginning. `overflowed`: there was more."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self.overflowed = False

    def feed(self, chunk: bytes) -> None:
        room = self._limit - len(self._kept)
        self._kept += chunk[:room]
        self.overflowed = self.overflowed or len(chunk) > room

    def data(self) -> bytes:
        return bytes(self._kept)


class Lines(Tail):
    """Keeps the end, and calls `on_line` with every line: without its end, cut at MAX_LINE bytes."""

    def __init__(self, on_line: OnLine) -> None:
        super().__init__()
        self._on_line = on_line
        self._open = b""

    def feed(self, chunk: bytes) -> None:
        super().feed(chunk)
        *lines, self._open = (self._open + chunk).split(b"\n")
        if not chunk and self._open:  # the end of the output ends its last line
            lines, self._open = [self._open], b""
        self._open = self._open[:MAX_LINE]  # a program that never ends its line must not fill our memory
        for line in lines:
            self._on_line(line[:MAX_LINE].decode(errors="replace").rstrip("\r"))
