"""FakeWorkload and FakeRecorder: the made cluster's API as a fake runtime's nodes imply it, and Events in a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import yaml

from provider.api.kind import NodeRole
from provider.api.meta import JsonObject
from provider.ports.kube import EventNote
from provider.ports.runtime import NodeRunState
from provider.ports.workload import WorkloadNode, WorkloadObservation
from tests.fakes.objects import FakeObjects
from tests.fakes.runtime import EMERGENCY_USER, FakeRuntime

VERSION = "v1.34.4"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class FakeWorkload:
    """Answers for every cluster of `runtime`: reachable while a control-plane node runs."""

    runtime: FakeRuntime
    not_ready: set[str] = field(default_factory=set)
    """Names of nodes that are registered and not Ready."""
    default_service_account: bool = True
    without_rbac: bool = False
    """Its RBAC rules are gone, as with an etcd that began anew: only the emergency kubeconfig still has rights."""
    answer: WorkloadObservation | None = None
    """Set: every question gets this answer."""
    asked: int = 0
    stores: dict[str, FakeObjects] = field(default_factory=dict)
    """Objects of each cluster, by the cluster's uid."""
    make_objects: Callable[[], FakeObjects] = FakeObjects

    async def observe(self, kubeconfig: str) -> WorkloadObservation:
        return replace(self._answered(kubeconfig), credentials_expire_at=self.runtime.credentials_expire_at)

    def objects(self, kubeconfig: str) -> FakeObjects:
        name = yaml.load(kubeconfig, Loader=LOADER)["current-context"].removeprefix("kind-")  # noqa: S506 - as below
        return self.store(name)

    def store(self, name: str) -> FakeObjects:
        """Of the cluster that has this name now."""
        cluster = self.runtime.clusters[name]
        if cluster.uid not in self.stores:
            for gone in self.stores.keys() - {one.uid for one in self.runtime.clusters.values()}:
                del self.stores[gone]
            self.stores[cluster.uid] = self.make_objects()
        store = self.stores[cluster.uid]
        store.up = lambda: any(
            node.role is NodeRole.CONTROL_PLANE and node.state is NodeRunState.RUNNING for node in cluster.nodes
        )
        return store

    def _answered(self, kubeconfig: str) -> WorkloadObservation:
        self.asked += 1
        if self.answer is not None:
            return self.answer
        read = yaml.load(kubeconfig, Loader=LOADER)  # noqa: S506 - safe_load, ten times as fast
        name, emergency = read["current-context"].removeprefix("kind-"), read["users"][0]["name"] == EMERGENCY_USER
        cluster = self.runtime.clusters.get(name)
        nodes = cluster.nodes if cluster else []
        up = [node for node in nodes if node.role is NodeRole.CONTROL_PLANE and node.state is NodeRunState.RUNNING]
        if not up:
            return WorkloadObservation(False, "connection refused")
        assert cluster is not None
        if self.without_rbac and not emergency:
            return WorkloadObservation(False, "refused", forbidden=True)
        registered = tuple(
            WorkloadNode(
                node.name, node.state is NodeRunState.RUNNING and node.name not in self.not_ready, VERSION, "KubeletNotReady"
            )
            for node in nodes
            if node.role is not NodeRole.LOAD_BALANCER and node.joined
        )
        return WorkloadObservation(True, "", VERSION, registered, self.default_service_account, cluster.uid)


@dataclass
class FakeRecorder:
    notes: list[EventNote] = field(default_factory=list)

    async def record(self, obj: JsonObject, note: EventNote) -> None:
        self.notes.append(note)

    def reasons(self) -> list[str]:
        return [note.reason for note in self.notes]
