"""reconcile(key) for a KINDControlPlane: a mirror. The KINDCluster of the same Cluster does everything; this says what became of it.

Cluster API clones a control plane of its own for every Cluster with a topology and sets the version there (contract "ControlPlane").
Nothing is made for it, so it needs no finalizer, and deleting it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from provider.api import contract
from provider.api.conditions import ConditionType, Reason
from provider.api.customresource import UNSEEN
from provider.api.fit import fit
from provider.api.meta import Condition, ConditionStatus, JsonObject, ObjectKey, conditions_of, key_of, merge_conditions
from provider.api.rbac import Permission
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES, KINDControlPlaneStatus
from provider.api.v1alpha1.status import KINDClusterStatus
from provider.controller.index import Index
from provider.controller.result import Result
from provider.controller.sources import Stream, Watch
from provider.ports.clock import Clock
from provider.ports.kube import Kube
from provider.reconcile import kstatus
from provider.reconcile.capi import is_excluded, pause_reason, read_cluster, referred, referred_by_cluster
from provider.reconcile.desired import canonical
from provider.reconcile.drift import recorded
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.patch import patch_status
from provider.reconcile.replicas import counters, selector

MIRRORED = (
    ConditionType.READY,
    ConditionType.AVAILABLE,
    ConditionType.UP_TO_DATE,
    ConditionType.ROLLING_OUT,
    ConditionType.SCALING_UP,
    ConditionType.SCALING_DOWN,
)
"""Conditions of the KINDCluster that are a control plane's as well."""
PERMISSIONS = (
    Permission(KINDCONTROLPLANES, ("get", "list", "watch"), "Control planes of Clusters with a topology: spec is only read."),
    Permission(KINDCONTROLPLANES, ("patch",), "The mirror.", subresource="status"),
    Permission(KINDCLUSTERS, ("get", "list", "watch"), "What KINDControlPlanes mirror."),
    Permission(contract.CLUSTERS, ("get", "list", "watch"), "Owners: read only."),
)


@dataclass(frozen=True, slots=True)
class Mirrored:
    """What one pass has read."""

    obj: JsonObject
    cluster: JsonObject | None
    """The owner Cluster, once Cluster API has taken ownership."""
    named: ObjectKey | None
    """The KINDCluster that the Cluster names as its infrastructure."""
    kindcluster: JsonObject | None
    """The same, if it exists."""


class KINDControlPlaneReconciler:
    """One per manager. Never writes anything but the status of KINDControlPlanes."""

    def __init__(self, kube: Kube, clock: Clock, options: ReconcileOptions, requeue: Callable[[ObjectKey], None]) -> None:
        """`requeue` gives a KINDCluster its next pass: it has to notice a changed version."""
        self._kube, self._clock, self._options, self._requeue = kube, clock, options, requeue
        self.mirrored: Index[ObjectKey] = Index()
        """The KINDCluster that each KINDControlPlane mirrors; the KINDCluster's events find their mirrors here."""
        self.watches: Sequence[Watch] = (
            Watch(KINDCLUSTERS, lambda kindcluster: self.mirrored.keys(key_of(kindcluster))),
            Watch(contract.CLUSTERS, referred_by_cluster(KINDCONTROLPLANES)),
        )
        self.streams: Sequence[Stream] = ()

    async def reconcile(self, key: ObjectKey) -> Result:
        """One pass. Raises ProviderError: the caller tries again with backoff (Conflict: at once)."""
        obj = await self._kube.get(KINDCONTROLPLANES, key)
        if obj is None or is_excluded(obj, self._options):
            self.mirrored.remove(key)
            return Result()
        read = await self._read(obj)
        if read.named is not None:
            self.mirrored.set(key, read.named)
            if obj["metadata"]["generation"] != (obj.get("status") or {}).get("observedGeneration"):
                self._requeue(read.named)
        await patch_status(self._kube, KINDCONTROLPLANES, KINDControlPlaneStatus, obj, mirror(read, self._clock))
        return Result(resync=True)

    async def _read(self, obj: JsonObject) -> Mirrored:
        cluster = (await read_cluster(self._kube, obj)).cluster
        named = None if cluster is None else referred(cluster, "infrastructureRef", KINDCLUSTERS)
        return Mirrored(obj, cluster, named, None if named is None else await self._kube.get(KINDCLUSTERS, named))


