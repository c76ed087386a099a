"""The kubeconfig Secrets of a cluster: published, kept repaired, removed with it. Secrets that are not ours are never touched.

Two of them: `<clusterName>-config` for people on the host, and, where a Cluster API Cluster owns the object, `<Cluster>-kubeconfig` in the
contract's shape (control-plane contract "Cluster kubeconfig management": type, label, key), for Cluster API and clusterctl. Their content
is never logged and never part of a message.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass

from provider.api import contract, names
from provider.api.conditions import Reason
from provider.api.meta import JsonObject, ObjectKey, key_of
from provider.api.v1alpha1.kindcluster import KINDCLUSTERS
from provider.backoff import SECRET_RETRY
from provider.errors import Terminal
from provider.ports.kube import Kube
from provider.reconcile.observe import Kubeconfigs
from provider.reconcile.plan import Blocked
from provider.reconcile.scope import Scope


@dataclass(frozen=True, slots=True)
class Published:
    """What became of publishing the kubeconfigs in one pass."""

    done: bool = False
    """Both Secrets have the current content."""
    blocked: Blocked | None = None
    """Why they have not."""


async def ensure_secrets(scope: Scope, kube: Kube, kubeconfigs: Kubeconfigs) -> Published:
    """Publish or repair. Blocked where a Secret of that name is somebody else's, or where the namespace is going: then the object goes
    in a moment, and trying again and again would only fill the log.
    """
    try:
        for wanted in _wanted(scope, kubeconfigs):
            if (blocked := await _ensure(scope, kube, wanted)) is not None:
                return Published(blocked=blocked)
    except Terminal as error:
        if error.reason is not Reason.NAMESPACE_TERMINATING:
            raise
        message = "The namespace is being deleted: nothing can be created in it any more."
        return Published(blocked=Blocked(Reason.NAMESPACE_TERMINATING, message, SECRET_RETRY))
    return Published(done=True)


async def delete_secrets_if_ours(scope: Scope, kube: Kube) -> None:
    for key in _keys(scope):
        present = await kube.get(names.SECRETS, key)
        if present is not None and is_ours(present, scope.key.name):
            await kube.delete(names.SECRETS, key, uid=present["metadata"]["uid"])


def owner_of_secret(secret: JsonObject) -> set[ObjectKey]:
    """Maps a Secret's events to the KINDCluster it belongs to, by its label; none without the label."""
    owner = (secret["metadata"].get("labels") or {}).get(names.KINDCLUSTER_LABEL)
    return {ObjectKey(secret["metadata"]["namespace"], owner)} if owner else set()


def is_ours(present: JsonObject, name: str) -> bool:
    """Ours carries our label or an owner reference to us; either may have been edited away, not both."""
    meta = present["metadata"]
    if (meta.get("labels") or {}).get(names.KINDCLUSTER_LABEL) == name:
        return True
    return any(
        (contract.group_of(owner), owner.get("kind"), owner.get("name")) == (names.GROUP, KINDCLUSTERS.kind, name)
        for owner in meta.get("ownerReferences") or []
    )


async def _ensure(scope: Scope, kube: Kube, wanted: JsonObject) -> Blocked | None:
    key = key_of(wanted)
    present = await kube.get(names.SECRETS, key)
    if present is None:
        await kube.create(names.SECRETS, wanted)
    elif not is_ours(present, scope.key.name):
        message = (
            f"Secret {key} exists and does not belong to this KINDCluster: rename or delete it, and it is published at once."
        )
        return Blocked(Reason.SECRET_CONFLICT, message, SECRET_RETRY)
    elif present.get("type") != wanted["type"]:  # a Secret's type cannot be changed in place
        await kube.delete(names.SECRETS, key, uid=present["metadata"]["uid"])
        await kube.create(names.SECRETS, wanted)
    elif repair := repairs(present, wanted):
        await kube.patch(names.SECRETS, key, repair, version=present["metadata"]["resourceVersion"])
    return None


def _wanted(scope: Scope, kubeconfigs: Kubeconfigs) -> Iterator[JsonObject]:
    for_people, *for_capi = _keys(scope)
    yield _secret(scope, for_people, "Opaque", {"config": kubeconfigs.host, "value": kubeconfigs.host})
    for key in for_capi:
        yield _secret(scope, key, contract.CLUSTER_SECRET_TYPE, {"value": kubeconfigs.manager})


def _keys(scope: Scope) -> list[ObjectKey]:
    assert scope.identity is not None
    keys = [ObjectKey(scope.key.namespace, names.kubeconfig_secret_name(scope.identity.cluster_name))]
    if cluster := _cluster(scope):
        keys.append(ObjectKey(scope.key.namespace, contract.cluster_kubeconfig_secret_name(cluster)))
    return keys


def _cluster(scope: Scope) -> str:
    """Name of the Cluster API Cluster; the label still tells it when the Cluster is gone already."""
    if scope.owner.cluster is not None:
        return str(scope.owner.cluster["metadata"]["name"])
    return str((scope.metadata.get("labels") or {}).get(contract.CLUSTER_NAME_LABEL) or "")


def _secret(scope: Scope, key: ObjectKey, kind: str, content: dict[str, str]) -> JsonObject:
    labels = {names.KINDCLUSTER_LABEL: scope.key.name}
    if cluster := _cluster(scope):
        labels[contract.CLUSTER_NAME_LABEL] = cluster
    owner = {
        "apiVersion": KINDCLUSTERS.api_version,
        "kind": KINDCLUSTERS.kind,
        "name": scope.key.name,
        "uid": scope.metadata["uid"],
        "controller": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": key.name, "namespace": key.namespace, "labels": labels, "ownerReferences": [owner]},
        "type": kind,
        "data": {name: base64.b64encode(text.encode()).decode() for name, text in content.items()},
    }


def repairs(present: JsonObject, wanted: JsonObject) -> JsonObject:
    """Merge patch that restores our part; foreign labels, annotations, owners and data keys stay."""
    patch: JsonObject = {}
    data = present.get("data") or {}
    if changed := {name: value for name, value in wanted["data"].items() if data.get(name) != value}:
        patch["data"] = changed
    meta: JsonObject = {}
    labels = present["metadata"].get("labels") or {}
    if missing := {name: value for name, value in wanted["metadata"]["labels"].items() if labels.get(name) != value}:
        meta["labels"] = missing
    owners, mine = present["metadata"].get("ownerReferences") or [], wanted["metadata"]["ownerReferences"][0]
    if mine not in owners:
        # After a move or a restore the object has another UID: garbage collection would delete what the old one owned. And an object
        # has one controller at most (apimachinery refuses a second).
        others = [owner for owner in owners if (owner.get("kind"), owner.get("name")) != (mine["kind"], mine["name"])]
        meta["ownerReferences"] = [*(owner for owner in others if not owner.get("controller")), mine]
    if meta:
        patch["metadata"] = meta
    return patch
