"""provider.adapters.kube.client and login at their edges: what a real API server, or what stands before it, does wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devenv.apiproxy import APIProxy
from devenv.controlplane import ManagementAPI
from provider.adapters.kube import client as kube_adapter
from provider.adapters.kube.client import KubeClient
from provider.adapters.kube.login import Login, login
from provider.api.meta import ObjectKey, Resource
from provider.api.names import LEASES, SECRETS
from provider.errors import ProviderError, Terminal, Transient

NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap")
KEY = ObjectKey("default", "edge")
Connect = Callable[..., KubeClient]


@pytest.fixture
def proxy(apiserver: ManagementAPI) -> Iterator[APIProxy]:
    with APIProxy(apiserver) as proxy:
        yield proxy


@pytest.fixture
async def connect(tmp_path: Path) -> AsyncIterator[Connect]:
    clients = []

    def make(kubeconfig: Path, deadline: float = 15.0) -> KubeClient:
        async def enter() -> Login:
            return await login(str(kubeconfig), "", tmp_path)

        clients.append(KubeClient(enter, deadline=deadline))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


async def failure(call: Awaitable[object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await call
    return caught.value


@pytest.mark.fault(10, "429 with Retry-After, real client", invariants="I1")
async def test_an_overloaded_server_is_transient_and_its_wish_is_passed_on(proxy: APIProxy, connect: Connect) -> None:
    """429 with Retry-After: the caller waits at least that long. No retry happens here."""
    proxy.answer(429, headers={"Retry-After": "7"})
    error = await failure(connect(proxy.kubeconfig).get(SECRETS, KEY))

    assert isinstance(error, Transient)
    assert error.retry_after == 7.0
    assert len(proxy.seen) == 1


@pytest.mark.fault(10, "500 and 503, real client", invariants="I7")
@pytest.mark.parametrize("status", [500, 503, 504])
async def test_a_failing_server_is_transient(proxy: APIProxy, connect: Connect, status: int) -> None:
    """Reads and writes alike: nobody concludes that the object is absent."""
    proxy.answer(status)
    client = connect(proxy.kubeconfig)

    for call in (client.get(SECRETS, KEY), client.list(SECRETS), client.serves("x.test"), client.delete(SECRETS, KEY)):
        assert isinstance(await failure(call), Transient)


@pytest.mark.fault(11, "no answer, real client", invariants="I7")
async def test_a_server_that_does_not_answer_is_transient_within_the_deadline(proxy: APIProxy, connect: Connect) -> None:
    """Every call has an end."""
    proxy.hang()
    error = await failure(connect(proxy.kubeconfig, 1.0).get(SECRETS, KEY))

    assert (type(error), error.reason) == (Transient, "APITimeout")


@pytest.mark.fault(13, "the connection is cut, real client", invariants="I7")
async def test_a_cut_connection_is_transient(proxy: APIProxy, connect: Connect) -> None:
    """In the middle of a request."""
    proxy.hang()
    call = asyncio.create_task(failure(connect(proxy.kubeconfig, 2.0).get(SECRETS, KEY)))  # aiohttp tries a GET twice
    await asyncio.to_thread(proxy.wait_for_requests, 1)
    await asyncio.to_thread(proxy.cut)

    assert isinstance(await call, Transient)


async def test_nobody_listening_is_transient(connect: Connect, tmp_path: Path) -> None:
    """The API server may come later."""
    config = {
        "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "current-context": "x",
    }
    path = tmp_path / "nobody"
    await asyncio.to_thread(path.write_text, json.dumps(config))

    assert (await failure(connect(path).get(SECRETS, KEY))).reason == "ManagementUnreachable"


async def test_what_is_forbidden_is_terminal_and_says_what(apiserver: ManagementAPI, connect: Connect) -> None:
    """With the server's own words: which user may not do what."""
    error = await failure(connect(apiserver.kubeconfig_for("nobody")).get(SECRETS, KEY))

    assert (type(error), error.reason) == (Terminal, "Forbidden")
    assert "nobody" in error.message


