"""Proxies that nodes are handed: kind copies the proxy variables of its environment into every node (kind common.GetProxyEnvs).

kind itself adds the engine's subnets, the nodes' names, the pods' and the services' networks to NO_PROXY there. What it does not see is
that a proxy on this host's loopback is nothing that a node can reach: pulls in it would fail without a word of why.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from provider.adapters.addresses import is_loopback

log = logging.getLogger(__name__)

VARIABLES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})
DAEMON_PULLS = frozenset({"docker"})
"""Engines whose daemon fetches images. The others do it in the command, which needs the proxy: there it can only be said."""


def for_nodes(environment: Mapping[str, str], engine: str) -> dict[str, str]:
    """The environment for `kind create`, without proxies that nodes cannot reach where kind can do without; says what it found."""
    useless = [name for name, value in environment.items() if name.upper() in VARIABLES and on_loopback(value)]
    if not useless:
        return dict(environment)
    dropped = engine in DAEMON_PULLS
    log.warning(
        "Nodes cannot reach a proxy on this host's loopback: name an address of the host that containers reach",
        extra={"variables": ", ".join(sorted(useless)), "handedOn": not dropped},
    )
    return {name: value for name, value in environment.items() if not dropped or name not in useless}


def on_loopback(proxy: str) -> bool:
    """Whether a proxy's address, with or without a scheme, is this host's loopback."""
    try:
        return is_loopback(urlsplit(proxy if "://" in proxy else f"http://{proxy}").hostname or "")
    except ValueError:
        return False
