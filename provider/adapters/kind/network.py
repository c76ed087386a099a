"""The engine's network that all kind clusters share, and what it lacks.

kind makes it with IPv6 where it can, and uses one that exists as it is, also without; an IPv6 or dual-stack cluster then fails once its
nodes run (kind pkg/cluster/internal/providers/docker/network.go, create/actions/config/config.go).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from provider.adapters.engine.cli import Engine
from provider.api.conditions import Reason
from provider.ports.runtime import Problem

DEFAULT = "kind"
VARIABLES = {"podman": "KIND_EXPERIMENTAL_PODMAN_NETWORK"}
"""Environment variable by which kind is told another network; the other engines share docker's."""
NO_ADDRESS = re.compile(r"failed to get IPv6 address for node \S+ is (?P<engine>\w+) configured to use IPv6 correctly\?")
FAMILIES = frozenset({"ipv6", "dual"})


def name(engine: str, env: Mapping[str, str]) -> str:
    return env.get(VARIABLES.get(engine, "KIND_EXPERIMENTAL_DOCKER_NETWORK")) or DEFAULT


def lacks_ipv6(engine: str, network: str) -> str:
    """What happened, and what to do. kind does not make a network anew as long as one of that name is there."""
    return (
        f'The engine\'s network "{network}" has no IPv6, which networking.ipFamily asks for. Delete its clusters, then '
        f"{engine} network rm {network} (kind makes it anew, with IPv6), or use ipFamily ipv4."
    )


async def problems(engine: Engine, env: Mapping[str, str], config: Mapping[str, Any]) -> list[Problem]:
    """Found before anything is made; what the engine does not tell is no problem. Raises Transient."""
    if (config.get("networking") or {}).get("ipFamily") not in FAMILIES:
        return []
    network = name(engine.name, env)
    subnets = await engine.subnets(network)
    if not subnets or any(":" in subnet for subnet in subnets):
        return []
    return [Problem(Reason.NETWORK_FAILED, lacks_ipv6(engine.name, network), terminal=False)]
