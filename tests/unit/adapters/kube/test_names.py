"""References are free text: whatever one says, a request stays with the resource and in the namespace that were meant."""

from __future__ import annotations

import pytest

from provider.adapters.kube.client import KubeClient
from provider.adapters.kube.login import Login
from provider.api import names
from provider.api.meta import ObjectKey


async def no_login() -> Login:
    raise AssertionError("a request was about to be sent")


@pytest.mark.parametrize("name", ["../../kube-system/configmaps/theirs", "../secrets/theirs", "..", ".", "a/b", "..%2Fsecrets"])
async def test_what_cannot_be_a_name_is_the_name_of_nothing(name: str) -> None:
    """As a part of the URL, it would lead to other people's objects."""
    client = KubeClient(no_login)

    assert await client.get(names.CONFIG_MAPS, ObjectKey("default", name)) is None
    assert await client.patch(names.CONFIG_MAPS, ObjectKey("default", name), {}) is None
    await client.delete(names.CONFIG_MAPS, ObjectKey("default", name))
    assert await client.get(names.CONFIG_MAPS, ObjectKey(name, "demo")) is None
