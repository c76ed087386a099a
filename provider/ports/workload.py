"""A made cluster's own Kubernetes API, as Protocols: one look at it, and its objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from provider.api.meta import JsonObject, ObjectKey, Resource


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


@dataclass(frozen=True, slots=True)
class Served:
    """A kind that the cluster's API server serves."""

    resource: Resource
    namespaced: bool

    def key(self, namespace: str, name: str) -> ObjectKey:
        """Of an object whose manifest has this namespace, or none."""
        return ObjectKey((namespace or "default") if self.namespaced else "", name)


class Objects(Protocol):
    """The objects of one cluster, of any kind. Each call has a deadline of its own, and raises ProviderError:

    Transient for no answer, for one that may pass (HTTP 404 of a namespace or a kind, 408, 429, 5xx), and Conflict for a lost race (409);
    Terminal for what the server refuses (400, 403, 422). A message has the server's words, which may quote the object.
    """

    async def versions(self, group: str) -> list[str]:
        """The versions of a named group that are served, the preferred one first; empty: the group is not."""

    async def served(self, api_version: str) -> Mapping[str, Served]:
        """By kind, those of "v1" or "GROUP/VERSION" that can be got, listed, patched and deleted; empty: nothing is served there."""

    async def get(self, resource: Resource, key: ObjectKey) -> JsonObject | None:
        """None: there is no such object, or no such kind. `key.namespace` is empty for a kind without namespaces."""

    async def list(
        self, resource: Resource, selector: str, *, namespace: str = "", metadata_only: bool = False
    ) -> list[JsonObject]:
        """All objects with these labels, of all namespaces where none is given; empty for a kind that is not served.

        `metadata_only`: of each object, apiVersion, kind and metadata at most are wanted.
        """

    async def apply(self, resource: Resource, key: ObjectKey, obj: JsonObject) -> JsonObject:
        """Server-side apply with this project's field manager, which takes the fields of `obj` from others; unknown fields are refused.

        With metadata.uid in `obj`, only to that object: Conflict where it is gone or another one has its name.
        """

    async def delete(self, resource: Resource, key: ObjectKey, *, uid: str) -> None:
        """Only that object; its dependents follow. No-op where it is gone. Conflict: another one has its name."""


class Workload(Protocol):
    async def observe(self, kubeconfig: str) -> WorkloadObservation:
        """GET /readyz, /version, nodes, kube-system and the default ServiceAccount, with short deadlines. Never raises for a dead API."""

    def objects(self, kubeconfig: str) -> Objects:
        """The objects of that cluster."""
