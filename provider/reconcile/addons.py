"""spec.addons of a cluster that runs: what each is like, and when to look again. Effects: reads only; the work is a task's.

Once all are ready, what was seen is believed for a while, as long as texts and cluster are the same: nothing tells of an object that
somebody has deleted in the cluster. Failures are remembered for as long as they are not tried again. All that is a hint, never a truth:
another manager looks, and tries, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from provider.api.conditions import Reason
from provider.api.meta import ObjectKey
from provider.backoff import ADDON_AGAIN, ADDON_BELIEVED, ADDON_REFUSED_RETRY, SETTLING, UNKNOWN_RETRY
from provider.errors import NotOurs, ProviderError, Terminal, Transient
from provider.ports.kube import Kube
from provider.ports.runtime import Verb
from provider.ports.tasks import TaskState, TaskStatus, Work
from provider.ports.workload import Workload
from provider.reconcile.addon_cluster import read_cluster
from provider.reconcile.addon_since import since
from provider.reconcile.addon_states import AddonPhase, AddonState, assess
from provider.reconcile.addon_texts import Texts, Wanted
from provider.reconcile.addon_work import AddonWork, texts_of
from provider.reconcile.observe import Observed
from provider.reconcile.plan import until
from provider.reconcile.scope import Scope

LOOK_DEADLINE = 5.0
"""Seconds for one look, because a pass waits for it."""


@dataclass(frozen=True, slots=True)
class Addons:
    """What a pass knows of add-ons."""

    states: tuple[AddonState, ...] | None = None
    """None: not known in this pass, because a task works on them or the cluster gave no answer."""
    work: Work | None = None
    """What can be done now, as a task; None: nothing."""
    after: timedelta | None = None
    """Next look after this long."""
    outdated: bool = False
    """A task works, or is about to, with texts that are not those of the spec any more."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """How the newest task that worked on an add-on ended."""

    addon: str
    digest: str
    reason: Reason
    message: str
    until: datetime


@dataclass(frozen=True, slots=True)
class _Kept:
    fingerprint: tuple[object, ...]
    until: datetime
    states: tuple[AddonState, ...]


class AddonKeeper:
    """One per manager."""

    def __init__(self, kube: Kube, workload: Workload) -> None:
        self._kube, self._workload, self._texts = kube, workload, Texts()
        self._kept: dict[ObjectKey, _Kept] = {}
        self._failures: dict[ObjectKey, tuple[_Failure, ...]] = {}
        self._pauses: dict[ObjectKey, datetime] = {}
        self._at: dict[ObjectKey, AddonWork] = {}

    def forget(self, key: ObjectKey) -> None:
        for hints in (self._kept, self._failures, self._pauses, self._at):
            hints.pop(key, None)

    async def look(self, scope: Scope, observed: Observed, task: TaskStatus | None) -> Addons | None:
        """For a finished cluster; None where its API does not answer, so that nothing can be told."""
        if task is not None and task.verb is Verb.APPLY and task.unfinished:
            return Addons(outdated=await self._is_outdated(scope))
        workload, kubeconfigs = observed.workload, observed.kubeconfigs
        if workload is None or not workload.reachable or kubeconfigs is None:
            return None
        wanted = await self._texts.resolve(scope, self._kube)
        fingerprint = (workload.uid, *((one.name, one.digest, one.blocked) for one in wanted))
        if task is not None and task.verb is Verb.APPLY:
            self._take_end(scope, task)
        kept = self._kept.get(scope.key)
        if kept is not None and kept.fingerprint == fingerprint and until(kept.until, scope.now, ADDON_BELIEVED) > timedelta(0):
            return Addons(kept.states)
        objects = self._workload.objects(kubeconfigs.manager)
        try:
            async with asyncio.timeout(LOOK_DEADLINE):
                cluster = await read_cluster(objects, wanted)
        except (ProviderError, TimeoutError):
            return Addons(after=UNKNOWN_RETRY)
        found = assess(wanted, cluster)
        failed = self._failed(scope, wanted)
        states, waits = _with_failures(found, failed, wanted), [one.until - scope.now for one in failed.values()]
        if all(state.phase is AddonPhase.READY for state in states):
            self._kept[scope.key] = _Kept(fingerprint, scope.now + ADDON_BELIEVED, states)
            return Addons(states)
        self._kept.pop(scope.key, None)
        waits += [UNKNOWN_RETRY for state in found if state.phase is AddonPhase.FAILED]
        waits += [SETTLING.delay(scope.now - since(scope, state)) for state in states if _waits(state)]
        paused = until(self._pauses.get(scope.key, scope.now), scope.now, ADDON_AGAIN)
        if not any(state.act for state in states):
            return Addons(states, after=min(waits, default=None))
        if paused > timedelta(0):
            return Addons(states, after=min([*waits, paused]))
        work = self._at[scope.key] = AddonWork(objects, wanted, tuple(failed))
        return Addons(states, work.run, after=min(waits, default=None))

    async def _is_outdated(self, scope: Scope) -> bool:
        work = self._at.get(scope.key)
        return work is not None and work.texts != texts_of(await self._texts.resolve(scope, self._kube))

    def _take_end(self, scope: Scope, task: TaskStatus) -> None:
        """What was seen before a task is over with it. One that failed is told, and not tried again at once."""
        key = scope.key
        if (work := self._at.pop(key, None)) is None:
            return  # taken before
        self._kept.pop(key, None)
        # What has just been done, and is to be done again, would be done for ever.
        self._pauses[key] = scope.now + ADDON_AGAIN
        if task.state is not TaskState.FAILED or task.failure[0] is Reason.CANCELLED:
            return
        reason, message, after = _failure(task)
        if reason is Reason.WAITING_FOR_ADDONS:
            after = min(after, SETTLING.delay(scope.now - since(scope, AddonState(work.at, AddonPhase.APPLYING))))
        others = [one for one in self._failures.get(key, ()) if one.addon != work.at]
        self._failures[key] = (*others, _Failure(work.at, work.digest, reason, message, scope.now + after))

    def _failed(self, scope: Scope, wanted: Sequence[Wanted]) -> dict[str, _Failure]:
        """By add-on, what is not tried again yet: another text is tried at once."""
        digests = {one.name: one.digest for one in wanted}
        left = tuple(
            one
            for one in self._failures.get(scope.key, ())
            if digests.get(one.addon, "") == one.digest and until(one.until, scope.now, ADDON_REFUSED_RETRY) > timedelta(0)
        )
        self._failures[scope.key] = left
        return {one.addon: one for one in left}


def _with_failures(
    states: Sequence[AddonState], failed: Mapping[str, _Failure], wanted: Sequence[Wanted]
) -> tuple[AddonState, ...]:
    """A task works from the first of the list to the last, and does not get past one that failed."""
    listed, behind, found = {one.name for one in wanted}, False, []
    for state in states:
        failure = failed.get(state.name)
        if failure is None or not state.act:
            found.append(replace(state, act=state.act and not (behind and state.name in listed)))
            continue
        waits = failure.reason is Reason.WAITING_FOR_ADDONS
        phase, reason = (state.phase, None) if waits else (AddonPhase.FAILED, failure.reason)
        found.append(replace(state, phase=phase, reason=reason, message=failure.message, act=False))
        behind = behind or state.name in listed
    return tuple(found)


def _waits(state: AddonState) -> bool:
    return state.phase in (AddonPhase.WAITING, AddonPhase.REMOVING) and not state.act


def _failure(task: TaskStatus) -> tuple[Reason, str, timedelta]:
    """(reason, message, how long it is not tried again)."""
    reason, message = task.failure
    if isinstance(task.error, Terminal | NotOurs):
        return reason, message, ADDON_REFUSED_RETRY
    if isinstance(task.error, Transient) and task.error.retry_after is not None:
        return reason, message, min(timedelta(seconds=task.error.retry_after), UNKNOWN_RETRY)
    # What is no error of ours has, by its default, the reason of a create.
    return reason if isinstance(task.error, ProviderError) else Reason.ADDON_FAILED, message, UNKNOWN_RETRY
