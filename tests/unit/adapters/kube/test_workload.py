"""provider.adapters.kube.workload against a small TLS server that plays the cluster's API, well and badly."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from provider.adapters.files import replace_file
from provider.adapters.kube import bounded, workload
from provider.adapters.kube.kubeconfig import Kubeconfig, parse
from provider.adapters.kube.workload import WorkloadProbe
from provider.adapters.local import pki
from provider.ports.runtime import Endpoint
from provider.ports.workload import WorkloadNode, WorkloadObservation

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def node(name: str, *, ready: str = "True", message: str = "") -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "message": message}
    return {"metadata": {"name": name}, "status": {"conditions": [condition], "nodeInfo": {"kubeletVersion": "v1.34.4"}}}


class Api:
    """Answers by path; requests are noted."""

    def __init__(self) -> None:
        self.authority = pki.authority()
        self.answers: dict[str, tuple[int, Any] | Handler] = {
            "/readyz": (200, "ok"),
            "/version": (200, {"gitVersion": "v1.34.4"}),
            "/api/v1/nodes": (200, {"items": [node("b"), node("a", ready="False", message="no CNI")]}),
            "/api/v1/namespaces/default/serviceaccounts/default": (200, {}),
            "/api/v1/namespaces/kube-system": (200, {"metadata": {"uid": "6a5c-1"}}),
        }
        self.requests: list[str] = []
        self.port = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        assert request.transport is not None
        assert request.transport.get_extra_info("peercert"), "the client showed no certificate"
        answer = self.answers[request.path]
        if not isinstance(answer, tuple):
            return await answer(request)
        status, body = answer
        return web.Response(status=status, text=body) if isinstance(body, str) else web.json_response(body, status=status)

    def kubeconfig(self, port: int = 0, authority: pki.KeyPair | None = None) -> str:
        user = pki.client(self.authority, "admin", "system:masters")
        trusted = (authority or self.authority).certificate_pem
        server = Endpoint("127.0.0.1", port or self.port)
        return Kubeconfig(server, trusted, user.certificate_pem, user.key_pem).dump("demo")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    api = Api()
    serving = pki.serving(api.authority)
    chain = replace_file(tmp_path / "serving.pem", serving.certificate_pem + serving.key_pem)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=api.authority.certificate_pem.decode())
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(chain)
    app = web.Application()
    app.router.add_get("/{path:.*}", api.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    api.port = runner.addresses[0][1]
    yield api
    await runner.cleanup()


@pytest.fixture
async def probe() -> AsyncIterator[WorkloadProbe]:
    probe = WorkloadProbe(deadline=20.0)
    yield probe
    await probe.close()


async def test_a_healthy_cluster_is_seen_whole(api: Api, probe: WorkloadProbe) -> None:
    """Version, nodes with their state and why, and whether pods can be made."""
    given = api.kubeconfig()
    expires = parse(given).expires_at
    assert timedelta(days=364) < expires - datetime.now(UTC) < timedelta(days=366)
    assert await probe.observe(given) == WorkloadObservation(
        True,
        version="v1.34.4",
        nodes=(WorkloadNode("a", False, "v1.34.4", "no CNI"), WorkloadNode("b", True, "v1.34.4")),
        default_service_account=True,
        uid="6a5c-1",
        credentials_expire_at=expires,
    )


async def test_a_second_look_uses_the_same_connections(api: Api, probe: WorkloadProbe) -> None:
    """No handshake per look: 50 clusters must cost next to nothing."""
    kubeconfig = api.kubeconfig()
    await probe.observe(kubeconfig)
    sessions = list(probe._sessions.values())
    await probe.observe(kubeconfig)

    assert list(probe._sessions.values()) == sessions


async def test_an_api_server_that_is_not_ready_is_down_and_says_why(api: Api, probe: WorkloadProbe) -> None:
    """The failed checks are passed on, the passed ones are not."""
    api.answers["/readyz"] = (500, "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed")
    seen = await probe.observe(api.kubeconfig())

    assert seen.reachable is False
    assert "[-]etcd failed" in seen.detail
    assert "ping" not in seen.detail


async def test_nobody_listening_is_down(api: Api, probe: WorkloadProbe, unused_port: int) -> None:
    """Connection refused is an answer. When the certificate expires is known all the same: it may be why."""
    seen = await probe.observe(api.kubeconfig(port=unused_port))

    assert seen.reachable is False
    assert seen.credentials_expire_at is not None


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.fault(18, "the cluster's own API is silent", invariants="I7")
async def test_silence_is_not_known(api: Api) -> None:
    """A deadline says nothing about the cluster: Ready must not flip on it alone."""

    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        raise AssertionError

    api.answers["/api/v1/nodes"] = hang
    impatient = WorkloadProbe(deadline=1.0)
    seen = await impatient.observe(api.kubeconfig())
    await impatient.close()

    assert seen.reachable is None
    assert "did not answer" in seen.detail


async def test_another_server_on_the_same_port_is_not_ours(api: Api, probe: WorkloadProbe) -> None:
    """A certificate from another authority: down, whatever it answers."""
    seen = await probe.observe(api.kubeconfig(authority=pki.authority()))

    assert seen.reachable is False
    assert "certificate" in seen.detail


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_are_down(api: Api, probe: WorkloadProbe, status: int) -> None:
    """The kubeconfig is stale; observation fetches a new one."""
    api.answers["/api/v1/nodes"] = (status, {})
    seen = await probe.observe(api.kubeconfig())

    assert seen.reachable is False
    assert "credentials" in seen.detail
    assert seen.forbidden is (status == 403), "a known user without rights is another thing than an unknown one"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "{}"),
        (200, "no JSON"),
        (200, '{"metadata": {"uid": 1}}'),
        (200, '{"metadata": {"uid": "a b"}}'),
        (200, '{"metadata": []}'),
    ],
)
def test_a_uid_that_is_none_is_not_known(status: int, body: str) -> None:
    """Just started, or hostile: nothing may be concluded from it."""
    well = {name: workload.Answer(200, b"{}") for name in workload.PATHS}
    seen = workload.judge({**well, "system": workload.Answer(status, body.encode())})

    assert (seen.reachable, seen.uid) == (True, "")


async def test_pods_cannot_be_made_before_the_default_service_account_exists(api: Api, probe: WorkloadProbe) -> None:
    """It appears seconds after /readyz; Ready waits for it."""
    api.answers["/api/v1/namespaces/default/serviceaccounts/default"] = (404, {})

    assert (await probe.observe(api.kubeconfig())).default_service_account is False


@pytest.mark.fault(18, "the cluster's own API answers with nonsense", invariants="I14")
@pytest.mark.parametrize("body", ["nonsense", "[]", '{"items": 7}', '{"items": [1, {"status": 3}, {"metadata": []}]}'])
async def test_nonsense_does_not_break_the_look(api: Api, probe: WorkloadProbe, body: str) -> None:
    """The server runs the user's image: its answers are not trusted."""
    api.answers["/api/v1/nodes"] = (200, body)
    api.answers["/version"] = (200, body)

    assert (await probe.observe(api.kubeconfig())).reachable is True


