"""Reading the outside world for one pass: the runtime's nodes, then the cluster's own API. Effects: reads only.

What is remembered between passes is a hint that saves work, never a truth: the kubeconfig (until a node restarted or the API refused
it) and how often in a row the API gave no answer.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.api.meta import ObjectKey
from provider.errors import ProviderError, Terminal
from provider.ports.runtime import NodeRunState, Ownership, Presence, RuntimeObservation
from provider.ports.workload import Workload, WorkloadObservation
from provider.reconcile.scope import Scope

MISSES_UNTIL_DOWN = 3
"""Deadlines in a row after which an API server without an answer counts as down: one slow answer must not flip Ready."""


@dataclass(frozen=True, slots=True)
class Kubeconfigs:
    """Two ways to the same cluster; the same text where they do not differ."""

    host: str
    """For people on the engine's host."""
    manager: str
    """For this manager and for Cluster API, wherever they run."""


@dataclass(frozen=True, slots=True)
class _Kept:
    fingerprint: tuple[object, ...]
    kubeconfigs: Kubeconfigs


class Observer:
    def __init__(self, workload: Workload, *, inside_network: bool = False) -> None:
        self._workload, self._inside_network = workload, inside_network
        self._kept: dict[ObjectKey, _Kept] = {}
        self._misses: Counter[ObjectKey] = Counter()

    def forget(self, key: ObjectKey) -> None:
        self._kept.pop(key, None)
        self._misses.pop(key, None)

    async def look(self, scope: Scope, *, complete: bool) -> Kubeconfigs | None:
        """Set scope.observation and, for a finished cluster that runs, scope.workload. Returns its kubeconfigs, if any."""
        assert scope.runtime is not None and scope.identity is not None
        scope.observation = seen = await scope.runtime.observe(scope.identity)
        if not complete or seen.ownership is not Ownership.OURS or seen.presence is not Presence.PRESENT:
            return None
        if not _control_plane_runs(seen):
            return None
        kubeconfigs = await self._kubeconfigs(scope, seen)
        if kubeconfigs is not None:
            scope.workload = self._judge(scope.key, await self._workload.observe(kubeconfigs.manager))
        return kubeconfigs

    async def _kubeconfigs(self, scope: Scope, seen: RuntimeObservation) -> Kubeconfigs | None:
        assert scope.runtime is not None and scope.identity is not None
        fingerprint = (seen.endpoint, *sorted((node.id, node.started_at) for node in seen.nodes))
        kept = self._kept.get(scope.key)
        if kept is not None and kept.fingerprint == fingerprint:
            return kept.kubeconfigs
        try:
            host = await scope.runtime.kubeconfig(scope.identity)
            manager = await scope.runtime.kubeconfig(scope.identity, internal=True) if self._inside_network else host
        except ProviderError as error:
            reason = Reason.KUBECONFIG_REFUSED if isinstance(error, Terminal) else Reason.KUBECONFIG_PENDING
            scope.problem = (reason, error.message)
            scope.workload = WorkloadObservation(reachable=None, detail=error.message)
            scope.wait(2.0)
            return None
        kubeconfigs = Kubeconfigs(host, manager)
        self._kept[scope.key] = _Kept(fingerprint, kubeconfigs)
        return kubeconfigs

    def _judge(self, key: ObjectKey, answer: WorkloadObservation) -> WorkloadObservation:
        if answer.reachable is not None:
            self._misses.pop(key, None)
            if not answer.reachable:
                self._kept.pop(key, None)
            return answer
        self._misses[key] += 1
        return replace(answer, reachable=False) if self._misses[key] >= MISSES_UNTIL_DOWN else answer


def _control_plane_runs(seen: RuntimeObservation) -> bool:
    states = [node.state for node in seen.nodes if node.role is NodeRole.CONTROL_PLANE]
    return seen.endpoint is not None and NodeRunState.RUNNING in states
