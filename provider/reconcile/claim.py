"""Who a cluster name belongs to: an object's claim to it, persisted before anything is made, and older claims of others."""

from __future__ import annotations

from provider.api.conditions import Reason
from provider.api.meta import JsonObject
from provider.api.names import DAEMON_ANNOTATION, FINALIZER
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.errors import Conflict
from provider.ports.kube import Kube
from provider.reconcile.capi import is_excluded
from provider.reconcile.claims import Claim, Claims, claim_of
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.patch import patch_guarded
from provider.reconcile.scope import Scope


async def ensure_finalizer_and_identity(
    scope: Scope, kube: Kube, *, token: str = "", runtime: str = "", daemon: str = ""
) -> bool:
    """Persist what must be known before anything is made; True when something was written (the pass ends there).

    `daemon`: where it is known already.
    """
    patch: JsonObject = {}
    finalizers = scope.metadata.get("finalizers") or []
    if FINALIZER not in finalizers:
        patch["metadata"] = {"finalizers": [*finalizers, FINALIZER]}
    if daemon:
        patch.setdefault("metadata", {})["annotations"] = {DAEMON_ANNOTATION: daemon}
    if scope.spec.identity is None:
        patch["spec"] = {"identity": {"token": token, "runtime": runtime}}
    if not patch:
        return False
    await patch_guarded(kube, KINDCLUSTERS, scope.obj, patch)
    return True


def is_claimed_here(obj: JsonObject, options: ReconcileOptions) -> bool:
    """Whether its claim counts: it is this manager's, and it is not on the point of vanishing."""
    metadata = obj["metadata"]
    vanishing = "deletionTimestamp" in metadata and FINALIZER not in (metadata.get("finalizers") or [])
    return not vanishing and not is_excluded(obj, options)


async def take_name(claim: Claim, claims: Claims, kube: Kube, options: ReconcileOptions) -> str:
    """Hold the name, so that a cluster may be made under it; empty: it is held. Else namespace/name of the KINDCluster that comes first.

    For objects that have nothing on the runtime, while nothing is there under the name. Who is making a cluster comes first, then who is
    oldest. An object that this manager has not seen yet is missed: harmless, as it will find the name held or taken, and wait.

    One request at most, whatever the number of claims: nobody waits for an object that has not been asked for now. Raises Conflict when
    what was known of it is out of date.
    """
    holder = claims.holder(claim.place)
    if holder is not None and holder != claim.key:
        return str(holder)
    older = claims.older(claim)
    if older is None:
        claims.hold(claim)
        return ""
    other = await kube.get(KINDCLUSTERS, older.key)
    known = claim_of(other) if other is not None and is_claimed_here(other, options) else None
    if known is not None and known.place == claim.place and known < claim:
        return str(older.key)
    claims.forget(older.key)
    if known is not None:
        claims.note(known)
    raise Conflict(Reason.CONFLICT, f"KINDCluster {older.key} does not claim {claim.cluster_name} any more.")
