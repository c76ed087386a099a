"""Objects that are copies of another one: made by `kubectl get -o yaml`, another name and `kubectl apply`, with identity and endpoint.

The mark is made of namespace and name as well, so that the copied token owns nothing (provider.reconcile.identity). But the copied endpoint
says that a cluster was made for this object, and what a lost cluster is told to do (Recreate) would make one at the address of the other.
"""

from __future__ import annotations

from provider.api.conditions import Reason
from provider.api.meta import key_of, part
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.ports.kube import Kube
from provider.ports.runtime import Ownership, Presence, RuntimeObservation
from provider.reconcile.plan import Blocked
from provider.reconcile.scope import Scope


def may_be_copy(scope: Scope, seen: RuntimeObservation | None) -> bool:
    """An endpoint without any trace of having been made: a copy, or an object that was moved or restored while its cluster is gone."""
    if seen is None or seen.presence is Presence.UNKNOWN or not scope.provisioned or scope.record.last_create:
        return False
    return seen.presence is Presence.ABSENT or seen.ownership is Ownership.FOREIGN


async def blocked_as_copy(scope: Scope, kube: Kube, namespace: str | None) -> Blocked | None:
    """Why nothing is made for this object, if another one has the same token. `namespace`: where the manager may look; None: everywhere."""
    assert scope.spec.identity is not None
    for other in await kube.list(KINDCLUSTERS, namespace=namespace):
        token = part(other, "spec", "identity").get("token")
        if token == scope.spec.identity.token and key_of(other) != scope.key:
            message = (
                f"spec.identity and spec.controlPlaneEndpoint are copies of those of {key_of(other)}: "
                "delete this object and apply it without them. Nothing of the other one is touched."
            )
            return Blocked(Reason.COPIED_IDENTITY, message)
    return None
