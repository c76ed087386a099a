"""Requests on a host that has no file descriptor left: nothing is concluded about whoever is at the other end."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import aiohttp
import pytest

from provider.adapters.kube.client import KubeClient
from provider.adapters.kube.login import Login, login
from provider.adapters.kube.workload import WorkloadProbe
from provider.api.meta import ObjectKey
from provider.api.names import SECRETS
from provider.errors import Transient
from tests.fakes.limits import open_files
from tests.fakes.runtime import kubeconfig_text


async def test_a_request_that_finds_no_socket_says_so() -> None:
    """Not "the API server cannot be reached"."""

    async def enter() -> Login:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with pytest.raises(Transient) as caught:
        await KubeClient(enter).get(SECRETS, ObjectKey("default", "x"))
    assert "OpenFilesLimit" == caught.value.reason


async def test_a_kubeconfig_that_cannot_be_opened_for_want_of_files_is_not_refused(tmp_path: Path) -> None:
    """Terminal would ask for another kubeconfig."""
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text("{}")
    await _refused(kubeconfig, tmp_path)  # what it imports is imported by now
    with open_files(), pytest.raises(Transient) as caught:
        await login(str(kubeconfig), "", tmp_path)
    assert "OpenFilesLimit" == caught.value.reason


@pytest.mark.parametrize("spare", range(4))
async def test_a_clusters_api_that_finds_no_socket_is_unknown(spare: int) -> None:
    """Ready is not flipped by a limit of the manager's host."""
    probe = WorkloadProbe()
    text = kubeconfig_text("demo", "https://127.0.0.1:1")
    await probe.observe(text)
    await probe.close()
    with open_files(spare):
        seen = await probe.observe(text)
    await probe.close()
    assert seen.reachable is None or spare
    assert "ulimit" in seen.detail or spare


async def test_a_connection_that_finds_no_socket_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiohttp wraps what the system says."""

    async def refuse(*_: object, **__: object) -> None:
        key = aiohttp.client_reqrep.ConnectionKey("127.0.0.1", 1, True, True, None, None, None)
        raise aiohttp.ClientConnectorError(key, OSError(errno.EMFILE, os.strerror(errno.EMFILE)))

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", refuse)
    probe = WorkloadProbe()
    seen = await probe.observe(kubeconfig_text("demo", "https://127.0.0.1:1"))
    await probe.close()
    assert seen.reachable is None


async def _refused(kubeconfig: Path, scratch: Path) -> None:
    with pytest.raises(Exception, match="kubeconfig"):
        await login(str(kubeconfig), "", scratch)
