"""What a host's name or address in text is: an IP address or not, this host itself or not. Pure; no name is resolved."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_of(host: str) -> Address | None:
    """The address, with or without brackets; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether it is the loopback of whoever uses it."""
    address = address_of(host)
    return host == "localhost" or (address is not None and address.is_loopback)
