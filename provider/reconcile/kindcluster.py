"""reconcile(key): the table of contents of one pass over a KINDCluster.

Level-triggered: the key is the only input, everything else is read anew. Long work only *starts* here, as a task whose steps and end
requeue the key. The status is computed once, from the pass's outcome, and written once, only when it differs; the intent to create
is in it, and the work starts only after it is written.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from provider.api import names
from provider.api.conditions import Phase
from provider.api.meta import JsonObject, ObjectKey
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.backoff import DEGRADED_RETRY, SETTLING_RETRY
from provider.controller.index import Index
from provider.controller.result import Result
from provider.ports.clock import Clock
from provider.ports.kube import Kube, Recorder
from provider.ports.runtime import Presence, Runtime
from provider.ports.tasks import Tasks, Verb
from provider.ports.workload import Workload
from provider.reconcile import attempts, status
from provider.reconcile.capi import blocked_by_owner, is_excluded, pause_reason, read_owner
from provider.reconcile.choose_runtime import choose_runtime, unavailable
from provider.reconcile.decision import Action, Blocked
from provider.reconcile.delete import is_moved, reconcile_delete, release
from provider.reconcile.desired import desire
from provider.reconcile.drift import UpdatePolicy
from provider.reconcile.identity import cluster_name_of
from provider.reconcile.observe import Observed, Observer
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.outcome import Outcome
from provider.reconcile.phases import ensure_finalizer_and_identity, ensure_made_from, find_rival, publish
from provider.reconcile.plan import Facts, Heal, plan
from provider.reconcile.scope import Scope, open_scope
from provider.reconcile.status_writer import write_status
from provider.reconcile.tasks import task_of


class Reconciler:
    """One per manager. Passes of different keys may run at the same time, passes of one key never do (the queue sees to it)."""

    def __init__(  # noqa: PLR0913, PLR0917 - the seams, all of them, in one place
        self,
        kube: Kube,
        workload: Workload,
        runtimes: Mapping[str, Runtime],
        tasks: Tasks,
        clock: Clock,
        recorder: Recorder,
        options: ReconcileOptions,
        requeue: Callable[[ObjectKey], None],
        new_token: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._kube, self._tasks, self._clock, self._recorder = kube, tasks, clock, recorder
        self._runtimes, self._options, self._requeue, self._new_token = runtimes, options, requeue, new_token
        self._observer = Observer(workload, inside_network=options.inside_network)
        self.cluster_names: Index[str] = Index()
        """The runtime cluster each object stands for; the runtime's events find their objects here."""

    async def reconcile(self, key: ObjectKey) -> Result:
        """One pass. Raises ProviderError: the caller tries again with backoff (Conflict: at once)."""
        obj = await self._kube.get(names.KINDCLUSTERS, key)
        if obj is None:
            return await self._forget(key)
        if is_excluded(obj, self._options):
            self.cluster_names.remove(key)
            return Result()
        self.cluster_names.set(key, cluster_name_of(obj))
        scope = open_scope(key, obj, await read_owner(self._kube, obj), self._runtimes, self._clock.now())
        if scope.deleting:
            return await self._delete(scope)
        if message := pause_reason(names.KIND, scope.obj, scope.owner.cluster):
            return await self._pause(scope, message)
        claimed = scope.identity is not None
        if blocked := scope.invalid or await blocked_by_owner(self._kube, key, scope.owner, claimed=claimed):
            return await self._report(Outcome(scope, attempts.read(scope.status), blocked))
        if scope.identity is None:
            return await self._claim(scope)
        if await ensure_finalizer_and_identity(scope, self._kube):
            return Result(requeue_after=0.0)
        return await self._maintain(scope)

    # --- a living cluster ----------------------------------------------------------------------------------------------------

    async def _claim(self, scope: Scope) -> Result:
        """Finalizer and identity are persisted, alone in their pass, before anything is made."""
        chosen = await choose_runtime(scope.spec.runtime, self._options.default_runtime, self._runtimes)
        if isinstance(chosen, Blocked):
            return await self._report(Outcome(scope, attempts.read(scope.status), chosen))
        await ensure_finalizer_and_identity(scope, self._kube, token=self._new_token(), runtime=chosen)
        return Result(requeue_after=0.0)

    async def _maintain(self, scope: Scope) -> Result:
        """Observe, decide, publish, report, act: in this order, so that a manager killed in between finds what it was about to do."""
        key, runtime, identity = scope.key, scope.runtime, scope.identity
        record = attempts.read(scope.status)
        if runtime is None or identity is None:
            return await self._report(Outcome(scope, record, _runtime_missing(scope.spec)))
        desired, task = desire(scope, self._options), self._tasks.status(key)
        record = record.after(task, config_hash=desired.config_hash, now=scope.now, limit=self._options.create_attempts)
        complete = record.is_complete(provisioned=scope.provisioned)
        scope, drift = await ensure_made_from(scope, self._kube, desired, task, complete=complete)
        # While a task works on the cluster, what would be observed is a cluster in the making; its steps are the news then.
        working = task is not None and task.changes_cluster
        observed = Observed() if working else await self._observer.observe(key, runtime, identity, complete=complete)
        update = "" if desired.blocked else drift.replacement(UpdatePolicy(scope.spec.update_policy or UpdatePolicy.REFUSE))
        facts = Facts(
            observation=observed.cluster,
            expected=drift.nodes,
            complete=complete,
            heal=Heal(scope.spec.heal_policy or Heal.REPAIR),
            attempts=record.attempts(scope.generation, desired.config_hash),
            task=task,
            config_hash=desired.config_hash,
            now=scope.now,
            retain_on_failure=bool(scope.spec.retain_on_failure),
            update=update,
        )
        decision = plan(facts)
        if decision.action is Action.CREATE:
            decision = desired.blocked or plan(replace(facts, rival=await self._rival(scope.obj, key, observed)))
        if decision.action is Action.CANCEL:
            return await self._cancel(key)
        scope, published, fault = await publish(scope, self._kube, observed)
        if decision.action is Action.CREATE:
            record = record.begin(generation=scope.generation, config_hash=desired.config_hash, now=scope.now)
        result = await self._report(Outcome(scope, record, decision, task, desired, drift, update, observed, published))
        # Only now, because the status that announces the work is written.
        if task is not None and not task.unfinished and (task.verb is Verb.CREATE or not update):
            self._tasks.forget(key)
        if (work := task_of(decision.action, runtime, identity, desired.request)) is not None:
            self._tasks.start(key, *work, tag=desired.config_hash)
        if fault is not None:
            raise fault
        return result

    async def _rival(self, obj: JsonObject, key: ObjectKey, observed: Observed) -> str:
        """Own containers decide who a cluster name belongs to; only where there are none, the older object does."""
        if observed.cluster is None or observed.cluster.presence is not Presence.ABSENT:
            return ""
        others = [other for other in self.cluster_names.keys(cluster_name_of(obj)) if other != key]
        return await find_rival(obj, self._kube, others)

    async def _cancel(self, key: ObjectKey) -> Result:
        await self._tasks.cancel(key)
        self._tasks.forget(key)
        return Result(requeue_after=0.0)

    # --- the other branches --------------------------------------------------------------------------------------------------

    async def _delete(self, scope: Scope) -> Result:
        if names.FINALIZER not in (scope.metadata.get("finalizers") or []) or is_moved(scope.obj):
            return Result()
        if message := pause_reason(names.KIND, scope.obj, scope.owner.cluster):
            return await self._pause(scope, f"{message}; deletion waits until it is not")
        deletion = await reconcile_delete(scope, self._kube, self._tasks)
        if deletion.blocked is None:
            await release(scope.obj, self._kube)
            self._release_name(scope.key)
            return Result()
        observed = Observed(deletion.seen)
        return await self._report(Outcome(scope, attempts.read(scope.status), deletion.blocked, deletion.task, observed=observed))

    async def _pause(self, scope: Scope, message: str) -> Result:
        """While paused nothing changes on the engine: a running operation is stopped where it stands."""
        await self._cancel(scope.key)
        await write_status(scope.obj, status.paused(scope, message), self._kube, self._recorder)
        return Result(resync=True, phase=scope.status.get("phase", ""))

    async def _report(self, outcome: Outcome) -> Result:
        """Write the status that follows from the outcome. Raises Conflict when the object changed since it was read."""
        new = status.compute(outcome)
        await write_status(outcome.scope.obj, new, self._kube, self._recorder)
        return Result(_requeue_after(outcome, new), resync=True, phase=new["phase"])

    async def _forget(self, key: ObjectKey) -> Result:
        """The object is gone. A task that still works for it is stopped; what it made was either removed or is kept on purpose."""
        await self._cancel(key)
        self._observer.forget(key)
        self._release_name(key)
        return Result()

    def _release_name(self, key: ObjectKey) -> None:
        """Objects that wait for the same cluster name may have it now. Those that do not wait get one superfluous pass."""
        name = self.cluster_names.remove(key)
        for other in self.cluster_names.keys(name) if name is not None else ():
            self._requeue(other)


def _runtime_missing(spec: KINDClusterSpec) -> Blocked:
    name = spec.identity.runtime if spec.identity else ""
    return unavailable(
        f"This manager has no runtime {name!r}, which made this cluster; start it where that runtime is available."
    )


def _requeue_after(outcome: Outcome, new: JsonObject) -> float | None:
    """Seconds: the soonest wait of all phases. `new`: the status just written."""
    blocked = (outcome.published.blocked, outcome.observed.blocked)
    waits = [outcome.decision.after, *(part.after for part in blocked if part is not None)]
    if outcome.decision.after is None:
        waits.append(_next_look(outcome, new))
    return min((max(0.0, wait.total_seconds()) for wait in waits if wait is not None), default=None)


def _next_look(outcome: Outcome, new: JsonObject) -> timedelta | None:
    """Nothing tells when a cluster's nodes become Ready, or when its API answers again."""
    seen, workload = outcome.observed.cluster, outcome.observed.workload
    if seen is not None and outcome.action in (Action.NOTHING, Action.PREPARE) and not new["ready"]:
        return DEGRADED_RETRY if new["phase"] == Phase.DEGRADED else SETTLING_RETRY
    return SETTLING_RETRY if workload is not None and workload.reachable is None else None