# --- what the status should say, pure ----------------------------------------------------------------------------------------------


def mirror(read: Mirrored, clock: Clock) -> JsonObject:
    """The whole desired status. While paused, only the condition Paused changes."""
    metadata = read.obj["metadata"]
    old = fit(KINDControlPlaneStatus, read.obj.get("status"))
    reason = pause_reason(KINDCONTROLPLANES.kind, read.obj, read.cluster)
    paused = Condition(
        ConditionType.PAUSED, ConditionStatus.of(bool(reason)), Reason.PAUSED if reason else Reason.NOT_PAUSED, reason
    )
    found = {ConditionType.PAUSED: paused} | ({} if reason else _conditions(read))
    generation, now = metadata["generation"], clock.now()
    if reason:
        return {**old, "conditions": merge_conditions(old, found, generation=generation, now=now)}
    found |= kstatus.marks({**conditions_of(old), **found})
    merged = merge_conditions(old, found, generation=generation, now=now, gone=kstatus.MARKS)
    status = {**old, **_numbers(read), "conditions": merged}
    # To kstatus, a generation that is observed under a cluster that is Ready is done.
    status["observedGeneration"] = generation if _noticed(read) else old.get("observedGeneration", UNSEEN["observedGeneration"])
    ready = {**conditions_of(old), **found}.get(ConditionType.READY)
    status["ready"] = ready is not None and ready.true
    status["selector"] = selector(metadata)
    if old.get("initialized") or _said(read).get("initialized"):
        status |= {"initialized": True, "initialization": {"controlPlaneInitialized": True}}
    return status


def _said(read: Mirrored) -> JsonObject:
    return fit(KINDClusterStatus, (read.kindcluster or {}).get("status"))


def _conditions(read: Mirrored) -> dict[ConditionType, Condition]:
    if read.kindcluster is None:
        missing = (ConditionType.READY, ConditionType.AVAILABLE)
        return {kind: Condition(kind, ConditionStatus.FALSE, *_why_nothing(read)) for kind in missing}
    said = conditions_of(_said(read))
    mirrored = MIRRORED if _noticed(read) else set(MIRRORED) - {ConditionType.UP_TO_DATE}
    return {kind: said[kind] for kind in mirrored if kind in said}


def _noticed(read: Mirrored) -> bool:
    """Whether what the KINDCluster says of being up to date is said of this spec: it may not have had its pass since the last edit."""
    up_to_date = conditions_of(_said(read)).get(ConditionType.UP_TO_DATE)
    made = None if read.kindcluster is None else recorded(read.kindcluster)
    if made is None or up_to_date is None or not up_to_date.true:
        return True
    wanted = read.obj["spec"]
    replicas = str(wanted.get("replicas") or made["controlPlaneReplicas"])
    return (canonical(made.get("version")), made["controlPlaneReplicas"]) == (canonical(wanted.get("version")), replicas)


def _why_nothing(read: Mirrored) -> tuple[Reason, str]:
    if read.cluster is None:
        return Reason.WAITING_FOR_OWNER, "No Cluster owns this object yet."
    return Reason.NOT_CREATED, "The Cluster's spec.infrastructureRef names no KINDCluster that exists."


def _numbers(read: Mirrored) -> JsonObject:
    """Versions and replicas. What was never observed is absent, so that Cluster API sees a control plane that is being made."""
    said = _said(read)
    numbers: JsonObject = {key: said[key] for key in ("version", "versions") if key in said}
    return numbers | counters(said.get("nodes") or [], conditions_of(said))
