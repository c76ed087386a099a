"""Kubeconfigs from nodes: what is kept of a good one, and everything that is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provider.adapters.kube import kubeconfig
from provider.errors import Terminal
from provider.ports.runtime import Endpoint
from tests.fakes.runtime import kubeconfig_text

GOOD = kubeconfig_text("demo", "https://demo-control-plane:6443")
Change = Callable[[dict[str, Any]], Any]


def changed(change: Change) -> str:
    document = json.loads(GOOD)
    change(document)
    return json.dumps(document)


def test_a_good_one_is_kept_and_written_anew() -> None:
    """Server and names are ours, the rest is the node's; equal values give equal text."""
    parsed = kubeconfig.parse(GOOD)
    text = parsed.at(Endpoint("127.0.0.1", 40001)).dump("demo")
    again = kubeconfig.parse(text)

    assert Endpoint("demo-control-plane", 6443) == parsed.server
    assert (Endpoint("127.0.0.1", 40001), parsed.certificate, parsed.key) == (again.server, again.certificate, again.key)
    assert text == again.dump("demo")
    assert {"kind-demo"} == {yaml.safe_load(text)[part][0]["name"] for part in ("clusters", "contexts", "users")}


def test_ipv6_servers_keep_their_brackets() -> None:
    """And lose them as a host."""
    parsed = kubeconfig.parse(kubeconfig_text("demo", "https://[::1]:6443"))

    assert Endpoint("::1", 6443) == parsed.server
    assert "https://[::1]:6443" in parsed.dump("demo")


@pytest.mark.fault(42, "errors and reprs are looked through", invariants="I11")
def test_nothing_secret_is_shown() -> None:
    """repr ends up in logs and crash reports."""
    parsed = kubeconfig.parse(GOOD)

    assert parsed.key.decode()[40:60] not in repr(parsed)
    assert "PRIVATE" not in repr(parsed)


def user(**fields: Any) -> Change:
    return lambda document: document["users"][0]["user"].update(fields)


def cluster(**fields: Any) -> Change:
    return lambda document: document["clusters"][0]["cluster"].update(
        {key.replace("_", "-"): value for key, value in fields.items()}
    )


def put(key: str, value: Any) -> Change:
    return lambda document: document.update({key: value})


HOSTILE: dict[str, Change] = {
    "exec plugin": user(exec={"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh"}),
    "auth provider": lambda document: document["users"][0]["user"].update({"auth-provider": {"name": "gcp"}}),
    "token": user(token="abc"),
    "token file": user(tokenFile="/var/run/secrets/token"),
    "password": user(username="a", password="b"),
    "client certificate file": lambda document: document["users"][0]["user"].update({"client-certificate": "/etc/shadow"}),
    "client key file": lambda document: document["users"][0]["user"].update({"client-key": "/etc/shadow"}),
    "impersonation": lambda document: document["users"][0]["user"].update({"as": "root"}),
    "authority file": cluster(certificate_authority="/etc/passwd"),
    "no verification": cluster(insecure_skip_tls_verify=True),
    "proxy": cluster(proxy_url="http://evil:1"),
    "other server name": cluster(tls_server_name="evil"),
    "plain http": cluster(server="http://demo:6443"),
    "server with path": cluster(server="https://demo:6443/evil"),
    "server with user": cluster(server="https://a:b@demo:6443"),
    "server without port": cluster(server="https://demo"),
    "server with odd port": cluster(server="https://demo:99999999"),
    "server of another kind": cluster(server=["https://demo:6443"]),
    "server with a line break": cluster(server="https://demo\n:6443"),
    "authority that is no base64": cluster(certificate_authority_data="%%%"),
    "authority that is no PEM": cluster(certificate_authority_data=base64.b64encode(b"hello").decode()),
    "certificate that is none": lambda document: document["users"][0]["user"].update(
        {"client-certificate-data": base64.b64encode(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n").decode()}
    ),
    "two clusters": lambda document: document["clusters"].append(document["clusters"][0]),
    "two users": lambda document: document["users"].append(document["users"][0]),
    "two contexts": lambda document: document["contexts"].append(document["contexts"][0]),
    "no user": put("users", []),
    "users that are no list": put("users", {"a": "b"}),
    "another current context": put("current-context", "other"),
    "context of another user": lambda document: document["contexts"][0]["context"].update(user="other"),
    "namespace": lambda document: document["contexts"][0]["context"].update(namespace="kube-system"),
    "extensions": put("extensions", [{"name": "x", "extension": {}}]),
    "preferences": put("preferences", {"colors": True}),
    "another kind": put("kind", "Secret"),
    "odd keys": put("\x1b[2J", 1),
}
TEXTS = {
    "empty": "",
    "a list": "[]",
    "a word": "hello",
    "two documents": f"{GOOD}\n---\n{GOOD}",
    "not YAML": "a: [",
    "binary": "\x00\x01",
    "an alias": GOOD[:-1] + ', "x": &a [1], "y": *a}',
    "an alias bomb": "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n",
    "a merge": "<<: {a: b}\n" + GOOD,
    "a key twice": GOOD[:-1] + ', "kind": "Config"}',
    "depth": "[" * 5000,
    "a python object": "!!python/object/apply:os.system ['true']",
    "size": GOOD + " " * kubeconfig.MAX_SIZE,
}


@pytest.mark.fault(26, "commands, files, other servers in a kubeconfig", invariants="I3")
@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_client_would_act_on_is_refused(name: str) -> None:
    """Known keys only: what is not known today is an attack tomorrow."""
    with pytest.raises(Terminal) as caught:
        kubeconfig.parse(changed(HOSTILE[name]))
    assert "KubeconfigRefused" == caught.value.reason
    assert not {"evil", "/etc/shadow", "\x1b"} & set(caught.value.message.split())


@pytest.mark.fault(26, "aliases, tags, several documents", invariants="I14")
@pytest.mark.parametrize("name", TEXTS)
def test_text_that_is_no_plain_document_is_refused(name: str) -> None:
    """Before anything of it is believed, and without eating time or memory."""
    with pytest.raises(Terminal):
        kubeconfig.parse(TEXTS[name])


@pytest.mark.fault(26, "any text", invariants="I14")
@given(
    st.one_of(
        st.text(max_size=200),
        st.recursive(st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner)).map(
            yaml.safe_dump
        ),
    )
)
def test_no_text_raises_anything_else(text: str) -> None:
    """Refusal is the only way out."""
    with pytest.raises(Terminal):
        kubeconfig.parse(text)
