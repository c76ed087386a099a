"""Names that kind fixes: labels of its containers, roles and names of its nodes; and where a node carries our marker.

Sources: kind pkg/cluster/constants, pkg/cluster/internal/providers/common. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class NodeRole(StrEnum):
    """Values of kind's label io.x-k8s.kind.role (kind pkg/cluster/constants)."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"
    LOAD_BALANCER = "external-load-balancer"


KIND_CLUSTER_LABEL = "io.x-k8s.kind.cluster"
KIND_ROLE_LABEL = "io.x-k8s.kind.role"
OWNER_MOUNT = "/kind/owner/"
"""Prefix of the container path of the ownership mount; the marker follows it."""

NodeNames = tuple[tuple[str, NodeRole], ...]
"""Names and roles of containers that a cluster has or must have."""


def node_names(config: Mapping[str, Any], *, load_balancer: bool = False) -> NodeNames:
    """Names and roles of the nodes of a v1alpha4 document, in its order; a node without a role is a control plane.

    The first of a role has no number (kind pkg/cluster/internal/providers/common/namer.go). `load_balancer`: with the container that
    kind puts before several control planes.
    """
    counts: Counter[NodeRole] = Counter()
    found = []
    for node in config["nodes"]:
        role = NodeRole(node.get("role") or NodeRole.CONTROL_PLANE)
        counts[role] += 1
        number = "" if counts[role] == 1 else str(counts[role])
        found.append((f"{config['name']}-{role}{number}", role))
    if load_balancer and counts[NodeRole.CONTROL_PLANE] > 1:
        found.append((f"{config['name']}-{NodeRole.LOAD_BALANCER}", NodeRole.LOAD_BALANCER))
    return tuple(found)
