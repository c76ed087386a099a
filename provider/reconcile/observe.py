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
from provider.backoff import KUBECONFIG_RETRY
from provider.errors import ProviderError, Terminal
from provider.ports.runtime import Identity, Ownership, Presence, Runtime, RuntimeObservation
from provider.ports.workload import Workload, WorkloadObservation
from provider.reconcile.daemon import look
from provider.reconcile.data_loss import is_told_by_uid, known_uid
from provider.reconcile.plan import Blocked
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
class Observed:
    """What a pass has seen of the outside world."""

    cluster: RuntimeObservation | None = None
    """None: not looked at, because a task works on the cluster or the pass ended before."""
    workload: WorkloadObservation | None = None
    """None: there was nothing to ask."""
    kubeconfigs: Kubeconfigs | None = None
    blocked: Blocked | None = None
    """Why the kubeconfig cannot be read."""


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

    async def observe(self, scope: Scope, runtime: Runtime, identity: Identity, *, complete: bool) -> Observed:
        """The runtime's nodes and, for a finished cluster that runs, its API."""
        key, seen = scope.key, await look(scope, runtime, identity)
        if not complete or seen.ownership is not Ownership.OURS or seen.presence is not Presence.PRESENT:
            return Observed(seen)
        if not _control_plane_runs(seen):
            return Observed(seen)
        try:
            kubeconfigs = await self._kubeconfigs(key, runtime, identity, seen)
        except ProviderError as error:
            reason = Reason.KUBECONFIG_REFUSED if isinstance(error, Terminal) else Reason.KUBECONFIG_PENDING
            blocked = Blocked(reason, error.message, KUBECONFIG_RETRY)
            return Observed(seen, WorkloadObservation(reachable=None, detail=error.message), blocked=blocked)
        answer = self._judge(key, await self._workload.observe(kubeconfigs.manager))
        if answer.forbidden and known_uid(scope.status) and is_told_by_uid(tuple((node.name, node.role) for node in seen.nodes)):
            answer = replace(answer, uid=await self._uid_in_emergency(runtime, identity))
        return Observed(seen, answer, kubeconfigs)

    async def _uid_in_emergency(self, runtime: Runtime, identity: Identity) -> str:
        """Where RBAC rules are gone, so are those of the admin kubeconfig: a lost etcd has to be told from a rule that somebody removed."""
        try:
            kubeconfig = await runtime.kubeconfig(identity, internal=self._inside_network, emergency=True)
        except ProviderError:
            return ""
        return (await self._workload.observe(kubeconfig)).uid

    async def _kubeconfigs(self, key: ObjectKey, runtime: Runtime, identity: Identity, seen: RuntimeObservation) -> Kubeconfigs:
        """Raises ProviderError. Read again only after a node restarted: it costs a process each time."""
        fingerprint = (seen.endpoint, *sorted((node.id, node.started_at) for node in seen.nodes))
        kept = self._kept.get(key)
        if kept is not None and kept.fingerprint == fingerprint:
            return kept.kubeconfigs
        host = await runtime.kubeconfig(identity)
        manager = await runtime.kubeconfig(identity, internal=True) if self._inside_network else host
        kubeconfigs = Kubeconfigs(host, manager)
        self._kept[key] = _Kept(fingerprint, kubeconfigs)
        return kubeconfigs

    def _judge(self, key: ObjectKey, answer: WorkloadObservation) -> WorkloadObservation:
        if answer.reachable is not None:
            self._misses.pop(key, None)
            if not answer.reachable:
                # The kubeconfig may be what is wrong: it is read again the next time.
                self._kept.pop(key, None)
            return answer
        self._misses[key] += 1
        return replace(answer, reachable=False) if self._misses[key] >= MISSES_UNTIL_DOWN else answer


def _control_plane_runs(seen: RuntimeObservation) -> bool:
    running = any(node.state.running for node in seen.nodes if node.role is NodeRole.CONTROL_PLANE)
    return seen.endpoint is not None and running
