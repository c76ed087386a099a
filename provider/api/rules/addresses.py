"""IP addresses and CIDRs as the API server's CEL functions read them (`k8s.io/apiserver/pkg/cel/library`: isIP, isCIDR). Pure.

Stricter than Python's own: no zones, no IPv4 inside of IPv6, no masks written as addresses.
"""

from __future__ import annotations

import ipaddress
import re

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
BITS = re.compile(r"0|[1-9][0-9]{0,2}", re.ASCII)


def is_ip(text: str) -> bool:
    if "%" in text or not text.isascii():
        return False
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None)


def network(text: str) -> Network | None:
    """The network of a CIDR, whose host part may be anything; None where it is no CIDR."""
    address, slash, bits = text.partition("/")
    if not slash or not BITS.fullmatch(bits) or not is_ip(address):
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
