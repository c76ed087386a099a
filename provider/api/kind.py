"""Names fixed by kind: labels of its containers, roles of its nodes, and the mount that carries our mark.

Source: kind pkg/cluster/constants. Only constants live here.
"""

from __future__ import annotations

from enum import StrEnum


class NodeRole(StrEnum):
    """Values of kind's label io.x-k8s.kind.role (kind pkg/cluster/constants)."""

    CONTROL_PLANE = "control-plane"
    WORKER = "worker"
    LOAD_BALANCER = "external-load-balancer"


KIND_CLUSTER_LABEL = "io.x-k8s.kind.cluster"
KIND_ROLE_LABEL = "io.x-k8s.kind.role"
OWNER_MOUNT = "/kind/owner/"
"""Prefix of the container path of the ownership mount; the marker follows."""
