"""Objects that are copies of another one: made by `kubectl get -o yaml`, another name and `kubectl apply`, with identity and endpoint.

The mark is made of namespace and name as well, so that the copied token owns nothing (provider.reconcile.identity). But the copied endpoint
says that a cluster was made for this object, and what a lost cluster is told to do (Recreate) would make one at the address of the other.
"""

from __future__ import annotations

from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, key_of, part
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.controller.index import Index
from provider.ports.kube import Kube
from provider.ports.runtime import Ownership, Presence, RuntimeObservation
from provider.reconcile.plan import Blocked
from provider.reconcile.scope import Scope


def may_be_copy(scope: Scope, seen: RuntimeObservation | None) -> bool:
    """An endpoint without any trace of having been made: a copy, or an object that was moved or restored while its cluster is gone."""
    if seen is None or seen.presence is Presence.UNKNOWN or not scope.provisioned or scope.record.last_create:
        return False
    return seen.presence is Presence.ABSENT or seen.ownership is Ownership.FOREIGN


class Tokens:
    """Which objects were seen with which identity: asked first, so that a copy costs one request a look. In memory, may be out of date."""

    def __init__(self, namespace: str | None) -> None:
        """`namespace`: where the manager may look; None: everywhere."""
        self._namespace = namespace
        self._index: Index[str] = Index()

    def observe(self, obj: JsonObject) -> None:
        if (token := token_of(obj)) and self._namespace in (None, obj["metadata"]["namespace"]):
            self._index.set(key_of(obj), token)

    def forget(self, key: ObjectKey) -> None:
        self._index.remove(key)

    async def other(self, token: str, key: ObjectKey, kube: Kube) -> ObjectKey | None:
        """Another object that has the token now, of those that were seen."""
        for known in self._index.keys(token):
            if known != key:
                obj = await kube.get(KINDCLUSTERS, known)
                if obj is not None and token_of(obj) == token:
                    return known
                self.forget(known)
        return None

    async def search(self, token: str, key: ObjectKey, kube: Kube) -> ObjectKey | None:
        """The same of all that there are."""
        for obj in await kube.list(KINDCLUSTERS, namespace=self._namespace):
            if token_of(obj) == token and key_of(obj) != key:
                self.observe(obj)
                return key_of(obj)
        return None


async def blocked_as_copy(scope: Scope, kube: Kube, tokens: Tokens, *, making: bool) -> Blocked | None:
    """Why nothing is made for this object, if another one has the same token. `making`: something would be made for it now; then nobody who
    was not seen yet may be missed, and all objects are read.
    """
    assert scope.spec.identity is not None
    token = scope.spec.identity.token
    other = await tokens.other(token, scope.key, kube)
    if other is None and making:
        other = await tokens.search(token, scope.key, kube)
    if other is None:
        return None
    message = (
        f"spec.identity and spec.controlPlaneEndpoint are copies of those of {other}: "
        "delete this object and apply it without them. Nothing of the other one is touched."
    )
    return Blocked(Reason.COPIED_IDENTITY, message)


def token_of(obj: JsonObject) -> str:
    """Empty where there is none."""
    token = part(obj, "spec", "identity").get("token")
    return token if isinstance(token, str) else ""
