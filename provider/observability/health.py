"""The endpoints: /healthz and /readyz on one address, /metrics on another. Plain HTTP, on loopback unless asked otherwise.

They are served from a thread of their own, and every page is made on the manager's event loop: a loop that hangs makes a page that says
where, not a probe without an answer.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

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
PATIENCE = 2.0
"""Seconds that the event loop may take to begin a page. Less than the probes' timeoutSeconds, or nobody reads what is said then."""
TEXT = "text/plain; charset=utf-8"
OURS = Path(__file__).resolve().parents[1]
"""Where code of the provider is."""
T = TypeVar("T")


def checks(named: Mapping[str, Check]) -> Page:
    """200 when every check passes, else 503; the body names each check."""

    def page() -> tuple[bytes, str, int]:
        found = {name: check() for name, check in named.items()}
        lines = [f"[-] {name}: {problem}\n" if problem else f"[+] {name}\n" for name, problem in found.items()]
        return "".join(lines).encode(), TEXT, 503 if any(found.values()) else 200

    return page


class Server:
    """One listening address with its pages, by path. Started and stopped on the event loop that makes the pages."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages
        self._runner: web.AppRunner | None = None

    async def start(self, address: Endpoint, flag: str) -> Endpoint:
        """Listen; returns the address with its real port. Raises Terminal naming the flag when the address cannot be used."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="health", daemon=True)
        self._thread.start()
        try:
            port = await self._there(self._listen(address, asyncio.get_running_loop(), threading.get_ident()))
        except OSError as error:
            await self.stop()
            cause = CAUSES.get(error.errno, error.strerror or type(error).__name__)
            cure = f"Give {flag} another address, port 0 for any free port, or 0 for none."
            raise Terminal(Reason.ADDRESS_UNUSABLE, f"Cannot listen on {address}: {cause}. {cure}") from error
        bound = Endpoint(address.host, port)
        log.info("Listening", extra={"address": str(bound), "pages": ", ".join(sorted(self._pages))})
        return bound

    async def stop(self) -> None:
        """Close the address and end the thread."""
        if self._runner is not None:
            await self._there(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it on the server's own loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    # --- on the server's own loop ----------------------------------------------------------------------------------------------

    async def _listen(self, address: Endpoint, manager: asyncio.AbstractEventLoop, thread: int) -> int:
        """`manager` makes the pages; it runs in `thread`. Returns the port."""

        async def answer(request: web.Request) -> web.Response:
            page = asyncio.run_coroutine_threadsafe(_made(self._pages[request.path]), manager)
            try:
                async with asyncio.timeout(PATIENCE):
                    body, content_type, status = await asyncio.wrap_future(page)
            except TimeoutError:
                body, content_type, status = f"[-] event loop: {_hang(manager, thread)}\n".encode(), TEXT, 503
            return web.Response(body=body, status=status, headers={"Content-Type": content_type})

        app = web.Application()
        for path in self._pages:
            app.router.add_get(path, answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN)
        await self._runner.setup()
        await web.TCPSite(self._runner, address.host, address.port).start()
        port: int = self._runner.addresses[0][1]
        return port


async def _made(page: Page) -> tuple[bytes, str, int]:
    return page()


def _hang(loop: asyncio.AbstractEventLoop, thread: int) -> str:
    """Where a loop of another thread is: the task, and the line of the provider."""
    task = asyncio.current_task(loop)
    name = task.get_name() if task is not None else "no task"
    frames = sys._current_frames()  # noqa: SLF001 - public, in spite of its name
    return f"hangs for more than {PATIENCE:.0f} s, in {name}: {_line(frames.get(thread))}"


def _line(frame: FrameType | None) -> str:
    """The innermost line of the provider's own code."""
    while frame is not None and OURS not in Path(frame.f_code.co_filename).parents:
        frame = frame.f_back
    if frame is None:
        return "outside of the provider's code"
    return f"{Path(frame.f_code.co_filename).relative_to(OURS.parent)}:{frame.f_lineno}, {frame.f_code.co_name}"
