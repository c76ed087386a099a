"""provider.adapters.kube.client: a new login while requests of the former one still run."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from provider.adapters.kube.client import KubeClient
from provider.adapters.kube.login import Login
from provider.api.meta import ObjectKey
from provider.api.names import SECRETS
from provider.errors import Transient


class FakeResponse:
    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.headers, self._body = status, dict[str, str](), body

    async def read(self) -> bytes:
        return self._body


class FakeClient:
    """kubernetes.aio's ApiClient: answers 401 to every request but the slow ones, which wait until they are let go."""

    def __init__(self, status: int, body: bytes = b'{"kind": "Secret"}') -> None:
        self.status, self.body = status, body
        self.go_on = asyncio.Event()
        self.closed = False

    async def param_serialize(self, method: str, path: str, **_: Any) -> tuple[str]:
        return (path,)

    async def call_api(self, path: str, **_: Any) -> FakeResponse:
        if path.endswith("slow"):
            await self.go_on.wait()
            assert not self.closed, "closed under a running request"
            return FakeResponse(200, self.body)
        return FakeResponse(self.status, self.body)

    async def close(self) -> None:
        self.closed = True


def kube_on(*clients: FakeClient) -> KubeClient:
    logins = iter(clients)

    async def login() -> Login:
        client: Any = next(logins)
        return Login(client, "https://x", ssl.create_default_context(), "", None)

    return KubeClient(login, deadline=5.0)


async def test_a_new_login_lets_running_requests_finish_on_the_former_one() -> None:
    """Only then is its client closed: a token that ran out must not break what the server is answering."""
    old, new = FakeClient(401), FakeClient(200)
    kube = kube_on(old, new)
    slow = asyncio.create_task(kube.get(SECRETS, ObjectKey("default", "slow")))
    await asyncio.sleep(0)

    assert await kube.get(SECRETS, ObjectKey("default", "a")) is not None
    assert (old.closed, slow.done()) == (False, False)

    old.go_on.set()
    assert await slow is not None
    assert (old.closed, new.closed) == (True, False)

    await kube.close()
    assert new.closed


async def test_a_cancelled_request_lets_the_former_login_go_too() -> None:
    """Nothing stays open because a pass ran out of time."""
    old, new = FakeClient(401), FakeClient(200)
    kube = kube_on(old, new)
    slow = asyncio.create_task(kube.get(SECRETS, ObjectKey("default", "slow")))
    await asyncio.sleep(0)
    await kube.get(SECRETS, ObjectKey("default", "a"))
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)

    assert old.closed


async def test_a_login_without_requests_is_closed_at_once() -> None:
    """The usual case."""
    old, new = FakeClient(401), FakeClient(200)
    await kube_on(old, new).get(SECRETS, ObjectKey("default", "a"))

    assert old.closed


async def test_a_success_without_an_object_is_no_answer_of_an_api_server() -> None:
    """A proxy's login page comes with 200: nobody concludes anything from it."""
    with pytest.raises(Transient, match="proxy in between"):
        await kube_on(FakeClient(200, b"<html>")).get(SECRETS, ObjectKey("default", "a"))
