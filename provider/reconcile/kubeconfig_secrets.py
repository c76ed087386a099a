"""The kubeconfig Secrets of a cluster: published, kept repaired, removed with it. Secrets that are not ours are never touched.

Two of them: `<clusterName>-config` for people on the host, and, where the Cluster API Cluster that owns the object names it as well,
`<Cluster>-kubeconfig` in the contract's shape (control-plane contract "Cluster kubeconfig management": type, label, key), for Cluster API
and clusterctl. The name of a Cluster comes from that Cluster alone, never from a label of the object: else any object could publish a
kubeconfig for any Cluster. Their content is never logged and never part of a message.
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
from provider.errors import Conflict, Terminal
from provider.ports.kube import Kube
from provider.reconcile.capi import naming_cluster
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
        for wanted in wanted_secrets(scope, kubeconfigs):
            if (blocked := await _ensure(scope, kube, wanted)) is not None:
                return Published(blocked=blocked)
    except Terminal as error:
        if error.reason is not Reason.NAMESPACE_TERMINATING:
            raise
        message = "The namespace is being deleted: nothing can be created in it any more."
        return Published(blocked=Blocked(Reason.NAMESPACE_TERMINATING, message, SECRET_RETRY))
    return Published(done=True)


async def delete_secrets_if_ours(scope: Scope, kube: Kube) -> None:
    for present in await published(scope, kube):
        await kube.delete(names.SECRETS, key_of(present), uid=present["metadata"]["uid"])


async def published(scope: Scope, kube: Kube) -> list[JsonObject]:
    """The Secrets that were published for this object and still exist, also the one for a Cluster that is gone: our label finds it."""
    label = f"{names.KINDCLUSTER_LABEL}={scope.key.name}"
    labelled = await kube.list(names.SECRETS, namespace=scope.key.namespace, labels=label)
    found = {key_of(secret): secret for secret in labelled if secret.get("type") == contract.CLUSTER_SECRET_TYPE}
    for key in secret_keys(scope):
        if key not in found and (secret := await kube.get(names.SECRETS, key)) is not None:
            found[key] = secret
    return [secret for secret in found.values() if is_ours(secret, scope)]


def owner_of_secret(secret: JsonObject) -> set[ObjectKey]:
    """Maps a Secret's events to the KINDCluster it belongs to, by its label; none without the label."""
    owner = (secret["metadata"].get("labels") or {}).get(names.KINDCLUSTER_LABEL)
    return {ObjectKey(secret["metadata"]["namespace"], owner)} if owner else set()


def is_ours(present: JsonObject, scope: Scope) -> bool:
    """Ours carries our label or an owner reference to us; either may have been edited away, not both. One that was kept when its object
    went belongs to that identity alone.
    """
    meta = present["metadata"]
    kept_by = (meta.get("annotations") or {}).get(names.KEPT_ANNOTATION)
    if kept_by is not None:
        return scope.identity is not None and kept_by == scope.identity.marker
    return (meta.get("labels") or {}).get(names.KINDCLUSTER_LABEL) == scope.key.name or is_owned(present, scope.key.name)


def is_owned(present: JsonObject, name: str) -> bool:
    """Whether it has an owner reference to the KINDCluster of this name."""
    return any(refers_to(owner, name) for owner in present["metadata"].get("ownerReferences") or [])


def refers_to(owner: JsonObject, name: str) -> bool:
    return (contract.group_of(owner), owner.get("kind"), owner.get("name")) == (names.GROUP, KINDCLUSTERS.kind, name)


async def _ensure(scope: Scope, kube: Kube, wanted: JsonObject) -> Blocked | None:
    key = key_of(wanted)
    present = await kube.get(names.SECRETS, key)
    if present is None:
        await kube.create(names.SECRETS, wanted)
    elif not is_ours(present, scope):
        message = (
            f"Secret {key} exists and does not belong to this KINDCluster: rename or delete it, and it is published at once."
        )
        return Blocked(Reason.SECRET_CONFLICT, message, SECRET_RETRY)
    elif present.get("type") != wanted["type"]:  # a Secret's type cannot be changed in place
        await kube.delete(names.SECRETS, key, uid=present["metadata"]["uid"])
        await kube.create(names.SECRETS, wanted)
    elif repair := repairs(present, wanted):
        if "ownerReferences" in repair.get("metadata", {}):
            await _must_live(scope, kube)
        await kube.patch(names.SECRETS, key, repair, version=present["metadata"]["resourceVersion"])
    return None


async def _must_live(scope: Scope, kube: Kube) -> None:
    """`kubectl delete --cascade=orphan` takes owner references away after deletion has begun: put back by a pass that read the object
    before, they would hide that the cluster is to be kept. Raises Conflict.
    """
    current = await kube.get(KINDCLUSTERS, scope.key)
    meta = current["metadata"] if current is not None else {}
    if meta.get("uid") != scope.metadata["uid"] or "deletionTimestamp" in meta:
        raise Conflict(Reason.OBJECT_GONE, f"KINDCluster {scope.key} was deleted meanwhile.")


def wanted_secrets(scope: Scope, kubeconfigs: Kubeconfigs) -> Iterator[JsonObject]:
    for_people, *for_capi = secret_keys(scope)
    yield _secret(scope, for_people, "Opaque", {"config": kubeconfigs.host, "value": kubeconfigs.host})
    for key in for_capi:
        yield _secret(scope, key, contract.CLUSTER_SECRET_TYPE, {"value": kubeconfigs.manager})


def secret_keys(scope: Scope) -> list[ObjectKey]:
    """What the Secrets of this object are called: the one for people first."""
    assert scope.identity is not None
    keys = [ObjectKey(scope.key.namespace, names.kubeconfig_secret_name(scope.identity.cluster_name))]
    if cluster := naming_cluster(scope.owner, scope.key):
        keys.append(ObjectKey(scope.key.namespace, contract.cluster_kubeconfig_secret_name(cluster)))
    return keys


def _secret(scope: Scope, key: ObjectKey, kind: str, content: dict[str, str]) -> JsonObject:
    labels = {names.KINDCLUSTER_LABEL: scope.key.name}
    if cluster := naming_cluster(scope.owner, scope.key):
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
    """Merge patch that restores our part; foreign labels, annotations, owners and data keys stay. One that was kept is taken back."""
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
    if names.KEPT_ANNOTATION in (present["metadata"].get("annotations") or {}):
        meta["annotations"] = {names.KEPT_ANNOTATION: None}
    if meta:
        patch["metadata"] = meta
    return patch
