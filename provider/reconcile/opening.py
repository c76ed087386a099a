"""The beginning of a pass: is the object ours to look after, can it be read, who owns it. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import ValidationError

from provider.api import names
from provider.api.conditions import Reason
from provider.api.resources import ObjectKey
from provider.api.v1alpha1 import KINDClusterSpec
from provider.ports import JsonObject, Kube, Runtime
from provider.reconcile.identity import identity_of
from provider.reconcile.options import ReconcileOptions
from provider.reconcile.plan import Action, Plan
from provider.reconcile.scope import Owner, Scope, annotated, owner_reference, paused, references, referred

ESSENTIAL = ("clusterName", "identity", "deletionPolicy", "standalone")
"""What deletion needs; read alone when the rest of a spec cannot be read."""


def not_for_us(obj: JsonObject, options: ReconcileOptions) -> bool:
    """Another manager's object: other namespace, other watch filter, or externally managed. Nothing is written to it."""
    meta = obj["metadata"]
    if options.namespace is not None and meta["namespace"] != options.namespace:
        return True
    if options.watch_filter and (meta.get("labels") or {}).get(names.WATCH_FILTER_LABEL) != options.watch_filter:
        return True
    return annotated(obj, names.MANAGED_BY_ANNOTATION)


def cluster_name_of(obj: JsonObject) -> str:
    name: str = (obj.get("spec") or {}).get("clusterName") or obj["metadata"]["name"]
    return name


def open_scope(key: ObjectKey, obj: JsonObject, runtimes: Mapping[str, Runtime], now: datetime) -> tuple[Scope, Plan | None]:
    """The scope, and why the spec cannot be read, if so (possible only when the stored object was never checked by our CRD)."""
    raw, problem = obj.get("spec") or {}, None
    try:
        spec = KINDClusterSpec.model_validate(raw)
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(str(part) for part in entry["loc"]) for entry in error.errors()}))
        message = f"spec cannot be read; check these fields: {fields}."
        problem = Plan(Action.WAIT, Reason.INVALID_SPEC, message)
        spec = KINDClusterSpec.model_validate({name: raw[name] for name in ESSENTIAL if name in raw})
    scope = Scope(key, obj, spec, now)
    scope.identity = identity_of(key, spec)
    if spec.identity is not None:
        scope.runtime = runtimes.get(spec.identity.runtime)
    return scope, problem


async def load_owner(scope: Scope, kube: Kube) -> None:
    reference = owner_reference(scope.obj)
    if reference is None:
        scope.standalone = bool(scope.spec.standalone) or not await kube.serves(names.CAPI_GROUP)
        return
    cluster = await kube.get(names.CLUSTERS, ObjectKey(scope.key.namespace, reference["name"]))
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
    clusters = await kube.list(names.CLUSTERS, namespace=scope.key.namespace)
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
