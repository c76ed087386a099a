"""The endpoints: /healthz and /readyz on one address, /metrics on another. Plain HTTP, on loopback unless asked otherwise."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping

from aiohttp import web

from provider.api.conditions import Reason
from provider.errors import Terminal
from provider.ports.runtime import Endpoint

log = logging.getLogger(__name__)

Check = Callable[[], str]
"""Empty when it passes, else what is wrong."""
Page = Callable[[], tuple[bytes, str, int]]
"""→ body, content type, HTTP status."""
CAUSES: Mapping[int | None, str] = {
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "this user may not listen there",
    errno.EPERM: "this user may not listen there",
}
SHUTDOWN = 0.5
"""Seconds given to requests under way when the server closes."""


def checks(named: Mapping[str, Check]) -> Page:
    """200 when every check passes, else 503; the body names each check."""

    def page() -> tuple[bytes, str, int]:
        found = {name: check() for name, check in named.items()}
        lines = [f"[-] {name}: {problem}\n" if problem else f"[+] {name}\n" for name, problem in found.items()]
        return "".join(lines).encode(), "text/plain; charset=utf-8", 503 if any(found.values()) else 200

    return page


class Server:
    """One listening address with its pages, by path."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages
        app = web.Application()
        for path in pages:
            app.router.add_get(path, self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN)

    async def _answer(self, request: web.Request) -> web.Response:
        body, content_type, status = self._pages[request.path]()
        return web.Response(body=body, status=status, headers={"Content-Type": content_type})

    async def start(self, address: Endpoint, flag: str) -> Endpoint:
        """Listen; returns the address with its real port. Raises Terminal naming the flag when the address cannot be used."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, address.host, address.port).start()
        except OSError as error:
            await self.stop()
            cause = CAUSES.get(error.errno, error.strerror or type(error).__name__)
            cure = f"Give {flag} another address, port 0 for any free port, or 0 for none."
            raise Terminal(Reason.ADDRESS_UNUSABLE, f"Cannot listen on {address}: {cause}. {cure}") from error
        bound = Endpoint(address.host, self._runner.addresses[0][1])
        log.info("Listening", extra={"address": str(bound), "pages": ", ".join(sorted(self._pages))})
        return bound

    async def stop(self) -> None:
        await self._runner.cleanup()
