"""What Cluster API asks of every object: which manager reconciles it, who owns it, whether it is paused. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from provider.api import contract
from provider.api.conditions import Reason
from provider.api.fit import fit
from provider.api.meta import JsonObject, ObjectKey, Resource, key_of, part
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.api.v1alpha1.kindcontrolplane import KINDCONTROLPLANES, KINDControlPlaneSpec
from provider.controller.index import Index
from provider.ports.kube import Kube
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.plan import Blocked


@dataclass(frozen=True, slots=True)
class Owner:
    """The Cluster API Cluster that owns an object, and what it says about it."""

    cluster: JsonObject | None = None
    gone: bool = False
    """An owner reference names a Cluster that does not exist, or another one with the same name."""
    control_plane: JsonObject | None = None
    """The KINDControlPlane that the Cluster names, if it names one and it exists."""
    control_plane_missing: bool = False
    """The Cluster names a KINDControlPlane that does not exist: what is wanted cannot be told."""
    standalone: bool = False
    """No owner is needed: spec.standalone asks for that, or Cluster API is not installed."""


def is_excluded(obj: JsonObject, options: ReconcileOptions) -> bool:
    """Another manager's object: other namespace, other watch filter, or externally managed. Nothing is written to it."""
    metadata = obj["metadata"]
    if options.namespace is not None and metadata["namespace"] != options.namespace:
        return True
    if options.watch_filter and (metadata.get("labels") or {}).get(contract.WATCH_FILTER_LABEL) != options.watch_filter:
        return True
    return is_annotated(obj, contract.MANAGED_BY_ANNOTATION)


def is_annotated(obj: JsonObject, annotation: str) -> bool:
    """Existence counts, whatever the value (Cluster API util/annotations)."""
    return annotation in (obj["metadata"].get("annotations") or {})


def pause_reason(kind: str, obj: JsonObject, cluster: JsonObject | None) -> str:
    """Why an object is paused, in the contract's words; empty when it is not (Cluster API util/paused)."""
    parts = []
    if cluster is not None and _is_paused(cluster):
        parts.append("Cluster spec.paused is set to true")
    if is_annotated(obj, contract.PAUSED_ANNOTATION):
        parts.append(f"{kind} has the {contract.PAUSED_ANNOTATION} annotation")
    return ", ".join(parts)


def referred(cluster: JsonObject, reference: str, resource: Resource) -> ObjectKey | None:
    """The object of this type that a field of a Cluster's spec names, in the Cluster's namespace (references across namespaces are not
    followed).
    """
    found = part(cluster, "spec", reference)
    name = found.get("name")
    if (contract.group_of(found), found.get("kind")) != (resource.group, resource.kind) or not isinstance(name, str) or not name:
        return None
    return ObjectKey(cluster["metadata"]["namespace"], name)


def referred_by_cluster(resource: Resource) -> Callable[[JsonObject], set[ObjectKey]]:
    """A mapping of a Cluster's events to the objects of this type that it names, by either reference."""

    def keys(cluster: JsonObject) -> set[ObjectKey]:
        found = (referred(cluster, reference, resource) for reference in ("infrastructureRef", "controlPlaneRef"))
        return {key for key in found if key is not None}

    return keys


async def read_cluster(kube: Kube, obj: JsonObject) -> Owner:
    """The owner Cluster alone."""
    reference = _owner_reference(obj)
    if reference is None:
        return Owner()
    cluster = await kube.get(contract.CLUSTERS, ObjectKey(obj["metadata"]["namespace"], reference["name"]))
    # A Cluster of the same name with another UID is not the owner: it was deleted and made anew, or this object was restored.
    if cluster is None or cluster["metadata"]["uid"] != reference.get("uid"):
        return Owner(gone=True)
    return Owner(cluster)