@pytest.mark.fault(44, "a cluster redirects the manager elsewhere", invariants="I3")
async def test_redirects_are_not_followed(api: Api, probe: WorkloadProbe) -> None:
    """Else a hostile node could send the manager anywhere."""

    async def away(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    api.answers["/readyz"] = away
    seen = await probe.observe(api.kubeconfig())

    assert seen.reachable is False
    assert "/elsewhere" not in api.requests


@pytest.mark.fault(44, "a cluster answers with more than memory holds", invariants="I14")
async def test_huge_answers_are_cut_off(api: Api, probe: WorkloadProbe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager's memory is not for the server to fill."""
    monkeypatch.setattr(bounded, "MAX_ANSWER", 1000)
    api.answers["/version"] = (200, "x" * 100_000)

    assert (await probe.observe(api.kubeconfig())).reachable is None


async def test_a_refused_kubeconfig_is_not_used(api: Api, probe: WorkloadProbe) -> None:
    """Nothing is asked; the reason is passed on without the text."""
    seen = await probe.observe(api.kubeconfig().replace("client-key-data", "exec"))

    assert seen.reachable is None
    assert "refused" in seen.detail
    assert api.requests == []


async def test_broken_certificates_are_no_defect(probe: WorkloadProbe, api: Api) -> None:
    """Well-formed base64 of rubbish."""
    user = pki.client(api.authority, "admin")
    mixed = Kubeconfig(
        Endpoint("127.0.0.1", api.port),
        api.authority.certificate_pem,
        user.certificate_pem,
        pki.client(api.authority, "other").key_pem,
    )

    assert (await probe.observe(mixed.dump("demo"))).reachable is None


async def test_old_sessions_are_closed(api: Api, probe: WorkloadProbe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manager that has seen a thousand clusters does not hold a thousand connections."""
    monkeypatch.setattr(workload, "SESSIONS", 2)
    configs = [api.kubeconfig() for _ in range(4)]
    for config in configs:
        await probe.observe(config)

    assert len(probe._sessions) == 2
    assert all(not session.closed for session in probe._sessions.values())


@pytest.mark.fault(42, "files are looked through for a key", invariants="I11")
async def test_the_private_key_reaches_no_file(
    api: Api, probe: WorkloadProbe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither while it is in use nor afterwards, and no descriptor stays open."""
    if not hasattr(os, "memfd_create"):
        pytest.skip("this system has no memfd_create")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    files, descriptors = listing(tmp_path), listing(Path("/proc/self/fd"))
    workload.client_tls(parse(api.kubeconfig()))

    assert listing(tmp_path) == files
    assert listing(Path("/proc/self/fd")) <= descriptors


def listing(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}
