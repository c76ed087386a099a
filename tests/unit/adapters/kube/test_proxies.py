"""Which proxy a request takes: as kubectl decides it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provider.adapters.kube.login import login
from provider.adapters.kube.proxies import proxy_for

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "[::1]"])
def test_loopback_never_takes_a_proxy(host: str) -> None:
    """NO_PROXY need not name it."""
    assert proxy_for(f"https://{host}:6443", {"HTTPS_PROXY": PROXY}) is None


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY}, PROXY),
        ({"HTTPS_PROXY": "proxy.example:3128"}, PROXY),
        ({"HTTP_PROXY": PROXY}, None),
        ({"ALL_PROXY": PROXY}, None),
    ],
)
def test_the_variable_of_the_scheme_counts(environment: dict[str, str], proxy: str | None) -> None:
    """Go knows no ALL_PROXY."""
    assert proxy == proxy_for("https://api.example.org:6443", environment)


@pytest.mark.parametrize(
    ("entry", "host", "direct"),
    [
        ("*", "api.example.org", True),
        ("example.org", "api.example.org", True),
        ("example.org", "example.org", True),
        (".example.org", "api.example.org", True),
        (".example.org", "example.org", False),
        ("*.example.org", "api.example.org", True),
        ("example.org", "notexample.org", False),
        ("api.example.org:6443", "api.example.org", True),
        ("api.example.org:443", "api.example.org", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:6443", "10.1.2.3", True),
        ("fd00::/8", "[fd00::1]", True),
        ("[fd00::1]:6443", "[fd00::1]", True),
        ("other, 10.0.0.0/nonsense,,API.Example.org", "api.example.org", True),
    ],
)
def test_no_proxy_is_read_as_go_reads_it(entry: str, host: str, direct: bool) -> None:
    """golang.org/x/net/http/httpproxy, FromEnvironment."""
    assert direct is (proxy_for(f"https://{host}:6443", {"HTTPS_PROXY": PROXY, "NO_PROXY": entry}) is None)


@pytest.mark.parametrize(
    ("server", "own", "proxy"),
    [
        ("https://127.0.0.1:6443", None, None),
        ("https://api.example.org:6443", None, PROXY),
        ("https://api.example.org:6443", "http://own:1", "http://own:1"),
    ],
)
async def test_a_login_uses_that_proxy_and_no_other(
    tmp_path: Path, server: str, own: str | None, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both the client's session and what is handed to kopf; the kubeconfig's own proxy-url wins. No session looks at variables itself."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    cluster = {"server": server} | ({"proxy-url": own} if own else {})
    content = {
        "clusters": [{"name": "x", "cluster": cluster}],
        "users": [{"name": "x", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "current-context": "x",
    }
    (tmp_path / "config").write_text(json.dumps(content))
    found = await login(str(tmp_path / "config"), "", tmp_path, environment={"HTTPS_PROXY": PROXY})
    assert proxy == found.proxy == found.client.rest_client.proxy
    session = found.client.rest_client._create_pool_manager()
    assert not session.trust_env
    await session.close()
    await found.client.close()
