"""What each add-on is like, and whether something can be done about it now: a pure function of what is wanted and what the cluster has.

Three things decide: the add-on's text, its inventory in the cluster, and the objects there that carry its label. The next add-on is applied
only when all before it are ready. What belongs to another add-on is left to it, unless that one does not want it any more: then it is
taken over as it is, so that a renamed add-on loses nothing. Nothing is deleted while the text of another add-on, which may want it, cannot
be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from provider.api import names
from provider.api.conditions import Reason
from provider.api.manifests import Reference
from provider.api.meta import JsonObject, part
from provider.ports.workload import Served
from provider.reconcile.addon_inventory import Inventory, key_of_inventory
from provider.reconcile.addon_readiness import unready
from provider.reconcile.addon_texts import Entry, Wanted


class AddonPhase(StrEnum):
    PENDING = "Pending"
    APPLYING = "Applying"
    WAITING = "Waiting"
    READY = "Ready"
    FAILED = "Failed"
    REMOVING = "Removing"


@dataclass(frozen=True, slots=True)
class AddonState:
    name: str
    phase: AddonPhase
    message: str = ""
    reason: Reason | None = None
    """Of a failure."""
    ready: int = 0
    total: int = 0
    applied: str = ""
    act: bool = False
    """Something can be done about it now."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What was read of the cluster."""

    inventories: Mapping[str, Inventory] = field(default_factory=dict)
    """By add-on."""
    kinds: Mapping[tuple[str, str], Served] = field(default_factory=dict)
    """(group, kind) to how it is served, in whatever version."""
    live: Mapping[Reference, JsonObject] = field(default_factory=dict)
    """Objects with the label of an add-on, by their reference with the namespace that the API server gives."""

    def full(self, reference: Reference) -> Reference:
        """As the API server has it: a kind without namespaces has none, all others have one."""
        served = self.kinds.get((reference.group, reference.kind))
        namespaced = served is None or served.namespaced
        return reference._replace(namespace=(reference.namespace or "default") if namespaced else "")

    def holder(self, reference: Reference) -> str:
        """The add-on that an object belongs to; empty: it is not there, or no add-on's."""
        return label_of(self.live.get(reference, {}))

    def of(self, entries: Sequence[Entry]) -> dict[Reference, Entry]:
        return {self.full(entry.reference): entry for entry in entries}


def label_of(obj: JsonObject) -> str:
    return str(part(obj, "metadata", "labels").get(names.ADDON_LABEL) or "")


NEEDED_BY_OTHERS = frozenset({("", "Namespace"), ("apiextensions.k8s.io", "CustomResourceDefinition")})
"""(group, kind) of what others of the same text need: it comes first and goes last."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What the inventory of an add-on lists and its text does not."""

    delete: tuple[tuple[Reference, Entry], ...] = ()
    """To be deleted, in this order: the reverse of that in which they were applied."""
    going: tuple[Reference, ...] = ()
    """Being deleted."""
    given: tuple[Reference, ...] = ()
    """Another add-on of the list wants it, and has not taken it over yet."""
    kept: tuple[Reference, ...] = ()
    """Another add-on of the list may want it: the text of one cannot be read."""
    gone: tuple[Reference, ...] = ()
    """Not there any more, or another one's by now: to be taken off the inventory."""


def leftovers(name: str, inventory: Inventory | None, wanted: Sequence[Wanted], cluster: Cluster) -> Leftovers:
    own = next((cluster.of(one.entries) for one in wanted if one.name == name), {})
    others = {reference for one in wanted if one.name != name for reference in cluster.of(one.entries)}
    unwanted = "kept" if any(one.name != name and one.content is None for one in wanted) else "delete"
    found: dict[str, list[tuple[Reference, Entry]]] = {"delete": [], "going": [], "given": [], "kept": [], "gone": []}
    for reference, entry in cluster.of(inventory.entries if inventory is not None else ()).items():
        if reference not in own:
            found[_lot(name, reference, others, cluster) or unwanted].append((reference, entry))
    plain = {lot: tuple(reference for reference, _ in pairs) for lot, pairs in found.items() if lot != "delete"}
    backwards = found["delete"][::-1]
    return Leftovers(delete=tuple(sorted(backwards, key=lambda pair: pair[0][:2] in NEEDED_BY_OTHERS)), **plain)


