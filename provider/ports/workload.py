"""A made cluster's own Kubernetes API, as a Protocol: one look at it, reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WorkloadNode:
    name: str
    ready: bool
    version: str = ""
    message: str = ""
    """Why it is not ready, from its Ready condition."""


@dataclass(frozen=True, slots=True)
class WorkloadObservation:
    """What the made cluster's API server says. `reachable` None = asked nothing or nobody could tell."""

    reachable: bool | None
    detail: str = ""
    version: str = ""
    nodes: tuple[WorkloadNode, ...] = ()
    default_service_account: bool = False
    """Pods can be created: the `default` ServiceAccount of namespace `default` exists."""
    uid: str = ""
    """Of the namespace kube-system: the cluster's own, for as long as its etcd keeps its data. Empty: it could not be read."""
    forbidden: bool = False
    """It answers, knows the kubeconfig's user, and grants nothing: as an API server does whose RBAC rules are gone."""
    credentials_expire_at: datetime | None = None
    """When the kubeconfig's client certificate expires, whatever was answered; None: its certificate could not be read."""


class Workload(Protocol):
    async def observe(self, kubeconfig: str) -> WorkloadObservation:
        """GET /readyz, /version, nodes, kube-system and the default ServiceAccount, with short deadlines. Never raises for a dead API."""
