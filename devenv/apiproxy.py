"""A reverse proxy before a ManagementAPI: records every request, and injects the faults that a test asks for.

    with APIProxy(api) as proxy:
        manager = ... --kubeconfig proxy.kubeconfig
        proxy.answer(503)          # every request, until proxy.answer(None)
        proxy.cut()                # all open connections, watches included

It speaks plain HTTP on loopback and holds the admin's certificate; every client of it is the admin.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

import aiohttp
from aiohttp import web

from devenv.controlplane import ManagementAPI
from provider.controller.watch import close_sessions

HANG = 0


@dataclass(frozen=True)
class Seen:
    """One request, as the client sent it."""

    method: str
    path: str
    """With the query."""


class APIProxy:
    def __init__(self, api: ManagementAPI) -> None:
        self.api = api
        self.seen: list[Seen] = []
        self.kubeconfig: Path = api.folder / "proxy.kubeconfig"
        self._status: int | None = None
        self._only = ""
        self._headers: Mapping[str, str] = {}
        self._open: dict[int, web.Request] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._upstream: aiohttp.ClientSession | None = None
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start()).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.cut()
        self._call(self._end()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # --- faults ----------------------------------------------------------------------------------------------------------------

    def answer(self, status: int | None, only: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        """Answer new requests (whose path contains `only`) with this status instead of asking; None: be transparent again."""
        self._status, self._only, self._headers = status, only, headers or {}

    def hang(self, only: str = "") -> None:
        """Never answer new requests whose path contains `only`, until `answer(None)` (for later ones)."""
        self.answer(HANG, only)

    def cut(self) -> None:
        """Abort every open connection."""

        async def close() -> None:
            for request in list(self._open.values()):
                if request.transport is not None:
                    request.transport.abort()

        self._call(close()).result(10)

    def wait_for_requests(self, count: int) -> None:
        """Return when so many requests were seen. Raises AssertionError after ten seconds."""
        until = time.monotonic() + 10
        while len(self.seen) < count:
            assert time.monotonic() < until, f"only {len(self.seen)} requests of {count}"
            time.sleep(0.01)

    def paths(self, method: str, containing: str) -> list[str]:
        return [seen.path for seen in list(self.seen) if seen.method == method and containing in seen.path]

    # --- inside ----------------------------------------------------------------------------------------------------------------

    def _call(self, work: object) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)  # type: ignore[arg-type]

    async def _start(self) -> None:
        tls = ssl.create_default_context(cafile=str(self.api.folder / "ca.crt"))
        tls.load_cert_chain(self.api.folder / "admin.crt", self.api.folder / "admin.key")
        self._upstream = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=0, socket_factory=self._make_socket),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        app = web.Application(client_max_size=2**23)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._write_kubeconfig(self._runner.addresses[0][1])

    def _make_socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        made = socket.socket(*address[:3])
        self._sockets.add(made)
        return made

    async def _end(self) -> None:
        assert self._runner is not None
        assert self._upstream is not None
        await self._runner.cleanup()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await close_sessions([self._upstream], self._sockets)

    def _write_kubeconfig(self, port: int) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "current-context": "proxy",
        }
        self.kubeconfig.write_text(json.dumps(config))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request.method, request.raw_path))
        if self._status not in (None, HANG) and self._only in request.raw_path:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self._status, "message": "by the test"}
            return web.json_response(status, status=self._status, headers=self._headers)
        self._open[id(request)] = request
        try:
            if self._status == HANG and self._only in request.raw_path:
                await asyncio.sleep(3600)
            return await self._forward(request)
        finally:
            del self._open[id(request)]

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        assert self._upstream is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "content-length")}
        body = await request.read()
        url = self.api.url + request.raw_path
        async with self._upstream.request(request.method, url, headers=headers, data=body or None) as answer:
            kept = {
                name: value for name, value in answer.headers.items() if name.lower() not in ("transfer-encoding", "connection")
            }
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
            return response
