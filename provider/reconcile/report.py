"""Reporting a pass: its status in one guarded patch, nothing when it equals what is there, then an Event for each transition."""

from __future__ import annotations

from datetime import timedelta

from provider.api.conditions import ConditionType, Reason
from provider.api.meta import Conditions, JsonObject, shorten
from provider.api.phases import Phase
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.status import KINDClusterStatus
from provider.backoff import DEGRADED, SETTLING
from provider.controller.result import Result
from provider.ports.kube import EventNote, Kube, Recorder
from provider.reconcile import status
from provider.reconcile.conditions import conditions
from provider.reconcile.expiry import next_look
from provider.reconcile.outcome import Outcome
from provider.reconcile.patch import patch_status
from provider.reconcile.scope import Scope
from provider.reconcile.unchanged import Unchanged

TOLD = (
    ConditionType.READY,
    ConditionType.ENGINE_REACHABLE,
    ConditionType.IMAGES_PRELOADED,
    ConditionType.REGISTRY_READY,
    ConditionType.ADDONS_READY,
    ConditionType.UP_TO_DATE,
    ConditionType.ENDPOINT_CURRENT,
    ConditionType.EXPIRING,
    ConditionType.SCALING_UP,
    ConditionType.SCALING_DOWN,
)
"""Conditions whose changes are Events."""
BEGINNINGS = frozenset({ConditionType.SCALING_UP, ConditionType.SCALING_DOWN})
"""Those of them of which only that they become True, or for another reason, is worth one; making a first cluster is told by Ready."""


async def report(outcome: Outcome, kube: Kube, recorder: Recorder, unchanged: Unchanged | None = None) -> Result:
    """`unchanged`: since when each object has been as it is; without it, this is the first look.

    Raises Conflict when the object changed since it was read: then nothing of this pass's intent may be carried out."""
    found = conditions(outcome)
    new = status.compute(outcome, found)
    notes = transitions(outcome.scope.conditions, found)
    elapsed = (unchanged or Unchanged()).elapsed(
        outcome.scope.key, (new["phase"], _reason_of_ready(outcome, found)), outcome.scope.now
    )
    requeue_after = _requeue_after(outcome, new, elapsed, next_look(outcome.scope, {**outcome.scope.conditions, **found}))
    if (written := await patch_status(kube, KINDCLUSTERS, KINDClusterStatus, outcome.scope.obj, new)) is not None:
        # After the write: an Event must not tell of a status that was refused.
        for note in notes:
            await recorder.record(written, note)
    return Result(requeue_after, resync=True, phase=new["phase"])


async def report_paused(scope: Scope, message: str, kube: Kube) -> Result:
    await patch_status(kube, KINDCLUSTERS, KINDClusterStatus, scope.obj, status.paused(scope, message))
    return Result(resync=True, phase=scope.status.get("phase", ""))


def transitions(before: Conditions, found: Conditions) -> list[EventNote]:
    """Events worth a person's time: the reason of one of these conditions changed."""
    notes = []
    for kind in TOLD:
        old, new = before.get(kind), found.get(kind)
        if new is None or (old is not None and (old.status, old.reason) == (new.status, new.reason)):
            continue
        if kind in BEGINNINGS and (old is None or not new.true):
            continue
        if kind is not ConditionType.READY and old is None and new.true and kind is not ConditionType.EXPIRING:
            continue
        if new.reason is Reason.NOT_EXPIRING:
            continue
        notes.append(EventNote(new.reason, shorten(new.message) or f"{kind} is {new.status}."))
    return notes


def _reason_of_ready(outcome: Outcome, found: Conditions) -> str:
    ready = {**outcome.scope.conditions, **found}.get(ConditionType.READY)
    return "" if ready is None else ready.reason


def _requeue_after(outcome: Outcome, new: JsonObject, elapsed: timedelta, end: timedelta | None) -> float | None:
    """Seconds. What is due for the decision comes first; of all else that is waited for, the longest wait counts.

    `new`: the status just written. `elapsed`: how long it has said the same. `end`: until the object's time is over, or nearly so.
    """
    blocked = (outcome.published.blocked, outcome.observed.blocked)
    looks = [part.after for part in blocked if part is not None and part.after is not None]
    if outcome.decision.after is None and (look := _next_look(outcome, new, elapsed)) is not None:
        looks.append(look)
    beside = [part.after for part in (outcome.preloading, outcome.connecting, outcome.addons) if part is not None]
    # Also of a cluster that runs: nothing tells of a ConfigMap.
    config = outcome.scope.unresolved.after if outcome.scope.unresolved is not None else None
    waits = (outcome.decision.after, max(looks, default=None), *beside, config, end)
    return min((max(0.0, wait.total_seconds()) for wait in waits if wait is not None), default=None)


def _next_look(outcome: Outcome, new: JsonObject, elapsed: timedelta) -> timedelta | None:
    """Nothing tells when a cluster's nodes become Ready, or when its API answers again."""
    seen, workload = outcome.observed.cluster, outcome.observed.workload
    if seen is not None and outcome.decision.action.leaves_alone and not new["ready"]:
        return (DEGRADED if new["phase"] == Phase.DEGRADED else SETTLING).delay(elapsed)
    return SETTLING.delay(elapsed) if workload is not None and workload.reachable is None else None
