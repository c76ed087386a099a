"""The kubeconfig Secrets of a cluster that outlives its object: they stay, out of reach of garbage collection, and tell whose they are.

Their owner reference goes, because garbage collection deletes what is owned by an object that is gone. The annotation with the marker takes
its place: an object of the same name with another identity neither deletes nor overwrites them, and the same identity takes them back.
"""

from __future__ import annotations

from contextlib import suppress

from provider.api import names
from provider.api.meta import JsonObject, key_of
from provider.errors import Terminal
from provider.ports.kube import Kube
from provider.reconcile.kubeconfig_secrets import is_owned, published, refers_to, secret_keys, wanted_secrets
from provider.reconcile.observe import Kubeconfigs, Observer
from provider.reconcile.scope import Scope

ORPHAN_FINALIZER = "orphan"
"""What `kubectl delete --cascade=orphan` puts on an object until garbage collection has taken its dependents' owner references away
(metav1.FinalizerOrphanDependents)."""


async def is_orphaned(scope: Scope, kube: Kube) -> bool:
    """Whether a deletion with --cascade=orphan is under way. Garbage collection may have finished its part before this manager looks: then
    only a published Secret without its owner reference tells, and where nothing was published nobody has a cluster to keep.
    """
    if ORPHAN_FINALIZER in (scope.metadata.get("finalizers") or []):
        return True
    expected = secret_keys(scope)  # another one may have been kept with a former Cluster
    return any(key_of(secret) in expected and not is_owned(secret, scope.key.name) for secret in await published(scope, kube))


async def keep_secrets(scope: Scope, kube: Kube, observer: Observer) -> None:
    """Let go of the Secrets. One that is missing (a foreground deletion takes them first) is published again if the cluster answers: its
    object must not be held up for an engine that is gone for good.
    """
    kept = [key_of(secret) for secret in await published(scope, kube) if await _let_go(scope, kube, secret)]
    if all(key in kept for key in secret_keys(scope)) or (kubeconfigs := await _read(scope, observer)) is None:
        return
    for wanted in wanted_secrets(scope, kubeconfigs):
        if await kube.get(names.SECRETS, key_of(wanted)) is None:
            del wanted["metadata"]["ownerReferences"]
            wanted["metadata"]["annotations"] = _kept_by(scope)
            with suppress(Terminal):  # forbidden, or the namespace is going: then nothing can be kept in it
                await kube.create(names.SECRETS, wanted)


async def _let_go(scope: Scope, kube: Kube, secret: JsonObject) -> bool:
    """False: it is gone. Raises Conflict when it changed since it was read."""
    meta = secret["metadata"]
    others = [owner for owner in meta.get("ownerReferences") or [] if not refers_to(owner, scope.key.name)]
    patch = {"metadata": {"ownerReferences": others or None, "annotations": _kept_by(scope)}}
    return await kube.patch(names.SECRETS, key_of(secret), patch, version=meta["resourceVersion"]) is not None


async def _read(scope: Scope, observer: Observer) -> Kubeconfigs | None:
    if scope.runtime is None or scope.identity is None:
        return None
    return (await observer.observe(scope.key, scope.runtime, scope.identity, complete=True)).kubeconfigs


def _kept_by(scope: Scope) -> JsonObject:
    assert scope.identity is not None
    return {names.KEPT_ANNOTATION: scope.identity.marker}
