"""Who a cluster belongs to: its name on the engine, the token persisted on the object, the marker made of both. Pure.

The marker must survive `clusterctl move` and backups (new UID, no status) and must not be transferable by copying the token into
another object: so it is made of namespace, name and the token in the spec, and of nothing else.
"""

from __future__ import annotations

import hashlib

from provider.api import names
from provider.api.meta import JsonObject, ObjectKey, key_of, part
from provider.api.v1alpha1.kindcluster import KINDClusterSpec
from provider.ports.runtime import Identity

MARKER_LENGTH = 32


def cluster_name_of(obj: JsonObject) -> str:
    """Name of the kind cluster: spec.clusterName, else the object's own name (both checked by the CRD)."""
    asked = part(obj, "spec").get("clusterName")
    name: str = asked if asked and isinstance(asked, str) else obj["metadata"]["name"]
    return name


def marker(key: ObjectKey, token: str) -> str:
    """32 hexadecimal digits: fits a path element and a DNS label."""
    # Namespace and name are hashed as well: a token that is copied into another object gives another marker.
    return hashlib.sha256(f"{key.namespace}/{key.name}/{token}".encode()).hexdigest()[:MARKER_LENGTH]


def marker_of(obj: JsonObject) -> str:
    """As the persisted identity gives it, of any object, readable or not; of one without an identity it is nobody's."""
    token = ((obj.get("spec") or {}).get("identity") or {}).get("token") or ""
    return marker(key_of(obj), str(token))


def identity_of(obj: JsonObject, spec: KINDClusterSpec) -> Identity | None:
    """The persisted identity, or None as long as nothing can have been made for this object."""
    if spec.identity is None:
        return None
    key = key_of(obj)
    daemon = part(obj, "metadata", "annotations").get(names.DAEMON_ANNOTATION) or ""
    return Identity(cluster_name_of(obj), marker(key, spec.identity.token), str(key), daemon)
