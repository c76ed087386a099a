"""reconcile(key): the table of contents of one pass over a KINDCluster.

Level-triggered: the key is the only input, everything else is read anew. Long work only *starts* here, as a task whose steps and end
requeue the key. The status is computed once, from the pass's outcome, and written once, only when it differs; the intent to create
is in it, and the work starts only after it is written.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from provider.api import contract, names
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, key_of
from provider.api.rbac import Permission
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS, KINDClusterSpec
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES
from provider.backoff import RUNTIME_EVENTS
from provider.controller.index import Index
from provider.controller.result import Result
from provider.controller.sources import Stream, Watch
from provider.ports.clock import Clock
from provider.ports.kube import EventNote, Kube, Recorder
from provider.ports.runtime import Identity, Presence, Runtime, RuntimeEvent, Verb
from provider.ports.tasks import Target, Tasks, TaskState, TaskStatus
from provider.ports.workload import Workload
from provider.reconcile.addons import AddonKeeper
from provider.reconcile.allowed import with_host
from provider.reconcile.attempts import Progress, progress
from provider.reconcile.capi import blocked_by_owner, index_cluster, is_excluded, pause_reason, read_owner, referred_by_cluster
from provider.reconcile.choose_runtime import choose_runtime, unavailable
from provider.reconcile.claim import ensure_finalizer_and_identity, is_claimed_here, take_name
from provider.reconcile.claims import Claims, claim_of
from provider.reconcile.config_from import with_config
from provider.reconcile.copies import Tokens, blocked_as_copy, may_be_copy
from provider.reconcile.daemon import daemon_of_claim, ensure_daemon
from provider.reconcile.data_loss import data_loss
from provider.reconcile.delete import is_moved, reconcile_delete, release
from provider.reconcile.desired import Desired, desire
from provider.reconcile.expire import PERMISSIONS as EXPIRE_PERMISSIONS
from provider.reconcile.expire import expire
from provider.reconcile.identity import cluster_name_of
from provider.reconcile.kubeconfig_secrets import owner_of_secret
from provider.reconcile.made_from import ensure_made_from
from provider.reconcile.node_images import Choice
from provider.reconcile.observe import Observed, Observer
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.outcome import Outcome
from provider.reconcile.plan import Action, Blocked, Decision, Facts, Heal, plan, without_replacement
from provider.reconcile.power import resumes, wanted_power
from provider.reconcile.preload import Preloader
from provider.reconcile.publish import publish
from provider.reconcile.registries import Connector, wanted
from provider.reconcile.renewal import Renewal
from provider.reconcile.report import report, report_paused
from provider.reconcile.retry import without_needless_wait
from provider.reconcile.scaling import scaling
from provider.reconcile.scope import Scope, open_scope
from provider.reconcile.stop_tasks import end_stale_task, stop_making
from provider.reconcile.tasks import task_of
from provider.reconcile.tries import Tries
from provider.reconcile.unchanged import Unchanged

PERMISSIONS = (
    Permission(
        KINDCLUSTERS,
        ("get", "list", "watch", "patch"),
        "The objects it serves: spec is written twice (identity, controlPlaneEndpoint), the rest is status.",
    ),
    *EXPIRE_PERMISSIONS,
    Permission(KINDCLUSTERS, ("patch",), "The outcome of each pass.", subresource="status"),
    Permission(KINDCONTROLPLANES, ("get",), "Version and replicas of a Cluster with a topology."),
    Permission(contract.CLUSTERS, ("get", "list", "watch"), "Owners: read only."),
    Permission(names.CONFIG_MAPS, ("get",), "kind configs and manifests of add-ons that a spec names: one by one, by name."),
    Permission(names.SECRETS, ("get", "list", "watch", "create", "patch", "delete"), "Kubeconfigs."),
)


class KINDClusterReconciler:
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
        self._observer, self._unchanged = Observer(workload, inside_network=options.inside_network), Unchanged()
        self._renewal, self._preloader, self._tries = Renewal(recorder), Preloader(), Tries()
        self._connector, self._addons = Connector(), AddonKeeper(kube, workload)
        self.cluster_names: Index[str] = Index()
        """The runtime cluster each object stands for; the runtime's events find their objects here."""
        self.claims, self._tokens = Claims(), Tokens(options.namespace)
        self._clusters: Index[ObjectKey] = Index()
        """Of every Cluster that was seen, the object that it names as its infrastructure."""
        self.watches: Sequence[Watch] = (
            Watch(KINDCLUSTERS, self._see),
            Watch(contract.CLUSTERS, self._see_cluster),
            Watch(names.SECRETS, owner_of_secret, selector=names.KINDCLUSTER_LABEL),
        )
        self.streams: Sequence[Stream] = [
            Stream(runtime.name, runtime.events, self._keys_of, RUNTIME_EVENTS) for runtime in runtimes.values()
        ]

    async def reconcile(self, key: ObjectKey) -> Result:
        """One pass. Raises ProviderError: the caller tries again with backoff (Conflict: at once)."""
        obj = await self._kube.get(KINDCLUSTERS, key)
        if obj is None:
            self._tokens.forget(key)
        former = await end_stale_task(key, obj, self._tasks, self._runtimes, self._clock.now())
        if obj is None or is_excluded(obj, self._options):
            return await self._let_go(key, former)
        # Before anything that may fail: the runtime's events, and who claims the same, must find the object even while its passes do.
        self.cluster_names.set(key, cluster_name_of(obj))
        self.claims.observe(obj)
        self._tokens.observe(obj)
        self._free_name(key)
        scope = open_scope(key, obj, await read_owner(self._kube, obj), self._runtimes, self._clock.now())
        if scope.deleting and scope.unreadable:
            return await report(Outcome(scope, scope.record, _undeletable(scope)), self._kube, self._recorder)
        # Before the pause: a paused object that is being deleted has to say that its deletion waits.
        if scope.deleting:
            return await self._delete(scope)
        if message := pause_reason(KINDCLUSTERS.kind, scope.obj, scope.owner.cluster):
            return await self._pause(scope, message, former)
        if (expired := await expire(scope, self._kube, self._recorder)) is not None:
            return expired
        blocked = former or scope.invalid
        if blocked := blocked or await blocked_by_owner(
            self._kube, key, scope.owner, self._clusters, provisioned=scope.provisioned
        ):
            if not scope.provisioned:  # a create that began before the owner or its reference went
                await stop_making(key, self._tasks)
            return await report(Outcome(scope, scope.record, blocked), self._kube, self._recorder)
        if scope.identity is None:
            return await self._claim(scope)
        if await ensure_finalizer_and_identity(scope, self._kube):
            return Result(requeue_after=0.0)
        if scope.runtime is None:
            return await report(Outcome(scope, scope.record, _runtime_missing(scope.spec)), self._kube, self._recorder)
        return await self._maintain(await with_config(scope, self._kube), scope.runtime, scope.identity)

    # --- a living cluster ----------------------------------------------------------------------------------------------------

    async def _claim(self, scope: Scope) -> Result:
        """Finalizer and identity are persisted, alone in their pass, before anything is made."""
        chosen = await choose_runtime(scope.spec.runtime, self._options.default_runtime, self._runtimes)
        if isinstance(chosen, Blocked):
            return await report(Outcome(scope, scope.record, chosen), self._kube, self._recorder)
        token = self._new_token()
        daemon = await daemon_of_claim(scope, self._runtimes[chosen], token)
        if (claim := claim_of(scope.obj, chosen)) is not None:
            self.claims.note(claim)  # before it is written: from now on no younger claim may take the name
        await ensure_finalizer_and_identity(scope, self._kube, token=token, runtime=chosen, daemon=daemon)
        return Result(requeue_after=0.0)

    async def _maintain(self, scope: Scope, runtime: Runtime, identity: Identity) -> Result:
        """Observe, decide, publish, report, act: in this order, so that a manager killed in between finds what it was about to do."""
        desired, task = desire(scope, self._options), self._tasks.status(scope.key)
        creation = _creation(scope, task, desired)
        scope, drift = await ensure_made_from(scope, self._kube, desired, task, complete=creation.complete)
        # While a task works on the cluster, what would be observed is a cluster in the making; its steps are the news then.
        working = task is not None and task.changes_cluster
        observed = Observed() if working else await self._observer.observe(scope, runtime, identity, complete=creation.complete)
        if await ensure_daemon(scope, self._kube, observed.cluster):
            return Result(requeue_after=0.0)
        if await self._renewal.renew(scope, runtime, identity, observed.workload):
            self._observer.forget(scope.key)
            return Result(requeue_after=0.0)
        standing = replace(observed, cluster=observed.cluster if creation.complete else None)
        preloading = await self._preloader.look(scope, runtime, identity, standing.cluster, task)
        connecting = await self._connector.look(scope, runtime, identity, standing, task, self._options.policy)
        addons = await self._addons.look(scope, observed, task)
        facts = Facts(
            observation=observed.cluster,
            expected=drift.nodes,
            complete=creation.complete,
            heal=Heal(scope.spec.heal_policy or Heal.REPAIR),
            attempts=creation.attempts,
            task=task,
            # While nobody knows what is wanted, what is being made is not outdated.
            config_hash=desired.config_hash if scope.unresolved is None or task is None else task.tag,
            now=scope.now,
            retain_on_failure=bool(scope.spec.retain_on_failure),
            update=drift.update,
            lost=data_loss(scope.status, drift.nodes, observed.workload),
            power=wanted_power(scope),
            resumes=resumes(scope),
            unloaded=preloading is not None and preloading.due,
            unconnected=connecting is not None and connecting.due,
            unapplied=addons is not None and addons.work is not None,
            unapplied_outdated=addons is not None and addons.outdated,
            answers=observed.workload is not None and bool(observed.workload.reachable),
            scaling=scaling(scope, drift, standing.cluster, observed.workload),
            ended=self._tries.note(scope.key, task),
        )
        facts = await without_needless_wait(facts, runtime, identity, desired.request)
        decision, desired, choice, refused = await self._decide(scope, runtime, desired, facts)
        record = creation.record
        if decision.action is Action.CANCEL:
            await self._tasks.discard(scope.key)
            return Result(requeue_after=0.0)
        scope, published, fault = await publish(scope, self._kube, observed)
        if decision.action is Action.CREATE:
            record = record.begin(generation=scope.generation, config_hash=desired.config_hash, now=scope.now)
        looks = (preloading, connecting, facts.scaling, addons, facts.ended)
        outcome = Outcome(scope, record, decision, task, desired, drift, observed, published, choice, refused, *looks)
        result = await report(outcome, self._kube, self._recorder, self._unchanged)
        self._begin(outcome, facts, desired, runtime, identity)  # only now, because the status that announces the work is written
        if fault is not None:
            raise fault
        return result

    def _begin(self, outcome: Outcome, facts: Facts, desired: Desired, runtime: Runtime, identity: Identity) -> None:
        """Drop the task that is over, and start the one that the decision asks for."""
        scope, choice, task = outcome.scope, outcome.choice, outcome.task
        if task is not None and _is_spent(task, facts, outcome, known=scope.unresolved is None):
            self._tasks.forget(scope.key)
        request = desired.request if choice is None else replace(desired.request, image=choice.image)
        apply = outcome.addons.work if outcome.addons is not None else None
        images = scope.spec.images or ()
        if (long := task_of(outcome.decision, runtime, identity, request, images, wanted(scope), apply)) is not None:
            target = Target(runtime.name, identity)
            self._tasks.start(scope.key, long.verb, long.work, before=long.before, tag=desired.config_hash, target=target)

    async def _decide(
        self, scope: Scope, runtime: Runtime, desired: Desired, facts: Facts
    ) -> tuple[Decision, Desired, Choice | None, Blocked | None]:
        """With what stands in the way of a replacement, the images to make it from, where something is to be made, and what the policy
        refuses."""
        decision = plan(facts)
        if decision.action is Action.CREATE:
            decision, blocked = await self._confirm_create(scope, desired, facts)
            desired = replace(desired, blocked=blocked) if facts.update else desired
        if may_be_copy(scope, facts.observation):
            making = decision.action is Action.CREATE
            decision = await blocked_as_copy(scope, self._kube, self._tokens, making=making) or decision
        decision, choice, refused = await with_host(decision, facts, scope, desired, runtime, self._options)
        if decision.action is not Action.CREATE:
            self._free_name(scope.key)
        return decision, desired, choice, refused

    async def _confirm_create(self, scope: Scope, desired: Desired, facts: Facts) -> tuple[Decision, Blocked | None]:
        """What is asked only before something is made, because the answers cost requests; and why nothing may be. The name is held when
        it is to be made."""
        # An endpoint can be preset like an identity: to make anything, the references must hold also where a cluster was made before.
        unowned = await blocked_by_owner(self._kube, scope.key, scope.owner, self._clusters, provisioned=False)
        if (blocked := unowned or desired.blocked) is not None:
            return without_replacement(facts, blocked), blocked
        if (claim := claim_of(scope.obj)) is None:
            return plan(facts), None
        # Own containers decide first: only where nothing runs under the name does the age of objects count.
        if facts.observation is not None and facts.observation.presence is Presence.PRESENT:
            self.claims.hold(claim)
        elif rival := await take_name(claim, self.claims, self._kube, self._options):
            return plan(replace(facts, rival=rival)), None
        return plan(facts), None

    # --- the other branches --------------------------------------------------------------------------------------------------

    async def _delete(self, scope: Scope) -> Result:
        if names.FINALIZER not in (scope.metadata.get("finalizers") or []) or is_moved(scope.obj):
            return Result()
        if message := pause_reason(KINDCLUSTERS.kind, scope.obj, scope.owner.cluster):
            return await self._pause(scope, f"{message}; deletion waits until it is not")
        deletion = await reconcile_delete(scope, self._kube, self._tasks, self._observer)
        if deletion.written:
            return Result(requeue_after=0.0)
        if deletion.blocked is None:
            if deletion.kept:
                message = f"The kind cluster and its kubeconfig Secrets are kept, as {deletion.kept} asks for."
                await self._recorder.record(scope.obj, EventNote(Reason.KEPT, message))
            await release(scope.obj, self._kube)
            self._release_name(scope.key)
            return Result()
        observed = Observed(deletion.seen)
        return await report(
            Outcome(scope, scope.record, deletion.blocked, deletion.task, observed=observed), self._kube, self._recorder
        )

    async def _pause(self, scope: Scope, message: str, former: Blocked | None = None) -> Result:
        """While paused nothing changes on the engine: a running operation is stopped where it stands."""
        if former is None:
            await self._tasks.discard(scope.key)
        return await report_paused(scope, message, self._kube)

    async def _let_go(self, key: ObjectKey, former: Blocked | None) -> Result:
        """The object is gone, or another manager's from now on. The name is free once what was being made for a former object is removed;
        what stands finished is kept on purpose, and what stands half made is for the other manager, which knows it by the same marker.
        """
        if former is not None:
            return _again(former)
        await self._tasks.discard(key)
        self._observer.forget(key)
        self._renewal.forget(key)
        self._preloader.forget(key)
        self._tries.forget(key)
        self._connector.forget(key)
        self._addons.forget(key)
        self._unchanged.forget(key)
        self._release_name(key)
        return Result()

    def _keys_of(self, event: RuntimeEvent) -> list[ObjectKey]:
        """A runtime that does not know which clusters changed names none: all of them are concerned then."""
        return self.cluster_names.all() if event.cluster_name is None else self.cluster_names.keys(event.cluster_name)

    # --- the cluster name ----------------------------------------------------------------------------------------------------

    def _see(self, obj: JsonObject) -> tuple[ObjectKey, ...]:
        """An event of the watch: claims are known before their objects have had a pass. Returns who comes first now that one is gone."""
        self._tokens.observe(obj)
        if is_claimed_here(obj, self._options):
            self.claims.observe(obj)
            return ()
        first = self.claims.forget(key_of(obj))
        return () if first is None else (first,)

    def _see_cluster(self, cluster: JsonObject) -> set[ObjectKey]:
        index_cluster(self._clusters, cluster)
        return referred_by_cluster(KINDCLUSTERS)(cluster)

    def _free_name(self, key: ObjectKey) -> None:
        """Unless a cluster is being made for the object, who comes first among those that claim the same may make one now."""
        task = self._tasks.status(key)
        if task is None or task.verb is not Verb.CREATE or not task.unfinished:
            self._call(self.claims.free(key))

    def _release_name(self, key: ObjectKey) -> None:
        self.cluster_names.remove(key)
        self._call(self.claims.release(key))

    def _call(self, key: ObjectKey | None) -> None:
        if key is not None:
            self._requeue(key)


