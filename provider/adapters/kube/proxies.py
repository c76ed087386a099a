"""Which proxy a request to an API server takes, from variables, as kubectl has it (golang.org/x/net/http/httpproxy). Pure.

Python's own rules differ where it hurts: they send requests to 127.0.0.1 through HTTPS_PROXY unless NO_PROXY names it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from provider.adapters.addresses import Address, address_of, is_loopback

PORTS = {"http": 80, "https": 443}


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy's address; None: a direct connection. Loopback never takes one."""
    parts = urlsplit(url)
    proxy = _variable(environment, f"{parts.scheme}_proxy")
    host, port = (parts.hostname or "").rstrip("."), parts.port or PORTS.get(parts.scheme, 0)
    if not proxy or is_loopback(host):
        return None
    entries = (entry.strip().lower() for entry in _variable(environment, "no_proxy").split(","))
    if any(_covers(entry, host, port) for entry in entries if entry):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name.upper()) or environment.get(name) or ""


def _covers(entry: str, host: str, port: int) -> bool:
    """One entry of NO_PROXY: "*", a network, or an address or domain, each with a port if it is given."""
    if entry == "*":
        return True
    address = address_of(host)
    if "/" in entry:
        return address is not None and _in_network(address, entry)
    name, wanted = _split(entry)
    if wanted and wanted != str(port):
        return False
    if (named := address_of(name)) is not None:
        return named == address
    name = name.removeprefix("*")
    return address is None and (host == name or host.endswith(name if name.startswith(".") else f".{name}"))


def _in_network(address: Address, network: str) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _split(entry: str) -> tuple[str, str]:
    """(host, port or ""): an IPv6 address has a port only in brackets."""
    host, colon, port = entry.rpartition(":")
    if address_of(entry) is None and colon and port.isdigit():
        return host, port
    return entry, ""
