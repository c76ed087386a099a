"""The inventory of an add-on: a ConfigMap in the cluster that lists every object which may have been made for it. Pure.

It is written before an object is made, and an object leaves it only when it is gone or somebody else's: so nothing of an add-on is lost,
whenever the manager ends (docs/adr/0112-add-ons-are-applied-with-an-inventory.md). It lies in the cluster, where the
objects are: both go together, and `clusterctl move` and a lost status change nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from provider.api import names
from provider.api.manifests import Reference, can_be
from provider.api.meta import JsonObject, ObjectKey, part
from provider.reconcile.addon_texts import Entry

NAMESPACE = "kube-system"
"""Every cluster has it, and nobody can delete it."""
KEY = "objects"
COLUMNS = 5


@dataclass(frozen=True, slots=True)
class Inventory:
    addon: str
    uid: str
    entries: tuple[Entry, ...]
    applied: str
    """Digest of the manifests that have been applied whole; empty: of none, or something is under way."""
    readable: bool = True
    """Somebody else has written it otherwise: what it lists is not known."""


def key_of_inventory(addon: str) -> ObjectKey:
    return ObjectKey(NAMESPACE, f"kindcluster-addon-{addon}")


def write(addon: str, entries: Iterable[Entry], applied: str) -> JsonObject:
    """The whole object, for server-side apply."""
    rows = [[one.reference.group, one.version, *one.reference[1:]] for one in entries]
    key = key_of_inventory(addon)
    annotations = {names.ADDON_APPLIED_ANNOTATION: applied} if applied else {}
    return {
        "apiVersion": names.CONFIG_MAPS.api_version,
        "kind": names.CONFIG_MAPS.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": {names.ADDON_INVENTORY_LABEL: addon},
            "annotations": annotations,
        },
        "data": {KEY: json.dumps(rows, separators=(",", ":"))},
    }


def read(obj: JsonObject) -> Inventory:
    """Of an object with the label of inventories."""
    metadata = part(obj, "metadata")
    addon, uid = str(part(metadata, "labels").get(names.ADDON_INVENTORY_LABEL, "")), str(metadata.get("uid", ""))
    entries = _entries(part(obj, "data").get(KEY))
    if entries is None or metadata.get("name") != key_of_inventory(addon).name:
        return Inventory(addon, uid, (), "", readable=False)
    applied = str(part(metadata, "annotations").get(names.ADDON_APPLIED_ANNOTATION) or "")
    return Inventory(addon, uid, entries, applied)


def _entries(text: object) -> tuple[Entry, ...] | None:
    try:
        rows = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(rows, list):
        return None
    found = []
    for row in rows:
        if not isinstance(row, list) or len(row) != COLUMNS or not all(isinstance(value, str) for value in row):
            return None
        entry = Entry(Reference(row[0], *row[2:]), row[1])
        if not can_be(entry.reference, entry.api_version):
            return None
        found.append(entry)
    return tuple(found)
