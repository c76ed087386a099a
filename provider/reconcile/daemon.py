"""On which engine daemon a cluster is: kept on the object from before anything is made, and what is believed of others (docs/adr/0085).

The runtime compares what is kept with the daemon that answers. Here is only what to think where nothing is kept: on an object of an
earlier version, restored without annotations, or robbed of them.
"""

from __future__ import annotations

from provider.api import names
from provider.api.conditions import Reason
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.ports.kube import Kube
from provider.ports.runtime import Identity, Ownership, Presence, Runtime, RuntimeObservation
from provider.reconcile.identity import cluster_name_of, marker
from provider.reconcile.patch import patch_guarded
from provider.reconcile.scope import Scope


async def look(scope: Scope, runtime: Runtime, identity: Identity) -> RuntimeObservation:
    """What the runtime sees; unknown where something may have been made, nothing of it is here, and nobody knows where it was made."""
    seen = await runtime.observe(identity)
    if seen.presence is Presence.UNKNOWN or not seen.daemon or identity.daemon or not scope.begun or _is_ours(seen):
        return seen
    detail = (
        f"Nothing of ours is on {seen.daemon}, and where it was made is not recorded. Switch the engine to where it was "
        f"(context, DOCKER_HOST); if that is gone for good, annotate {names.DAEMON_ANNOTATION}={seen.daemon}"
    )
    return RuntimeObservation(Presence.UNKNOWN, reason=Reason.OTHER_DAEMON, detail=detail, daemon=seen.daemon)


async def ensure_daemon(scope: Scope, kube: Kube, seen: RuntimeObservation | None) -> bool:
    """Keep the daemon on the object: before anything is made, or when our containers are seen. True: it was written, the pass ends."""
    if seen is None or not seen.daemon or scope.identity is None or scope.identity.daemon:
        return False
    if seen.presence is Presence.UNKNOWN or (scope.begun and not _is_ours(seen)):
        return False
    patch = {"metadata": {"annotations": {names.DAEMON_ANNOTATION: seen.daemon}}}
    await patch_guarded(kube, KINDCLUSTERS, scope.obj, patch)
    return True


async def daemon_of_claim(scope: Scope, runtime: Runtime, token: str) -> str:
    """The daemon for an object that gets its identity only now, but has an endpoint already: somebody else wrote that one, because with a
    new token nothing can have been made. Empty where the next passes find it by themselves, or where it is not known.
    """
    if not scope.provisioned:
        return ""
    marked = Identity(cluster_name_of(scope.obj), marker(scope.key, token), str(scope.key))
    return (await runtime.observe(marked)).daemon


def _is_ours(seen: RuntimeObservation) -> bool:
    """Whether something carries our marker, be it among others' containers, or is left of what carried it."""
    return seen.ownership is Ownership.OURS or bool(seen.nodes) or seen.remains