async def read_owner(kube: Kube, obj: JsonObject) -> Owner:
    """The owner Cluster of a KINDCluster with its KINDControlPlane, or whether none is needed."""
    owner = await read_cluster(kube, obj)
    if owner.cluster is None and not owner.gone:
        asked = part(obj, "spec").get("standalone") is True
        return replace(owner, standalone=asked or not await kube.serves(contract.CAPI_GROUP))
    if owner.cluster is None or (named := referred(owner.cluster, "controlPlaneRef", KINDCONTROLPLANES)) is None:
        return owner
    control_plane = await kube.get(KINDCONTROLPLANES, named)
    if control_plane is None:
        return replace(owner, control_plane_missing=True)
    return replace(owner, control_plane={**control_plane, "spec": fit(KINDControlPlaneSpec, control_plane.get("spec"))})


def index_cluster(clusters: Index[ObjectKey], cluster: JsonObject) -> None:
    """A Cluster was seen. A deleted one is seen as it was last; who asks for it finds out."""
    if (named := referred(cluster, "infrastructureRef", KINDCLUSTERS)) is not None:
        clusters.set(key_of(cluster), named)
    else:
        clusters.remove(key_of(cluster))


def naming_cluster(owner: Owner, key: ObjectKey) -> str:
    """Name of the owner Cluster if it names the KINDCluster in either reference, else empty.

    An owner reference alone proves nothing: whoever may write the object may write one. Only the Cluster's own author can name the object.
    """
    cluster = owner.cluster
    return cluster["metadata"]["name"] if cluster is not None and key in referred_by_cluster(KINDCLUSTERS)(cluster) else ""


async def blocked_by_owner(
    kube: Kube, key: ObjectKey, owner: Owner, clusters: Index[ObjectKey], *, provisioned: bool
) -> Blocked | None:
    """Why a KINDCluster must wait for its owner. Once it is `provisioned`, only a wrong owner blocks: a cluster that exists is reconciled
    even while `clusterctl move` or a restore has stripped its references. An identity is no proof: it can be preset.

    `clusters`: of every Cluster that was seen, the object that it names as its infrastructure.
    """
    if owner.gone:
        message = "metadata.ownerReferences names a Cluster that does not exist (any more): correct or remove the reference."
        return Blocked(Reason.INVALID_OWNER, message)
    if provisioned:
        return None
    if owner.cluster is None and not owner.standalone:
        return Blocked(Reason.WAITING_FOR_OWNER, await _possible_owner(kube, key, clusters))
    if owner.cluster is not None and not _names_as_infrastructure(owner.cluster, key):
        message = f"Cluster {owner.cluster['metadata']['name']} names another object in spec.infrastructureRef."
        return Blocked(Reason.NOT_REFERENCED, message)
    return None


async def _possible_owner(kube: Kube, key: ObjectKey, clusters: Index[ObjectKey]) -> str:
    """Cluster API sets the owner reference once it reconciles a Cluster that names the object, which it does not while paused.

    The Clusters are known from the watch: listing them for every object that waits would read the square of their number.
    """
    for known in clusters.keys(key):
        cluster = await kube.get(contract.CLUSTERS, known)
        if cluster is None:
            clusters.remove(known)
        elif _names_as_infrastructure(cluster, key):
            name = known.name
            if _is_paused(cluster):
                return f"Cluster {name} names this object and is paused: set its spec.paused to false."
            return (
                f"Cluster {name} names this object and does not own it yet: Cluster API's core manager sees to it; is it running?"
            )
    return (
        "No Cluster owns this object yet. Create a Cluster whose spec.infrastructureRef names it, "
        "or set spec.standalone: true to use it without Cluster API."
    )


def _is_paused(cluster: JsonObject) -> bool:
    return part(cluster, "spec").get("paused") is True


def _names_as_infrastructure(cluster: JsonObject, key: ObjectKey) -> bool:
    return referred(cluster, "infrastructureRef", KINDCLUSTERS) == key


def _owner_reference(obj: JsonObject) -> Mapping[str, Any] | None:
    """The reference to a Cluster API Cluster, by group and kind (the version and `controller` may be anything)."""
    for reference in obj["metadata"].get("ownerReferences") or []:
        if (contract.group_of(reference), reference.get("kind")) == (contract.CAPI_GROUP, contract.CLUSTERS.kind):
            found: Mapping[str, Any] = reference
            return found
    return None
