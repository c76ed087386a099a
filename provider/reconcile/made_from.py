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

    The record is written before the status that calls the cluster finished: killed in between, the cluster is made again. A cluster
    without a record (made before there was one, restored without annotations) counts as made from what is wanted now.
    """
    made, known = drift.recorded(scope.obj), scope.knows_what_is_wanted
    if not complete:
        replacing = drift.changes(made, desired.made_from) if made is not None and known and scope.provisioned else ()
        return scope, Drift(None, desired.nodes, replacing=replacing)
    fresh = task is not None and (task.verb, task.state, task.tag) == (Verb.CREATE, TaskState.SUCCEEDED, desired.config_hash)
    outdated = known and (made is None or (fresh and made != desired.made_from))
    found = drift.compare(
        desired.made_from if outdated else made,
        desired.made_from if known else None,
        consent=_consent(scope),
        replaceable=desired.blocked is None,
        config=desired.request.config,
        load_balancer=scope.runtime is not None and not scope.runtime.simulated,
    )
    if outdated:
        patch = {"metadata": {"annotations": {names.MADE_FROM_ANNOTATION: drift.as_annotation(desired.made_from)}}}
        scope = scope.after_patch(await patch_guarded(kube, KINDCLUSTERS, scope.obj, patch))
    return scope, found


def _consent(scope: Scope) -> Consent:
    return Consent(
        policy=UpdatePolicy(scope.spec.update_policy or UpdatePolicy.REFUSE),
        approved=str(part(scope.obj, "metadata", "annotations").get(names.APPROVED_PLAN_ANNOTATION) or ""),
        uid=str(scope.metadata.get("uid", "")),
        generation=scope.generation,
    )
