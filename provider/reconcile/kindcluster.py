"""reconcile(key): the table of contents of one pass over a KINDCluster.

Level-triggered: the key is the only input, everything else is read anew. Long work only *starts* here, as a task whose steps and end
bring the key back. The status is computed once, from what the pass saw, and written once, only when it differs; the intent to create
is in it, and the work starts only after it is written.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping

from provider.api import names
from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.controller.index import Index
from provider.controller.result import Result
from provider.errors import Conflict, ProviderError
from provider.ports.clock import Clock
from provider.ports.kube import Kube, Recorder
from provider.ports.runtime import Runtime
from provider.ports.tasks import Progress, Tasks, Verb
from provider.ports.workload import Workload
from provider.reconcile import attempts, status, work
from provider.reconcile.attempts import Record
from provider.reconcile.capi import load_owner, not_for_us, pause_reason, waits_for_owner
from provider.reconcile.choose import choose_runtime
from provider.reconcile.delete import may_not_touch, reconcile_delete
from provider.reconcile.desired import desire, disagrees
from provider.reconcile.identity import cluster_name_of
from provider.reconcile.kubeconfig_secrets import ensure_secrets
from provider.reconcile.observe import Kubeconfigs, Observer
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.outdated import to_be_replaced
from provider.reconcile.phases import ensure_endpoint, ensure_finalizer_and_identity, ensure_made_from, find_rival
from provider.reconcile.plan import UNKNOWN_RETRY, Action, Facts, Heal, Plan, plan
from provider.reconcile.scope import Scope, open_scope
from provider.reconcile.status_writer import write_status

SOON = 0.3
"""Seconds between looks at a cluster that is about to be ready."""
DEGRADED_RETRY = 5.0


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
        if not_for_us(obj, self._options):
            self.cluster_names.remove(key)
            return Result()
        scope, unreadable = open_scope(key, obj, self._runtimes, self._clock.now())
        self.cluster_names.set(key, cluster_name_of(obj))
        await load_owner(scope, self._kube)
        if scope.deleting:
            return await self._delete(scope)
        if message := pause_reason(names.KIND, scope.obj, scope.cluster):
            return await self._pause(scope, message)
        if problem := unreadable or await waits_for_owner(scope, self._kube):
            return await self._tell(scope, problem)
        if scope.spec.identity is None:
            return await self._claim(scope)
        if await ensure_finalizer_and_identity(scope, self._kube):
            return Result(requeue_after=0.0)
        return await self._normal(scope)

    # --- a living cluster ----------------------------------------------------------------------------------------------------

    async def _claim(self, scope: Scope) -> Result:
        """Finalizer and identity are persisted, alone in their pass, before anything is made."""
        chosen, problem = await choose_runtime(scope.spec.runtime, self._options.default_runtime, self._runtimes)
        if problem is not None:
            return await self._tell(scope, problem)
        await ensure_finalizer_and_identity(scope, self._kube, token=self._new_token(), runtime=chosen)
        return Result(requeue_after=0.0)

    async def _normal(self, scope: Scope) -> Result:
        if scope.runtime is None:
            return await self._tell(scope, self._no_such_runtime(scope))
        desire(scope, self._options)
        scope.disagreement = disagrees(scope)
        scope.task = self._tasks.status(scope.key)
        record = self._absorb(scope)
        await ensure_made_from(scope, self._kube, complete=attempts.complete(record, provisioned=scope.provisioned))
        kubeconfigs = await self._observe(scope, record)
        decision = await self._decide(scope, record)
        if decision.action is Action.CANCEL:
            return await self._cancel(scope)
        error = await self._publish(scope, kubeconfigs)
        if decision.action is Action.CREATE:
            record = attempts.begin(record, generation=scope.generation, config_hash=scope.config_hash, now=scope.now)
        await write_status(scope, status.compute(scope, record), self._kube, self._recorder)
        self._act(scope, decision)
        if error is not None:
            raise error
        return self._result(scope, decision)

    def _absorb(self, scope: Scope) -> Record:
        options, record = self._options, attempts.read(scope.status)
        return attempts.after_task(
            record,
            scope.task,
            config_hash=scope.config_hash,
            now=scope.now,
            limit=options.create_attempts,
            base=options.retry_base,
        )

    async def _observe(self, scope: Scope, record: Record) -> Kubeconfigs | None:
        if scope.disturbed:
            return None
        return await self._observer.look(scope, complete=attempts.complete(record, provisioned=scope.provisioned))

    async def _decide(self, scope: Scope, record: Record) -> Plan:
        decision = plan(self._facts(scope, record))
        if decision.action is Action.CREATE:
            await find_rival(scope, self._kube, self.cluster_names.keys(cluster_name_of(scope.obj)))
            decision = plan(self._facts(scope, record))
            decision = scope.disagreement or decision
        scope.decision = decision
        return decision

    def _facts(self, scope: Scope, record: Record) -> Facts:
        return Facts(
            observation=scope.observation,
            expected=scope.expected,
            complete=attempts.complete(record, provisioned=scope.provisioned),
            heal=Heal(scope.spec.heal_policy or Heal.REPAIR),
            attempts=attempts.attempts(record, scope.generation, scope.config_hash),
            task=scope.task,
            config_hash=scope.config_hash,
            now=scope.now,
            rival=scope.rival,
            retain_on_failure=bool(scope.spec.retain_on_failure),
            update=to_be_replaced(scope),
        )

    async def _publish(self, scope: Scope, kubeconfigs: Kubeconfigs | None) -> ProviderError | None:
        """Secrets, then endpoint. What goes wrong is raised after the status is written, so that it hides nothing."""
        if scope.workload is None or not scope.workload.reachable:
            kubeconfigs = kubeconfigs if scope.provisioned else None
        try:
            if kubeconfigs is not None:
                await ensure_secrets(scope, self._kube, kubeconfigs)
            await ensure_endpoint(scope, self._kube)
        except Conflict:
            raise
        except ProviderError as error:
            scope.problem = (error.reason, error.message)
            return error
        return None

    def _act(self, scope: Scope, decision: Plan) -> None:
        """Start long work, or close the books on work that is over. The status that says so is already written."""
        runtime, identity, request = scope.runtime, scope.identity, scope.request
        assert runtime is not None and identity is not None and request is not None
        if scope.task is not None and not scope.task.unfinished and (scope.task.verb is Verb.CREATE or not to_be_replaced(scope)):
            self._tasks.forget(scope.key)
        match decision.action:
            case Action.CREATE:

                async def create(tell: Progress) -> None:
                    await work.create(runtime, identity, request, tell)

                self._tasks.start(scope.key, Verb.CREATE, create, tag=scope.config_hash)
            case Action.PREPARE:

                async def prepare(tell: Progress) -> None:
                    await work.prepare(runtime, identity, request, tell)

                self._tasks.start(scope.key, Verb.PREPARE, prepare, tag=scope.config_hash)
            case Action.START:

                async def start(tell: Progress) -> None:
                    await runtime.start(identity, tell)

                self._tasks.start(scope.key, Verb.START, start)
            case Action.CLEAN:

                async def clean(tell: Progress) -> None:
                    await runtime.delete(identity, tell)

                self._tasks.start(scope.key, Verb.DELETE, clean)

    async def _cancel(self, scope: Scope) -> Result:
        await self._tasks.cancel(scope.key)
        self._tasks.forget(scope.key)
        return Result(requeue_after=0.0)

    def _result(self, scope: Scope, decision: Plan) -> Result:
        if decision.after is not None:
            scope.wait(max(0.0, decision.after.total_seconds()))
        elif (
            decision.action in (Action.NOTHING, Action.PREPARE)
            and scope.observation is not None
            and not scope.status.get("ready")
        ):
            scope.wait(DEGRADED_RETRY if scope.status.get("phase") == "Degraded" else SOON)
        elif scope.workload is not None and scope.workload.reachable is None:
            scope.wait(SOON)
        return self._done(scope)

    # --- the other branches --------------------------------------------------------------------------------------------------

    async def _delete(self, scope: Scope) -> Result:
        if names.FINALIZER not in (scope.meta.get("finalizers") or []) or may_not_touch(scope):
            return Result()
        if message := pause_reason(names.KIND, scope.obj, scope.cluster):
            return await self._pause(scope, f"{message}; deletion waits until it is not")
        if await reconcile_delete(scope, self._kube, self._tasks):
            self._release_name(scope.key)
            return Result()
        await write_status(scope, status.compute(scope, attempts.read(scope.status)), self._kube, self._recorder)
        if scope.decision is not None and scope.decision.after is not None:
            scope.wait(scope.decision.after.total_seconds())
        return self._done(scope)

    async def _pause(self, scope: Scope, message: str) -> Result:
        """While paused nothing changes on the engine: a running operation is stopped where it stands."""
        if (task := self._tasks.status(scope.key)) is not None:
            if task.unfinished:
                await self._tasks.cancel(scope.key)
            self._tasks.forget(scope.key)
        await write_status(scope, status.paused(scope, message), self._kube, self._recorder)
        return self._done(scope)

    async def _tell(self, scope: Scope, problem: Plan) -> Result:
        """Nothing can be done now; say why."""
        scope.decision = problem
        await write_status(scope, status.compute(scope, attempts.read(scope.status)), self._kube, self._recorder)
        if problem.after is not None:
            scope.wait(problem.after.total_seconds())
        return self._done(scope)

    async def _forget(self, key: ObjectKey) -> Result:
        """The object is gone. A task that still works for it is stopped; what it made was either removed or is kept on purpose."""
        await self._tasks.cancel(key)
        self._tasks.forget(key)
        self._observer.forget(key)
        self._release_name(key)
        return Result()

    def _release_name(self, key: ObjectKey) -> None:
        """Objects that wait for the same cluster name may have it now. Those that do not wait get one superfluous pass."""
        name = self.cluster_names.remove(key)
        for other in self.cluster_names.keys(name) if name is not None else ():
            self._requeue(other)

    def _no_such_runtime(self, scope: Scope) -> Plan:
        name = scope.spec.identity.runtime if scope.spec.identity else ""
        message = f"This manager has no runtime {name!r}, which made this cluster; start it where that runtime is available."
        return Plan(Action.WAIT, Reason.ENGINE_UNREACHABLE, message, UNKNOWN_RETRY)

    def _done(self, scope: Scope) -> Result:
        return Result(scope.requeue_after, resync=True, phase=scope.status.get("phase", ""))
