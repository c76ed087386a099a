"""Which KINDClusters claim which cluster name of a runtime, and which of them may make a cluster under it. In memory, no requests.

Filled by the watch, so that a claim is known before its object had a pass, and by every pass. What stands here may be out of date: whoever
waits because of an entry asks for that one object first (provider.reconcile.claim, docs/adr/0094). After a restart the first list fills it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass

from provider.api.meta import JsonObject, ObjectKey, key_of, part
from provider.reconcile.identity import cluster_name_of

Place = tuple[str, str]
"""Runtime and cluster name: what is claimed. Names are unique on a runtime only."""


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """Ordered by age; namespace and name decide between objects of the same second."""

    created: str
    """creationTimestamp."""
    namespace: str
    name: str
    runtime: str
    cluster_name: str
    uid: str

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.namespace, self.name)

    @property
    def place(self) -> Place:
        return self.runtime, self.cluster_name


def claim_of(obj: JsonObject, runtime: str = "") -> Claim | None:
    """None as long as the object has no identity: nothing can have been made for it, and its claim may never become one.

    `runtime`: that of an identity that is about to be written. Must not raise, whatever the object looks like.
    """
    runtime = runtime or str(part(obj, "spec", "identity").get("runtime") or "")
    if not runtime:
        return None
    key, uid = key_of(obj), str(obj["metadata"].get("uid", ""))
    return Claim(_created(obj), key.namespace, key.name, runtime, cluster_name_of(obj), uid)


def _created(obj: JsonObject) -> str:
    return str(obj["metadata"].get("creationTimestamp", ""))


class Claims:
    """At most one claim per object. Use from one event loop only."""

    def __init__(self) -> None:
        self._claims: dict[ObjectKey, Claim] = {}
        self._by_age: dict[Place, list[Claim]] = {}
        self._holders: dict[Place, ObjectKey] = {}
        self._held: dict[ObjectKey, Place] = {}

    # --- what is seen --------------------------------------------------------------------------------------------------------

    def observe(self, obj: JsonObject) -> None:
        """The object was read, listed or changed."""
        if (claim := claim_of(obj)) is not None:
            self.note(claim)
            return
        # An identity never goes: the same object without one is older news. Another object of the same name begins anew.
        known, uid = self._claims.get(key_of(obj)), str(obj["metadata"].get("uid", ""))
        if known is not None and known.uid != uid and _created(obj) >= known.created:
            self.forget(known.key)

    def note(self, claim: Claim) -> None:
        """The object has this claim, or is about to have it. One of an earlier object of the same name is old news."""
        known = self._claims.get(claim.key)
        if known == claim or (known is not None and known.uid != claim.uid and claim.created < known.created):
            return
        self.forget(claim.key)
        self._claims[claim.key] = claim
        insort(self._by_age.setdefault(claim.place, []), claim)

    def forget(self, key: ObjectKey) -> ObjectKey | None:
        """The object is gone, or claims nothing any more. Returns which other object comes first now, if one does. While a cluster is
        being made for it, it goes on to hold the name.
        """
        if (claim := self._claims.pop(key, None)) is None:
            return None
        claims = self._by_age[claim.place]
        del claims[bisect_left(claims, claim)]
        if not claims:
            del self._by_age[claim.place]
        return self._next(claim.place, key)

    # --- who comes first -----------------------------------------------------------------------------------------------------

    def older(self, claim: Claim) -> Claim | None:
        """The oldest other claim to the same, if it is older than this one."""
        oldest = self._oldest(claim.place)
        return oldest if oldest is not None and oldest < claim else None

    def holder(self, place: Place) -> ObjectKey | None:
        """For whom a cluster is being made there."""
        return self._holders.get(place)

    def hold(self, claim: Claim) -> None:
        """A cluster is about to be made for it: until it is freed, no other claim comes first, however old."""
        self.free(claim.key)
        self._holders[claim.place], self._held[claim.key] = claim.key, claim.place

    def free(self, key: ObjectKey) -> ObjectKey | None:
        """Nothing is being made for the object any more. Returns which other object comes first now, if one does."""
        if (place := self._held.pop(key, None)) is None or self._holders.get(place) != key:
            return None
        del self._holders[place]
        return self._next(place, key)

    def release(self, key: ObjectKey) -> ObjectKey | None:
        """Both: the object has let go of everything. Returns which other object comes first now, if one does."""
        first = self.forget(key)
        return self.free(key) or first

    def _next(self, place: Place, former: ObjectKey) -> ObjectKey | None:
        oldest = self._oldest(place) if place not in self._holders else None
        return oldest.key if oldest is not None and oldest.key != former else None

    def _oldest(self, place: Place) -> Claim | None:
        claims = self._by_age.get(place)
        return claims[0] if claims else None
