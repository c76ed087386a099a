"""The record of what a cluster was made from, kept on the object while the cluster lives."""

from __future__ import annotations

from provider.api import names
from provider.api.meta import part
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.ports.kube import Kube
from provider.ports.runtime import Verb
from provider.ports.tasks import TaskState, TaskStatus
from provider.reconcile import drift
from provider.reconcile.desired import Desired
from provider.reconcile.drift import Consent, Drift, UpdatePolicy
from provider.reconcile.patch import patch_guarded
from provider.reconcile.scope import Scope


async def ensure_made_from(
    scope: Scope, kube: Kube, desired: Desired, task: TaskStatus | None, *, complete: bool
) -> tuple[Scope, Drift]:
    """Keep the record of what the cluster was made from, and compare it with what is wanted now.

    The record is written before the status that calls the cluster finished: killed in between, the cluster is made again. Of workers it has
    those that are settled: it is lowered before any leave, and raised after others have joined (provider.reconcile.scaling). A cluster
    without a record (made before there was one, restored without annotations) counts as made from what is wanted now.
    """
    made, known = drift.recorded(scope.obj), scope.knows_what_is_wanted
    if not complete:
        replacing = drift.changes(made, desired.made_from) if made is not None and known and scope.provisioned else ()
        return scope, Drift(None, desired.nodes, replacing=replacing)
    fresh = task is not None and (task.verb, task.state, task.tag) == (Verb.CREATE, TaskState.SUCCEEDED, desired.config_hash)
    record = made
    if known and (made is None or fresh):
        record = dict(desired.made_from)
    elif known and made is not None and desired.blocked is None:
        record = _with_settled_workers(made, desired, task)
    found = drift.compare(
        record,
        desired.made_from if known else None,
        consent=_consent(scope),
        replaceable=desired.blocked is None,
        config=desired.request.config,
        load_balancer=scope.runtime is not None and not scope.runtime.simulated,
    )
    if record is not None and record != made:
        patch = {"metadata": {"annotations": {names.MADE_FROM_ANNOTATION: drift.as_annotation(record)}}}
        scope = scope.after_patch(await patch_guarded(kube, KINDCLUSTERS, scope.obj, patch))
    return scope, found


def _consent(scope: Scope) -> Consent:
    return Consent(
        policy=UpdatePolicy(scope.spec.update_policy or UpdatePolicy.REFUSE),
        approved=str(part(scope.obj, "metadata", "annotations").get(names.APPROVED_PLAN_ANNOTATION) or ""),
        uid=str(scope.metadata.get("uid", "")),
        generation=scope.generation,
    )


def _with_settled_workers(made: dict[str, str], desired: Desired, task: TaskStatus | None) -> dict[str, str]:
    """Those that are to leave are settled no more, those that a task has let join are now."""
    wanted = desired.made_from
    if not drift.scales_in_place(made, wanted):
        return made
    joined = task is not None and (task.verb, task.state, task.tag) == (Verb.SCALE, TaskState.SUCCEEDED, desired.config_hash)
    settled = wanted[drift.WORKERS] if joined else min(made[drift.WORKERS], wanted[drift.WORKERS], key=int)
    return {**made, drift.WORKERS: settled}
