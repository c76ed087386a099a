"""What Cluster API asks of every object: which manager looks after it, who owns it, whether it is paused. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from provider.api import contract, names
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, Resource
from provider.ports.kube import Kube
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.plan import Action, Plan
from provider.reconcile.scope import Owner, Scope


def annotated(obj: JsonObject, annotation: str) -> bool:
    """Existence counts, whatever the value (Cluster API util/annotations)."""
    return annotation in (obj["metadata"].get("annotations") or {})


def paused(cluster: JsonObject) -> bool:
    """Whether a Cluster is."""
    return (cluster.get("spec") or {}).get("paused") is True


def pause_reason(kind: str, obj: JsonObject, cluster: JsonObject | None) -> str:
    """Why an object is paused, in the contract's words; empty when it is not (Cluster API util/paused)."""
    parts = []
    if cluster is not None and paused(cluster):
        parts.append("Cluster spec.paused is set to true")
    if annotated(obj, contract.PAUSED_ANNOTATION):
        parts.append(f"{kind} has the {contract.PAUSED_ANNOTATION} annotation")
    return ", ".join(parts)


def owner_reference(obj: JsonObject) -> Mapping[str, Any] | None:
    """The reference to a Cluster API Cluster, by group and kind (the version and `controller` may be anything)."""
    for reference in obj["metadata"].get("ownerReferences") or []:
        if (contract.group_of(reference), reference.get("kind")) == (contract.CAPI_GROUP, contract.CLUSTERS.kind):
            found: Mapping[str, Any] = reference
            return found
    return None


def references(cluster: JsonObject, key: ObjectKey) -> bool:
    """Whether Cluster.spec.infrastructureRef names this KINDCluster."""
    return referred(cluster, "infrastructureRef", names.KINDCLUSTERS) == key


def referred(cluster: JsonObject, reference: str, resource: Resource) -> ObjectKey | None:
    """The object of this type that a Cluster's reference names, in its namespace (references across namespaces are not followed)."""
    found = (cluster.get("spec") or {}).get(reference) or {}
    if (contract.group_of(found), found.get("kind")) != (resource.group, resource.kind) or not found.get("name"):
        return None
    return ObjectKey(cluster["metadata"]["namespace"], found["name"])


def referred_by_cluster(resource: Resource) -> Callable[[JsonObject], set[ObjectKey]]:
    """A mapping of a Cluster's events to the objects of this type that it names, by whichever reference."""

    def keys(cluster: JsonObject) -> set[ObjectKey]:
        found = (referred(cluster, reference, resource) for reference in ("infrastructureRef", "controlPlaneRef"))
        return {key for key in found if key is not None}

    return keys


def not_for_us(obj: JsonObject, options: ReconcileOptions) -> bool:
    """Another manager's object: other namespace, other watch filter, or externally managed. Nothing is written to it."""
    meta = obj["metadata"]
    if options.namespace is not None and meta["namespace"] != options.namespace:
        return True
    if options.watch_filter and (meta.get("labels") or {}).get(contract.WATCH_FILTER_LABEL) != options.watch_filter:
        return True
    return annotated(obj, contract.MANAGED_BY_ANNOTATION)


async def load_owner(scope: Scope, kube: Kube) -> None:
    reference = owner_reference(scope.obj)
    if reference is None:
        scope.standalone = bool(scope.spec.standalone) or not await kube.serves(contract.CAPI_GROUP)
        return
    cluster = await kube.get(contract.CLUSTERS, ObjectKey(scope.key.namespace, reference["name"]))
    if cluster is None or cluster["metadata"]["uid"] != reference.get("uid"):
        scope.owner = Owner.GONE
        return
    scope.owner, scope.cluster = Owner.PRESENT, cluster
    if (named := referred(cluster, "controlPlaneRef", names.KINDCONTROLPLANES)) is not None:
        scope.control_plane = await kube.get(names.KINDCONTROLPLANES, named)
        scope.control_plane_missing = scope.control_plane is None


async def waits_for_owner(scope: Scope, kube: Kube) -> Plan | None:
    """An owner is needed to begin; a cluster that exists is looked after even while its references are stripped."""
    if scope.owner is Owner.GONE:
        message = "metadata.ownerReferences names a Cluster that does not exist (any more): correct or remove the reference."
        return Plan(Action.WAIT, Reason.INVALID_OWNER, message)
    if scope.identity is not None:
        return None
    if scope.owner is Owner.NONE and not scope.standalone:
        return Plan(Action.WAIT, Reason.WAITING_FOR_OWNER, await _who_could_own(scope, kube))
    if scope.cluster is not None and not references(scope.cluster, scope.key):
        message = f"Cluster {scope.cluster['metadata']['name']} names another object in spec.infrastructureRef."
        return Plan(Action.WAIT, Reason.NOT_REFERENCED, message)
    return None


async def _who_could_own(scope: Scope, kube: Kube) -> str:
    """Cluster API sets the owner reference once it reconciles a Cluster that names the object, which it does not while paused."""
    clusters = await kube.list(contract.CLUSTERS, namespace=scope.key.namespace)
    for cluster in clusters:
        if references(cluster, scope.key):
            name = cluster["metadata"]["name"]
            if paused(cluster):
                return f"Cluster {name} names this object and is paused: set its spec.paused to false."
            return (
                f"Cluster {name} names this object and does not own it yet: Cluster API's core manager sees to it; is it running?"
            )
    return (
        "No Cluster owns this object yet. Create a Cluster whose spec.infrastructureRef names it, "
        "or set spec.standalone: true to use it without Cluster API."
    )
