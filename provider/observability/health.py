"""The endpoints: /healthz and /readyz on one address, /metrics on another. Plain HTTP, on loopback unless asked otherwise."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping

from aiohttp import web

from provider.api.conditions import Reason
from provider.errors import Terminal
from provider.settings import Address

log = logging.getLogger(__name__)

Check = Callable[[], str]
"""Empty when it passes, else what is wrong."""
SHUTDOWN = 0.5
"""Seconds given to requests under way when the server closes."""


class Server:
    """One listening address with its pages."""

    def __init__(self) -> None:
        self._app = web.Application()
        self._runner: web.AppRunner | None = None

    def add_checks(self, path: str, checks: Mapping[str, Check]) -> None:
        """200 when every check passes, else 503; the body names each check."""

        async def answer(_: web.Request) -> web.Response:
            found = {name: check() for name, check in checks.items()}
            lines = [f"[-] {name}: {problem}" if problem else f"[+] {name}" for name, problem in found.items()]
            return web.Response(text="\n".join(lines) + "\n", status=503 if any(found.values()) else 200)

        self._app.router.add_get(path, answer)

    def add_page(self, path: str, page: Callable[[], tuple[bytes, str]]) -> None:
        async def answer(_: web.Request) -> web.Response:
            body, content_type = page()
            return web.Response(body=body, headers={"Content-Type": content_type})

        self._app.router.add_get(path, answer)

    async def start(self, address: Address, flag: str) -> Address:
        """Listen; returns the address with its real port. Raises Terminal naming the flag when the address cannot be used."""
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=SHUTDOWN)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, address.host, address.port).start()
        except OSError as error:
            await self.stop()
            raise Terminal(Reason.ADDRESS_UNUSABLE, _why(error, address, flag)) from error
        bound = Address(address.host, self._runner.addresses[0][1])
        log.info("Listening", extra={"address": str(bound), "pages": ", ".join(sorted(self._pages()))})
        return bound

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _pages(self) -> set[str]:
        return {resource.canonical for resource in self._app.router.resources()}


def _why(error: OSError, address: Address, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        cause = "another program listens there"
    elif error.errno in (errno.EACCES, errno.EPERM):
        cause = "this user may not listen there"
    else:
        cause = error.strerror or type(error).__name__
    return f"Cannot listen on {address}: {cause}. Give {flag} another address, port 0 for any free port, or 0 for none."
