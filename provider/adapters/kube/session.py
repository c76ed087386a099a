"""One login in use: the requests that run with it, and its end, which waits for them.

A new login after a 401 must not close the connections of requests that the server is still answering.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from provider.adapters.kube.login import Login


class Session:
    """Use from one event loop only."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self._requests = 0
        self._retired = False

    @contextlib.asynccontextmanager
    async def request(self) -> AsyncIterator[Login]:
        """The login, which stays open until the request is over."""
        self._requests += 1
        try:
            yield self.login
        finally:
            self._requests -= 1
            if self._retired and not self._requests:
                await self.close()

    async def retire(self) -> None:
        """Begin no more requests with it: closed now, or after its last request (each has a deadline)."""
        self._retired = True
        if not self._requests:
            await self.close()

    async def close(self) -> None:
        await self.login.client.close()
