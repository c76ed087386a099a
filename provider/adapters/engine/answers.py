"""What an engine's answers about networks and events say. Pure: text in, values out. Containers are listing's."""

from __future__ import annotations

import json

from provider.api import kind

NO_CLUSTER = ""
"""In place of a cluster's name, of a container that is not kind's."""


def listed_subnets(text: str) -> list[str]:
    """Of an answer of `network inspect`: docker and nerdctl have IPAM.Config[].Subnet, podman subnets[].subnet."""
    try:
        (network,) = json.loads(text)
        entries = network["subnets"] if "subnets" in network else network["IPAM"]["Config"]
        return [str(entry.get("subnet") or entry["Subnet"]) for entry in entries or []]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def event_cluster(line: str) -> str | None:
    """The cluster an event is about; NO_CLUSTER: a container that is not kind's; None: not told.

    docker has Actor.Attributes, podman Attributes, nerdctl neither.
    """
    try:
        event = json.loads(line)
        subject = event.get("Actor") or event
        cluster = (subject["Attributes"] or {}).get(kind.KIND_CLUSTER_LABEL, NO_CLUSTER)
    except (ValueError, AttributeError, KeyError, TypeError):
        return None
    return cluster if isinstance(cluster, str) else None
