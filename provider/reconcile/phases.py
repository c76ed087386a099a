"""The effects of a living cluster, one small idempotent verb each: ensure_x. Each guards itself and acts at most once per pass.

A phase changes the world through the ports, notes what it found in the scope, and raises only for faults; the status is computed
from the scope afterwards, whatever happened here.
"""

from __future__ import annotations

import base64

from provider.api import names
from provider.api.conditions import Reason
from provider.api.resources import ObjectKey
from provider.api.v1alpha1 import ControlPlaneEndpoint
from provider.errors import Conflict
from provider.ports import JsonObject, Kube, Presence
from provider.reconcile.identity import with_finalizer
from provider.reconcile.opening import cluster_name_of
from provider.reconcile.scope import Scope


async def ensure_finalizer_and_identity(scope: Scope, kube: Kube, *, token: str = "", runtime: str = "") -> bool:
    """Persist what must be known before anything is made; True when something was written (the pass ends there).

    Raises Conflict when the object changed since it was read.
    """
    patch: JsonObject = {}
    finalizers = with_finalizer(scope.obj)
    if finalizers is not None:
        patch["metadata"] = {"finalizers": finalizers}
    if scope.spec.identity is None:
        patch["spec"] = {"identity": {"token": token, "runtime": runtime}}
    if not patch:
        return False
    await _patch(scope, kube, patch)
    return True


async def ensure_endpoint(scope: Scope, kube: Kube) -> None:
    """Write spec.controlPlaneEndpoint, once: when the API server answers and the Secret is published."""
    observation = scope.observation
    if scope.provisioned or not scope.secret_published or observation is None or observation.endpoint is None:
        return
    if scope.workload is None or not scope.workload.reachable:
        return
    endpoint = ControlPlaneEndpoint(host=observation.endpoint.host, port=observation.endpoint.port)
    await _patch(scope, kube, {"spec": {"controlPlaneEndpoint": endpoint.model_dump()}})
    scope.spec = scope.spec.model_copy(update={"control_plane_endpoint": endpoint})


async def ensure_secret(scope: Scope, kube: Kube, kubeconfig: str | None) -> None:
    """Publish <clusterName>-config, or repair it: data, label and owner reference. A Secret that is not ours is left alone."""
    if kubeconfig is None or scope.identity is None:
        return
    key = ObjectKey(scope.key.namespace, names.kubeconfig_secret_name(scope.identity.cluster_name))
    wanted = secret(scope, key, kubeconfig)
    present = await kube.get(names.SECRETS, key)
    if present is None:
        await kube.create(names.SECRETS, wanted)
    elif not is_our_secret(present, scope.key.name):
        message = (
            f"Secret {key} exists and does not belong to this KINDCluster: rename or delete it, and it is published at once."
        )
        scope.problem = (Reason.SECRET_CONFLICT, message)
        scope.wait(60)
        return
    elif repair := _secret_difference(present, wanted):
        await kube.patch(names.SECRETS, key, repair, version=present["metadata"]["resourceVersion"])
    scope.secret_published = True


async def delete_secret_if_ours(scope: Scope, kube: Kube) -> None:
    assert scope.identity is not None
    key = ObjectKey(scope.key.namespace, names.kubeconfig_secret_name(scope.identity.cluster_name))
    present = await kube.get(names.SECRETS, key)
    if present is not None and is_our_secret(present, scope.key.name):
        await kube.delete(names.SECRETS, key, uid=present["metadata"]["uid"])


def secret(scope: Scope, key: ObjectKey, kubeconfig: str) -> JsonObject:
    """The kubeconfig Secret for people: keys `config` and `value`, owned by the KINDCluster (so garbage collected with it)."""
    content = base64.b64encode(kubeconfig.encode()).decode()
    labels = {names.KINDCLUSTER_LABEL: scope.key.name}
    if cluster := (scope.meta.get("labels") or {}).get(names.CLUSTER_NAME_LABEL):
        labels[names.CLUSTER_NAME_LABEL] = cluster
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels, "ownerReferences": [_owner(scope)]},
        "type": "Opaque",
        "data": {"config": content, "value": content},
    }


def _owner(scope: Scope) -> JsonObject:
    return {
        "apiVersion": names.KINDCLUSTERS.api_version,
        "kind": names.KIND,
        "name": scope.key.name,
        "uid": scope.meta["uid"],
        "controller": True,
    }


def is_our_secret(present: JsonObject, name: str) -> bool:
    """Ours carries our label or an owner reference to us; either may have been edited away, not both."""
    meta = present["metadata"]
    if (meta.get("labels") or {}).get(names.KINDCLUSTER_LABEL) == name:
        return True
    owners = meta.get("ownerReferences") or []
    return any(
        owner.get("kind") == names.KIND
        and owner.get("name") == name
        and str(owner.get("apiVersion", "")).startswith(f"{names.GROUP}/")
        for owner in owners
    )


def _secret_difference(present: JsonObject, wanted: JsonObject) -> JsonObject:
    """Merge patch that restores our part; foreign labels, annotations and data keys stay."""
    patch: JsonObject = {}
    data = present.get("data") or {}
    if changed := {key: value for key, value in wanted["data"].items() if data.get(key) != value}:
        patch["data"] = changed
    meta: JsonObject = {}
    labels = present["metadata"].get("labels") or {}
    if missing := {key: value for key, value in wanted["metadata"]["labels"].items() if labels.get(key) != value}:
        meta["labels"] = missing
    owners = present["metadata"].get("ownerReferences") or []
    mine = wanted["metadata"]["ownerReferences"][0]
    if mine not in owners:
        others = [owner for owner in owners if (owner.get("kind"), owner.get("name")) != (mine["kind"], mine["name"])]
        meta["ownerReferences"] = [*(owner for owner in others if not owner.get("controller")), mine]
    if meta:
        patch["metadata"] = meta
    return patch


async def find_rival(scope: Scope, kube: Kube, namespace: str | None) -> None:
    """Look for an older claim to the cluster name; needed only when nothing stands there and a create would be next."""
    if scope.identity is None or scope.observation is None or scope.observation.presence is not Presence.ABSENT:
        return
    mine = _claim(scope.obj)
    for other in await kube.list(names.KINDCLUSTERS, namespace=namespace):
        if other["metadata"]["uid"] == scope.meta["uid"] or not (other.get("spec") or {}).get("identity"):
            continue
        if cluster_name_of(other) == scope.identity.cluster_name and _claim(other) < mine:
            scope.rival = f"{other['metadata']['namespace']}/{other['metadata']['name']}"
            return


def _claim(obj: JsonObject) -> tuple[str, str, str]:
    meta = obj["metadata"]
    return meta["creationTimestamp"], meta["namespace"], meta["name"]


async def _patch(scope: Scope, kube: Kube, patch: JsonObject) -> None:
    written = await kube.patch(names.KINDCLUSTERS, scope.key, patch, version=scope.meta["resourceVersion"])
    if written is None:
        raise Conflict("ObjectGone", f"KINDCluster {scope.key} was deleted meanwhile.")
    scope.obj = written