def _again(blocked: Blocked) -> Result:
    return Result(requeue_after=blocked.after.total_seconds() if blocked.after is not None else None)


def _creation(scope: Scope, task: TaskStatus | None, desired: Desired) -> Progress:
    """How far creating the cluster as it is wanted now has come."""
    return progress(
        scope.record,
        task,
        generation=scope.generation,
        config_hash=desired.config_hash,
        provisioned=scope.provisioned,
        now=scope.now,
    )


def _is_spent(task: TaskStatus, facts: Facts, outcome: Outcome, *, known: bool) -> bool:
    """Whether no later pass has to know of the task. The status written now is an event that brings the next pass at once: what is tried
    again only after a while must be known to it. `known`: what is wanted is.
    """
    if task.unfinished:
        return False
    if task.verb is Verb.PREPARE:
        return not facts.update
    if task.verb is Verb.SCALE:
        return facts.scaling is None or task.tag != facts.config_hash
    if task.verb is Verb.CREATE:
        # How it ended is in the status; whether that is the cluster that is wanted may have to wait until that can be told.
        return known or task.state is not TaskState.SUCCEEDED
    return outcome.decision.action is not Action.WAIT or outcome.decision.after is None


def _undeletable(scope: Scope) -> Blocked:
    """Deleting what is known would leave the rest behind."""
    fields = ", ".join(f"spec.{name}" for name in scope.unreadable)
    message = f"Deletion waits: {fields} cannot be read, so that what was made is not known. Correct it, or remove the finalizer."
    return Blocked(Reason.INVALID_SPEC, message)


def _runtime_missing(spec: KINDClusterSpec) -> Blocked:
    name = spec.identity.runtime if spec.identity else ""
    return unavailable(
        f"This manager has no runtime {name!r}, which made this cluster; start it where that runtime is available."
    )