async def test_a_namespace_that_is_going_is_told_from_a_lack_of_rights(apiserver: ManagementAPI, connect: Connect) -> None:
    """Both are 403: only the cause in the details says that nothing can be created there because it is being deleted."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "going"}}
    apiserver.request("POST", "/api/v1/namespaces", namespace)
    apiserver.request("DELETE", "/api/v1/namespaces/going")  # no controller-manager: it stays Terminating
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "late", "namespace": "going"}}
    error = await failure(connect(apiserver.kubeconfig).create(SECRETS, secret))
    apiserver.request("PUT", "/api/v1/namespaces/going/finalize", {**namespace, "spec": {"finalizers": []}})

    assert (type(error), error.reason) == (Terminal, "NamespaceTerminating")


async def test_what_is_invalid_is_terminal_and_says_why(apiserver: ManagementAPI, connect: Connect) -> None:
    """422 with the field."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "Not_A_Name", "namespace": "default"}}
    error = await failure(connect(apiserver.kubeconfig).create(SECRETS, secret))

    assert (type(error), error.reason) == (Terminal, "Invalid")
    assert "metadata.name" in error.message


async def test_creating_where_no_namespace_is_can_be_tried_again(apiserver: ManagementAPI, connect: Connect) -> None:
    """Somebody may create it."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "nowhere"}}

    assert isinstance(await failure(connect(apiserver.kubeconfig).create(SECRETS, secret)), Transient)


async def test_a_refused_login_is_made_anew_once(proxy: APIProxy, tmp_path: Path) -> None:
    """Tokens expire; the second 401 in a row is the answer."""
    logins = 0

    async def enter() -> Login:
        nonlocal logins
        logins += 1
        if logins == 2:
            proxy.answer(None)
        return await login(str(proxy.kubeconfig), "", tmp_path)

    client = KubeClient(enter)
    try:
        proxy.answer(401)
        assert await client.get(NAMESPACES, ObjectKey("", "default")) is not None
        assert logins == 2

        proxy.answer(401)
        assert isinstance(await failure(client.get(NAMESPACES, ObjectKey("", "default"))), Transient)
        assert logins == 3
    finally:
        await client.close()


async def test_long_lists_come_in_pages(apiserver: ManagementAPI, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, once each."""
    monkeypatch.setattr(kube_adapter, "PAGE", 3)
    client = connect(apiserver.kubeconfig)
    for number in range(10):
        meta = {"name": f"page-{number}", "namespace": "default", "labels": {"paged": "yes"}}
        await client.create(CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})

    found = await client.list(CONFIGMAPS, namespace="default", labels="paged=yes")

    assert sorted(item["metadata"]["name"] for item in found) == [f"page-{number}" for number in range(10)]


@pytest.mark.fault(7, "410 in the middle of a list", invariants="I1")
async def test_a_page_that_has_expired_costs_a_new_list(
    apiserver: ManagementAPI, proxy: APIProxy, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """410 while paging: what was read so far is out of date."""
    monkeypatch.setattr(kube_adapter, "PAGE", 1)
    client = connect(proxy.kubeconfig)
    expected = sorted(item["metadata"]["name"] for item in await connect(apiserver.kubeconfig).list(NAMESPACES))
    proxy.answer(410, "continue=")
    found = await client.list(NAMESPACES)

    assert sorted(item["metadata"]["name"] for item in found) == expected
    assert {(item["apiVersion"], item["kind"]) for item in found} == {("v1", "Namespace")}


async def test_a_version_that_is_no_longer_served_is_discovered_anew(apiserver: ManagementAPI, connect: Connect) -> None:
    """An upgrade of Cluster API changes what its group prefers, under a running manager."""
    crd = "gadgets.edge.test"
    gadgets = Resource("edge.test", "", "gadgets", "Gadget")
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}

    def versions(v1: bool, v2: bool) -> list[dict[str, Any]]:
        return [
            {"name": name, "served": served, "storage": name == "v1", "schema": schema}
            for name, served in (("v1", v1), ("v2", v2))
        ]

    names = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"}
    spec = {"group": "edge.test", "scope": "Namespaced", "names": names, "versions": versions(v1=True, v2=False)}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": crd},
        "spec": spec,
    }
    await asyncio.to_thread(apiserver.kubectl, "create", "-f", "-", stdin=json.dumps(definition))
    await asyncio.to_thread(apiserver.kubectl, "wait", "--for=condition=Established", f"crd/{crd}")
    client = connect(apiserver.kubeconfig)
    meta = {"name": KEY.name, "namespace": KEY.namespace}
    await asyncio.to_thread(apiserver.request, "GET", "/apis/edge.test/v1/gadgets")
    await client.create(gadgets, {"apiVersion": "edge.test/v1", "kind": "Gadget", "metadata": meta})
    before = await client.get(gadgets, KEY)
    assert before is not None
    assert before["apiVersion"] == "edge.test/v1"

    patch = json.dumps({"spec": {"versions": versions(v1=False, v2=True)}})
    await asyncio.to_thread(apiserver.kubectl, "patch", f"crd/{crd}", "--type=merge", "-p", patch)
    for _ in range(400):
        found = await client.get(gadgets, KEY)
        if found is not None and found["apiVersion"] == "edge.test/v2":
            return
        await asyncio.sleep(0.05)
    raise AssertionError(found)


