"""Reporting a pass: its status in one guarded patch, nothing when it equals what is there, then an Event for each transition."""

from __future__ import annotations

from datetime import timedelta

from provider.api.conditions import ConditionType, Phase
from provider.api.meta import Conditions, JsonObject, shorten
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.status import KINDClusterStatus
from provider.backoff import DEGRADED_RETRY, SETTLING_RETRY
from provider.controller.result import Result
from provider.ports.kube import EventNote, Kube, Recorder
from provider.reconcile import status
from provider.reconcile.conditions import conditions
from provider.reconcile.outcome import Outcome
from provider.reconcile.patch import patch_status
from provider.reconcile.plan import Action
from provider.reconcile.scope import Scope


async def report(outcome: Outcome, kube: Kube, recorder: Recorder) -> Result:
    """Raises Conflict when the object changed since it was read: then nothing of this pass's intent may be carried out."""
    found = conditions(outcome)
    new = status.compute(outcome, found)
    notes = transitions(outcome.scope.conditions, found)
    requeue_after = _requeue_after(outcome, new)
    if (written := await patch_status(kube, KINDCLUSTERS, KINDClusterStatus, outcome.scope.obj, new)) is not None:
        # After the write: an Event must not tell of a status that was refused.
        for note in notes:
            await recorder.record(written, note)
    return Result(requeue_after, resync=True, phase=new["phase"])


async def report_paused(scope: Scope, message: str, kube: Kube) -> Result:
    await patch_status(kube, KINDCLUSTERS, KINDClusterStatus, scope.obj, status.paused(scope, message))
    return Result(resync=True, phase=scope.status.get("phase", ""))


def transitions(before: Conditions, found: Conditions) -> list[EventNote]:
    """Events worth a person's time: the reason of Ready changed, the engine came or went, the cluster became outdated or up to date."""
    notes = []
    for kind in (ConditionType.READY, ConditionType.ENGINE_REACHABLE, ConditionType.UP_TO_DATE):
        old, new = before.get(kind), found.get(kind)
        if new is None or (old is not None and (old.status, old.reason) == (new.status, new.reason)):
            continue
        if kind is not ConditionType.READY and old is None and new.true:
            continue
        notes.append(EventNote(new.reason, shorten(new.message) or f"{kind} is {new.status}."))
    return notes


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
    if seen is not None and outcome.decision.action in (Action.NOTHING, Action.PREPARE) and not new["ready"]:
        return DEGRADED_RETRY if new["phase"] == Phase.DEGRADED else SETTLING_RETRY
    return SETTLING_RETRY if workload is not None and workload.reachable is None else None
