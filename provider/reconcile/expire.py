"""The end of an object's time: it is deleted, and its finalizer does the rest as for anybody's deletion. Effects: one delete, one Event."""

from __future__ import annotations

from datetime import timedelta

from provider.api import names
from provider.api.conditions import Reason
from provider.api.rbac import Permission
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.backoff import UNKNOWN_RETRY
from provider.controller.result import Result
from provider.errors import Conflict, ProviderError
from provider.ports.kube import EventNote, Kube, Recorder
from provider.reconcile.expiry import Expiry, expiry_of
from provider.reconcile.outcome import Outcome
from provider.reconcile.plan import Blocked
from provider.reconcile.report import report
from provider.reconcile.scope import Scope

PERMISSIONS = (Permission(KINDCLUSTERS, ("delete",), "Those whose time is over (spec.ttl, spec.expiresAt)."),)


async def expire(scope: Scope, kube: Kube, recorder: Recorder) -> Result | None:
    """None: its time is not over, and the pass goes on. For an object that is neither paused nor being deleted.

    Two clocks have to agree: one that is ahead, the manager's or the API server's, deletes nothing early. What is deleted is the object
    as it was read: one that was made anew, extended or edited meanwhile raises Conflict.
    """
    found = expiry_of(scope, scope.conditions)
    if found is None or found.at is None or not found.over(scope.now):
        return None
    if found.held:
        return None if scope.begun else await _not_made(scope, found, kube, recorder)
    if scope.identity is not None and names.FINALIZER not in (scope.metadata.get("finalizers") or []):
        return None  # it has to be back first: it is what removes the cluster
    if scope.status.get("expiresAt") != found.told:
        message = f"The time of this object was over at {found.told}: nothing is made for it, and it is deleted."
        return await report(Outcome(scope, scope.record, Blocked(Reason.EXPIRED, message, timedelta(0))), kube, recorder)
    server = await kube.time()
    if server is None or server < found.at:
        return None
    meta = scope.metadata
    try:
        await kube.delete(KINDCLUSTERS, scope.key, uid=meta["uid"], version=meta["resourceVersion"])
    except Conflict:
        raise
    except ProviderError as error:
        refused = f"Its time was over at {found.told}, and it cannot be deleted: {error.message} It is tried again."
        if not scope.begun:
            return await report(Outcome(scope, scope.record, Blocked(error.reason, refused, UNKNOWN_RETRY)), kube, recorder)
        await recorder.record(scope.obj, EventNote(error.reason, refused))
        return None  # it is looked after until it can be
    message = f"Deleted, because its time was over at {found.told}, as spec.ttl or spec.expiresAt asks."
    await recorder.record(scope.obj, EventNote(Reason.EXPIRED, message))
    return Result(requeue_after=0.0)


async def _not_made(scope: Scope, found: Expiry, kube: Kube, recorder: Recorder) -> Result:
    """An object that is kept, and whose cluster would be made only to be kept or deleted."""
    message = f"The time of this object was over at {found.told}: nothing is made for it. It stays, because {found.held}."
    return await report(Outcome(scope, scope.record, Blocked(Reason.EXPIRED, message)), kube, recorder)