async def test_writes_carry_our_name(apiserver: ManagementAPI, connect: Connect) -> None:
    """managedFields tell a person who changed what."""
    client = connect(apiserver.kubeconfig)
    meta, spec = {"name": "managed", "namespace": "default"}, {"holderIdentity": "me"}
    lease = await client.create(LEASES, {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": meta, "spec": spec})

    assert {entry["manager"] for entry in lease["metadata"]["managedFields"]} == {"cluster-api-provider-kind"}


# --- logging in ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "clusters: 7", "current-context: x\ncontexts: []\nclusters: []\nusers: []\n", "a: &a [*a]"],
)
def test_an_unusable_kubeconfig_is_terminal_and_not_quoted(tmp_path: Path, text: str) -> None:
    """One sentence for people, with a cure."""
    path = tmp_path / "kubeconfig"
    path.write_text(text + "\n# canary")
    error = asyncio.run(failure(login(str(path), "", tmp_path)))

    assert (type(error), error.reason) == (Terminal, "KubeconfigUnusable")
    assert str(path) in error.message
    assert "canary" not in error.message


def test_a_missing_kubeconfig_or_context_is_terminal(apiserver: ManagementAPI, tmp_path: Path) -> None:
    """A typing error must not look like an outage."""
    missing = asyncio.run(failure(login(str(tmp_path / "no"), "", tmp_path)))
    context = asyncio.run(failure(login(str(apiserver.kubeconfig), "no-such-context", tmp_path)))

    assert type(missing) is type(context) is Terminal
    assert "no-such-context" in context.message


async def test_exec_plugins_of_the_users_own_kubeconfig_work(apiserver: ManagementAPI, connect: Connect, tmp_path: Path) -> None:
    """Cloud providers' logins; the plugin here hands out the admin's certificate."""
    admin = json.loads(apiserver.kubeconfig.read_text())
    user = admin["users"][0]["user"]
    status = {
        "clientCertificateData": base64.b64decode(user["client-certificate-data"]).decode(),
        "clientKeyData": base64.b64decode(user["client-key-data"]).decode(),
    }
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    plugin, answer, config = tmp_path / "plugin", tmp_path / "answer.json", tmp_path / "exec.kubeconfig"
    answer.write_text(json.dumps(credential))
    plugin.write_text(f"#!/bin/sh\ncat {answer}\n")
    plugin.chmod(stat.S_IRWXU)
    admin["users"][0]["user"] = {"exec": {"apiVersion": credential["apiVersion"], "command": str(plugin)}}
    config.write_text(json.dumps(admin))

    assert await connect(config).get(NAMESPACES, ObjectKey("", "default")) is not None


async def test_in_a_pod_the_service_account_is_used(
    apiserver: ManagementAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Token and authority from where the kubelet puts them, re-read by the package's loader."""
    from kubernetes.aio.config import incluster_config

    meta = {"name": "manager", "namespace": "default"}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}
    await asyncio.to_thread(apiserver.request, "POST", "/api/v1/namespaces/default/serviceaccounts", account)
    path = "/api/v1/namespaces/default/serviceaccounts/manager/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    _, answer = await asyncio.to_thread(apiserver.request, "POST", path, request)
    token, authority = tmp_path / "token", apiserver.folder / "ca.crt"
    token.write_text(answer["status"]["token"])
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    host, _, port = apiserver.url.removeprefix("https://").rpartition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)

    async def enter() -> Login:
        return await login("", "", tmp_path)

    client = KubeClient(enter)
    try:
        error = await failure(client.get(SECRETS, KEY))
    finally:
        await client.close()

    assert error.reason == "Forbidden"
    assert "system:serviceaccount:default:manager" in error.message


async def test_the_kubeconfig_is_read_and_never_written(apiserver: ManagementAPI, connect: Connect) -> None:
    """It is the user's."""
    before = apiserver.kubeconfig.read_bytes(), apiserver.kubeconfig.stat().st_mtime_ns
    await connect(apiserver.kubeconfig).get(NAMESPACES, ObjectKey("", "default"))

    assert (apiserver.kubeconfig.read_bytes(), apiserver.kubeconfig.stat().st_mtime_ns) == before
