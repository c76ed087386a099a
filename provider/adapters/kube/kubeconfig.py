"""Kubeconfigs from a node, which are not trusted: parse strictly, keep four values, write a new document from them. No I/O.

The file comes from inside a container whose image the user chose. Client libraries run the `exec` plugins and read the files that a
kubeconfig names as soon as it is loaded, so only a server and inline certificates are let through: one cluster, one user, one context,
no unknown key.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import yaml

from provider.api.conditions import Reason
from provider.errors import Terminal
from provider.ports.runtime import Endpoint

MAX_SIZE = 128 << 10
"""Characters. kind's are 6 thousand; certificates of a large private CA may add some."""
MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Kubeconfig:
    """The values that are kept. The certificates and the key are PEM."""

    server: Endpoint
    authority: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def at(self, server: Endpoint) -> Kubeconfig:
        return replace(self, server=server)

    @property
    def expires_at(self) -> datetime:
        """Of the client certificate. Raises Terminal for one that has no such time."""
        from cryptography import x509

        try:
            return x509.load_pem_x509_certificate(self.certificate).not_valid_after_utc
        except ValueError as error:
            raise _refused("its client certificate cannot be read") from error

    def dump(self, cluster_name: str) -> str:
        """The document, with the names that kind uses: equal values give equal text."""
        content = document(f"kind-{cluster_name}", self.server.url, self.authority, self.certificate, self.key)
        return yaml.safe_dump(content, sort_keys=False, width=1 << 20)


def document(name: str, server: str, authority: bytes, certificate: bytes, key: bytes) -> dict[str, Any]:
    """A kubeconfig with inline data only: one cluster, user and context of this name. Certificates and key are PEM."""
    cluster = {"certificate-authority-data": _encode(authority), "server": server}
    user = {"client-certificate-data": _encode(certificate), "client-key-data": _encode(key)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
        "preferences": {},
        "users": [{"name": name, "user": user}],
    }


def parse(text: str) -> Kubeconfig:
    """Raises Terminal(KubeconfigRefused); its message never quotes the text."""
    content = _load(text)
    _keys(content, "it", {"apiVersion", "kind", "clusters", "contexts", "current-context", "users"}, {"preferences"})
    if (content["apiVersion"], content["kind"]) != ("v1", "Config") or content.get("preferences"):
        raise _refused("it is not a plain v1 Config")
    cluster_name, cluster = _only(content, "clusters", "cluster", {"server", "certificate-authority-data"})
    user_name, user = _only(content, "users", "user", {"client-certificate-data", "client-key-data"})
    context_name, context = _only(content, "contexts", "context", {"cluster", "user"})
    if (context["cluster"], context["user"], content["current-context"]) != (cluster_name, user_name, context_name):
        raise _refused("its context does not name its cluster and its user")
    certificate = _pem(user, "client-certificate-data", "CERTIFICATE")
    _check_certificate(certificate)
    return Kubeconfig(
        server=_server(cluster["server"]),
        authority=_pem(cluster, "certificate-authority-data", "CERTIFICATE"),
        certificate=certificate,
        key=_pem(user, "client-key-data", "PRIVATE KEY"),
    )


def _refused(why: str) -> Terminal:
    message = f"The node's kubeconfig is refused: {why}. Use an unchanged kind node image."
    return Terminal(Reason.KUBECONFIG_REFUSED, message)


class _Loader(yaml.SafeLoader):
    """YAML without aliases (they expand without bound), deep nesting, duplicate keys and non-scalar keys."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent) or self.depth >= MAX_DEPTH:
            raise yaml.YAMLError
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(keys) != len(node.value) or len(set(keys)) != len(keys) or "<<" in keys:
            raise yaml.YAMLError
        return super().construct_mapping(node, deep)


def _load(text: str) -> dict[str, Any]:
    if len(text) > MAX_SIZE:
        raise _refused("it is too large")
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader, stricter than safe_load
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _refused("it is not one plain YAML document") from error
    if not isinstance(document, dict):
        raise _refused("it is not one plain YAML document")
    return document


def _only(document: dict[str, Any], plural: str, singular: str, keys: set[str]) -> tuple[str, dict[str, str]]:
    """The one entry of a list: its name, and its content with exactly these keys, all text."""
    entries = document[plural]
    if not isinstance(entries, list) or len(entries) != 1 or not isinstance(entries[0], dict):
        raise _refused(f"it has not exactly one {singular}")
    entry = entries[0]
    _keys(entry, f"its {singular}", {"name", singular}, set())
    content = entry[singular]
    if not isinstance(entry["name"], str) or not isinstance(content, dict):
        raise _refused(f"its {singular} is malformed")
    _keys(content, f"its {singular}", keys, set())
    if not all(isinstance(value, str) for value in content.values()):
        raise _refused(f"its {singular} is malformed")
    return entry["name"], content


def _keys(mapping: dict[Any, Any], what: str, required: set[str], optional: set[str]) -> None:
    if unknown := set(mapping) - required - optional:
        allowed = sorted(key for key in unknown if isinstance(key, str) and key.replace("-", "").isalpha())[:3]
        raise _refused(f"{what} has what it must not have ({', '.join(key[:40] for key in allowed) or 'odd keys'})")
    if missing := required - set(mapping):
        raise _refused(f"{what} lacks {', '.join(sorted(missing))}")


def _server(text: str) -> Endpoint:
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError as error:
        raise _refused("its server is not an address") from error
    plain = url.scheme == "https" and url.path in ("", "/") and not (url.query or url.fragment or "@" in url.netloc)
    if not plain or not host or not port or not text.isprintable():
        raise _refused("its server is not https://HOST:PORT")
    return Endpoint(host, port)


def _pem(mapping: dict[str, str], key: str, kind: str) -> bytes:
    try:
        data = base64.b64decode(mapping[key], validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refused(f"{key} is not base64") from error
    text = data.strip()
    if not text.startswith(b"-----BEGIN ") or not text.endswith(f"{kind}-----".encode()):
        raise _refused(f"{key} is not PEM")
    return data


def _check_certificate(certificate: bytes) -> None:
    from cryptography import x509

    try:
        x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise _refused("its client certificate cannot be read") from error


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()
