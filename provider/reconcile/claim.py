"""Who a cluster name belongs to: an object's claim to it, persisted before anything is made, and older claims of others."""

from __future__ import annotations

from collections.abc import Iterable

from provider.api.meta import JsonObject, ObjectKey, part
from provider.api.names import DAEMON_ANNOTATION, FINALIZER
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.ports.kube import Kube
from provider.ports.runtime import Presence, RuntimeObservation
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


async def find_rival(obj: JsonObject, kube: Kube, same_name: Iterable[ObjectKey], seen: RuntimeObservation | None) -> str:
    """namespace/name of a KINDCluster with an older claim to the cluster name, among those known to want the same; empty: none.

    Own containers decide first: only where nothing runs under the name does the older object win. An object that this manager has not
    seen yet is missed: harmless, as it will find the name taken and wait. One that was made anew under another name is younger.
    """
    if seen is None or seen.presence is not Presence.ABSENT:
        return ""
    for key in same_name:
        other = await kube.get(KINDCLUSTERS, key)
        # Without an identity nothing can have been made for it, and its claim may never become one.
        if other is not None and part(other, "spec").get("identity") and _claim(other) < _claim(obj):
            return str(key)
    return ""


def _claim(obj: JsonObject) -> tuple[str, str, str]:
    metadata = obj["metadata"]
    return metadata["creationTimestamp"], metadata["namespace"], metadata["name"]
