"""Registries that the nodes of a cluster are to know: what is missing, and when to look again. Effects: reads only.

What was seen is believed for a while, as long as nodes and wishes are the same ones: a hint that saves work, as of images (.preload).
Nothing is asked while the cluster's API does not answer, because the shared registry is published there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from provider.api.conditions import Reason
from provider.api.kind import NodeRole
from provider.api.meta import ObjectKey
from provider.backoff import REGISTRY_RETRY
from provider.errors import ProviderError
from provider.policy import decide
from provider.policy.file import Policy
from provider.ports.registries import Connected, Mirror, Registries
from provider.ports.runtime import Identity, Ownership, Presence, Runtime, RuntimeObservation, Verb
from provider.ports.tasks import TaskState, TaskStatus
from provider.reconcile.observe import Observed
from provider.reconcile.plan import Blocked, until
from provider.reconcile.scope import Scope

SHARED = "Shared"


def wanted(scope: Scope) -> Registries:
    """What the spec asks for."""
    mirrors = tuple(Mirror(one.host, tuple(one.endpoints)) for one in scope.spec.registry_mirrors or ())
    return Registries(scope.spec.registry == SHARED, mirrors)


@dataclass(frozen=True, slots=True)
class Connecting:
    """What a pass knows of them."""

    wanted: Registries
    nodes: tuple[str, ...] = ()
    """Names of the nodes that run."""
    seen: Connected | None = None
    """None: not known in this pass."""
    blocked: Blocked | None = None
    """Why the look, or the newest try, failed, or what is not allowed or not ours."""
    after: timedelta | None = None
    """Next look after this long."""

    @property
    def due(self) -> bool:
        """Something is to be changed, and nothing says to wait."""
        return self.blocked is None and self.seen is not None and not self._done(self.seen)

    @property
    def over(self) -> bool:
        """Nothing is wanted, and nothing of ours is left in the nodes."""
        return not self.wanted and self.seen is not None and self._done(self.seen)

    def _done(self, seen: Connected) -> bool:
        return seen.settled and seen.nodes.issuperset(self.nodes)


@dataclass(frozen=True, slots=True)
class _Kept:
    fingerprint: tuple[object, ...]
    until: datetime
    result: Connecting


class Connector:
    def __init__(self) -> None:
        self._kept: dict[ObjectKey, _Kept] = {}

    def forget(self, key: ObjectKey) -> None:
        self._kept.pop(key, None)

    async def look(
        self, scope: Scope, runtime: Runtime, identity: Identity, observed: Observed, task: TaskStatus | None, policy: Policy
    ) -> Connecting | None:
        """For a finished cluster, of which status.registry tells whether its nodes have ever been told of registries. None where none are
        wanted and none were, or nobody can be asked now.
        """
        wish, workload = wanted(scope), observed.workload
        nodes = _running(observed.cluster)
        if (not wish and "registry" not in scope.status) or not nodes:
            self.forget(scope.key)
            return None
        if refused := decide.registry_refusals(policy, scope.key.namespace, wish):
            return Connecting(wish, blocked=Blocked(Reason.POLICY_REFUSED, " ".join(refused)))
        changing = task is not None and task.verb in (Verb.CONNECT, Verb.SCALE) and task.unfinished
        if workload is None or not workload.reachable or changing:
            return Connecting(wish)
        fingerprint = (wish, *nodes)
        if task is not None and task.verb is Verb.CONNECT:
            self._take_end(scope, wish, task, fingerprint)
        kept = self._kept.get(scope.key)
        left = (
            until(kept.until, scope.now, REGISTRY_RETRY) if kept is not None and kept.fingerprint == fingerprint else timedelta(0)
        )
        if kept is None or left <= timedelta(0):
            names = tuple(name for name, _, _ in nodes)
            result = _not_in_a_loop(await _look(runtime, identity, wish, names), task)
            kept, left = _Kept(fingerprint, scope.now + REGISTRY_RETRY, result), REGISTRY_RETRY
            self._kept[scope.key] = kept
        return kept.result if kept.result.after is None else replace(kept.result, after=left)

    def _take_end(self, scope: Scope, wish: Registries, task: TaskStatus, fingerprint: tuple[object, ...]) -> None:
        """What was seen before is over with it. A try that failed is told, and not made again at once."""
        self.forget(scope.key)
        if task.state is TaskState.FAILED and task.failure[0] is not Reason.CANCELLED:
            result = Connecting(wish, blocked=Blocked(*_failure(task), REGISTRY_RETRY), after=REGISTRY_RETRY)
            self._kept[scope.key] = _Kept(fingerprint, scope.now + REGISTRY_RETRY, result)


def _running(seen: RuntimeObservation | None) -> tuple[tuple[str, str, str | None], ...]:
    """(name, id, start) of our nodes that run Kubernetes."""
    if seen is None or seen.presence is not Presence.PRESENT or seen.ownership is not Ownership.OURS:
        return ()
    found = [node for node in seen.nodes if node.state.running and node.role is not NodeRole.LOAD_BALANCER]
    return tuple(sorted((node.name, node.id, node.started_at) for node in found))


def _failure(task: TaskStatus) -> tuple[Reason, str]:
    reason, message = task.failure
    # An error that nobody expected is, by its default, one of a create.
    return (Reason.REGISTRY_FAILED if reason is Reason.CREATE_FAILED else reason), message


def _not_in_a_loop(result: Connecting, task: TaskStatus | None) -> Connecting:
    """What has just been told and is not known would be told for ever."""
    if not result.due or task is None or task.verb is not Verb.CONNECT or task.state is not TaskState.SUCCEEDED:
        return result
    message = "Nodes were told of registries, and do not know them; tried again every minute."
    return replace(result, blocked=Blocked(Reason.REGISTRY_FAILED, message, REGISTRY_RETRY), after=REGISTRY_RETRY)


async def _look(runtime: Runtime, identity: Identity, wish: Registries, nodes: tuple[str, ...]) -> Connecting:
    try:
        found = await runtime.connected(identity, wish)
    except ProviderError as error:
        return Connecting(wish, blocked=Blocked(error.reason, error.message, REGISTRY_RETRY), after=REGISTRY_RETRY)
    conflict = Blocked(Reason.REGISTRY_CONFLICT, found.conflict, REGISTRY_RETRY) if found.conflict else None
    return Connecting(wish, nodes, found, conflict, REGISTRY_RETRY if conflict is not None else None)
