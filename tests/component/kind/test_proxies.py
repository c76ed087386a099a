"""Proxies that nodes are handed, and the one kind that they cannot reach."""

from __future__ import annotations

import logging

import pytest

from provider.adapters.kind.proxies import for_nodes


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:3128", "localhost:3128", "http://user:secret@[::1]:3128", "127.1.1.1:1"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy"])
def test_a_loopback_proxy_is_not_handed_to_nodes(name: str, proxy: str, caplog: pytest.LogCaptureFixture) -> None:
    """It works on the host alone; and it is said, without its password."""
    with caplog.at_level(logging.WARNING):
        assert {"PATH": "/bin"} == for_nodes({"PATH": "/bin", name: proxy}, "docker")
    assert "loopback" in caplog.text
    assert "secret" not in caplog.text


def test_engines_that_pull_in_the_command_keep_it(caplog: pytest.LogCaptureFixture) -> None:
    """podman could pull nothing else; that nodes cannot reach it is said."""
    given = {"HTTPS_PROXY": "http://127.0.0.1:3128"}
    with caplog.at_level(logging.WARNING):
        assert given == for_nodes(given, "podman")
    assert "loopback" in caplog.text


@pytest.mark.parametrize("proxy", ["http://proxy.example:3128", "10.0.0.1:3128", "", "http://[bad"])
def test_every_other_proxy_is_handed_on_in_silence(proxy: str, caplog: pytest.LogCaptureFixture) -> None:
    """kind knows what to do with it."""
    given = {"HTTPS_PROXY": proxy, "NO_PROXY": "127.0.0.1"}
    assert given == for_nodes(given, "docker")
    assert not caplog.records