def _lot(name: str, reference: Reference, others: set[Reference], cluster: Cluster) -> str:
    """Empty: nobody is known to want it."""
    if cluster.holder(reference) != name:
        return "gone"
    if reference in others:
        return "given"
    return "going" if part(cluster.live[reference], "metadata").get("deletionTimestamp") else ""


def passed(one: Wanted, cluster: Cluster) -> frozenset[Reference]:
    """Jobs of an add-on that were applied with all of its text, and that Kubernetes has removed since, as they ask for."""
    inventory = cluster.inventories.get(one.name)
    if one.content is None or inventory is None or inventory.applied != one.digest:
        return frozenset()
    return frozenset(map(cluster.full, one.content.passing)) - cluster.live.keys()


def may_take(name: str, reference: Reference, holder: str, wanted: Sequence[Wanted], cluster: Cluster) -> bool:
    """Whether an object that belongs to the add-on `holder` may become one of the add-on `name`."""
    if holder == name:
        return True
    former = next((one for one in wanted if one.name == holder), None)
    if former is None:
        return holder in cluster.inventories  # taken off the list
    return former.content is not None and reference not in cluster.of(former.entries)


def assess(wanted: Sequence[Wanted], cluster: Cluster) -> tuple[AddonState, ...]:
    """Those of the list in its order, then those that were taken off it."""
    found: list[AddonState] = []
    turn = True
    for one in wanted:
        state = _listed(one, wanted, cluster)
        if state.phase is AddonPhase.APPLYING and not turn:
            state = replace(state, phase=AddonPhase.PENDING, message="Waits for the add-ons before it.")
        found.append(replace(state, act=state.act and turn))
        turn = turn and state.phase is AddonPhase.READY
    listed = {one.name for one in wanted}
    found += [_unlisted(one, wanted, cluster) for name, one in sorted(cluster.inventories.items()) if name not in listed]
    return tuple(found)


def _listed(one: Wanted, wanted: Sequence[Wanted], cluster: Cluster) -> AddonState:
    inventory, own = cluster.inventories.get(one.name), cluster.of(one.entries)
    applied = inventory.applied if inventory is not None else ""
    if one.blocked is not None:
        return AddonState(one.name, AddonPhase.FAILED, one.blocked.message, one.blocked.reason, applied=applied)
    if inventory is not None and not inventory.readable:
        return _unreadable(one.name)
    over = passed(one, cluster)
    held = [reference for reference in own if cluster.holder(reference) == one.name]
    waits = [f"{reference} {why}" for reference in held if (why := unready(cluster.live[reference]))]
    ready = len(held) - len(waits) + len(over)
    if applied != one.digest or len(held) + len(over) < len(own):
        return AddonState(one.name, AddonPhase.APPLYING, "", None, ready, len(own), applied, act=True)
    left = leftovers(one.name, inventory, wanted, cluster)
    waits += [f"{reference} is being deleted" for reference in left.going]
    act = bool(left.delete or left.gone)
    waits += ["What it no longer contains is being deleted"] if act and not waits else []
    phase = AddonPhase.WAITING if waits else AddonPhase.READY
    message = _sentence(waits or _stays(left))
    return AddonState(one.name, phase, message, None, ready, len(own), applied, act)


def _unlisted(inventory: Inventory, wanted: Sequence[Wanted], cluster: Cluster) -> AddonState:
    if not inventory.readable:
        return _unreadable(inventory.addon)
    left = leftovers(inventory.addon, inventory, wanted, cluster)
    waits = [f"{reference} is being deleted" for reference in left.going]
    waits += [f"{reference} is taken over by another add-on" for reference in left.given]
    waits += _stays(left)
    act = bool(left.delete or left.gone or not waits)
    return AddonState(inventory.addon, AddonPhase.REMOVING, _sentence(waits), total=len(inventory.entries), act=act)


def _unreadable(name: str) -> AddonState:
    key = key_of_inventory(name)
    message = f"ConfigMap {key} in the cluster lists what belongs to the add-on, and cannot be read: delete it there."
    return AddonState(name, AddonPhase.FAILED, message, Reason.ADDON_CONFLICT)


def _stays(left: Leftovers) -> list[str]:
    return [f"{reference} stays until the texts of all add-ons can be read" for reference in left.kept]


SHOWN = 3


def _sentence(waits: Sequence[str]) -> str:
    more = f"; and {len(waits) - SHOWN} more" if len(waits) > SHOWN else ""
    return f"{'; '.join(waits[:SHOWN])}{more}." if waits else ""
